//! A group's offsets without a member: set, deleted, and the whole group deleted. Only while nobody is in the group, since
//! a member would not hear of it, and commit over it.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    vec::Vec,
};

use super::Core;
use crate::{
    by_log::ByLog,
    command::Parts,
    config::in_range,
    event::{MAX_METADATA_BYTES, OffsetTarget, SetOffset},
    fact::Fact,
    ids::{FactSeq, GroupName, LogId, Offset, RequestId, TopicName},
    planted::planted,
    refusal::{Bounded, Refusal},
    response::{OffsetChange, Response},
};

impl Core {
    pub(super) fn set_offsets(&mut self, request: RequestId, group: GroupName, offsets: &[SetOffset], dry_run: bool) {
        let (offsets, metadata) = match self.may_set_offsets(&group, offsets) {
            Ok(checked) => checked,
            Err(refusal) => return self.refuse(request, refusal),
        };
        let changes = self.changes(&group, offsets.iter().map(|(log, offset)| (*log, Some(*offset))));
        let after = if dry_run && !planted!(self, DryRunIsReal) {
            self.groups.get(&group).map(|group| group.depends_on).unwrap_or_default()
        } else {
            let fact = Fact::Committed { group: group.clone(), offsets, metadata };
            let after = self.record(fact);
            self.note_empty(&group);
            self.depend(&group, after)
        };
        self.reply_after(request, after, Response::OffsetsSet { group, dry_run, changes });
    }

    /// The offsets, and what is to be remembered with some of them.
    #[allow(clippy::type_complexity)]
    fn may_set_offsets(
        &self,
        group: &GroupName,
        offsets: &[SetOffset],
    ) -> Result<(ByLog<Offset>, BTreeMap<LogId, Arc<str>>), Refusal> {
        self.may_write()?;
        Self::not_empty("offsets", offsets.is_empty())?;
        let limit = self.config.max_groups;
        if self.durable.groups.contains_key(group) {
            self.must_be_empty(group)?;
        } else if self.durable.groups.len() >= limit as usize {
            return Err(Refusal::TooMany { what: Bounded::Groups, limit });
        }
        let target = |SetOffset { topic, partition, to, .. }: &SetOffset| {
            let log = self.find_log(topic, *partition)?;
            let bounds = self.logs[&log].bounds;
            let offset = match to {
                OffsetTarget::Earliest => bounds.start,
                OffsetTarget::Latest => bounds.end,
                OffsetTarget::Offset(offset) => self.check_offset(topic, log, *offset, bounds.start)?,
                OffsetTarget::By(by) => {
                    let none = || Refusal::NothingCommitted { topic: topic.clone(), partition: *partition };
                    let committed = self.durable.committed(group, log).ok_or_else(none)?;
                    Offset(committed.0.saturating_add_signed(*by)).clamp(bounds.start, bounds.end)
                }
            };
            Ok((log, offset))
        };
        let (mut valid, mut metadata) = (Parts::new(), BTreeMap::new());
        for entry in offsets {
            let (log, offset) = target(entry)?;
            valid.push((log, offset));
            if let Some(text) = &entry.metadata {
                in_range("metadata", u32::try_from(text.len()).unwrap_or(u32::MAX), 0, MAX_METADATA_BYTES)?;
                metadata.insert(log, Arc::clone(text));
            }
        }
        Ok((valid.into(), metadata))
    }

    pub(super) fn delete_offsets(&mut self, request: RequestId, group: GroupName, which: &[(TopicName, u32)]) {
        let logs = match self.may_delete_offsets(&group, which) {
            Ok(logs) => logs,
            Err(refusal) => return self.refuse(request, refusal),
        };
        let changes = self.changes(&group, logs.iter().map(|log| (*log, None)));
        self.forget_expiry(&group);
        let after = self.record(Fact::OffsetsDeleted { group: group.clone(), logs });
        let after = if self.durable.groups.contains_key(&group) {
            self.note_empty(&group);
            self.depend(&group, after)
        } else {
            self.groups.remove(&group);
            after
        };
        self.reply_after(request, after, Response::OffsetsSet { group, dry_run: false, changes });
    }

    fn may_delete_offsets(&self, group: &GroupName, which: &[(TopicName, u32)]) -> Result<BTreeSet<LogId>, Refusal> {
        self.may_write()?;
        self.must_be_empty(group)?;
        Self::not_empty("partitions", which.is_empty())?;
        which.iter().map(|(topic, partition)| self.find_log(topic, *partition)).collect()
    }

    pub(super) fn delete_group(&mut self, request: RequestId, group: GroupName) {
        if let Err(refusal) = self.may_write().and_then(|()| self.must_be_empty(&group)) {
            return self.refuse(request, refusal);
        }
        self.forget_expiry(&group);
        let after = self.record(Fact::GroupDeleted { group: group.clone() });
        self.groups.remove(&group);
        self.reply_after(request, after, Response::GroupDeleted { group });
    }

    /// Refuses a group that is not, and one that somebody is in.
    fn must_be_empty(&self, group: &GroupName) -> Result<(), Refusal> {
        let found = self.durable.groups.get(group);
        let record = found.ok_or_else(|| Refusal::GroupNotFound { group: group.clone() })?;
        if record.is_empty() || planted!(self, OffsetsSetUnderMembers) {
            return Ok(());
        }
        let consumers = u32::try_from(record.members.len() + record.manual.len()).unwrap_or(u32::MAX);
        Err(Refusal::GroupActive { group: group.clone(), consumers })
    }

    fn changes(&self, group: &GroupName, offsets: impl Iterator<Item = (LogId, Option<Offset>)>) -> Vec<OffsetChange> {
        let change = |(log, after)| OffsetChange {
            topic: self.topic_name(log),
            partition: log.partition,
            before: self.durable.committed(group, log),
            after,
        };
        offsets.map(change).collect()
    }

    /// What is told of a group from now on waits for a fact.
    fn depend(&mut self, group: &GroupName, after: FactSeq) -> FactSeq {
        self.groups.entry(group.clone()).or_default().depends_on = after;
        after
    }
}
