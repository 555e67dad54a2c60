//! Topics come and grow.
//!
//! A topic, or a new partition of it, is usable once its fact is durable *and* its log is there; until then it
//! isn't shown.

use alloc::{string::String, vec::Vec};

use serde::{Deserialize, Serialize};

use super::{Core, Open};
use crate::{
    command::{Command, StorageError},
    config::in_range,
    fact::{Fact, RebalanceReason},
    ids::{FactSeq, LogId, Offset, RequestId, TopicId, TopicName},
    log::Log,
    planted::planted,
    refusal::{Applied, Bounded, Refusal},
    response::{Bounds, Response, TopicDescription},
    session::Gathered,
    topic_config::{TopicConfig, TopicConfigChange},
};

/// A topic as the catalogue has it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Topic {
    pub(super) id: TopicId,
    /// How many partitions can be used; 0 while it is being created.
    pub(super) usable: u32,
    pub(super) pending: Option<Pending>,
    /// How its logs are kept.
    pub(super) config: TopicConfig,
    /// The fact that decided it; nobody is told before that is durable.
    pub(super) configured: FactSeq,
}

/// Partitions on their way.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Pending {
    pub(super) request: RequestId,
    pub(super) partitions: u32,
    pub(super) after: FactSeq,
    pub(super) logs_created: bool,
    /// What is set together with them. It is decided, and holds once they can be used: if they can't be made, nothing
    /// was ever kept by it.
    #[serde(default)]
    pub(super) change: TopicConfigChange,
}

/// What a producer needs to know of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicView {
    /// Its name, to be used in requests without a copy.
    pub name: TopicName,
    /// This life of the name.
    pub id: TopicId,
    /// How many partitions it has.
    pub partitions: u32,
    /// How its logs are kept.
    pub config: TopicConfig,
}

impl Core {
    /// Looks a topic up by its name.
    pub fn topic(&self, name: &str) -> Option<TopicView> {
        let (name, topic) = self.topics.get_key_value(name)?;
        let Topic { id, usable: partitions, config, .. } = *topic;
        (partitions > 0).then(|| TopicView { name: name.clone(), id, partitions, config })
    }

    /// Looks up what can be read of a partition.
    ///
    /// # Errors
    /// If there is no such topic or partition.
    pub fn bounds(&self, name: &TopicName, partition: u32) -> Result<(LogId, Bounds), Refusal> {
        let log = self.find_log(name, partition)?;
        Ok((log, self.logs[&log].bounds))
    }

    pub(super) fn create_topic(&mut self, request: RequestId, name: TopicName, partitions: u32, config: TopicConfig) {
        if let Err(refusal) = config.check().and_then(|()| self.may_create(&name, partitions)) {
            return self.refuse(request, refusal);
        }
        let id = TopicId::from(request);
        let after = self.record(Fact::TopicCreated { topic: id, name: name.clone(), partitions, config });
        let change = TopicConfigChange::default();
        let pending = Pending { request, partitions, after, logs_created: false, change };
        let topic = Topic { id, usable: 0, pending: Some(pending), config, configured: after };
        self.topics.insert(name.clone(), topic);
        self.becoming.insert(after, id);
        self.requests.insert(request, Open::Topic);
        if !config.is_default() {
            self.outbox.send(Command::ConfigureLogs { topic: id, config });
        }
        self.outbox.send(Command::CreateLogs { topic: id, name, first: 0, partitions });
    }

    pub(super) fn configure_topic(
        &mut self,
        request: RequestId,
        name: TopicName,
        change: TopicConfigChange,
        partitions: Option<u32>,
    ) {
        let (id, config) = match self.may_configure(&name, &change, partitions) {
            Ok(decided) => decided,
            Err(refusal) => return self.refuse(request, refusal),
        };
        if let Some(partitions) = partitions {
            return self.grow(request, name, partitions, change);
        }
        self.configure(&name, id, config);
        self.describe_topic(request, &name);
    }

    /// What was decided with partitions that are still being made stays decided.
    fn configure(&mut self, name: &TopicName, id: TopicId, config: TopicConfig) {
        let pending = self.topics.get(name).and_then(|topic| topic.pending);
        let decided = pending.map_or(config, |pending| pending.change.applied_to(&config));
        let after = self.record(Fact::TopicConfigured { topic: id, config: decided });
        self.outbox.configure_logs(id, config);
        if let Some(topic) = self.topics.get_mut(name) {
            (topic.config, topic.configured) = (config, after);
        }
    }

    fn may_configure(
        &self,
        name: &TopicName,
        change: &TopicConfigChange,
        partitions: Option<u32>,
    ) -> Result<(TopicId, TopicConfig), Refusal> {
        self.may_write()?;
        let topic = self.usable_topic(name)?;
        let config = change.applied_to(&topic.config);
        config.check()?;
        if let Some(partitions) = partitions {
            self.may_grow(name, partitions)?;
        }
        Ok((topic.id, config))
    }

