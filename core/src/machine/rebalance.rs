//! Who has which partition: targets decided at once, handed over one partition at a time.
//!
//! ```text
//!   target changes:   held and no longer target --> revoking --- nothing uncommitted      --> released
//!                                                            --- a commit reaches it      --> released
//!                                                            --- told, and polls again    --> released
//!                                                            --- rebalance timeout        --> the member is out
//!                     target and nobody holds it --> granted, from the committed offset on
//! ```
//!
//! A partition is granted only when nobody holds it, so it is never delivered by two; members whose target stays
//! the same notice nothing. After KIP-848.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};

use serde::{Deserialize, Serialize};

use super::Core;
use crate::{
    assignor,
    config::Assignor,
    fact::{Fact, RebalanceReason},
    ids::{ConsumerId, FactSeq, Generation, GroupName, InstanceId, LogId, Offset, TopicId},
    log::Waiter,
    planted::planted,
    session::{Partition, Partitions},
    time::{Date, DurationMs},
    timers::Timer,
};

/// What can be derived of a group, kept for speed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Group {
    /// Which member holds each partition, those being given up too.
    pub(super) owners: BTreeMap<LogId, ConsumerId>,
    /// Which member each partition is meant for.
    pub(super) targets: BTreeMap<LogId, ConsumerId>,
    /// The consumer that has each static place, whether or not it subscribes.
    pub(super) instances: BTreeMap<InstanceId, ConsumerId>,
    /// The last fact that what is told of the group depends on.
    pub(super) depends_on: FactSeq,
}

impl Group {
    pub(super) fn forget(&mut self, log: LogId, owner: ConsumerId) {
        if self.owners.get(&log) == Some(&owner) {
            self.owners.remove(&log);
        }
    }
}

impl Core {
    /// Decides anew who shall have what, and starts the handover.
    pub(super) fn rebalance(&mut self, name: &GroupName, reason: RebalanceReason) {
        let Some(record) = self.durable.groups.get(name) else {
            self.groups.remove(name);
            return;
        };
        let generation = Generation(record.generation.0 + u64::from(!planted!(self, GenerationKept)));
        let mut changed = self.decide_targets(name);
        self.add_those_who_lost_a_topic(name, &mut changed);
        let members: Vec<ConsumerId> = changed.keys().copied().collect();
        let at = self.date();
        let fact = Fact::Rebalanced { group: name.clone(), generation, reason, targets: changed, at };
        let after = self.record(fact);
        self.groups.entry(name.clone()).or_default().depends_on = after;
        self.index_targets(name);
        for consumer in members {
            if let Some(session) = self.sessions.get_mut(&consumer) {
                session.depends_on = after;
            }
            self.revoke_surplus(consumer);
        }
        self.grant_free(name);
    }

    /// Notes anew which partition is meant for whom.
    pub(super) fn index_targets(&mut self, name: &GroupName) {
        let (Some(group), Some(record)) = (self.groups.get_mut(name), self.durable.groups.get(name)) else { return };
        group.targets.clear();
        for consumer in &record.members {
            let target = &self.durable.consumers[consumer].target;
            group.targets.extend(target.iter().map(|log| (*log, *consumer)));
        }
    }

    /// A topic that was deleted took its part of every share with it: that is a change too.
    fn add_those_who_lost_a_topic(&self, name: &GroupName, changed: &mut BTreeMap<ConsumerId, BTreeSet<LogId>>) {
        let Some(group) = self.durable.groups.get(name) else { return };
        for consumer in &group.members {
            let revoked = self.sessions.get(consumer).map(|session| &session.news.revoked);
            let is_gone = |log: &LogId| !self.durable.topics.contains_key(&log.topic);
            if revoked.is_some_and(|logs| logs.keys().any(is_gone)) {
                changed.entry(*consumer).or_insert_with(|| self.durable.consumers[consumer].target.clone());
            }
        }
    }

