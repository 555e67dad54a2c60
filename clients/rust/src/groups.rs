//! Groups as the server describes them, and where their offsets can be set to.

use serde::{Deserialize, Serialize};

use crate::{PartitionOffset, TopicPartition, partitions::PartitionLists};

/// A group in the list of all.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct GroupSummary {
    /// Its name.
    pub group_id: String,
    /// What it is doing.
    pub state: GroupState,
    /// How often it was assigned anew.
    pub generation: u64,
    /// How many members it has.
    pub members: usize,
}

/// What a group is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GroupState {
    /// Nobody is in it.
    Empty,
    /// A partition is being handed over.
    Reconciling,
    /// Everybody has what it shall have.
    Stable,
}

/// A group.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Group {
    /// Its name.
    pub group_id: String,
    /// What it is doing.
    pub state: GroupState,
    /// How often it was assigned anew.
    pub generation: u64,
    /// How its partitions are shared.
    pub assignor: String,
    /// The consumers that share its partitions.
    pub members: Vec<GroupMember>,
    /// The consumers that took partitions by hand.
    #[serde(default)]
    pub manual: Vec<GroupMember>,
    /// What is committed and owned.
    pub partitions: Vec<GroupPartition>,
}

/// A consumer of a group.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct GroupMember {
    /// The id under which the server has it.
    pub consumer_id: String,
    /// What it calls itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// Which of the group's workers it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_id: Option<String>,
    /// What it has, by topic.
    pub assignment: PartitionLists,
}

/// A partition as a group has it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct GroupPartition {
    /// Which it is.
    #[serde(flatten)]
    pub partition: TopicPartition,
    /// The next offset to read; None if nothing is committed.
    pub committed: Option<u64>,
    /// What was remembered with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<String>,
    /// The offset of the log's first record.
    pub start: u64,
    /// The offset of the log's next record.
    pub end: u64,
    /// How many records are not committed.
    pub lag: Option<u64>,
    /// The age of the next record, in milliseconds.
    pub lag_ms: Option<u64>,
    /// The consumer that has it.
    pub owner: Option<String>,
}

/// Where a group's offsets are set to.
#[derive(Clone, Debug)]
pub enum ResetTarget {
    /// The start of each log.
    Earliest,
    /// The end of each log.
    Latest,
    /// This offset.
    Offset(u64),
    /// So many records on from the committed offset, within the log.
    By(i64),
    /// The first record that is not older than this time, in milliseconds since the epoch.
    TimestampMs(u64),
    /// These.
    Offsets(Vec<PartitionOffset>),
}

/// What became of the committed offset of a partition, or would.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct OffsetReset {
    /// Which partition.
    #[serde(flatten)]
    pub partition: TopicPartition,
    /// What was committed.
    pub before: Option<u64>,
    /// What is committed now.
    pub after: Option<u64>,
}
