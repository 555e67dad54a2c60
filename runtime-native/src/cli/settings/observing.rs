//! Settings of what the server tells of itself.

use std::{path::PathBuf, str::FromStr};

use clap::{Args, ValueEnum};
use takhin::driver::TraceConfig;
use tracing_subscriber::EnvFilter;

#[derive(Debug, Args)]
#[command(next_help_heading = "What the server tells")]
pub(in crate::cli) struct Observing {
    /// What to log, as in "info" or "takhin=debug"
    #[arg(long, env = "TAKHIN_LOG", default_value = "info", value_name = "FILTER")]
    pub(in crate::cli) log: LogFilter,

    /// How logs are written: text, or one JSON object a line
    #[arg(long, env = "TAKHIN_LOG_FORMAT", default_value = "text", value_name = "text|json")]
    pub(in crate::cli) log_format: LogFormat,

    /// Keep this many of the last steps in memory, for GET /api/debug/trace; 0 for none
    #[arg(
        long,
        env = "TAKHIN_FLIGHT_RECORDER",
        value_name = "STEPS",
        default_value_t = 10_000,
        value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(0..=10_000_000)
    )]
    flight_recorder: usize,

    /// Write every step of the broker's state machine to this file, to be replayed; names, sizes and offsets, and no
    /// key or value
    #[arg(long, env = "TAKHIN_RECORD", value_name = "FILE")]
    record: Option<PathBuf>,
}

/// How lines of a log look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(in crate::cli) enum LogFormat {
    Text,
    Json,
}

/// What is logged. It was checked.
#[derive(Clone, Debug)]
pub(in crate::cli) struct LogFilter(String);

impl FromStr for LogFilter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        EnvFilter::try_new(text).map(|_| Self(text.to_owned())).map_err(|error| error.to_string())
    }
}

impl LogFilter {
    pub(in crate::cli) fn filter(&self) -> EnvFilter {
        EnvFilter::new(&self.0)
    }
}

impl Observing {
    /// What is remembered of the core's steps.
    pub(in crate::cli) fn trace(&self) -> TraceConfig {
        TraceConfig { flight_steps: self.flight_recorder, record: self.record.clone() }
    }
}
