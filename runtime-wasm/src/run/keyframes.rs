//! Key frames: copies of a machine, from which any row is soon reached.
//!
//! They are [spread](Spread) over the run. Where one has just been, a few more lie at 1, 2, 4, 8 … rows before: going back step by
//! step replays next to nothing.

use std::{collections::BTreeMap, sync::Arc};

use super::spread::Spread;
use crate::machine::Machine;

/// Key frames at most, those near the cursor not counted.
const MOST: usize = 256;
/// The greatest distance of those near the cursor, as a power of two.
const NEAR: u32 = 9;

#[derive(Clone, Debug)]
pub(crate) struct Keyframes {
    spread: Spread<Arc<Machine>>,
    near: BTreeMap<u32, Machine>,
}

impl Keyframes {
    pub(crate) fn new(first: Arc<Machine>) -> Self {
        Self { spread: Spread::new(MOST, first), near: BTreeMap::new() }
    }

    /// Whether the state before row `row` is to be kept.
    pub(crate) fn is_due(&self, row: u32) -> bool {
        self.spread.is_due(row)
    }

    /// Keeps the state before row `row`.
    pub(crate) fn keep(&mut self, row: u32, machine: Arc<Machine>) {
        self.spread.keep(row, machine);
    }

    /// Those of another run with the same past up to `row`.
    pub(crate) fn until(&self, row: u32) -> Self {
        Self { spread: self.spread.until(row), near: BTreeMap::new() }
    }

    /// The last one that is not after `row`.
    pub(crate) fn before(&self, row: u32) -> (u32, Machine) {
        let (at, spread) = self.spread.before(row);
        match self.near.range(..=row).next_back() {
            Some((near_at, near)) if *near_at > at => (*near_at, near.clone()),
            _ => (at, (**spread).clone()),
        }
    }

    /// The rows before `target` at which to keep the state on the way there.
    pub(crate) fn wanted_near(target: u32) -> impl Fn(u32) -> bool {
        move |row| target.checked_sub(row).is_some_and(|before| before.is_power_of_two() && before <= 1 << NEAR)
    }

    /// Replaces those near the cursor by these, and by those it has that are still near.
    pub(crate) fn set_near(&mut self, target: u32, passed: Vec<(u32, Machine)>) {
        self.near.retain(|row, _| *row <= target && target - *row <= 1 << NEAR);
        self.near.extend(passed);
        while self.near.len() > 2 * NEAR as usize {
            self.near.pop_first();
        }
    }

    /// Rows that a seek replays at most.
    pub(crate) fn distance(&self) -> u32 {
        self.spread.distance()
    }
}
