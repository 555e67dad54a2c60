//! What an engine is asked to do, and what it says that it has done.

use std::ops::Range;

use takhin_core::{AppendId, AppendRefusal, FactSeq, LogId, Offset, TopicConfig, TopicId, TopicName};

use super::local;
use crate::record::EncodedBatch;

/// What an engine can be asked to do.
#[derive(Debug)]
pub enum WriteOp {
    /// Append the batch to the log: all of its records or none.
    Append {
        /// Comes back with the completion.
        id: AppendId,
        /// The log.
        log: LogId,
        /// The records. If they bear a producer's stamp, they are appended only if they are what comes next of it.
        batch: EncodedBatch,
        /// Only if the log ends here, once everything before has been appended.
        expected_offset: Option<Offset>,
    },
    /// Keep facts. They are never refused: they wait until there is room for them.
    Persist {
        /// The last of the facts.
        through: FactSeq,
        /// Facts in order, each after all that were submitted before.
        facts: Vec<(FactSeq, Vec<u8>)>,
    },
    /// Make logs, each empty and starting at offset 0. One that is there already stays as it is. Other writes go on
    /// meanwhile, so a log takes appends only after the completion.
    CreateLogs {
        /// The topic.
        topic: TopicId,
        /// Its name.
        name: TopicName,
        /// Which partitions to make.
        partitions: Range<u32>,
    },
    /// Keep a topic's logs in this way from now on, those too that are made later.
    ConfigureLogs {
        /// The topic.
        topic: TopicId,
        /// How.
        config: TopicConfig,
    },
    /// Remove all of a topic's logs and what they hold.
    DeleteLogs {
        /// The topic.
        topic: TopicId,
        /// Its name.
        name: TopicName,
        /// How many partitions it has.
        partitions: u32,
    },
    /// Hold all logs as they are once what was submitted before is written, for a backup.
    Hold {
        /// Where to say what is held.
        reply: tokio::sync::oneshot::Sender<std::io::Result<local::backup::Held>>,
    },
    /// Keep a snapshot that stands for all facts up to and with `through`, which need not be kept any longer.
    Checkpoint {
        /// The last fact in it.
        through: FactSeq,
        /// The state.
        snapshot: Vec<u8>,
    },
}

impl WriteOp {
    /// What it weighs in a queue that is bounded in bytes.
    pub fn weight(&self) -> usize {
        let payload = match self {
            Self::Append { batch, .. } => batch.bytes().len(),
            Self::Persist { facts, .. } => facts.iter().map(|(_, fact)| fact.len() + size_of::<FactSeq>()).sum(),
            Self::Checkpoint { snapshot, .. } => snapshot.len(),
            Self::Hold { .. } | Self::CreateLogs { .. } | Self::ConfigureLogs { .. } | Self::DeleteLogs { .. } => 0,
        };
        size_of::<Self>() + payload
    }
}

/// What an engine has done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Completion {
    /// An append has ended.
    Appended {
        /// Which one.
        id: AppendId,
        /// The log.
        log: LogId,
        /// Where the records are.
        result: Result<AppendedAt, StorageError>,
    },
    /// All facts up to and with this one are kept.
    Persisted {
        /// The last of them.
        through: FactSeq,
    },
    /// Logs were made, or some of them could not be.
    LogsCreated {
        /// The topic.
        topic: TopicId,
        /// Which partitions.
        partitions: Range<u32>,
        /// After an error any of them may be there; asking again is harmless.
        result: Result<(), StorageError>,
    },
    /// Logs were removed; no read finds them any longer.
    LogsDeleted {
        /// The topic.
        topic: TopicId,
        /// After an error they are out of reach all the same, and are removed at the next start.
        result: Result<(), StorageError>,
    },
    /// Records at a log's beginning were removed because of their age or the log's size.
    LogTrimmed {
        /// The log.
        log: LogId,
        /// Its first offset now.
        start: Offset,
        /// The offset after its last.
        end: Offset,
    },
    /// The engine would like a [`WriteOp::Checkpoint`]. Asked once until one has been done.
    CheckpointWanted,
    /// A checkpoint has ended. After an error the one before it is still in force.
    CheckpointDone {
        /// The last fact in it.
        through: FactSeq,
        /// Whether it is kept.
        result: Result<(), StorageError>,
    },
    /// The state of the storage has changed.
    StorageState(StorageState),
}

/// Where an append has put its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AppendedAt {
    /// The first record's offset.
    pub base_offset: Offset,
    /// The offset after the last.
    pub end: Offset,
    /// What the batch takes in the log.
    pub bytes: u64,
    /// Whether it was there already, and nothing was written.
    pub duplicate: bool,
    /// Whether it is certain that it can be read at once. If not, how far the log can be read is told when it is known: others'
    /// records may lie before it that aren't stable yet.
    pub readable: bool,
}

/// Whether an engine can write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StorageState {
    /// It can.
    Ok,
    /// There is no room. Appends are refused one by one, facts wait, and it goes on when there is room again.
    Full,
    /// It can't until it is started anew, since what was written and what is durable can't be told apart any
    /// longer. Reads go on.
    Failed {
        /// What has happened.
        why: String,
    },
}

/// Why an operation had no effect.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StorageError {
    /// There is no room. Nothing was written.
    #[error("the storage is full")]
    Full,
    /// There is no such log.
    #[error("no such log")]
    NoSuchLog,
    /// It could not be written, and nothing of it will ever be seen.
    #[error("the storage failed: {0}")]
    Failed(String),
    /// It was written, but whether it is durable can't be told: it may be there after the next start, or not.
    #[error("the storage failed and the outcome is unknown: {0}")]
    Uncertain(String),
    /// The records are not as the storage wants them, and it takes none of them however often they come. Nothing was written.
    #[error("{0}")]
    Unacceptable(String),
    /// The log is not in the state that the append asks for. Nothing was written.
    #[error(transparent)]
    Refused(AppendRefusal),
}

/// Where an engine reports what it has done.
pub trait Completions: Send {
    /// Takes what has been done since the last call, in order, and leaves `batch` empty.
    ///
    /// Called on the engine's writing thread, which writes nothing until the call returns.
    fn completed(&mut self, batch: &mut Vec<Completion>);
}

impl<F: FnMut(&mut Vec<Completion>) + Send> Completions for F {
    fn completed(&mut self, batch: &mut Vec<Completion>) {
        self(batch);
    }
}

/// An operation was not taken.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// The queue has reached its bound; it is free again when what waits has been written.
    #[error("the write queue is full")]
    QueueFull(Box<WriteOp>),
    /// The engine has stopped.
    #[error("the engine has stopped")]
    Stopped(Box<WriteOp>),
}
