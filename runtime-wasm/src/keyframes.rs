//! Key frames: copies of a machine, from which any row is soon reached.
//!
//! There are never more than [`MOST`]. When there would be, every second one goes and the distance doubles, so seeking
//! replays at most as many rows as lie between two, which is the length of the run divided by half of [`MOST`]. Where one
//! has just been, a few more lie at 1, 2, 4, 8 … rows before: going back step by step replays next to nothing.

use std::collections::BTreeMap;

use crate::machine::Machine;

/// Key frames at most, those near the cursor not counted.
pub(crate) const MOST: usize = 256;
/// The smallest distance between two.
const LEAST_DISTANCE: u32 = 32;
/// The greatest distance of those near the cursor, as a power of two.
const NEAR: u32 = 9;

#[derive(Clone, Debug)]
pub(crate) struct Keyframes {
    distance: u32,
    spread: BTreeMap<u32, Machine>,
    near: BTreeMap<u32, Machine>,
}

impl Keyframes {
    pub(crate) fn new(first: Machine) -> Self {
        Self { distance: LEAST_DISTANCE, spread: BTreeMap::from([(0, first)]), near: BTreeMap::new() }
    }

    /// Keeps the state before row `row` if one is due there.
    pub(crate) fn passed(&mut self, row: u32, machine: &Machine) {
        if !row.is_multiple_of(self.distance) {
            return;
        }
        self.spread.entry(row).or_insert_with(|| machine.clone());
        if self.spread.len() > MOST {
            self.distance *= 2;
            self.spread.retain(|row, _| row.is_multiple_of(self.distance));
        }
    }

    /// The last one that is not after `row`.
    pub(crate) fn before(&self, row: u32) -> (u32, Machine) {
        let last = |frames: &BTreeMap<u32, Machine>| frames.range(..=row).next_back().map(|(at, m)| (*at, m.clone()));
        let (spread, near) = (last(&self.spread), last(&self.near));
        spread.into_iter().chain(near).max_by_key(|(at, _)| *at).expect("there is always one at 0")
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
        self.distance
    }
}
