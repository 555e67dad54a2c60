//! Every way in which a request can be refused. A refused request changed nothing, unless its refusal says so.

use alloc::string::String;

use serde::{Deserialize, Serialize};

use crate::{
    command::StorageError,
    ids::{BatchId, ConsumerId, Generation, GroupName, Offset, TopicName},
    pattern::TopicPattern,
    producers::ProducerId,
};

/// Why a request was refused, with what a caller needs to answer well.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// No topic has that name.
    #[error("there is no topic {topic:?}")]
    TopicNotFound {
        /// The name asked for.
        topic: TopicName,
    },
    /// A topic has that name already.
    #[error("there is a topic {topic:?} already")]
    TopicExists {
        /// The name asked for.
        topic: TopicName,
    },
    /// The topic has no such partition.
    #[error("topic {topic:?} has {partitions} partitions, numbered from 0, and so no partition {partition}")]
    PartitionNotFound {
        /// The topic.
        topic: TopicName,
        /// The number asked for.
        partition: u32,
        /// How many it has.
        partitions: u32,
    },
    /// Partitions can be added and not taken away.
    #[error("topic {topic:?} has {partitions} partitions; their number can only grow, and {asked} is not more")]
    PartitionsCanOnlyGrow {
        /// The topic.
        topic: TopicName,
        /// How many it has.
        partitions: u32,
        /// How many were asked for.
        asked: u32,
    },
    /// A bound of the broker is reached.
    #[error("there are {limit} {what} already, the most that this server allows")]
    TooMany {
        /// Of what.
        what: Bounded,
        /// The bound.
        limit: u32,
    },
    /// A number is outside its bounds.
    #[error("{field} is {value}, and must be from {min} to {max}")]
    OutOfRange {
        /// The field, as requests spell it.
        field: String,
        /// What it was.
        value: i64,
        /// The least it may be.
        min: i64,
        /// The most it may be.
        max: i64,
    },
    /// A pattern of topic names is none.
    #[error("topic_pattern can't be used: {problem}")]
    InvalidPattern {
        /// The pattern.
        pattern: TopicPattern,
        /// What is wrong with it.
        problem: String,
    },
    /// A list that needs an entry has none.
    #[error("{field} must not be empty")]
    Empty {
        /// The field, as requests spell it.
        field: String,
    },
    /// No group has that id.
    #[error("there is no consumer group {group:?}")]
    GroupNotFound {
        /// The id asked for.
        group: GroupName,
    },
    /// Somebody is in the group, who would not hear of the change.
    #[error("consumer group {group:?} has {consumers} consumers: close them first")]
    GroupActive {
        /// The group.
        group: GroupName,
        /// How many consumers it has, those with a manual assignment and those away included.
        consumers: u32,
    },
    /// No consumer has, or recently had, that id.
    #[error("there is no consumer {consumer}")]
    ConsumerNotFound {
        /// The id asked for.
        consumer: ConsumerId,
    },
    /// There is a consumer of that id already, and it was made with other parameters.
    #[error("there is a consumer {consumer} already, and it was subscribed with other parameters")]
    ConsumerExists {
        /// The id asked for.
        consumer: ConsumerId,
    },
    /// A consumer of that id was removed; subscribe with another.
    #[error("consumer {consumer} was removed: {reason}; subscribe with another consumer_id")]
    ConsumerEnded {
        /// The id asked for.
        consumer: ConsumerId,
        /// Why it was removed.
        reason: LeaveReason,
    },
    /// The consumer was removed before this call; subscribe again.
    #[error("consumer {consumer} was removed: {reason}; subscribe again")]
    ConsumerExpired {
        /// The consumer.
        consumer: ConsumerId,
        /// Why it was removed.
        reason: LeaveReason,
    },
    /// The consumer was removed while this call waited.
    #[error("consumer {consumer} was removed while this call waited: {reason}")]
    ConsumerGone {
        /// The consumer.
        consumer: ConsumerId,
        /// Why it was removed.
        reason: LeaveReason,
    },
    /// A newer poll of the same consumer took this one's place.
    #[error("a newer poll of consumer {consumer} took the place of this one")]
    PollSuperseded {
        /// The consumer.
        consumer: ConsumerId,
    },
    /// The reset policy is `none` and the group has no committed offset that still exists.
    #[error(
        "the group has no usable committed offset for {topic}/{partition}, and auto_offset_reset is none: seek first"
    )]
    NoCommittedOffset {
        /// The topic.
        topic: TopicName,
        /// The partition.
        partition: u32,
    },
    /// The group has no committed offset to go by.
    #[error("the group has committed nothing for {topic}/{partition}")]
    NothingCommitted {
        /// The topic.
        topic: TopicName,
        /// The partition.
        partition: u32,
    },
    /// The partition is not this consumer's.
    #[error("{topic}/{partition} is not assigned to this consumer")]
    PartitionNotAssigned {
        /// The topic.
        topic: TopicName,
        /// The partition.
        partition: u32,
    },
    /// The caller speaks from an assignment that is no more.
    #[error("generation {given} is over: this consumer is in generation {current}", given = given.0, current = current.0)]
    StaleGeneration {
        /// The generation that the caller named.
        given: Generation,
        /// The consumer's.
        current: Generation,
    },
    /// The caller names a generation that it has not been told.
    #[error("generation {given} is not known: what this consumer was last told is generation {current}", given = given.0, current = current.0)]
    GenerationUnknown {
        /// The generation that the caller named.
        given: Generation,
        /// The consumer's.
        current: Generation,
    },
    /// An offset is outside of the log.
    #[error("offset {offset} is outside of {topic}/{partition}, which goes from {start} to {end}", start = start.0, end = end.0)]
    OffsetOutOfRange {
        /// The topic.
        topic: TopicName,
        /// The partition.
        partition: u32,
        /// The offset asked for.
        offset: i64,
        /// The first that can be read.
        start: Offset,
        /// The next to be written.
        end: Offset,
    },
    /// The records before `earliest` were trimmed.
    #[error("offset {offset} of {topic}/{partition} was trimmed: the earliest is {earliest}", earliest = earliest.0)]
    OffsetTrimmed {
        /// The topic.
        topic: TopicName,
        /// The partition.
        partition: u32,
        /// The offset asked for.
        offset: i64,
        /// The first that can be read.
        earliest: Offset,
    },
    /// `after_batch` names neither the last batch nor the one before it.
    #[error("after_batch {given} is neither the last batch ({last}) nor the one before it ({previous}); \
             poll without it, or seek", given = given.0, last = last.0, previous = previous.0)]
    BatchUnknown {
        /// What the caller named.
        given: BatchId,
        /// The last one handed out.
        last: BatchId,
        /// The one before it.
        previous: BatchId,
    },
    /// A stored record can't be read; the records after it can.
    #[error("{topic}/{partition} is damaged at offset {offset}: seek to {next} to go on", offset = offset.0, next = next.0)]
    DataCorrupt {
        /// The topic.
        topic: TopicName,
        /// The partition.
        partition: u32,
        /// The first offset that can't be read.
        offset: Offset,
        /// The first after it that can.
        next: Offset,
    },
    /// The log does not end where the request expects it to.
    #[error("{topic}/{partition} ends at {end}, and not at {expected}", end = end.0, expected = expected.0)]
    OffsetMismatch {
        /// The topic.
        topic: TopicName,
        /// The partition.
        partition: u32,
        /// The end that the request expects.
        expected: Offset,
        /// The next offset to be written.
        end: Offset,
    },
    /// A producer's batch is neither its next one nor one of its last.
    #[error("the next sequence of producer {producer_id} in {topic}/{partition} is {expected}, and not {given}", producer_id = producer_id.0)]
    SequenceGap {
        /// The topic.
        topic: TopicName,
        /// The partition.
        partition: u32,
        /// The producer.
        producer_id: ProducerId,
        /// The sequence of the batch.
        given: u32,
        /// What comes next.
        expected: u32,
    },
    /// A producer of the same id has begun a newer epoch.
    #[error("producer {producer_id} is in epoch {current} of {topic}/{partition}: epoch {given} is over", producer_id = producer_id.0)]
    ProducerFenced {
        /// The topic.
        topic: TopicName,
        /// The partition.
        partition: u32,
        /// The producer.
        producer_id: ProducerId,
        /// The epoch of the batch.
        given: u16,
        /// The newest.
        current: u16,
    },
    /// The idempotency key came with another request before.
    #[error("the idempotency key was used for another request to {topic}/{partition}")]
    IdempotencyKeyReused {
        /// The topic.
        topic: TopicName,
        /// The partition.
        partition: u32,
    },
    /// Storage takes none of the records, now or later: they are not as it wants them. Nothing was appended.
    #[error("{topic}/{partition} takes none of these records: {reason}")]
    RecordsRefused {
        /// The topic.
        topic: TopicName,
        /// The partition.
        partition: u32,
        /// In storage's words.
        reason: String,
    },
    /// Storage can't take or give it now.
    #[error("storage is unavailable: {error}")]
    StorageUnavailable {
        /// Why.
        error: StorageError,
        /// Whether something of the request may have been applied all the same.
        applied: Applied,
    },
    /// The node that answers for a group, or for a consumer's, is no longer that of it, or not yet. Given by runtimes that
    /// share groups out among nodes.
    #[error("its group is moving from one node to another")]
    GroupMoving {
        /// Whether something of the request may have been applied all the same.
        applied: Applied,
    },
    /// What the engine below has no means for. Nothing was done. Given by runtimes.
    #[error("{what} can't be had with this engine")]
    Unsupported {
        /// What was asked for.
        what: String,
    },
    /// The server is stopping.
    #[error("the server is stopping")]
    ShuttingDown,
}

