//! What a broker is set to: bounds of everything that could grow, and the options of one consumer.

use alloc::string::String;

use serde::{Deserialize, Serialize};

use crate::{
    ids::{ClientId, InstanceId},
    refusal::Refusal,
    time::DurationMs,
};

/// Bounds of a core. Every queue, table and wait has one; what happens at each is said here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Topics at most; creating one more is refused with `too_many`.
    pub max_topics: u32,
    /// Partitions of one topic at most.
    pub max_partitions_per_topic: u32,
    /// Partitions of all topics at most.
    pub max_partitions: u32,
    /// Consumers at most; subscribing one more is refused with `too_many`.
    pub max_consumers: u32,
    /// Groups at most, the empty ones that only keep offsets included.
    pub max_groups: u32,
    /// Different patterns that consumers subscribe with, at most; one more is refused with `too_many`. Each costs a
    /// look at every topic that comes.
    pub max_patterns: u32,
    /// Polls and reads that wait, at most; one more is refused with `too_many`.
    pub max_parked: u32,
    /// Ended consumers that are remembered, so that a late call hears `consumer_expired` and not
    /// `consumer_not_found`. The oldest are forgotten first.
    pub max_ended_remembered: u32,
    /// How long a group that nobody is in is remembered, with its offsets.
    pub offsets_retention: DurationMs,
    /// How often at most a consumer's positions are made durable because polls moved them. What was delivered
    /// since then is delivered again after a crash, unless it was committed.
    pub position_checkpoint: DurationMs,
    /// The shortest session timeout that a consumer may ask for; less is refused with `out_of_range`.
    pub min_session_timeout: DurationMs,
    /// The longest one, at most 1,800,000.
    pub max_session_timeout: DurationMs,
    /// Whether others append to the logs, too, as on a cluster: offsets have gaps then, and ends move by themselves. A core
    /// takes both as they come in any case; who judges it has to know.
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    pub shared_logs: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_topics: 10_000,
            max_partitions_per_topic: 10_000,
            max_partitions: 100_000,
            max_consumers: 100_000,
            max_groups: 100_000,
            max_patterns: 1_000,
            max_parked: 200_000,
            max_ended_remembered: 10_000,
            offsets_retention: DurationMs(7 * 24 * 60 * 60 * 1_000),
            position_checkpoint: DurationMs(1_000),
            min_session_timeout: DurationMs(1_000),
            max_session_timeout: DurationMs(1_800_000),
            shared_logs: false,
        }
    }
}

/// Where a consumer begins in a partition for which its group has no committed offset that still exists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OffsetReset {
    /// At the log's start.
    Earliest,
    /// At the log's end, as it is when the partition is assigned.
    #[default]
    Latest,
    /// At the first record that is not older than so many milliseconds before the partition is assigned; at the log's end
    /// if there is none.
    ByDuration(u64),
    /// Nowhere: consuming is refused with `no_committed_offset` until a seek or a commit says where.
    None,
}

/// How the partitions of a group's topics are shared out. See [`assignor`](crate::assignor).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Assignor {
    /// As even as can be, and what is even stays as it is.
    #[default]
    Uniform,
    /// Neighbouring partitions of each topic, topics alike.
    Range,
}

/// How one consumer wants to be treated. Times are in milliseconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ConsumerOptions {
    /// Where to begin without a committed offset.
    pub auto_offset_reset: OffsetReset,
    /// How long it may be silent, 1,000 to 1,800,000. Not counted while a poll is parked.
    pub session_timeout_ms: u32,
    /// How long a member may go without a poll, 1,000 to 86,400,000: other requests keep its session, and not its share.
    /// Not counted while a poll is under way, nor for partitions taken by hand.
    pub max_poll_interval_ms: u32,
    /// How long it may hold on to a partition that it was asked to give up, 1,000 to 1,800,000.
    pub rebalance_timeout_ms: u32,
    /// Whether a poll commits what the polls before it delivered.
    pub auto_commit: bool,
    /// How much time lies between two such commits at least, 0 to 86,400,000.
    pub auto_commit_interval_ms: u32,
    /// How it wants its group's partitions to be shared out: what most members want is done, and `uniform` if as many
    /// want the one as the other.
    pub assignor: Assignor,
    /// Which of its group's workers it is: it takes over what the one before it had.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance_id: Option<InstanceId>,
    /// What its client calls itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_id: Option<ClientId>,
    /// How it wants the bytes of records written, where the runtime writes them as text.
    #[serde(skip_serializing_if = "RecordFormat::is_text")]
    pub format: RecordFormat,
}

