//! The durable part of the core's state: what facts change, and nothing else does.
//!
//! ```text
//!   decide --> Fact --> Durable::apply        live
//!   Snapshot + Fact, Fact, ... --> Durable    after a restart: the same state
//! ```
//!
//! All that is not here (positions since the last checkpoint, who waits, clocks) is made anew at a start.

mod consumer;

use alloc::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    vec::Vec,
};

use serde::{Deserialize, Serialize};

pub use self::consumer::ConsumerRecord;
use crate::{
    fact::{Fact, RebalanceReason, Subscription},
    ids::{ConsumerId, Generation, GroupName, LogId, Offset, TopicId, TopicName},
    refusal::LeaveReason,
    time::Date,
    topic_config::TopicConfig,
};

/// Everything that outlives a crash. Also the snapshot's content.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Durable {
    /// The topics that exist.
    pub topics: BTreeMap<TopicId, TopicRecord>,
    /// The groups, those without members too.
    pub groups: BTreeMap<GroupName, GroupRecord>,
    /// The consumers.
    pub consumers: BTreeMap<ConsumerId, ConsumerRecord>,
    /// Consumers that were removed rather than closed, the latest last.
    pub ended: VecDeque<(ConsumerId, LeaveReason)>,
    /// The highest generation of a group that is no more. A new one begins there, so that generations never go back
    /// for a group that is made again.
    #[serde(default)]
    pub generation_floor: Generation,
}

/// A topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicRecord {
    /// Its name.
    pub name: TopicName,
    /// How many partitions it has.
    pub partitions: u32,
    /// How its logs are kept.
    #[serde(default, skip_serializing_if = "TopicConfig::is_default")]
    pub config: TopicConfig,
}

/// A group.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupRecord {
    /// How often it was assigned.
    pub generation: Generation,
    /// Why it was assigned last.
    pub last_rebalance: Option<RebalanceReason>,
    /// The consumers that subscribe as its members.
    pub members: BTreeSet<ConsumerId>,
    /// The consumers that took partitions by hand.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub manual: BTreeSet<ConsumerId>,
    /// The next offset to read of each partition committed.
    pub offsets: BTreeMap<LogId, Offset>,
    /// What clients want to remember with some of those.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<LogId, Arc<str>>,
    /// When it was assigned last, if that was known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_rebalance_at: Option<Date>,
    /// Since when nobody is in it and its offsets are as they are, if that is so and was known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub empty_since: Option<Date>,
}

impl GroupRecord {
    /// Whether nobody is in it.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty() && self.manual.is_empty()
    }

    /// Whether nobody is in it and nothing was ever committed: then there is nothing to remember.
    fn is_nothing(&self) -> bool {
        self.is_empty() && self.offsets.is_empty()
    }
}

impl Durable {
    /// Applies one fact. A fact about something unknown changes nothing.
    ///
    /// `ended_remembered` bounds [`Durable::ended`].
    pub fn apply(&mut self, fact: &Fact, ended_remembered: u32) {
        match fact {
            Fact::TopicCreated { topic, name, partitions, config } => {
                let record = TopicRecord { name: name.clone(), partitions: *partitions, config: *config };
                self.topics.insert(*topic, record);
            }
            Fact::TopicConfigured { topic, config } => {
                if let Some(record) = self.topics.get_mut(topic) {
                    record.config = *config;
                }
            }
            Fact::PartitionsAdded { topic, partitions, config } => {
                if let Some(record) = self.topics.get_mut(topic) {
                    record.partitions = *partitions;
                    record.config = config.unwrap_or(record.config);
                }
            }
            Fact::TopicDeleted { topic } => self.forget_topic(*topic),
            Fact::ConsumerCreated { consumer, group, options, subscription } => {
                let record = ConsumerRecord::new(group.clone(), options.clone(), subscription.clone());
                self.consumers.insert(*consumer, record);
                self.join_or_leave(*consumer);
            }
            Fact::SubscriptionChanged { consumer, subscription } => {
                if let Some(record) = self.consumers.get_mut(consumer) {
                    record.subscription = subscription.clone();
                    record.target.clear();
                    let held: Vec<LogId> = record.held.keys().copied().collect();
                    record.lose(&self.topics, &held);
                    self.join_or_leave(*consumer);
                }
            }
            Fact::Resubscribed { consumer, subscription } => {
                if let Some(record) = self.consumers.get_mut(consumer) {
                    record.subscription = subscription.clone();
                    self.join_or_leave(*consumer);
                }
            }
            Fact::TakenOver { from, consumer, options, subscription } => {
                if let Some(old) = self.consumers.remove(from) {
                    self.take_out(&old.group, *from);
                    let new = ConsumerRecord::new(old.group, options.clone(), subscription.clone());
                    let new = ConsumerRecord { target: old.target, generation: old.generation, ..new };
                    self.consumers.insert(*consumer, new);
                    self.join_or_leave(*consumer);
                    if from != consumer {
                        self.remember(*from, LeaveReason::Replaced, ended_remembered);
                    }
                }
            }
            Fact::ConsumerEnded { consumer, reason } => self.end(*consumer, *reason, ended_remembered),
            Fact::Rebalanced { group, generation, reason, targets, at } => {
                if let Some(record) = self.groups.get_mut(group) {
                    record.generation = *generation;
                    record.last_rebalance = Some(reason.clone());
                    record.last_rebalance_at = *at;
                }
                for (consumer, target) in targets {
                    if let Some(record) = self.consumers.get_mut(consumer) {
                        record.target.clone_from(target);
                        record.generation = *generation;
                    }
                }
            }
            Fact::WentAway { consumer }
            | Fact::Granted { consumer, .. }
            | Fact::Released { consumer, .. }
            | Fact::Positioned { consumer, .. }
            | Fact::Told { consumer, .. }
            | Fact::Paused { consumer, .. }
            | Fact::Resumed { consumer, .. } => {
                if let Some(record) = self.consumers.get_mut(consumer) {
                    record.apply(fact, &self.topics);
                }
            }
            Fact::GroupEmptied { group, at } => {
                if let Some(record) = self.groups.get_mut(group) {
                    record.empty_since = Some(*at);
                }
            }
            Fact::OffsetsDeleted { group, logs } => {
                if let Some(record) = self.groups.get_mut(group) {
                    record.offsets.retain(|log, _| !logs.contains(log));
                    record.metadata.retain(|log, _| !logs.contains(log));
                }
                self.forget_if_nothing(group);
            }
            Fact::GroupDeleted { group } => self.forget_group(group),
            Fact::Committed { group, offsets, metadata } => {
                let record = self.group(group);
                for log in offsets.logs() {
                    record.metadata.remove(&log);
                }
                record.metadata.extend(metadata.iter().map(|(log, text)| (*log, text.clone())));
                record.offsets.extend(offsets.iter().map(|(log, offset)| (*log, *offset)));
            }
        }
    }

