//! Settings of a node of a cluster, whose records and groups are in Kafka.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, ValueEnum, builder::RangedU64ValueParser};
use takhin_core::TopicName;

/// Something is to be left for the names of topics, of which Kafka takes 249 bytes.
const MAX_TOPIC_PREFIX_BYTES: usize = 100;

#[derive(Debug, Args)]
#[command(next_help_heading = "A cluster on Kafka")]
pub(in crate::cli) struct ClusterSettings {
    /// Where records and groups are kept: in the data directory of this one server (local), or in a Kafka cluster, for any
    /// number of servers that are one broker (kafka)
    #[arg(long, env = "TAKHIN_ENGINE", default_value = "local", value_name = "local|kafka")]
    pub(in crate::cli) engine: EngineKind,

    /// The Kafka brokers to begin with, as in a:9092,b:9092; for the engine kafka
    #[arg(long, env = "TAKHIN_BROKERS", value_name = "HOST:PORT,...")]
    brokers: Option<String>,

    /// File with properties that are passed on to librdkafka, each on a line: its name, = and its value
    #[arg(long, env = "TAKHIN_KAFKA_PROPERTIES", value_name = "FILE")]
    kafka_properties: Option<PathBuf>,

    /// What the names of the topics begin with in which the cluster keeps what it knows of groups. It begins with __, as
    /// the names of all topics do that no client sees. Clusters with different ones can share a Kafka
    #[arg(long, env = "TAKHIN_CLUSTER_PREFIX", default_value = "__takhin.", value_name = "PREFIX")]
    cluster_prefix: String,

    /// What is put before the names of clients' topics in Kafka, as in shop.: the topic orders is shop.orders there, and only
    /// topics that begin with it are seen. It is the same for all nodes, and can't be changed once the cluster is made
    #[arg(long, env = "TAKHIN_TOPIC_PREFIX", value_name = "PREFIX")]
    topic_prefix: Option<String>,

    /// Over how many cells groups are spread, when the cluster is made. It can't be changed later
    #[arg(
        long,
        env = "TAKHIN_CELLS",
        default_value_t = 64,
        value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..=4_096)
    )]
    cells: u32,

    /// On how many brokers the topics are kept that this cluster makes; else as Kafka is set
    #[arg(
        long,
        env = "TAKHIN_REPLICATION",
        value_name = "N",
        value_parser = clap::value_parser!(u16).range(1..=15)
    )]
    replication: Option<u16>,

    /// Where other nodes of the cluster are answered. Not for clients
    #[arg(long, env = "TAKHIN_NODE_LISTEN", default_value = "127.0.0.1:0", value_name = "ADDR")]
    pub(in crate::cli) node_listen: SocketAddr,

    /// Where other nodes reach this one: an http URL with a port. If there is none, the address that it listens to
    #[arg(long, env = "TAKHIN_NODE_ADDRESS", value_name = "URL")]
    node_address: Option<String>,

    /// For how long a node may answer for a cell after it sent what Kafka acknowledged last. Another node takes over from
    /// one that shows itself for as long no longer
    #[arg(
        long,
        env = "TAKHIN_CELL_LEASE_MS",
        default_value_t = 2_000,
        value_name = "MS",
        value_parser = clap::value_parser!(u64).range(500..=60_000)
    )]
    cell_lease_ms: u64,

    /// After how long without a sign of life Kafka takes a node for dead. It has bounds of its own for this, too
    #[arg(
        long,
        env = "TAKHIN_NODE_TIMEOUT_MS",
        default_value_t = 6_000,
        value_name = "MS",
        value_parser = clap::value_parser!(u64).range(1_000..=300_000)
    )]
    node_timeout_ms: u64,

    /// How long Kafka may take for an answer before a request fails
    #[arg(
        long,
        env = "TAKHIN_KAFKA_TIMEOUT_MS",
        default_value_t = 10_000,
        value_name = "MS",
        value_parser = clap::value_parser!(u64).range(1_000..=300_000)
    )]
    kafka_timeout_ms: u64,

    /// How much of the latest records of partitions is kept in memory that somebody here waits for
    #[arg(
        long,
        env = "TAKHIN_KAFKA_CACHE_BYTES",
        default_value_t = 64 << 20,
        value_name = "BYTES",
        value_parser = RangedU64ValueParser::<usize>::new().range(1 << 20..=64 << 30)
    )]
    kafka_cache_bytes: usize,
}

