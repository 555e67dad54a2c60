//! What is known of the latest of something: a map that forgets what came into it first.

use std::{collections::VecDeque, hash::Hash};

use rustc_hash::FxHashMap;

/// The latest `most` things, by their keys.
#[derive(Debug)]
pub(super) struct Recent<K, V> {
    most: usize,
    known: FxHashMap<K, V>,
    order: VecDeque<K>,
}

impl<K: Copy + Eq + Hash, V> Recent<K, V> {
    pub(super) fn new(most: usize) -> Self {
        Self { most, known: FxHashMap::default(), order: VecDeque::new() }
    }

    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.known.get(key)
    }

    pub(super) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.known.get_mut(key)
    }

    /// Puts it in the place of what has the same key, which it keeps; or else after all others.
    pub(super) fn insert(&mut self, key: K, value: V) {
        if self.known.insert(key, value).is_some() {
            return;
        }
        self.order.push_back(key);
        if self.order.len() > self.most
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_forgotten_and_what_is_replaced_keeps_its_place() {
        let mut recent = Recent::new(2);
        recent.insert(1, "a");
        recent.insert(2, "b");
        recent.insert(1, "c");
        assert_eq!(recent.get(&1), Some(&"c"));
        recent.insert(3, "d");
        assert_eq!([1, 2, 3].map(|key| recent.get(&key).copied()), [None, Some("b"), Some("d")]);
    }
}
