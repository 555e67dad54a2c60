//! The moments at which something falls due. Timers are pulled, never pushed: a runtime asks for the next one.

use alloc::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::{
    ids::{ConsumerId, RequestId},
    time::Timestamp,
};

/// What falls due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Timer {
    /// A consumer has been silent for its session timeout, unless it was heard of since the timer was set.
    Session(ConsumerId),
    /// A consumer has kept a revoked partition for its rebalance timeout.
    Rebalance(ConsumerId),
    /// The offsets of an empty group have been kept for as long as they are.
    Offsets,
    /// A poll or read has waited for as long as it wanted to.
    Wait(RequestId),
}

/// All timers that are set, soonest first.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Timers {
    due: BTreeSet<(Timestamp, Timer)>,
}

impl Timers {
    pub(crate) fn set(&mut self, at: Timestamp, timer: Timer) {
        self.due.insert((at, timer));
    }

    /// Unsets a timer; `at` is the moment it was set to.
    pub(crate) fn unset(&mut self, at: Timestamp, timer: Timer) {
        self.due.remove(&(at, timer));
    }

    pub(crate) fn next(&self) -> Option<Timestamp> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Takes one timer that is due.
    pub(crate) fn pop(&mut self, now: Timestamp) -> Option<Timer> {
        let (at, timer) = *self.due.first()?;
        if at > now {
            return None;
        }
        self.due.pop_first();
        Some(timer)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (Timestamp, Timer)> + '_ {
        self.due.iter().copied()
    }
}
