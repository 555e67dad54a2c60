//! What is counted of records in a cluster, read at any time.

use std::sync::atomic::AtomicU64;

use prometheus_client::{
    metrics::{counter::Counter, gauge::Gauge},
    registry::Registry,
};

/// What has been done since the node connected.
#[derive(Debug, Default)]
pub struct RecordsStats {
    pub(super) reads_cached: Counter,
    pub(super) reads_from_brokers: Counter,
    pub(super) reads_failed: Counter,
    pub(super) records_followed: Counter,
    pub(super) partitions_restarted: Counter,
    pub(super) cold_starts: Counter,
    pub(super) appends: Counter,
    pub(super) append_bytes: Counter,
    pub(super) appends_overloaded: Counter,
    pub(super) appends_failed: Counter,
    pub(super) appends_uncertain: Counter,
    pub(super) catalogue_failures: Counter,
    pub(super) handles: Gauge,
    pub(super) followed: Gauge,
    pub(super) cached_bytes: Gauge<u64, AtomicU64>,
}

/// The numbers at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordsCounts {
    /// Reads answered from memory.
    pub reads_cached: u64,
    /// Reads answered with what a handle had or fetched.
    pub reads_from_brokers: u64,
    /// Reads that failed.
    pub reads_failed: u64,
    /// Records fetched of partitions that are followed.
    pub records_followed: u64,
    /// How often following was begun anew, since a log was cut or could not be read.
    pub partitions_restarted: u64,
    /// How often a handle was moved to another place.
    pub cold_starts: u64,
    /// Batches appended.
    pub appends: u64,
    /// Bytes of these batches.
    pub append_bytes: u64,
    /// Batches refused since too much was on its way.
    pub appends_overloaded: u64,
    /// Batches of which nothing was written.
    pub appends_failed: u64,
    /// Batches of which a part was written, or nobody knows.
    pub appends_uncertain: u64,
    /// Looks at the catalogue that failed.
    pub catalogue_failures: u64,
    /// Handles made to read what is not cached.
    pub handles: u64,
    /// Partitions followed now.
    pub followed: u64,
    /// Bytes cached now.
    pub cached_bytes: u64,
}

impl RecordsStats {
    /// The numbers now. They are read one after the other.
    pub fn read(&self) -> RecordsCounts {
        RecordsCounts {
            reads_cached: self.reads_cached.get(),
            reads_from_brokers: self.reads_from_brokers.get(),
            reads_failed: self.reads_failed.get(),
            records_followed: self.records_followed.get(),
            partitions_restarted: self.partitions_restarted.get(),
            cold_starts: self.cold_starts.get(),
            appends: self.appends.get(),
            append_bytes: self.append_bytes.get(),
            appends_overloaded: self.appends_overloaded.get(),
            appends_failed: self.appends_failed.get(),
            appends_uncertain: self.appends_uncertain.get(),
            catalogue_failures: self.catalogue_failures.get(),
            handles: u64::try_from(self.handles.get()).unwrap_or(0),
            followed: u64::try_from(self.followed.get()).unwrap_or(0),
            cached_bytes: self.cached_bytes.get(),
        }
    }

    /// Shows them under their names.
    pub fn register(&self, registry: &mut Registry) {
        let registry = registry.sub_registry_with_prefix("kafka");
        let counters = [
            ("reads_cached", "Reads answered from memory", &self.reads_cached),
            ("reads_from_brokers", "Reads of what is not cached", &self.reads_from_brokers),
            ("reads_failed", "Reads that failed", &self.reads_failed),
            ("records_followed", "Records fetched of partitions that are followed", &self.records_followed),
            ("partitions_restarted", "Partitions that were followed anew", &self.partitions_restarted),
            ("cold_starts", "Moves of a reading handle to another place", &self.cold_starts),
            ("appends", "Batches appended", &self.appends),
            ("append_bytes", "Bytes of batches appended", &self.append_bytes),
            ("appends_overloaded", "Batches refused since too much was on its way", &self.appends_overloaded),
            ("appends_failed", "Batches of which nothing was written", &self.appends_failed),
            ("appends_uncertain", "Batches whose outcome is unknown", &self.appends_uncertain),
            ("catalogue_failures", "Looks at the cluster's topics that failed", &self.catalogue_failures),
        ];
        for (name, help, counter) in counters {
            registry.register(name, help, counter.clone());
        }
        registry.register("handles", "Handles that read what is not cached", self.handles.clone());
        registry.register("followed", "Partitions followed", self.followed.clone());
        registry.register("cached_bytes", "Bytes of records cached", self.cached_bytes.clone());
    }
}
