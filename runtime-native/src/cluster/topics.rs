//! Topics are Kafka's. What they are is looked up there, and told to each core of the node.

use std::sync::{Arc, Weak};

use futures_util::future::join_all;
use takhin_core::{Applied, Refusal, Request, RequestId, StorageError, TopicConfig, TopicConfigChange, TopicName};

use super::{Cluster, home::Home};
use crate::{
    driver::{Answer, Driver, node::KnownTopic},
    engine::kafka::{Records, TopicError},
};

/// Tells a core what topics there are.
async fn learn(driver: &Driver, records: &Records) {
    // One at a time, or two would make the same topic; and each with what is known when its turn has come.
    let _turn = driver.taught().await;
    let catalogue = Arc::clone(&records.catalogue().borrow());
    let known = driver.known_topics();
    let gone = known.iter().filter(|(name, topic)| catalogue.topics.get(*name).is_none_or(|it| it.id != topic.id));
    join_all(gone.map(|(name, _)| tell(driver, None, Request::DeleteTopic { name: name.clone() }))).await;
    let changes = catalogue.topics.iter().filter_map(|(name, topic)| {
        let (name, wanted) = (name.clone(), within_bounds(topic.config));
        match known.get(&name).filter(|it| it.id == topic.id) {
            None => {
                let request = Request::CreateTopic { name, partitions: topic.partitions, config: wanted };
                Some(tell(driver, Some(RequestId(topic.id.0)), request))
            }
            Some(KnownTopic { partitions, config, .. }) => {
                let partitions = (topic.partitions > *partitions).then_some(topic.partitions);
                let change = change_to(wanted);
                let request = Request::ConfigureTopic { name, change, partitions };
                (*config != wanted || partitions.is_some()).then(|| tell(driver, None, request))
            }
        }
    });
    join_all(changes).await;
}

async fn tell(driver: &Driver, id: Option<RequestId>, request: Request) {
    let told = match id {
        Some(id) => driver.ask_as(id, request.clone()).await,
        None => driver.ask(request.clone()).await,
    };
    match told {
        Ok(_) | Err(Refusal::GroupMoving { .. }) => {}
        Err(refusal) => tracing::warn!(%refusal, ?request, "a core does not take what Kafka says of a topic"),
    }
}

/// Kafka allows for more than a core does, to which this is only something to show.
fn within_bounds(config: TopicConfig) -> TopicConfig {
    const GIB: i64 = 1 << 30;
    TopicConfig {
        segment_bytes: config.segment_bytes.clamp(1_024, GIB),
        segment_ms: config.segment_ms.max(1_000),
        max_message_bytes: config.max_message_bytes.clamp(1, 16 << 20),
        ..config
    }
}

/// A change after which a topic is kept in this way.
fn change_to(config: TopicConfig) -> TopicConfigChange {
    TopicConfigChange {
        retention_ms: Some(config.retention_ms),
        retention_bytes: Some(config.retention_bytes),
        segment_bytes: Some(config.segment_bytes),
        segment_ms: Some(config.segment_ms),
        max_message_bytes: Some(config.max_message_bytes),
        cleanup: Some(config.cleanup),
        min_compaction_lag_ms: Some(config.min_compaction_lag_ms),
        delete_retention_ms: Some(config.delete_retention_ms),
        compression: Some(config.compression),
        durability: Some(config.durability),
    }
}

/// Tells the node's cores whenever topics change, for as long as the node lives.
pub(super) async fn follow(home: Weak<Home>) {
    let Some(mut catalogue) = home.upgrade().map(|home| home.records.catalogue()) else { return };
    loop {
        catalogue.borrow_and_update();
        match home.upgrade() {
            Some(home) => home.teach_all().await,
            None => return,
        }
        if catalogue.changed().await.is_err() {
            return;
        }
    }
}

