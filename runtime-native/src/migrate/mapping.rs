//! Which offset a record has got in Kafka.
//!
//! Kafka's logs begin at 0 and are filled without a gap, so an offset stays what it is as long as the source has lost none
//! before it. Otherwise what follows each other on both sides is a *run*, and the runs of a partition, in order, say of any
//! offset what has become of it.

use serde::{Deserialize, Serialize};

/// Records that follow each other, in the source as in Kafka.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Run {
    /// The first record's offset in the source.
    pub(super) source: u64,
    /// The same record's in Kafka.
    pub(super) target: u64,
    /// How many they are, at least one.
    pub(super) records: u64,
}

impl Run {
    /// The offset in the source behind the last record.
    fn end(&self) -> u64 {
        self.source + self.records
    }

    /// Whether the offsets are the same on both sides.
    pub(super) fn is_same(&self) -> bool {
        self.source == self.target
    }
}

/// The runs of a partition as they come about, of which the last may still grow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Runs {
    /// Those that are over, in order.
    pub(super) closed: Vec<Run>,
    /// The last.
    pub(super) open: Option<Run>,
}

impl Runs {
    /// Goes on with `open`.
    pub(super) fn after(open: Option<Run>) -> Self {
        Self { closed: Vec::new(), open }
    }

    /// A record from `source` lies at `target`; both are greater than any before.
    pub(super) fn note(&mut self, source: u64, target: u64) {
        match &mut self.open {
            // The target has no gaps: it follows whenever the source does.
            Some(run) if run.end() == source => run.records += 1,
            open => self.closed.extend(open.replace(Run { source, target, records: 1 })),
        }
    }
}

/// Where a group goes on in Kafka whose next record has the offset `source`; `end` is the offset behind the last record
/// there. If that record is gone, it goes on at the next that there is.
pub(super) fn translated(runs: &[Run], end: u64, source: u64) -> u64 {
    let behind = runs.partition_point(|run| run.end() <= source);
    runs.get(behind).map_or(end, |run| run.target + source.saturating_sub(run.source))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn runs_of(offsets: &[u64]) -> Vec<Run> {
        let mut runs = Runs::default();
        for (target, source) in offsets.iter().enumerate() {
            runs.note(*source, target as u64);
        }
        runs.closed.into_iter().chain(runs.open).collect()
    }

    #[test]
    fn a_log_without_gaps_is_one_run_of_the_same_offsets() {
        let runs = runs_of(&[0, 1, 2, 3]);
        assert_eq!(runs, [Run { source: 0, target: 0, records: 4 }]);
        assert!(runs[0].is_same());
        assert_eq!([0, 3, 4, 9].map(|offset| translated(&runs, 4, offset)), [0, 3, 4, 4]);
    }

    #[test]
    fn behind_a_gap_offsets_are_smaller() {
        let runs = runs_of(&[5, 6, 9, 20]);
        let expected = [(5, 0, 2), (9, 2, 1), (20, 3, 1)];
        assert_eq!(runs, expected.map(|(source, target, records)| Run { source, target, records }));
        // Before the first, at each, within gaps, and behind the last.
        let asked = [0, 5, 6, 7, 8, 9, 10, 19, 20, 21, 100];
        assert_eq!(asked.map(|offset| translated(&runs, 4, offset)), [0, 0, 1, 2, 2, 2, 3, 3, 3, 4, 4]);
    }

    #[test]
    fn without_a_record_every_offset_is_the_end() {
        assert_eq!(translated(&[], 0, 17), 0);
    }

    proptest! {
        /// Whoever has read all before an offset has read as many records in Kafka.
        #[test]
        fn an_offset_becomes_the_number_of_records_before_it(
            offsets in prop::collection::btree_set(0_u64..200, 0..80),
            asked in 0_u64..220,
        ) {
            let offsets: Vec<u64> = offsets.into_iter().collect();
            let before = offsets.iter().filter(|offset| **offset < asked).count() as u64;
            prop_assert_eq!(translated(&runs_of(&offsets), offsets.len() as u64, asked), before);
        }

        /// Whatever moment a run of the command ended at, the next one goes on as if nothing had been.
        #[test]
        fn runs_that_were_kept_are_gone_on_with(
            offsets in prop::collection::btree_set(0_u64..200, 0..80),
            cut in 0_usize..80,
        ) {
            let offsets: Vec<u64> = offsets.into_iter().collect();
            let cut = cut.min(offsets.len());
            let mut runs = Runs::default();
            let note = |runs: &mut Runs, range: std::ops::Range<usize>| {
                for at in range {
                    runs.note(offsets[at], at as u64);
                }
            };
            note(&mut runs, 0..cut);
            let mut all = std::mem::take(&mut runs.closed);
            let mut runs = Runs::after(runs.open);
            note(&mut runs, cut..offsets.len());
            all.extend(runs.closed.into_iter().chain(runs.open));
            prop_assert_eq!(all, runs_of(&offsets));
        }
    }
}
