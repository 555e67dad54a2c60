//! Counters, read at any time.

use std::sync::atomic::{AtomicU64, Ordering};

/// What the engine has done since it was started.
#[derive(Debug, Default)]
pub struct EngineStats {
    pub(super) syncs: Counter,
    pub(super) groups: Counter,
    pub(super) appends: Counter,
    pub(super) facts: Counter,
    pub(super) record_bytes: Counter,
    pub(super) journal_bytes: Counter,
    pub(super) largest_group: Counter,
    pub(super) refused: Counter,
    pub(super) checkpoints: Counter,
}

/// The counters at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EngineCounts {
    /// Syncs of the journal.
    pub syncs: u64,
    /// Groups of operations written together.
    pub groups: u64,
    /// Appends done.
    pub appends: u64,
    /// Facts written.
    pub facts: u64,
    /// Bytes of batches written to segments.
    pub record_bytes: u64,
    /// Bytes written to the journal.
    pub journal_bytes: u64,
    /// The most appends and facts in one group.
    pub largest_group: u64,
    /// Appends refused since the queue was full.
    pub refused: u64,
    /// Checkpoints done.
    pub checkpoints: u64,
}

impl EngineStats {
    /// The counters now. They are read one after the other.
    pub fn read(&self) -> EngineCounts {
        EngineCounts {
            syncs: self.syncs.get(),
            groups: self.groups.get(),
            appends: self.appends.get(),
            facts: self.facts.get(),
            record_bytes: self.record_bytes.get(),
            journal_bytes: self.journal_bytes.get(),
            largest_group: self.largest_group.get(),
            refused: self.refused.get(),
            checkpoints: self.checkpoints.get(),
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub(super) fn at_least(&self, value: u64) {
        self.0.fetch_max(value, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
