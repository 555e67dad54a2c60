//! What the HTTP side counts: requests by route and outcome, how long they took, errors by code, connections.

use std::{fmt, sync::Arc, time::Duration};

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
    },
    registry::{Registry, Unit},
};

use super::room::Room;

/// The counters. Those of a route are looked up once a request.
#[derive(Debug)]
pub(super) struct HttpStats {
    routes: matchit::Router<Arc<RouteStats>>,
    unknown: Arc<RouteStats>,
    requests: Family<RouteAndStatus, Counter>,
    seconds: Family<Route, Histogram, fn() -> Histogram>,
    errors: Family<Code, Counter>,
    connections: Gauge,
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
struct RouteStats {
    seconds: Histogram,
    /// By the first digit of the status, from 1.
    statuses: [Counter; 5],
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    route: &'static str,
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
        let (requests, durations) = (Family::default(), Family::new_with_constructor(seconds as fn() -> Histogram));
        let counters = |route| Arc::new(RouteStats::new(route, &requests, &durations));
        let mut routes = matchit::Router::new();
        for template in templates {
            routes.insert(*template, counters(template)).expect("the router has the same routes");
        }
        let unknown = counters("unknown");
        Self { routes, unknown, requests, seconds: durations, errors: Family::default(), connections: Gauge::default() }
    }

    /// A request was answered.
    pub(super) fn answered(&self, path: &str, status: StatusCode, took: Duration) {
        let route = self.routes.at(path).map_or(&self.unknown, |found| found.value);
        route.seconds.observe(took.as_secs_f64());
        if let Some(counter) = usize::from(status.as_u16() / 100).checked_sub(1).and_then(|n| route.statuses.get(n)) {
            counter.inc();
        }
    }

    /// It was answered with an error.
    pub(super) fn erred(&self, code: &'static str) {
        self.errors.get_or_create(&Code { code }).inc();
    }

    /// A connection was accepted, and is open until what this gives is dropped.
    pub(super) fn connection_opened(&self) -> OpenConnection {
        self.connections.inc();
        OpenConnection(self.connections.clone())
    }

    /// Shows them under their names.
    pub(super) fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("http");
        registry.register("requests", "Requests answered, by route and class of status", self.requests.clone());
        registry.register("errors", "Requests answered with an error, by its code", self.errors.clone());
        registry.register("connections", "Connections that are open", self.connections.clone());
        let help = "From a request's head to its answer, the wait of a poll included";
        registry.register_with_unit("request_duration", help, Unit::Seconds, self.seconds.clone());
    }
}

impl RouteStats {
    fn new(
        route: &'static str,
        requests: &Family<RouteAndStatus, Counter>,
        seconds: &Family<Route, Histogram, fn() -> Histogram>,
    ) -> Self {
        let statuses = CLASSES.map(|status| requests.get_or_create(&RouteAndStatus { route, status }).clone());
        Self { seconds: seconds.get_or_create(&Route { route }).clone(), statuses }
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
