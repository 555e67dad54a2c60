//! Traces: a span for each request, sent to a collector of OpenTelemetry, over OTLP with HTTP and without TLS.
//!
//! A span is made once its request is over. It belongs to the trace that the client names in `traceparent` (W3C Trace
//! Context), and is sent if that trace is sampled; else it begins a trace. Up to 2,048 spans wait to be sent, a batch every few
//! seconds; what comes while there is no room, or can't be sent, is lost, and no request waits for it.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    time::{Duration, SystemTime},
};

use axum::http::{HeaderValue, Request, Response, header};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use opentelemetry::{
    Context, KeyValue,
    propagation::{Extractor, TextMapPropagator as _},
    trace::{Span as _, SpanKind, Status, Tracer as _, TracerProvider as _},
};
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::{
    Resource,
    propagation::TraceContextPropagator,
    trace::{Sampler, SdkTracer, SdkTracerProvider},
};
use tokio::{net::TcpStream, runtime::Handle, time::timeout};

use crate::http::{Exchange, Observer};

/// How long a batch may take to be sent.
const PATIENCE: Duration = Duration::from_secs(10);

/// How much of a collector's answer is read.
const MAX_ANSWER_BYTES: usize = 1 << 16;

/// Sends spans.
#[derive(Debug)]
pub struct Traces {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
}

impl Traces {
    /// Sends spans to this URL, `http://…/v1/traces`. Of requests that are in no trace, so many begin one, from 0 to 1. To be
    /// called within a tokio runtime.
    ///
    /// # Errors
    /// Says what keeps it from starting.
    pub fn start(url: &str, sample_ratio: f64) -> Result<Arc<Self>, String> {
        let client = Client { runtime: Handle::current() };
        let exporter = SpanExporter::builder().with_http().with_http_client(client).with_endpoint(url);
        let exporter =
            exporter.with_timeout(PATIENCE).build().map_err(|error| format!("otlp-endpoint {url}: {error}"))?;
        let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
        let resource = Resource::builder_empty().with_service_name("takhin").with_attribute(version).build();
        let sampler = Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(sample_ratio)));
        let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).with_sampler(sampler);
        let provider = provider.with_resource(resource).build();
        let tracer = provider.tracer("takhin");
        Ok(Arc::new(Self { provider, tracer }))
    }

    /// Sends what waits, and ends. Waits for the collector, but not for long.
    pub fn stop(&self) {
        if let Err(error) = self.provider.shutdown_with_timeout(Duration::from_secs(2)) {
            tracing::warn!(%error, "the last spans were not sent");
        }
    }
}

impl Observer for Traces {
    fn ended(&self, exchange: &Exchange) {
        let parent = TraceContextPropagator::new().extract_with_context(&Context::new(), &Parent(exchange));
        let name = match exchange.route {
            Some(route) => format!("{} {route}", exchange.method),
            None => exchange.method.to_string(),
        };
        let builder = self.tracer.span_builder(name).with_kind(SpanKind::Server).with_start_time(exchange.began);
        let mut span = builder.with_attributes(attributes(exchange)).start_with_context(&self.tracer, &parent);
        if exchange.status.is_none_or(|status| status.is_server_error()) {
            span.set_status(Status::error(exchange.error.unwrap_or("the client had gone")));
        }
        span.end_with_timestamp(exchange.began.checked_add(exchange.took).unwrap_or_else(SystemTime::now));
    }
}

/// Under the names of OpenTelemetry's conventions for HTTP.
fn attributes(exchange: &Exchange) -> Vec<KeyValue> {
    let size = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
    let mut attributes = vec![
        KeyValue::new("http.request.method", exchange.method.to_string()),
        KeyValue::new("url.path", exchange.path.to_string()),
        KeyValue::new("client.address", exchange.client.to_string()),
        KeyValue::new("http.request.body.size", size(exchange.bytes_in)),
        KeyValue::new("http.response.body.size", size(exchange.bytes_out)),
        KeyValue::new("takhin.request_id", exchange.request_id.to_str().unwrap_or_default().to_owned()),
    ];
    attributes.extend(exchange.route.map(|route| KeyValue::new("http.route", route)));
    let status = exchange.status.map(|status| KeyValue::new("http.response.status_code", i64::from(status.as_u16())));
    attributes.extend(status);
    attributes.extend(exchange.key.map(|key| KeyValue::new("takhin.key_id", key.to_string())));
    attributes.extend(exchange.error.map(|code| KeyValue::new("error.type", code)));
    attributes
}

/// The trace that a request brings.
struct Parent<'a>(&'a Exchange);

impl Extractor for Parent<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        self.0.traceparent.as_ref().filter(|_| key == "traceparent")?.to_str().ok()
    }

    fn keys(&self) -> Vec<&str> {
        self.0.traceparent.iter().map(|_| "traceparent").collect()
    }
}

/// Sends a request over a connection of its own, on tokio's threads, whoever waits for it.
#[derive(Debug)]
struct Client {
    runtime: Handle,
}

