//! Settings of what the server tells of itself.

use std::{convert::Infallible, path::PathBuf, str::FromStr, sync::Arc};

use axum::http::Uri;
use clap::{Args, ValueEnum, builder::BoolishValueParser};
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

    /// Collector of OpenTelemetry that gets a span for each request, over OTLP with HTTP, as in `http://localhost:4318`.
    /// Takes a program that was built with the feature otel
    #[arg(long, env = "TAKHIN_OTLP_ENDPOINT", value_name = "URL")]
    pub(super) otlp_endpoint: Option<CollectorUrl>,

    /// Of how many requests that are in no trace yet a trace is begun: 1 is all of them, 0.01 one of a hundred
    #[arg(long, env = "TAKHIN_OTLP_SAMPLE_RATIO", default_value = "1", value_name = "0..1")]
    otlp_sample_ratio: SampleRatio,

    /// Keep this many of the last steps in memory, for GET /api/debug/trace; 0 for none
    #[arg(
        long,
        env = "TAKHIN_FLIGHT_RECORDER",
        value_name = "STEPS",
        default_value_t = 10_000,
        value_parser = clap::builder::RangedU64ValueParser::<usize>::new().range(0..=10_000_000)
    )]
    flight_recorder: usize,

    /// Judge every step of the broker's state machine as it serves; a broken promise is logged, counted, told by
    /// /api/health, and its trace put beside the data. Costs some of the speed
    #[arg(
        long,
        env = "TAKHIN_AUDIT",
        default_value = "false",
        num_args = 0..=1,
        default_missing_value = "true",
        require_equals = true,
        value_parser = BoolishValueParser::new(),
        value_name = "true|false"
    )]
    audit: bool,

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

/// Where spans go.
#[derive(Clone, Debug)]
pub(super) struct CollectorUrl(String);

impl FromStr for CollectorUrl {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const EXPECTED: &str = "expected a URL without TLS, as in http://localhost:4318";
        let url: Uri = text.parse().map_err(|_| EXPECTED)?;
        match (url.scheme_str(), url.authority(), url.path()) {
            (Some("http"), Some(authority), "" | "/") => Ok(Self(format!("http://{authority}/v1/traces"))),
            (Some("http"), Some(_), _) => Ok(Self(text.to_owned())),
            _ => Err(EXPECTED),
        }
    }
}

/// Of how many requests a trace is begun, from 0 to 1.
#[derive(Clone, Copy, Debug)]
pub(super) struct SampleRatio(f64);

impl FromStr for SampleRatio {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let ratio = text.parse().ok().filter(|ratio| (0.0..=1.0).contains(ratio));
        ratio.map(Self).ok_or("expected a number from 0 to 1")
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
    /// Who sends spans, if they are to be sent. To be called within a tokio runtime.
    ///
    /// # Errors
    /// If there is no sending them.
    #[cfg(feature = "otel")]
    pub(in crate::cli) fn traces(&self) -> Result<Option<Arc<takhin::otel::Traces>>, String> {
        let Some(CollectorUrl(url)) = &self.otlp_endpoint else { return Ok(None) };
        takhin::otel::Traces::start(url, self.otlp_sample_ratio.0).map(Some)
    }

    pub(super) fn conflicts(&self) -> Vec<String> {
        let mut conflicts = Vec::new();
        if let (Some(CollectorUrl(url)), false) = (&self.otlp_endpoint, cfg!(feature = "otel")) {
            let SampleRatio(ratio) = self.otlp_sample_ratio;
            conflicts.push(format!(
                "otlp-endpoint is {url}, with otlp-sample-ratio {ratio}, and this program was built without the feature otel"
            ));
        }
        conflicts
    }

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
        TraceConfig { flight_steps: self.flight_recorder, record: self.record.clone(), audit: self.audit }
    }
}

fn destination(to: &AccessLogTo) -> String {
    match to {
        AccessLogTo::Stdout => "stdout".to_owned(),
        AccessLogTo::Stderr => "stderr".to_owned(),
        AccessLogTo::File(path) => path.display().to_string(),
    }
}
