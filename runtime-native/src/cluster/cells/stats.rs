//! What the cells of a node count and measure, read at any time.

use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};
use takhin_core::cell::StepDown;

type Reason = [(&'static str, &'static str); 1];

/// What the cells of a node have done since it was started.
#[derive(Debug)]
pub struct CellsStats {
    pub(super) owned: Gauge,
    pub(super) takeovers: Counter,
    pub(super) takeover_seconds: Histogram,
    pub(super) step_downs: Family<Reason, Counter>,
    pub(super) appends: Counter,
    pub(super) appends_unknown: Counter,
    pub(super) append_seconds: Histogram,
    pub(super) appended_bytes: Counter,
    pub(super) entries_replayed: Counter,
    pub(super) snapshots: Counter,
    pub(super) snapshot_failures: Counter,
    pub(super) lease_lapses: Counter,
    pub(super) stand_ins: Counter,
}

/// The counters at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CellsCounts {
    /// Cells that are owned now.
    pub owned: i64,
    /// Cells taken over.
    pub takeovers: u64,
    /// Entries appended and acknowledged.
    pub appends: u64,
    /// Appends of which it isn't known what came.
    pub appends_unknown: u64,
    /// Bytes of entries that were acknowledged.
    pub appended_bytes: u64,
    /// Entries read from journals.
    pub entries_replayed: u64,
    /// Snapshots written and read back.
    pub snapshots: u64,
    /// Snapshots that were not.
    pub snapshot_failures: u64,
    /// Times that a lease ran out.
    pub lease_lapses: u64,
    /// Times that this node stood in for an owner that showed itself no longer.
    pub stand_ins: u64,
}

impl Default for CellsStats {
    fn default() -> Self {
        Self {
            owned: Gauge::default(),
            takeovers: Counter::default(),
            // From a clean hand-over of little to one of much from somebody who died.
            takeover_seconds: Histogram::new([0.03, 0.1, 0.3, 1.0, 3.0, 6.0, 10.0, 30.0, 100.0]),
            step_downs: Family::default(),
            appends: Counter::default(),
            appends_unknown: Counter::default(),
            append_seconds: Histogram::new([0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0]),
            appended_bytes: Counter::default(),
            entries_replayed: Counter::default(),
            snapshots: Counter::default(),
            snapshot_failures: Counter::default(),
            lease_lapses: Counter::default(),
            stand_ins: Counter::default(),
        }
    }
}

impl CellsStats {
    pub(super) fn stepped_down(&self, why: StepDown) {
        self.step_downs.get_or_create(&reason(why)).inc();
    }

    /// How often cells were given up for a reason.
    pub fn step_downs(&self, why: StepDown) -> u64 {
        self.step_downs.get_or_create(&reason(why)).get()
    }

    /// The counters now. They are read one after the other.
    pub fn read(&self) -> CellsCounts {
        CellsCounts {
            owned: self.owned.get(),
            takeovers: self.takeovers.get(),
            appends: self.appends.get(),
            appends_unknown: self.appends_unknown.get(),
            appended_bytes: self.appended_bytes.get(),
            entries_replayed: self.entries_replayed.get(),
            snapshots: self.snapshots.get(),
            snapshot_failures: self.snapshot_failures.get(),
            lease_lapses: self.lease_lapses.get(),
            stand_ins: self.stand_ins.get(),
        }
    }

    /// Shows them under their names.
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("cells");
        registry.register("owned", "Cells that this node owns", self.owned.clone());
        registry.register("step_downs", "Cells given up, by reason", self.step_downs.clone());
        let histograms = [
            ("takeover_seconds", "From an announcement to owning the cell", &self.takeover_seconds),
            ("append_seconds", "How long entries took to be acknowledged", &self.append_seconds),
        ];
        for (name, help, histogram) in histograms {
            registry.register(name, help, histogram.clone());
        }
        let counters = [
            ("takeovers", "Cells taken over", &self.takeovers),
            ("appends", "Entries appended to journals", &self.appends),
            ("appends_unknown", "Appends of which it isn't known what came", &self.appends_unknown),
            ("appended_bytes", "Bytes appended to journals", &self.appended_bytes),
            ("entries_replayed", "Entries read from journals", &self.entries_replayed),
            ("snapshots", "Snapshots written and read back", &self.snapshots),
            ("snapshot_failures", "Snapshots that were not written", &self.snapshot_failures),
            ("lease_lapses", "Times that a lease ran out", &self.lease_lapses),
            ("stand_ins", "Times that this node stood in for an owner that showed itself no longer", &self.stand_ins),
        ];
        for (name, help, counter) in counters {
            registry.register(name, help, counter.clone());
        }
    }
}

fn reason(why: StepDown) -> Reason {
    let why = match why {
        StepDown::Revoked => "revoked",
        StepDown::Overtaken => "overtaken",
        StepDown::Unsure => "unsure",
        StepDown::Torn => "torn",
    };
    [("reason", why)]
}
