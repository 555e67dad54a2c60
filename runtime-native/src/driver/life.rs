//! A core's life: it begins with an engine, takes what that has done, and ends.

use std::{
    io,
    sync::{Arc, Mutex},
};

use takhin_core::{AppendedAt, Core, Event, FactSeq, Offset, StorageError, StorageState, durable::Durable};
use tokio::{runtime::Handle, sync::Notify};

use super::{
    Driver, Shared,
    audit::Audit,
    clock::Clock,
    flight::FlightRecorder,
    recording::Recording,
    snapshot,
    state::{Mail, State},
    stats::DriverStats,
};
use crate::engine::{
    AppendedAt as EngineAppendedAt, Completion, EngineParts, StorageError as EngineError, StorageState as EngineState,
    WriteOp,
};

/// What a core's life begins with.
pub(crate) struct Life {
    pub(crate) core: Core,
    pub(crate) engine: EngineParts,
    /// The clock that the core was made with.
    pub(crate) clock: Clock,
    pub(crate) stats: Arc<DriverStats>,
    /// How many of the last steps the flight recorder keeps; 0 for none.
    pub(crate) flight_steps: usize,
    pub(crate) recording: Option<Recording>,
    pub(crate) audit: Option<Audit>,
}

impl Driver {
    /// Begins to serve. To be called within a tokio runtime.
    ///
    /// # Errors
    /// If the engine's threads can't be made.
    pub(crate) fn live(life: Life) -> io::Result<Self> {
        let Life { core, engine, clock, stats, flight_steps, recording, audit } = life;
        let EngineParts { engine, writing, reader, figures } = engine;
        let mut state = State::new(core, engine, Arc::clone(&stats), FlightRecorder::new(flight_steps));
        (state.recording, state.audit) = (recording, audit);
        let (state, sooner, runtime) = (Mutex::new(state), Notify::new(), Handle::current());
        let shared = Shared {
            state,
            clock,
            sooner,
            reader,
            writing,
            stats,
            figures,
            runtime,
            #[cfg(feature = "kafka")]
            taught: tokio::sync::Mutex::default(),
        };
        let driver = Self { shared: Arc::new(shared) };
        let (weak, runtime) = (Arc::downgrade(&driver.shared), Handle::current());
        let sink = move |batch: &mut Vec<Completion>| match weak.upgrade() {
            Some(shared) => Self { shared }.completed(batch, &runtime),
            None => batch.clear(),
        };
        if let Some(engine) = &mut driver.lock().engine {
            engine.start(Box::new(sink))?;
        }
        driver.bring(Event::Tick);
        driver.bring_date();
        tokio::spawn(driver.keep_date());
        tokio::spawn(driver.clone().run_clock());
        Ok(driver)
    }

    /// Takes what the engine has done, on its writing thread.
    fn completed(&self, batch: &mut Vec<Completion>, runtime: &Handle) {
        let now = self.shared.clock.now();
        let mut mail = Mail::default();
        let mut state = self.lock();
        if state.over {
            return batch.clear();
        }
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
        let op = WriteOp::Checkpoint { through, snapshot: snapshot::encode(through, state) };
        let mut mail = Mail::default();
        self.lock().submit(op, &mut mail);
        self.deliver(mail, false);
    }

    /// Ends at once, with nothing more written or answered: another node may be this core by now.
    pub(crate) fn abandon(&self) {
        self.lock().abandon();
        self.shared.sooner.notify_one();
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
            let through = state.core.decided();
            let op = WriteOp::Checkpoint { through, snapshot: snapshot::encode(through, &state.core.snapshot()) };
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

/// What a completion means to the broker.
enum Done {
    Event(Event),
    CheckpointWanted,
    Nothing,
}

fn event(completion: Completion) -> Done {
    Done::Event(match completion {
        Completion::Appended { id, log, result } => {
            let at = |EngineAppendedAt { base_offset, end, duplicate, readable, .. }| {
                // Or the core would look again and again for what stands behind somebody's open transaction.
                let end = if readable { end } else { Offset::default() };
                AppendedAt { base_offset, end, duplicate }
            };
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
        EngineError::Unacceptable(why) => StorageError::Unacceptable(why),
        EngineError::Refused(refusal) => StorageError::Refused(refusal),
        EngineError::NoSuchLog | EngineError::Failed(_) => StorageError::Failed(error.to_string()),
    }
}
