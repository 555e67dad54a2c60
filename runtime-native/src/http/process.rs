//! What the process takes of the machine, under the names that Prometheus' own clients use.

use std::fmt;

use procfs::process::{LimitValue, Process};
use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric as _},
    metrics::{MetricType, counter::ConstCounter, gauge::ConstGauge},
    registry::{Registry, Unit},
};

/// Shows the process.
pub(super) fn register(registry: &mut Registry) {
    registry.register_collector(Box::new(ThisProcess));
}

#[derive(Debug)]
struct ThisProcess;

/// What the system says at one moment.
struct Figures {
    cpu_seconds: f64,
    start_seconds: f64,
    resident_bytes: u64,
    virtual_bytes: u64,
    threads: u64,
    open_files: u64,
    max_files: u64,
}

impl Figures {
    #[allow(clippy::cast_precision_loss)] // Ticks and bytes are far below 2^52.
    fn read() -> procfs::ProcResult<Self> {
        let process = Process::myself()?;
        let stat = process.stat()?;
        let ticks = procfs::ticks_per_second() as f64;
        let max_files = match process.limits()?.max_open_files.soft_limit {
            LimitValue::Unlimited => u64::MAX,
            LimitValue::Value(files) => files,
        };
        Ok(Self {
            cpu_seconds: (stat.utime + stat.stime) as f64 / ticks,
            start_seconds: procfs::boot_time_secs()? as f64 + stat.starttime as f64 / ticks,
            resident_bytes: stat.rss * procfs::page_size(),
            virtual_bytes: stat.vsize,
            threads: u64::try_from(stat.num_threads).unwrap_or_default(),
            open_files: process.fd_count()? as u64,
            max_files,
        })
    }
}

impl Collector for ThisProcess {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let figures = match Figures::read() {
            Ok(figures) => figures,
            Err(error) => {
                tracing::debug!(%error, "the process can't be looked at");
                return Ok(());
            }
        };
        let help = "Time that processors spent on the process.";
        let metric = encoder.encode_descriptor("process_cpu", help, Some(&Unit::Seconds), MetricType::Counter)?;
        ConstCounter::new(figures.cpu_seconds).encode(metric)?;
        let help = "When the process was started, in seconds since 1970.";
        let metric = encoder.encode_descriptor("process_start_time", help, Some(&Unit::Seconds), MetricType::Gauge)?;
        ConstGauge::new(figures.start_seconds).encode(metric)?;
        for (name, help, unit, value) in [
            ("process_resident_memory", "Memory of the process.", Some(&Unit::Bytes), figures.resident_bytes),
            ("process_virtual_memory", "Addresses of the process.", Some(&Unit::Bytes), figures.virtual_bytes),
            ("process_threads", "Threads of the process.", None, figures.threads),
            ("process_open_fds", "Files that the process has open.", None, figures.open_files),
            ("process_max_fds", "Files that the process may have open.", None, figures.max_files),
        ] {
            let metric = encoder.encode_descriptor(name, help, unit, MetricType::Gauge)?;
            ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX)).encode(metric)?;
        }
        Ok(())
    }
}
