//! What a consumer can reach: whose it is, and what it may be told of. Asked before a request for it is let in, so it
//! changes nothing and renews nothing.

use super::Core;
use crate::{
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
}
