//! One request from its head to its answer: what all routes have in common.
//!
//! * It gets an id, its own `X-Request-Id` if that is sane, and the answer bears it.
//! * An error gets its body, whoever made it: a handler, or the router for what it does not know.
//! * It leaves a line in the log: at debug, at warn for 503 (but for not being ready), at error for what is a bug of ours.

use std::{
    convert::Infallible,
    net::IpAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant, SystemTime},
};

use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header},
    response::{IntoResponse, Response},
};
use hyper::{body::Incoming, service::Service};
use tracing::field;
use uuid::Uuid;

use super::{
    account::{Account, Exchange, TRACEPARENT},
    client_address::ClientAddress,
    config::HttpConfig,
    error::ApiError,
    forgery::check_origin,
    guard::KeyUsed,
    input::query::check_percent_encoding,
    kafka_rest::KAFKA_JSON,
    link::Link,
    output::JSON,
    routing::Routing,
    stats::{HttpStats, RouteStats},
};

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Answers the requests of one connection.
#[derive(Clone)]
pub(super) struct Dispatch {
    routing: Routing,
    ids: Arc<RequestIds>,
    stats: Arc<HttpStats>,
    config: Arc<HttpConfig>,
    link: Arc<Link>,
    peer: IpAddr,
}

/// Which request a handler answers.
#[derive(Clone)]
pub(super) struct Asked {
    /// On which connection.
    pub(super) link: Arc<Link>,
    /// The request's id.
    pub(super) id: HeaderValue,
    /// Who asks.
    pub(super) client: ClientAddress,
}

/// Names requests that bring no name: unique in this process, and most likely among all.
#[derive(Debug)]
pub(super) struct RequestIds {
    /// What all names begin with.
    process: String,
    counter: AtomicU64,
}

impl RequestIds {
    pub(super) fn new() -> Self {
        let process = format!("{:08x}-", Uuid::new_v4().as_fields().0);
        Self { process, counter: AtomicU64::new(1) }
    }

    fn name(&self, headers: &HeaderMap) -> HeaderValue {
        if let Some(given) = headers.get(X_REQUEST_ID)
            && is_sane(given)
        {
            return given.clone();
        }
        self.draw()
    }

    /// A name for a request of which nothing is known.
    pub(super) fn draw(&self) -> HeaderValue {
        let count = self.counter.fetch_add(1, Ordering::Relaxed);
        let mut digits = itoa::Buffer::new();
        let name = [self.process.as_bytes(), digits.format(count).as_bytes()].concat();
        HeaderValue::try_from(name).expect("hexadecimal digits fit a header")
    }
}

/// Whether a client's id can be repeated everywhere without doing harm.
fn is_sane(id: &HeaderValue) -> bool {
    const MAX_BYTES: usize = 128;
    let id = id.as_bytes();
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.:/+=@".contains(byte);
    (1..=MAX_BYTES).contains(&id.len()) && id.iter().all(allowed)
}

impl Dispatch {
    pub(super) fn new(
        routing: Routing,
        ids: Arc<RequestIds>,
        stats: Arc<HttpStats>,
        config: Arc<HttpConfig>,
        link: Arc<Link>,
        peer: IpAddr,
    ) -> Self {
        Self { routing, ids, stats, config, link, peer }
    }

    async fn route(self, mut request: Request<Body>, asked: Asked) -> (Response, Option<Arc<RouteStats>>) {
        if self.link.refused {
            let message = "the server has as many connections as it may";
            let refused = ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "too_many_connections", message);
            return (refused.retryable(true).retry_after(1).closing().into_response(), None);
        }
        if let Some(answer) = self.config.cors.as_ref().and_then(|cors| cors.preflight(&request)) {
            return (answer, None);
        }
        let checked = check_percent_encoding(request.uri())
            .and_then(|()| check_framing(request.headers()))
            .and_then(|()| check_origin(request.method(), request.headers(), self.config.cors.as_ref()));
        if let Err(error) = checked {
            return (error.into_response(), None);
        }
        request.extensions_mut().insert(asked);
        self.routing.answer(request).await
    }
}

impl Service<Request<Incoming>> for Dispatch {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        self.link.request_began();
        let began = Instant::now();
        let asked = Asked {
            link: Arc::clone(&self.link),
            id: self.ids.name(request.headers()),
            client: self.config.trusted_proxies.client(self.peer, request.headers()),
        };
        // The path as it is would hold the buffer that the request was read into for as long as the request lasts.
        let (method, path) = (request.method().clone(), Box::<str>::from(request.uri().path()));
        let account = self.account(&request, &asked, &path);
        let origin = self.config.cors.as_ref().and_then(|_| request.headers().get(header::ORIGIN).cloned());
        let request = request.map(|body| match &account {
            Some(account) => account.receiving(Body::new(body)),
            None => Body::new(body),
        });
        let this = self.clone();
        let (link, stats, config) = (Arc::clone(&self.link), Arc::clone(&self.stats), Arc::clone(&self.config));
        Box::pin(async move {
            let (mut response, route) = this.route(request, asked.clone()).await;
            let took = began.elapsed();
            log(&method, &path, &asked, took, &response);
            stats.answered(route.as_ref().unwrap_or_else(|| stats.route(&path)), response.status(), took);
            let key = response.extensions().get::<KeyUsed>().map(|KeyUsed(id)| *id);
            let mut code = None;
            if let Some(error) = response.extensions_mut().remove::<ApiError>() {
                code = Some(error.code());
                stats.erred(error.code());
                write_error(&mut response, error, &asked.id);
            }
            response.headers_mut().insert(X_REQUEST_ID, asked.id);
            if let Some(cors) = &config.cors {
                cors.allow(origin.as_ref(), response.headers_mut());
            }
            link.answer_ready();
            Ok(match account {
                Some(account) => account.answered(response, code, key),
                None => response,
            })
        })
    }
}

