//! What the cells of a node are told, the names of their topics, and how each of their clients is set up.

use std::time::Duration;

use rdkafka::{ClientConfig, error::KafkaError};
use takhin_core::{
    DurationMs,
    cell::{CellConfig, CellConfigError},
};

/// The largest batch that a journal takes. Facts that are decided together are to stay below it by some kilobytes.
pub const MAX_ENTRY_BYTES: usize = 16 << 20;

/// How long a lease may be: what is counted in it fits 32 bits by far.
const MAX_LEASE: Duration = Duration::from_hours(1);

/// What the cells of a node are told.
#[derive(Clone, Debug)]
pub struct CellsConfig {
    /// How Kafka is reached: `bootstrap.servers`, and what `security.protocol` and its like need. All else is set here.
    pub client: ClientConfig,
    /// What the names of the cluster's own topics and group begin with, such as `takhin.`.
    pub prefix: String,
    /// What is before the names of clients' topics in Kafka. The cluster keeps what it was made with, and a node that is told
    /// otherwise is none of it.
    pub topic_prefix: String,
    /// How many cells the cluster is made with, at least 1. One that is there has as many as it was made with.
    pub cells: u32,
    /// On how many brokers each of the topics is kept; [`None`] for three, or as many as there are. Counts only when the
    /// cluster is made.
    pub replication: Option<u16>,
    /// Where other nodes reach this one, such as `http://10.0.0.1:9080`.
    pub address: String,
    /// For how long a node may answer after it sent what was acknowledged last: 2 s do well. A takeover from a node that
    /// died takes at least this long, and an eighth more.
    pub lease: Duration,
    /// After how long without a sign of life a node's cells are offered to others: 6 s is the least that brokers take
    /// unless they are told otherwise.
    pub session_timeout: Duration,
    /// Bytes of facts in a journal after which a snapshot is wanted.
    pub snapshot_bytes: u64,
    /// For how long an append is tried before it is unknown what came of it, and the bound of all other requests.
    pub timeout: Duration,
}

