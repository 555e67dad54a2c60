//! The assignor `uniform` (and, in a file of its own, `range`): its promises as properties over groups that proptest makes up, a few groups to read,
//! and what large ones cost.

mod large;
mod properties;
mod range;
mod readable;

use std::collections::{BTreeMap, BTreeSet};

use takhin_core::{
    ConsumerId, LogId, TopicId,
    assignor::{Member, uniform},
};
use uuid::Uuid;

type Assignment = BTreeMap<ConsumerId, BTreeSet<LogId>>;

/// Topics, who subscribes to which, and who has what.
#[derive(Clone, Debug, Default)]
struct Group {
    topics: BTreeMap<TopicId, u32>,
    subscriptions: BTreeMap<ConsumerId, BTreeSet<TopicId>>,
    current: Assignment,
}

impl Group {
    fn assign(&self) -> Assignment {
        let none = BTreeSet::new();
        let mut members = BTreeMap::new();
        for (id, topics) in &self.subscriptions {
            members.insert(*id, Member { topics, current: self.current.get(id).unwrap_or(&none) });
        }
        uniform(&self.topics, &members)
    }

    /// The same group once it has the assignment that it was given.
    fn settled(self) -> Self {
        Self { current: self.assign(), ..self }
    }

    fn subscribers(&self, topic: TopicId) -> impl Iterator<Item = ConsumerId> {
        self.subscriptions.iter().filter(move |(_, topics)| topics.contains(&topic)).map(|(id, _)| *id)
    }

    /// Every partition that has to have an owner.
    fn logs(&self) -> Vec<LogId> {
        let subscribed = self.topics.iter().filter(|(topic, _)| self.subscribers(**topic).next().is_some());
        subscribed.flat_map(|(&topic, &count)| (0..count).map(move |partition| LogId { topic, partition })).collect()
    }

    /// The partitions whose present owner may keep them, with that owner.
    fn owners(&self) -> BTreeMap<LogId, ConsumerId> {
        let mut owners = BTreeMap::new();
        for log in self.logs() {
            let has = |id: &ConsumerId| self.current.get(id).is_some_and(|logs| logs.contains(&log));
            if let Some(owner) = self.subscribers(log.topic).find(has) {
                owners.insert(log, owner);
            }
        }
        owners
    }
}

fn consumer(number: u128) -> ConsumerId {
    ConsumerId(Uuid::from_u128(number))
}
