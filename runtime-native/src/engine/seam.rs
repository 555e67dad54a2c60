//! What an engine is to the driver: somewhere to write, somewhere to read, and something that sets writing going.

use std::{fmt, io, sync::Arc};

use prometheus_client::registry::Registry;
use takhin_core::{LogId, Offset};

use super::{Chunk, Completions, ReadError, ReadMode, ReadOutcome, ReadPart, StorageError, SubmitError, WriteOp};

/// What comes of having submitted an operation: nothing, until somebody sees to it that a round begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Submitted {
    /// Whoever submitted it is to see to that.
    First,
    /// Whoever submitted the first does, or nobody needs to.
    BehindOthers,
}

/// Takes what is to be written. Dropping it without [`Engine::stop`] is like the death of the process: what was
/// acknowledged is there at the next start, what waits is not.
pub trait Engine: Send {
    /// Starts writing. What was submitted before is written now.
    ///
    /// # Errors
    /// If the threads can't be made. The engine is of no use then.
    fn start(&mut self, sink: Box<dyn Completions>) -> io::Result<()>;

    /// Hands an operation over; once it is set going ([`WriteSoon::write`]) it comes back as a completion.
    ///
    /// # Errors
    /// [`SubmitError`] gives the operation back; nothing comes of it.
    fn submit(&self, op: WriteOp) -> Result<Submitted, SubmitError>;

    /// Writes all that waits, reports it, makes everything durable, and ends.
    ///
    /// # Errors
    /// If not everything could be made durable. What was acknowledged is kept all the same.
    fn stop(self: Box<Self>) -> Result<(), StorageError>;
}

/// Sets the writing of what was submitted going.
pub trait WriteSoon: Send + Sync {
    /// Has all written that was submitted before, soon. It may call the engine's [`Completions`] on this thread, so no lock
    /// that these take may be held.
    fn write(&self);
}

/// Reads logs, from any thread.
pub trait ReadLogs: Send + Sync {
    /// Reads records: whole batches go into `out`, the outcome says which records of them are meant.
    ///
    /// # Errors
    /// See [`ReadError`].
    fn read(&self, part: &ReadPart, mode: ReadMode, out: &mut Chunk) -> Result<ReadOutcome, ReadError>;

    /// Reads batches as they are stored, each as a whole.
    ///
    /// # Errors
    /// See [`ReadError`].
    fn read_stored(&self, part: &ReadPart, mode: ReadMode, out: &mut Chunk) -> Result<ReadOutcome, ReadError>;

    /// The first record before `to` whose timestamp is at least `timestamp_ms`: its offset and its timestamp. May wait.
    ///
    /// # Errors
    /// See [`ReadError`].
    fn lookup_time(&self, log: LogId, timestamp_ms: i64, to: Offset) -> Result<Option<(Offset, i64)>, ReadError>;

    /// Whether logs grow without the engine's doing. Then it is told which of them somebody waits for.
    fn is_shared(&self) -> bool {
        false
    }

    /// Somebody waits for these to grow: whatever comes to them in the next minute is to be reported.
    fn watch(&self, _logs: &[LogId]) {}
}

/// Shows an engine's counters.
pub trait Figures: Send + Sync {
    /// Shows them under their names.
    fn register(&self, registry: &mut Registry);
}

/// An engine that was opened, in the parts that are used from different places.
pub struct EngineParts {
    /// Takes what is to be written.
    pub engine: Box<dyn Engine>,
    /// Sets the writing going.
    pub writing: Arc<dyn WriteSoon>,
    /// Reads. It reads on after the engine has stopped.
    pub reader: Arc<dyn ReadLogs>,
    /// Its counters.
    pub figures: Box<dyn Figures>,
}

impl fmt::Debug for EngineParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineParts").finish_non_exhaustive()
    }
}
