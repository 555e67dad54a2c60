//! What the core knows of one log: what can be read of it, and who waits for more.

use alloc::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{
    command::Parts,
    ids::{ConsumerId, Offset, RequestId},
    response::Bounds,
};

/// One partition's log.
///
/// `waiting` holds exactly those who have seen everything up to `end`: so an append wakes them all, and costs
/// nothing for anybody else.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Log {
    pub(crate) bounds: Bounds,
    pub(crate) waiting: BTreeSet<Waiter>,
    /// Every consumer that has the log among its partitions.
    pub(crate) holders: BTreeSet<ConsumerId>,
}

/// Somebody who has seen all of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Waiter {
    /// A consumer, whether or not a poll of it is parked.
    Consumer(ConsumerId),
    /// A parked read.
    Read(RequestId),
}

impl Log {
    pub(crate) fn new(bounds: Bounds) -> Self {
        Self { bounds, ..Self::default() }
    }

    /// Moves the end forward and gives those who waited for it; nobody if it did not move.
    pub(crate) fn extend(&mut self, end: Offset) -> Parts<Waiter> {
        let mut woken = Parts::new();
        if end > self.bounds.end {
            self.bounds.end = end;
            // Taken one by one, so that whoever waits next finds the set's memory there.
            while let Some(waiter) = self.waiting.pop_first() {
                woken.push(waiter);
            }
        }
        woken
    }

    /// Moves the start forward, never back and never past the end.
    pub(crate) fn trim(&mut self, start: Offset) {
        self.bounds.start = self.bounds.start.max(start.min(self.bounds.end));
    }
}