    fn may_create(&self, name: &TopicName, partitions: u32) -> Result<(), Refusal> {
        self.may_write()?;
        in_range("partitions", partitions, 1, self.config.max_partitions_per_topic)?;
        if self.topics.contains_key(name) {
            return Err(Refusal::TopicExists { topic: name.clone() });
        }
        if self.topics.len() >= self.config.max_topics as usize {
            return Err(Refusal::TooMany { what: Bounded::Topics, limit: self.config.max_topics });
        }
        self.may_add_partitions(partitions)
    }

    /// Partitions that are being made count, too.
    fn may_add_partitions(&self, more: u32) -> Result<(), Refusal> {
        let limit = self.config.max_partitions;
        if self.partitions + u64::from(more) > u64::from(limit) {
            return Err(Refusal::TooMany { what: Bounded::Partitions, limit });
        }
        Ok(())
    }

    /// Keeps count of what a fact, that is about to be applied, adds or takes away.
    pub(super) fn count_partitions(&mut self, fact: &Fact) {
        let had = |topic| self.durable.topics.get(topic).map_or(0, |record| u64::from(record.partitions));
        match fact {
            Fact::TopicCreated { partitions, .. } => self.partitions += u64::from(*partitions),
            Fact::PartitionsAdded { topic, partitions, .. } => {
                self.partitions = self.partitions + u64::from(*partitions) - had(topic);
            }
            Fact::TopicDeleted { topic } => self.partitions -= had(topic),
            _ => {}
        }
    }

    pub(super) fn add_partitions(&mut self, request: RequestId, name: TopicName, partitions: u32) {
        self.grow(request, name, partitions, TopicConfigChange::default());
    }

    /// Adds partitions, and changes settings with them: one fact decides both.
    fn grow(&mut self, request: RequestId, name: TopicName, partitions: u32, change: TopicConfigChange) {
        let topic = match self.may_grow(&name, partitions) {
            Ok(topic) => topic,
            Err(refusal) => return self.refuse(request, refusal),
        };
        let config = (!change.is_nothing()).then(|| change.applied_to(&topic.config));
        let after = self.record(Fact::PartitionsAdded { topic: topic.id, partitions, config });
        let pending = Pending { request, partitions, after, logs_created: false, change };
        self.topics.insert(name.clone(), Topic { pending: Some(pending), ..topic });
        self.becoming.insert(after, topic.id);
        self.requests.insert(request, Open::Topic);
        self.outbox.send(Command::CreateLogs { topic: topic.id, name, first: topic.usable, partitions });
    }

    fn may_grow(&self, name: &TopicName, partitions: u32) -> Result<Topic, Refusal> {
        self.may_write()?;
        in_range("partitions", partitions, 1, self.config.max_partitions_per_topic)?;
        let topic = self.usable_topic(name)?;
        let has = topic.pending.map_or(topic.usable, |pending| pending.partitions);
        if partitions <= has || topic.pending.is_some() {
            return Err(Refusal::PartitionsCanOnlyGrow { topic: name.clone(), partitions: has, asked: partitions });
        }
        self.may_add_partitions(partitions - has)?;
        Ok(topic.clone())
    }

    pub(super) fn logs_created(&mut self, id: TopicId, partitions: u32, result: Result<(), StorageError>) {
        let Some(name) = self.durable.topics.get(&id).map(|record| record.name.clone()) else { return };
        let Some(topic) = self.topics.get_mut(&name).filter(|topic| topic.id == id) else { return };
        let Some(pending) = topic.pending.as_mut().filter(|pending| pending.partitions == partitions) else { return };
        match result {
            Ok(()) => {
                pending.logs_created = true;
                self.become_usable(&name);
            }
            Err(error) => self.give_up_partitions(&name, error),
        }
    }

    /// Facts are durable: so may be those of new partitions.
    pub(super) fn topics_persisted(&mut self) {
        let persisted = self.outbox.persisted();
        let ready: Vec<TopicId> = self.becoming.range(..=persisted).map(|(_, topic)| *topic).collect();
        for id in ready {
            if let Some(name) = self.durable.topics.get(&id).map(|record| record.name.clone()) {
                self.become_usable(&name);
            }
        }
    }

    fn become_usable(&mut self, name: &TopicName) {
        let persisted = self.outbox.persisted();
        let Some(topic) = self.topics.get_mut(name) else { return };
        let Some(pending) = topic.pending.filter(|pending| pending.logs_created && pending.after <= persisted) else {
            return;
        };
        for partition in topic.usable..pending.partitions {
            self.logs.insert(LogId { topic: topic.id, partition }, Log::default());
        }
        topic.usable = pending.partitions;
        topic.pending = None;
        self.becoming.remove(&pending.after);
        self.settle_config(name, &pending);
        if self.requests.remove(&pending.request).is_some() {
            self.describe_topic(pending.request, name);
        }
        self.rebalance_subscribers(name);
    }

