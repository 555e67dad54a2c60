//! What comes in: everything that can happen outside the core.

use alloc::{sync::Arc, vec::Vec};

use serde::{Deserialize, Serialize};

use crate::{
    command::{AppendedAt, FetchedPart, Parts, StorageError},
    config::{ConsumerOptions, PollLimits},
    ids::{
        AppendId, BatchId, ConsumerId, FactSeq, FetchId, Generation, GroupName, LogId, Offset, RequestId, TopicId,
        TopicName,
    },
    pattern::TopicPattern,
    producers::ProducerStamp,
    time::Date,
    topic_config::{TopicConfig, TopicConfigChange},
};

/// Something that happened outside. Every event is legal in every state: one that comes late, twice or for
/// something unknown is ignored or, where somebody waits for an answer, refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// A client asks. Exactly one [`Reply`](crate::Command::Reply) follows, unless the client hangs up first.
    Request {
        /// Given by the runtime, never used before.
        id: RequestId,
        /// What it asks.
        request: Request,
    },
    /// The client hung up before its reply was given; no reply will be given.
    Disconnected {
        /// The request it was waiting for.
        request: RequestId,
    },
    /// The reply to a poll was given, and could not be handed to the client: what it brought goes back.
    Undelivered {
        /// The poll.
        request: RequestId,
        /// Whose poll it was.
        consumer: ConsumerId,
    },
    /// The engine carried out, or gave up, an append.
    Appended {
        /// The append.
        id: AppendId,
        /// The log appended to.
        log: LogId,
        /// Where the records went.
        result: Result<AppendedAt, StorageError>,
    },
    /// The engine carried out a fetch.
    Fetched {
        /// The fetch.
        id: FetchId,
        /// What was read, a part for each part of the plan that was looked at, in the plan's order.
        parts: Parts<FetchedPart>,
    },
    /// The engine looked up a date, or could not.
    LookedUp {
        /// For whom.
        consumer: ConsumerId,
        /// Where.
        log: LogId,
        /// The date.
        at: Date,
        /// Where the first record is that is not older.
        result: Result<Offset, StorageError>,
    },
    /// Every fact up to and with this one outlives a crash.
    Persisted {
        /// The last of them.
        through: FactSeq,
    },
    /// The engine made, or could not make, the logs of a topic's new partitions.
    LogsCreated {
        /// The topic.
        topic: TopicId,
        /// How many partitions it has with them.
        partitions: u32,
        /// Whether it worked.
        result: Result<(), StorageError>,
    },
    /// A log moved without a command of ours: it was trimmed, or somebody else wrote to it.
    LogMoved {
        /// The log.
        log: LogId,
        /// The first offset that can be read.
        start: Offset,
        /// The next offset to be written.
        end: Offset,
    },
    /// What storage can do changed.
    Storage {
        /// What it can do now.
        state: StorageState,
    },
    /// What date it is. To be said at the start, and now and then, since clocks are set.
    Date {
        /// Now.
        now: Date,
    },
    /// Time passed.
    Tick,
    /// The server is about to stop: everything parked ends with what it has, and nothing parks any more.
    Drain,
}

/// What storage can do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StorageState {
    /// Everything.
    #[default]
    Ok,
    /// It reads, and takes nothing in for now; it goes back to `Ok` by itself when it can.
    Stalled(StorageError),
    /// It reads, and takes nothing in until the broker is started anew.
    Failed(StorageError),
}

impl StorageState {
    /// Why nothing can be written, if so.
    pub fn refusal(&self) -> Option<&StorageError> {
        match self {
            Self::Ok => None,
            Self::Stalled(error) | Self::Failed(error) => Some(error),
        }
    }
}

