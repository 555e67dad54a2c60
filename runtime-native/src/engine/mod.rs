//! The seam between the driver and whatever keeps the logs and the facts.
//!
//! ```text
//!            submit(WriteOp)                    one call per group
//!   driver ------------------> engine ------------------------------> Completions
//!     ^                                                                   |
//!     '-------------------------------------------------------------------'
//!   request threads -- read(ReadPart, Chunk) --> reader
//! ```
//!
//! * A [`WriteOp`] is answered by exactly one [`Completion`] that names it, unless the engine stops first.
//!   [`Persist`](WriteOp::Persist)s are answered cumulatively: one [`Persisted`](Completion::Persisted) may stand
//!   for several.
//! * Operations on one log are carried out in the order in which they were submitted; so are facts.
//! * What has completed successfully is as durable as the engine's setting promises, and not before.
//! * Reads take no part in that order: the reader is told how far it may see.
//!
//! Offsets may have gaps here, since an engine may share its logs with others. In [`local`] there are gaps only where
//! records were compacted away.

mod buffers;
mod chunk;
#[cfg(feature = "kafka")]
pub mod kafka;
pub mod local;
mod read;
mod seam;
mod write;

pub use chunk::{Chunk, ChunkRecords, ReadOutcome};
pub use read::{ReadError, ReadMode, ReadPart};
pub use seam::{Engine, EngineParts, Figures, ReadLogs, Submitted, WriteSoon};
pub use write::{AppendedAt, Completion, Completions, StorageError, StorageState, SubmitError, WriteOp};
