//! What there is: topics, partitions, and the one broker.

use std::{collections::BTreeMap, sync::Arc};

use axum::extract::State;
use serde::Serialize;
use serde_json::{Map, Value};
use takhin_core::{Cleanup, Refusal, TopicConfig, TopicName};

use crate::http::{
    error::ApiResult,
    guard::Caller,
    input::path::{PartitionPath, TopicPath},
    output::json,
    routes::App,
};

/// Its number among the brokers of a cluster, which has no other.
const BROKER: u32 = 0;

#[derive(Serialize)]
struct Topic<'a> {
    name: &'a TopicName,
    configs: BTreeMap<&'static str, String>,
    partitions: Vec<Partition>,
}

#[derive(Serialize)]
struct Partition {
    #[serde(rename = "partition")]
    number: usize,
    leader: u32,
    replicas: [Replica; 1],
}

#[derive(Serialize)]
struct Replica {
    broker: u32,
    leader: bool,
    in_sync: bool,
}

#[derive(Serialize)]
struct Brokers {
    brokers: [u32; 1],
}

#[derive(Serialize)]
struct Offsets {
    beginning_offset: u64,
    end_offset: u64,
}

pub(super) async fn root() -> ApiResult {
    json(&Map::<String, Value>::new())
}

pub(super) async fn brokers() -> ApiResult {
    json(&Brokers { brokers: [BROKER] })
}

pub(super) async fn topics(State(app): State<Arc<App>>, caller: Caller) -> ApiResult {
    let topics = app.topics(&caller).await?;
    json(&topics.iter().map(|topic| &topic.name).collect::<Vec<_>>())
}

pub(super) async fn topic(State(app): State<Arc<App>>, TopicPath(name): TopicPath) -> ApiResult {
    let topic = app.describe_topic(name).await?;
    let partitions = (0..topic.partitions.len()).map(Partition::new).collect();
    json(&Topic { name: &topic.name, configs: configs(&topic.config), partitions })
}

pub(super) async fn partitions(State(app): State<Arc<App>>, TopicPath(name): TopicPath) -> ApiResult {
    let topic = app.describe_topic(name).await?;
    json(&(0..topic.partitions.len()).map(Partition::new).collect::<Vec<_>>())
}

pub(super) async fn partition(State(app): State<Arc<App>>, PartitionPath(name, partition): PartitionPath) -> ApiResult {
    let partitions = app.describe_topic(name.clone()).await?.partitions.len();
    let number = partition as usize;
    if number >= partitions {
        let partitions = u32::try_from(partitions).unwrap_or(u32::MAX);
        return Err(Refusal::PartitionNotFound { topic: name, partition, partitions }.into());
    }
    json(&Partition::new(number))
}

pub(super) async fn offsets(State(app): State<Arc<App>>, PartitionPath(topic, partition): PartitionPath) -> ApiResult {
    let bounds = app.broker.bounds(&topic, partition).await?;
    json(&Offsets { beginning_offset: bounds.start.0, end_offset: bounds.end.0 })
}

impl Partition {
    fn new(number: usize) -> Self {
        Self { number, leader: BROKER, replicas: [Replica { broker: BROKER, leader: true, in_sync: true }] }
    }
}

/// A topic's settings under Kafka's names.
fn configs(config: &TopicConfig) -> BTreeMap<&'static str, String> {
    let cleanup = match config.cleanup {
        Cleanup::Delete => "delete",
        Cleanup::Compact => "compact",
        Cleanup::Both => "compact,delete",
    };
    BTreeMap::from([
        ("retention.ms", config.retention_ms.to_string()),
        ("retention.bytes", config.retention_bytes.to_string()),
        ("segment.bytes", config.segment_bytes.to_string()),
        ("segment.ms", config.segment_ms.to_string()),
        ("max.message.bytes", config.max_message_bytes.to_string()),
        ("cleanup.policy", cleanup.to_owned()),
        ("min.compaction.lag.ms", config.min_compaction_lag_ms.to_string()),
        ("delete.retention.ms", config.delete_retention_ms.to_string()),
        ("compression.type", compression(config)),
    ])
}

fn compression(config: &TopicConfig) -> String {
    use takhin_core::Compression::{Gzip, Lz4, None, Snappy, Zstd};
    let name = match config.compression {
        None => "uncompressed",
        Gzip => "gzip",
        Snappy => "snappy",
        Lz4 => "lz4",
        Zstd => "zstd",
    };
    name.to_owned()
}
