//! Settings of a node of a cluster, whose records and groups are in Kafka.

use std::net::SocketAddr;

use clap::{Args, ValueEnum, builder::RangedU64ValueParser};

use super::kafka::KafkaSettings;

#[derive(Debug, Args)]
#[command(next_help_heading = "A cluster on Kafka")]
pub(in crate::cli) struct ClusterSettings {
    /// Where records and groups are kept: in the data directory of this one server (local), or in a Kafka cluster, for any
    /// number of servers that are one broker (kafka)
    #[arg(long, env = "TAKHIN_ENGINE", default_value = "local", value_name = "local|kafka")]
    pub(in crate::cli) engine: EngineKind,

    #[command(flatten)]
    kafka: KafkaSettings,

    /// What the names of the topics begin with in which the cluster keeps what it knows of groups. It begins with __, as
    /// the names of all topics do that no client sees. Clusters with different ones can share a Kafka
    #[arg(long, env = "TAKHIN_CLUSTER_PREFIX", default_value = "__takhin.", value_name = "PREFIX")]
    cluster_prefix: String,

    /// Over how many cells groups are spread, when the cluster is made. It can't be changed later
    #[arg(
        long,
        env = "TAKHIN_CELLS",
        default_value_t = 64,
        value_name = "N",
        value_parser = clap::value_parser!(u32).range(1..=4_096)
    )]
    cells: u32,

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
        if kafka && !self.kafka.is_named() {
            conflicts.push("engine is kafka, and brokers are not set".to_owned());
        }
        if !kafka && self.kafka.is_named() {
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
        if !kafka && self.kafka.has_topic_prefix() {
            conflicts.push("topic-prefix is set, and engine is local".to_owned());
        }
        conflicts.extend(self.kafka.wrong_with_topic_prefix());
        if kafka && self.cell_lease_ms >= self.node_timeout_ms {
            let (lease, timeout) = (self.cell_lease_ms, self.node_timeout_ms);
            conflicts.push(format!("cell-lease-ms is {lease}, and is to be less than node-timeout-ms, {timeout}"));
        }
        conflicts
    }
}

#[cfg(feature = "kafka")]
mod node {
    use std::time::Duration;

    use takhin::cluster::ClusterConfig;
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
            let kafka = self.kafka.config(self.cluster_prefix.clone(), self.kafka_cache_bytes)?;
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
}