    /// Drops what makes no sense, as there is where damage took facts away: logs that no topic has, and partitions
    /// that two members hold. Otherwise changes nothing.
    pub(crate) fn mend(&mut self) {
        let topics = &self.topics;
        let known = |log: &LogId| topics.get(&log.topic).is_some_and(|topic| log.partition < topic.partitions);
        for group in self.groups.values_mut() {
            group.offsets.retain(|log, _| known(log));
            group.metadata.retain(|log, _| known(log));
            group.members.retain(|member| self.consumers.contains_key(member));
            group.manual.retain(|member| self.consumers.contains_key(member));
        }
        for consumer in self.consumers.values_mut() {
            consumer.target.retain(known);
            consumer.held.retain(|log, _| known(log));
            consumer.paused.retain(|log| consumer.held.contains_key(log));
            consumer.untold.retain(|log| consumer.held.contains_key(log));
            consumer.lookups.retain(|log, _| consumer.held.contains_key(log));
        }
        for group in self.groups.values() {
            let (mut owned, mut meant) = (BTreeSet::new(), BTreeSet::new());
            for member in &group.members {
                if let Some(consumer) = self.consumers.get_mut(member) {
                    consumer.held.retain(|log, _| owned.insert(*log));
                    consumer.paused.retain(|log| consumer.held.contains_key(log));
                    consumer.untold.retain(|log| consumer.held.contains_key(log));
                    consumer.lookups.retain(|log, _| consumer.held.contains_key(log));
                    consumer.target.retain(|log| meant.insert(*log));
                    consumer.generation = consumer.generation.min(group.generation);
                }
            }
        }
    }

    /// What a group has committed for a log.
    pub fn committed(&self, group: &str, log: LogId) -> Option<Offset> {
        self.groups.get(group)?.offsets.get(&log).copied()
    }

    fn forget_topic(&mut self, topic: TopicId) {
        let logs = LogId::of_topic(topic);
        for consumer in self.consumers.values_mut() {
            let held: Vec<LogId> = consumer.held.range(logs.clone()).map(|(log, _)| *log).collect();
            consumer.lose(&self.topics, &held);
            while let Some(log) = consumer.target.range(logs.clone()).next().copied() {
                consumer.target.remove(&log);
            }
        }
        self.topics.remove(&topic);
        for group in self.groups.values_mut() {
            while let Some((log, _)) = group.offsets.range(logs.clone()).next() {
                let log = *log;
                group.offsets.remove(&log);
                group.metadata.remove(&log);
            }
        }
    }

    fn join_or_leave(&mut self, consumer: ConsumerId) {
        let name = self.consumers[&consumer].group.clone();
        self.group(&name);
        let record = &self.consumers[&consumer];
        let Some(group) = self.groups.get_mut(&name) else { return };
        group.empty_since = None;
        let (joins, leaves) = match record.subscription {
            Subscription::Topics(_) | Subscription::Pattern(_) => (&mut group.members, &mut group.manual),
            Subscription::Manual => (&mut group.manual, &mut group.members),
        };
        joins.insert(consumer);
        leaves.remove(&consumer);
    }

    fn end(&mut self, consumer: ConsumerId, reason: LeaveReason, remembered: u32) {
        let Some(record) = self.consumers.remove(&consumer) else {
            return;
        };
        self.take_out(&record.group, consumer);
        self.forget_if_nothing(&record.group);
        if reason != LeaveReason::Closed {
            self.remember(consumer, reason, remembered);
        }
    }

    fn take_out(&mut self, name: &GroupName, consumer: ConsumerId) {
        if let Some(group) = self.groups.get_mut(name) {
            group.members.remove(&consumer);
            group.manual.remove(&consumer);
        }
    }

    /// A group, made if it isn't there.
    fn group(&mut self, name: &GroupName) -> &mut GroupRecord {
        let fresh = || GroupRecord { generation: self.generation_floor, ..GroupRecord::default() };
        self.groups.entry(name.clone()).or_insert_with(fresh)
    }

    fn forget_if_nothing(&mut self, name: &GroupName) {
        if self.groups.get(name).is_some_and(GroupRecord::is_nothing) {
            self.forget_group(name);
        }
    }

    fn forget_group(&mut self, name: &GroupName) {
        if let Some(group) = self.groups.remove(name) {
            self.generation_floor = self.generation_floor.max(group.generation);
        }
    }

    fn remember(&mut self, consumer: ConsumerId, reason: LeaveReason, remembered: u32) {
        self.ended.push_back((consumer, reason));
        while self.ended.len() > remembered as usize {
            self.ended.pop_front();
        }
    }
}