impl Dispatch {
    /// Keeps account of a request, if anybody wants to hear of it.
    fn account(&self, request: &Request<Incoming>, asked: &Asked, path: &str) -> Option<Box<Account>> {
        if self.config.observers.is_empty() {
            return None;
        }
        let exchange = Exchange {
            began: SystemTime::now(),
            took: Duration::ZERO,
            client: asked.client.0,
            method: request.method().clone(),
            route: self.stats.template(path),
            path: path.into(),
            status: None,
            error: None,
            key: None,
            bytes_in: 0,
            bytes_out: 0,
            request_id: asked.id.clone(),
            traceparent: request.headers().get(TRACEPARENT).cloned(),
        };
        Some(Box::new(Account::open(Arc::clone(&self.config.observers), exchange)))
    }
}

/// Refuses what servers on the way may read in another way than this one: where one request ends and the next begins, and
/// whom it is for. (hyper has refused what contradicts itself, and lets `Transfer-Encoding` win over a length.)
fn check_framing(headers: &HeaderMap) -> Result<(), ApiError> {
    let chunked = |value: &HeaderValue| value.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked");
    let mut codings = headers.get_all(header::TRANSFER_ENCODING).iter();
    let message = match (codings.next(), codings.next()) {
        (Some(_), Some(_)) => "a request has one Transfer-Encoding",
        (Some(coding), None) if !chunked(coding) => "the only Transfer-Encoding of a request is chunked",
        _ if headers.contains_key(header::TRANSFER_ENCODING) && headers.contains_key(header::CONTENT_LENGTH) => {
            "a request has a Content-Length or a Transfer-Encoding, and not both"
        }
        _ if headers.get_all(header::HOST).iter().nth(1).is_some() => "a request has one Host",
        _ => return Ok(()),
    };
    Err(ApiError::malformed("malformed_request", message).closing())
}

/// Gives an error's response its body.
fn write_error(response: &mut Response, mut error: ApiError, id: &HeaderValue) {
    if let Some(allow) = response.headers().get(header::ALLOW) {
        error = error.with("allow", allow.to_str().unwrap_or_default());
    }
    let for_kafka_rest = error.is_for_kafka_rest();
    let body = error.body(id.to_str().unwrap_or_default());
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, if for_kafka_rest { KAFKA_JSON } else { JSON });
    headers.insert(header::CONTENT_LENGTH, body.len().into());
    *response.body_mut() = body.into();
}

/// Whether anybody hears of an answer of this status: the text of an error that nobody reads need not be made.
fn is_logged(status: StatusCode) -> bool {
    status.is_server_error() || tracing::enabled!(tracing::Level::DEBUG)
}

fn log(method: &Method, path: &str, asked: &Asked, took: Duration, response: &Response) {
    let status = response.status();
    let (id, client, us) = (asked.id.to_str().unwrap_or_default(), asked.client.0, took.as_micros());
    let key = response.extensions().get::<KeyUsed>().map(|KeyUsed(id)| field::display(id));
    // An error repeats what was asked for, so it is quoted: no line of the log is the client's.
    let error = response.extensions().get::<ApiError>();
    let text = error.filter(|_| is_logged(status)).map(ToString::to_string);
    match error {
        Some(_) if status == StatusCode::INTERNAL_SERVER_ERROR => {
            tracing::error!(%method, path, id, %client, key, us, error = text, "answered");
        }
        // Whoever asks whether the server is ready asks again and again.
        Some(error) if status.is_server_error() && !matches!(error.code(), "starting" | "not_ready") => {
            tracing::warn!(%method, path, id, %client, key, us, error = text, "answered");
        }
        Some(_) => tracing::debug!(%method, path, id, %client, key, us, error = text, "answered"),
        None => tracing::debug!(%method, path, id, %client, key, us, status = status.as_u16(), "answered"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sane_request_id_is_taken_over() {
        let ids = RequestIds::new();
        let named = |given: &'static str| {
            let headers = HeaderMap::from_iter([(X_REQUEST_ID, HeaderValue::from_static(given))]);
            ids.name(&headers)
        };
        assert_eq!(named("order-17/a"), "order-17/a");
        for insane in ["", "a b", "\"", "<script>"] {
            assert_ne!(named(insane), insane);
        }
        assert_ne!(ids.name(&HeaderMap::new()), ids.name(&HeaderMap::new()));
    }
}
