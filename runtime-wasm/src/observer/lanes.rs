//! Lanes: everybody and everything that has a line of its own in the picture.

use std::collections::BTreeMap;

use serde::Serialize;
use takhin_core::{ConsumerId, ConsumerOptions, Core, GroupName, LogId, TopicId, TopicName};

/// What a lane is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs)] // They are what they say.
pub enum LaneKind {
    Broker,
    Producer,
    Partition,
    Consumer,
    Group,
}

/// A lane.
#[derive(Clone, Debug, Serialize)]
pub struct Lane {
    /// What it is for.
    pub kind: LaneKind,
    /// Its name.
    pub name: String,
    /// The group of a consumer, or the topic of a partition or producer.
    pub of: String,
    /// A consumer's letter in its group, so that nothing is told by colour alone.
    pub letter: Option<char>,
}

/// All lanes, in order of their appearance.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lanes {
    pub(crate) all: Vec<Lane>,
    broker: Option<u32>,
    clients: BTreeMap<String, u32>,
    consumers: BTreeMap<ConsumerId, u32>,
    logs: BTreeMap<LogId, u32>,
    groups: BTreeMap<GroupName, u32>,
    topics: BTreeMap<TopicId, TopicName>,
}

impl Lanes {
    /// Learns what a core has.
    pub(crate) fn know(&mut self, core: &Core) {
        for (topic, record) in &core.durable().topics {
            self.topic(*topic, &record.name);
            for partition in 0..record.partitions {
                self.log(LogId { topic: *topic, partition });
            }
        }
        for (consumer, record) in &core.durable().consumers {
            self.subscribed(*consumer, &record.group, &record.options);
        }
    }

    pub(crate) fn broker(&mut self) -> u32 {
        if let Some(lane) = self.broker {
            return lane;
        }
        let lane = self.add(LaneKind::Broker, "broker".to_owned(), String::new(), None);
        *self.broker.insert(lane)
    }

    pub(crate) fn topic(&mut self, topic: TopicId, name: &TopicName) {
        self.topics.insert(topic, name.clone());
    }

    pub(crate) fn topic_name(&self, topic: TopicId) -> String {
        self.topics.get(&topic).map_or_else(|| format!("topic {}", topic.0), ToString::to_string)
    }

    pub(crate) fn log(&mut self, log: LogId) -> u32 {
        if let Some(lane) = self.logs.get(&log) {
            return *lane;
        }
        let topic = self.topic_name(log.topic);
        let lane = self.add(LaneKind::Partition, format!("{topic}/{}", log.partition), topic, None);
        *self.logs.entry(log).or_insert(lane)
    }

    pub(crate) fn log_name(&self, log: LogId) -> String {
        format!("{}/{}", self.topic_name(log.topic), log.partition)
    }

    pub(crate) fn group(&mut self, group: &GroupName) -> u32 {
        if let Some(lane) = self.groups.get(group) {
            return *lane;
        }
        let lane = self.add(LaneKind::Group, group.to_string(), group.to_string(), None);
        *self.groups.entry(group.clone()).or_insert(lane)
    }

    /// A client by its name, of whatever kind.
    pub(crate) fn client(&self, name: &str) -> Option<u32> {
        self.clients.get(name).copied()
    }

    /// The producer of this name, made if it isn't there.
    pub(crate) fn producer(&mut self, name: &str, topic: &str) -> u32 {
        if let Some(lane) = self.clients.get(name) {
            return *lane;
        }
        let lane = self.add(LaneKind::Producer, name.to_owned(), topic.to_owned(), None);
        *self.clients.entry(name.to_owned()).or_insert(lane)
    }

    /// The lane of a consumer that subscribes: that of its client, if that had one before under another id.
    pub(crate) fn subscribed(&mut self, consumer: ConsumerId, group: &GroupName, options: &ConsumerOptions) -> u32 {
        self.group(group);
        if let Some(lane) = self.consumers.get(&consumer) {
            return *lane;
        }
        let named = options.client_id.as_ref().map(ToString::to_string);
        let named = named.or_else(|| options.instance_id.as_ref().map(ToString::to_string));
        let name = named.unwrap_or_else(|| consumer.to_string()[..8].to_owned());
        let known = self.clients.get(&name).copied();
        let lane = known.filter(|lane| self.all[*lane as usize].of == **group).unwrap_or_else(|| {
            let nth = self.all.iter().filter(|lane| lane.kind == LaneKind::Consumer && lane.of == **group).count();
            let letter = char::from(b'a' + u8::try_from(nth % 26).unwrap_or_default());
            self.add(LaneKind::Consumer, name.clone(), group.to_string(), Some(letter))
        });
        self.clients.insert(name, lane);
        self.consumers.insert(consumer, lane);
        lane
    }

    pub(crate) fn consumer(&self, consumer: ConsumerId) -> Option<u32> {
        self.consumers.get(&consumer).copied()
    }

    pub(crate) fn consumer_name(&self, consumer: ConsumerId) -> String {
        match self.consumer(consumer) {
            Some(lane) => self.name(lane).to_owned(),
            None => consumer.to_string()[..8].to_owned(),
        }
    }

    pub(crate) fn letter(&self, consumer: ConsumerId) -> Option<char> {
        self.all[self.consumer(consumer)? as usize].letter
    }

    pub(crate) fn name(&self, lane: u32) -> &str {
        self.all.get(lane as usize).map_or("", |lane| &lane.name)
    }

    fn add(&mut self, kind: LaneKind, name: String, of: String, letter: Option<char>) -> u32 {
        let lane = u32::try_from(self.all.len()).unwrap_or(u32::MAX);
        self.all.push(Lane { kind, name, of, letter });
        lane
    }
}
