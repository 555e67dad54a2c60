//! `/api/consumer-groups`.

use std::{collections::BTreeSet, sync::Arc};

use axum::extract::State;
use takhin_core::{
    GroupName, OffsetTarget, Refusal, Request, Response, SetOffset, TopicName,
    response::{GroupDescription, GroupPartition, GroupSummary},
};

use super::{App, mismatch};
use crate::{
    http::{
        error::{ApiError, ApiResult},
        guard::Caller,
        input::{
            body::Received,
            groups::{Forget, Reset, Where, Which},
            json::{object, object_or_nothing},
            path::{GroupPath, NoQuery},
        },
        output::{
            groups::{Deleted, GroupView, Groups, OffsetChanges},
            json,
        },
    },
    keys::{Right, Scope},
};

/// Those that whoever asks may read.
pub(super) async fn list(State(app): State<Arc<App>>, caller: Caller, _: NoQuery) -> ApiResult {
    let mut groups = app.groups().await?;
    groups.retain(|summary| caller.has(Scope::Groups, Right::Read, &summary.group));
    json(&Groups::new(&groups))
}

pub(super) async fn describe(State(app): State<Arc<App>>, GroupPath(group): GroupPath, _: NoQuery) -> ApiResult {
    let group = app.group(group).await?;
    let unread = |at: &GroupPartition| {
        let next = at.committed.map(|committed| committed.max(at.bounds.start));
        (at.topic.clone(), at.partition, next, at.bounds.end)
    };
    let ages = app.ages(group.partitions.iter().map(unread).collect()).await;
    json(&GroupView::new(&group, &ages))
}

pub(super) async fn delete(State(app): State<Arc<App>>, GroupPath(group): GroupPath, _: NoQuery) -> ApiResult {
    match app.broker.ask(Request::DeleteGroup { group }).await?.response {
        Response::GroupDeleted { group } => json(&Deleted::new(&group)),
        other => Err(mismatch(&other)),
    }
}

pub(super) async fn set_offsets(
    State(app): State<Arc<App>>,
    caller: Caller,
    GroupPath(group): GroupPath,
    _: NoQuery,
    body: Received,
) -> ApiResult {
    let (wanted, dry_run) = object::<Reset>(&body.bytes)?.check()?;
    // The answer tells where each log ends, or what stands at a time.
    let may_read = |topic: &TopicName| caller.may(Scope::Topics, Right::Read, topic);
    let offsets = match wanted {
        Where::Given(offsets) => {
            offsets.iter().try_for_each(|to| may_read(&to.topic))?;
            offsets
        }
        Where::Each(which, to) => {
            let partitions = app.which(&group, which, may_read).await?.into_iter();
            partitions.map(|(topic, partition)| SetOffset { topic, partition, to, metadata: None }).collect()
        }
        Where::Time(which, timestamp_ms) => {
            let mut offsets = Vec::new();
            for (topic, partition) in app.which(&group, which, may_read).await? {
                let to = OffsetTarget::Offset(app.offset_at(&topic, partition, timestamp_ms).await?);
                offsets.push(SetOffset { topic, partition, to, metadata: None });
            }
            offsets
        }
    };
    app.change_offsets(Request::SetOffsets { group, offsets, dry_run }).await
}

pub(super) async fn delete_offsets(
    State(app): State<Arc<App>>,
    GroupPath(group): GroupPath,
    _: NoQuery,
    body: Received,
) -> ApiResult {
    let which = object_or_nothing::<Forget>(&body.bytes)?.check()?;
    let partitions = app.which(&group, which, |_| Ok(())).await?;
    app.change_offsets(Request::DeleteOffsets { group, partitions }).await
}

impl App {
    pub(in crate::http) async fn groups(&self) -> Result<Vec<GroupSummary>, ApiError> {
        match self.broker.ask(Request::ListGroups).await?.response {
            Response::Groups(groups) => Ok(groups),
            other => Err(mismatch(&other)),
        }
    }

    pub(in crate::http) async fn group(&self, group: GroupName) -> Result<GroupDescription, ApiError> {
        match self.broker.ask(Request::DescribeGroup { group }).await?.response {
            Response::Group(group) => Ok(group),
            other => Err(mismatch(&other)),
        }
    }

    /// The partitions meant, if whoever asks `may` have their topics.
    async fn which(
        &self,
        group: &GroupName,
        which: Which,
        may: impl Fn(&TopicName) -> ApiResult<()>,
    ) -> Result<Vec<(TopicName, u32)>, ApiError> {
        match which {
            Which::Partitions(partitions) => {
                partitions.iter().try_for_each(|(topic, _)| may(topic))?;
                Ok(partitions)
            }
            Which::Topics(topics) => {
                let mut partitions = Vec::new();
                for topic in topics.into_iter().collect::<BTreeSet<_>>() {
                    may(&topic)?;
                    let found = self.broker.topic(&topic).await?;
                    let view = found.ok_or_else(|| Refusal::TopicNotFound { topic: topic.clone() })?;
                    partitions.extend((0..view.partitions).map(|partition| (topic.clone(), partition)));
                }
                Ok(partitions)
            }
            Which::Committed => {
                let found = self.group(group.clone()).await?;
                let committed = found.partitions.into_iter().filter(|at| at.committed.is_some());
                committed.map(|at| may(&at.topic).map(|()| (at.topic, at.partition))).collect()
            }
        }
    }

    async fn change_offsets(&self, request: Request) -> ApiResult {
        match self.broker.ask(request).await?.response {
            Response::OffsetsSet { group, dry_run, changes } => json(&OffsetChanges::new(&group, dry_run, &changes)),
            other => Err(mismatch(&other)),
        }
    }
}
