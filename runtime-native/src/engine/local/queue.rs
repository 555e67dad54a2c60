//! What waits to be written.

use std::{
    collections::HashSet,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use takhin_core::{LogId, Offset, TopicConfig, TopicDurability, TopicId};

use super::checkpoint::CheckpointEnd;
use crate::engine::{SubmitError, Submitted, WriteOp};

/// Operations in the order in which they came. Appends are refused while more than the bound waits; nothing else
/// is ever refused, and nothing else is large for long.
#[derive(Debug)]
pub(super) struct Queue {
    limit: usize,
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    ops: Vec<WriteOp>,
    bytes: usize,
    /// Whether among them is something else than facts and appends that need no sync of their own.
    mixed: bool,
    /// The topics to which appends are synced, whatever the server is set to.
    synced: HashSet<TopicId>,
    /// Whether the writing thread is to look at them.
    woken: bool,
    ended: Option<CheckpointEnd>,
    wishes: Vec<Wish>,
    end: Option<End>,
}

/// How the writer is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// With everything written.
    Drained,
    /// At once, as if the process had died.
    Abandoned,
}

/// What the writer has been given.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) ops: Vec<WriteOp>,
    pub(super) ended: Option<CheckpointEnd>,
    pub(super) wishes: Vec<Wish>,
    pub(super) end: Option<End>,
}

/// What the background thread would have the writer do. Bounded by how many logs there are, each look at them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// Begin a new segment, if the one that begins at `base` is still being written.
    Roll { log: LogId, base: Offset },
    /// Tell that a log begins at `start` now.
    TellStart { log: LogId, start: Offset },
    /// Ask for a checkpoint.
    Checkpoint,
}

impl Queue {
    /// A queue for logs that are kept in these ways.
    pub(super) fn new<'c>(limit: usize, configs: impl IntoIterator<Item = (&'c TopicId, &'c TopicConfig)>) -> Self {
        let mut waiting = Waiting::default();
        configs.into_iter().for_each(|(topic, config)| waiting.configure(*topic, config));
        Self { limit, waiting: Mutex::new(waiting), changed: Condvar::new() }
    }

    /// Adds an operation. An append is taken if the queue is empty, however large it is. It is written in a round that
    /// begins later.
    pub(super) fn submit(&self, op: WriteOp) -> Result<Submitted, SubmitError> {
        let weight = op.weight();
        let mut waiting = self.lock();
        if waiting.end.is_some() {
            return Err(SubmitError::Stopped(Box::new(op)));
        }
        let refusable = matches!(op, WriteOp::Append { .. });
        if refusable && waiting.bytes > 0 && waiting.bytes.saturating_add(weight) > self.limit {
            return Err(SubmitError::QueueFull(Box::new(op)));
        }
        if refusable {
            waiting.bytes += weight;
        }
        waiting.mixed |= match &op {
            WriteOp::Append { log, .. } => waiting.synced.contains(&log.topic),
            WriteOp::Persist { .. } => false,
            WriteOp::ConfigureLogs { topic, config } => {
                waiting.configure(*topic, config);
                true
            }
            WriteOp::DeleteLogs { topic, .. } => {
                waiting.synced.remove(topic);
                true
            }
            WriteOp::CreateLogs { .. } | WriteOp::Hold { .. } | WriteOp::Checkpoint { .. } => true,
        };
        waiting.ops.push(op);
        Ok(if waiting.ops.len() == 1 { Submitted::First } else { Submitted::BehindOthers })
    }

    /// Has the writing thread look.
    pub(super) fn wake(&self) {
        self.lock().woken = true;
        self.changed.notify_one();
    }

    /// Reports the end of a checkpoint.
    pub(super) fn checkpoint_ended(&self, end: CheckpointEnd) {
        self.lock().ended = Some(end);
        self.wake();
    }

    /// Has the writer do what the background thread can't.
    pub(super) fn wish(&self, wishes: &mut Vec<Wish>) {
        if !wishes.is_empty() {
            self.lock().wishes.append(wishes);
            self.wake();
        }
    }

    /// Takes nothing more, and has the writer end.
    pub(super) fn end(&self, end: End) {
        let mut waiting = self.lock();
        if waiting.end != Some(End::Abandoned) {
            waiting.end = Some(end);
        }
        drop(waiting);
        self.wake();
    }

    pub(super) fn is_abandoned(&self) -> bool {
        self.lock().end == Some(End::Abandoned)
    }

    /// Waits until the writing thread has something to do, or until `deadline`.
    pub(super) fn wait(&self, deadline: Option<Instant>) {
        let mut waiting = self.lock();
        while !std::mem::take(&mut waiting.woken) {
            waiting = match deadline {
                None => self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left == Duration::ZERO {
                        return;
                    }
                    self.changed.wait_timeout(waiting, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    /// Takes all there is. `ops` lends its memory.
    pub(super) fn take(&self, ops: Vec<WriteOp>) -> Taken {
        let mut waiting = self.lock();
        let ops = waiting.take_ops(ops);
        let (ended, wishes) = (waiting.ended.take(), std::mem::take(&mut waiting.wishes));
        Taken { ops, ended, wishes, end: waiting.end }
    }

    /// Takes all there is if that is nothing but facts and appends that need no sync of their own.
    pub(super) fn take_writes(&self, ops: Vec<WriteOp>) -> Option<Vec<WriteOp>> {
        let mut waiting = self.lock();
        let only_writes = !waiting.mixed && waiting.ended.is_none() && waiting.end.is_none();
        only_writes.then(|| waiting.take_ops(ops))
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Each change is complete when the lock is given back, so a panic elsewhere leaves nothing half done.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn configure(&mut self, topic: TopicId, config: &TopicConfig) {
        if config.durability == TopicDurability::Fsync {
            self.synced.insert(topic);
        } else {
            self.synced.remove(&topic);
        }
    }

    fn take_ops(&mut self, mut ops: Vec<WriteOp>) -> Vec<WriteOp> {
        ops.clear();
        std::mem::swap(&mut self.ops, &mut ops);
        (self.bytes, self.mixed) = (0, false);
        ops
    }
}
