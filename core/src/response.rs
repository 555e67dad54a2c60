//! What a request is answered with when it is not refused.

use alloc::{collections::BTreeSet, sync::Arc, vec::Vec};

use serde::{Deserialize, Serialize};

use crate::{
    command::{Parts, StorageError},
    config::{Assignor, ConsumerOptions, RecordFormat},
    fact::RebalanceReason,
    ids::{BatchId, ConsumerId, FetchId, Generation, GroupName, LogId, Offset, TopicId, TopicName},
    pattern::TopicPattern,
    time::Date,
    topic_config::TopicConfig,
};

/// The answer to a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Response {
    /// The topic was created, or got more partitions, or is described.
    Topic(TopicDescription),
    /// The topic is no more.
    TopicDeleted {
        /// Its name.
        name: TopicName,
    },
    /// All topics, by name.
    Topics(Vec<TopicDescription>),
    /// What became of each of the request's batches, in the request's order. At least one was appended.
    Produced(Parts<ProducedBatch>),
    /// What one partition has from an offset on.
    Read(ReadResult),
    /// A poll's answer.
    Consumed(Consumed),
    /// The consumer was created, or described, or its assignment or positions changed.
    Consumer(ConsumerDescription),
    /// What was committed, or is committed.
    Committed(Parts<CommittedPartition>),
    /// The consumer is no more.
    Closed {
        /// Its id.
        consumer: ConsumerId,
    },
    /// All groups, by id.
    Groups(Vec<GroupSummary>),
    /// One group.
    Group(GroupDescription),
    /// A group's offsets were set or deleted, or would be.
    OffsetsSet {
        /// The group.
        group: GroupName,
        /// Whether nothing was done.
        dry_run: bool,
        /// What changed, by partition.
        changes: Vec<OffsetChange>,
    },
    /// A group is no more.
    GroupDeleted {
        /// Its id.
        group: GroupName,
    },
}

/// A topic as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicDescription {
    /// This life of the name.
    pub id: TopicId,
    /// Its name.
    pub name: TopicName,
    /// Each partition's bounds, in order.
    pub partitions: Vec<Bounds>,
    /// How its logs are kept.
    #[serde(default, skip_serializing_if = "TopicConfig::is_default")]
    pub config: TopicConfig,
}

/// What can be read of a log: `start <= offset < end`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounds {
    /// The first offset that can be read.
    pub start: Offset,
    /// The next offset to be written.
    pub end: Offset,
}

/// What became of one batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProducedBatch {
    /// The partition.
    pub partition: u32,
    /// How many records.
    pub records: u32,
    /// The first record's offset, or why the batch was not appended.
    pub result: Result<Offset, StorageError>,
    /// Whether it had been appended by an earlier request.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub duplicate: bool,
    /// Each record's offset, where they do not lie one behind the other; else there are none. Filled in by runtimes whose
    /// logs others write to as well.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scattered: Vec<Offset>,
}

/// What a read found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadResult {
    /// The log.
    pub log: LogId,
    /// Under which id the runtime keeps what was read; [`None`] if nothing was.
    pub fetch: Option<FetchId>,
    /// The offset asked for.
    pub from: Offset,
    /// The offset to ask for next.
    pub next: Offset,
    /// The log's bounds.
    pub bounds: Bounds,
}

/// What a poll brings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consumed {
    /// Whose poll.
    pub consumer: ConsumerId,
    /// Names this response; the same as the last one's if this tells nothing new.
    pub batch: BatchId,
    /// The consumer's generation.
    pub generation: Generation,
    /// Under which id the runtime keeps the records; [`None`] if there are none.
    pub fetch: Option<FetchId>,
    /// Which of the fetched records are delivered.
    pub parts: Parts<DeliveredPart>,
    /// What changed in the assignment since it was last told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rebalance: Option<AssignmentChange>,
    /// Where the consumer now stands in each of its partitions.
    pub positions: Parts<PartitionStatus>,
    /// How the consumer wants its records written.
    #[serde(default, skip_serializing_if = "RecordFormat::is_text")]
    pub format: RecordFormat,
}

