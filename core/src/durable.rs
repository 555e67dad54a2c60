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
                let record = self.groups.entry(group.clone()).or_default();
                record.generation = *generation;
                record.last_rebalance = Some(reason.clone());
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
                    for log in logs {
                        record.held.remove(log);
                    }
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
        let group = self.groups.entry(record.group.clone()).or_default();
        match record.subscription {
            Subscription::Topics(_) => group.members.insert(consumer),
            Subscription::Manual => group.members.remove(&consumer),
        };
    }

    fn end(&mut self, consumer: ConsumerId, reason: LeaveReason, remembered: u32) {
        let Some(record) = self.consumers.remove(&consumer) else {
            return;
        };
        if let Some(group) = self.groups.get_mut(&record.group) {
            group.members.remove(&consumer);
        }
        if reason != LeaveReason::Closed {
            self.ended.push_back((consumer, reason));
            while self.ended.len() > remembered as usize {
                self.ended.pop_front();
            }
        }
    }
}
