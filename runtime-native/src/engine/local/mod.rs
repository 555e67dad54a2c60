//! The embedded engine: logs and facts in one directory of this machine.
//!
//! ```text
//! data/
//!   keys.json, keys.lock         API keys, which are not the engine's (`crate::keys`)
//!   takhin.json                  format version and count of starts, replaced at each
//!   lock                         held while a process has the directory
//!   logs/orders-0/
//!     00000000000000000000.log         batches, byte for byte Kafka's
//!     00000000000000000000.index       Kafka's own formats; can be made anew
//!     00000000000000000000.timeindex
//!     00000000000000000000.log.cut-900   what a start has cut off there, if it was more than half a batch
//!     log-start                        where it begins, once old records were removed
//!     partition.metadata               which topic of that name it belongs to
//!   journal/00000000000000000001.wal   all that was written since, of all logs, and the facts
//!   snapshots/00000000000000000001.snap  the last two
//! ```
//!
//! What is written goes to its segment and to the journal, and one sync of the journal makes all of it durable,
//! however many logs there are. Behind that, a checkpoint syncs the segments and keeps a snapshot, after which
//! the journal before the *previous* snapshot is removed: so a snapshot that is found damaged costs nothing.
//!
//! ```text
//!   submit -> queue -> writer thread --> segments, journal --> sync --> Completions
//!                          |
//!                          '--> background thread: checkpoints, removals, retention, compaction
//!   read ----------------> files, through indexes                         (any thread)
//! ```

mod anchors;
mod aside;
pub mod backup;
mod checkpoint;
mod cleaner;
mod collect;
mod compact;
mod config;
pub mod disk;
mod files;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod group;
mod home;
mod index;
mod journal;
mod keyed;
mod layout;
mod listing;
mod log;
mod open_logs;
mod opening;
mod parts;
mod probe;
mod producers;
mod queue;
mod reader;
mod recover;
mod repair;
mod replace;
mod report;
mod room;
mod rounds;
mod seam;
mod snapshot;
mod stats;
mod tail;
#[cfg(test)]
mod tests;
mod trim;
mod upkeep;
mod walk;
mod writer;

use std::{
    io,
    sync::{Arc, mpsc},
    thread::{self, JoinHandle},
};

pub use config::{Durability, LocalConfig};
pub use home::OpenError;
pub(crate) use home::make_root;
pub use opening::{LogBounds, LogSpec, Opening};
pub use reader::Reader;
pub use report::{CutOff, RecoveryNote, RecoveryReport};
pub use room::DiskRoom;
pub use rounds::Flusher;
pub use stats::{EngineCounts, EngineStats};

use self::{
    checkpoint::Job,
    cleaner::Cleaner,
    home::Home,
    queue::{End, Queue},
    rounds::Rounds,
    writer::Writer,
};
use super::{Completions, StorageError, SubmitError, Submitted, WriteOp};

/// The engine. Dropping it without [`LocalEngine::stop`] is like the death of the process: what was acknowledged
/// is there at the next start, what waits is not.
#[derive(Debug)]
pub struct LocalEngine {
    queue: Arc<Queue>,
    rounds: Arc<Rounds>,
    stats: Arc<EngineStats>,
    reader: Reader,
    run: Run,
    // Last, so that the lock is given back when nothing is written any more.
    _home: Home,
}

#[derive(Debug)]
enum Run {
    Ready(Box<Writer>),
    Running(JoinHandle<Result<(), StorageError>>),
    Ended,
}

impl LocalEngine {
    fn new(writer: Writer, queue: Queue, home: Home) -> Self {
        let queue = Arc::new(queue);
        Self {
            rounds: Arc::new(Rounds::new(Arc::clone(&queue), writer.config.durability)),
            queue,
            stats: Arc::clone(&writer.stats),
            reader: Reader::new(Arc::clone(&writer.shared)),
            run: Run::Ready(Box::new(writer)),
            _home: home,
        }
    }

    /// Starts writing. What was submitted before is written now.
    ///
    /// # Errors
    /// If the threads can't be made. The engine is of no use then.
    pub fn start(&mut self, sink: impl Completions + 'static) -> io::Result<()> {
        self.start_writing(Box::new(sink))
    }