impl Cluster {
    /// Makes, changes or deletes a topic where topics are, and answers once this node's cores know.
    pub(super) async fn administer(&self, request: Request) -> Result<Answer, Refusal> {
        let records = &self.node.home.records;
        let (name, done) = match request {
            Request::CreateTopic { name, partitions, config } => {
                // What is wrong with it is said in the same words as anywhere.
                config.check()?;
                self.may_have(partitions)?;
                let done = records.create_topic(&name, partitions, &config).await;
                (name, done)
            }
            Request::DeleteTopic { name } => {
                let done = records.delete_topic(&name).await;
                done.map_err(|error| refusal(&error, &name))?;
                self.learn_now().await?;
                return Ok(Answer::of(takhin_core::Response::TopicDeleted { name }));
            }
            Request::AddPartitions { name, partitions } => {
                let done = self.grow(&name, partitions).await?;
                (name, done)
            }
            Request::ConfigureTopic { name, change, partitions } => {
                let view =
                    self.node.home.front.topic(&name).ok_or_else(|| Refusal::TopicNotFound { topic: name.clone() })?;
                let config = change.applied_to(&view.config);
                config.check()?;
                let mut done = Ok(());
                if let Some(partitions) = partitions {
                    done = self.grow(&name, partitions).await?;
                }
                if done.is_ok() && config != view.config {
                    done = records.configure_topic(&name, &config).await;
                }
                (name, done)
            }
            other => return self.node.home.front.ask(other).await,
        };
        done.map_err(|error| refusal(&error, &name))?;
        self.learn_now().await?;
        let (home, describe) = (&self.node.home, Request::DescribeTopic { name });
        // A topic that was made just now has its leaders in a moment.
        let bounds = home.records.bounds(&home.front.logs_touched(&describe)).await;
        home.front.logs_moved(&bounds.map_err(|error| unavailable(error.to_string()))?);
        home.front.ask(describe).await
    }

    async fn grow(&self, name: &TopicName, partitions: u32) -> Result<Result<(), TopicError>, Refusal> {
        let view = self.node.home.front.topic(name).ok_or_else(|| Refusal::TopicNotFound { topic: name.clone() })?;
        self.may_have(partitions)?;
        if partitions <= view.partitions {
            let (topic, has) = (name.clone(), view.partitions);
            return Err(Refusal::PartitionsCanOnlyGrow { topic, partitions: has, asked: partitions });
        }
        Ok(self.node.home.records.add_partitions(name, partitions).await)
    }

    /// Whether a topic may have so many partitions.
    fn may_have(&self, partitions: u32) -> Result<(), Refusal> {
        let most = self.node.home.config.core.max_partitions_per_topic;
        if (1..=most).contains(&partitions) {
            return Ok(());
        }
        let (field, value) = ("partitions".to_owned(), i64::from(partitions));
        Err(Refusal::OutOfRange { field, value, min: 1, max: i64::from(most) })
    }

    /// What Kafka says now is known to the front when this returns, and to the cells' cores soon.
    async fn learn_now(&self) -> Result<(), Refusal> {
        self.node.home.records.refresh().await.map_err(|error| unavailable(error.to_string()))?;
        self.node.home.teach_all().await;
        Ok(())
    }
}

impl Home {
    /// Tells all cores what topics there are, and waits for the front. A cell's core may be kept waiting by its journal.
    async fn teach_all(&self) {
        for (_, driver) in self.places.all() {
            let records = self.records.clone();
            self.runtime.spawn(async move { learn(&driver, &records).await });
        }
        learn(&self.front, &self.records).await;
    }

    /// Tells one core what topics there are by now.
    pub(super) async fn teach(&self, driver: &Driver) {
        learn(driver, &self.records).await;
    }

    /// Looks what topics there are, and tells one core: it was asked for one that it does not know, which another node may
    /// have made.
    pub(super) async fn catch_up(&self, driver: &Driver) -> Result<(), Refusal> {
        self.records.refresh().await.map_err(|error| not_asked(error.to_string()))?;
        learn(driver, &self.records).await;
        Ok(())
    }
}

fn refusal(error: &TopicError, name: &TopicName) -> Refusal {
    match error {
        TopicError::Exists => Refusal::TopicExists { topic: name.clone() },
        TopicError::NotFound => Refusal::TopicNotFound { topic: name.clone() },
        TopicError::Unsupported(what) => Refusal::Unsupported { what: what.clone() },
        TopicError::Refused(why) => Refusal::StorageUnavailable {
            error: StorageError::Failed(format!("Kafka refuses it: {why}")),
            applied: Applied::Nothing,
        },
        TopicError::Unavailable(why) => unavailable(why.clone()),
    }
}

/// Kafka does not say what has to be known before a request is carried out.
pub(super) fn not_asked(why: String) -> Refusal {
    Refusal::StorageUnavailable { error: StorageError::Failed(why), applied: Applied::Nothing }
}

/// Kafka does not answer.
fn unavailable(why: String) -> Refusal {
    Refusal::StorageUnavailable { error: StorageError::Failed(why), applied: Applied::Unknown }
}