/// Why the cells of a node do not start, or not end well.
#[derive(Debug, thiserror::Error)]
pub enum CellsError {
    /// What was asked for does not go together.
    #[error("{0}")]
    Config(String),
    /// Times that do not go together.
    #[error(transparent)]
    Times(#[from] CellConfigError),
    /// Kafka, or the way to it.
    #[error("{doing}: {error}")]
    Kafka {
        /// What was tried.
        doing: String,
        /// What came of it.
        error: KafkaError,
    },
    /// A topic is not what it has to be.
    #[error("the topic {topic} {wrong}")]
    Topic {
        /// Its name.
        topic: String,
        /// What is wrong with it.
        wrong: String,
    },
    /// Something did not come about in time.
    #[error("{0} took longer than {1:?}")]
    Late(&'static str, Duration),
    /// The cluster was made by a later version.
    #[error("the cluster's settings are of version {0}, which this node does not know")]
    Version(u32),
    /// The cluster's topics have other names.
    #[error("the cluster was made with the topic prefix {made:?}, and this node is given {given:?}")]
    TopicPrefix {
        /// What it was made with.
        made: String,
        /// What this node was told.
        given: String,
    },
    /// The system gave no thread, no randomness.
    #[error("{0}")]
    System(String),
}

impl CellsError {
    pub(super) fn kafka(doing: impl Into<String>) -> impl FnOnce(KafkaError) -> Self {
        let doing = doing.into();
        move |error| Self::Kafka { doing, error }
    }
}

/// The names of a cluster's topics, and of the group whose members are proposed as owners.
#[derive(Clone, Debug)]
pub(super) struct Names {
    pub(super) journal: String,
    pub(super) snapshots: String,
    pub(super) cluster: String,
    pub(super) group: String,
}

impl CellsConfig {
    /// The names of the topics that the cluster has for itself.
    pub fn topics(&self) -> [String; 3] {
        let Names { journal, snapshots, cluster, .. } = self.names();
        [journal, snapshots, cluster]
    }

    pub(super) fn names(&self) -> Names {
        let named = |name: &str| format!("{}{name}", self.prefix);
        Names {
            journal: named("journal"),
            snapshots: named("snapshots"),
            cluster: named("cluster"),
            group: named("cells"),
        }
    }

    pub(super) fn check(&self) -> Result<(), CellsError> {
        let wrong = if self.cells == 0 || i32::try_from(self.cells).is_err() {
            format!("a cluster has 1 to {} cells, not {}", i32::MAX, self.cells)
        } else if self.replication == Some(0) {
            "topics are kept on 1 broker at least".to_owned()
        } else if self.lease > MAX_LEASE {
            format!("a lease lasts {MAX_LEASE:?} at most, not {:?}", self.lease)
        } else if self.timeout < Duration::from_secs(1) || self.timeout > MAX_LEASE {
            format!("requests to Kafka take from a second to {MAX_LEASE:?}, not {:?}", self.timeout)
        } else {
            return Ok(());
        };
        Err(CellsError::Config(wrong))
    }

    /// The times of an owner: it shows itself thrice in a lease.
    pub(super) fn cell(&self) -> Result<CellConfig, CellsError> {
        let lease = u32::try_from(self.lease.as_millis()).unwrap_or(u32::MAX);
        Ok(CellConfig::new(DurationMs(lease), DurationMs(lease / 3))?)
    }

    fn with(&self, settings: &[(&str, &str)]) -> ClientConfig {
        let mut client = self.client.clone();
        // A broker that comes back is to be seen before a lease is over.
        client.set("reconnect.backoff.max.ms", "1000").set("reconnect.backoff.ms", "50").set("log_level", "5");
        for (key, value) in settings {
            client.set(*key, *value);
        }
        client
    }

    pub(super) fn admin_client(&self) -> ClientConfig {
        self.with(&[])
    }

    pub(super) fn producer_client(&self) -> ClientConfig {
        let timeout = self.timeout.as_millis().to_string();
        // A broker that stands still is not waited for until the end: another one may lead by then.
        let request = (self.timeout / 2).as_millis().to_string();
        let max_bytes = MAX_ENTRY_BYTES.to_string();
        self.with(&[
            ("enable.idempotence", "true"),
            ("acks", "all"),
            ("linger.ms", "0"),
            ("message.timeout.ms", &timeout),
            ("request.timeout.ms", &request),
            ("socket.timeout.ms", &request),
            ("message.max.bytes", &max_bytes),
            // What doesn't fit waits here, in its order.
            ("queue.buffering.max.kbytes", "262144"),
        ])
    }

    /// Of somebody who says where to read from and up to where.
    pub(super) fn reader_client(&self) -> ClientConfig {
        let max_bytes = (MAX_ENTRY_BYTES + (1 << 20)).to_string();
        self.with(&[
            // Needed to be given partitions at all; nobody joins it.
            ("group.id", &format!("{}readers", self.prefix)),
            ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
            ("auto.offset.reset", "error"),
            ("check.crcs", "true"),
            ("enable.partition.eof", "true"),
            // Partitions come and go; a fetch that waits for records of one holds up those of the others.
            ("fetch.wait.max.ms", "10"),
            ("fetch.queue.backoff.ms", "10"),
            ("queued.max.messages.kbytes", "32768"),
            ("fetch.message.max.bytes", &max_bytes),
            ("fetch.max.bytes", "67108864"),
            ("receive.message.max.bytes", "100000000"),
        ])
    }

    /// Of somebody who follows a topic as it grows.
    pub(super) fn follower_client(&self) -> ClientConfig {
        let mut client = self.reader_client();
        client.set("fetch.wait.max.ms", "500").set("auto.offset.reset", "earliest");
        client
    }

    /// Of a member of the group among which cells are shared out.
    pub(super) fn member_client(&self) -> ClientConfig {
        let session = self.session_timeout.as_millis();
        // Whoever is to give something up hears of it with a heartbeat.
        let heartbeat = (session / 10).clamp(50, 3_000).to_string();
        let poll = (session * 2).max(10_000).to_string();
        self.with(&[
            ("group.id", &self.names().group),
            ("partition.assignment.strategy", "cooperative-sticky"),
            ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
            ("auto.offset.reset", "latest"),
            ("session.timeout.ms", &session.to_string()),
            ("heartbeat.interval.ms", &heartbeat),
            ("max.poll.interval.ms", &poll),
        ])
    }
}
