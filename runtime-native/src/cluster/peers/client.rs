//! Asking another node.

use std::{sync::Arc, time::Duration};

use axum::http::{HeaderValue, Request as HttpRequest, StatusCode, header::CONTENT_TYPE};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde::Serialize;
use takhin_core::{Applied, ConsumerId, Refusal, Request, RequestId};
use tokio::{runtime::Handle, time::timeout};
use uuid::Uuid;

use super::{
    super::{
        fates::Fates,
        finding::{Reach, Search},
    },
    polls::Asker,
    wire::{self, Ask, HasArrived, OfConsumer, SECRET, path},
};
use crate::driver::{Answer, node::RecordForm};

/// How long a node may take to accept a connection.
const CONNECT: Duration = Duration::from_secs(2);
/// How long a node may take for what it knows at once.
const SHORT: Duration = Duration::from_secs(3);
const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// Connections to one node that are kept while nothing is asked.
const MAX_IDLE: usize = 256;

/// The other nodes.
#[derive(Clone, Debug)]
pub(in crate::cluster) struct Peers {
    client: Client<HttpConnector, Full<Bytes>>,
    secret: HeaderValue,
    /// This node.
    asker: Asker,
    fates: Arc<Fates>,
}

impl Peers {
    /// Nodes of a cluster that has this secret, for a node that asks them.
    pub(in crate::cluster) fn new(secret: &str, asker: Asker, fates: Arc<Fates>) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT));
        connector.set_nodelay(true);
        let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(MAX_IDLE).build(connector);
        let secret = HeaderValue::from_str(secret).expect("a secret is letters and digits");
        Self { client, secret, asker, fates }
    }

    /// This node, as the others know it.
    pub(in crate::cluster) fn asker(&self) -> &Asker {
        &self.asker
    }

    /// Asks the core of a cell. To drop the future is to hang up: what a poll was to bring goes back.
    pub(in crate::cluster) async fn ask(
        &self,
        address: &str,
        cell: u32,
        request: &Request,
        form: RecordForm,
    ) -> Result<Answer, Refusal> {
        let (token, asker) = (Uuid::new_v4(), self.asker.clone());
        let polls = if let Request::Consume { consumer, .. } = request { Some(*consumer) } else { None };
        let before = polls.map(|consumer| self.fates.before(consumer)).unwrap_or_default();
        let ask = Ask { cell, stored: form == RecordForm::Stored, token, asker, before, request };
        let mut waiting = Waiting { of: polls.map(|consumer| (self.clone(), address.to_owned(), consumer)), token };
        let bytes = self.send(address, path::ASK, &ask).await?;
        let answer = wire::decode(&bytes).map_err(|error| lost(address, &error))?;
        waiting.of = None;
        if let (Ok(answer), Some(consumer)) = (&answer, polls)
            && answer.records.is_some()
        {
            self.fates.leaves(consumer, answer.request);
        }
        answer
    }

    /// What that node knows of a consumer.
    pub(in crate::cluster) async fn find(&self, address: &str, consumer: ConsumerId) -> Result<Search, Refusal> {
        let asked = OfConsumer { cell: None, consumer, poll: None };
        let asked = self.send(address, path::FIND, &asked);
        let bytes = timeout(SHORT, asked).await.map_err(|late| lost(address, &late))??;
        wire::json(&bytes).map_err(|error| lost(address, &error))
    }

    /// Whether the answer to a poll that went by that node got to the client. If nobody says so, it did not.
    pub(in crate::cluster) async fn has_arrived(&self, by: &Asker, consumer: ConsumerId, poll: RequestId) -> bool {
        let asked = HasArrived { node: by.node, consumer, poll };
        let asked = timeout(SHORT, self.send(&by.address, path::ARRIVED, &asked)).await;
        let arrived = asked.ok().and_then(Result::ok).and_then(|bytes| wire::json(&bytes).ok());
        arrived.unwrap_or(false)
    }

    /// What a consumer of that node can reach.
    pub(in crate::cluster) async fn reach(
        &self,
        address: &str,
        cell: u32,
        consumer: ConsumerId,
    ) -> Result<Option<Reach>, Refusal> {
        let asked = OfConsumer { cell: Some(cell), consumer, poll: None };
        let asked = self.send(address, path::REACH, &asked);
        let bytes = timeout(SHORT, asked).await.map_err(|late| lost(address, &late))??;
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
        if status == StatusCode::SERVICE_UNAVAILABLE {
            // It is stopping, and has not looked at it.
            return Err(Refusal::GroupMoving { applied: Applied::Nothing });
        }
        if status != StatusCode::OK {
            return Err(lost(address, &format!("{status}: {}", String::from_utf8_lossy(&bytes))));
        }
        Ok(bytes)
    }
}

/// A poll at another node. Dropped before its answer is there, it tells that node; and so does the consumer's next poll from
/// here, which may be there sooner.
struct Waiting {
    of: Option<(Peers, String, ConsumerId)>,
    token: Uuid,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let Some((peers, address, consumer)) = self.of.take() else { return };
        let token = self.token;
        peers.fates.gives_up(consumer, token);
        let Ok(runtime) = Handle::try_current() else { return };
        runtime.spawn(async move {
            let told = timeout(SHORT, peers.send(&address, path::HUNG_UP, &token)).await;
            if !matches!(told, Ok(Ok(_))) {
                tracing::debug!(address, "a node was not told of a client that hung up");
            }
        });
    }
}

/// The node may have done what it was asked.
fn lost(address: &str, error: &impl ToString) -> Refusal {
    tracing::warn!(address, error = error.to_string(), "a node's answer was lost");
    Refusal::GroupMoving { applied: Applied::Unknown }
}

#[cfg(test)]
mod tests {
    use tokio::{net::TcpListener, time::Instant};

    use super::*;

    /// A node that takes connections and says nothing, as one that stands still does.
    async fn silent() -> (TcpListener, Asker) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        (listener, Asker { node: Uuid::from_u128(2), address })
    }

    fn peers() -> Peers {
        let asker = Asker { node: Uuid::from_u128(1), address: "http://127.0.0.1:1".to_owned() };
        Peers::new("secret", asker, Arc::default())
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_that_says_nothing_of_an_answer_is_waited_for_so_long_and_the_answer_counts_as_lost() {
        let (_listener, by) = silent().await;
        let began = Instant::now();
        assert!(!peers().has_arrived(&by, ConsumerId(Uuid::from_u128(7)), RequestId(1)).await);
        assert_eq!(began.elapsed(), SHORT);
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_that_is_gone_took_the_answer_along() {
        let (listener, by) = silent().await;
        drop(listener);
        let began = Instant::now();
        assert!(!peers().has_arrived(&by, ConsumerId(Uuid::from_u128(7)), RequestId(1)).await);
        assert!(began.elapsed() < SHORT);
    }
}
