//! The writing thread: takes all that waits, writes it as one group, syncs once, reports once.
//!
//! ```text
//!   queue --> group: segments of each log, then the journal, then one sync --> commit --> completions
//!                        |                    |              |
//!                     undo that log       undo the group   final: nothing is acknowledged any more
//! ```
//!
//! A batch that could not be written is cut off again, and the cut is made durable, before its append is
//! reported as failed; so it never comes back. After a sync that failed, or a cut that failed, what is on the
//! disk can't be known, and the engine acknowledges nothing until it is started anew.

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
    config::{Durability, LocalConfig},
    journal::{Bounds, Frame, Journal, SyncFailed},
    keyed::KeyedRequests,
    layout::Layout,
    queue::Taken,
    reader::Shared,
    stats::EngineStats,
    tail::{Append, PutError, Tail},
    upkeep::{Creation, Undeleted},
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

/// What the journal owes to what was written to it.
#[derive(Clone, Copy, Debug, Default)]
struct Wanted {
    sync_now: bool,
    sync_within: Option<Duration>,
}

impl Wanted {
    fn add(&mut self, durability: Durability) {
        match durability {
            Durability::Fsync => self.sync_now = true,
            Durability::Interval(span) => self.sync_within = Some(span),
            Durability::Os => {}
        }
    }
}

/// What came of one log's batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Put {
    /// Each is written, or it is known why not.
    Settled,
    /// They could not be written.
    TakenBack,
}

/// Facts that are not yet kept.
#[derive(Debug, Default)]
pub(super) struct Facts {
    pub(super) waiting: VecDeque<(FactSeq, Vec<u8>)>,
    through: FactSeq,
    reported: FactSeq,
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
        self.dirty.save_indexes(&self.shared);
        let ends: Vec<_> = self.tails.values().map(|tail| (tail.log.id, tail.end)).collect();
        let synced = self.dirty.sync(&self.shared, &self.layout).and_then(|()| self.journal.sync());
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

    /// Writes appends, and all facts that wait, and reports them.
    fn write_group(&mut self, appends: &mut Vec<Append>) {
        let failed_before = self.failure();
        if failed_before.is_none() && (!appends.is_empty() || !self.facts.waiting.is_empty()) {
            // A stable sort: what came first for a log stays first.
            appends.sort_by_key(|append| append.log);
            let mut keyed = KeyedRequests::default();
            for run in appends.chunk_by_mut(|a, b| a.log == b.log) {
                keyed.mark(run, &self.tails);
                match self.put_run(run) {
                    Put::Settled => keyed.settled(run),
                    Put::TakenBack => keyed.forget(),
                }
            }
            self.stats.groups.inc();
            let operations = u32::try_from(appends.len() + self.facts.waiting.len()).unwrap_or(u32::MAX);
            self.stats.group_operations.observe(operations.into());
            if self.has_failed() {
                self.doubt(appends);
            } else {
                self.write_journal(appends);
            }
            self.commit(appends);
            let full = appends.iter().any(|append| matches!(append.placed, Err(StorageError::Full)));
            if !full && self.facts.waiting.is_empty() && !self.has_failed() {
                self.set_state(StorageState::Ok);
            }
        }
        for append in appends.drain(..) {
            let result = match (&failed_before, append.placed) {
                (Some(why), _) => Err(StorageError::Failed(why.clone())),
                (None, placed) => append.settled.unwrap_or_else(|| placed.map(|placed| placed.appended_at())),
            };
            self.done.push(Completion::Appended { id: append.id, log: append.log, result });
        }
        if self.facts.waiting.is_empty() && self.facts.through > self.facts.reported && !self.has_failed() {
            self.facts.reported = self.facts.through;
            self.done.push(Completion::Persisted { through: self.facts.through });
        }
    }

    /// Puts one log's batches into its segment.
    fn put_run(&mut self, run: &mut [Append]) -> Put {
        let Some(first) = run.first() else { return Put::Settled };
        let failure = self.failure();
        let Some(tail) = self.tails.get_mut(&first.log) else {
            return Put::Settled;
        };
        let rolled = match failure {
            Some(why) => Err(StorageError::Failed(why)),
            None => tail
                .roll_if_full(&self.shared.files, &mut self.dirty, self.config.segment_bytes)
                .map_err(|error| storage_error(&error)),
        };
        let put = rolled.and_then(|()| {
            tail.put(&self.shared.files, run).map_err(|error| match error {
                PutError::Undone(error) => storage_error(&error),
                PutError::Left(error) => StorageError::Uncertain(error.to_string()),
            })
        });
        let Err(error) = put else { return Put::Settled };
        tail.producers.roll_back();
        for append in run {
            append.fail(error.clone());
        }
        match error {
            StorageError::Uncertain(why) => self.fail(format!("a write could not be undone: {why}")),
            StorageError::Full => self.set_state(StorageState::Full),
            StorageError::Failed(_) | StorageError::NoSuchLog | StorageError::Refused(_) => {}
        }
        Put::TakenBack
    }

