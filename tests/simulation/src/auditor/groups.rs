//! What the auditor knows of groups and their members: what facts make of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use takhin_core::{
    ConsumerId, ConsumerOptions, Date, Durable, Fact, FactSeq, Generation, GroupName, LeaveReason, LogId, RequestId,
    Timestamp, TopicPattern, fact::Subscription, pattern::Matcher,
};

use super::{Auditor, NewLife, commits::Committed};
use crate::oracle::{Violation, must};

/// A group.
#[derive(Clone, Debug, Default)]
pub(super) struct Group {
    pub(super) generation: Generation,
    /// The highest generation that anybody was told.
    pub(super) told: Generation,
    /// Who holds each partition, of those who subscribe.
    pub(super) owners: BTreeMap<LogId, ConsumerId>,
    /// Who each partition is meant for.
    pub(super) meant: BTreeMap<LogId, ConsumerId>,
    pub(super) consumers: BTreeSet<ConsumerId>,
    pub(super) offsets: BTreeMap<LogId, Committed>,
    /// Since when nobody is in it, if that was said.
    pub(super) empty_since: Option<Date>,
}

/// A consumer.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) group: GroupName,
    pub(super) subscription: Subscription,
    /// What its pattern matches, if it subscribes with one.
    pub(super) matcher: Option<Arc<Matcher>>,
    pub(super) options: ConsumerOptions,
    pub(super) held: BTreeSet<LogId>,
    /// What it shall have.
    pub(super) target: BTreeSet<LogId>,
    pub(super) paused: BTreeSet<LogId>,
    /// Whether it said goodbye, and its place is kept.
    pub(super) away: bool,
    /// The generation that its polls were told last; [`None`] if what it was told may be void.
    pub(super) told: Option<Generation>,
    pub(super) heard_at: Timestamp,
    pub(super) polled_at: Timestamp,
    /// When it is looked at for silence.
    pub(super) watched_at: Timestamp,
    /// What it lost since something was last read for it: an answer made before that may still come.
    lost: BTreeSet<LogId>,
    pub(super) poll: Option<RequestId>,
    /// Whether it was granted something that it was not told of.
    is_owed_news: bool,
}

impl Member {
    pub(super) fn is_manual(&self) -> bool {
        self.subscription == Subscription::Manual
    }

    fn subscribe(&mut self, subscription: &Subscription, matchers: &mut Matchers) {
        self.matcher = match subscription {
            Subscription::Pattern(pattern) => matchers.of(pattern),
            Subscription::Topics(_) | Subscription::Manual => None,
        };
        self.subscription = subscription.clone();
    }
}

/// Patterns that are compiled: who subscribes with one is seldom the only one.
#[derive(Clone, Debug, Default)]
pub(super) struct Matchers(BTreeMap<TopicPattern, Option<Arc<Matcher>>>);

impl Matchers {
    /// Patterns that are remembered at most.
    const MAX: usize = 64;