/// How keys and values, which are bytes, are written in text. The core keeps it for a consumer, and tells it with each of
/// its batches; it is the runtime that has the bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum RecordFormat {
    /// As text, in base64 where they are no UTF-8.
    #[default]
    Text,
    /// Values that are JSON as JSON; else as `text`.
    Json,
    /// In base64.
    Base64,
}

impl RecordFormat {
    /// Whether it is what holds where nothing was said.
    #[allow(clippy::trivially_copy_pass_by_ref)] // serde gives a reference
    pub fn is_text(&self) -> bool {
        *self == Self::Text
    }
}

impl Default for ConsumerOptions {
    fn default() -> Self {
        Self {
            auto_offset_reset: OffsetReset::default(),
            session_timeout_ms: 30_000,
            max_poll_interval_ms: 300_000,
            rebalance_timeout_ms: 60_000,
            auto_commit: true,
            auto_commit_interval_ms: 5_000,
            assignor: Assignor::Uniform,
            instance_id: None,
            client_id: None,
            format: RecordFormat::Text,
        }
    }
}

impl ConsumerOptions {
    /// Checks every option against its bounds.
    ///
    /// # Errors
    /// `out_of_range` with the option's name, value and bounds.
    pub fn check(&self) -> Result<(), Refusal> {
        in_range("session_timeout_ms", self.session_timeout_ms, 1_000, 1_800_000)?;
        in_range("max_poll_interval_ms", self.max_poll_interval_ms, 1_000, 86_400_000)?;
        in_range("rebalance_timeout_ms", self.rebalance_timeout_ms, 1_000, 1_800_000)?;
        in_range("auto_commit_interval_ms", self.auto_commit_interval_ms, 0, 86_400_000)
    }
}

/// How much one poll or read may bring and how long it may wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PollLimits {
    /// Records at most, 1 to 10,000.
    pub max_records: u32,
    /// Bytes of records at most, 1 to 67,108,864; but a first record always fits.
    pub max_bytes: u32,
    /// Bytes worth waking for, 0 to `max_bytes`.
    pub min_bytes: u32,
    /// How long to wait for them, 0 to 300,000.
    pub timeout_ms: u32,
}

impl Default for PollLimits {
    fn default() -> Self {
        Self { max_records: 500, max_bytes: 1_048_576, min_bytes: 1, timeout_ms: 30_000 }
    }
}

impl PollLimits {
    /// The most bytes of records that a poll may ask for.
    pub const MAX_BYTES: u32 = 67_108_864;

    /// Checks every limit against its bounds.
    ///
    /// # Errors
    /// `out_of_range` with the limit's name as a request spells it, its value and bounds.
    pub fn check(&self) -> Result<(), Refusal> {
        in_range("max_records", self.max_records, 1, 10_000)?;
        in_range("max_bytes_total", self.max_bytes, 1, Self::MAX_BYTES)?;
        in_range("min_bytes", self.min_bytes, 0, self.max_bytes)?;
        in_range("timeout_ms", self.timeout_ms, 0, 300_000)
    }
}

pub(crate) fn in_range(field: &str, value: u32, min: u32, max: u32) -> Result<(), Refusal> {
    if (min..=max).contains(&value) {
        return Ok(());
    }
    Err(Refusal::OutOfRange { field: String::from(field), value: value.into(), min: min.into(), max: max.into() })
}
