//! What there is for each of a few logs.
//!
//! Most commits are about one partition: such a map lives without the heap. Written down it is a map like any other.

use alloc::collections::BTreeMap;
use core::ops::Deref;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{command::Parts, ids::LogId};

/// A map from logs, made whole and then read: entries in the order of their logs, each log once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ByLog<T>(Parts<(LogId, T)>);

impl<T> ByLog<T> {
    /// What there is for a log.
    pub fn get(&self, log: LogId) -> Option<&T> {
        self.place_of(log).ok().map(|at| &self.0[at].1)
    }

    pub(crate) fn get_mut(&mut self, log: LogId) -> Option<&mut T> {
        self.place_of(log).ok().map(|at| &mut self.0[at].1)
    }

    /// Whether there is something for a log.
    pub fn contains(&self, log: LogId) -> bool {
        self.place_of(log).is_ok()
    }

    /// The logs, in order.
    pub fn logs(&self) -> impl Iterator<Item = LogId> + '_ {
        self.0.iter().map(|(log, _)| *log)
    }

    fn place_of(&self, log: LogId) -> Result<usize, usize> {
        self.0.binary_search_by_key(&log, |(log, _)| *log)
    }
}

impl<T> Default for ByLog<T> {
    fn default() -> Self {
        Self(Parts::new())
    }
}

impl<T> Deref for ByLog<T> {
    type Target = [(LogId, T)];

    fn deref(&self) -> &[(LogId, T)] {
        &self.0
    }
}

impl<'a, T> IntoIterator for &'a ByLog<T> {
    type Item = &'a (LogId, T);
    type IntoIter = core::slice::Iter<'a, (LogId, T)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl<T> FromIterator<(LogId, T)> for ByLog<T> {
    /// Of several entries for one log the last one counts.
    fn from_iter<I: IntoIterator<Item = (LogId, T)>>(entries: I) -> Self {
        entries.into_iter().collect::<Parts<_>>().into()
    }
}

impl<T> From<Parts<(LogId, T)>> for ByLog<T> {
    /// Of several entries for one log the last one counts.
    fn from(entries: Parts<(LogId, T)>) -> Self {
        if entries.is_sorted_by(|(one, _), (next, _)| one < next) {
            return Self(entries);
        }
        let mut in_order = BTreeMap::new();
        in_order.extend(entries);
        in_order.into()
    }
}

impl<T> From<BTreeMap<LogId, T>> for ByLog<T> {
    fn from(entries: BTreeMap<LogId, T>) -> Self {
        Self(Parts::from_vec(entries.into_iter().collect()))
    }
}

impl<T: Serialize> Serialize for ByLog<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(log, value)| (log, value)))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for ByLog<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        BTreeMap::deserialize(deserializer).map(Self::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::TopicId;

    fn log(topic: u64, partition: u32) -> LogId {
        LogId { topic: TopicId(topic), partition }
    }

    #[test]
    fn each_log_is_there_once_in_order_with_what_came_last() {
        let map: ByLog<u32> = [(log(2, 0), 1), (log(1, 3), 2), (log(2, 0), 3), (log(1, 0), 4)].into_iter().collect();
        assert_eq!(map[..], [(log(1, 0), 4), (log(1, 3), 2), (log(2, 0), 3)]);
        assert_eq!((map.get(log(2, 0)), map.get(log(2, 1)), map.contains(log(1, 3))), (Some(&3), None, true));
    }

    #[cfg(feature = "trace")]
    #[test]
    fn it_is_written_as_a_map() {
        let map: ByLog<u32> = [(log(1, 0), 4), (log(10, 2), 5)].into_iter().collect();
        let text = serde_json::to_string(&map).expect("plain data");
        assert_eq!(text, r#"{"1/0":4,"10/2":5}"#);
        assert_eq!(serde_json::from_str::<ByLog<u32>>(&text).expect("it was written so"), map);
    }
}
