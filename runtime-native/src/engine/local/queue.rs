//! What waits to be written.

use std::{
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use super::checkpoint::CheckpointEnd;
use crate::engine::{SubmitError, WriteOp};

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
    ended: Option<CheckpointEnd>,
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
    pub(super) end: Option<End>,
}

impl Queue {
    pub(super) fn new(limit: usize) -> Self {
        Self { limit, waiting: Mutex::default(), changed: Condvar::new() }
    }

    /// Adds an operation. An append is taken if the queue is empty, however large it is.
    pub(super) fn submit(&self, op: WriteOp) -> Result<(), SubmitError> {
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
        waiting.ops.push(op);
        let first = waiting.ops.len() == 1;
        drop(waiting);
        if first {
            self.changed.notify_one();
        }
        Ok(())
    }

    /// Reports the end of a checkpoint.
    pub(super) fn checkpoint_ended(&self, end: CheckpointEnd) {
        self.lock().ended = Some(end);
        self.changed.notify_one();
    }

    /// Takes nothing more, and has the writer end.
    pub(super) fn end(&self, end: End) {
        let mut waiting = self.lock();
        if waiting.end != Some(End::Abandoned) {
            waiting.end = Some(end);
        }
        drop(waiting);
        self.changed.notify_one();
    }

    /// Takes all there is; waits for something until `deadline`. `ops` lends its memory.
    pub(super) fn take(&self, mut ops: Vec<WriteOp>, deadline: Option<Instant>) -> Taken {
        ops.clear();
        let mut waiting = self.lock();
        while waiting.ops.is_empty() && waiting.ended.is_none() && waiting.end.is_none() {
            waiting = match deadline {
                None => self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if left == Duration::ZERO {
                        break;
                    }
                    self.changed.wait_timeout(waiting, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
        waiting.bytes = 0;
        std::mem::swap(&mut waiting.ops, &mut ops);
        Taken { ops, ended: waiting.ended.take(), end: waiting.end }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Each change is complete when the lock is given back, so a panic elsewhere leaves nothing half done.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
