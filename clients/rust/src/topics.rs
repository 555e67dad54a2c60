//! Topics as the server describes them, and their settings.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A topic.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Topic {
    /// Its name.
    pub name: String,
    /// How many partitions it has.
    pub partitions: u32,
    /// The bounds of each.
    pub offsets: Vec<PartitionBounds>,
    /// How it is kept.
    #[serde(flatten)]
    pub settings: TopicSettings,
}

/// The bounds of a partition's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartitionBounds {
    /// Which partition.
    pub partition: u32,
    /// The offset of its first record, or of the next one if it has none.
    pub start: u64,
    /// The offset of its next record.
    pub end: u64,
    /// Only in a cluster: the partition has no leader now, so nobody knows where it starts and ends. What is told is what was
    /// heard last, or 0 and 0.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub leaderless: bool,
}

/// A topic's settings. What is `None` is left as it is, or by default where the topic is made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TopicSettings {
    /// How old records get before they go, in milliseconds; -1 for ever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retention_ms: Option<i64>,
    /// How large a partition gets before its oldest segments go; -1 without limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retention_bytes: Option<i64>,
    /// How large a segment gets; 1,024 to 1,073,741,824.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub segment_bytes: Option<u64>,
    /// How long a segment is written to, in milliseconds; at least 1,000.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub segment_ms: Option<u64>,
    /// The largest record: key, value and headers together; 1 to 16,777,216.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_message_bytes: Option<u64>,
    /// What becomes of old records.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cleanup: Option<Cleanup>,
    /// How long a record stays at least before a later one of its key may replace it, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_compaction_lag_ms: Option<u64>,
    /// How long a record without a value stays at least in a topic that is compacted, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delete_retention_ms: Option<u64>,
    /// How records are stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compression: Option<Compression>,
    /// When an append is answered: `fsync`, `os`, or `server` for what the server is set to. A topic tells what holds, which
    /// may be `interval:MS` too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub durability: Option<String>,
}

/// What becomes of old records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Cleanup {
    /// They go, by age and size.
    Delete,
    /// The latest of each key stays.
    Compact,
    /// Both.
    Both,
}

/// How records are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)] // The names say it.
pub enum Compression {
    None,
    Gzip,
    Snappy,
    Lz4,
    Zstd,
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Snappy => "snappy",
            Self::Lz4 => "lz4",
            Self::Zstd => "zstd",
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_partition_without_a_leader_is_told_and_only_that() {
        let offsets =
            json!([{"partition": 0, "start": 2, "end": 5}, {"partition": 1, "start": 0, "end": 0, "leaderless": true}]);
        let topic = json!({"name": "orders", "partitions": 2, "offsets": offsets});
        let topic: Topic = serde_json::from_value(topic).expect("a topic");
        assert_eq!(topic.offsets.iter().map(|bounds| bounds.leaderless).collect::<Vec<_>>(), [false, true]);
        assert_eq!(serde_json::to_value(&topic.offsets).expect("it can be written"), offsets);
    }
}