impl HttpClient for Client {
    fn send_bytes<'a, 'sent>(
        &'a self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'sent>>
    where
        'a: 'sent,
        Self: 'sent,
    {
        let sent = self.runtime.spawn(async { timeout(PATIENCE, send(request)).await? });
        Box::pin(async { sent.await? })
    }
}

async fn send(request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
    let (mut head, body) = request.into_parts();
    let authority = head.uri.authority().ok_or("the URL has no host")?.clone();
    let stream = TcpStream::connect((authority.host(), authority.port_u16().unwrap_or(80))).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // Its end is that of the answer, or an error of which the answer's reader hears.
    tokio::spawn(connection);
    head.headers.insert(header::HOST, HeaderValue::try_from(authority.as_str())?);
    head.uri = head.uri.path_and_query().ok_or("the URL has no path")?.clone().into();
    let answer = sender.send_request(Request::from_parts(head, Full::new(body))).await?;
    let (head, body) = answer.into_parts();
    Ok(Response::from_parts(head, Limited::new(body, MAX_ANSWER_BYTES).collect().await?.to_bytes()))
}

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead as _, BufReader, Read as _, Write as _},
        net::TcpListener,
        thread::{self, JoinHandle},
    };

    use axum::http::{Method, StatusCode};
    use tokio::runtime::Runtime;

    use super::*;

    /// A collector that takes one batch. What it was asked, and the batch.
    fn collector() -> (String, JoinHandle<(String, Vec<u8>)>) {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a listener");
        let url = format!("http://{}/v1/traces", listener.local_addr().expect("an address"));
        let collected = thread::spawn(move || {
            let mut stream = BufReader::new(listener.accept().expect("a connection").0);
            let (mut head, mut length) = (String::new(), 0);
            while !head.ends_with("\r\n\r\n") {
                let start = head.len();
                stream.read_line(&mut head).expect("a line");
                if let Some(value) = head[start..].to_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().expect("a length");
                }
            }
            let mut body = vec![0; length];
            stream.read_exact(&mut body).expect("a body");
            stream.get_mut().write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").expect("answered");
            (head, body)
        });
        (url, collected)
    }

    fn exchange(traceparent: Option<&'static str>) -> Exchange {
        Exchange {
            began: SystemTime::now(),
            took: Duration::from_millis(2),
            client: [192, 0, 2, 7].into(),
            method: Method::POST,
            route: Some("/api/topics/{topic}/produce"),
            path: "/api/topics/orders/produce".into(),
            status: Some(StatusCode::SERVICE_UNAVAILABLE),
            error: Some("storage_unavailable"),
            key: None,
            bytes_in: 1,
            bytes_out: 2,
            request_id: HeaderValue::from_static("a-1"),
            traceparent: traceparent.map(HeaderValue::from_static),
        }
    }

    fn has(bytes: &[u8], part: &[u8]) -> bool {
        bytes.windows(part.len()).any(|window| window == part)
    }

    #[test]
    fn a_span_continues_the_trace_of_its_client_and_an_unsampled_one_is_not_sent() {
        let runtime = Runtime::new().expect("a runtime");
        let _entered = runtime.enter();
        let (url, collected) = collector();
        let traces = Traces::start(&url, 0.0).expect("it starts");
        traces.ended(&exchange(Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")));
        traces.ended(&exchange(Some("00-11111111111111111111111111111111-2222222222222222-00")));
        traces.ended(&exchange(None));
        traces.stop();
        let (head, batch) = collected.join().expect("a batch");
        assert!(head.starts_with("POST /v1/traces HTTP/1.1\r\n"), "{head}");
        assert!(head.to_lowercase().contains("content-type: application/x-protobuf\r\n"), "{head}");
        assert!(has(&batch, &0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c_u128.to_be_bytes()), "the trace");
        assert!(has(&batch, &0xb7ad_6b71_6920_3331_u64.to_be_bytes()), "the span before it");
        for text in ["POST /api/topics/{topic}/produce", "http.route", "storage_unavailable", "192.0.2.7", "takhin"] {
            assert!(has(&batch, text.as_bytes()), "{text}");
        }
        assert!(!has(&batch, &[0x11; 16]), "a trace that is not sampled");
        let names = batch.windows(8).filter(|window| *window == b"url.path").count();
        assert_eq!(names, 1, "one span");
    }

    #[test]
    fn a_request_without_a_trace_begins_one() {
        let runtime = Runtime::new().expect("a runtime");
        let _entered = runtime.enter();
        let (url, collected) = collector();
        let traces = Traces::start(&url, 1.0).expect("it starts");
        traces.ended(&exchange(None));
        traces.ended(&exchange(Some("nonsense")));
        traces.stop();
        let (_, batch) = collected.join().expect("a batch");
        assert_eq!(batch.windows(8).filter(|window| *window == b"url.path").count(), 2);
    }

    #[test]
    fn a_collector_that_is_not_there_costs_nothing() {
        let runtime = Runtime::new().expect("a runtime");
        let _entered = runtime.enter();
        let nobody = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("an address");
        let traces = Traces::start(&format!("http://{nobody}/v1/traces"), 1.0).expect("it starts");
        for _ in 0..10_000 {
            traces.ended(&exchange(None));
        }
        traces.stop();
    }
}
