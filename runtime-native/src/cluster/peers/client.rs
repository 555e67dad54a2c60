//! Asking another node.

use std::time::Duration;

use axum::http::{HeaderValue, Request as HttpRequest, StatusCode, header::CONTENT_TYPE};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde::Serialize;
use takhin_core::{Applied, ConsumerId, Refusal, Request, RequestId};

use super::{
    super::routing::Reach,
    wire::{self, Ask, OfConsumer, SECRET, path},
};
use crate::driver::{Answer, node::RecordForm};

/// How long a node may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(2);
const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// Connections to one node that are kept while nothing is asked.
const MAX_IDLE: usize = 256;

/// The other nodes.
#[derive(Debug)]
pub(in crate::cluster) struct Peers {
    client: Client<HttpConnector, Full<Bytes>>,
    secret: HeaderValue,
}

impl Peers {
    /// Nodes of a cluster that has this secret.
    pub(in crate::cluster) fn new(secret: &str) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT));
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(MAX_IDLE).build(connector);
        let secret = HeaderValue::from_str(secret).expect("a secret is letters and digits");
        Self { client, secret }
    }

    /// Asks the core of a cell. To drop the future is to hang up.
    pub(in crate::cluster) async fn ask(
        &self,
        address: &str,
        cell: u32,
        request: &Request,
        form: RecordForm,
    ) -> Result<Answer, Refusal> {
        let ask = Ask { cell, stored: form == RecordForm::Stored, request };
        let bytes = self.send(address, path::ASK, &ask).await?;
        wire::decode(&bytes).unwrap_or_else(|error| Err(lost(address, &error)))
    }

    /// The cell of that node in which a consumer is.
    pub(in crate::cluster) async fn find(&self, address: &str, consumer: ConsumerId) -> Result<Option<u32>, Refusal> {
        let bytes = self.send(address, path::FIND, &OfConsumer { cell: None, consumer, poll: None }).await?;
        wire::json(&bytes).map_err(|error| lost(address, &error))
    }

    /// What a consumer of that node can reach.
    pub(in crate::cluster) async fn reach(
        &self,
        address: &str,
        cell: u32,
        consumer: ConsumerId,
    ) -> Result<Option<Reach>, Refusal> {
        let bytes = self.send(address, path::REACH, &OfConsumer { cell: Some(cell), consumer, poll: None }).await?;
        let reach: Result<Option<Reach>, Refusal> = wire::json(&bytes).map_err(|error| lost(address, &error))?;
        reach
    }

    /// Tells that a poll's answer could not be handed over. If that is lost, the consumer's next poll says the same.
    pub(in crate::cluster) async fn undelivered(
        &self,
        address: &str,
        cell: u32,
        poll: RequestId,
        consumer: ConsumerId,
    ) {
        let told = OfConsumer { cell: Some(cell), consumer, poll: Some(poll) };
        if let Err(refusal) = self.send(address, path::UNDELIVERED, &told).await {
            tracing::debug!(%consumer, %refusal, "a node was not told of an answer that was lost");
        }
    }

    async fn send(&self, address: &str, path: &str, question: &impl Serialize) -> Result<Bytes, Refusal> {
        let body = serde_json::to_vec(question).expect("a question is plain data");
        let request = HttpRequest::post(format!("{address}{path}"))
            .header(SECRET, self.secret.clone())
            .header(CONTENT_TYPE, JSON)
            .body(Full::new(body.into()))
            .map_err(|error| lost(address, &error))?;
        let answer = self.client.request(request).await.map_err(|error| {
            if error.is_connect() {
                tracing::debug!(address, %error, "a node can't be reached");
                return Refusal::GroupMoving { applied: Applied::Nothing };
            }
            lost(address, &error)
        })?;
        let status = answer.status();
        let bytes = answer.into_body().collect().await.map_err(|error| lost(address, &error))?.to_bytes();
        if status != StatusCode::OK {
            return Err(lost(address, &format!("{status}: {}", String::from_utf8_lossy(&bytes))));
        }
        Ok(bytes)
    }
}

/// The node may have done what it was asked.
fn lost(address: &str, error: &impl ToString) -> Refusal {
    tracing::warn!(address, error = error.to_string(), "a node's answer was lost");
    Refusal::GroupMoving { applied: Applied::Unknown }
}
