//! What a consumer is told and tells: batches, offsets, places.

use crate::{Message, PartitionOffset, TopicPartition};

/// What a poll brings.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Batch {
    /// Messages, in order per partition.
    pub messages: Vec<Message>,
    /// Partitions that came.
    pub assigned: Vec<TopicPartition>,
    /// Partitions that go with the next poll: until then offsets of theirs can still be committed.
    pub revoked: Vec<TopicPartition>,
    /// Partitions that are gone already: nothing can be committed for them.
    pub lost: Vec<TopicPartition>,
}

/// An offset to commit, and what to remember with it.
#[derive(Clone, Debug)]
pub struct CommitOffset {
    /// The next offset to read.
    pub at: PartitionOffset,
    /// At most 4,096 bytes.
    pub metadata: Option<String>,
}

/// What a group has committed of a partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// The next offset to read.
    pub offset: u64,
    /// What was remembered with it.
    pub metadata: Option<String>,
}

/// Where a seek goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The log's start.
    Beginning,
    /// The log's end.
    End,
    /// Where the group would begin.
    Committed,
    /// The first record that is not older than this time (milliseconds since the epoch); the end if there is none.
    TimestampMs(u64),
}

impl From<PartitionOffset> for CommitOffset {
    fn from(at: PartitionOffset) -> Self {
        Self { at, metadata: None }
    }
}
