//! Inputs: all that comes into a simulated world from outside. A seed and a list of these are the whole truth of a run.

use serde::{Deserialize, Serialize};

/// Something that is done to the world at a moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// When, in milliseconds since the world began. It comes after all that happens in that millisecond by itself.
    pub t: u64,
    /// What.
    #[serde(rename = "do")]
    pub act: Act,
}

/// What can be done to the world. What makes no sense (a name that is taken, a client that is not there) does nothing,
/// and the time line says so.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Act {
    /// Somebody creates a topic.
    Topic {
        /// Its name.
        name: String,
        /// How many partitions.
        #[serde(default = "one")]
        partitions: u32,
    },
    /// Somebody gives a topic more partitions.
    Partitions {
        /// The topic.
        topic: String,
        /// How many it shall have in all.
        partitions: u32,
    },
    /// Somebody deletes a topic.
    DeleteTopic {
        /// The topic.
        topic: String,
    },
    /// A producer appears.
    Producer(ProducerPlan),
    /// A producer sends, whatever its rhythm is.
    Produce {
        /// The producer.
        producer: String,
        /// How many records.
        #[serde(default = "one")]
        records: u32,
    },
    /// A producer gets another rhythm.
    Rhythm {
        /// The producer.
        producer: String,
        /// From one request to the next; 0 sends nothing by itself.
        every_ms: u32,
    },
    /// A consumer appears and subscribes.
    Consumer(ConsumerPlan),
    /// A consumer takes another time to process a record.
    Processing {
        /// The consumer.
        consumer: String,
        /// For each record.
        process_ms: u32,
    },
    /// A consumer commits all that it got last, whatever it is doing, in the generation that it believes itself in.
    Commit {
        /// The consumer.
        consumer: String,
    },
    /// A client freezes, as in a long garbage collection; its connections stay open.
    Pause {
        /// The client.
        client: String,
        /// For how long.
        ms: u32,
    },
    /// A client's process dies. Its connections break, unless it vanishes with its machine: then nobody is told.
    Kill {
        /// The client.
        client: String,
        /// Whether its connections stay open for the broker.
        #[serde(default, skip_serializing_if = "core::ops::Not::not")]
        vanish: bool,
    },
    /// A client that died or left starts again, as a new process of the same name.
    Start {
        /// The client.
        client: String,
    },
    /// A consumer says goodbye.
    Close {
        /// The consumer.
        consumer: String,
    },
    /// A client's next request gets lost on its way; it tries again after two seconds.
    DropRequest {
        /// The client.
        client: String,
    },
    /// A client's next request takes longer to arrive.
    DelayRequest {
        /// The client.
        client: String,
        /// How much longer.
        ms: u32,
    },
    /// A client's next request arrives twice, as through a proxy that tries again.
    DuplicateRequest {
        /// The client.
        client: String,
    },
    /// The next answer to a client gets lost on its way; it tries again after two seconds.
    LoseResponse {
        /// The client.
        client: String,
    },
    /// The broker dies, and is started again.
    Crash {
        /// How long it is away.
        #[serde(default = "half_a_second")]
        down_ms: u32,
        /// What becomes of what was being written.
        #[serde(default)]
        tail: Tail,
    },
    /// A sync fails: nothing is acknowledged any more until the broker is started anew.
    FailSync,
    /// The disk is full for a while.
    FillDisk {
        /// For how long.
        ms: u32,
    },
    /// Every write and read takes longer for a while.
    SlowDisk {
        /// How much longer.
        by_ms: u32,
        /// For how long.
        ms: u32,
    },
    /// Retention drops the oldest records of a partition.
    Trim {
        /// The topic.
        topic: String,
        /// The partition.
        partition: u32,
        /// How many.
        records: u32,
    },
    /// The clock jumps ahead.
    ClockJump {
        /// How far.
        ms: u32,
    },
}

/// What a crash leaves of the end of the logs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tail {
    /// What was on its way to the disk is there, though nobody was told.
    #[default]
    Written,
    /// What was on its way is cut off: half a batch is no batch.
    Torn,
    /// The disk lied about a sync: the last acknowledged records of each log are gone too. This breaks a promise, and the
    /// auditor sees it.
    Lost,
}

/// A producer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProducerPlan {
    /// Its name, unlike that of any other client.
    pub name: String,
    /// Where it produces to.
    pub topic: String,
    /// From one request to the next; 0 sends nothing by itself.
    #[serde(default)]
    pub every_ms: u32,
    /// Records in each request.
    #[serde(default = "one")]
    pub records: u32,
    /// The size of each record.
    #[serde(default = "two_hundred")]
    pub bytes: u32,
    /// The one partition that it writes to; otherwise they take turns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition: Option<u32>,
    /// Whether it numbers its requests, so that one that is repeated is written once.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub idempotent: bool,
}

/// A consumer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConsumerPlan {
    /// Its name, unlike that of any other client.
    pub name: String,
    /// Its group.
    pub group: String,
    /// What it subscribes to.
    pub topics: Vec<String>,
    /// How long each of its polls waits for records.
    #[serde(default = "ten_seconds")]
    pub poll_ms: u32,
    /// Records in each answer at most.
    #[serde(default = "hundred")]
    pub max_records: u32,
    /// How long it takes to process one record.
    #[serde(default = "ten")]
    pub process_ms: u32,
    /// How long it may be silent.
    #[serde(default = "ten_seconds")]
    pub session_ms: u32,
    /// How long it may hold on to a partition that it was asked to give up.
    #[serde(default = "ten_seconds")]
    pub rebalance_ms: u32,
    /// Whether it commits by itself after each batch; else its polls do.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub commits: bool,
    /// Whether its place is kept for it when it comes again: then its name is its `instance_id`.
    #[serde(default, rename = "static", skip_serializing_if = "core::ops::Not::not")]
    pub is_static: bool,
    /// Whether it begins at the log's end where its group has committed nothing.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub latest: bool,
}

fn one() -> u32 {
    1
}
fn ten() -> u32 {
    10
}
fn hundred() -> u32 {
    100
}
fn two_hundred() -> u32 {
    200
}
fn half_a_second() -> u32 {
    500
}
fn ten_seconds() -> u32 {
    10_000
}