    /// The members whose share changes, with their new share.
    pub(super) fn decide_targets(&self, name: &GroupName) -> BTreeMap<ConsumerId, BTreeSet<LogId>> {
        let Some(group) = self.durable.groups.get(name) else { return BTreeMap::new() };
        let mut topics: BTreeMap<TopicId, u32> = BTreeMap::new();
        let mut wanted: BTreeMap<ConsumerId, BTreeSet<TopicId>> = BTreeMap::new();
        for consumer in &group.members {
            let names = self.topics_of(&self.durable.consumers[consumer].subscription);
            let usable = names.iter().filter_map(|name| self.usable_topic(name).ok());
            let ids = usable.map(|topic| {
                topics.insert(topic.id, topic.usable);
                topic.id
            });
            wanted.insert(*consumer, ids.collect());
        }
        let mut targets = match self.assignor_of(name) {
            Assignor::Uniform => {
                let members = wanted.iter().map(|(consumer, topics)| {
                    let current = &self.durable.consumers[consumer].target;
                    (*consumer, assignor::Member { topics, current })
                });
                assignor::uniform(&topics, &members.collect())
            }
            Assignor::Range => {
                // A worker keeps its turn when it comes back as another consumer.
                let mut members: Vec<_> = wanted.iter().map(|(consumer, topics)| (*consumer, topics)).collect();
                let instance = |consumer: &ConsumerId| self.durable.consumers[consumer].options.instance_id.clone();
                members.sort_by_cached_key(|(consumer, _)| (instance(consumer).is_none(), instance(consumer)));
                assignor::range(&topics, &members)
            }
        };
        if planted!(self, FirstTakesAll) {
            let all = targets.values().flatten().copied().collect();
            targets.values_mut().for_each(BTreeSet::clear);
            targets.first_entry().map(|mut first| first.insert(all));
        }
        targets.retain(|consumer, target| self.durable.consumers[consumer].target != *target);
        targets
    }

    /// The assignor that most members want; `uniform` if as many want the one as the other.
    pub(super) fn assignor_of(&self, name: &GroupName) -> Assignor {
        let Some(group) = self.durable.groups.get(name) else { return Assignor::Uniform };
        let wants_range =
            |consumer: &&ConsumerId| self.durable.consumers[*consumer].options.assignor == Assignor::Range;
        let range = group.members.iter().filter(wants_range).count();
        if range * 2 > group.members.len() { Assignor::Range } else { Assignor::Uniform }
    }

    /// Starts to take from a member what it shall no longer have, and gives back what it shall have after all.
    fn revoke_surplus(&mut self, consumer: ConsumerId) {
        let Some(session) = self.sessions.get(&consumer) else { return };
        let target = &self.durable.consumers[&consumer].target;
        let turned = session.partitions.iter().filter(|(log, p)| p.revoking == target.contains(log));
        let turned: Vec<LogId> = turned.map(|(log, _)| *log).collect();
        for log in &turned {
            let name = self.topic_name(*log);
            let Some(session) = self.sessions.get_mut(&consumer) else { return };
            let Some(partition) = session.partitions.get_mut(log) else { continue };
            partition.revoking = !partition.revoking;
            if partition.revoking {
                session.news.revoke(*log, name);
            } else {
                session.news.give_back(*log, name);
            }
            self.file(consumer, *log);
        }
        if self.sessions[&consumer].poll.is_some() {
            self.auto_commit(consumer, true);
        }
        // Who is away commits nothing more of it.
        let away = self.sessions[&consumer].away;
        let is_done = |log: &LogId| away || self.has_nothing_uncommitted(consumer, *log);
        let done: Vec<LogId> = turned.into_iter().filter(is_done).collect();
        self.release_revoking(consumer, &done);
        self.tell_of_revoking(consumer);
        self.start_rebalance_timer(consumer);
        self.woken.insert(consumer);
    }

    /// Tells again what is being given up where other news cancelled it: a partition that was revoked, given back and
    /// revoked once more before the member heard of it.
    pub(super) fn tell_of_revoking(&mut self, consumer: ConsumerId) {
        let Some(session) = self.sessions.get_mut(&consumer) else { return };
        let revoking = session.partitions.iter().filter(|(_, partition)| partition.revoking);
        let untold: Vec<LogId> = revoking.map(|(log, _)| *log).filter(|log| !session.tells_of_revoking(*log)).collect();
        for log in untold {
            let name = self.durable.topics[&log.topic].name.clone();
            session.news.revoked.insert(log, name);
        }
    }

