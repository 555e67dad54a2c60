//! The topics in Kafka: which there have to be, whether they can be, and how they are set.

use std::{collections::BTreeMap, sync::Arc};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use takhin_core::{LogId, TopicConfig, TopicDurability, TopicId, TopicName, durable::TopicRecord, response::Bounds};

use super::{
    Migration,
    copying::Part,
    error::MigrateError,
    state::{PartitionState, TopicState},
    watch::Phase,
};
use crate::engine::kafka::{Catalogue, CatalogueTopic, TopicError};

/// Topics that are made or set at a time.
const AT_ONCE: usize = 8;

/// What has to be done about a topic before its records are copied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// It is the one that was copied to before.
    GoOn,
    /// The same, and it gets more partitions.
    Grow,
    /// There is none.
    Make,
    /// There is one that nobody has written to, and it is taken.
    Take,
}

impl Migration<'_> {
    /// Sees to it that there is a topic in Kafka for each, and gives the partitions of which records are missing there.
    pub(super) async fn prepare_topics(&self) -> Result<Vec<Part>, MigrateError> {
        let catalogue = self.records.refresh().await?;
        let steps = self.steps(&catalogue)?;
        self.must_be_empty(&catalogue, steps.iter().filter(|(.., step)| *step == Step::Take)).await?;
        for (name, record, step) in &steps {
            if matches!(step, Step::Make | Step::Take) && self.forget(name)? {
                self.watch.note(format!("{} is not in Kafka any more: it is copied anew", &**name));
            }
            tracing::debug!(topic = &**name, partitions = record.partitions, ?step, "a topic to be copied");
        }
        let done = stream::iter(&steps).map(|(name, record, step)| self.provide(name, record, *step));
        done.buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await?;
        self.save()?;

        let parts = self.missing();
        let mut topics: Vec<&str> = parts.iter().map(|part| &*part.topic).collect();
        topics.dedup();
        self.with_state(|state| {
            for topic in &topics {
                state.topics.get_mut(*topic).expect("it is there").is_set = false;
            }
        });
        self.save()?;
        let set = stream::iter(steps.iter().filter(|(name, ..)| topics.contains(&&**name)));
        let set = set.map(|(name, record, _)| async move {
            let set = self.records.configure_for_copying(name, &record.config).await;
            set.map_err(|error| failed(name, error))
        });
        set.buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await?;
        Ok(parts)
    }

    /// Gives topics the settings that they have in the source.
    pub(super) async fn set_topics(&self) -> Result<(), MigrateError> {
        let unset: Vec<(&TopicId, &TopicRecord)> = self.with_state(|state| {
            let topics = self.source.state.topics.iter();
            topics.filter(|(_, record)| state.topics.get(&*record.name).is_some_and(|topic| !topic.is_set)).collect()
        });
        self.watch.begin(Phase::Settings, unset.len() as u64, 0);
        let set = stream::iter(unset).map(|(_, record)| async move {
            let name = &record.name;
            let set = self.records.configure_as_copied(name, &record.config).await;
            set.map_err(|error| failed(name, error))?;
            self.with_state(|state| state.topics.get_mut(&**name).expect("it is there").is_set = true);
            self.watch.advance(1, 0);
            Ok::<(), MigrateError>(())
        });
        let set = set.buffer_unordered(AT_ONCE).try_collect::<Vec<()>>().await;
        self.watch.settled();
        self.save()?;
        set.map(drop)
    }

    /// What is to be done about each topic, or all that keeps it from being done.
    fn steps(&self, catalogue: &Catalogue) -> Result<Vec<(TopicName, TopicRecord, Step)>, MigrateError> {
        let (mut steps, mut conflicts) = (Vec::new(), Vec::new());
        let mut same: BTreeMap<String, &str> = BTreeMap::new();
        for (id, record) in &self.source.state.topics {
            let name = &record.name;
            if let Some(other) = same.insert(name.replace('.', "_"), name) {
                let name = &**name;
                conflicts.push(format!(
                    "{other} and {name}: Kafka does not have both of two names that differ in . and _ only"
                ));
            }
            match self.step(*id, record, catalogue) {
                Ok(step) => steps.push((name.clone(), record.clone(), step)),
                Err(conflict) => conflicts.push(conflict),
            }
        }
        steps.sort_by(|(one, ..), (other, ..)| one.cmp(other));
        if conflicts.is_empty() { Ok(steps) } else { Err(MigrateError::Conflicts(conflicts)) }
    }

    fn step(&self, id: TopicId, record: &TopicRecord, catalogue: &Catalogue) -> Result<Step, String> {
        let (name, partitions) = (&*record.name, record.partitions);
        if name.starts_with("__") {
            return Err(format!("{name}: topics whose names begin with __ are not shown in a cluster"));
        }
        let found = catalogue.topics.get(&record.name);
        let known = self.with_state(|state| state.topics.get(name).cloned());
        let known = known.filter(|known| found.is_some_and(|found| found.id == known.target));
        let (Some(found), Some(known)) = (found, known) else {
            return match found {
                None => Ok(Step::Make),
                Some(found) if found.partitions == partitions => Ok(Step::Take),
                Some(found) => {
                    let there = found.partitions;
                    Err(format!("{name} has {partitions} partitions, and in Kafka there is one with {there}"))
                }
            };
        };
        if known.source != id {
            return Err(format!(
                "{name} was deleted and made anew since it was copied. Delete it in Kafka, and it is copied anew"
            ));
        }
        let mut is_whole = known.partitions.len() == partitions as usize;
        for (number, partition) in (0..).zip(&known.partitions) {
            let end = self.source.bounds(id, number).end.0;
            if end < partition.next {
                let next = partition.next;
                return Err(format!(
                    "{name}/{number} ends at {end}, and was copied up to {next}: this is not the data that was copied. \
                     Delete the topic in Kafka, and it is copied anew"
                ));
            }
            is_whole &= end == partition.next;
        }
        match found.partitions {
            // Who has it by now may have made it larger.
            there if there == partitions || (there > partitions && is_whole) => Ok(Step::GoOn),
            there if there < partitions => Ok(Step::Grow),
            there => Err(format!("{name} has {partitions} partitions, and in Kafka it has {there} by now")),
        }
    }

    /// Forgets what is known of a topic. Whether there was something.
    fn forget(&self, name: &TopicName) -> Result<bool, MigrateError> {
        let known = self.with_state(|state| state.topics.remove(&**name));
        self.directory.forget(name)?;
        Ok(known.is_some_and(|known| known.partitions.iter().any(|partition| partition.end > 0)))
    }

    async fn provide(&self, name: &TopicName, record: &TopicRecord, step: Step) -> Result<(), MigrateError> {
        let failed = |error| failed(name, error);
        if step == Step::Make {
            // With its own settings, so that what Kafka does not take of them shows now.
            let config = TopicConfig { durability: TopicDurability::Server, ..record.config };
            match self.records.create_topic(name, record.partitions, &config).await {
                Ok(()) | Err(TopicError::Exists) => {}
                Err(TopicError::Refused(_)) => self.make_in_two_steps(name, record.partitions, &config).await?,
                Err(error) => return Err(failed(error)),
            }
        }
        if step == Step::Grow {
            self.records.add_partitions(name, record.partitions).await.map_err(failed)?;
        }
        let catalogue = self.records.refresh().await?;
        let found = catalogue.topics.get(name).ok_or_else(|| failed(TopicError::NotFound))?;
        if step == Step::Make {
            // Somebody may have been quicker than the look at what there is.
            self.must_be_empty(&catalogue, [&(name.clone(), record.clone(), step)].into_iter()).await?;
        }
        let source = self.source_id(name);
        self.with_state(|state| {
            let topic = state.topics.entry(name.to_string());
            let new = || TopicState { source, target: found.id, is_set: step == Step::Make, partitions: Vec::new() };
            let topic = topic.or_insert_with(new);
            let count = topic.partitions.len().max(record.partitions as usize);
            topic.partitions.resize(count, PartitionState::default());
        });
        // One that is made and not written down is taken, since it is empty.
        Ok(())
    }

    /// Makes a topic and sets it then: of a topic that it doesn't make, Kafka doesn't say why.
    async fn make_in_two_steps(
        &self,
        name: &TopicName,
        partitions: u32,
        config: &TopicConfig,
    ) -> Result<(), MigrateError> {
        let failed = |error| failed(name, error);
        self.records.create_topic(name, partitions, &TopicConfig::default()).await.map_err(failed)?;
        let Err(error) = self.records.configure_topic(name, config).await else { return Ok(()) };
        self.records.delete_topic(name).await.map_err(failed)?;
        Err(failed(error))
    }

    /// Refuses topics of Kafka's that somebody has written to, or that have other partitions.
    async fn must_be_empty(
        &self,
        catalogue: &Catalogue,
        topics: impl Iterator<Item = &(TopicName, TopicRecord, Step)>,
    ) -> Result<(), MigrateError> {
        let there = topics.filter_map(|(name, record, _)| Some((name, record, catalogue.topics.get(name)?)));
        let there: Vec<_> = there.collect();
        let logs_of = |topic: &CatalogueTopic| {
            let topic = (topic.id, topic.partitions);
            (0..topic.1).map(move |partition| LogId { topic: topic.0, partition })
        };
        let logs: Vec<LogId> = there.iter().flat_map(|(.., topic)| logs_of(topic)).collect();
        let bounds: BTreeMap<LogId, Bounds> = self.records.bounds(&logs).await?.into_iter().collect();
        let conflict = |(name, record, topic): (&TopicName, &TopicRecord, &CatalogueTopic)| {
            let is_empty = |log: LogId| bounds.get(&log).is_some_and(|bounds| bounds.end.0 == 0);
            let is_free = topic.partitions == record.partitions && logs_of(topic).all(is_empty);
            let name = &**name;
            (!is_free).then(|| format!("{name} is in Kafka already, with records that are not this migration's"))
        };
        let conflicts: Vec<String> = there.into_iter().filter_map(conflict).collect();
        if conflicts.is_empty() { Ok(()) } else { Err(MigrateError::Conflicts(conflicts)) }
    }

    fn source_id(&self, name: &TopicName) -> TopicId {
        let mut topics = self.source.state.topics.iter();
        topics.find(|(_, record)| record.name == *name).map(|(id, _)| *id).unwrap_or_default()
    }

    /// The partitions of which records are missing in Kafka.
    fn missing(&self) -> Vec<Part> {
        self.with_state(|state| {
            let mut parts = Vec::new();
            for (name, topic) in &state.topics {
                for (number, partition) in (0..).zip(&topic.partitions) {
                    let source = LogId { topic: topic.source, partition: number };
                    let end = self.source.bounds(source.topic, number).end.0;
                    if partition.next < end {
                        let target = LogId { topic: topic.target, partition: number };
                        parts.push(Part { topic: name.clone(), source, target, end });
                    }
                }
            }
            parts
        })
    }
}

fn failed(name: &TopicName, error: TopicError) -> MigrateError {
    MigrateError::Topic { topic: name.to_string(), error }
}

/// The names of the topics, by their ids in the source.
pub(super) fn names(topics: &BTreeMap<TopicId, TopicRecord>) -> BTreeMap<TopicId, Arc<str>> {
    topics.iter().map(|(id, record)| (*id, Arc::from(&*record.name))).collect()
}