    /// Writes the journal and syncs it, as far as the setting asks for it. Afterwards the appends that are still
    /// placed, and the facts that no longer wait, are as durable as promised.
    fn write_journal(&mut self, appends: &mut [Append]) {
        if let Err(error) = self.try_journal(appends) {
            self.undo_group(appends, &error);
            // The records may have been what there was no room for.
            if !self.has_failed()
                && !appends.is_empty()
                && !self.facts.waiting.is_empty()
                && let Err(error) = self.try_journal(&[])
            {
                self.undo_group(&mut [], &error);
            }
        }
    }

    fn try_journal(&mut self, appends: &[Append]) -> io::Result<()> {
        let mut wanted = Wanted::default();
        if !self.facts.waiting.is_empty() {
            wanted.add(self.config.durability);
        }
        let facts = self.facts.waiting.iter().map(|(seq, fact)| Frame::Fact { seq: *seq, fact });
        let mut frames: Vec<_> = facts.collect();
        for append in appends.iter().filter(|append| append.placed.is_ok()) {
            let durability = self.config.durability.of_topic(self.configs.get(&append.log.topic));
            if durability != Durability::Os {
                wanted.add(durability);
                frames.push(Frame::Records { log: append.log, batch: append.batch.bytes() });
            }
        }
        if frames.is_empty() {
            return Ok(());
        }
        let bytes = self.journal.write(&frames)?;
        if wanted.sync_now {
            self.sync_journal()?;
        } else if let Some(span) = wanted.sync_within {
            self.next_sync = self.next_sync.or_else(|| Instant::now().checked_add(span));
        }
        self.stats.journal_bytes.inc_by(bytes);
        self.stats.facts.inc_by(self.facts.waiting.len() as u64);
        self.snapshots.written += self.facts.waiting.iter().map(|(_, fact)| fact.len() as u64).sum::<u64>();
        self.facts.waiting.clear();
        Ok(())
    }

    /// Takes back what a group has written, or doubts it where that can't be done.
    fn undo_group(&mut self, appends: &mut [Append], error: &io::Error) {
        if SyncFailed::is(error) {
            self.fail(error.to_string());
            return self.doubt(appends);
        }
        let mut undone = self.journal.cut_off();
        for run in appends.chunk_by(|a, b| a.log == b.log) {
            if run.iter().any(|append| append.placed.is_ok())
                && let Some(tail) = self.tails.get_mut(&run[0].log)
            {
                tail.producers.roll_back();
                undone = undone.and_then(|()| tail.undo(&self.shared.files));
            }
        }
        if let Err(undo) = undone {
            self.fail(format!("a write failed ({error}) and could not be undone: {undo}"));
            return self.doubt(appends);
        }
        let error = storage_error(error);
        if error == StorageError::Full {
            self.set_state(StorageState::Full);
        }
        appends.iter_mut().filter(|append| append.is_good()).for_each(|append| append.fail(error.clone()));
    }

    /// Says of all that was written that it may or may not be there.
    fn doubt(&self, appends: &mut [Append]) {
        let why = self.failure().unwrap_or_default();
        for append in appends.iter_mut().filter(|append| append.is_good()) {
            append.fail(StorageError::Uncertain(why.clone()));
        }
    }

    fn commit(&mut self, appends: &[Append]) {
        for run in appends.chunk_by(|a, b| a.log == b.log) {
            let placed = run.iter().filter_map(|append| append.placed.as_ref().ok());
            let bytes: u64 = placed.clone().map(|placed| placed.header.bytes as u64).sum();
            if bytes == 0 {
                continue;
            }
            if let Some(tail) = self.tails.get_mut(&run[0].log) {
                tail.commit(placed.clone());
                self.dirty.segment(&tail.log, &tail.active);
            }
            self.stats.appends.inc_by(placed.count() as u64);
            self.stats.record_bytes.inc_by(bytes);
            self.snapshots.written += bytes;
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

    fn sync_journal(&mut self) -> io::Result<()> {
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
