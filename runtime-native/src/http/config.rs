//! What the HTTP side is set to. Every buffer, queue and wait has its bound here.

use std::{sync::Arc, time::Duration};

use super::{account::Observer, client_address::TrustedProxies, cors::Cors};
use crate::{keys::KeyRing, limits::Limits};

use super::kafka_rest::KafkaRestConfig;

/// Bounds and habits of the HTTP server.
#[derive(Clone, Debug)]
pub struct HttpConfig {
    /// The keys, one of which every request needs then. [`None`]: everybody may do everything.
    pub keys: Option<Arc<KeyRing>>,
    /// What each address is held to that asks without a key.
    pub limits: Limits,
    /// Partitions of a topic that is created because somebody subscribed to it or produced to it. [`None`]: an
    /// unknown topic is an error.
    pub auto_create_partitions: Option<u32>,
    /// How clients of Kafka's REST proxies are served; [`None`]: not at all.
    pub kafka_rest: Option<KafkaRestConfig>,
    /// A request's body at most; a longer one is refused with 413.
    pub max_body_bytes: usize,
    /// A request's line and headers at most; longer ones are refused with 431.
    pub max_header_bytes: usize,
    /// How many headers a request may have; more are refused with 431.
    pub max_headers: usize,
    /// Records in one produce request at most; more are refused with 413.
    pub max_records_per_request: usize,
    /// Headers of one record at most; more are refused with 422.
    pub max_headers_per_record: usize,
    /// Connections at most. One more is answered 503 and closed.
    pub max_connections: usize,
    /// All request bodies that are being received or worked on together, at most. A request beyond it is answered
    /// 503. A poll that waits has let go of its body and does not count.
    pub max_bodies_bytes: usize,
    /// All answers with records that their clients have not taken yet, together, at most. A poll or read beyond it is
    /// answered 503, and what a poll would have brought stays where it was.
    pub max_answers_bytes: usize,
    /// How long a request's line and headers may take, from their first byte; then the connection is closed.
    pub header_timeout: Duration,
    /// How long a TLS handshake may take; then the connection is closed.
    pub tls_handshake_timeout: Duration,
    /// How long a body may take before it must have kept up [`HttpConfig::body_bytes_per_second`]; a slower one
    /// is answered 408.
    pub body_timeout: Duration,
    /// Each this many bytes received give a body another second.
    pub body_bytes_per_second: usize,
    /// How long a client may leave a response unread, counted from the last byte that it took; then the
    /// connection is closed.
    pub write_stall_timeout: Duration,
    /// How long a connection may stay open between two requests.
    pub idle_timeout: Duration,
    /// How long requests may go on after the server was told to stop; then their connections are cut.
    pub shutdown_grace: Duration,
    /// Whose pages a browser lets read answers. [`None`]: those that were served from here.
    pub cors: Option<Cors>,
    /// Which proxies are believed when they say who asks.
    pub trusted_proxies: TrustedProxies,
    /// When an append is answered where its topic doesn't say, in the words in which it is set. [`None`] where that is not for
    /// this server to say, as in a cluster.
    pub durability: Option<String>,
    /// Who is told of each request.
    pub observers: Arc<[Arc<dyn Observer>]>,
}

impl HttpConfig {
    /// Where the page is: at the root, unless the routes in Kafka's style are there.
    pub fn page_path(&self) -> &'static str {
        let root_is_taken = self.kafka_rest.as_ref().is_some_and(|facade| facade.prefix().is_empty());
        if root_is_taken { "/index.html" } else { "/" }
    }
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            keys: None,
            limits: Limits::default(),
            auto_create_partitions: None,
            kafka_rest: Some(KafkaRestConfig::default()),
            max_body_bytes: 16 << 20,
            max_header_bytes: 64 << 10,
            max_headers: 100,
            max_records_per_request: 100_000,
            max_headers_per_record: 100,
            max_connections: 100_000,
            max_bodies_bytes: 512 << 20,
            max_answers_bytes: 512 << 20,
            header_timeout: Duration::from_secs(10),
            tls_handshake_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(30),
            body_bytes_per_second: 64 << 10,
            write_stall_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_mins(5),
            shutdown_grace: Duration::from_secs(4),
            cors: None,
            trusted_proxies: TrustedProxies::default(),
            durability: Some("fsync".to_owned()),
            observers: Arc::new([]),
        }
    }
}
