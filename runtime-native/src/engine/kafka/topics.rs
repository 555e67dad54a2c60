//! Making, changing and removing topics. Each of these ends once the catalogue shows it, so that what follows finds it.

use std::time::{Duration, Instant};

use rdkafka::{
    admin::{AdminOptions, NewPartitions, NewTopic, TopicReplication, TopicResult},
    error::{KafkaError as ClientError, RDKafkaErrorCode},
};
use takhin_core::{TopicConfig, TopicName};

use super::{
    Catalogue, Records,
    error::{KafkaError, TopicError},
    names::KafkaName,
    native, settings,
};

/// How long is waited between two looks for a change.
const LOOK_AGAIN: Duration = Duration::from_millis(30);

impl Records {
    /// Makes a topic with these settings, all of them.
    ///
    /// # Errors
    /// [`TopicError`]
    pub async fn create_topic(
        &self,
        name: &TopicName,
        partitions: u32,
        config: &TopicConfig,
    ) -> Result<(), TopicError> {
        let (pairs, in_kafka) = (settings::of_config(config)?, self.inner.names.in_kafka(name)?);
        let partitions =
            i32::try_from(partitions).map_err(|_| TopicError::Refused("too many partitions".to_owned()))?;
        let replication = self.inner.config.replication.map_or(-1, i32::from);
        let topic = NewTopic::new(&in_kafka, partitions, TopicReplication::Fixed(replication));
        let topic = pairs.iter().fold(topic, |topic, (name, value)| topic.set(name, value));
        settle(self.inner.admin.create_topics([&topic], &self.options()).await)?;
        self.until(name, |catalogue| catalogue.topics.contains_key(name)).await
    }

    /// Removes a topic and what it holds.
    ///
    /// # Errors
    /// [`TopicError`]
    pub async fn delete_topic(&self, name: &TopicName) -> Result<(), TopicError> {
        let in_kafka = self.in_kafka(name)?;
        let was = self.inner.catalogue.now().topics.get(name).map(|topic| topic.id);
        settle(self.inner.admin.delete_topics(&[&in_kafka], &self.options()).await)?;
        // Somebody may have made it anew in the meantime.
        self.until(name, |catalogue| catalogue.topics.get(name).is_none_or(|topic| Some(topic.id) != was)).await
    }

    /// Gives a topic more partitions, so that it has `total`.
    ///
    /// # Errors
    /// [`TopicError`]
    pub async fn add_partitions(&self, name: &TopicName, total: u32) -> Result<(), TopicError> {
        let in_kafka = self.in_kafka(name)?;
        let partitions = NewPartitions::new(&in_kafka, total as usize);
        settle(self.inner.admin.create_partitions([&partitions], &self.options()).await)?;
        self.until(name, |catalogue| catalogue.topics.get(name).is_none_or(|topic| topic.partitions >= total)).await
    }

    /// Has a topic kept in this way from now on. Settings that have no words here stay as they are.
    ///
    /// # Errors
    /// [`TopicError`]
    pub async fn configure_topic(&self, name: &TopicName, config: &TopicConfig) -> Result<(), TopicError> {
        let pairs = settings::of_config(config)?.into_iter().map(|(key, value)| (key, Some(value)));
        self.alter(name, pairs.collect()).await?;
        let wanted = *config;
        self.until(name, |catalogue| catalogue.topics.get(name).is_none_or(|topic| topic.config == wanted)).await
    }

    /// Sets some of a topic's settings, in Kafka's words; without a value as Kafka has it where nothing is set.
    pub(super) async fn alter(
        &self,
        name: &TopicName,
        pairs: Vec<(&'static str, Option<String>)>,
    ) -> Result<(), TopicError> {
        let (inner, topic) = (self.inner.clone(), self.in_kafka(name)?);
        let asked = tokio::task::spawn_blocking(move || {
            native::alter_topic(inner.admin.inner(), &topic, &pairs, inner.config.timeout)
        });
        let altered = asked.await.map_err(|error| TopicError::Unavailable(error.to_string()))??;
        altered.map_err(|(code, why)| refusal(code, why))
    }

    /// What a topic is called that may be there.
    fn in_kafka(&self, name: &TopicName) -> Result<KafkaName, TopicError> {
        self.inner.names.in_kafka(name).map_err(|_| TopicError::NotFound)
    }

    fn options(&self) -> AdminOptions {
        let timeout = self.inner.config.timeout;
        AdminOptions::new().request_timeout(Some(timeout)).operation_timeout(Some(timeout))
    }

    /// Looks until the catalogue shows what was done to `name`. Brokers learn of it one after the other.
    async fn until(&self, name: &TopicName, shows: impl Fn(&Catalogue) -> bool) -> Result<(), TopicError> {
        let give_up = Instant::now() + self.inner.config.timeout;
        loop {
            if shows(&*self.look_again(Some(name.clone())).await?) {
                return Ok(());
            }
            if Instant::now() >= give_up {
                return Err(TopicError::Unavailable("it was done, but brokers don't show it yet".to_owned()));
            }
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    pub(super) async fn look_again(&self, changed: Option<TopicName>) -> Result<std::sync::Arc<Catalogue>, KafkaError> {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        // If nobody waits any longer, nobody needs the answer.
        self.inner.catalogue.refresh(changed, move |result| drop(sender.send(result)));
        receiver.await.unwrap_or_else(|_| Err(KafkaError::Request("the engine has stopped".to_owned())))
    }
}

fn settle(results: Result<Vec<TopicResult>, ClientError>) -> Result<(), TopicError> {
    for result in results.map_err(KafkaError::from)? {
        if let Err((_, code)) = result {
            return Err(refusal(code, code.to_string()));
        }
    }
    Ok(())
}

fn refusal(code: RDKafkaErrorCode, why: String) -> TopicError {
    match code {
        RDKafkaErrorCode::TopicAlreadyExists => TopicError::Exists,
        RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic => TopicError::NotFound,
        RDKafkaErrorCode::OperationTimedOut
        | RDKafkaErrorCode::RequestTimedOut
        | RDKafkaErrorCode::BrokerTransportFailure
        | RDKafkaErrorCode::AllBrokersDown
        | RDKafkaErrorCode::NotController
        | RDKafkaErrorCode::BrokerNotAvailable
        | RDKafkaErrorCode::NetworkException => TopicError::Unavailable(why),
        RDKafkaErrorCode::InvalidConfig
        | RDKafkaErrorCode::InvalidPartitions
        | RDKafkaErrorCode::InvalidTopic
        | RDKafkaErrorCode::PolicyViolation => TopicError::Unsupported(format!("this, of which Kafka says {why:?},")),
        _ => TopicError::Refused(why),
    }
}
