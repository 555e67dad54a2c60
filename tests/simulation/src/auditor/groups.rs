//! What the auditor knows of groups: what facts make of them, and of who is in them.

use std::collections::{BTreeMap, BTreeSet};

use takhin_core::{
    ConsumerId, ConsumerOptions, Date, Durable, Fact, FactSeq, Generation, GroupName, LogId, fact::Subscription,
};

use super::{Auditor, NewLife, commits::Committed, members::Member};
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
                // Where others append, too, there are their transactions.
                let dense = !config.cleanup.compacts() && !self.config.shared_logs;
                self.topics.add(*topic, name, *partitions, dense);
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
                return self.subscription_changed(*consumer, subscription);
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

    /// Who subscribes anew, and not as it did before, has nothing to begin with.
    fn subscription_changed(&mut self, consumer: ConsumerId, subscription: &Subscription) -> Result<(), Violation> {
        self.lose_all(consumer);
        self.aim(consumer, &BTreeSet::new())?;
        if let Some(member) = self.members.get_mut(&consumer) {
            member.subscribe(subscription, &mut self.matchers);
            member.is_owed_news = false;
            member.polled_at = self.now;
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
        let mut member = Member::new(group.clone(), options, self.now);
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

    /// A consumer's description says in which generation its consumer is.
    pub(super) fn described(&mut self, group: &GroupName, generation: Generation) {
        if let Some(group) = self.groups.get_mut(group) {
            group.told = group.told.max(generation);
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
}