/// The records `from <= offset < next` of one log, all delivered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliveredPart {
    /// The log.
    pub log: LogId,
    /// Its topic's name.
    pub topic: TopicName,
    /// The first offset.
    pub from: Offset,
    /// The offset after the last.
    pub next: Offset,
    /// How many records.
    pub records: u32,
    /// Their size as stored.
    pub bytes: u32,
}

/// Partitions that came and went.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssignmentChange {
    /// Now to be consumed.
    pub assigned: BTreeSet<(TopicName, u32)>,
    /// No longer delivered; commit what was processed.
    pub revoked: BTreeSet<(TopicName, u32)>,
}

/// Where a consumer stands in one partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionStatus {
    /// The topic.
    pub topic: TopicName,
    /// The partition.
    pub partition: u32,
    /// The next offset to deliver; [`None`] if the reset policy `none` left it open.
    pub position: Option<Offset>,
    /// The log's end.
    pub end: Offset,
    /// Whether it is being given up.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub revoking: bool,
    /// Whether the consumer wants none of it for now.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub paused: bool,
}

/// A consumer as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsumerDescription {
    /// Its id.
    pub consumer: ConsumerId,
    /// Its group.
    pub group: GroupName,
    /// What it subscribes to, in the order in which it said so, or what matches its pattern now; empty with a manual
    /// assignment.
    pub topics: Vec<TopicName>,
    /// The pattern that it subscribes with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<TopicPattern>,
    /// Whether it said goodbye, and its place is kept for its next life.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub away: bool,
    /// Whether its partitions were taken by hand.
    pub manual: bool,
    /// How it is treated.
    pub options: ConsumerOptions,
    /// Its generation.
    pub generation: Generation,
    /// Its partitions.
    pub partitions: Vec<PartitionStatus>,
}

/// A committed offset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommittedPartition {
    /// The topic.
    pub topic: TopicName,
    /// The partition.
    pub partition: u32,
    /// The next offset to read; [`None`] if none was ever committed.
    pub offset: Option<Offset>,
    /// What a client wanted to remember with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Arc<str>>,
}

/// What a group is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum GroupState {
    /// It has no members.
    Empty,
    /// Some member still has to give up, or wait for, a partition.
    Reconciling,
    /// Every member has exactly its partitions.
    Stable,
}

/// A group in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupSummary {
    /// Its id.
    pub group: GroupName,
    /// What it is doing.
    pub state: GroupState,
    /// How often it was assigned.
    pub generation: Generation,
    /// How many members it has.
    pub members: u32,
}

/// A group as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupDescription {
    /// Its id.
    pub group: GroupName,
    /// What it is doing.
    pub state: GroupState,
    /// How often it was assigned.
    pub generation: Generation,
    /// How its partitions are shared out.
    #[serde(default)]
    pub assignor: Assignor,
    /// Why it was assigned last.
    pub last_rebalance: Option<RebalanceReason>,
    /// When that was, if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_rebalance_at: Option<Date>,
    /// Since when nobody is in it, if so and if it is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub empty_since: Option<Date>,
    /// When it will be forgotten, if nobody comes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<Date>,
    /// Its members.
    pub members: Vec<ConsumerDescription>,
    /// Those of its consumers that took partitions by hand.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub manual: Vec<ConsumerDescription>,
    /// Each partition with a committed offset or an owner, by topic and number.
    pub partitions: Vec<GroupPartition>,
}

/// A change of one committed offset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OffsetChange {
    /// The topic.
    pub topic: TopicName,
    /// The partition.
    pub partition: u32,
    /// What was committed; [`None`] if nothing was.
    pub before: Option<Offset>,
    /// What is; [`None`] if nothing is.
    pub after: Option<Offset>,
}

/// How far a group is in one partition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupPartition {
    /// The topic.
    pub topic: TopicName,
    /// The partition.
    pub partition: u32,
    /// The next offset to read; [`None`] if none was committed.
    pub committed: Option<Offset>,
    /// What a client wanted to remember with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Arc<str>>,
    /// The log's bounds.
    pub bounds: Bounds,
    /// Who is being delivered it.
    pub owner: Option<ConsumerId>,
}
