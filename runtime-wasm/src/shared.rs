//! A list that is cheap to copy: all copies share what they had in common, in chunks.
//!
//! Key frames are copies of a whole world. With this for what only grows, many of them take little more than one.

use std::sync::Arc;

const CHUNK: usize = 256;

/// A list that is added to at its end and cut there.
#[derive(Clone, Debug)]
pub(crate) struct Shared<T> {
    full: Vec<Arc<[T]>>,
    last: Vec<T>,
}

impl<T> Default for Shared<T> {
    fn default() -> Self {
        Self { full: Vec::new(), last: Vec::new() }
    }
}

impl<T: Clone> Shared<T> {
    pub(crate) fn len(&self) -> usize {
        self.full.len() * CHUNK + self.last.len()
    }

    pub(crate) fn push(&mut self, item: T) {
        self.last.push(item);
        if self.last.len() == CHUNK {
            self.full.push(self.last.drain(..).collect());
        }
    }

    pub(crate) fn get(&self, at: usize) -> Option<&T> {
        match self.full.get(at / CHUNK) {
            Some(chunk) => chunk.get(at % CHUNK),
            None => self.last.get(at - self.full.len() * CHUNK),
        }
    }

    pub(crate) fn last(&self) -> Option<&T> {
        self.get(self.len().checked_sub(1)?)
    }

    pub(crate) fn pop(&mut self) -> Option<T> {
        if self.last.is_empty() {
            self.last = self.full.pop()?.to_vec();
        }
        self.last.pop()
    }

    /// How many items stand before the first for which `is_before` no longer holds, in a list sorted by it.
    pub(crate) fn partition_point(&self, is_before: impl Fn(&T) -> bool) -> usize {
        let chunk = self.full.partition_point(|chunk| chunk.last().is_some_and(&is_before));
        let rest = self.full.get(chunk).map_or(&self.last[..], |chunk| chunk);
        chunk * CHUNK + rest.partition_point(is_before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_list_across_chunks() {
        let mut list = Shared::default();
        for n in 0..1_000 {
            list.push(n);
        }
        let copy = list.clone();
        for n in (700..1_000).rev() {
            assert_eq!(list.pop(), Some(n));
        }
        list.push(-1);
        assert_eq!((list.len(), list.last(), list.get(699), list.get(701)), (701, Some(&-1), Some(&699), None));
        assert_eq!((copy.len(), copy.get(999)), (1_000, Some(&999)));
        for n in [0, 1, 255, 256, 257, 511, 512, 999, 1_000] {
            assert_eq!(copy.partition_point(|item| *item < n), usize::try_from(n).unwrap());
        }
    }
}
