//! What a request is about: whose a consumer is, what it may be told of, and which logs matter to an answer. Asked before
//! the request is let in, so it changes nothing and renews nothing.

use alloc::{collections::BTreeSet, vec::Vec};

use super::Core;
use crate::{
    durable::Durable,
    event::{Request, Topics},
    fact::Subscription,
    ids::{ConsumerId, GroupName, LogId, TopicId, TopicName},
};

impl Core {
    /// The partitions that a consumer has; none if there is no such consumer.
    pub fn held(&self, consumer: ConsumerId) -> impl Iterator<Item = LogId> + '_ {
        self.sessions.get(&consumer).into_iter().flat_map(|session| session.partitions.keys().copied())
    }

    /// The group of a consumer, if there is such a consumer; `topic` is shown each topic that it subscribes to or has
    /// partitions of, some maybe twice.
    pub fn reach(&self, consumer: ConsumerId, mut topic: impl FnMut(&TopicName)) -> Option<&GroupName> {
        let record = self.durable.consumers.get(&consumer)?;
        match &record.subscription {
            Subscription::Topics(topics) => topics.iter().for_each(&mut topic),
            Subscription::Pattern(pattern) => {
                let matching = self.patterns.get(pattern).into_iter();
                matching.flat_map(|pattern| &pattern.topics).for_each(&mut topic);
            }
            Subscription::Manual => {}
        }
        let mut last: Option<TopicId> = None;
        for log in self.sessions.get(&consumer).into_iter().flat_map(|session| session.partitions.keys()) {
            // A topic's logs stand side by side.
            if last.replace(log.topic) != Some(log.topic) {
                topic(&self.topic_name(*log));
            }
        }
        Some(&record.group)
    }

    /// The logs of which a request needs to know how far they reach, each once. Where others append, too, whoever runs the
    /// core finds that out first.
    pub fn logs_touched(&self, request: &Request) -> Vec<LogId> {
        let one = |(name, partition): (&TopicName, u32)| self.find_log(name, partition).ok();
        match request {
            Request::Subscribe { topics, .. } | Request::ChangeSubscription { topics, .. } => self.logs_wanted(topics),
            Request::Assign { partitions, .. } => partitions.iter().filter_map(|(n, p)| one((n, *p))).collect(),
            Request::Commit { offsets: Some(offsets), .. } => {
                offsets.iter().filter_map(|at| one((&at.topic, at.partition))).collect()
            }
            Request::Seek { positions, .. } => {
                positions.iter().filter_map(|at| one((&at.topic, at.partition))).collect()
            }
            Request::SetOffsets { group, offsets, .. } => {
                let named = offsets.iter().filter_map(|at| one((&at.topic, at.partition)));
                // Most of what is set was committed before.
                named.chain(self.logs_of_group(group)).collect::<BTreeSet<_>>().into_iter().collect()
            }
            Request::Consume { consumer, .. }
            | Request::SeekPlace { consumer, .. }
            | Request::Describe { consumer }
            | Request::Committed { consumer } => self.held(*consumer).collect(),
            Request::DescribeGroup { group } => self.logs_of_group(group),
            Request::Read { topic, partition, .. } => one((topic, *partition)).into_iter().collect(),
            Request::DescribeTopic { name } => self.logs_of(name).collect(),
            Request::ListTopics => self.topics.keys().flat_map(|name| self.logs_of(name)).collect(),
            _ => Vec::new(),
        }
    }

    /// The logs of a topic that can be used.
    fn logs_of(&self, name: &TopicName) -> impl Iterator<Item = LogId> + use<> {
        let found = self.topics.get(name).map(|topic| (topic.id, topic.usable));
        found.into_iter().flat_map(|(topic, usable)| (0..usable).map(move |partition| LogId { topic, partition }))
    }

    fn logs_wanted(&self, topics: &Topics) -> Vec<LogId> {
        match topics {
            Topics::Named(names) => names.iter().flat_map(|name| self.logs_of(name)).collect(),
            Topics::Matching(pattern) => {
                let matcher = pattern.compile().ok();
                let matching = |name: &&TopicName| matcher.as_ref().is_some_and(|matcher| matcher.matches(name));
                self.topics.keys().filter(matching).flat_map(|name| self.logs_of(name)).collect()
            }
        }
    }

    fn logs_of_group(&self, group: &GroupName) -> Vec<LogId> {
        let Some(record) = self.durable.groups.get(group) else { return Vec::new() };
        let members = record.members.iter().chain(&record.manual).flat_map(|member| self.held(*member));
        let logs: BTreeSet<LogId> = record.offsets.keys().copied().chain(members).collect();
        logs.into_iter().collect()
    }
}

impl Durable {
    /// The logs of which a recovery has to know how far they reach: in which somebody stands, or may be put.
    pub fn logs_needed(&self) -> BTreeSet<LogId> {
        let committed = self.groups.values().flat_map(|group| group.offsets.keys());
        let held = self.consumers.values().flat_map(|consumer| consumer.held.keys().chain(&consumer.target));
        // Whoever subscribes to a topic may be given any of its partitions.
        let (mut subscribed, mut patterns) = (BTreeSet::new(), BTreeSet::new());
        for consumer in self.consumers.values() {
            match &consumer.subscription {
                Subscription::Topics(names) => subscribed.extend(names),
                Subscription::Pattern(pattern) => drop(patterns.insert(pattern)),
                Subscription::Manual => {}
            }
        }
        let matchers: Vec<_> = patterns.into_iter().filter_map(|pattern| pattern.compile().ok()).collect();
        let topics = self.topics.iter().filter(|(_, record)| {
            subscribed.contains(&record.name) || matchers.iter().any(|matcher| matcher.matches(&record.name))
        });
        let whole = topics.flat_map(|(id, record)| {
            let topic = *id;
            (0..record.partitions).map(move |partition| LogId { topic, partition })
        });
        committed.chain(held).copied().chain(whole).collect()
    }
}
