//! How Kafka is reached, and what is asked of it: the same for a node of a cluster and for what is moved to one.

use std::path::PathBuf;

use clap::Args;
use takhin_core::TopicName;

/// Something is to be left for the names of topics, of which Kafka takes 249 bytes.
const MAX_TOPIC_PREFIX_BYTES: usize = 100;

#[derive(Debug, Args)]
pub(in crate::cli) struct KafkaSettings {
    /// The Kafka brokers to begin with, as in a:9092,b:9092
    #[arg(long, env = "TAKHIN_BROKERS", value_name = "HOST:PORT,...")]
    brokers: Option<String>,

    /// File with properties that are passed on to librdkafka, each on a line: its name, = and its value
    #[arg(long, env = "TAKHIN_KAFKA_PROPERTIES", value_name = "FILE")]
    kafka_properties: Option<PathBuf>,

    /// What is put before the names of clients' topics in Kafka, as in shop.: the topic orders is shop.orders there, and only
    /// topics that begin with it are seen. It is the same for all nodes, and can't be changed once the cluster is made
    #[arg(long, env = "TAKHIN_TOPIC_PREFIX", value_name = "PREFIX")]
    topic_prefix: Option<String>,

    /// On how many brokers the topics are kept that are made; else as Kafka is set
    #[arg(
        long,
        env = "TAKHIN_REPLICATION",
        value_name = "N",
        value_parser = clap::value_parser!(u16).range(1..=15)
    )]
    replication: Option<u16>,

    /// How long Kafka may take for an answer before what needs it fails
    #[arg(
        long,
        env = "TAKHIN_KAFKA_TIMEOUT_MS",
        default_value_t = 10_000,
        value_name = "MS",
        value_parser = clap::value_parser!(u64).range(1_000..=300_000)
    )]
    kafka_timeout_ms: u64,
}

impl KafkaSettings {
    /// Whether it is said where Kafka is.
    pub(super) fn is_named(&self) -> bool {
        self.brokers.is_some()
    }

    pub(super) fn has_topic_prefix(&self) -> bool {
        self.topic_prefix.as_ref().is_some_and(|prefix| !prefix.is_empty())
    }

    /// Why no topic can have the prefix, if none can.
    pub(in crate::cli) fn wrong_with_topic_prefix(&self) -> Option<String> {
        let prefix = self.topic_prefix.as_ref().filter(|prefix| !prefix.is_empty())?;
        let wrong = if prefix.starts_with("__") {
            format!("is {prefix}: topics that begin with __ are hidden")
        } else if prefix.len() > MAX_TOPIC_PREFIX_BYTES {
            format!("has {} bytes, and {MAX_TOPIC_PREFIX_BYTES} is the most", prefix.len())
        } else {
            // With a letter behind it, it is a name.
            let error = TopicName::new(&format!("{prefix}t")).err()?;
            format!("is {prefix:?}: {error}")
        };
        Some(format!("topic-prefix {wrong}"))
    }
}

#[cfg(feature = "kafka")]
mod config {
    use std::{fs, path::Path, time::Duration};

    use takhin::engine::kafka::KafkaConfig;

    use super::KafkaSettings;

    impl KafkaSettings {
        /// What records are kept with. Topics whose names begin with `own_topics` are not shown, and `cache_bytes` of the ends
        /// of logs are kept in memory.
        ///
        /// # Errors
        /// The file with properties can't be read, in words.
        pub(in crate::cli) fn config(&self, own_topics: String, cache_bytes: usize) -> Result<KafkaConfig, String> {
            Ok(KafkaConfig {
                brokers: self.brokers.clone().unwrap_or_default(),
                properties: properties(self.kafka_properties.as_deref())?,
                topic_prefix: self.topic_prefix.clone().unwrap_or_default(),
                own_topics,
                cache_bytes,
                replication: self.replication,
                timeout: Duration::from_millis(self.kafka_timeout_ms),
            })
        }
    }

    /// The properties in the file, if there is one.
    fn properties(path: Option<&Path>) -> Result<Vec<(String, String)>, String> {
        let Some(path) = path else { return Ok(Vec::new()) };
        let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let lines = (1..).zip(text.lines().map(str::trim));
        let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
        let property = |(number, line): (usize, &str)| {
            let (key, value) = line
                .split_once('=')
                .ok_or_else(|| format!("{}:{number}: expected a key, = and a value", path.display()))?;
            Ok((key.trim().to_owned(), value.trim().to_owned()))
        };
        lines.map(property).collect()
    }
}
