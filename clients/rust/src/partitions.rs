//! Partitions and offsets, and how the server writes them.

use std::{collections::BTreeMap, fmt, sync::Arc};

use serde::{Deserialize, Serialize};

/// A partition of a topic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TopicPartition {
    /// The topic's name.
    pub topic: Arc<str>,
    /// Its number, from 0.
    pub partition: u32,
}

impl TopicPartition {
    /// The partition of that number.
    pub fn new(topic: impl Into<Arc<str>>, partition: u32) -> Self {
        Self { topic: topic.into(), partition }
    }

    /// An offset of it.
    pub fn at(self, offset: u64) -> PartitionOffset {
        PartitionOffset { partition: self, offset }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.topic, self.partition)
    }
}

/// A place in a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartitionOffset {
    /// Which partition.
    pub partition: TopicPartition,
    /// The offset in it.
    pub offset: u64,
}

/// `{"orders": [0, 1]}`.
pub(crate) type PartitionLists = BTreeMap<Arc<str>, Vec<u32>>;
/// `{"orders": {"0": …}}`.
pub(crate) type ByPartition<T> = BTreeMap<Arc<str>, BTreeMap<u32, T>>;

pub(crate) fn lists(partitions: &[TopicPartition]) -> PartitionLists {
    let mut lists = PartitionLists::new();
    for of in partitions {
        lists.entry(of.topic.clone()).or_default().push(of.partition);
    }
    lists
}

pub(crate) fn listed(lists: &PartitionLists) -> Vec<TopicPartition> {
    let of = |topic: &Arc<str>, partition: &u32| TopicPartition::new(topic.clone(), *partition);
    lists.iter().flat_map(|(topic, numbers)| numbers.iter().map(move |number| of(topic, number))).collect()
}

pub(crate) fn by_partition<'a, T>(entries: impl IntoIterator<Item = (&'a TopicPartition, T)>) -> ByPartition<T> {
    let mut all = ByPartition::new();
    for (of, value) in entries {
        all.entry(of.topic.clone()).or_default().insert(of.partition, value);
    }
    all
}

pub(crate) fn offset_map(offsets: &[PartitionOffset]) -> ByPartition<u64> {
    by_partition(offsets.iter().map(|at| (&at.partition, at.offset)))
}

/// The entry of one partition.
pub(crate) fn entry<'a, T>(all: &'a ByPartition<T>, of: &TopicPartition) -> Option<&'a T> {
    all.get(&of.topic)?.get(&of.partition)
}
