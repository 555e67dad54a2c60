//! The writing thread: takes all that waits, has it written, and sees to what is due.

use std::{
    collections::{HashMap, VecDeque},
    io,
    sync::{Arc, mpsc::Sender},
    time::{Duration, Instant},
};

use rustc_hash::FxBuildHasher;
use takhin_core::{FactSeq, LogId, Offset, TopicConfig, TopicId};

use super::{
    anchors::Anchors,
    checkpoint::{Dirty, Job},
    config::LocalConfig,
    journal::{Bounds, Frame, Journal, SyncFailed},
    layout::Layout,
    log::{Log, Segment},
    queue::Taken,
    reader::Shared,
    stats::EngineStats,
    tail::{Append, Tail},
    upkeep::{Creation, Undeleted, send},
};
use crate::engine::{Completion, StorageError, StorageState, WriteOp};

/// How long it is before facts for which there was no room are tried again, and a full disk looked at.
const RETRY: Duration = Duration::from_secs(1);

/// All that the writing thread owns.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    pub(super) layout: Layout,
    pub(super) config: LocalConfig,
    pub(super) stats: Arc<EngineStats>,
    pub(super) journal: Journal,
    pub(super) tails: HashMap<LogId, Tail, FxBuildHasher>,
    pub(super) dirty: Dirty,
    /// Segments that have grown enough to be synced before the next checkpoint.
    pub(super) behind: Vec<(Arc<Log>, Arc<Segment>)>,
    pub(super) snapshots: Snapshots,
    pub(super) facts: Facts,
    pub(super) state: StorageState,
    pub(super) done: Vec<Completion>,
    pub(super) next_sync: Option<Instant>,
    /// How each topic's logs are kept.
    pub(super) configs: HashMap<TopicId, TopicConfig>,
    pub(super) creations: VecDeque<Creation>,
    pub(super) undeleted: Vec<Undeleted>,
    pub(super) anchors: Anchors,
    /// When to look whether the directory is still there.
    pub(super) next_look: Instant,
}

/// Facts that are not yet kept.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) waiting: VecDeque<(FactSeq, Vec<u8>)>,
    pub(super) through: FactSeq,
    pub(super) reported: FactSeq,
}

/// Where checkpoints stand.
#[derive(Debug)]
pub(super) struct Snapshots {
    /// The number of the next.
    pub(super) next: u64,
    /// The first journal file that the last one needs.
    pub(super) journal_from: u64,
    /// How much has been written since the last was begun.
    pub(super) written: u64,
    pub(super) asked: bool,
    pub(super) running: bool,
}

/// What the writing thread is to do though nothing was submitted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Alarms {
    /// Go on making logs, at once.
    create: bool,
    /// Try again what there was no room for.
    retry: bool,
    /// Sync.
    sync: Option<Instant>,
}

impl Alarms {
    pub(super) fn next(self) -> Option<Instant> {
        let now = Instant::now();
        let (create, retry) = (self.create.then_some(now), self.retry.then(|| now + RETRY));
        [create, retry, self.sync].into_iter().flatten().min()
    }
}

impl Writer {
    /// After the background thread has ended: makes everything durable, and notes that it is.
    pub(super) fn close(mut self) -> Result<(), StorageError> {
        if let StorageState::Failed { why } = self.state {
            return Err(StorageError::Failed(why));
        }
        if !self.facts.waiting.is_empty() {
            return Err(StorageError::Full);
        }
        let ends: Vec<_> = self.tails.values().map(|tail| (tail.log.id, tail.end)).collect();
        let synced = self.dirty.sync_by_parts(&self.shared, &self.layout).and_then(|()| self.journal.sync());
        let noted = synced.and_then(|()| write_bounds(&mut self.journal, &ends));
        noted.and_then(|()| self.journal.cut_off()).map_err(|error| storage_error(&error))
    }

    /// What is to be done even if nothing is submitted.
    pub(super) fn alarms(&self) -> Alarms {
        let retry = (!self.facts.waiting.is_empty() || self.state == StorageState::Full) && !self.has_failed();
        Alarms { create: !self.creations.is_empty(), retry, sync: self.next_sync }
    }