    /// What a pattern matches; [`None`] if it can't be used.
    fn of(&mut self, pattern: &TopicPattern) -> Option<Arc<Matcher>> {
        if let Some(known) = self.0.get(pattern) {
            return known.clone();
        }
        if self.0.len() >= Self::MAX {
            self.0.clear();
        }
        let matcher = pattern.compile().ok().map(Arc::new);
        self.0.insert(pattern.clone(), matcher.clone());
        matcher
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
            Fact::TopicCreated { topic, name, partitions, config } => {
                self.topics.add(*topic, name, *partitions, !config.cleanup.compacts());
            }
            Fact::PartitionsAdded { topic, partitions, config } => {
                self.topics.grow(*topic, *partitions);
                if config.is_some_and(|config| config.cleanup.compacts()) {
                    self.topics.may_have_gaps(*topic);
                }
            }
            Fact::TopicConfigured { topic, config } if config.cleanup.compacts() => self.topics.may_have_gaps(*topic),
            Fact::TopicDeleted { topic } => self.forget_topic(*topic),
            Fact::ConsumerCreated { consumer, group, options, subscription } => {
                self.join(*consumer, group, options.clone(), subscription);
            }
            Fact::SubscriptionChanged { consumer, subscription } => {
                self.lose_all(*consumer);
                self.aim(*consumer, &BTreeSet::new())?;
                if let Some(member) = self.members.get_mut(consumer) {
                    member.subscribe(subscription, &mut self.matchers);
                    member.is_owed_news = false;
                    member.polled_at = self.now;
                }
            }
            Fact::Resubscribed { consumer, subscription } => {
                if let Some(member) = self.members.get_mut(consumer) {
                    member.subscribe(subscription, &mut self.matchers);
                }
            }
            Fact::TakenOver { from, consumer, options, subscription } => {
                self.take_over(*from, *consumer, options, subscription)?;
            }
            Fact::WentAway { consumer } => {
                if let Some(member) = self.members.get_mut(consumer) {
                    member.away = true;
                }
            }
            Fact::ConsumerEnded { consumer, reason } => {
                self.must_keep_place(*consumer, *reason)?;
                self.leave(*consumer);
            }
            Fact::Rebalanced { group, generation, targets, reason, .. } => {
                self.rebalanced(group, *generation, targets)?;
                self.must_be_fair(group, reason)?;
            }
            Fact::Granted { consumer, positions, .. } => return self.grant(*consumer, positions.keys()),
            Fact::Released { consumer, logs } => {
                for log in logs {
                    self.lose(*consumer, *log);
                }
            }
            Fact::Paused { consumer, logs } => {
                if let Some(member) = self.members.get_mut(consumer) {
                    member.paused.extend(logs.intersection(&member.held).copied());
                }
            }
            Fact::Resumed { consumer, logs } => {
                if let Some(member) = self.members.get_mut(consumer) {
                    member.paused.retain(|log| !logs.contains(log));
                }
            }
            Fact::Committed { group, offsets, .. } => return self.committed(group, offsets),
            Fact::OffsetsDeleted { group, logs } => self.offsets_deleted(group, logs),
            Fact::GroupDeleted { group } => return self.group_deleted(group),
            Fact::GroupEmptied { group, at } => {
                if let Some(entry) = self.groups.get_mut(group) {
                    entry.empty_since = Some(*at);
                }
            }
            Fact::TopicConfigured { .. } | Fact::Positioned { .. } | Fact::Told { .. } => {}
        }
        Ok(())
    }

    fn forget_topic(&mut self, topic: takhin_core::TopicId) {
        self.topics.remove(topic);
        self.logs.forget_topic(topic);
        for group in self.groups.values_mut() {
            group.owners.retain(|log, _| log.topic != topic);
            group.meant.retain(|log, _| log.topic != topic);
            group.offsets.retain(|log, _| log.topic != topic);
        }
        for member in self.members.values_mut() {
            let held = member.held.len();
            member.held.retain(|log| log.topic != topic);
            member.target.retain(|log| log.topic != topic);
            member.paused.retain(|log| log.topic != topic);
            member.is_owed_news &= member.held.len() == held;
        }
    }

    fn join(&mut self, consumer: ConsumerId, group: &GroupName, options: ConsumerOptions, subscription: &Subscription) {
        let fresh = Group { generation: self.floor, ..Group::default() };
        let entry = self.groups.entry(group.clone()).or_insert(fresh);
        entry.consumers.insert(consumer);
        entry.empty_since = None;
        let mut member = Member {
            group: group.clone(),
            subscription: Subscription::Manual,
            matcher: None,
            options,
            held: BTreeSet::new(),
            target: BTreeSet::new(),
            paused: BTreeSet::new(),
            away: false,
            told: None,
            heard_at: self.now,
            polled_at: self.now,
            watched_at: self.now,
            lost: BTreeSet::new(),
            poll: None,
            is_owed_news: false,
        };
        member.subscribe(subscription, &mut self.matchers);
        self.members.insert(consumer, member);
        self.watch(consumer);
    }

    fn leave(&mut self, consumer: ConsumerId) {
        if let Some(member) = self.take_out(consumer) {
            self.forget_if_nothing(&member.group);
        }
    }

    fn take_out(&mut self, consumer: ConsumerId) -> Option<Member> {
        self.lose_all(consumer);
        let member = self.members.remove(&consumer)?;
        self.silence.remove(&(member.watched_at, consumer));
        if let Some(group) = self.groups.get_mut(&member.group) {
            group.consumers.remove(&consumer);
            for log in &member.target {
                group.meant.remove(log);
            }
        }
        Some(member)
    }

    /// A group without consumers and offsets is no more.
    pub(super) fn forget_if_nothing(&mut self, name: &GroupName) {
        let Some(group) = self.groups.get(name) else { return };
        if group.consumers.is_empty() && group.offsets.is_empty() {
            self.floor = self.floor.max(group.generation);
            self.groups.remove(name);
        }
    }

    fn take_over(
        &mut self,
        from: ConsumerId,
        consumer: ConsumerId,
        options: &ConsumerOptions,
        subscription: &Subscription,
    ) -> Result<(), Violation> {
        let Some(Member { group, target, subscription: before, options: former, .. }) = self.take_out(from) else {
            return Ok(());
        };
        let same = before == *subscription && former.assignor == options.assignor;
        self.join(consumer, &group, options.clone(), subscription);
        self.came_back = same.then_some(consumer);
        self.aim(consumer, &target)
    }

    fn rebalanced(
        &mut self,
        name: &GroupName,
        generation: Generation,
        targets: &BTreeMap<ConsumerId, BTreeSet<LogId>>,
    ) -> Result<(), Violation> {
        if let Some(entry) = self.groups.get_mut(name) {
            let before = entry.generation.max(entry.told);
            entry.generation = generation;
            must!(generation > before, GenerationsGrow, "{name}: {generation:?} follows {before:?}");
        }
        for (consumer, target) in targets {
            if let Some(member) = self.members.get_mut(consumer).filter(|m| !m.held.is_subset(target)) {
                member.is_owed_news = false;
            }
            self.aim(*consumer, &BTreeSet::new())?;
        }
        targets.iter().try_for_each(|(consumer, target)| self.aim(*consumer, target))
    }

    /// A member shall have these partitions.
    fn aim(&mut self, consumer: ConsumerId, target: &BTreeSet<LogId>) -> Result<(), Violation> {
        let Some(member) = self.members.get_mut(&consumer) else { return Ok(()) };
        let Some(group) = self.groups.get_mut(&member.group) else { return Ok(()) };
        for log in std::mem::replace(&mut member.target, target.clone()) {
            group.meant.remove(&log);
        }
        for log in target {
            let other = group.meant.insert(*log, consumer);
            must!(other.is_none(), OneOwner, "{log} is meant for {consumer}, and for {other:?}");
        }
        Ok(())
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
        member.paused.remove(&log);
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
        let manual = member.is_manual();
        let group = self.groups.get_mut(&member.group);
        let mut owners = group.map(|group| &mut group.owners).filter(|_| !manual);
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

    pub(super) fn must_own(&self, consumer: ConsumerId, log: LogId) -> Result<(), Violation> {
        let Some(member) = self.members.get(&consumer) else { return Ok(()) };
        let owns = member.held.contains(&log) || member.lost.contains(&log) || !self.topics.contains(log.topic);
        must!(owns, OneOwner, "{consumer} is delivered {log}, which it does not hold");
        Ok(())
    }

    /// Nothing is read or delivered for a consumer that it wants nothing of.
    pub(super) fn must_not_be_paused(&self, consumer: ConsumerId, log: LogId) -> Result<(), Violation> {
        let paused = self.members.get(&consumer).is_some_and(|member| member.paused.contains(&log));
        must!(!paused, PauseKept, "{log} is read for {consumer}, which paused it");
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

    /// A consumer's description says in which generation its consumer is.
    pub(super) fn described(&mut self, group: &GroupName, generation: Generation) {
        if let Some(group) = self.groups.get_mut(group) {
            group.told = group.told.max(generation);
        }
    }

    pub(super) fn must_be_told(&self, consumer: ConsumerId, request: RequestId) -> Result<(), Violation> {
        let sleeps = self.members.get(&consumer).is_some_and(|m| m.is_owed_news && m.poll == Some(request));
        must!(!sleeps, AssignmentTold, "{request:?} of {consumer} sleeps, and what it was granted is not told");
        Ok(())
    }

    /// The answer tells what there is, unless a poll is there to do so.
    pub(super) fn asks_for_news(&mut self, consumer: ConsumerId) {
        if let Some(member) = self.members.get_mut(&consumer) {
            member.is_owed_news &= member.poll.is_some();
        }
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
            member.polled_at = self.now;
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

    pub(super) fn must_have_survived(&mut self, life: NewLife<'_>) -> Result<(), Violation> {
        let NewLife { durable, through, .. } = life;
        must!(through >= self.persisted, CommitsReadBack, "{through:?} is recovered of {:?}", self.persisted);
        self.floor = durable.generation_floor;
        let comes_back = through < std::mem::take(&mut self.deleted_in);
        for (name, group) in &mut self.groups {
            let now = durable.groups.get(name);
            let generation = now.map_or(durable.generation_floor, |group| group.generation);
            let told = group.told;
            must!(generation >= told, GenerationsGrow, "{name}: {told:?} was told, {generation:?} is left");
            for (log, committed) in &mut group.offsets {
                committed.settle(through);
                let known = durable.topics.contains_key(&log.topic);
                let left = now.and_then(|group| group.offsets.get(log)).copied();
                let was = committed.durable();
                let same = left == was || (comes_back && was.is_none());
                must!(!known || same, CommitsReadBack, "{name}, {log}: {was:?} was committed, {left:?} is left");
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
            self.join(*consumer, &record.group, record.options.clone(), &record.subscription);
            if let Some(member) = self.members.get_mut(consumer) {
                member.held.extend(record.held.keys());
                member.target.clone_from(&record.target);
                member.paused.clone_from(&record.paused);
                member.away = record.away;
            }
        }
        for (name, record) in &durable.groups {
            let group = self.groups.entry(name.clone()).or_default();
            group.generation = record.generation;
            group.told = told.get(name).copied().unwrap_or_default();
            group.empty_since = record.empty_since;
            group.offsets.extend(record.offsets.iter().map(|(log, offset)| (*log, Committed::durably(*offset))));
            for consumer in &record.members {
                let Some(member) = self.members.get(consumer) else { continue };
                group.owners.extend(member.held.iter().map(|log| (*log, *consumer)));
                group.meant.extend(member.target.iter().map(|log| (*log, *consumer)));
            }
        }
    }

    /// A static member that says goodbye is awaited.
    fn must_keep_place(&self, consumer: ConsumerId, reason: LeaveReason) -> Result<(), Violation> {
        let Some(member) = self.members.get(&consumer) else { return Ok(()) };
        let is_static = member.options.instance_id.is_some() && !member.is_manual();
        let lost = is_static && reason == LeaveReason::Closed;
        must!(!lost, SharesFair, "{consumer} said goodbye, and its place is not kept for it");
        Ok(())
    }
}
