//! Making librdkafka's clients, and hearing what they say.

use std::time::Duration;

use rdkafka::{
    ClientConfig, ClientContext,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, ConsumerContext},
    error::KafkaError as ClientError,
};

use super::{KafkaConfig, error::KafkaError, repetition::Repetition};

/// Where the cluster is and how to speak to it; what holds for every client.
pub(super) fn client_config(config: &KafkaConfig) -> ClientConfig {
    let mut client = ClientConfig::new();
    client
        .set("client.id", "takhin")
        .set("socket.keepalive.enable", "true")
        // A broker that is back is used within a second.
        .set("reconnect.backoff.ms", "100")
        .set("reconnect.backoff.max.ms", "1000");
    for (name, value) in &config.properties {
        client.set(name, value);
    }
    client.set("bootstrap.servers", &config.brokers);
    client
}

/// How much a reading client fetches ahead, and how long it has a broker wait for more.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fetching {
    pub(super) wait: Duration,
    pub(super) ahead_kib: usize,
}

/// A client that reads committed records from where it is told, and of no group.
pub(super) fn reader(config: &KafkaConfig, fetching: Fetching) -> Result<BaseConsumer<Context>, KafkaError> {
    let mut client = client_config(config);
    client
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "true")
        .set("auto.offset.reset", "error")
        .set("isolation.level", "read_committed")
        .set("check.crcs", "true")
        .set("fetch.wait.max.ms", fetching.wait.as_millis().to_string())
        .set("fetch.error.backoff.ms", "100")
        .set("fetch.message.max.bytes", "1048576")
        .set("queued.max.messages.kbytes", fetching.ahead_kib.to_string())
        // How soon it fetches again once what was fetched ahead has been taken.
        .set("fetch.queue.backoff.ms", "5");
    Ok(client.create_with_context(Context::default())?)
}

/// Passes on what a client says, each kind of it once in a while.
#[derive(Debug, Default)]
pub(super) struct Context {
    told: Repetition,
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        let grave = level as i32 <= RDKafkaLogLevel::Warning as i32;
        if !grave {
            tracing::debug!(facility, "{message}");
        } else if let Some(kept_back) = self.told.admit(facility) {
            tracing::warn!(facility, kept_back, "{message}");
        }
    }

    fn error(&self, error: ClientError, reason: &str) {
        let kind = error.rdkafka_error_code().map_or_else(|| error.to_string(), |code| code.to_string());
        if let Some(kept_back) = self.told.admit(&kind) {
            tracing::warn!(%error, kept_back, "{reason}");
        }
    }
}

impl ConsumerContext for Context {}
