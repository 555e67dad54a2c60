//! What the auditor knows of topics, from facts.

use std::collections::BTreeMap;

use takhin_core::{Durable, TopicId, TopicName};

/// A topic.
#[derive(Clone, Debug)]
struct Topic {
    name: TopicName,
    partitions: u32,
    /// Whether each of its offsets has a record: it was never compacted, and that is known.
    dense: bool,
}

/// All topics.
#[derive(Clone, Debug, Default)]
pub(super) struct Topics {
    by_id: BTreeMap<TopicId, Topic>,
    by_name: BTreeMap<TopicName, TopicId>,
    partitions: u64,
}

impl Topics {
    pub(super) fn add(&mut self, id: TopicId, name: &TopicName, partitions: u32, dense: bool) {
        self.remove(id);
        self.partitions += u64::from(partitions);
        self.by_name.insert(name.clone(), id);
        self.by_id.insert(id, Topic { name: name.clone(), partitions, dense });
    }

    /// It has so many partitions from now on.
    pub(super) fn grow(&mut self, id: TopicId, partitions: u32) {
        if let Some(topic) = self.by_id.get_mut(&id) {
            self.partitions = self.partitions - u64::from(topic.partitions) + u64::from(partitions);
            topic.partitions = partitions;
        }
    }

    pub(super) fn may_have_gaps(&mut self, id: TopicId) {
        if let Some(topic) = self.by_id.get_mut(&id) {
            topic.dense = false;
        }
    }

    pub(super) fn remove(&mut self, id: TopicId) {
        let Some(topic) = self.by_id.remove(&id) else { return };
        self.partitions -= u64::from(topic.partitions);
        if self.by_name.get(&topic.name) == Some(&id) {
            self.by_name.remove(&topic.name);
        }
    }

    /// What a restart has of them. Of a topic that was not known before it isn't known what was once compacted.
    pub(super) fn restart(&mut self, durable: &Durable) {
        let before = std::mem::take(self);
        for (id, record) in &durable.topics {
            let dense = before.is_dense(*id) && !record.config.cleanup.compacts();
            self.add(*id, &record.name, record.partitions, dense);
        }
    }

    pub(super) fn contains(&self, id: TopicId) -> bool {
        self.by_id.contains_key(&id)
    }

    pub(super) fn name(&self, id: TopicId) -> Option<&TopicName> {
        self.by_id.get(&id).map(|topic| &topic.name)
    }

    pub(super) fn by_name(&self, name: &TopicName) -> Option<TopicId> {
        self.by_name.get(name).copied()
    }

    pub(super) fn is_dense(&self, id: TopicId) -> bool {
        self.by_id.get(&id).is_some_and(|topic| topic.dense)
    }

    /// How many topics there are, and how many partitions they have together.
    pub(super) fn count(&self) -> (u64, u64) {
        (self.by_id.len() as u64, self.partitions)
    }
}