/// What a client can ask.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// Create a topic. Its id is that of this request.
    CreateTopic {
        /// Its name.
        name: TopicName,
        /// How many partitions.
        partitions: u32,
        /// How its logs are kept.
        #[serde(default, skip_serializing_if = "TopicConfig::is_default")]
        config: TopicConfig,
    },
    /// Change how a topic's logs are kept.
    ConfigureTopic {
        /// The topic.
        name: TopicName,
        /// What is set; the rest stays as it is.
        change: TopicConfigChange,
        /// How many partitions it shall have in all, if it is to have more. Both are done, or neither.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        partitions: Option<u32>,
    },
    /// Give a topic more partitions.
    AddPartitions {
        /// The topic.
        name: TopicName,
        /// How many it shall have in all.
        partitions: u32,
    },
    /// Delete a topic, its records and all offsets committed for it.
    DeleteTopic {
        /// The topic.
        name: TopicName,
    },
    /// List the topics.
    ListTopics,
    /// Describe one topic.
    DescribeTopic {
        /// The topic.
        name: TopicName,
    },
    /// Append the records that the runtime keeps under this request's id.
    Produce {
        /// The topic.
        topic: TopicName,
        /// How much for which partition; each partition once.
        batches: Parts<ProduceBatch>,
    },
    /// Read one partition without a consumer.
    Read {
        /// The topic.
        topic: TopicName,
        /// The partition.
        partition: u32,
        /// The first offset wanted, from the log's start to its end.
        offset: i64,
        /// How much, and how long to wait if the offset is the log's end.
        limits: PollLimits,
    },
    /// Create a consumer that subscribes to topics as a member of a group.
    Subscribe {
        /// Its id.
        consumer: ConsumerId,
        /// Its group.
        group: GroupName,
        /// What it subscribes to.
        topics: Topics,
        /// How it wants to be treated.
        options: ConsumerOptions,
        /// Whether a topic that does not exist (yet) is fine.
        allow_missing: bool,
    },
    /// Subscribe to something else, or again after partitions were taken by hand.
    ChangeSubscription {
        /// Who.
        consumer: ConsumerId,
        /// What it subscribes to from now on.
        topics: Topics,
        /// Whether a topic that does not exist (yet) is fine.
        allow_missing: bool,
    },
    /// Poll for records.
    Consume {
        /// Who polls.
        consumer: ConsumerId,
        /// How much, and how long to wait.
        limits: PollLimits,
        /// The last batch that the caller has got; [`None`] takes every earlier batch as received.
        after_batch: Option<BatchId>,
    },
    /// Commit offsets.
    Commit {
        /// Who commits.
        consumer: ConsumerId,
        /// What is committed; [`None`] is all that was delivered.
        offsets: Option<Vec<CommitOffset>>,
        /// The generation that the caller believes itself in.
        generation: Option<Generation>,
    },
    /// Move positions.
    Seek {
        /// Whose.
        consumer: ConsumerId,
        /// To where.
        positions: Vec<SeekTo>,
    },
    /// Move positions to a place that the log or the group knows.
    SeekPlace {
        /// Whose.
        consumer: ConsumerId,
        /// Which; [`None`] is every partition that it has.
        partitions: Option<Vec<(TopicName, u32)>>,
        /// To where.
        to: Place,
    },
    /// Stop delivering partitions that stay assigned.
    Pause {
        /// Whose.
        consumer: ConsumerId,
        /// Which; [`None`] is every partition that it has.
        partitions: Option<Vec<(TopicName, u32)>>,
    },
    /// Deliver paused partitions again.
    Resume {
        /// Whose.
        consumer: ConsumerId,
        /// Which; [`None`] is every partition that it has.
        partitions: Option<Vec<(TopicName, u32)>>,
    },
    /// Take partitions by hand and leave the group's subscription.
    Assign {
        /// Who.
        consumer: ConsumerId,
        /// The partitions, all of them.
        partitions: Vec<(TopicName, u32)>,
    },
    /// Say all about a consumer; also its heartbeat.
    Describe {
        /// Who.
        consumer: ConsumerId,
    },
    /// Say what the consumer's group has committed for the consumer's partitions.
    Committed {
        /// Who.
        consumer: ConsumerId,
    },
    /// Leave and end the session.
    Close {
        /// Who.
        consumer: ConsumerId,
    },
    /// List the groups.
    ListGroups,
    /// Set offsets of a group that nobody is in; the group is made if it isn't there.
    SetOffsets {
        /// The group.
        group: GroupName,
        /// Which, and to what: all of them or none.
        offsets: Vec<SetOffset>,
        /// Whether to say what would be done, and do nothing.
        dry_run: bool,
    },
    /// Forget offsets of a group that nobody is in.
    DeleteOffsets {
        /// The group.
        group: GroupName,
        /// Of which partitions.
        partitions: Vec<(TopicName, u32)>,
    },
    /// Forget a group that nobody is in, with all its offsets.
    DeleteGroup {
        /// The group.
        group: GroupName,
    },
    /// Describe one group.
    DescribeGroup {
        /// The group.
        group: GroupName,
    },
}

/// The topics that a consumer subscribes to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Topics {
    /// These, 1 to 10,000.
    Named(Vec<TopicName>),
    /// All that match, those that come later too.
    Matching(TopicPattern),
}

impl Topics {
    /// Topics that one consumer may subscribe to, and partitions that it may take by hand.
    pub const MAX_NAMED: u32 = 10_000;
}

impl FromIterator<TopicName> for Topics {
    fn from_iter<I: IntoIterator<Item = TopicName>>(names: I) -> Self {
        Self::Named(names.into_iter().collect())
    }
}

/// The records of one request for one partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProduceBatch {
    /// The partition.
    pub partition: u32,
    /// How many records, at least 1.
    pub records: u32,
    /// Their size as they are read.
    pub bytes: u32,
    /// Where the log has to end for them to be appended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_offset: Option<Offset>,
    /// What they are recognised by, if they are sent again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub producer: Option<ProducerStamp>,
}

/// The longest metadata of a committed offset, in bytes.
pub const MAX_METADATA_BYTES: u32 = 4_096;

/// One partition's entry in a commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitOffset {
    /// The topic.
    pub topic: TopicName,
    /// The partition.
    pub partition: u32,
    /// The next offset to read, 0 to the log's end.
    pub offset: i64,
    /// What the client wants to remember with it, at most [`MAX_METADATA_BYTES`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Arc<str>>,
}

/// One partition's entry in a seek.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeekTo {
    /// The topic.
    pub topic: TopicName,
    /// The partition.
    pub partition: u32,
    /// The next offset to deliver, from the log's start to its end.
    pub offset: i64,
}

/// A place in a log that goes by a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// The first record that there is.
    Beginning,
    /// After the last one.
    End,
    /// Where the group would begin: what it has committed, or else what the reset policy says.
    Committed,
}

/// One partition's entry in a change of a group's offsets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetOffset {
    /// The topic.
    pub topic: TopicName,
    /// The partition.
    pub partition: u32,
    /// Where its members shall begin.
    pub to: OffsetTarget,
    /// What is to be remembered with it, at most [`MAX_METADATA_BYTES`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Arc<str>>,
}

/// Where members of a group shall begin in a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OffsetTarget {
    /// At the first record that there is.
    Earliest,
    /// After the last one.
    Latest,
    /// At an offset, from the log's start to its end.
    Offset(i64),
    /// So many records after the committed offset, or before it if negative; but within the log.
    By(i64),
}
