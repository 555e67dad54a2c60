//! Settings of what the server tells of itself.

use std::{convert::Infallible, path::PathBuf, str::FromStr, sync::Arc};

use clap::{Args, ValueEnum};
use takhin::{
    driver::TraceConfig,
    http::{AccessLog, AccessLogFormat, AccessLogTo},
};
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

    /// Write a line for each request: to stderr, to stdout, or to the end of a file, which SIGHUP opens anew. Lines that
    /// can't be written as fast as they come are lost and counted
    #[arg(
        long,
        env = "TAKHIN_ACCESS_LOG",
        default_value = "off",
        num_args = 0..=1,
        default_missing_value = "stderr",
        require_equals = true,
        value_name = "off|stderr|stdout|FILE"
    )]
    access_log: AccessLogArgument,

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

/// Where the access log goes, if anywhere.
#[derive(Clone, Debug)]
pub(super) struct AccessLogArgument(Option<AccessLogTo>);

impl FromStr for AccessLogArgument {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(Self(match text {
            "off" | "false" => None,
            "stderr" | "true" => Some(AccessLogTo::Stderr),
            "stdout" => Some(AccessLogTo::Stdout),
            path => Some(AccessLogTo::File(path.into())),
        }))
    }
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
    /// The access log, if there is to be one.
    ///
    /// # Errors
    /// If it can't be written where it is to go.
    pub(in crate::cli) fn access_log(&self) -> Result<Option<Arc<AccessLog>>, String> {
        let Some(to) = &self.access_log.0 else { return Ok(None) };
        let format = match self.log_format {
            LogFormat::Text => AccessLogFormat::Text,
            LogFormat::Json => AccessLogFormat::Json,
        };
        let log = AccessLog::start(to.clone(), format);
        log.map(Some).map_err(|error| format!("access-log {}: {error}", destination(to)))
    }

    /// What is remembered of the core's steps.
    pub(in crate::cli) fn trace(&self) -> TraceConfig {
        TraceConfig { flight_steps: self.flight_recorder, record: self.record.clone() }
    }
}

fn destination(to: &AccessLogTo) -> String {
    match to {
        AccessLogTo::Stdout => "stdout".to_owned(),
        AccessLogTo::Stderr => "stderr".to_owned(),
        AccessLogTo::File(path) => path.display().to_string(),
    }
}
