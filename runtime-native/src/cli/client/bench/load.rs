//! What all runs have in common: how large records and batches are, over how many connections, until when; the
//! connections' tasks; and the progress, where there is somebody to see it.

use std::{
    io::{self, IsTerminal as _},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use tokio::{task::JoinSet, time::sleep};
use uuid::Uuid;

use super::budget::Budget;
use crate::cli::client::{connection::Connection, failure::Failure, output::OutputOptions, stop::Stop};

/// How long a run is, if nothing says it.
const DURATION: Duration = Duration::from_secs(10);
/// By how much the texts of records are shifted against each other.
const SHIFTS: usize = 4_096;

#[derive(Debug, Args)]
pub(super) struct LoadOptions {
    /// A topic that is there, and stays; else one is made, and removed in the end
    #[arg(short, long, value_name = "TOPIC")]
    pub(super) topic: Option<String>,

    /// How many partitions the topic has that is made; as many as connections, if nothing is said
    #[arg(short, long, value_name = "N", conflicts_with = "topic", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    partitions: Option<u32>,

    /// How many connections, each a client of its own
    #[arg(short, long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    connections: u32,

    /// Bytes of each record's value
    #[arg(short = 's', long, default_value_t = 1_024, value_name = "BYTES", value_parser = clap::value_parser!(u64).range(0..=16 << 20))]
    pub(super) record_bytes: u64,

    /// End after so many records of all connections together
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) count: Option<u64>,

    /// End after so many seconds; 10, if there is no --count either
    #[arg(short, long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    duration: Option<u64>,

    /// Show no progress on a terminal either
    #[arg(short, long)]
    quiet: bool,

    #[command(flatten)]
    pub(super) output: OutputOptions,

    #[command(flatten)]
    pub(super) connection: Connection,
}

impl LoadOptions {
    pub(super) fn connections(&self) -> usize {
        self.connections as usize
    }

    /// Of a topic that is made.
    pub(super) fn partitions(&self) -> u32 {
        self.partitions.unwrap_or_else(|| self.connections.min(100))
    }

    /// How long it may last.
    pub(super) fn duration(&self) -> Option<Duration> {
        let asked = self.duration.map(Duration::from_secs);
        asked.or_else(|| self.count.is_none().then_some(DURATION))
    }

    /// A bar for so many records, or for as many as come.
    pub(super) fn progress(&self, doing: &'static str, records: Option<u64>) -> Result<ProgressBar, Failure> {
        if self.quiet || !io::stderr().is_terminal() {
            return Ok(ProgressBar::hidden());
        }
        let (bar, template) = match records {
            Some(records) => (ProgressBar::new(records), "{msg} {wide_bar} {pos} of {len} records, {per_sec}"),
            None => (ProgressBar::new_spinner(), "{spinner} {msg} {pos} records, {per_sec}, {elapsed}"),
        };
        let style = ProgressStyle::with_template(template).map_err(|error| Failure::new(error.to_string()))?;
        let bar = bar.with_style(style).with_message(doing);
        bar.enable_steady_tick(Duration::from_millis(100));
        Ok(bar)
    }
}

/// Runs a task for each connection until all have ended. The budget is over at a signal, and when the time is.
pub(super) async fn on_each<T, Task>(
    tasks: impl Iterator<Item = Task>,
    budget: &Arc<Budget>,
    duration: Option<Duration>,
) -> Result<Vec<T>, Failure>
where
    T: Send + 'static,
    Task: Future<Output = Result<T, Failure>> + Send + 'static,
{
    let mut stop = Stop::at_signals()?;
    let mut running: JoinSet<_> = tasks.collect();
    let budget_ends = async {
        tokio::select! {
            () = stop.wanted() => {}
            () = sleep(duration.unwrap_or(Duration::MAX)) => {}
        }
        budget.end();
        std::future::pending().await
    };
    let all_end = async {
        let mut found = Vec::new();
        // Whoever fails takes the others along: they are aborted when this is dropped.
        while let Some(ended) = running.join_next().await {
            found.push(ended.map_err(|error| Failure::new(error.to_string()))??);
        }
        Ok(found)
    };
    tokio::select! {
        found = all_end => found,
        never = budget_ends => never,
    }
}

/// Values of records: a text that does not compress, and is another each time.
pub(super) struct Values {
    text: Bytes,
    bytes: usize,
    at: usize,
}

impl Values {
    pub(super) fn new(record_bytes: u64) -> Self {
        let bytes = usize::try_from(record_bytes).unwrap_or(usize::MAX);
        let mut text = String::new();
        while text.len() < bytes + SHIFTS {
            text.push_str(&Uuid::new_v4().simple().to_string());
        }
        Self { text: text.into(), bytes, at: 0 }
    }

    pub(super) fn next(&mut self) -> Bytes {
        self.at = (self.at + 1) % SHIFTS;
        self.text.slice(self.at..self.at + self.bytes)
    }
}
