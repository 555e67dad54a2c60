//! The answers of `/api/consumers`.

use std::borrow::Cow;

use schemars::JsonSchema;
use serde::Serialize;
use takhin_core::{
    Assignor, ClientId, ConsumerId, GroupName, InstanceId, OffsetReset, RecordFormat, TopicName, TopicPattern,
    response::{CommittedPartition, ConsumerDescription, PartitionStatus},
};

use super::by_topic::{ByTopic, Partitions};
use crate::http::input::duration::iso_8601;

/// A consumer: what it is, what it has, and where it is.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Consumer")]
pub(crate) struct ConsumerView<'a> {
    /// Its id.
    consumer_id: ConsumerId,
    /// Its group.
    group_id: &'a GroupName,
    /// What its client calls itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    client_id: Option<&'a ClientId>,
    /// Which of the group's workers it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    instance_id: Option<&'a InstanceId>,
    /// Whether it said goodbye, and its place is kept.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    away: bool,
    /// The topics that it subscribes to, or has by hand.
    topics: Vec<&'a TopicName>,
    /// The pattern that it subscribes with.
    #[serde(skip_serializing_if = "Option::is_none")]
    topic_pattern: Option<&'a TopicPattern>,
    /// Whether it has its partitions by hand.
    manual: bool,
    /// The partitions that it has.
    assignment: Partitions<'a>,
    /// The partitions that it is giving up.
    #[serde(skip_serializing_if = "Partitions::is_empty")]
    revoking: Partitions<'a>,
    /// The partitions that are paused.
    #[serde(skip_serializing_if = "Partitions::is_empty")]
    paused: Partitions<'a>,
    /// In which generation of its group its partitions last changed.
    generation: u64,
    /// The next offset of each partition; null where nothing says where to begin.
    positions: ByTopic<'a, Option<u64>>,
    /// How many records come after that; null where there is no position.
    lag: ByTopic<'a, Option<u64>>,
    /// How old the next record of each partition is: 0 where there is none, null where it can't be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    lag_ms: Option<ByTopic<'a, Option<u64>>>,
    /// Where it begins without a committed offset.
    auto_offset_reset: Cow<'static, str>,
    /// How long it may be silent.
    session_timeout_ms: u32,
    /// How long it may go without a poll.
    max_poll_interval_ms: u32,
    /// How long it may hold on to a partition that it was asked to give up.
    rebalance_timeout_ms: u32,
    /// Whether a poll commits what the polls before it delivered.
    auto_commit: bool,
    /// How much time lies between two such commits at least.
    auto_commit_interval_ms: u32,
    /// How it wants partitions to be shared out.
    assignor: Assignor,
    /// How it wants keys and values written.
    format: RecordFormat,
}

impl<'a> ConsumerView<'a> {
    pub(crate) fn new(consumer: &'a ConsumerDescription) -> Self {
        let options = &consumer.options;
        Self {
            consumer_id: consumer.consumer,
            group_id: &consumer.group,
            client_id: options.client_id.as_ref(),
            instance_id: options.instance_id.as_ref(),
            away: consumer.away,
            topics: topics(consumer),
            topic_pattern: consumer.pattern.as_ref(),
            manual: consumer.manual,
            assignment: assignment(&consumer.partitions),
            revoking: revoking(&consumer.partitions),
            paused: paused(&consumer.partitions),
            generation: consumer.generation.0,
            positions: positions(&consumer.partitions),
            lag: lag(&consumer.partitions),
            lag_ms: None,
            auto_offset_reset: offset_reset(options.auto_offset_reset),
            session_timeout_ms: options.session_timeout_ms,
            max_poll_interval_ms: options.max_poll_interval_ms,
            rebalance_timeout_ms: options.rebalance_timeout_ms,
            auto_commit: options.auto_commit,
            auto_commit_interval_ms: options.auto_commit_interval_ms,
            assignor: options.assignor,
            format: options.format,
        }
    }
}

impl<'a> ConsumerView<'a> {
    /// The same, with how old the next record of each partition is, in the partitions' order.
    pub(crate) fn with_lag_ms(self, consumer: &'a ConsumerDescription, ages: &[Option<u64>]) -> Self {
        let entry = |(status, age): (&'a PartitionStatus, &Option<u64>)| (&status.topic, status.partition, *age);
        Self { lag_ms: Some(ByTopic::new(consumer.partitions.iter().zip(ages).map(entry))), ..self }
    }
}

/// `GET /{id}/assignment`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Assignment")]
pub(crate) struct AssignmentView<'a> {
    assignment: Partitions<'a>,
    generation: u64,
    #[serde(skip_serializing_if = "Partitions::is_empty")]
    revoking: Partitions<'a>,
}

impl<'a> AssignmentView<'a> {
    pub(crate) fn new(consumer: &'a ConsumerDescription) -> Self {
        Self {
            assignment: assignment(&consumer.partitions),
            generation: consumer.generation.0,
            revoking: revoking(&consumer.partitions),
        }
    }
}

/// `GET /{id}/subscription`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Subscription<'a> {
    topics: Vec<&'a TopicName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    topic_pattern: Option<&'a TopicPattern>,
    manual: bool,
}

