//! `takhin serve`.

use std::{
    io,
    io::{IsTerminal as _, Write as _},
    path::PathBuf,
    str::FromStr,
    time::{Duration, Instant},
};

use clap::Args;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use takhin::{
    driver::{Driver, DriverConfig, Started, TraceConfig},
    engine::local::{Durability, LocalConfig},
    http::{self, HttpConfig},
};
use takhin_core::{Config, DurationMs};
use tokio::{
    runtime,
    signal::unix::{SignalKind, signal},
};
use tracing_subscriber::EnvFilter;

use super::{access::AccessArguments, banner::Banner, kafka_rest::KafkaRest, listen::listen};

/// File handles that are neither connections nor segments.
const OTHER_FILES: u64 = 256;

/// Fewer connections than this are worth a warning.
const FEW_CONNECTIONS: usize = 10_000;

#[derive(Debug, Args)]
pub(super) struct Serve {
    /// Address to listen on, host:port; can be given several times
    #[arg(long, env = "TAKHIN_LISTEN", value_delimiter = ',', default_value = "localhost:8080", value_name = "ADDR")]
    listen: Vec<String>,

    /// Directory in which everything is kept; made if it isn't there
    #[arg(long, env = "TAKHIN_DATA_DIR", default_value = "takhin-data", value_name = "DIR")]
    data_dir: PathBuf,

    /// When a write is answered: once it is synced to disk (fsync), once it is written, with a sync every so many
    /// milliseconds (interval:MS), or once it is written, with syncs left to the system (os)
    #[arg(long, env = "TAKHIN_DURABILITY", default_value = "fsync", value_name = "fsync|interval:MS|os")]
    durability: DurabilityArgument,

    /// Create a topic with this many partitions when one that doesn't exist is subscribed to or produced to; true is 1,
    /// and false or 0 is not to
    #[arg(
        long,
        env = "TAKHIN_AUTO_CREATE_TOPICS",
        value_name = "PARTITIONS",
        num_args = 0..=1,
        default_value = "false",
        default_missing_value = "true",
        require_equals = true,
        hide_default_value = true
    )]
    auto_create_topics: AutoCreateTopics,

    /// Write every step of the broker's state machine to this file, to be replayed; names, sizes and offsets, and no
    /// key or value
    #[arg(long, env = "TAKHIN_RECORD", value_name = "FILE")]
    record: Option<PathBuf>,

    /// Keep this many of the last steps in memory, for GET /api/debug/trace; 0 for none
    #[arg(long, env = "TAKHIN_FLIGHT_RECORDER", value_name = "STEPS", default_value_t = 10_000)]
    flight_recorder: usize,

    /// Judge every step of the broker's state machine as it serves; a broken promise is logged, counted, told by
    /// /api/health, and its trace put beside the data. Costs some of the speed
    #[arg(long, env = "TAKHIN_AUDIT")]
    audit: bool,

    /// How many milliseconds lie between one look for records to be removed and the next
    #[arg(
        long,
        env = "TAKHIN_CLEANUP_INTERVAL_MS",
        default_value_t = 10_000,
        value_name = "MS",
        value_parser = clap::value_parser!(u64).range(10..=3_600_000)
    )]
    cleanup_interval_ms: u64,

    /// How long the offsets of a consumer group that nobody is in are kept, in hours
    #[arg(
        long,
        env = "TAKHIN_OFFSETS_RETENTION_HOURS",
        value_name = "HOURS",
        default_value_t = 168,
        value_parser = clap::value_parser!(u32).range(1..=1_176)
    )]
    offsets_retention_hours: u32,

    #[command(flatten)]
    access: AccessArguments,

    #[command(flatten)]
    kafka_rest: KafkaRest,

    /// What to log, as in "info" or "takhin=debug"
    #[arg(long, env = "TAKHIN_LOG", default_value = "info", value_name = "FILTER")]
    log: String,
}

/// With how many partitions to create topics that are not there, if at all.
#[derive(Clone, Copy, Debug)]
struct AutoCreateTopics(Option<u32>);

