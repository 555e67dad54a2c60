//! What the auditor knows of groups and their members, from facts and from what members were told.

use std::collections::{BTreeMap, BTreeSet};

use takhin_core::{
    CommitOffset, ConsumerId, ConsumerOptions, Durable, DurationMs, Fact, FactSeq, Generation, GroupName, LogId,
    Offset, RequestId, Timestamp, fact::Subscription, response::ConsumerDescription,
};

use super::{Auditor, NewLife};
use crate::oracle::{Violation, must};

/// A group.
#[derive(Clone, Debug, Default)]
pub(super) struct Group {
    generation: Generation,
    /// The highest generation that anybody was told.
    told: Generation,
    /// Who holds each partition, of those who subscribe.
    owners: BTreeMap<LogId, ConsumerId>,
    consumers: BTreeSet<ConsumerId>,
    offsets: BTreeMap<LogId, Committed>,
}

/// What a group committed for one partition.
#[derive(Clone, Debug, Default)]
struct Committed {
    durable: Option<Offset>,
    /// Decided since, with the place of the fact, oldest first.
    waiting: Vec<(FactSeq, Offset)>,
}

/// A consumer.
#[derive(Clone, Debug)]
pub(super) struct Member {
    group: GroupName,
    manual: bool,
    options: ConsumerOptions,
    held: BTreeSet<LogId>,
    /// The generation that its polls were told last; [`None`] if what it was told may be void.
    told: Option<Generation>,
    heard_at: Timestamp,
    /// What it lost since something was last read for it: an answer made before that may still come.
    lost: BTreeSet<LogId>,
    poll: Option<RequestId>,
    /// Whether it was granted something that it was not told of.
    is_owed_news: bool,
}

impl Committed {
    fn decide(&mut self, seq: FactSeq, persisted: FactSeq, offset: Offset) {
        self.settle(persisted);
        self.waiting.push((seq, offset));
    }

    fn settle(&mut self, persisted: FactSeq) {
        let durable = self.waiting.partition_point(|(seq, _)| *seq <= persisted);
        if let Some((_, offset)) = self.waiting.drain(..durable).next_back() {
            self.durable = Some(offset);
        }
    }

    fn last(&self) -> Option<Offset> {
        self.waiting.last().map(|(_, offset)| *offset).or(self.durable)
    }
}

impl Auditor {
    pub(super) fn decide(&mut self, first: FactSeq, facts: &[Fact]) -> Result<(), Violation> {
        must!(first == self.decided.next(), RecoveryEqual, "fact {first:?} follows {:?}", self.decided);
        for fact in facts {
            self.decided = self.decided.next();
            self.apply(fact)?;
        }
        self.is_fresh = false;
        Ok(())
    }