/// How much of a request that failed in storage was applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Applied {
    /// Nothing.
    Nothing,
    /// It was decided, and whether it will outlive a restart isn't known.
    Unknown,
}

/// What a core has a bounded number of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bounded {
    /// Topics.
    Topics,
    /// Partitions of one topic or of all.
    Partitions,
    /// Consumers.
    Consumers,
    /// Groups.
    Groups,
    /// Different patterns that consumers subscribe with.
    Patterns,
    /// Polls and reads that wait.
    ParkedPolls,
}

impl core::fmt::Display for Bounded {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Topics => "topics",
            Self::Partitions => "partitions",
            Self::Consumers => "consumers",
            Self::Groups => "consumer groups",
            Self::Patterns => "topic patterns",
            Self::ParkedPolls => "waiting polls",
        })
    }
}

/// Why a consumer is no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum LeaveReason {
    /// It said goodbye.
    Closed,
    /// Nothing was heard of it for its session timeout.
    SessionTimeout,
    /// It held on to a revoked partition for its rebalance timeout.
    RebalanceTimeout,
    /// Another consumer with its instance id took its place.
    Replaced,
    /// It did not poll for its greatest poll interval.
    PollInterval,
}

impl core::fmt::Display for LeaveReason {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Closed => "it was closed",
            Self::SessionTimeout => "its session timed out",
            Self::Replaced => "another consumer with its instance_id took its place",
            Self::PollInterval => "it did not poll for its max_poll_interval_ms",
            Self::RebalanceTimeout => "it kept a revoked partition for longer than its rebalance timeout",
        })
    }
}