impl FromStr for AutoCreateTopics {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.parse()) {
            ("true", _) => Ok(Self(Some(1))),
            ("false", _) | (_, Ok(0)) => Ok(Self(None)),
            (_, Ok(partitions @ 1..=10_000)) => Ok(Self(Some(partitions))),
            _ => Err("expected true, false, or a number of partitions from 1 to 10000".to_owned()),
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct DurabilityArgument(Durability);

impl FromStr for DurabilityArgument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let durability = match text.split_once(':') {
            None if text == "fsync" => Durability::Fsync,
            None if text == "os" => Durability::Os,
            Some(("interval", ms)) => match ms.parse() {
                Ok(ms @ 1..=3_600_000) => Durability::Interval(Duration::from_millis(ms)),
                _ => return Err("interval is from 1 to 3600000 milliseconds".to_owned()),
            },
            _ => return Err("expected fsync, interval:MS or os".to_owned()),
        };
        Ok(Self(durability))
    }
}

impl Serve {
    pub(super) fn run(self) -> Result<(), String> {
        let filter = EnvFilter::try_new(&self.log).map_err(|error| format!("--log {}: {error}", self.log))?;
        tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_ansi(io::stderr().is_terminal())
            .with_target(false)
            .with_writer(io::stderr)
            .init();
        let runtime = runtime::Builder::new_multi_thread().enable_all().build();
        runtime.map_err(|error| error.to_string())?.block_on(self.serve())
    }

    async fn serve(self) -> Result<(), String> {
        let began = Instant::now();
        let mut terminate = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| error.to_string())?;

        let files = raise_file_limit();
        let engine = LocalConfig::new(&self.data_dir);
        let open_files = engine.open_files.min(usize::try_from(files / 4).unwrap_or(usize::MAX));
        let cleanup_interval = Duration::from_millis(self.cleanup_interval_ms);
        let engine = LocalConfig { durability: self.durability.0, open_files, cleanup_interval, ..engine };
        let mut http = HttpConfig {
            auto_create_partitions: self.auto_create_topics.0,
            kafka_rest: self.kafka_rest.config(),
            max_connections: connections(files, engine.open_files),
            ..HttpConfig::default()
        };
        self.access.apply(&mut http, &self.data_dir)?;
        let offsets_retention = DurationMs(self.offsets_retention_hours * 3_600_000);
        let core = Config { offsets_retention, ..Config::default() };
        let trace = TraceConfig { flight_steps: self.flight_recorder, record: self.record.clone(), audit: self.audit };
        let config = DriverConfig { core, engine, trace };
        let listeners = listen(&self.listen)?;
        let opened = tokio::task::block_in_place(|| Driver::start(config));
        let Started { driver, report } = opened.map_err(|error| error.to_string())?;

        let addresses: Vec<_> = listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect();
        let banner = Banner {
            addresses: &addresses,
            page_path: http.page_path(),
            data_dir: &self.data_dir,
            durability: self.durability.0,
            report: &report,
            health: &driver.health(),
            took: began.elapsed(),
        };
        // Whether anybody reads the banner is no reason to serve or not to.
        let _ = writeln!(io::stdout(), "{}", banner.text());

        let draining = driver.clone();
        http::serve(http, listeners, driver.clone(), async move {
            let signal = tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
            };
            tracing::info!(signal, "stopping: no new connections, parked polls end, writes are finished");
            draining.drain();
        })
        .await;
        tokio::task::block_in_place(|| driver.stop())?;
        tracing::info!("stopped; everything is on disk");
        Ok(())
    }
}

/// Raises the limit of open files as far as it goes, and gives it.
fn raise_file_limit() -> u64 {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let wanted = Rlimit { current: maximum, maximum };
    if let Err(error) = setrlimit(Resource::Nofile, wanted) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// How many connections so many files have room for.
fn connections(files: u64, segment_files: usize) -> usize {
    let most = HttpConfig::default().max_connections;
    let room = files.saturating_sub(OTHER_FILES + segment_files as u64);
    let connections = usize::try_from(room).unwrap_or(usize::MAX).clamp(64, most);
    if connections < FEW_CONNECTIONS {
        tracing::warn!(connections, files, "few files may be open: fewer connections are taken");
    }
    connections
}