    /// When to do it.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let look = (!self.has_failed()).then_some(self.next_look);
        self.alarms().next().into_iter().chain(look).min()
    }

    /// Does all that was taken and all that is due. Gives the memory back.
    pub(super) fn work(&mut self, taken: Taken, background: &Sender<Job>) -> Vec<WriteOp> {
        self.look_for_directory();
        let Taken { mut ops, ended, wishes, .. } = taken;
        if let Some(ended) = ended {
            self.checkpoint_ended(ended, background);
        }
        let wrote = self.write(&mut ops, background);
        if !wrote {
            self.look_for_room();
        }
        for wish in wishes {
            self.grant(wish);
        }
        self.create_logs();
        self.sync_if_due();
        self.want_checkpoint_if_due();
        ops
    }

    /// Carries operations out; says whether any was an append. Of appends and facts none waits for the disk, unless
    /// the setting is that they are synced.
    pub(super) fn write(&mut self, ops: &mut Vec<WriteOp>, background: &Sender<Job>) -> bool {
        let mut appends = Vec::new();
        for op in ops.drain(..) {
            match op {
                WriteOp::Append { id, log, batch, expected_offset } => {
                    let placed = Err(StorageError::NoSuchLog);
                    let key_is_anothers = false;
                    appends.push(Append { id, log, batch, expected_offset, key_is_anothers, settled: None, placed });
                }
                WriteOp::Persist { through, facts } => self.keep_facts(through, facts),
                WriteOp::CreateLogs { topic, name, partitions } => {
                    let next = partitions.start;
                    self.creations.push_back(Creation { topic, name, partitions, next });
                }
                WriteOp::ConfigureLogs { topic, config } => self.configure_logs(topic, config),
                WriteOp::DeleteLogs { topic, name, partitions } => {
                    self.write_group(&mut appends);
                    self.delete_logs(topic, &name, partitions, background);
                }
                WriteOp::Hold { reply } => {
                    self.write_group(&mut appends);
                    // Who no longer waits wants nothing held.
                    let _ = reply.send(self.hold());
                }
                WriteOp::Checkpoint { through, snapshot } => {
                    self.write_group(&mut appends);
                    self.begin_checkpoint(through, snapshot, background);
                }
            }
        }
        let any = !appends.is_empty();
        self.write_group(&mut appends);
        for (log, segment) in self.behind.drain(..) {
            send(background, Job::SyncBehind { log, segment });
        }
        any
    }

    pub(super) fn want_checkpoint_if_due(&mut self) {
        if self.snapshots.written >= self.config.checkpoint_bytes && !self.snapshots.asked && !self.snapshots.running {
            self.snapshots.asked = true;
            self.done.push(Completion::CheckpointWanted);
        }
    }

    /// Lets facts wait for the next group. Once the storage has failed they would wait for ever.
    pub(super) fn keep_facts(&mut self, through: FactSeq, facts: Vec<(FactSeq, Vec<u8>)>) {
        if !self.has_failed() {
            self.facts.waiting.extend(facts);
            self.facts.through = self.facts.through.max(through);
        }
    }

    fn sync_if_due(&mut self) {
        let due = self.next_sync.is_some_and(|at| at <= Instant::now());
        if !due || self.has_failed() {
            return;
        }
        self.next_sync = None;
        if let Err(error) = self.sync_journal() {
            self.fail(error.to_string());
        }
    }

    pub(super) fn sync_journal(&mut self) -> io::Result<()> {
        let began = Instant::now();
        self.journal.sync().map_err(SyncFailed::wrap)?;
        self.stats.sync_seconds.observe(began.elapsed().as_secs_f64());
        self.stats.syncs.inc();
        Ok(())
    }

    pub(super) fn has_failed(&self) -> bool {
        matches!(self.state, StorageState::Failed { .. })
    }

    pub(super) fn failure(&self) -> Option<String> {
        match &self.state {
            StorageState::Failed { why } => Some(why.clone()),
            StorageState::Ok | StorageState::Full => None,
        }
    }

    pub(super) fn fail(&mut self, why: String) {
        if !self.has_failed() {
            tracing::error!(why, "the storage has failed; nothing is acknowledged until the next start");
            self.facts.waiting = VecDeque::new();
            self.set_state(StorageState::Failed { why });
        }
    }

    pub(super) fn set_state(&mut self, state: StorageState) {
        if self.state != state {
            if state == StorageState::Full {
                self.journal.make_room();
            }
            self.state = state.clone();
            self.done.push(Completion::StorageState(state));
        }
    }
}

/// Notes in the journal, durably, how far each log is durable.
pub(super) fn write_bounds(journal: &mut Journal, ends: &[(LogId, Offset)]) -> io::Result<()> {
    let mut encoded = Vec::new();
    Bounds::encode(&mut encoded, ends.iter().copied());
    let bounds = Bounds::new(&encoded).ok_or(io::ErrorKind::InvalidData)?;
    journal.write(&[Frame::Bounds(bounds)])?;
    journal.sync()
}

pub(super) fn storage_error(error: &io::Error) -> StorageError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StorageError::Full,
        _ => StorageError::Failed(error.to_string()),
    }
}
