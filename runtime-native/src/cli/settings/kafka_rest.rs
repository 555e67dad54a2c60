//! Settings of what clients of Kafka's REST proxies are served.

use std::str::FromStr;

use clap::Args;
use takhin::http::{CommitStyle, KafkaRestConfig};

#[derive(Debug, Args)]
#[command(next_help_heading = "Clients of Kafka's REST proxies")]
pub(in crate::cli) struct KafkaRest {
    /// Serve the v2 API of Kafka's REST proxies beneath this path; / is the root, and off is not at all
    #[arg(long = "kafka-rest", env = "TAKHIN_KAFKA_REST", default_value = "/kafka", value_name = "PATH|off")]
    mount: Mount,

    /// What an offset means that one of its clients commits: that of the last record processed (next, as in Confluent's
    /// proxy), or of the next one to read (raw, as in Strimzi's bridge)
    #[arg(
        long = "kafka-rest-commit",
        env = "TAKHIN_KAFKA_REST_COMMIT",
        default_value = "next",
        value_name = "next|raw"
    )]
    commit: Commit,

    /// How long one of its consumer instances may be silent before it is removed
    #[arg(
        long = "kafka-rest-instance-timeout-ms",
        env = "TAKHIN_KAFKA_REST_INSTANCE_TIMEOUT_MS",
        default_value_t = 300_000,
        value_name = "MS",
        value_parser = clap::value_parser!(u32).range(1_000..=1_800_000)
    )]
    instance_timeout_ms: u32,
}

#[derive(Clone, Debug)]
struct Mount(Option<KafkaRestConfig>);

#[derive(Clone, Copy, Debug)]
struct Commit(CommitStyle);

impl FromStr for Mount {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self(None));
        }
        let mounted = KafkaRestConfig::default().mounted_at(text);
        mounted.map(|config| Self(Some(config))).map_err(|error| format!("{error}; or off"))
    }
}

impl FromStr for Commit {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        match text {
            "next" => Ok(Self(CommitStyle::Next)),
            "raw" => Ok(Self(CommitStyle::Raw)),
            _ => Err("expected next or raw"),
        }
    }
}

impl KafkaRest {
    /// What the server is to be set to; [`None`] is not to serve it.
    pub(in crate::cli) fn config(&self) -> Option<KafkaRestConfig> {
        let mut config = self.mount.0.clone()?;
        config.commit = self.commit.0;
        config.instance_timeout_ms = self.instance_timeout_ms;
        Some(config)
    }
}
