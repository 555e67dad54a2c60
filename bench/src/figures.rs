//! What a run has measured.

use std::{fmt, time::Duration};

use hdrhistogram::Histogram;

/// The longest latency that is told apart from longer ones, in nanoseconds.
const LONGEST_NS: u64 = 60_000_000_000;

/// Latencies, in nanoseconds.
#[derive(Clone, Debug)]
pub(crate) struct Latencies(Histogram<u64>);

impl Latencies {
    pub(crate) fn new() -> Self {
        Self(Histogram::new_with_bounds(1, LONGEST_NS, 3).expect("these bounds are good"))
    }

    pub(crate) fn note(&mut self, latency: Duration) {
        self.0.saturating_record(u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX).clamp(1, LONGEST_NS));
    }

    pub(crate) fn at(&self, percentile: f64) -> Duration {
        Duration::from_nanos(self.0.value_at_percentile(percentile))
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.len()
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.0.add(&other.0).expect("all have the same bounds");
    }
}

impl fmt::Display for Latencies {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [p50, p99, p999, max] = [50.0, 99.0, 99.9, 100.0].map(|percentile| Ms(self.at(percentile)));
        write!(f, "p50 {p50} ms, p99 {p99} ms, p99.9 {p999} ms, max {max} ms")
    }
}

/// A duration in milliseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ms(pub(crate) Duration);

impl fmt::Display for Ms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}", self.0.as_secs_f64() * 1e3)
    }
}

/// What a load came to.
#[derive(Clone, Debug)]
pub(crate) struct Figures {
    pub(crate) requests: u64,
    pub(crate) records: u64,
    /// Of records produced, or of bodies received.
    pub(crate) bytes: u64,
    pub(crate) errors: u64,
    /// What the first error said.
    pub(crate) error: Option<String>,
    pub(crate) took: Duration,
    pub(crate) latencies: Latencies,
}

impl Figures {
    pub(crate) fn new(took: Duration) -> Self {
        Self { requests: 0, records: 0, bytes: 0, errors: 0, error: None, took, latencies: Latencies::new() }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.requests += other.requests;
        self.records += other.records;
        self.bytes += other.bytes;
        self.errors += other.errors;
        self.error = self.error.take().or_else(|| other.error.clone());
        self.took = self.took.max(other.took);
        self.latencies.merge(&other.latencies);
    }

    pub(crate) fn requests_per_second(&self) -> f64 {
        self.per_second(self.requests)
    }

    pub(crate) fn records_per_second(&self) -> f64 {
        self.per_second(self.records)
    }

    pub(crate) fn megabytes_per_second(&self) -> f64 {
        self.per_second(self.bytes) / 1e6
    }

    #[allow(clippy::cast_precision_loss)] // Far below 2^52.
    fn per_second(&self, count: u64) -> f64 {
        count as f64 / self.took.as_secs_f64()
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let requests = self.requests_per_second();
        let (records, megabytes) = (self.records_per_second(), self.megabytes_per_second());
        write!(f, "{requests:.0} requests/s, {records:.0} records/s, {megabytes:.1} MB/s; {}", self.latencies)?;
        match &self.error {
            Some(error) => write!(f, "; {} ERRORS, the first: {error}", self.errors),
            None => Ok(()),
        }
    }
}
