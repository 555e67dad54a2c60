//! How a topic's logs are kept: what can be set, between which bounds, and what holds where nothing was set.
//!
//! All of it can be changed while the topic is in use; what was stored before stays as it is until it falls under
//! the new rules. A number that may be endless is -1 then, as in Kafka.

use alloc::string::String;

use serde::{Deserialize, Serialize};

use crate::refusal::Refusal;

/// Some thousand years: more than any log lasts, and far from overflowing a date.
const MAX_MS: i64 = 100_000_000_000_000;
/// No limit.
pub const UNLIMITED: i64 = -1;

/// What becomes of old records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Cleanup {
    /// They go with age and size.
    #[default]
    Delete,
    /// Of each key the latest stays.
    Compact,
    /// Both.
    Both,
}

impl Cleanup {
    /// Whether records go with age and size.
    pub fn deletes(self) -> bool {
        self != Self::Compact
    }

    /// Whether only the latest of each key stays.
    pub fn compacts(self) -> bool {
        self != Self::Delete
    }
}

/// How records are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    /// As they are.
    #[default]
    None,
    /// Gzip.
    Gzip,
    /// Snappy.
    Snappy,
    /// LZ4.
    Lz4,
    /// Zstandard.
    Zstd,
}

/// When an append to a topic's logs is acknowledged. The core does not care; it is the engine that keeps it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum TopicDurability {
    /// As the server is set.
    #[default]
    Server,
    /// Once it survives the loss of power.
    Fsync,
    /// Once it survives the death of the process.
    Os,
}

impl TopicDurability {
    /// Whether nothing was set.
    #[allow(clippy::trivially_copy_pass_by_ref)] // serde gives a reference
    pub fn is_the_servers(&self) -> bool {
        *self == Self::Server
    }
}

/// How the logs of one topic are kept. Times are in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct TopicConfig {
    /// How old a segment's latest record may get before the segment goes; -1 ([`UNLIMITED`]) for ever.
    pub retention_ms: i64,
    /// How large one partition may get before its oldest segments go; -1 ([`UNLIMITED`]) without limit.
    pub retention_bytes: i64,
    /// How large a segment gets before the next one begins.
    pub segment_bytes: i64,
    /// How long a segment is written to before the next one begins.
    pub segment_ms: i64,
    /// The largest record that is taken: key, value and headers together.
    pub max_message_bytes: i64,
    /// What becomes of old records.
    pub cleanup: Cleanup,
    /// How long a record stays at least, before a later one of its key may replace it.
    pub min_compaction_lag_ms: i64,
    /// How long a record without a value stays, after which its key is gone for good.
    pub delete_retention_ms: i64,
    /// How the records of a request are stored that doesn't say itself.
    pub compression: Compression,
    /// When an append is acknowledged.
    #[serde(skip_serializing_if = "TopicDurability::is_the_servers")]
    pub durability: TopicDurability,
}

impl Default for TopicConfig {
    fn default() -> Self {
        Self {
            retention_ms: UNLIMITED,
            retention_bytes: UNLIMITED,
            segment_bytes: 128 << 20,
            segment_ms: 7 * 24 * 3_600_000,
            max_message_bytes: 1 << 20,
            cleanup: Cleanup::Delete,
            min_compaction_lag_ms: 0,
            delete_retention_ms: 24 * 3_600_000,
            compression: Compression::None,
            durability: TopicDurability::Server,
        }
    }
}

impl TopicConfig {
    /// Whether nothing was set.
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    /// Checks every number against its bounds.
    ///
    /// # Errors
    /// `out_of_range` with the field's name, value and bounds.
    pub fn check(&self) -> Result<(), Refusal> {
        const GIB: i64 = 1 << 30;
        let numbers = [
            ("retention_ms", self.retention_ms, UNLIMITED, MAX_MS),
            ("retention_bytes", self.retention_bytes, UNLIMITED, i64::MAX),
            ("segment_bytes", self.segment_bytes, 1024, GIB),
            ("segment_ms", self.segment_ms, 1000, MAX_MS),
            ("max_message_bytes", self.max_message_bytes, 1, 16 << 20),
            ("min_compaction_lag_ms", self.min_compaction_lag_ms, 0, MAX_MS),
            ("delete_retention_ms", self.delete_retention_ms, 0, MAX_MS),
        ];
        for (field, value, min, max) in numbers {
            if !(min..=max).contains(&value) {
                return Err(Refusal::OutOfRange { field: String::from(field), value, min, max });
            }
        }
        Ok(())
    }
}

/// What a request sets; the rest stays as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TopicConfigChange {
    /// See [`TopicConfig::retention_ms`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retention_ms: Option<i64>,
    /// See [`TopicConfig::retention_bytes`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retention_bytes: Option<i64>,
    /// See [`TopicConfig::segment_bytes`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub segment_bytes: Option<i64>,
    /// See [`TopicConfig::segment_ms`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub segment_ms: Option<i64>,
    /// See [`TopicConfig::max_message_bytes`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_message_bytes: Option<i64>,
    /// See [`TopicConfig::cleanup`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cleanup: Option<Cleanup>,
    /// See [`TopicConfig::min_compaction_lag_ms`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_compaction_lag_ms: Option<i64>,
    /// See [`TopicConfig::delete_retention_ms`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delete_retention_ms: Option<i64>,
    /// See [`TopicConfig::compression`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compression: Option<Compression>,
    /// See [`TopicConfig::durability`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub durability: Option<TopicDurability>,
}

impl TopicConfigChange {
    /// Whether it sets nothing.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }

    /// What `config` becomes.
    pub fn applied_to(&self, config: &TopicConfig) -> TopicConfig {
        TopicConfig {
            retention_ms: self.retention_ms.unwrap_or(config.retention_ms),
            retention_bytes: self.retention_bytes.unwrap_or(config.retention_bytes),
            segment_bytes: self.segment_bytes.unwrap_or(config.segment_bytes),
            segment_ms: self.segment_ms.unwrap_or(config.segment_ms),
            max_message_bytes: self.max_message_bytes.unwrap_or(config.max_message_bytes),
            cleanup: self.cleanup.unwrap_or(config.cleanup),
            min_compaction_lag_ms: self.min_compaction_lag_ms.unwrap_or(config.min_compaction_lag_ms),
            delete_retention_ms: self.delete_retention_ms.unwrap_or(config.delete_retention_ms),
            compression: self.compression.unwrap_or(config.compression),
            durability: self.durability.unwrap_or(config.durability),
        }
    }
}
