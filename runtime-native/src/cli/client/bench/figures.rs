//! What a run has found, and how it is printed.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::cli::client::{
    failure::Failure,
    output::{Output, Table},
};

/// The longest time that is told apart from longer ones.
const LONGEST: Duration = Duration::from_mins(10);

/// How long things took, to three digits.
pub(super) struct Latencies(Histogram<u64>);

impl Latencies {
    pub(super) fn new() -> Self {
        Self(Histogram::new_with_bounds(1, nanoseconds(LONGEST), 3).expect("these bounds are good"))
    }

    pub(super) fn note(&mut self, took: Duration) {
        self.0.saturating_record(nanoseconds(took).max(1));
    }

    pub(super) fn merge(mut self, other: &Self) -> Self {
        self.0.add(&other.0).expect("all have the same bounds");
        self
    }

    fn milliseconds(&self) -> Milliseconds {
        let at = |quantile: f64| rounded(Duration::from_nanos(self.0.value_at_quantile(quantile)).as_secs_f64() * 1e3);
        Milliseconds {
            mean: rounded(self.0.mean() / 1e6),
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p99_9: at(0.999),
            max: at(1.0),
        }
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

/// To microseconds.
fn rounded(milliseconds: f64) -> f64 {
    (milliseconds * 1e3).round() / 1e3
}

#[derive(Serialize)]
struct Milliseconds {
    mean: f64,
    p50: f64,
    p90: f64,
    p99: f64,
    p99_9: f64,
    max: f64,
}

/// What was measured of one thing.
#[derive(Serialize)]
pub(super) struct Figures {
    /// `produced`, `consumed`, `acknowledged` or `received`.
    what: &'static str,
    records: u64,
    seconds: f64,
    records_per_second: f64,
    megabytes_per_second: f64,
    /// How long batches, polls or records took.
    latency_ms: Milliseconds,
}

impl Figures {
    #[allow(clippy::cast_precision_loss)] // Far below 2^52.
    pub(super) fn new(what: &'static str, records: u64, bytes: u64, took: Duration, latencies: &Latencies) -> Self {
        let seconds = took.as_secs_f64().max(1e-6);
        Self {
            what,
            records,
            seconds: rounded(seconds),
            records_per_second: (records as f64 / seconds).round(),
            megabytes_per_second: (bytes as f64 / seconds / 1e4).round() / 100.0,
            latency_ms: latencies.milliseconds(),
        }
    }
}

/// A run and its results.
#[derive(Serialize)]
pub(super) struct Report {
    pub(super) topic: String,
    pub(super) partitions: u32,
    pub(super) connections: usize,
    pub(super) batch: u64,
    pub(super) record_bytes: u64,
    pub(super) results: Vec<Figures>,
}

impl Report {
    pub(super) fn print(&self, output: Output) -> Result<(), Failure> {
        let mut table = Table::new([
            "what",
            "records",
            "seconds",
            "records/s",
            "MB/s",
            "mean ms",
            "p50",
            "p90",
            "p99",
            "p99.9",
            "max",
        ]);
        for found in &self.results {
            let Milliseconds { mean, p50, p90, p99, p99_9, max } = found.latency_ms;
            let mut row = vec![
                found.what.to_owned(),
                found.records.to_string(),
                format!("{:.3}", found.seconds),
                format!("{:.0}", found.records_per_second),
                format!("{:.2}", found.megabytes_per_second),
            ];
            row.extend([mean, p50, p90, p99, p99_9, max].map(|ms| format!("{ms:.3}")));
            table.row(row);
        }
        output.print(self, &table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_of_what_was_noted() {
        let (mut one, mut other) = (Latencies::new(), Latencies::new());
        (1..=50).for_each(|ms| one.note(Duration::from_millis(ms)));
        (51..=100).for_each(|ms| other.note(Duration::from_millis(ms)));
        let figures = Figures::new("produced", 1_000, 2_000_000, Duration::from_millis(500), &one.merge(&other));
        assert_eq!((figures.records_per_second, figures.megabytes_per_second), (2_000.0, 4.0));
        for (found, wanted) in [
            (figures.latency_ms.mean, 50.5),
            (figures.latency_ms.p50, 50.0),
            (figures.latency_ms.p99, 99.0),
            (figures.latency_ms.max, 100.0),
        ] {
            assert!((found - wanted).abs() < wanted / 500.0, "{found} is not {wanted}");
        }
    }
}
