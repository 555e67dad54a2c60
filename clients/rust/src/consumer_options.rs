//! What a consumer can be told, and how the server is told.

use std::{fmt, sync::Arc, time::Duration};

use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::{Consumer, TopicPartition, http::Http, partitions::lists};

/// Where to begin in a partition of which the group has no committed offset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reset {
    /// At the log's start.
    Earliest,
    /// At the log's end at the moment of assignment.
    #[default]
    Latest,
    /// At the first record that is not older than this before the moment of assignment.
    ByDuration(Duration),
    /// Nowhere: polls fail with `no_committed_offset` until a seek says where.
    None,
}

impl fmt::Display for Reset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Earliest => f.write_str("earliest"),
            Self::Latest => f.write_str("latest"),
            Self::ByDuration(age) => write!(f, "by_duration:PT{}.{:03}S", age.as_secs(), age.subsec_millis()),
            Self::None => f.write_str("none"),
        }
    }
}

/// How a group shares its partitions. It does what most of its members want.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Assignor {
    /// Even shares, of which as little as possible moves.
    Uniform,
    /// Neighbouring partitions, so that equal keys of several topics meet.
    Range,
}

/// What a consumer wants to read.
#[derive(Clone, Debug)]
pub(crate) enum Wish {
    Topics(Vec<String>),
    Pattern(String),
    Assigned(Vec<TopicPartition>),
}

#[derive(Clone, Debug)]
pub(crate) struct ConsumerOptions {
    pub(crate) group_id: String,
    pub(crate) wish: Option<Wish>,
    pub(crate) allow_missing: bool,
    reset: Reset,
    pub(crate) auto_commit: bool,
    pub(crate) auto_commit_interval: Duration,
    session_timeout: Duration,
    max_poll_interval: Duration,
    rebalance_timeout: Duration,
    pub(crate) max_poll_records: usize,
    pub(crate) max_poll_bytes: usize,
    pub(crate) fetch_min_bytes: usize,
    pub(crate) fetch_max_wait: Duration,
    instance_id: Option<String>,
    client_id: Option<String>,
    assignor: Option<Assignor>,
    pub(crate) rejoin: bool,
}

/// Makes a [`Consumer`]. What isn't said is as the server and Kafka's clients have it.
#[derive(Clone)]
#[must_use = "`build` makes the consumer"]
pub struct ConsumerBuilder {
    http: Arc<Http>,
    options: ConsumerOptions,
}

impl ConsumerBuilder {
    pub(crate) fn new(http: Arc<Http>, group_id: String) -> Self {
        let options = ConsumerOptions {
            group_id,
            wish: None,
            allow_missing: false,
            reset: Reset::default(),
            auto_commit: true,
            auto_commit_interval: Duration::from_secs(5),
            session_timeout: Duration::from_secs(30),
            max_poll_interval: Duration::from_mins(5),
            rebalance_timeout: Duration::from_mins(1),
            max_poll_records: 500,
            max_poll_bytes: 1 << 20,
            fetch_min_bytes: 1,
            fetch_max_wait: Duration::from_secs(30),
            instance_id: None,
            client_id: None,
            assignor: None,
            rejoin: true,
        };
        Self { http, options }
    }

    /// Shares the partitions of these topics with the group.
    pub fn topics(mut self, topics: impl IntoIterator<Item = impl Into<String>>) -> Self {
        self.options.wish = Some(Wish::Topics(topics.into_iter().map(Into::into).collect()));
        self
    }

    /// Shares the partitions of all topics whose whole name matches a regular expression (the syntax of `regex`).
    pub fn topic_pattern(mut self, pattern: impl Into<String>) -> Self {
        self.options.wish = Some(Wish::Pattern(pattern.into()));
        self
    }

    /// Reads exactly these partitions, whatever others of the group have.
    pub fn assign(mut self, partitions: impl IntoIterator<Item = TopicPartition>) -> Self {
        self.options.wish = Some(Wish::Assigned(partitions.into_iter().collect()));
        self
    }

    /// Whether topics may be missing, to be assigned once they exist; no.
    pub fn allow_missing(mut self, allow: bool) -> Self {
        self.options.allow_missing = allow;
        self
    }

    /// Where to begin without a committed offset; [`Reset::Latest`].
    pub fn auto_offset_reset(mut self, reset: Reset) -> Self {
        self.options.reset = reset;
        self
    }

    /// Whether to commit what was worked on by itself; yes.
    pub fn auto_commit(mut self, auto_commit: bool) -> Self {
        self.options.auto_commit = auto_commit;
        self
    }

    /// At most how often; 5 s.
    pub fn auto_commit_interval(mut self, interval: Duration) -> Self {
        self.options.auto_commit_interval = interval;
        self
    }

