//! Settings of the broker itself: what it makes by itself, keeps, and how much of everything there may be.

use std::str::FromStr;

use clap::Args;
use takhin_core::{Config, DurationMs};

/// How many partitions a topic made on first use may have at most.
const MAX_AUTO_PARTITIONS: u32 = 10_000;

#[derive(Debug, Args)]
#[command(next_help_heading = "The broker")]
pub(in crate::cli) struct Broker {
    /// Create a topic with this many partitions when one that doesn't exist is subscribed to or produced to; true is 1,
    /// and false or 0 is not to
    #[arg(
        long,
        env = "TAKHIN_AUTO_CREATE_TOPICS",
        value_name = "PARTITIONS",
        num_args = 0..=1,
        default_value = "false",
        default_missing_value = "true",
        require_equals = true,
        hide_default_value = true
    )]
    auto_create_topics: AutoCreateTopics,

    /// How long the offsets of a consumer group that nobody is in are kept, in hours
    #[arg(
        long,
        env = "TAKHIN_OFFSETS_RETENTION_HOURS",
        value_name = "HOURS",
        default_value_t = 168,
        value_parser = clap::value_parser!(u32).range(1..=1_176)
    )]
    offsets_retention_hours: u32,

    /// How often at most a consumer's positions are made durable because polls moved them. What was delivered since then
    /// comes again after a crash, unless it was committed
    #[arg(
        long,
        env = "TAKHIN_POSITION_CHECKPOINT_MS",
        value_name = "MS",
        default_value_t = 1_000,
        value_parser = clap::value_parser!(u32).range(10..=600_000)
    )]
    position_checkpoint_ms: u32,

    /// The shortest `session_timeout_ms` that a consumer may ask for
    #[arg(
        long,
        env = "TAKHIN_MIN_SESSION_TIMEOUT_MS",
        value_name = "MS",
        default_value_t = 1_000,
        value_parser = clap::value_parser!(u32).range(1_000..=30_000)
    )]
    min_session_timeout_ms: u32,

    /// The longest `session_timeout_ms` that a consumer may ask for
    #[arg(
        long,
        env = "TAKHIN_MAX_SESSION_TIMEOUT_MS",
        value_name = "MS",
        default_value_t = 1_800_000,
        value_parser = clap::value_parser!(u32).range(30_000..=1_800_000)
    )]
    max_session_timeout_ms: u32,

    /// Topics at most
    #[arg(
        long,
        env = "TAKHIN_MAX_TOPICS",
        value_name = "N",
        default_value_t = 10_000,
        value_parser = clap::value_parser!(u32).range(1..=1_000_000)
    )]
    max_topics: u32,

    /// Partitions of one topic at most
    #[arg(
        long,
        env = "TAKHIN_MAX_PARTITIONS_PER_TOPIC",
        value_name = "N",
        default_value_t = 10_000,
        value_parser = clap::value_parser!(u32).range(1..=100_000)
    )]
    max_partitions_per_topic: u32,

    /// Partitions of all topics at most
    #[arg(
        long,
        env = "TAKHIN_MAX_PARTITIONS",
        value_name = "N",
        default_value_t = 100_000,
        value_parser = clap::value_parser!(u32).range(1..=10_000_000)
    )]
    max_partitions: u32,

    /// Consumers at most
    #[arg(
        long,
        env = "TAKHIN_MAX_CONSUMERS",
        value_name = "N",
        default_value_t = 100_000,
        value_parser = clap::value_parser!(u32).range(1..=10_000_000)
    )]
    max_consumers: u32,

    /// Consumer groups at most, the empty ones that only keep offsets included
    #[arg(
        long,
        env = "TAKHIN_MAX_GROUPS",
        value_name = "N",
        default_value_t = 100_000,
        value_parser = clap::value_parser!(u32).range(1..=10_000_000)
    )]
    max_groups: u32,

    /// Different topic patterns that consumers subscribe with, at most
    #[arg(
        long,
        env = "TAKHIN_MAX_PATTERNS",
        value_name = "N",
        default_value_t = 1_000,
        value_parser = clap::value_parser!(u32).range(0..=100_000)
    )]
    max_patterns: u32,

    /// Polls and reads that wait for records, at most
    #[arg(
        long,
        env = "TAKHIN_MAX_PARKED_POLLS",
        value_name = "N",
        default_value_t = 200_000,
        value_parser = clap::value_parser!(u32).range(1..=10_000_000)
    )]
    max_parked_polls: u32,

    /// Consumers that are no more and still remembered, so that a late call hears why. The oldest are forgotten first
    #[arg(
        long,
        env = "TAKHIN_MAX_ENDED_CONSUMERS",
        value_name = "N",
        default_value_t = 10_000,
        value_parser = clap::value_parser!(u32).range(0..=1_000_000)
    )]
    max_ended_consumers: u32,
}

/// With how many partitions to create topics that are not there, if at all.
#[derive(Clone, Copy, Debug)]
pub(super) struct AutoCreateTopics(Option<u32>);

impl FromStr for AutoCreateTopics {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.parse()) {
            ("true", _) => Ok(Self(Some(1))),
            ("false", _) | (_, Ok(0)) => Ok(Self(None)),
            (_, Ok(partitions @ 1..=MAX_AUTO_PARTITIONS)) => Ok(Self(Some(partitions))),
            _ => Err(format!("expected true, false, or a number of partitions from 1 to {MAX_AUTO_PARTITIONS}")),
        }
    }
}

impl Broker {
    /// The bounds of the core.
    pub(in crate::cli) fn config(&self) -> Config {
        Config {
            max_topics: self.max_topics,
            max_partitions_per_topic: self.max_partitions_per_topic,
            max_partitions: self.max_partitions,
            max_consumers: self.max_consumers,
            max_groups: self.max_groups,
            max_patterns: self.max_patterns,
            max_parked: self.max_parked_polls,
            max_ended_remembered: self.max_ended_consumers,
            offsets_retention: DurationMs(self.offsets_retention_hours * 3_600_000),
            position_checkpoint: DurationMs(self.position_checkpoint_ms),
            min_session_timeout: DurationMs(self.min_session_timeout_ms),
            max_session_timeout: DurationMs(self.max_session_timeout_ms),
            shared_logs: false,
        }
    }

    /// With how many partitions a topic is made on first use.
    pub(in crate::cli) fn auto_create_partitions(&self) -> Option<u32> {
        self.auto_create_topics.0
    }

    pub(super) fn conflicts(&self) -> Vec<String> {
        let mut conflicts = Vec::new();
        if let Some(partitions) = self.auto_create_topics.0
            && partitions > self.max_partitions_per_topic
        {
            let most = self.max_partitions_per_topic;
            conflicts.push(format!("auto-create-topics is {partitions}, and max-partitions-per-topic {most}"));
        }
        if self.max_partitions_per_topic > self.max_partitions {
            conflicts.push(format!(
                "max-partitions-per-topic is {}, and max-partitions, for all topics, {}",
                self.max_partitions_per_topic, self.max_partitions
            ));
        }
        conflicts
    }
}
