//! The answers of `/api/consumer-groups`.

use schemars::JsonSchema;
use serde::Serialize;
use takhin_core::{
    Assignor, ConsumerId, Date, GroupName, Offset, TopicName,
    fact::RebalanceReason,
    response::{GroupDescription, GroupPartition, GroupState, GroupSummary, OffsetChange},
};

use super::consumers::ConsumerView;

/// `GET /api/consumer-groups`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Groups<'a> {
    groups: Vec<Summary<'a>>,
}

/// A group in a list.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "GroupSummary")]
struct Summary<'a> {
    /// Its id.
    group_id: &'a GroupName,
    /// What it is doing.
    state: GroupState,
    /// How often its assignment was decided.
    generation: u64,
    /// How many members it has.
    members: u32,
}

impl<'a> Groups<'a> {
    pub(crate) fn new(groups: &'a [GroupSummary]) -> Self {
        let summary = |group: &'a GroupSummary| Summary {
            group_id: &group.group,
            state: group.state,
            generation: group.generation.0,
            members: group.members,
        };
        Self { groups: groups.iter().map(summary).collect() }
    }
}

/// A group: who is in it, and how far it is.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Group")]
pub(crate) struct GroupView<'a> {
    /// Its id.
    group_id: &'a GroupName,
    /// What it is doing.
    state: GroupState,
    /// How often its assignment was decided.
    generation: u64,
    /// How its partitions are shared out.
    assignor: Assignor,
    /// Why its assignment was decided last.
    last_rebalance: Option<&'a RebalanceReason>,
    /// When its assignment was decided last.
    #[serde(skip_serializing_if = "Option::is_none")]
    last_rebalance_at: Option<Date>,
    /// Since when nobody is in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    empty_since: Option<Date>,
    /// When it will be forgotten.
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Date>,
    /// Its members.
    members: Vec<ConsumerView<'a>>,
    /// Its consumers that have their partitions by hand.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    manual: Vec<ConsumerView<'a>>,
    /// How far it is in each partition.
    partitions: Vec<Progress<'a>>,
}

/// How far the group is in one partition; null where nothing was committed or nobody owns it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "GroupProgress")]
struct Progress<'a> {
    /// The topic.
    topic: &'a TopicName,
    /// The partition.
    partition: u32,
    /// The committed offset.
    committed: Option<Offset>,
    /// What was remembered with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<&'a str>,
    /// Where the log starts.
    start: Offset,
    /// Where it ends.
    end: Offset,
    /// How many records come after the committed offset.
    lag: Option<u64>,
    /// How old the next record is.
    lag_ms: Option<u64>,
    /// The consumer that has it.
    owner: Option<ConsumerId>,
}

impl<'a> GroupView<'a> {
    /// With how old the next record of each partition is, in the partitions' order.
    pub(crate) fn new(group: &'a GroupDescription, ages: &[Option<u64>]) -> Self {
        let progress = |(at, lag_ms): (&'a GroupPartition, &Option<u64>)| Progress {
            topic: &at.topic,
            partition: at.partition,
            committed: at.committed,
            metadata: at.metadata.as_deref(),
            start: at.bounds.start,
            end: at.bounds.end,
            lag: at.committed.map(|committed| at.bounds.end.0.saturating_sub(committed.0)),
            lag_ms: *lag_ms,
            owner: at.owner,
        };
        Self {
            group_id: &group.group,
            state: group.state,
            generation: group.generation.0,
            assignor: group.assignor,
            last_rebalance: group.last_rebalance.as_ref(),
            last_rebalance_at: group.last_rebalance_at,
            empty_since: group.empty_since,
            expires_at: group.expires_at,
            manual: group.manual.iter().map(ConsumerView::new).collect(),
            members: group.members.iter().map(ConsumerView::new).collect(),
            partitions: group.partitions.iter().zip(ages).map(progress).collect(),
        }
    }
}

/// `PUT` and `DELETE /{group}/offsets`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct OffsetChanges<'a> {
    /// The group.
    group_id: &'a GroupName,
    /// Whether nothing was changed.
    dry_run: bool,
    /// What each committed offset was, and what it is.
    offsets: &'a [OffsetChange],
}

impl<'a> OffsetChanges<'a> {
    pub(crate) fn new(group_id: &'a GroupName, dry_run: bool, offsets: &'a [OffsetChange]) -> Self {
        Self { group_id, dry_run, offsets }
    }
}

/// `DELETE /{group}`.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "GroupDeleted")]
pub(crate) struct Deleted<'a> {
    group_id: &'a GroupName,
    message: &'static str,
}

impl<'a> Deleted<'a> {
    pub(crate) fn new(group_id: &'a GroupName) -> Self {
        Self { group_id, message: "consumer group deleted" }
    }
}
