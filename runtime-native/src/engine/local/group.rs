//! Writing what waits as one group: synced once, reported once.
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
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    config::Durability,
    journal::{Frame, SyncFailed},
    keyed::KeyedRequests,
    tail::{Append, PutError},
    writer::{Writer, storage_error},
};
use crate::engine::{Completion, StorageError, StorageState};

/// A segment is synced whenever so much more was written to it. Checkpoints would find all of it otherwise, and while
/// that is on its way to the disk, every sync of the journal waits behind it.
const SYNC_BEHIND: u64 = 1 << 20;

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

impl Writer {
    /// Writes appends, and all facts that wait, and reports them.
    pub(super) fn write_group(&mut self, appends: &mut Vec<Append>) {
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
            StorageError::Failed(_)
            | StorageError::NoSuchLog
            | StorageError::Unacceptable(_)
            | StorageError::Refused(_) => {}
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
                tail.behind += bytes;
                if tail.behind >= SYNC_BEHIND {
                    tail.behind = 0;
                    self.behind.push((Arc::clone(&tail.log), Arc::clone(&tail.active)));
                }
            }
            self.stats.appends.inc_by(placed.count() as u64);
            self.stats.record_bytes.inc_by(bytes);
            self.snapshots.written += bytes;
        }
    }
}