/// Where records and groups are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum EngineKind {
    /// In the data directory.
    Local,
    /// In a Kafka cluster.
    Kafka,
}

impl ClusterSettings {
    pub(super) fn conflicts(&self) -> Vec<String> {
        let mut conflicts = Vec::new();
        let kafka = self.engine == EngineKind::Kafka;
        if kafka && self.brokers.is_none() {
            conflicts.push("engine is kafka, and brokers are not set".to_owned());
        }
        if !kafka && self.brokers.is_some() {
            conflicts.push("brokers are set, and engine is local".to_owned());
        }
        if kafka && !cfg!(feature = "kafka") {
            conflicts.push("engine is kafka, and this program was built without it (feature kafka)".to_owned());
        }
        if kafka && self.node_listen.ip().is_unspecified() && self.node_address.is_none() {
            let listen = self.node_listen;
            conflicts.push(format!("node-listen is {listen}, which is no address to be reached at: set node-address"));
        }
        if !self.cluster_prefix.starts_with("__") {
            conflicts.push(format!("cluster-prefix is {}, and is to begin with __", self.cluster_prefix));
        }
        conflicts.extend(self.wrong_with_topic_prefix());
        if kafka && self.cell_lease_ms >= self.node_timeout_ms {
            let (lease, timeout) = (self.cell_lease_ms, self.node_timeout_ms);
            conflicts.push(format!("cell-lease-ms is {lease}, and is to be less than node-timeout-ms, {timeout}"));
        }
        conflicts
    }

    fn wrong_with_topic_prefix(&self) -> Option<String> {
        let prefix = self.topic_prefix.as_ref().filter(|prefix| !prefix.is_empty())?;
        let wrong = if self.engine == EngineKind::Local {
            "is set, and engine is local".to_owned()
        } else if prefix.starts_with("__") {
            format!("is {prefix}: topics that begin with __ are hidden")
        } else if prefix.len() > MAX_TOPIC_PREFIX_BYTES {
            format!("has {} bytes, and {MAX_TOPIC_PREFIX_BYTES} is the most", prefix.len())
        } else {
            // With a letter behind it, it is a name.
            let error = TopicName::new(&format!("{prefix}t")).err()?;
            format!("is {prefix:?}: {error}")
        };
        Some(format!("topic-prefix {wrong}"))
    }
}

#[cfg(feature = "kafka")]
pub(in crate::cli) use node::properties;

#[cfg(feature = "kafka")]
mod node {
    use std::{fs, path::Path, time::Duration};

    use takhin::{cluster::ClusterConfig, engine::kafka::KafkaConfig};
    use takhin_core::Config;

    use super::ClusterSettings;

    impl ClusterSettings {
        /// What a node is started with that other nodes reach at `listening`, if it has no other address.
        pub(in crate::cli) fn config(
            &self,
            core: Config,
            listening: std::net::SocketAddr,
            snapshot_bytes: u64,
            flight_steps: usize,
            audit: Option<std::path::PathBuf>,
        ) -> Result<ClusterConfig, String> {
            let kafka = KafkaConfig {
                brokers: self.brokers.clone().unwrap_or_default(),
                properties: properties(self.kafka_properties.as_deref())?,
                topic_prefix: self.topic_prefix.clone().unwrap_or_default(),
                own_topics: self.cluster_prefix.clone(),
                cache_bytes: self.kafka_cache_bytes,
                replication: self.replication,
                timeout: Duration::from_millis(self.kafka_timeout_ms),
            };
            Ok(ClusterConfig {
                core,
                kafka,
                cells: self.cells,
                address: self.node_address.clone().unwrap_or_else(|| format!("http://{listening}")),
                lease: Duration::from_millis(self.cell_lease_ms),
                session_timeout: Duration::from_millis(self.node_timeout_ms),
                snapshot_bytes,
                flight_steps,
                audit,
            })
        }
    }

    /// The properties in the file, if there is one.
    pub(in crate::cli) fn properties(path: Option<&Path>) -> Result<Vec<(String, String)>, String> {
        let Some(path) = path else { return Ok(Vec::new()) };
        let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let lines = (1..).zip(text.lines().map(str::trim));
        let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
        let property = |(number, line): (usize, &str)| {
            let (key, value) = line
                .split_once('=')
                .ok_or_else(|| format!("{}:{number}: expected a key, = and a value", path.display()))?;
            Ok((key.trim().to_owned(), value.trim().to_owned()))
        };
        lines.map(property).collect()
    }
}