    /// Silence after which the server takes the partitions away; 30 s. Heartbeats are sent in the background.
    pub fn session_timeout(mut self, timeout: Duration) -> Self {
        self.options.session_timeout = timeout;
        self
    }

    /// How long the group waits for the next poll; 5 minutes.
    pub fn max_poll_interval(mut self, interval: Duration) -> Self {
        self.options.max_poll_interval = interval;
        self
    }

    /// How long a partition that goes elsewhere may be held on to; 1 minute.
    pub fn rebalance_timeout(mut self, timeout: Duration) -> Self {
        self.options.rebalance_timeout = timeout;
        self
    }

    /// At most so many records a poll, 1 to 10,000; 500.
    pub fn max_poll_records(mut self, records: usize) -> Self {
        self.options.max_poll_records = records;
        self
    }

    /// At most so many bytes a request, up to 64 MiB; 1 MiB. One record always fits.
    pub fn max_poll_bytes(mut self, bytes: usize) -> Self {
        self.options.max_poll_bytes = bytes;
        self
    }

    /// How many bytes are worth an answer before `fetch_max_wait`; 1.
    pub fn fetch_min_bytes(mut self, bytes: usize) -> Self {
        self.options.fetch_min_bytes = bytes;
        self
    }

    /// How long the server may hold a request while there is nothing, up to 5 minutes; 30 s.
    pub fn fetch_max_wait(mut self, wait: Duration) -> Self {
        self.options.fetch_max_wait = wait;
        self
    }

    /// Which of the group's workers this is. A restarted one takes its own partitions again, and nobody is rebalanced.
    pub fn instance_id(mut self, instance_id: impl Into<String>) -> Self {
        self.options.instance_id = Some(instance_id.into());
        self
    }

    /// What this consumer is called where groups are looked at.
    pub fn client_id(mut self, client_id: impl Into<String>) -> Self {
        self.options.client_id = Some(client_id.into());
        self
    }

    /// How the group should share its partitions.
    pub fn assignor(mut self, assignor: Assignor) -> Self {
        self.options.assignor = Some(assignor);
        self
    }

    /// Whether to join anew after the server removed this consumer; yes. Else the next poll fails with
    /// [`Error::ConsumerLost`](crate::Error::ConsumerLost).
    pub fn rejoin(mut self, rejoin: bool) -> Self {
        self.options.rejoin = rejoin;
        self
    }

    /// Makes the consumer. It joins its group with the first poll.
    pub fn build(self) -> Consumer {
        Consumer::new(self.http, self.options)
    }
}

impl ConsumerOptions {
    /// The topics or the pattern, for the server.
    pub(crate) fn wanted(&self, wish: &Wish) -> Map<String, Value> {
        let topics = match wish {
            Wish::Pattern(pattern) => return fields(json!({"topic_pattern": pattern})),
            Wish::Topics(topics) => json!(topics),
            Wish::Assigned(partitions) => json!(lists(partitions).into_keys().collect::<Vec<_>>()),
        };
        fields(json!({"topics": topics, "allow_missing": self.allow_missing}))
    }

    /// The body of a subscribe request. The server never commits by itself: it can't know what was worked on.
    pub(crate) fn subscribe_body(&self, wish: &Wish, consumer_id: Uuid) -> Map<String, Value> {
        let mut body = self.wanted(wish);
        body.extend(fields(json!({
            "group_id": self.group_id,
            "consumer_id": consumer_id.to_string(),
            "auto_offset_reset": self.reset.to_string(),
            "auto_commit": false,
            "session_timeout_ms": milliseconds(self.session_timeout),
            "max_poll_interval_ms": milliseconds(self.max_poll_interval),
            "rebalance_timeout_ms": milliseconds(self.rebalance_timeout),
        })));
        let assignor = self.assignor.map(|assignor| match assignor {
            Assignor::Uniform => "uniform".to_owned(),
            Assignor::Range => "range".to_owned(),
        });
        let given = [("instance_id", &self.instance_id), ("client_id", &self.client_id), ("assignor", &assignor)];
        for (name, value) in given {
            if let Some(value) = value {
                body.insert(name.to_owned(), json!(value));
            }
        }
        body
    }
}

/// Whole milliseconds; what is longer than any bound of the server stays so.
pub(crate) fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn fields(object: Value) -> Map<String, Value> {
    match object {
        Value::Object(fields) => fields,
        other => unreachable!("{other} is no object"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_written_as_iso_8601_has_it() {
        assert_eq!(Reset::ByDuration(Duration::from_millis(3_600_050)).to_string(), "by_duration:PT3600.050S");
    }
}
