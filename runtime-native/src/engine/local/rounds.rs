//! Rounds of writing: one at a time, by the writing thread or by whoever has something to write.
//!
//! ```text
//!   submit -> queue --.
//!                      >-- one round at a time: all that waits --> Completions
//!   writing thread ---'
//!   a submitter ------'   only appends and facts, and only where no write waits for the disk
//! ```
//!
//! Where writing is no more than a copy into the page cache, to wake a thread and to be woken by it takes longer than
//! the writing. So there whoever submits the first operation of a round writes it, and those that were submitted
//! meanwhile. All that may take long is left to the thread: syncs, checkpoints, making and deleting logs; and all
//! writing for a while after a round that was slow, as when the page cache is full of what the disk does not take.

use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, TryLockError,
        atomic::{AtomicBool, Ordering},
        mpsc::Sender,
    },
    thread,
    time::{Duration, Instant},
};

use super::{
    checkpoint::Job,
    config::Durability,
    queue::{End, Queue},
    writer::{Alarms, Writer},
};
use crate::engine::{Completions, StorageError, WriteOp};

/// A round that took longer than this waited for the disk.
const SLOW: Duration = Duration::from_millis(2);
/// For how long after that only the writing thread writes.
const PAUSE: Duration = Duration::from_secs(1);
/// How many rounds in a row a submitter writes before the thread takes over.
const IN_A_ROW: u32 = 4;

/// Whose turn it is to write.
pub(super) struct Rounds {
    queue: Arc<Queue>,
    submitters_write: bool,
    seat: Mutex<Option<Seat>>,
    /// Somebody found the seat taken, and left to who has it what waits.
    again: AtomicBool,
}

/// All that a round needs.
struct Seat {
    writer: Writer,
    sink: Box<dyn Completions>,
    background: Sender<Job>,
    /// Memory that rounds lend each other.
    ops: Vec<WriteOp>,
    only_thread_until: Option<Instant>,
}

/// Sets the writing of what was submitted going. Clones are of the same engine.
#[derive(Clone, Debug)]
pub struct Flusher(pub(super) Arc<Rounds>);

impl Flusher {
    /// Has all written that was submitted before, soon: on this thread where that waits for no disk, else on the
    /// engine's. It calls the engine's [`Completions`], so no lock that these take may be held.
    pub fn flush(&self) {
        self.0.flush();
    }
}

impl Rounds {
    pub(super) fn new(queue: Arc<Queue>, durability: Durability) -> Self {
        let submitters_write = durability != Durability::Fsync;
        Self { queue, submitters_write, seat: Mutex::new(None), again: AtomicBool::new(false) }
    }

    /// From now on there is writing. To be called before [`Rounds::run`].
    pub(super) fn begin(&self, writer: Writer, sink: Box<dyn Completions>, background: Sender<Job>) {
        let seat = Seat { writer, sink, background, ops: Vec::new(), only_thread_until: None };
        *self.seat.lock().unwrap_or_else(PoisonError::into_inner) = Some(seat);
    }

    fn flush(&self) {
        if !self.submitters_write {
            return self.queue.wake();
        }
        for _ in 0..IN_A_ROW {
            let mut seat = match self.seat.try_lock() {
                Ok(seat) => seat,
                Err(TryLockError::Poisoned(_)) => return self.queue.end(End::Abandoned),
                Err(TryLockError::WouldBlock) => {
                    self.again.store(true, Ordering::SeqCst);
                    match self.seat.try_lock() {
                        Ok(seat) => seat,
                        // Whoever has the seat looks for `again` after giving it back.
                        Err(_) => return,
                    }
                }
            };
            self.again.store(false, Ordering::SeqCst);
            let _ended = EndOnPanic(&self.queue);
            if let Some(seat) = &mut *seat
                && !seat.round_of_a_submitter(&self.queue)
            {
                return self.queue.wake();
            }
            drop(seat);
            if !self.again.load(Ordering::SeqCst) {
                return;
            }
        }
        self.queue.wake();
    }

    /// Writes on this thread until the queue says to end. Gives the writer back if everything was written.
    pub(super) fn run(&self) -> Result<Option<Writer>, StorageError> {
        loop {
            let deadline = self.lock()?.as_ref().and_then(|seat| seat.writer.deadline());
            // Whoever finds the seat taken from now on is heard.
            if !self.again.swap(false, Ordering::SeqCst) {
                self.queue.wait(deadline);
            }
            let mut seat = self.lock()?;
            let ended = seat.as_mut().is_none_or(|seat| seat.round(&self.queue));
            if ended {
                // The background thread ends with its last sender.
                let writer = seat.take().map(|seat| seat.writer);
                return Ok(writer.filter(|_| !self.queue.is_abandoned()));
            }
        }
    }

    fn lock(&self) -> Result<MutexGuard<'_, Option<Seat>>, StorageError> {
        self.seat.lock().map_err(|poisoned| {
            poisoned.into_inner().take();
            StorageError::Failed("a write panicked".to_owned())
        })
    }
}

impl Seat {
    /// Whether this was the last round.
    fn round(&mut self, queue: &Queue) -> bool {
        let taken = queue.take(std::mem::take(&mut self.ops));
        let end = taken.end;
        if end == Some(End::Abandoned) {
            return true;
        }
        self.ops = self.writer.work(taken, &self.background);
        self.report();
        end.is_some() && self.writer.creations.is_empty()
    }

    /// Whether there was nothing in it that the thread has to do.
    fn round_of_a_submitter(&mut self, queue: &Queue) -> bool {
        let began = Instant::now();
        if self.only_thread_until.is_some_and(|until| began < until) {
            return false;
        }
        let Some(mut ops) = queue.take_writes(std::mem::take(&mut self.ops)) else {
            return false;
        };
        let before = self.writer.alarms();
        self.writer.write(&mut ops, &self.background);
        self.writer.want_checkpoint_if_due();
        self.ops = ops;
        self.report();
        self.only_thread_until = (began.elapsed() > SLOW).then(|| began + PAUSE);
        let alarms = self.writer.alarms();
        alarms == before || alarms == Alarms::default()
    }

    fn report(&mut self) {
        if !self.writer.done.is_empty() {
            self.sink.completed(&mut self.writer.done);
            self.writer.done.clear();
        }
    }
}

/// A panic in the middle of a round leaves a state that nobody can trust: nothing more is taken.
struct EndOnPanic<'a>(&'a Queue);

impl Drop for EndOnPanic<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.end(End::Abandoned);
        }
    }
}

impl fmt::Debug for Rounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rounds").field("submitters_write", &self.submitters_write).finish_non_exhaustive()
    }
}