    fn apply(&mut self, fact: &Fact) -> Result<(), Violation> {
        match fact {
            Fact::TopicCreated { topic, name, partitions, .. } => {
                self.topics.insert(*topic, name.clone());
                self.partitions.insert(*topic, *partitions);
            }
            Fact::PartitionsAdded { topic, partitions, .. } => {
                self.partitions.insert(*topic, *partitions);
            }
            Fact::TopicDeleted { topic } => {
                self.topics.remove(topic);
                self.partitions.remove(topic);
                self.logs.forget_topic(*topic);
                for group in self.groups.values_mut() {
                    group.owners.retain(|log, _| log.topic != *topic);
                    group.offsets.retain(|log, _| log.topic != *topic);
                }
                for member in self.members.values_mut() {
                    let held = member.held.len();
                    member.held.retain(|log| log.topic != *topic);
                    member.is_owed_news &= member.held.len() == held;
                }
            }
            Fact::ConsumerCreated { consumer, group, options, subscription } => {
                self.join(*consumer, group, options.clone(), *subscription == Subscription::Manual);
            }
            Fact::SubscriptionChanged { consumer, subscription } => {
                self.lose_all(*consumer);
                if let Some(member) = self.members.get_mut(consumer) {
                    member.manual = *subscription == Subscription::Manual;
                    member.is_owed_news = false;
                }
            }
            Fact::ConsumerEnded { consumer, .. } => self.leave(*consumer),
            Fact::Rebalanced { group, generation, targets, .. } => {
                if let Some(entry) = self.groups.get_mut(group) {
                    let before = entry.generation.max(entry.told);
                    entry.generation = *generation;
                    must!(*generation > before, GenerationsGrow, "{group}: {generation:?} follows {before:?}");
                }
                for (consumer, target) in targets {
                    if let Some(member) = self.members.get_mut(consumer).filter(|m| !m.held.is_subset(target)) {
                        member.is_owed_news = false;
                    }
                }
            }
            Fact::Granted { consumer, positions, .. } => return self.grant(*consumer, positions.keys()),
            Fact::Released { consumer, logs } => {
                for log in logs {
                    self.lose(*consumer, *log);
                }
            }
            Fact::Committed { group, offsets, .. } => return self.committed(group, offsets),
            Fact::Resubscribed { consumer, subscription } => {
                if let Some(member) = self.members.get_mut(consumer) {
                    member.manual = *subscription == Subscription::Manual;
                }
            }
            Fact::TakenOver { from, consumer, options, subscription } => {
                let group = self.members.get(from).map(|member| member.group.clone());
                self.leave(*from);
                if let Some(group) = group {
                    self.join(*consumer, &group, options.clone(), *subscription == Subscription::Manual);
                }
            }
            Fact::OffsetsDeleted { group, logs } => {
                if let Some(entry) = self.groups.get_mut(group) {
                    entry.offsets.retain(|log, _| !logs.contains(log));
                }
            }
            Fact::GroupDeleted { group } => {
                if let Some(entry) = self.groups.get_mut(group) {
                    entry.offsets.clear();
                }
            }
            Fact::Positioned { .. }
            | Fact::WentAway { .. }
            | Fact::Told { .. }
            | Fact::Paused { .. }
            | Fact::Resumed { .. }
            | Fact::TopicConfigured { .. }
            | Fact::GroupEmptied { .. } => {}
        }
        Ok(())
    }

    fn join(&mut self, consumer: ConsumerId, group: &GroupName, options: ConsumerOptions, manual: bool) {
        let session_timeout = DurationMs(options.session_timeout_ms);
        let fresh = Group { generation: self.floor, ..Group::default() };
        self.groups.entry(group.clone()).or_insert(fresh).consumers.insert(consumer);
        let member = Member {
            group: group.clone(),
            manual,
            options,
            held: BTreeSet::new(),
            told: None,
            heard_at: self.now,
            lost: BTreeSet::new(),
            poll: None,
            is_owed_news: false,
        };
        self.silence.insert((self.now + session_timeout, consumer));
        self.members.insert(consumer, member);
    }

    fn leave(&mut self, consumer: ConsumerId) {
        self.lose_all(consumer);
        let Some(member) = self.members.remove(&consumer) else { return };
        let Some(group) = self.groups.get_mut(&member.group) else { return };
        group.consumers.remove(&consumer);
        if group.consumers.is_empty() && group.offsets.is_empty() {
            self.floor = self.floor.max(group.generation);
            self.groups.remove(&member.group);
        }
    }

    fn lose_all(&mut self, consumer: ConsumerId) {
        let held = self.members.get_mut(&consumer).map(|member| std::mem::take(&mut member.held));
        for log in held.into_iter().flatten() {
            self.lose(consumer, log);
        }
    }

    fn lose(&mut self, consumer: ConsumerId, log: LogId) {
        let Some(member) = self.members.get_mut(&consumer) else { return };
        member.held.remove(&log);
        member.lost.insert(log);
        member.is_owed_news = false;
        if let Some(group) = self.groups.get_mut(&member.group)
            && group.owners.get(&log) == Some(&consumer)
        {
            group.owners.remove(&log);
        }
    }

