//! What the auditor knows of commits: what each group has committed, who may, and what becomes of offsets that nobody is
//! there for.

use std::collections::BTreeSet;

use takhin_core::{ByLog, CommitOffset, ConsumerId, Date, FactSeq, Generation, GroupName, LogId, Offset};

use super::{
    Auditor,
    requests::{Kind, Open},
};
use crate::oracle::{Violation, must};

/// What a group committed for one partition.
#[derive(Clone, Debug, Default)]
pub(super) struct Committed {
    durable: Option<Offset>,
    /// Decided since, with the place of the fact, oldest first.
    waiting: Vec<(FactSeq, Offset)>,
}

impl Committed {
    pub(super) fn durably(offset: Offset) -> Self {
        Self { durable: Some(offset), waiting: Vec::new() }
    }

    fn decide(&mut self, seq: FactSeq, persisted: FactSeq, offset: Offset) {
        self.settle(persisted);
        self.waiting.push((seq, offset));
    }

    pub(super) fn settle(&mut self, persisted: FactSeq) {
        let durable = self.waiting.partition_point(|(seq, _)| *seq <= persisted);
        if let Some((_, offset)) = self.waiting.drain(..durable).next_back() {
            self.durable = Some(offset);
        }
    }

    /// What is durable, once it was settled.
    pub(super) fn durable(&self) -> Option<Offset> {
        self.durable
    }

    fn last(&self) -> Option<Offset> {
        self.waiting.last().map(|(_, offset)| *offset).or(self.durable)
    }
}

impl Auditor {
    pub(super) fn committed(&mut self, name: &GroupName, offsets: &ByLog<Offset>) -> Result<(), Violation> {
        let from_outside = match self.touched.and_then(|request| self.open.get(&request)).map(|open| &open.kind) {
            Some(Kind::Admin { group, dry_run, in_use }) if group == name => {
                // Where somebody is in the group it is refused, and members may commit in its step when their time comes.
                must!(!dry_run || *in_use, FencedNeverCommits, "{name}: a dry run commits");
                !in_use
            }
            _ => false,
        };
        for (log, offset) in offsets {
            let end = self.log(*log).end;
            let known = self.topics.contains(log.topic);
            must!(!known || *offset <= end, CommitsInLog, "{name} commits {offset:?} of {log}, which ends at {end:?}");
            let group = self
                .groups
                .entry(name.clone())
                .or_insert_with(|| super::groups::Group { generation: self.floor, ..super::groups::Group::default() });
            let held = group.consumers.iter().any(|one| self.members.get(one).is_some_and(|m| m.held.contains(log)));
            let may = held || from_outside || self.is_fresh;
            must!(may, FencedNeverCommits, "{name} commits {log}, which none of it holds");
            group.offsets.entry(*log).or_default().decide(self.decided, self.persisted, *offset);
        }
        self.note_commit(name, offsets);
        Ok(())
    }

    pub(super) fn offsets_deleted(&mut self, name: &GroupName, logs: &BTreeSet<LogId>) {
        self.deleted_in = self.decided;
        if let Some(entry) = self.groups.get_mut(name) {
            entry.offsets.retain(|log, _| !logs.contains(log));
        }
        self.forget_if_nothing(name);
    }

    /// A group goes because somebody says so, or since nobody was in it for long enough.
    pub(super) fn group_deleted(&mut self, name: &GroupName) -> Result<(), Violation> {
        self.deleted_in = self.decided;
        let Some(entry) = self.groups.get_mut(name) else { return Ok(()) };
        must!(entry.consumers.is_empty(), CommitsReadBack, "{name} is forgotten, and somebody is in it");
        entry.offsets.clear();
        let since = entry.empty_since;
        self.forget_if_nothing(name);
        let open = self.touched.and_then(|request| self.open.get(&request));
        if matches!(open, Some(Open { kind: Kind::Admin { group, .. }, .. }) if group == name) {
            return Ok(());
        }
        let (now, retention) = (self.date(), self.config.offsets_retention);
        let due = since.zip(now).is_some_and(|(since, now)| since.after(retention) <= now);
        must!(due, CommitsReadBack, "{name} is forgotten at {now:?}, and nobody is in it since {since:?}");
        Ok(())
    }

    /// What date it is, if that was said.
    fn date(&self) -> Option<Date> {
        let now = i64::try_from(self.now.0).unwrap_or(i64::MAX);
        self.date_offset.map(|offset| Date(now.saturating_add(offset)))
    }

    /// What is known of a commit before it is decided: why it must be refused, if it must.
    pub(super) fn why_not_commit(
        &self,
        consumer: ConsumerId,
        offsets: &[CommitOffset],
        given: Option<Generation>,
    ) -> Option<&'static str> {
        let Some(member) = self.members.get(&consumer) else { return Some("it is no consumer") };
        if member.away {
            return Some("it said goodbye");
        }
        if given.is_some_and(|given| member.told.is_some_and(|told| given < told)) {
            return Some("its generation is over");
        }
        let holds = |entry: &CommitOffset| {
            let topic = self.topics.by_name(&entry.topic);
            topic.is_some_and(|topic| member.held.contains(&LogId { topic, partition: entry.partition }))
        };
        (!offsets.iter().all(holds)).then_some("it does not hold the partition")
    }

    /// What the group of a consumer has committed for what the consumer holds.
    pub(super) fn has_committed(&self, consumer: ConsumerId) -> Vec<(LogId, Offset)> {
        let Some(member) = self.members.get(&consumer) else { return Vec::new() };
        let Some(group) = self.groups.get(&member.group) else { return Vec::new() };
        let committed = |log: &LogId| Some((*log, group.offsets.get(log)?.last()?));
        member.held.iter().filter_map(committed).collect()
    }

    /// Whether somebody is in a group, as far as facts say.
    pub(crate) fn is_in_use(&self, group: &GroupName) -> bool {
        self.groups.get(group).is_some_and(|group| !group.consumers.is_empty())
    }
}
