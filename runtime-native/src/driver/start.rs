//! How the broker starts from a data directory, takes what the engine has done, and stops.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::PathBuf,
    sync::{Arc, Mutex},
};

use serde::{Deserialize, Serialize};
use takhin_core::{
    AppendedAt, Config, Event, Fact, FactSeq, LogId, Recovery, StorageError, StorageState, TopicId, durable::Durable,
    response::Bounds,
};
use takhin_simulation::auditor::NewLife;
use tokio::{runtime::Handle, sync::Notify};

use super::{
    Driver, Shared,
    audit::Audit,
    clock::Clock,
    flight::FlightRecorder,
    recording::Recording,
    state::{Mail, State},
};
use crate::engine::{
    AppendedAt as EngineAppendedAt, Completion, StorageError as EngineError, StorageState as EngineState, WriteOp,
    local::{DiskRoom, LocalConfig, LogSpec, OpenError, Opening, RecoveryReport},
};

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
    /// The snapshot is of a newer format.
    #[error("the snapshot has format {0}, and this version reads format {SNAPSHOT_FORMAT}")]
    SnapshotFormat(u32),
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

const SNAPSHOT_FORMAT: u32 = 1;

/// A snapshot as it is kept.
#[derive(Serialize, Deserialize)]
struct Snapshot<S> {
    format: u32,
    through: FactSeq,
    state: S,
}

impl Driver {
    /// Opens the data directory, recovers, and starts to serve. To be called within a tokio runtime.
    ///
    /// # Errors
    /// See [`StartError`]. Nothing was changed then that a later start would miss.
    pub fn start(config: DriverConfig) -> Result<Started, StartError> {
        let (core_config, data_dir) = (config.core.clone(), config.engine.data_dir.clone());
        let disk = DiskRoom::of(&data_dir);
        let opening = Opening::open(config.engine)?;
        let boot = opening.boot();
        let (recovery, deleted) = recover(config.core, &opening)?;
        let specs = recovery.logs().flat_map(|spec| {
            let logs = (0..spec.partitions).map(move |partition| LogId { topic: spec.topic, partition });
            logs.map(move |log| LogSpec { log, name: spec.name.clone(), config: spec.config })
        });
        let opening = opening.with_deleted(deleted);
        let (engine, bounds, report) = opening.with_logs(&specs.collect::<Vec<_>>())?;
        let bounds: BTreeMap<LogId, Bounds> =
            bounds.iter().map(|log| (log.log, Bounds { start: log.start, end: log.end })).collect();
        let clock = Clock::start();
        let TraceConfig { flight_steps, record, audit } = config.trace;
        let at = clock.now();
        let audit = audit.then(|| {
            let (durable, through) = (recovery.durable(), recovery.through());
            let life = NewLife { boot, at, durable: &durable, through, bounds: &bounds };
            Audit::start(core_config, life, &data_dir)
        });
        let core = recovery.finish(boot, at, &bounds);
        let (reader, flusher) = (engine.reader(), engine.flusher());

        let engine_stats = Arc::clone(engine.stats());
        let counters = Arc::default();
        let recording = record.map(|path| {
            let unable = |error| StartError::Record { path: path.display().to_string(), error };
            Recording::start(&path, core.clone()).map_err(unable)
        });
        let mut state = State::new(core, engine, Arc::clone(&counters), FlightRecorder::new(flight_steps));
        state.recording = recording.transpose()?;
        state.audit = audit;
        let state = Mutex::new(state);
        let driver = Self {
            shared: Arc::new(Shared {
                state,
                clock,
                sooner: Notify::new(),
                reader,
                flusher,
                stats: counters,
                engine_stats,
                disk,
                runtime: Handle::current(),
            }),
        };
        let (weak, runtime) = (Arc::downgrade(&driver.shared), Handle::current());
        let sink = move |batch: &mut Vec<Completion>| {
            if let Some(shared) = weak.upgrade() {
                Self { shared }.completed(batch, &runtime);
            }
        };
        if let Some(engine) = &mut driver.lock().engine {
            engine.start(sink).map_err(StartError::Thread)?;
        }
        driver.bring(Event::Tick);
        driver.bring_date();
        tokio::spawn(driver.clone().keep_date());
        tokio::spawn(driver.clone().run_clock());
        Ok(Started { driver, report })
    }

    /// Takes what the engine has done, on its writing thread.
    fn completed(&self, batch: &mut Vec<Completion>, runtime: &Handle) {
        let now = self.shared.clock.now();
        let mut mail = Mail::default();
        let mut state = self.lock();
        for completion in batch.drain(..) {
            if let Completion::Appended { result: Ok(at), .. } = &completion {
                self.shared.stats.produced(at.end.0 - at.base_offset.0, at.bytes);
            }
            match event(completion) {
                Done::Event(event) => state.step_into(now, event, &mut mail),
                Done::CheckpointWanted => {
                    let (through, durable) = (state.core.decided(), state.core.snapshot());
                    let driver = self.clone();
                    runtime.spawn_blocking(move || driver.checkpoint(through, &durable));
                }
                Done::Nothing => {}
            }
        }
        let sooner = state.deadline_came_closer();
        drop(state);
        self.deliver(mail, sooner);
    }

