//! How the broker starts from a data directory.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::PathBuf,
    sync::Arc,
};

use takhin_core::{Boot, Config, Fact, FactSeq, LogId, Recovery, TopicId, durable::Durable, response::Bounds};
use takhin_simulation::auditor::NewLife;

use super::{
    Driver,
    audit::Audit,
    clock::Clock,
    life::Life,
    recording::Recording,
    snapshot::{self, SnapshotError},
};
use crate::engine::local::{DiskRoom, LocalConfig, LocalEngine, LogSpec, OpenError, Opening, RecoveryReport};

/// What a broker is started with.
#[derive(Clone, Debug)]
pub struct DriverConfig {
    /// The bounds of the core.
    pub core: Config,
    /// Where and how data is kept.
    pub engine: LocalConfig,
    /// What is remembered of the core's steps.
    pub trace: TraceConfig,
}

/// What is remembered of the core's steps, to be replayed. Names, sizes and offsets, and no key or value.
#[derive(Clone, Debug, Default)]
pub struct TraceConfig {
    /// The flight recorder keeps this many of the last steps in memory, and up to twice as many; 0 for none.
    pub flight_steps: usize,
    /// All steps from the start on are written to this file.
    pub record: Option<PathBuf>,
    /// Whether every step is judged by the simulator's auditor.
    pub audit: bool,
}

/// A broker that has just been started.
#[derive(Debug)]
pub struct Started {
    /// The broker.
    pub driver: Driver,
    /// What was found in the data directory.
    pub report: RecoveryReport,
}

/// Why a broker could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data directory can't be used.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// What the data directory holds was not written by a version that this one can follow.
    #[error("the {what} can't be read by this version: {error}")]
    Unreadable {
        /// What.
        what: String,
        /// How it is wrong.
        error: serde_json::Error,
    },
    /// The snapshot can't be read by this version.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// The recording can't be begun.
    #[error("can't record to {path}: {error}")]
    Record {
        /// Where.
        path: String,
        /// Why not.
        error: io::Error,
    },
    /// The system gave no thread.
    #[error("no thread for the engine: {0}")]
    Thread(io::Error),
}

impl Driver {
    /// Opens the data directory, recovers, and starts to serve. To be called within a tokio runtime.
    ///
    /// # Errors
    /// See [`StartError`]. Nothing was changed then that a later start would miss.
    pub fn start(config: DriverConfig) -> Result<Started, StartError> {
        let (core_config, data_dir) = (config.core.clone(), config.engine.data_dir.clone());
        let Stored { boot, recovery, engine, bounds, report } = Stored::open(config.core, config.engine)?;
        let clock = Clock::start();
        let TraceConfig { flight_steps, record, audit } = config.trace;
        let at = clock.now();
        let audit = audit.then(|| {
            let (durable, through) = (recovery.durable(), recovery.through());
            let life = NewLife { boot, at, durable: &durable, through, bounds: &bounds };
            Audit::start(core_config, life, &data_dir)
        });
        let core = recovery.finish(boot, at, &bounds);
        let recording = record.map(|path| {
            let unable = |error| StartError::Record { path: path.display().to_string(), error };
            Recording::start(&path, core.clone()).map_err(unable)
        });
        let life = Life {
            core,
            engine: engine.into_parts(DiskRoom::of(&data_dir)),
            clock,
            stats: Arc::default(),
            flight_steps,
            recording: recording.transpose()?,
            audit,
        };
        let driver = Self::live(life).map_err(StartError::Thread)?;
        Ok(Started { driver, report })
    }
}

/// A data directory with its state and its logs, of which nothing runs yet.
pub(crate) struct Stored {
    /// Which start this is.
    pub(crate) boot: Boot,
    /// The state, to be finished.
    pub(crate) recovery: Recovery,
    /// The engine, which writes nothing and removes nothing before it is started.
    pub(crate) engine: LocalEngine,
    /// Where the logs begin and end.
    pub(crate) bounds: BTreeMap<LogId, Bounds>,
    /// What was found.
    pub(crate) report: RecoveryReport,
}

impl Stored {
    /// Opens the data directory and recovers what a crash has left of it.
    ///
    /// # Errors
    /// See [`StartError`]. Nothing was changed then that a later start would miss.
    pub(crate) fn open(core: Config, engine: LocalConfig) -> Result<Self, StartError> {
        let opening = Opening::open(engine)?;
        let boot = opening.boot();
        let (recovery, deleted) = recover(core, &opening)?;
        let specs = recovery.logs().flat_map(|spec| {
            let logs = (0..spec.partitions).map(move |partition| LogId { topic: spec.topic, partition });
            logs.map(move |log| LogSpec { log, name: spec.name.clone(), config: spec.config })
        });
        let opening = opening.with_deleted(deleted);
        let (engine, bounds, report) = opening.with_logs(&specs.collect::<Vec<_>>())?;
        let bounds = bounds.iter().map(|log| (log.log, Bounds { start: log.start, end: log.end })).collect();
        Ok(Self { boot, recovery, engine, bounds, report })
    }
}

/// The state that the data directory has, and the topics that it says were deleted lately.
fn recover(config: Config, opening: &Opening) -> Result<(Recovery, BTreeSet<TopicId>), StartError> {
    let unreadable = |what: String| move |error| StartError::Unreadable { what, error };
    let (state, through) = match opening.snapshot() {
        None => (Durable::default(), FactSeq(0)),
        Some(bytes) => snapshot::decode(bytes)?,
    };
    let (mut recovery, mut deleted) = (Recovery::new(config, state, through), BTreeSet::new());
    for (seq, bytes) in opening.facts() {
        let fact: Fact = serde_json::from_slice(bytes).map_err(unreadable(format!("fact {}", seq.0)))?;
        recovery.apply(*seq, &fact);
        if let Fact::TopicDeleted { topic } = fact {
            deleted.insert(topic);
        }
    }
    Ok((recovery, deleted))
}