    fn start_writing(&mut self, sink: Box<dyn Completions>) -> io::Result<()> {
        if let Run::Ready(writer) = std::mem::replace(&mut self.run, Run::Ended) {
            let (shared, layout) = (Arc::clone(&writer.shared), writer.layout.clone());
            let (interval, max_keys) = (writer.config.cleanup_interval, writer.config.compaction_keys);
            let (background, jobs) = mpsc::channel();
            self.rounds.begin(*writer, sink, background);
            let (rounds, queue) = (Arc::clone(&self.rounds), Arc::clone(&self.queue));
            let thread = thread::Builder::new().name("takhin-writer".to_owned());
            self.run = Run::Running(thread.spawn(move || {
                let _refuse = RefuseAtEnd(Arc::clone(&queue));
                write(&rounds, &queue, jobs, |jobs| {
                    checkpoint::run(&jobs, &shared, &layout, &queue, Cleaner::new(interval, max_keys));
                })
            })?);
            self.queue.wake();
        }
        Ok(())
    }

    /// Hands an operation over; once a round of writing has begun ([`Flusher::flush`]) it comes back as a completion.
    ///
    /// # Errors
    /// [`SubmitError`] gives the operation back; nothing comes of it.
    pub fn submit(&self, op: WriteOp) -> Result<Submitted, SubmitError> {
        let submitted = self.queue.submit(op);
        if let Err(SubmitError::QueueFull(_)) = submitted {
            self.stats.refused.inc();
        }
        submitted
    }

    /// What sets the writing going.
    pub fn flusher(&self) -> Flusher {
        Flusher(Arc::clone(&self.rounds))
    }

    /// A reader of all logs. It reads on after the engine has stopped.
    pub fn reader(&self) -> Reader {
        self.reader.clone()
    }

    /// Its counters.
    pub fn stats(&self) -> &Arc<EngineStats> {
        &self.stats
    }

    /// Writes all that waits, reports it, makes everything durable, and ends. Nothing is left to recover then.
    ///
    /// # Errors
    /// If not everything could be made durable. What was acknowledged is kept all the same.
    pub fn stop(mut self) -> Result<(), StorageError> {
        self.end(End::Drained)
    }

    fn end(&mut self, end: End) -> Result<(), StorageError> {
        self.queue.end(end);
        match std::mem::replace(&mut self.run, Run::Ended) {
            Run::Ready(writer) if end == End::Drained => writer.close(),
            Run::Running(thread) => {
                thread.join().unwrap_or_else(|_| Err(StorageError::Failed("the writer panicked".to_owned())))
            }
            Run::Ready(_) | Run::Ended => Ok(()),
        }
    }
}

impl Drop for LocalEngine {
    fn drop(&mut self) {
        if let Err(error) = self.end(End::Abandoned) {
            tracing::warn!(%error, "the engine ended badly");
        }
    }
}

/// However the writer ends, a panic included, nothing more is taken that nobody would write.
struct RefuseAtEnd(Arc<Queue>);

impl Drop for RefuseAtEnd {
    fn drop(&mut self) {
        self.0.end(End::Abandoned);
    }
}

/// The writing thread, with the background thread inside it.
fn write(
    rounds: &Rounds,
    queue: &Queue,
    jobs: mpsc::Receiver<Job>,
    work: impl Fn(mpsc::Receiver<Job>) + Sync,
) -> Result<(), StorageError> {
    let ended = thread::scope(|scope| {
        let work = &work;
        thread::Builder::new()
            .name("takhin-background".to_owned())
            .spawn_scoped(scope, move || work(jobs))
            .map_err(|error| StorageError::Failed(error.to_string()))?;
        rounds.run()
    })?;
    let Some(mut writer) = ended else { return Ok(()) };
    if let Some(ended) = queue.take(Vec::new()).ended {
        let (background, jobs) = mpsc::channel();
        writer.checkpoint_ended(ended, &background);
        drop(background);
        work(jobs);
    }
    writer.close()
}
