//! A topic's settings in Kafka's words and in ours.

use rdkafka::admin::{ConfigResource, OwnedResourceSpecifier};
use takhin_core::{Cleanup, Compression, TopicConfig, TopicDurability};

use super::error::TopicError;

/// What to set, all of it: what a topic is shown to have is what it has.
///
/// # Errors
/// [`TopicError::Unsupported`] if it asks for what is the cluster's to say.
pub(super) fn of_config(config: &TopicConfig) -> Result<Vec<(&'static str, String)>, TopicError> {
    if config.durability != TopicDurability::Server {
        return Err(TopicError::Unsupported("the durability of a topic, which is the cluster's to say,".to_owned()));
    }
    let cleanup = match config.cleanup {
        Cleanup::Delete => "delete",
        Cleanup::Compact => "compact",
        Cleanup::Both => "compact,delete",
    };
    let compression = match config.compression {
        // As each producer sends them, so that others' are not unpacked.
        Compression::None => "producer",
        Compression::Gzip => "gzip",
        Compression::Snappy => "snappy",
        Compression::Lz4 => "lz4",
        Compression::Zstd => "zstd",
    };
    Ok(vec![
        ("retention.ms", config.retention_ms.to_string()),
        ("retention.bytes", config.retention_bytes.to_string()),
        ("segment.bytes", config.segment_bytes.to_string()),
        ("segment.ms", config.segment_ms.to_string()),
        ("max.message.bytes", config.max_message_bytes.to_string()),
        ("cleanup.policy", cleanup.to_owned()),
        ("min.compaction.lag.ms", config.min_compaction_lag_ms.to_string()),
        ("delete.retention.ms", config.delete_retention_ms.to_string()),
        ("compression.type", compression.to_owned()),
    ])
}

/// How far records' times may lie from the time at which they come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TimeBounds {
    before_ms: i64,
    after_ms: i64,
}

impl Default for TimeBounds {
    fn default() -> Self {
        Self { before_ms: i64::MAX, after_ms: i64::MAX }
    }
}

impl TimeBounds {
    /// Why a record of this time is not taken now, if it is not. A record without a time has that at which it comes.
    pub(super) fn refuse(self, timestamp_ms: i64, now_ms: i64) -> Option<String> {
        let (setting, most) = if timestamp_ms < 0 {
            return None;
        } else if timestamp_ms.saturating_sub(now_ms) > self.after_ms {
            ("message.timestamp.after.max.ms", self.after_ms)
        } else if now_ms.saturating_sub(timestamp_ms) > self.before_ms {
            ("message.timestamp.before.max.ms", self.before_ms)
        } else {
            return None;
        };
        Some(format!("its time {timestamp_ms} is further from now than {setting} of the topic allows, which is {most}"))
    }
}

/// What a topic is set to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct TopicSettings {
    pub(super) config: TopicConfig,
    pub(super) times: TimeBounds,
}

/// A topic's name and settings, as the cluster tells them. What it doesn't tell is as by default.
pub(super) fn of_topic(resource: &ConfigResource) -> Option<(String, TopicSettings)> {
    let OwnedResourceSpecifier::Topic(name) = &resource.specifier else { return None };
    let entries = resource.entry_map();
    let text = |name: &str| entries.get(name).and_then(|entry| entry.value.as_deref());
    let number = |name: &str, default: i64| text(name).and_then(|value| value.parse().ok()).unwrap_or(default);
    let default = TopicConfig::default();
    let policy = text("cleanup.policy").unwrap_or("delete");
    let cleanup = match (policy.contains("compact"), policy.contains("delete")) {
        (true, true) => Cleanup::Both,
        (true, false) => Cleanup::Compact,
        (false, _) => Cleanup::Delete,
    };
    let compression = match text("compression.type") {
        Some("gzip") => Compression::Gzip,
        Some("snappy") => Compression::Snappy,
        Some("lz4") => Compression::Lz4,
        Some("zstd") => Compression::Zstd,
        _ => Compression::None,
    };
    let config = TopicConfig {
        retention_ms: number("retention.ms", default.retention_ms),
        retention_bytes: number("retention.bytes", default.retention_bytes),
        segment_bytes: number("segment.bytes", default.segment_bytes),
        segment_ms: number("segment.ms", default.segment_ms),
        max_message_bytes: number("max.message.bytes", default.max_message_bytes),
        cleanup,
        min_compaction_lag_ms: number("min.compaction.lag.ms", default.min_compaction_lag_ms),
        delete_retention_ms: number("delete.retention.ms", default.delete_retention_ms),
        compression,
        durability: TopicDurability::Server,
    };
    // Where brokers set the time, that of the record counts for nothing.
    let times = match text("message.timestamp.type") {
        Some("LogAppendTime") => TimeBounds::default(),
        _ => TimeBounds {
            before_ms: number("message.timestamp.before.max.ms", i64::MAX),
            after_ms: number("message.timestamp.after.max.ms", i64::MAX),
        },
    };
    Some((name.clone(), TopicSettings { config, times }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_too_far_from_now_is_told_by_the_setting_that_it_breaks() {
        let times = TimeBounds { before_ms: 1_000, after_ms: 100 };
        let refused = |timestamp_ms| times.refuse(timestamp_ms, 5_000);
        assert_eq!([refused(5_100), refused(4_000), refused(-1)], [None, None, None]);
        assert!(refused(5_101).is_some_and(|why| why.contains("after.max.ms") && why.ends_with(" 100")));
        assert!(refused(3_999).is_some_and(|why| why.contains("before.max.ms") && why.ends_with(" 1000")));
        assert_eq!(TimeBounds::default().refuse(i64::MAX, 0), None);
    }
}
