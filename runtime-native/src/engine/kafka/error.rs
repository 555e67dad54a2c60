//! What can go wrong with a cluster.

use rdkafka::error::KafkaError as ClientError;

/// The cluster did not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KafkaError {
    /// The settings make no client.
    #[error("the settings for Kafka are not taken: {0}")]
    Config(String),
    /// Nobody answered.
    #[error("no Kafka broker of {brokers} answered within {timeout_ms} ms: {why}")]
    NoBroker {
        /// Who was asked.
        brokers: String,
        /// How long.
        timeout_ms: u128,
        /// What the client says.
        why: String,
    },
    /// A request failed.
    #[error("Kafka: {0}")]
    Request(String),
}

impl From<ClientError> for KafkaError {
    fn from(error: ClientError) -> Self {
        match error {
            ClientError::ClientConfig(..) | ClientError::ClientCreation(_) => Self::Config(error.to_string()),
            other => Self::Request(other.to_string()),
        }
    }
}

/// A topic was not made, changed or removed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TopicError {
    /// There is one of this name.
    #[error("the topic exists")]
    Exists,
    /// There is none of this name.
    #[error("there is no such topic")]
    NotFound,
    /// It can't be done with a cluster, whatever its state: this can't.
    #[error("{0} can't be had in Kafka")]
    Unsupported(String),
    /// The cluster does not do it. These are its words.
    #[error("{0}")]
    Refused(String),
    /// The cluster could not be asked, or has not answered; it may have been done.
    #[error("{0}")]
    Unavailable(String),
}

impl From<KafkaError> for TopicError {
    fn from(error: KafkaError) -> Self {
        Self::Unavailable(error.to_string())
    }
}