    fn grant<'a>(&mut self, consumer: ConsumerId, logs: impl Iterator<Item = &'a LogId>) -> Result<(), Violation> {
        let told_by_answer = self.is_told_by_answer(consumer);
        let Some(member) = self.members.get_mut(&consumer) else { return Ok(()) };
        let group = self.groups.get_mut(&member.group);
        let mut owners = group.map(|group| &mut group.owners).filter(|_| !member.manual);
        member.is_owed_news |= !told_by_answer;
        for log in logs {
            member.held.insert(*log);
            if let Some(owners) = &mut owners {
                let other = owners.insert(*log, consumer).filter(|owner| *owner != consumer);
                must!(other.is_none(), OneOwner, "{log} is granted to {consumer}, and {other:?} holds it");
            }
        }
        Ok(())
    }

    fn committed(&mut self, name: &GroupName, offsets: &BTreeMap<LogId, Offset>) -> Result<(), Violation> {
        for (log, offset) in offsets {
            let end = self.log(*log).end;
            let known = self.topics.contains_key(&log.topic);
            must!(!known || *offset <= end, CommitsInLog, "{name} commits {offset:?} of {log}, which ends at {end:?}");
            let group = self.groups.entry(name.clone()).or_default();
            let held = group.consumers.iter().any(|one| self.members.get(one).is_some_and(|m| m.held.contains(log)));
            must!(held || self.is_fresh, FencedNeverCommits, "{name} commits {log}, which none of it holds");
            group.offsets.entry(*log).or_default().decide(self.decided, self.persisted, *offset);
        }
        self.note_commit(offsets.iter().map(|(log, offset)| (*log, *offset)));
        Ok(())
    }

    /// What is known of a commit before it is decided: why it must be refused, if it must.
    pub(super) fn why_not_commit(
        &self,
        consumer: ConsumerId,
        offsets: &[CommitOffset],
        given: Option<Generation>,
    ) -> Option<&'static str> {
        let Some(member) = self.members.get(&consumer) else { return Some("it is no consumer") };
        if given.is_some_and(|given| member.told.is_some_and(|told| given < told)) {
            return Some("its generation is over");
        }
        let holds = |entry: &CommitOffset| {
            let mut held = member.held.iter().filter(|log| log.partition == entry.partition);
            held.any(|log| self.topics.get(&log.topic) == Some(&entry.topic))
        };
        (!offsets.iter().all(holds)).then_some("it does not hold the partition")
    }

    /// What the group of a consumer has committed for what the consumer holds.
    pub(super) fn has_committed(&self, consumer: ConsumerId) -> Vec<(LogId, Offset)> {
        let Some(member) = self.members.get(&consumer) else { return Vec::new() };
        let Some(group) = self.groups.get(&member.group) else { return Vec::new() };
        let held = group.offsets.iter().filter(|(log, _)| member.held.contains(log));
        held.filter_map(|(log, committed)| Some((*log, committed.last()?))).collect()
    }

    pub(super) fn must_own(&self, consumer: ConsumerId, log: LogId) -> Result<(), Violation> {
        let Some(member) = self.members.get(&consumer) else { return Ok(()) };
        let owns = member.held.contains(&log) || member.lost.contains(&log) || !self.topics.contains_key(&log.topic);
        must!(owns, OneOwner, "{consumer} is delivered {log}, which it does not hold");
        Ok(())
    }

    /// A poll's answer says in which generation its consumer is.
    pub(super) fn told(&mut self, consumer: ConsumerId, generation: Generation, news: bool) -> Result<(), Violation> {
        let Some(member) = self.members.get_mut(&consumer) else { return Ok(()) };
        member.is_owed_news &= !news;
        let before = member.told.replace(generation).unwrap_or_default();
        must!(generation >= before, GenerationsGrow, "{consumer} is told {generation:?} after {before:?}");
        if let Some(group) = self.groups.get_mut(&member.group) {
            group.told = group.told.max(generation);
        }
        Ok(())
    }

    pub(super) fn described(&mut self, description: &ConsumerDescription) {
        if let Some(group) = self.groups.get_mut(&description.group) {
            group.told = group.told.max(description.generation);
        }
    }

    pub(super) fn must_be_told(&self, consumer: ConsumerId, request: RequestId) -> Result<(), Violation> {
        let sleeps = self.members.get(&consumer).is_some_and(|m| m.is_owed_news && m.poll == Some(request));
        must!(!sleeps, AssignmentTold, "{request:?} of {consumer} sleeps, and what it was granted is not told");
        Ok(())
    }

    pub(super) fn polls(&mut self, consumer: ConsumerId, request: RequestId) {
        if let Some(member) = self.members.get_mut(&consumer) {
            member.poll = Some(request);
            member.lost.clear();
        }
    }

    /// Something was read for a consumer: whoever lost a partition before that must not be delivered it.
    pub(super) fn reads_anew(&mut self, consumer: ConsumerId) {
        if let Some(member) = self.members.get_mut(&consumer) {
            member.lost.clear();
        }
    }

    pub(super) fn polls_no_more(&mut self, consumer: ConsumerId, request: RequestId) {
        if let Some(member) = self.members.get_mut(&consumer)
            && member.poll == Some(request)
        {
            member.poll = None;
        }
    }

    pub(super) fn heard(&mut self, consumer: ConsumerId) {
        if let Some(member) = self.members.get_mut(&consumer) {
            member.heard_at = self.now;
        }
    }

    /// What was told may not have arrived.
    pub(super) fn may_not_have_heard(&mut self, consumer: ConsumerId) {
        if let Some(member) = self.members.get_mut(&consumer) {
            member.told = None;
        }
    }

    pub(super) fn must_not_be_silent(&mut self) -> Result<(), Violation> {
        while let Some((at, consumer)) = self.silence.first().copied().filter(|(at, _)| *at <= self.now) {
            self.silence.remove(&(at, consumer));
            let Some(member) = self.members.get(&consumer) else { continue };
            let timeout = DurationMs(member.options.session_timeout_ms);
            let since = if member.poll.is_some() { self.now } else { member.heard_at.max(self.waited_at) };
            let until = since + timeout;
            must!(until > self.now, AssignmentTold, "{consumer} is silent since {since:?}, and still a consumer");
            self.silence.insert((until, consumer));
        }
        Ok(())
    }

    pub(super) fn must_be_within_bounds(&self) -> Result<(), Violation> {
        let partitions: u64 = self.partitions.values().map(|count| u64::from(*count)).sum();
        let counts = [
            ("topics", self.topics.len() as u64, self.config.max_topics),
            ("partitions", partitions, self.config.max_partitions),
            ("consumers", self.members.len() as u64, self.config.max_consumers),
            ("groups", self.groups.len() as u64, self.config.max_groups),
        ];
        for (what, count, limit) in counts {
            must!(count <= u64::from(limit), Bounded, "{count} {what}, and {limit} are allowed");
        }
        Ok(())
    }

    pub(super) fn must_have_survived(&mut self, life: NewLife<'_>) -> Result<(), Violation> {
        let NewLife { durable, through, .. } = life;
        must!(through >= self.persisted, CommitsReadBack, "{through:?} is recovered of {:?}", self.persisted);
        self.floor = durable.generation_floor;
        for (name, group) in &mut self.groups {
            let now = durable.groups.get(name);
            let generation = now.map_or(durable.generation_floor, |group| group.generation);
            must!(
                generation >= group.told,
                GenerationsGrow,
                "{name}: {:?} was told, {generation:?} is left",
                group.told
            );
            for (log, committed) in &mut group.offsets {
                committed.settle(through);
                let known = durable.topics.contains_key(&log.topic);
                let left = now.and_then(|group| group.offsets.get(log)).copied();
                let was = committed.durable;
                must!(!known || left == was, CommitsReadBack, "{name}, {log}: {was:?} was committed, {left:?} is left");
            }
        }
        self.logs.must_have_survived(life)
    }

    pub(super) fn restart_groups(&mut self, durable: &Durable) {
        let told: BTreeMap<GroupName, Generation> =
            std::mem::take(&mut self.groups).into_iter().map(|(name, group)| (name, group.told)).collect();
        self.members.clear();
        self.silence.clear();
        self.is_fresh = true;
        for (consumer, record) in &durable.consumers {
            self.join(*consumer, &record.group, record.options.clone(), record.subscription == Subscription::Manual);
            if let Some(member) = self.members.get_mut(consumer) {
                member.held.extend(record.held.keys());
            }
        }
        for (name, record) in &durable.groups {
            let group = self.groups.entry(name.clone()).or_default();
            group.generation = record.generation;
            group.told = told.get(name).copied().unwrap_or_default();
            let durable = |offset: &Offset| Committed { durable: Some(*offset), waiting: Vec::new() };
            group.offsets.extend(record.offsets.iter().map(|(log, offset)| (*log, durable(offset))));
            for consumer in &record.members {
                let held = durable_held(&self.members, *consumer);
                group.owners.extend(held.map(|log| (log, *consumer)));
            }
        }
    }
}

fn durable_held(members: &BTreeMap<ConsumerId, Member>, consumer: ConsumerId) -> impl Iterator<Item = LogId> + '_ {
    members.get(&consumer).into_iter().flat_map(|member| member.held.iter().copied())
}
