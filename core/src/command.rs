//! What comes out: everything that the runtime owes.

use alloc::string::String;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use crate::{
    fact::Fact,
    ids::{AppendId, ConsumerId, FactSeq, FetchId, LogId, Offset, RequestId, TopicId, TopicName},
    producers::{AppendRefusal, ProducerStamp},
    refusal::Refusal,
    response::Response,
    time::Date,
    topic_config::TopicConfig,
};

/// A short list, one entry for each partition that a request touches: the usual one lives without the heap.
pub type Parts<T> = SmallVec<[T; 1]>;

/// What one step decided: a commit's two facts, its offsets and the positions before them, live without the heap.
pub type Facts = SmallVec<[Fact; 2]>;

/// A side effect that the runtime owes. Effects of one log, and facts among themselves, are to be carried out in
/// the order given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Command {
    /// Append the records that came with a request; [`Event::Appended`](crate::Event::Appended) answers, once
    /// they are as durable as the runtime promises.
    Append {
        /// Names the answer.
        id: AppendId,
        /// Where to.
        log: LogId,
        /// How many records.
        records: u32,
        /// Their size as stored.
        bytes: u32,
        /// Only if the log ends here, once everything before has been appended.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expected_offset: Option<Offset>,
        /// Only if the producer's batch is not there yet, and is what comes next of it: see
        /// [`Producers`](crate::producers::Producers).
        #[serde(default, skip_serializing_if = "Option::is_none")]
        producer: Option<ProducerStamp>,
    },
    /// Read; [`Event::Fetched`](crate::Event::Fetched) answers. What was read is kept under the fetch's id until
    /// a reply uses it or [`Command::Discard`] drops it.
    Fetch {
        /// Names the answer.
        id: FetchId,
        /// Records at most over all parts.
        max_records: u32,
        /// Bytes at most over all parts, but a first record always fits.
        max_bytes: u32,
        /// What to read, in this order, until a limit is reached.
        parts: Parts<FetchPart>,
        /// Whether only all of it will do, however long that takes: a batch that is handed out again is to be the
        /// same. Otherwise a part that isn't at hand may be left for the next time.
        #[serde(default, skip_serializing_if = "core::ops::Not::not")]
        whole: bool,
    },
    /// Drop what a fetch read.
    Discard {
        /// The fetch.
        id: FetchId,
    },
    /// Find the first record before `to` that is not older than a date; [`Event::LookedUp`](crate::Event::LookedUp)
    /// answers.
    Lookup {
        /// For whom.
        consumer: ConsumerId,
        /// Where.
        log: LogId,
        /// The date.
        at: Date,
        /// What to answer with if there is no such record.
        to: Offset,
    },
    /// Make facts durable, in order; [`Event::Persisted`](crate::Event::Persisted) answers.
    Persist {
        /// The place of the first one.
        first: FactSeq,
        /// The facts.
        facts: Facts,
    },
    /// Make the logs of a topic's new partitions; [`Event::LogsCreated`](crate::Event::LogsCreated) answers.
    CreateLogs {
        /// The topic.
        topic: TopicId,
        /// Its name.
        name: TopicName,
        /// The first new partition.
        first: u32,
        /// How many partitions the topic has with them.
        partitions: u32,
    },
    /// Keep a topic's logs, those still to be made too, in this way from now on. Nothing answers: the fact of it is
    /// durable already, or that of the topic's creation is on its way, and a start of the broker says it anew.
    ConfigureLogs {
        /// The topic.
        topic: TopicId,
        /// How.
        config: TopicConfig,
    },
    /// Remove a deleted topic's logs. Nothing answers: the fact of the deletion is durable already, and a start
    /// of the broker repeats what was not finished.
    DeleteLogs {
        /// The topic.
        topic: TopicId,
        /// Its name.
        name: TopicName,
        /// How many partitions it had.
        partitions: u32,
    },
    /// Answer a request.
    Reply {
        /// The request.
        request: RequestId,
        /// The answer.
        response: Result<Response, Refusal>,
    },
}

/// One log's part of a fetch: the offsets `from <= offset < to`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FetchPart {
    /// The log.
    pub log: LogId,
    /// The first offset wanted.
    pub from: Offset,
    /// The end of what may be shown.
    pub to: Offset,
}

/// What a fetch found in one log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FetchedPart {
    /// The log.
    pub log: LogId,
    /// The offset from which it was read.
    pub from: Offset,
    /// The offset that follows what was read; `from` if nothing was.
    pub next: Offset,
    /// How many records.
    pub records: u32,
    /// Their size as stored.
    pub bytes: u32,
    /// What stopped the reading, if something did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<ReadError>,
}

/// Where an append put its records: `base_offset <= offset < end`, without gaps on a local engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppendedAt {
    /// The first record's offset.
    pub base_offset: Offset,
    /// The log's end after it, if all before that can be read; else something less, and the end is told as it moves.
    pub end: Offset,
    /// Whether they had been appended before, and nothing was done now.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub duplicate: bool,
}

/// Why a log could not be read on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum ReadError {
    /// The offset is before the log's start.
    #[error("the log now starts at {}", start.0)]
    Trimmed {
        /// The log's start.
        start: Offset,
    },
    /// What is stored there is damaged.
    #[error("the log is damaged at {}", at.0)]
    Corrupt {
        /// The first offset that can't be read.
        at: Offset,
        /// The first after it that can.
        next: Offset,
    },
    /// The log could not be read at all.
    #[error(transparent)]
    Storage(StorageError),
}

/// Why storage could not do something.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum StorageError {
    /// No room is left.
    #[error("no space is left")]
    Full,
    /// More is waiting to be written than may wait.
    #[error("too much is waiting to be written")]
    Overloaded,
    /// It failed, and nothing was done.
    #[error("{0}")]
    Failed(String),
    /// It failed, and whether something was done is not known: it may be there after the next start, or not.
    #[error("{0}; whether it was written is not known")]
    Uncertain(String),
    /// The records are such that storage takes none of them, however often they come; it says why. Nothing was done.
    #[error("{0}")]
    Unacceptable(String),
    /// It could have been done, and what the request asks for forbids it. Nothing was done.
    #[error(transparent)]
    Refused(AppendRefusal),
}
