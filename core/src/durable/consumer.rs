//! What of one consumer outlives a crash.

use alloc::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::TopicRecord;
use crate::{
    config::ConsumerOptions,
    fact::{Fact, OpenBatch, Subscription},
    ids::{BatchId, Generation, GroupName, LogId, Offset, TopicId, TopicName},
    time::Date,
};

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
    /// What of it is held and not delivered because the consumer wants it so.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub paused: BTreeSet<LogId>,
    /// Where it begins at the first record that is not older than a date, and which that is isn't known yet.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub lookups: BTreeMap<LogId, Date>,
    /// What of it is held, and not known to have been told.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub untold: BTreeSet<LogId>,
    /// What was held and no longer is, and is not known to have been told, by the topics' names.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub lost: BTreeMap<LogId, TopicName>,
    /// Whether it said goodbye, and only its place is kept.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub away: bool,
}

impl ConsumerRecord {
    pub(super) fn new(group: GroupName, options: ConsumerOptions, subscription: Subscription) -> Self {
        Self {
            group,
            options,
            subscription,
            target: BTreeSet::new(),
            held: BTreeMap::new(),
            generation: Generation::default(),
            batch: BatchId::NONE,
            open: None,
            paused: BTreeSet::new(),
            lookups: BTreeMap::new(),
            untold: BTreeSet::new(),
            lost: BTreeMap::new(),
            away: false,
        }
    }

    /// It holds partitions no longer.
    pub(super) fn lose(&mut self, topics: &BTreeMap<TopicId, TopicRecord>, logs: &[LogId]) {
        for log in logs {
            self.paused.remove(log);
            self.lookups.remove(log);
            self.untold.remove(log);
            // When it is granted again, what went out before that proves nothing any more.
            if let Some(open) = &mut self.open {
                open.ranges.remove(log);
            }
            if let (Some(_), Some(topic)) = (self.held.remove(log), topics.get(&log.topic)) {
                self.lost.insert(*log, topic.name.clone());
            }
        }
    }

    /// Applies a fact that is about this consumer alone; any other changes nothing.
    pub(super) fn apply(&mut self, fact: &Fact, topics: &BTreeMap<TopicId, TopicRecord>) {
        match fact {
            Fact::WentAway { .. } => self.away = true,
            Fact::Granted { positions, lookups, .. } => {
                self.lookups.extend(lookups.iter().map(|(log, at)| (*log, *at)));
                self.held.extend(positions.iter().map(|(log, position)| (*log, *position)));
                self.untold.extend(positions.keys().copied());
                self.lost.retain(|log, _| !positions.contains_key(log));
            }
            Fact::Released { logs, .. } => self.lose(topics, logs),
            Fact::Positioned { batch, positions, open, .. } => {
                self.batch = *batch;
                self.open.clone_from(open);
                for (log, position) in positions {
                    self.lookups.remove(log);
                    if let Some(held) = self.held.get_mut(log) {
                        *held = Some(*position);
                    }
                }
            }
            Fact::Told { logs, .. } => {
                self.untold.retain(|log| !logs.contains(log));
                self.lost.retain(|log, _| !logs.contains(log));
            }
            Fact::Paused { logs, .. } => self.paused.extend(logs.iter().filter(|log| self.held.contains_key(log))),
            Fact::Resumed { logs, .. } => self.paused.retain(|log| !logs.contains(log)),
            _ => {}
        }
    }
}