    /// What was decided with new partitions holds from now on, beside what was set meanwhile.
    fn settle_config(&mut self, name: &TopicName, pending: &Pending) {
        let Some(topic) = self.topics.get_mut(name).filter(|_| !pending.change.is_nothing()) else { return };
        topic.config = pending.change.applied_to(&topic.config);
        topic.configured = topic.configured.max(pending.after);
        let (topic, config) = (topic.id, topic.config);
        if self.outbox.decided() > self.outbox.persisted() {
            // What was set meanwhile may still wait, and must not come last.
            self.outbox.configure_logs(topic, config);
        } else {
            self.outbox.send(Command::ConfigureLogs { topic, config });
        }
    }

    /// The logs could not be made: what was decided is taken back.
    fn give_up_partitions(&mut self, name: &TopicName, error: StorageError) {
        let Some(topic) = self.topics.get_mut(name) else { return };
        let Some(pending) = topic.pending.take() else { return };
        let (id, usable, config) = (topic.id, topic.usable, topic.config);
        self.becoming.remove(&pending.after);
        let after = if usable == 0 {
            self.topics.remove(name);
            let after = self.record(Fact::TopicDeleted { topic: id });
            self.outbox.delete_logs(id, name.clone(), pending.partitions);
            after
        } else {
            let config = (!pending.change.is_nothing()).then_some(config);
            self.record(Fact::PartitionsAdded { topic: id, partitions: usable, config })
        };
        if self.requests.remove(&pending.request).is_some() && !planted!(self, FailedCreationUnanswered) {
            let refusal = Refusal::StorageUnavailable { error, applied: Applied::Nothing };
            self.answer_after(pending.request, after, Err(refusal));
        }
    }

    pub(super) fn rebalance_subscribers(&mut self, name: &TopicName) {
        for group in self.groups_subscribing(name) {
            self.rebalance(&group, RebalanceReason::TopicsChanged(name.clone()));
        }
    }

    pub(super) fn log_moved(&mut self, log: LogId, start: Offset, end: Offset) {
        let Some(entry) = self.logs.get_mut(&log) else { return };
        let waiting = entry.extend(end);
        entry.trim(start);
        self.wake(log, waiting, Gathered::UNKNOWN);
    }

    pub(super) fn list_topics(&mut self, request: RequestId) {
        let usable = self.topics.iter().filter(|(_, topic)| topic.usable > 0);
        let after = usable.clone().map(|(_, topic)| topic.configured).max().unwrap_or_default();
        let topics = usable.map(|(name, _)| self.topic_description(name)).collect();
        self.reply_after(request, after, Response::Topics(topics));
    }

    pub(super) fn describe_topic(&mut self, request: RequestId, name: &TopicName) {
        match self.usable_topic(name) {
            Ok(topic) => {
                let after = topic.configured;
                let description = self.topic_description(name);
                self.reply_after(request, after, Response::Topic(description));
            }
            Err(refusal) => self.refuse(request, refusal),
        }
    }

    fn topic_description(&self, name: &TopicName) -> TopicDescription {
        let topic = &self.topics[name];
        let logs = (0..topic.usable).map(|partition| LogId { topic: topic.id, partition });
        let partitions = logs.map(|log| self.logs[&log].bounds).collect();
        TopicDescription { id: topic.id, name: name.clone(), partitions, config: topic.config }
    }

    pub(super) fn usable_topic(&self, name: &TopicName) -> Result<&Topic, Refusal> {
        let found = self.topics.get(name).filter(|topic| topic.usable > 0);
        found.ok_or_else(|| Refusal::TopicNotFound { topic: name.clone() })
    }

    pub(super) fn find_log(&self, name: &TopicName, partition: u32) -> Result<LogId, Refusal> {
        let topic = self.usable_topic(name)?;
        if partition >= topic.usable {
            let partitions = topic.usable;
            return Err(Refusal::PartitionNotFound { topic: name.clone(), partition, partitions });
        }
        Ok(LogId { topic: topic.id, partition })
    }

    /// The name of a log's topic. A log that the core knows always has one.
    pub(super) fn topic_name(&self, log: LogId) -> TopicName {
        self.durable.topics[&log.topic].name.clone()
    }

    /// Checks an offset that a client wants to stand at.
    pub(super) fn check_offset(
        &self,
        name: &TopicName,
        log: LogId,
        offset: i64,
        min: Offset,
    ) -> Result<Offset, Refusal> {
        let bounds = self.logs[&log].bounds;
        match u64::try_from(offset) {
            Ok(valid) if (min..=bounds.end).contains(&Offset(valid)) => Ok(Offset(valid)),
            _ => Err(Refusal::OffsetOutOfRange {
                topic: name.clone(),
                partition: log.partition,
                offset,
                start: bounds.start,
                end: bounds.end,
            }),
        }
    }

    /// Refuses a list without an entry.
    pub(super) fn not_empty(field: &str, is_empty: bool) -> Result<(), Refusal> {
        if is_empty {
            return Err(Refusal::Empty { field: String::from(field) });
        }
        Ok(())
    }
}