    fn checkpoint(&self, through: FactSeq, state: &Durable) {
        let op = checkpoint(through, state);
        let mut mail = Mail::default();
        self.lock().submit(op, &mut mail);
        self.deliver(mail, false);
    }

    /// Ends everything that is parked, with what it has. New requests that would wait no longer do.
    pub fn drain(&self) {
        self.bring(Event::Drain);
    }

    /// Writes everything, makes it durable and ends. Waits for the disk.
    ///
    /// # Errors
    /// If not everything could be made durable; what was acknowledged is kept all the same.
    pub fn stop(&self) -> Result<(), String> {
        let engine = {
            let mut state = self.lock();
            let op = checkpoint(state.core.decided(), &state.core.snapshot());
            let engine = state.engine.take();
            if let Some(Err(error)) = engine.as_ref().map(|engine| engine.submit(op)) {
                tracing::warn!(%error, "no last checkpoint");
            }
            engine
        };
        let stopped = engine.map_or(Ok(()), |engine| engine.stop().map_err(|error| error.to_string()));
        let recording = self.lock().recording.take();
        if let Some(recording) = recording {
            recording.end();
        }
        stopped
    }
}

/// The state that the data directory has, and the topics that it says were deleted lately.
fn recover(config: Config, opening: &Opening) -> Result<(Recovery, BTreeSet<TopicId>), StartError> {
    let unreadable = |what: String| move |error| StartError::Unreadable { what, error };
    let (state, through) = match opening.snapshot() {
        None => (Durable::default(), FactSeq(0)),
        Some(bytes) => {
            let probe: Snapshot<serde::de::IgnoredAny> =
                serde_json::from_slice(bytes).map_err(unreadable("snapshot".to_owned()))?;
            if probe.format != SNAPSHOT_FORMAT {
                return Err(StartError::SnapshotFormat(probe.format));
            }
            let snapshot: Snapshot<Durable> =
                serde_json::from_slice(bytes).map_err(unreadable("snapshot".to_owned()))?;
            (snapshot.state, snapshot.through)
        }
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

fn checkpoint(through: FactSeq, state: &Durable) -> WriteOp {
    WriteOp::Checkpoint { through, snapshot: encoded(through, state) }
}

/// A snapshot as it is kept.
pub(super) fn encoded(through: FactSeq, state: &Durable) -> Vec<u8> {
    let snapshot = Snapshot { format: SNAPSHOT_FORMAT, through, state };
    serde_json::to_vec(&snapshot).expect("a snapshot is plain data")
}

/// What a completion means to the broker.
enum Done {
    Event(Event),
    CheckpointWanted,
    Nothing,
}

fn event(completion: Completion) -> Done {
    Done::Event(match completion {
        Completion::Appended { id, log, result } => {
            let at =
                |at: EngineAppendedAt| AppendedAt { base_offset: at.base_offset, end: at.end, duplicate: at.duplicate };
            let result = result.map(at).map_err(core_error);
            Event::Appended { id, log, result }
        }
        Completion::Persisted { through } => Event::Persisted { through },
        Completion::LogTrimmed { log, start, end } => Event::LogMoved { log, start, end },
        Completion::LogsCreated { topic, partitions, result } => {
            Event::LogsCreated { topic, partitions: partitions.end, result: result.map_err(core_error) }
        }
        Completion::StorageState(state) => {
            let state = match state {
                EngineState::Ok => StorageState::Ok,
                EngineState::Full => StorageState::Stalled(StorageError::Full),
                EngineState::Failed { why } => StorageState::Failed(StorageError::Failed(why)),
            };
            match state.refusal() {
                None => tracing::info!("storage takes records again"),
                Some(error) => tracing::error!(%error, "storage takes no records; reads go on"),
            }
            Event::Storage { state }
        }
        Completion::LogsDeleted { topic, result: Err(error) } => {
            tracing::warn!(topic = topic.0, %error, "a deleted topic's files are left for the next start to remove");
            return Done::Nothing;
        }
        Completion::CheckpointDone { through, result: Err(error) } => {
            tracing::warn!(through = through.0, %error, "a checkpoint failed; the one before it is still in force");
            return Done::Nothing;
        }
        Completion::CheckpointWanted => return Done::CheckpointWanted,
        Completion::LogsDeleted { .. } | Completion::CheckpointDone { .. } => return Done::Nothing,
    })
}

fn core_error(error: EngineError) -> StorageError {
    match error {
        EngineError::Full => StorageError::Full,
        EngineError::Uncertain(why) => StorageError::Uncertain(why),
        EngineError::Refused(refusal) => StorageError::Refused(refusal),
        EngineError::NoSuchLog | EngineError::Failed(_) => StorageError::Failed(error.to_string()),
    }
}
