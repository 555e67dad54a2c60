//! What a node is started with.

use std::{path::PathBuf, time::Duration};

use takhin_core::Config;

use super::cells::CellsConfig;
use crate::engine::kafka::{KafkaConfig, Records};

/// What a node is started with.
#[derive(Clone, Debug)]
pub struct ClusterConfig {
    /// The bounds of each core.
    pub core: Config,
    /// Where Kafka is, and how it is spoken to.
    pub kafka: KafkaConfig,
    /// How many cells groups are spread over, if the cluster is made now; else it has what it was made with.
    pub cells: u32,
    /// Where other nodes reach this one, as in `http://10.0.0.1:9080`.
    pub address: String,
    /// For how long a node may answer for a cell after it sent what the cell's journal took last.
    pub lease: Duration,
    /// After how long without a sign of life a node's cells are offered to others.
    pub session_timeout: Duration,
    /// After this much was journaled for a cell, a snapshot is made.
    pub snapshot_bytes: u64,
    /// How many steps each core's flight recorder keeps.
    pub flight_steps: usize,
    /// Whether every step of a cell's core is judged by the simulator's auditor, and where it puts what it finds.
    pub audit: Option<PathBuf>,
}

impl ClusterConfig {
    pub(super) fn cells(&self) -> CellsConfig {
        CellsConfig {
            client: Records::client_config(&self.kafka),
            prefix: self.kafka.own_topics.clone(),
            topic_prefix: self.kafka.topic_prefix.clone(),
            cells: self.cells,
            replication: self.kafka.replication,
            address: self.address.clone(),
            lease: self.lease,
            session_timeout: self.session_timeout,
            snapshot_bytes: self.snapshot_bytes,
            timeout: self.kafka.timeout,
        }
    }
}