    /// Ends the giving up of those of `logs` that are being given up, and hands them on.
    pub(super) fn release_revoking(&mut self, consumer: ConsumerId, logs: &[LogId]) {
        let Some(session) = self.sessions.get_mut(&consumer) else { return };
        let revoking = |log: &LogId| session.partitions.get(log).is_some_and(|partition| partition.revoking);
        let logs: Vec<LogId> = logs.iter().copied().filter(revoking).collect();
        if logs.is_empty() {
            return;
        }
        let name = session.group.clone();
        for id in &logs {
            session.forget_partition(*id);
            if let Some(log) = self.logs.get_mut(id) {
                log.waiting.remove(&Waiter::Consumer(consumer));
                log.holders.remove(&consumer);
            }
            if let Some(group) = self.groups.get_mut(&name) {
                group.forget(*id, consumer);
            }
        }
        self.record(Fact::Released { consumer, logs });
        self.stop_rebalance_timer_if_done(consumer);
        self.grant_free(&name);
    }

    /// Grants every partition that is meant for a member and held by nobody.
    pub(super) fn grant_free(&mut self, name: &GroupName) {
        let Some(group) = self.groups.get(name) else { return };
        let mut grants: BTreeMap<ConsumerId, BTreeSet<LogId>> = BTreeMap::new();
        for (log, consumer) in &group.targets {
            let held = group.owners.contains_key(log) && !planted!(self, GrantedWhileHeld);
            if !held && self.logs.contains_key(log) {
                grants.entry(*consumer).or_default().insert(*log);
            }
        }
        for (consumer, logs) in grants {
            if let Some(group) = self.groups.get_mut(name) {
                group.owners.extend(logs.iter().map(|log| (*log, consumer)));
            }
            self.hold(consumer, &logs, &Partitions::new());
        }
    }

    /// Makes a consumer hold partitions: from where it stood if it had them before, else from where it should begin.
    pub(super) fn hold(&mut self, consumer: ConsumerId, logs: &BTreeSet<LogId>, kept: &Partitions) {
        let Some(session) = self.sessions.get(&consumer) else { return };
        let (group, reset) = (session.group.clone(), session.options.auto_offset_reset);
        let mut positions: BTreeMap<LogId, Option<Offset>> = BTreeMap::new();
        let mut lookups: BTreeMap<LogId, Date> = BTreeMap::new();
        let date = self.date_to_begin_at(reset);
        for log in logs {
            let name = self.topic_name(*log);
            let stood = kept.get(log).copied().filter(|partition| partition.position.is_some()).unwrap_or_default();
            let position = stood.position.or_else(|| self.first_position(&group, reset, *log));
            positions.insert(*log, position);
            let Some(session) = self.sessions.get_mut(&consumer) else { return };
            let counted = position.unwrap_or_default();
            let partition = Partition { position, counted, lookup: None, revoking: false, paused: false, ..stood };
            session.partitions.insert(*log, partition);
            if stood.delivered.is_some() {
                session.delivered.insert(*log);
            }
            session.news.assign(*log, name);
            if let Some(entry) = self.logs.get_mut(log) {
                entry.holders.insert(consumer);
            }
            self.file(consumer, *log);
            if let (None, Some(at)) = (position, date) {
                lookups.insert(*log, at);
                self.look_up(consumer, *log, at);
            }
        }
        if positions.is_empty() {
            return;
        }
        let after = self.record(Fact::Granted { consumer, positions, lookups });
        if let Some(session) = self.sessions.get_mut(&consumer) {
            session.note_unsettled();
            session.depends_on = after;
        }
        self.woken.insert(consumer);
    }

    pub(super) fn start_rebalance_timer(&mut self, consumer: ConsumerId) {
        let Some(session) = self.sessions.get_mut(&consumer) else { return };
        if session.rebalance_timer.is_none() && session.partitions.values().any(|partition| partition.revoking) {
            let at = self.now + DurationMs(session.options.rebalance_timeout_ms);
            session.rebalance_timer = Some(at);
            self.timers.set(at, Timer::Rebalance(consumer));
        }
        self.stop_rebalance_timer_if_done(consumer);
    }

    pub(super) fn stop_rebalance_timer_if_done(&mut self, consumer: ConsumerId) {
        let Some(session) = self.sessions.get_mut(&consumer) else { return };
        if session.partitions.values().any(|partition| partition.revoking) {
            return;
        }
        if let Some(at) = session.rebalance_timer.take() {
            self.timers.unset(at, Timer::Rebalance(consumer));
        }
    }
}
