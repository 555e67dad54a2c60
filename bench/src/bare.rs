//! The limit of HTTP: a handler that does nothing, behind the same server library with the same settings.

use std::{net::SocketAddr, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes},
    http::header,
    response::IntoResponse,
    routing::get,
};
use clap::Args;
use hyper::server::conn::http1;
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use tokio::{net::TcpListener, runtime};

use crate::Failure;

/// What a `GET` answers, about.
const BIG_ANSWER_BYTES: usize = 1 << 20;

/// How long no connection is accepted after accepting one has failed.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(100);

#[derive(Debug, Args)]
pub(crate) struct Bare {
    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1:8081")]
    listen: SocketAddr,
}

impl Bare {
    pub(crate) fn run(self) -> Result<(), Failure> {
        runtime::Builder::new_multi_thread().enable_all().build()?.block_on(self.serve())
    }

    async fn serve(self) -> Result<(), Failure> {
        let router = router();
        let listener = TcpListener::bind(self.listen).await?;
        println!("listening on http://{}", listener.local_addr()?);
        loop {
            let Ok((stream, _)) = listener.accept().await else {
                tokio::time::sleep(PAUSE_AFTER_ERROR).await;
                continue;
            };
            let service = TowerToHyperService::new(router.clone());
            tokio::spawn(async move {
                stream.set_nodelay(true)?;
                let mut builder = http1::Builder::new();
                builder.header_read_timeout(None).max_headers(100).max_header_size(64 << 10).max_buf_size(64 << 10);
                builder.serve_connection(TokioIo::new(stream), service).await?;
                Ok::<_, Failure>(())
            });
        }
    }
}

fn router() -> Router {
    let record = format!(r#"{{"key":null,"value":"{}","headers":{{}}}},"#, "x".repeat(1024));
    let records = record.repeat(BIG_ANSWER_BYTES / record.len());
    let big = Bytes::from(format!(r#"{{"records":[{}]}}"#, records.trim_end_matches(',')));
    let read = move || async move { answer(big) };
    Router::new().route("/", get(read).post(take))
}

async fn take(body: Bytes) -> impl IntoResponse {
    answer(Bytes::from(format!(r#"{{"success":true,"bytes":{}}}"#, body.len())))
}

fn answer(json: Bytes) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, "application/json")], Body::from(json))
}
