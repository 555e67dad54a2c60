//! The answers of `/api/consumer-groups`.

use serde::Serialize;
use takhin_core::{
    Assignor, ConsumerId, Date, GroupName, Offset, TopicName,
    fact::RebalanceReason,
    response::{GroupDescription, GroupPartition, GroupState, GroupSummary, OffsetChange},
};

use super::consumers::ConsumerView;

/// `GET /api/consumer-groups`.
#[derive(Debug, Serialize)]
pub(crate) struct Groups<'a> {
    groups: Vec<Summary<'a>>,
}

#[derive(Debug, Serialize)]
struct Summary<'a> {
    group_id: &'a GroupName,
    state: GroupState,
    generation: u64,
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

/// `GET /api/consumer-groups/{group}`.
#[derive(Debug, Serialize)]
pub(crate) struct GroupView<'a> {
    group_id: &'a GroupName,
    state: GroupState,
    generation: u64,
    assignor: Assignor,
    last_rebalance: Option<&'a RebalanceReason>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_rebalance_at: Option<Date>,
    #[serde(skip_serializing_if = "Option::is_none")]
    empty_since: Option<Date>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<Date>,
    members: Vec<ConsumerView<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    manual: Vec<ConsumerView<'a>>,
    partitions: Vec<Progress<'a>>,
}

/// How far the group is in one partition; null where nothing was committed or nobody owns it.
#[derive(Debug, Serialize)]
struct Progress<'a> {
    topic: &'a TopicName,
    partition: u32,
    committed: Option<Offset>,
    #[serde(skip_serializing_if = "Option::is_none")]
    metadata: Option<&'a str>,
    start: Offset,
    end: Offset,
    lag: Option<u64>,
    lag_ms: Option<u64>,
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
#[derive(Debug, Serialize)]
pub(crate) struct OffsetChanges<'a> {
    group_id: &'a GroupName,
    dry_run: bool,
    offsets: &'a [OffsetChange],
}

impl<'a> OffsetChanges<'a> {
    pub(crate) fn new(group_id: &'a GroupName, dry_run: bool, offsets: &'a [OffsetChange]) -> Self {
        Self { group_id, dry_run, offsets }
    }
}

/// `DELETE /{group}`.
#[derive(Debug, Serialize)]
pub(crate) struct Deleted<'a> {
    group_id: &'a GroupName,
    message: &'static str,
}

impl<'a> Deleted<'a> {
    pub(crate) fn new(group_id: &'a GroupName) -> Self {
        Self { group_id, message: "consumer group deleted" }
    }
}
