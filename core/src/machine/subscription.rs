//! What a consumer subscribes to, and how it changes its mind.

use alloc::{collections::BTreeSet, vec::Vec};

use super::Core;
use crate::{
    config::in_range,
    event::Topics,
    fact::{Fact, RebalanceReason, Subscription},
    ids::{ConsumerId, RequestId, TopicName},
    refusal::Refusal,
    time::DurationMs,
};

impl Core {
    /// What a member keeps of its partitions goes on where it stood; what was taken by hand is given up first.
    pub(super) fn change_subscription(
        &mut self,
        request: RequestId,
        consumer: ConsumerId,
        topics: Topics,
        allow_missing: bool,
    ) {
        let subscription = wanted(topics);
        let checked = self.must_know(consumer).and_then(|()| self.may_write());
        self.touch(consumer);
        if let Err(refusal) = checked
            .and_then(|()| self.may_want(&subscription))
            .and_then(|()| self.must_exist(&subscription, allow_missing))
        {
            return self.refuse(request, refusal);
        }
        let record = &self.durable.consumers[&consumer];
        if record.subscription == subscription {
            return self.tell_assignment(request, consumer);
        }
        let group = record.group.clone();
        if self.unlist_subscriber(consumer) {
            self.record(Fact::Resubscribed { consumer, subscription: subscription.clone() });
        } else {
            self.commit_delivered(consumer);
            self.take_all_partitions(consumer);
            self.record(Fact::SubscriptionChanged { consumer, subscription: subscription.clone() });
        }
        self.list_subscriber(consumer, &group, &subscription);
        self.rebalance(&group, RebalanceReason::Resubscribed(consumer));
        let (now, after) = (self.now, self.outbox.decided());
        if let Some(session) = self.sessions.get_mut(&consumer) {
            session.depends_on = after;
            session.poll_by.get_or_insert(now + DurationMs(session.options.max_poll_interval_ms));
        }
        self.touch(consumer);
        self.woken.insert(consumer);
        self.tell_assignment(request, consumer);
    }

    /// Refuses a subscription that can't be had.
    pub(super) fn may_want(&self, subscription: &Subscription) -> Result<(), Refusal> {
        match subscription {
            Subscription::Topics(topics) => {
                Self::not_empty("topics", topics.is_empty())?;
                in_range("topics", u32::try_from(topics.len()).unwrap_or(u32::MAX), 1, Topics::MAX_NAMED)
            }
            Subscription::Pattern(pattern) => self.may_match(pattern),
            Subscription::Manual => Ok(()),
        }
    }

    /// Refuses a subscription to a topic that is missing and may not be.
    pub(super) fn must_exist(&self, subscription: &Subscription, allow_missing: bool) -> Result<(), Refusal> {
        match subscription {
            Subscription::Topics(topics) if !allow_missing => {
                topics.iter().try_for_each(|topic| self.usable_topic(topic).map(|_| ()))
            }
            _ => Ok(()),
        }
    }
}

/// A subscription to topics, each name once, where it was named first.
pub(super) fn wanted(topics: Topics) -> Subscription {
    match topics {
        Topics::Named(names) => {
            let mut seen = BTreeSet::new();
            let names: Vec<TopicName> = names.into_iter().filter(|topic| seen.insert(topic.clone())).collect();
            Subscription::Topics(names)
        }
        Topics::Matching(pattern) => Subscription::Pattern(pattern),
    }
}
