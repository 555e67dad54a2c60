//! What the HTTP side counts: requests by route and outcome, how long they took, errors by code, connections.

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

use axum::http::StatusCode;
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric},
    metrics::{
        MetricType,
        counter::Counter,
        family::Family,
        gauge::{ConstGauge, Gauge},
        histogram::Histogram,
        info::Info,
    },
    registry::{Registry, Unit},
};

use super::room::Room;

/// The counters.
#[derive(Debug)]
pub(super) struct HttpStats {
    routes: matchit::Router<Arc<RouteStats>>,
    unknown: Arc<RouteStats>,
    requests: Family<RouteAndStatus, Counter>,
    seconds: Family<RouteAndStatus, Histogram, fn() -> Histogram>,
    errors: Family<Code, Counter>,
    connections: Gauge,
    connections_accepted: Counter,
    connections_refused: Counter,
    handshakes_failed: Counter,
}

/// One connection that is open.
pub(super) struct OpenConnection(Gauge);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.dec();
    }
}

/// The counters of one route.
#[derive(Debug)]
pub(super) struct RouteStats {
    route: &'static str,
    /// By the first digit of the status, from 1.
    statuses: [Counter; 5],
    /// Likewise. One that nothing was measured with would be but many lines of zeros.
    seconds: [OnceLock<Histogram>; 5],
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteAndStatus {
    route: &'static str,
    status: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Code {
    code: &'static str,
}

const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// From an answer out of memory to a poll that waits for as long as it may.
fn seconds() -> Histogram {
    Histogram::new([0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0])
}

impl HttpStats {
    /// Counters for the routes of these templates, which must fit each other.
    pub(super) fn new(templates: &[&'static str]) -> Self {
        let requests = Family::default();
        let counters = |route| Arc::new(RouteStats::new(route, &requests));
        let mut routes = matchit::Router::new();
        for template in templates {
            routes.insert(*template, counters(template)).expect("the router has the same routes");
        }
        let unknown = counters("unknown");
        Self {
            routes,
            unknown,
            requests,
            seconds: Family::new_with_constructor(seconds as fn() -> Histogram),
            errors: Family::default(),
            connections: Gauge::default(),
            connections_accepted: Counter::default(),
            connections_refused: Counter::default(),
            handshakes_failed: Counter::default(),
        }
    }

    /// The template of the route that a path belongs to.
    pub(super) fn template(&self, path: &str) -> Option<&'static str> {
        self.routes.at(path).ok().map(|found| found.value.route)
    }

    /// What a path's requests are counted under.
    pub(super) fn route(&self, path: &str) -> &Arc<RouteStats> {
        self.routes.at(path).map_or(&self.unknown, |found| found.value)
    }

    /// A request was answered.
    pub(super) fn answered(&self, route: &RouteStats, status: StatusCode, took: Duration) {
        let Some(class) = usize::from(status.as_u16() / 100).checked_sub(1).filter(|class| *class < CLASSES.len())
        else {
            return;
        };
        route.statuses[class].inc();
        let label = || RouteAndStatus { route: route.route, status: CLASSES[class] };
        let seconds = route.seconds[class].get_or_init(|| self.seconds.get_or_create(&label()).clone());
        seconds.observe(took.as_secs_f64());
    }

    /// It was answered with an error.
    pub(super) fn erred(&self, code: &'static str) {
        self.errors.get_or_create(&Code { code }).inc();
    }

    /// A connection was accepted, if only to be told that it is one too many; it is open until what this gives is dropped.
    pub(super) fn connection_opened(&self, refused: bool) -> OpenConnection {
        if refused { &self.connections_refused } else { &self.connections_accepted }.inc();
        self.connections.inc();
        OpenConnection(self.connections.clone())
    }

    /// A client and the server did not come to speak TLS.
    pub(super) fn handshake_failed(&self) {
        self.handshakes_failed.inc();
    }

    /// Shows them under their names.
    pub(super) fn register(&self, registry: &mut Registry) {
        let version = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "Which version this is", version);
        let registry = registry.sub_registry_with_prefix("http");
        registry.register("requests", "Requests answered, by route and class of status", self.requests.clone());
        registry.register("errors", "Requests answered with an error, by its code", self.errors.clone());
        let help = "Connections that were given up since no TLS handshake was made";
        registry.register("tls_handshakes_failed", help, self.handshakes_failed.clone());
        registry.register("connections", "Connections that are open", self.connections.clone());
        let help = "Connections that were taken to be served";
        registry.register("connections_accepted", help, self.connections_accepted.clone());
        let help = "Connections that were one too many and told so";
        registry.register("connections_refused", help, self.connections_refused.clone());
        let help = "From a request's head to its answer, the wait of a poll included";
        registry.register_with_unit("request_duration", help, Unit::Seconds, self.seconds.clone());
    }
}

impl RouteStats {
    fn new(route: &'static str, requests: &Family<RouteAndStatus, Counter>) -> Self {
        let statuses = CLASSES.map(|status| requests.get_or_create(&RouteAndStatus { route, status }).clone());
        Self { route, statuses, seconds: [const { OnceLock::new() }; 5] }
    }
}

/// How much memory requests and answers take at the moment at which somebody looks.
#[derive(Debug)]
pub(super) struct RoomTaken {
    pub(super) bodies: Room,
    pub(super) answers: Room,
}

impl Collector for RoomTaken {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let gauges = [
            ("http_bodies_bytes", "Room that bodies of requests take, of those received or worked on.", &self.bodies),
            ("http_answers_bytes", "Room that answers take which their clients have not taken yet.", &self.answers),
        ];
        for (name, help, room) in gauges {
            let gauge = ConstGauge::new(i64::try_from(room.taken_bytes()).unwrap_or(i64::MAX));
            gauge.encode(encoder.encode_descriptor(name, help, None, MetricType::Gauge)?)?;
        }
        Ok(())
    }
}

/// Encodes all that is registered as Prometheus reads it.
pub(super) fn encode(registry: &Registry) -> Result<String, fmt::Error> {
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, registry)?;
    Ok(text)
}
