//! Copies spread evenly over a run.
//!
//! There are never more than a given number. When there would be, every second one goes and the distance doubles: from any row the
//! copy before it is at most as far as the run's length divided by half of that number.

use std::collections::BTreeMap;

/// The smallest distance between two.
const LEAST_DISTANCE: u32 = 32;

/// Copies of something that goes on row by row, by the number of rows that had happened.
#[derive(Clone, Debug)]
pub(crate) struct Spread<T> {
    most: usize,
    distance: u32,
    kept: BTreeMap<u32, T>,
}

impl<T: Clone> Spread<T> {
    /// At most so many, with one of the beginning.
    pub(crate) fn new(most: usize, first: T) -> Self {
        Self { most, distance: LEAST_DISTANCE, kept: BTreeMap::from([(0, first)]) }
    }

    /// Whether a copy of where `row` rows have happened belongs here.
    pub(crate) fn is_due(&self, row: u32) -> bool {
        row.is_multiple_of(self.distance)
    }

    /// Keeps one, unless it is there.
    pub(crate) fn keep(&mut self, row: u32, copy: T) {
        self.kept.entry(row).or_insert(copy);
        if self.kept.len() > self.most {
            self.distance *= 2;
            self.kept.retain(|row, _| row.is_multiple_of(self.distance));
        }
    }

    /// The last one that is not after `row`.
    pub(crate) fn before(&self, row: u32) -> (u32, &T) {
        let (at, copy) = self.kept.range(..=row).next_back().expect("there is always one at 0");
        (*at, copy)
    }

    /// Those that are not after `row`.
    pub(crate) fn until(&self, row: u32) -> Self {
        let kept = self.kept.range(..=row).map(|(at, copy)| (*at, copy.clone())).collect();
        Self { kept, ..*self }
    }

    /// How far apart they are.
    pub(crate) fn distance(&self) -> u32 {
        self.distance
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_never_more_than_that_and_one_is_always_near() {
        let mut spread = Spread::new(8, 0);
        for row in 1..10_000 {
            if spread.is_due(row) {
                spread.keep(row, row);
            }
            assert!(spread.kept.len() <= 8);
            let (at, copy) = spread.before(row);
            assert_eq!(at, *copy);
            assert!(row - at < spread.distance().max(1), "{row} is {} from {at}", row - at);
        }
        let part = spread.until(5_000);
        assert_eq!(part.before(9_999), spread.before(5_000));
        assert!(spread.distance() <= 2 * 10_000 / 4);
    }
}
