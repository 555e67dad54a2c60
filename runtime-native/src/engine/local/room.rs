//! How much room the disk has on which the data directory lies, whenever somebody looks.

use std::{fmt, path::PathBuf};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{MetricType, gauge::ConstGauge},
    registry::Unit,
};

/// The disk of a data directory. Where it can't be looked at there are no figures.
#[derive(Clone, Debug)]
pub struct DiskRoom {
    data_dir: PathBuf,
}

impl DiskRoom {
    /// That of this directory.
    pub fn of(data_dir: impl Into<PathBuf>) -> Self {
        Self { data_dir: data_dir.into() }
    }
}

impl Collector for DiskRoom {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Ok(disk) = rustix::fs::statvfs(&self.data_dir) else { return Ok(()) };
        for (name, help, blocks) in [
            ("storage_disk_free", "Room that is left on the data directory's disk.", disk.f_bavail),
            ("storage_disk_size", "The size of the data directory's disk.", disk.f_blocks),
        ] {
            let bytes = i64::try_from(blocks.saturating_mul(disk.f_frsize)).unwrap_or(i64::MAX);
            let metric = encoder.encode_descriptor(name, help, Some(&Unit::Bytes), MetricType::Gauge)?;
            ConstGauge::new(bytes).encode(metric)?;
        }
        Ok(())
    }
}
