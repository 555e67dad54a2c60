//! What is told of each request once it is over: when its answer was taken to the last byte, or when its client had gone.
//!
//! Nothing is kept of a request where nobody listens. Bodies pass through counted, and neither they nor any header but the
//! request's id and its trace's is told, so no key and no record gets into a log.

use std::{
    fmt,
    net::IpAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::{Duration, Instant, SystemTime},
};

use axum::{
    body::{Body, Bytes},
    http::{HeaderName, HeaderValue, Method, Response, StatusCode},
};
use http_body::{Frame, SizeHint};
use prometheus_client::registry::Registry;

use crate::keys::KeyId;

pub(super) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// Is told of requests. It is called by the tasks that serve them, and must not wait.
pub trait Observer: fmt::Debug + Send + Sync {
    /// A request is over.
    fn ended(&self, exchange: &Exchange);

    /// Shows what it counts, if it counts anything.
    fn register(&self, _registry: &mut Registry) {}
}

/// A request and what became of it.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// When its head was read.
    pub began: SystemTime,
    /// From then to the last byte of its answer that the connection took.
    pub took: Duration,
    /// Who asked.
    pub client: IpAddr,
    /// How.
    pub method: Method,
    /// What is asked there, as in `/api/topics/{topic}`; [`None`] where nothing is.
    pub route: Option<&'static str>,
    /// What was asked for, without a query.
    pub path: Box<str>,
    /// What was answered; [`None`] if the client had gone before there was an answer.
    pub status: Option<StatusCode>,
    /// The error's code, if it was one.
    pub error: Option<&'static str>,
    /// The key that it came with, if it had to have one and had it.
    pub key: Option<KeyId>,
    /// How much of the request's body was read.
    pub bytes_in: u64,
    /// How much of the answer's body the connection took.
    pub bytes_out: u64,
    /// The request's id.
    pub request_id: HeaderValue,
    /// The trace that it is part of, as its client says.
    pub traceparent: Option<HeaderValue>,
}

/// One request that somebody wants to hear of. Dropped, it is over.
#[derive(Debug)]
pub(super) struct Account {
    observers: Arc<[Arc<dyn Observer>]>,
    began: Instant,
    received: Arc<AtomicU64>,
    exchange: Exchange,
}

impl Account {
    /// A request that begins with this; counts and answer follow.
    pub(super) fn open(observers: Arc<[Arc<dyn Observer>]>, exchange: Exchange) -> Self {
        Self { observers, began: Instant::now(), received: Arc::default(), exchange }
    }

    /// The request's body, counted.
    pub(super) fn receiving(&self, body: Body) -> Body {
        let received = Arc::clone(&self.received);
        Body::new(Counted { body, taken: move |bytes| _ = received.fetch_add(bytes, Ordering::Relaxed) })
    }

    fn sent(&mut self, bytes: u64) {
        self.exchange.bytes_out += bytes;
    }

    /// The answer, whose body ends the account.
    pub(super) fn answered(
        mut self: Box<Self>,
        response: Response<Body>,
        error: Option<&'static str>,
        key: Option<KeyId>,
    ) -> Response<Body> {
        (self.exchange.status, self.exchange.error, self.exchange.key) = (Some(response.status()), error, key);
        response.map(|body| Body::new(Counted { body, taken: move |bytes| self.sent(bytes) }))
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        self.exchange.took = self.began.elapsed();
        self.exchange.bytes_in = self.received.load(Ordering::Relaxed);
        for observer in &*self.observers {
            observer.ended(&self.exchange);
        }
    }
}

/// A body of which is counted what is taken.
struct Counted<F> {
    body: Body,
    taken: F,
}

impl<F: FnMut(u64) + Unpin> http_body::Body for Counted<F> {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
        {
            (self.taken)(data.len() as u64);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
