//! What the engine counts and measures, read at any time.

use prometheus_client::{
    metrics::{counter::Counter, histogram::Histogram},
    registry::Registry,
};

/// What the engine has done since it was started.
#[derive(Debug)]
pub struct EngineStats {
    pub(super) sync_seconds: Histogram,
    pub(super) group_operations: Histogram,
    pub(super) syncs: Counter,
    pub(super) groups: Counter,
    pub(super) appends: Counter,
    pub(super) facts: Counter,
    pub(super) record_bytes: Counter,
    pub(super) journal_bytes: Counter,
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
    /// Appends refused since the queue was full.
    pub refused: u64,
    /// Checkpoints done.
    pub checkpoints: u64,
}

impl Default for EngineStats {
    fn default() -> Self {
        Self {
            // A disk's cache at one end, a disk that is stuck at the other.
            sync_seconds: Histogram::new([0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0]),
            group_operations: Histogram::new([1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 256.0, 1024.0]),
            syncs: Counter::default(),
            groups: Counter::default(),
            appends: Counter::default(),
            facts: Counter::default(),
            record_bytes: Counter::default(),
            journal_bytes: Counter::default(),
            refused: Counter::default(),
            checkpoints: Counter::default(),
        }
    }
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
            refused: self.refused.get(),
            checkpoints: self.checkpoints.get(),
        }
    }

    /// Shows them under their names.
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("storage");
        let histograms = [
            ("sync_seconds", "How long syncs of the journal took", &self.sync_seconds),
            ("group_operations", "Appends and facts written together, under one sync", &self.group_operations),
        ];
        for (name, help, histogram) in histograms {
            registry.register(name, help, histogram.clone());
        }
        let counters = [
            ("appends", "Batches appended", &self.appends),
            ("record_bytes", "Bytes of batches written to logs", &self.record_bytes),
            ("facts", "Facts of the broker's own state written", &self.facts),
            ("journal_bytes", "Bytes written to the journal", &self.journal_bytes),
            ("appends_refused", "Appends refused since too much waited to be written", &self.refused),
            ("checkpoints", "Checkpoints done", &self.checkpoints),
        ];
        for (name, help, counter) in counters {
            registry.register(name, help, counter.clone());
        }
    }
}
