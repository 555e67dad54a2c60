//! What is read of an engine's logs.

use takhin_core::{LogId, Offset};

/// What to read from one log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadPart {
    /// The log.
    pub log: LogId,
    /// The first offset wanted. Where it falls into a gap, reading starts at the next record.
    pub from: Offset,
    /// The offset that must not be reached: the end of what is durable.
    pub to: Offset,
    /// How many bytes of encoded records to give at most, except that the first record is always given.
    pub max_bytes: usize,
    /// How many records to give at most.
    pub max_records: u32,
}

/// Whether a read may wait for a disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadMode {
    /// Only what is in memory; otherwise [`ReadError::WouldBlock`].
    NoWait,
    /// It may.
    Blocking,
}

/// Why a read gave nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The data isn't in memory: ask again in a thread that may wait.
    #[error("the read would have to wait")]
    WouldBlock,
    /// There is no such log, or no longer.
    #[error("the log was deleted")]
    Deleted,
    /// `from` is before the log's start.
    #[error("the log starts at {}", start.0)]
    BeforeStart {
        /// The first offset that is there.
        start: Offset,
    },
    /// The bytes at this offset are damaged. Records before and after them can be read.
    #[error("damaged records at offset {} ({place})", offset.0)]
    Corrupt {
        /// Where the bytes lie, for the operator.
        place: String,
        /// The first offset that can't be read.
        offset: Offset,
        /// The next that can, if there is one.
        next_offset: Option<Offset>,
    },
    /// The storage could not be read.
    #[error("the storage could not be read: {0}")]
    Failed(String),
}