impl<'a> Subscription<'a> {
    pub(crate) fn new(consumer: &'a ConsumerDescription) -> Self {
        Self { topics: topics(consumer), topic_pattern: consumer.pattern.as_ref(), manual: consumer.manual }
    }
}

/// An offset for each partition; null where there is none yet.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Offsets<'a> {
    offsets: ByTopic<'a, Option<u64>>,
    #[serde(skip_serializing_if = "ByTopic::is_empty")]
    metadata: ByTopic<'a, &'a str>,
}

impl<'a> Offsets<'a> {
    pub(crate) fn of_positions(consumer: &'a ConsumerDescription) -> Self {
        Self { offsets: positions(&consumer.partitions), metadata: ByTopic::new(std::iter::empty()) }
    }

    pub(crate) fn of_committed(partitions: &'a [CommittedPartition]) -> Self {
        Self { offsets: committed(partitions), metadata: metadata(partitions) }
    }
}

/// Where the consumer is now.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Sought<'a> {
    success: bool,
    positions: ByTopic<'a, Option<u64>>,
}

impl<'a> Sought<'a> {
    pub(crate) fn new(consumer: &'a ConsumerDescription) -> Self {
        Self { success: true, positions: positions(&consumer.partitions) }
    }
}

/// What is paused now.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct PausedPartitions<'a> {
    success: bool,
    paused: Partitions<'a>,
}

impl<'a> PausedPartitions<'a> {
    pub(crate) fn new(consumer: &'a ConsumerDescription) -> Self {
        Self { success: true, paused: paused(&consumer.partitions) }
    }
}

/// What the group has committed now.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Committed")]
pub(crate) struct CommitDone<'a> {
    success: bool,
    message: &'static str,
    committed: ByTopic<'a, Option<u64>>,
    #[serde(skip_serializing_if = "ByTopic::is_empty")]
    metadata: ByTopic<'a, &'a str>,
}

impl<'a> CommitDone<'a> {
    pub(crate) fn new(partitions: &'a [CommittedPartition]) -> Self {
        Self {
            success: true,
            message: "offsets committed",
            committed: committed(partitions),
            metadata: metadata(partitions),
        }
    }
}

/// `POST /{id}/heartbeat`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Heartbeat {
    success: bool,
    generation: u64,
    session_timeout_ms: u32,
}

impl Heartbeat {
    pub(crate) fn new(consumer: &ConsumerDescription) -> Self {
        Self {
            success: true,
            generation: consumer.generation.0,
            session_timeout_ms: consumer.options.session_timeout_ms,
        }
    }
}

/// `DELETE /{id}`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Closed {
    success: bool,
    message: &'static str,
    consumer_id: ConsumerId,
}

impl Closed {
    pub(crate) fn new(consumer_id: ConsumerId) -> Self {
        Self { success: true, message: "consumer closed", consumer_id }
    }
}

/// As subscribe takes it.
fn offset_reset(reset: OffsetReset) -> Cow<'static, str> {
    match reset {
        OffsetReset::Earliest => "earliest".into(),
        OffsetReset::Latest => "latest".into(),
        OffsetReset::None => "none".into(),
        OffsetReset::ByDuration(ms) => format!("by_duration:{}", iso_8601(ms)).into(),
    }
}

fn topics(consumer: &ConsumerDescription) -> Vec<&TopicName> {
    consumer.topics.iter().collect()
}

fn assignment(partitions: &[PartitionStatus]) -> Partitions<'_> {
    let kept = partitions.iter().filter(|status| !status.revoking);
    Partitions::new(kept.map(|status| (&status.topic, status.partition)))
}

fn revoking(partitions: &[PartitionStatus]) -> Partitions<'_> {
    let leaving = partitions.iter().filter(|status| status.revoking);
    Partitions::new(leaving.map(|status| (&status.topic, status.partition)))
}

fn paused(partitions: &[PartitionStatus]) -> Partitions<'_> {
    let paused = partitions.iter().filter(|status| status.paused);
    Partitions::new(paused.map(|status| (&status.topic, status.partition)))
}

pub(super) fn positions(partitions: &[PartitionStatus]) -> ByTopic<'_, Option<u64>> {
    let position = |status: &PartitionStatus| status.position.map(|offset| offset.0);
    ByTopic::new(partitions.iter().map(move |status| (&status.topic, status.partition, position(status))))
}

pub(super) fn lag(partitions: &[PartitionStatus]) -> ByTopic<'_, Option<u64>> {
    let lag = |status: &PartitionStatus| status.position.map(|position| status.end.0.saturating_sub(position.0));
    ByTopic::new(partitions.iter().map(move |status| (&status.topic, status.partition, lag(status))))
}

fn metadata(partitions: &[CommittedPartition]) -> ByTopic<'_, &str> {
    ByTopic::new(partitions.iter().filter_map(|it| Some((&it.topic, it.partition, &**it.metadata.as_ref()?))))
}

fn committed(partitions: &[CommittedPartition]) -> ByTopic<'_, Option<u64>> {
    let offset = |committed: &CommittedPartition| committed.offset.map(|offset| offset.0);
    ByTopic::new(partitions.iter().map(move |entry| (&entry.topic, entry.partition, offset(entry))))
}
