//! What was done, for people and programs.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use takhin_core::TopicDurability;

use super::{Migration, groups::GroupReport, state::Directory};

/// What was done, by this run and those before it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    /// Where it came from.
    pub data_dir: PathBuf,
    /// Where the files are that say which offset became which.
    pub state_dir: PathBuf,
    /// The id of the Kafka cluster that it went to.
    pub cluster: String,
    /// When it was finished, in milliseconds since 1970.
    pub finished_at_ms: i64,
    /// The topics, by name.
    pub topics: Vec<TopicReport>,
    /// The groups, by name; nothing if they were not asked for.
    pub groups: Option<Vec<GroupReport>>,
}

/// What was done about a topic.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TopicReport {
    /// Its name.
    pub topic: String,
    /// By number.
    pub partitions: Vec<PartitionReport>,
    /// The settings that it doesn't have in Kafka.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub settings_left: Vec<String>,
}

/// What was done about a partition.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PartitionReport {
    /// Its number.
    pub partition: u32,
    /// The first offset of the source.
    pub start: u64,
    /// The offset behind the last of the source.
    pub end: u64,
    /// How many records were copied: they have the offsets from 0 up to here.
    pub records: u64,
    /// What they took in the source, not compressed.
    pub bytes: u64,
    /// Whether each has the offset that it had.
    pub same_offsets: bool,
    /// Otherwise, the file in the directory of the migration that says which became which.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offsets: Option<String>,
    /// What was damaged in the source and is left out, from and up to before which offset.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub damaged: Vec<(u64, u64)>,
}

impl Report {
    /// How many records there are in Kafka, and what they took.
    pub fn records(&self) -> (u64, u64) {
        let partitions = self.topics.iter().flat_map(|topic| &topic.partitions);
        partitions.fold((0, 0), |(records, bytes), it| (records + it.records, bytes + it.bytes))
    }
}

impl Migration<'_> {
    pub(super) fn report(&self, groups: Option<Vec<GroupReport>>, finished_at_ms: i64) -> Report {
        let mut topics: Vec<TopicReport> = self.with_state(|state| {
            let topics = self.source.state.topics.iter().filter_map(|(id, record)| {
                let topic = &*record.name;
                let known = state.topics.get(topic)?;
                let partitions = (0..).zip(&known.partitions).map(|(partition, known)| {
                    let bounds = self.source.bounds(*id, partition);
                    let same_offsets = known.is_same();
                    PartitionReport {
                        partition,
                        start: bounds.start.0,
                        end: bounds.end.0,
                        records: known.end,
                        bytes: known.bytes,
                        same_offsets,
                        offsets: (!same_offsets).then(|| Directory::offsets_name(topic, partition as usize)),
                        damaged: known.damaged.clone(),
                    }
                });
                let left = (record.config.durability != TopicDurability::Server).then(|| "durability".to_owned());
                let settings_left = left.into_iter().collect();
                Some(TopicReport { topic: topic.to_owned(), partitions: partitions.collect(), settings_left })
            });
            topics.collect()
        });
        topics.sort_by(|one, other| one.topic.cmp(&other.topic));
        let (data_dir, state_dir) = (self.options.data_dir.clone(), self.options.state_dir.clone());
        let cluster = self.with_state(|state| state.cluster.clone());
        Report { data_dir, state_dir, cluster, finished_at_ms, topics, groups }
    }
}
