//! Partitions and their offsets in v2's words: lists of `{"topic", "partition"}`.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use takhin_core::{TopicName, response::PartitionStatus};

use crate::http::{
    error::ApiResult,
    input::offsets::{bounded, partition_number, topic_name},
};

/// A body that names partitions.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Partitions {
    partitions: Vec<Partition>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Partition {
    topic: String,
    partition: i64,
}

/// A body that names offsets; null stands for none at all.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Offsets {
    /// Redpanda's clients call it `partitions`.
    #[serde(alias = "partitions")]
    pub(super) offsets: Option<Vec<PartitionOffset>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PartitionOffset {
    pub(super) topic: String,
    pub(super) partition: i64,
    pub(super) offset: i64,
    #[serde(default)]
    pub(super) metadata: Option<String>,
}

/// An answer that names partitions.
#[derive(Debug, Serialize)]
pub(super) struct PartitionsView<'a> {
    pub(super) partitions: Vec<PartitionView<'a>>,
}

#[derive(Debug, Serialize)]
pub(super) struct PartitionView<'a> {
    pub(super) topic: &'a TopicName,
    pub(super) partition: u32,
}

impl<'a> From<&'a PartitionStatus> for PartitionView<'a> {
    fn from(status: &'a PartitionStatus) -> Self {
        Self { topic: &status.topic, partition: status.partition }
    }
}

impl Partitions {
    /// The partitions, each once, with names and numbers checked.
    pub(super) fn check(self) -> ApiResult<Vec<(TopicName, u32)>> {
        let check = |(index, partition): (usize, Partition)| -> ApiResult<_> {
            let field = format!("partitions[{index}]");
            Ok((
                topic_name(&format!("{field}.topic"), &partition.topic)?,
                partition_number(&format!("{field}.partition"), partition.partition)?,
            ))
        };
        bounded("partitions", self.partitions.len())?;
        let mut seen = BTreeSet::new();
        let mut partitions = Vec::new();
        for partition in self.partitions.into_iter().enumerate().map(check) {
            let partition = partition?;
            if seen.insert(partition.clone()) {
                partitions.push(partition);
            }
        }
        Ok(partitions)
    }
}

impl PartitionOffset {
    /// Its partition, with name and number checked; it is entry `index` of its list.
    pub(super) fn log(&self, index: usize) -> ApiResult<(TopicName, u32)> {
        let field = format!("offsets[{index}]");
        Ok((
            topic_name(&format!("{field}.topic"), &self.topic)?,
            partition_number(&format!("{field}.partition"), self.partition)?,
        ))
    }
}
