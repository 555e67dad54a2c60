//! The durable part of the core's state: what facts change, and nothing else does.
//!
//! ```text
//!   decide --> Fact --> Durable::apply        live
//!   Snapshot + Fact, Fact, ... --> Durable    after a restart: the same state
//! ```
//!
//! All that is not here (positions since the last checkpoint, who waits, clocks) is made anew at a start.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use crate::{
    config::ConsumerOptions,
    fact::{Fact, OpenBatch, RebalanceReason, Subscription},
    ids::{BatchId, ConsumerId, Generation, GroupName, LogId, Offset, TopicId, TopicName},
    refusal::LeaveReason,
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
}

/// A consumer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsumerRecord {
    /// Its group.
    pub group: GroupName,
    /// How it is treated.
    pub options: ConsumerOptions,
    /// What it wants.
    pub subscription: Subscription,
    /// What it shall have.
    pub target: BTreeSet<LogId>,
    /// What it has, with the position last made durable. What is held and not in the target is being given up.
    pub held: BTreeMap<LogId, Option<Offset>>,
    /// The generation in which its target last changed.
    pub generation: Generation,
    /// The last batch that it is known to have received.
    pub batch: BatchId,
    /// The batch after that, handed out before the positions were last made durable.
    pub open: Option<OpenBatch>,
}

impl GroupRecord {
    /// Whether nobody is in it and nothing was ever committed: then there is nothing to remember.
    fn is_nothing(&self) -> bool {
        self.members.is_empty() && self.manual.is_empty() && self.offsets.is_empty()
    }
}

impl ConsumerRecord {
    fn release(&mut self, logs: &[LogId]) {
        for log in logs {
            self.held.remove(log);
            // When it is granted again, what went out before that proves nothing any more.
            if let Some(open) = &mut self.open {
                open.ranges.remove(log);
            }
        }
    }
}

impl Durable {
    /// Applies one fact. A fact about something unknown changes nothing.
    ///
    /// `ended_remembered` bounds [`Durable::ended`].
    pub fn apply(&mut self, fact: &Fact, ended_remembered: u32) {
        match fact {
            Fact::TopicCreated { topic, name, partitions } => {
                self.topics.insert(*topic, TopicRecord { name: name.clone(), partitions: *partitions });
            }
            Fact::PartitionsAdded { topic, partitions } => {
                if let Some(record) = self.topics.get_mut(topic) {
                    record.partitions = *partitions;
                }
            }
            Fact::TopicDeleted { topic } => self.forget_topic(*topic),
            Fact::ConsumerCreated { consumer, group, options, subscription } => {
                let record = ConsumerRecord {
                    group: group.clone(),
                    options: *options,
                    subscription: subscription.clone(),
                    target: BTreeSet::new(),
                    held: BTreeMap::new(),
                    generation: Generation::default(),
                    batch: BatchId::NONE,
                    open: None,
                };
                self.consumers.insert(*consumer, record);
                self.join_or_leave(*consumer);
            }
            Fact::SubscriptionChanged { consumer, subscription } => {
                if let Some(record) = self.consumers.get_mut(consumer) {
                    record.subscription = subscription.clone();
                    record.target.clear();
                    record.held.clear();
                    self.join_or_leave(*consumer);
                }
            }
            Fact::ConsumerEnded { consumer, reason } => self.end(*consumer, *reason, ended_remembered),
            Fact::Rebalanced { group, generation, reason, targets } => {
                if let Some(record) = self.groups.get_mut(group) {
                    record.generation = *generation;
                    record.last_rebalance = Some(reason.clone());
                }
                for (consumer, target) in targets {
                    if let Some(record) = self.consumers.get_mut(consumer) {
                        record.target.clone_from(target);
                        record.generation = *generation;
                    }
                }
            }
            Fact::Granted { consumer, positions } => {
                if let Some(record) = self.consumers.get_mut(consumer) {
                    record.held.extend(positions.iter().map(|(log, position)| (*log, *position)));
                }
            }
            Fact::Released { consumer, logs } => {
                if let Some(record) = self.consumers.get_mut(consumer) {
                    record.release(logs);
                }
            }
            Fact::Positioned { consumer, batch, positions, open } => {
                if let Some(record) = self.consumers.get_mut(consumer) {
                    record.batch = *batch;
                    record.open.clone_from(open);
                    for (log, position) in positions {
                        if let Some(held) = record.held.get_mut(log) {
                            *held = Some(*position);
                        }
                    }
                }
            }
            Fact::Committed { group, offsets } => {
                let record = self.groups.entry(group.clone()).or_default();
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
            group.members.retain(|member| self.consumers.contains_key(member));
            group.manual.retain(|member| self.consumers.contains_key(member));
        }
        for consumer in self.consumers.values_mut() {
            consumer.target.retain(known);
            consumer.held.retain(|log, _| known(log));
        }
        for group in self.groups.values() {
            let (mut owned, mut meant) = (BTreeSet::new(), BTreeSet::new());
            for member in &group.members {
                if let Some(consumer) = self.consumers.get_mut(member) {
                    consumer.held.retain(|log, _| owned.insert(*log));
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
        self.topics.remove(&topic);
        for group in self.groups.values_mut() {
            group.offsets.retain(|log, _| log.topic != topic);
        }
        for consumer in self.consumers.values_mut() {
            consumer.target.retain(|log| log.topic != topic);
            consumer.held.retain(|log, _| log.topic != topic);
        }
    }

    fn join_or_leave(&mut self, consumer: ConsumerId) {
        let record = &self.consumers[&consumer];
        let fresh = || GroupRecord { generation: self.generation_floor, ..GroupRecord::default() };
        let group = self.groups.entry(record.group.clone()).or_insert_with(fresh);
        let (joins, leaves) = match record.subscription {
            Subscription::Topics(_) => (&mut group.members, &mut group.manual),
            Subscription::Manual => (&mut group.manual, &mut group.members),
        };
        joins.insert(consumer);
        leaves.remove(&consumer);
    }

    fn end(&mut self, consumer: ConsumerId, reason: LeaveReason, remembered: u32) {
        let Some(record) = self.consumers.remove(&consumer) else {
            return;
        };
        if let Some(group) = self.groups.get_mut(&record.group) {
            group.members.remove(&consumer);
            group.manual.remove(&consumer);
            if group.is_nothing() {
                self.generation_floor = self.generation_floor.max(group.generation);
                self.groups.remove(&record.group);
            }
        }
        if reason != LeaveReason::Closed {
            self.ended.push_back((consumer, reason));
            while self.ended.len() > remembered as usize {
                self.ended.pop_front();
            }
        }
    }
}
