//! Consumers come, take partitions by hand, fall silent and go.

use alloc::{collections::BTreeSet, vec::Vec};

use super::{Core, Open};
use crate::{
    config::{ConsumerOptions, in_range},
    fact::{Fact, RebalanceReason, Subscription},
    ids::{ConsumerId, GroupName, LogId, RequestId, TopicName},
    log::Waiter,
    planted::planted,
    refusal::{Bounded, LeaveReason, Refusal},
    response::Response,
    session::{News, Partitions, Session},
    time::DurationMs,
    timers::Timer,
};

/// Topics that one consumer may subscribe to, and partitions that it may take by hand.
const MAX_NAMED: u32 = 10_000;

impl Core {
    pub(super) fn subscribe(
        &mut self,
        request: RequestId,
        consumer: ConsumerId,
        group: &GroupName,
        topics: Vec<TopicName>,
        options: ConsumerOptions,
        allow_missing: bool,
    ) {
        let topics = without_repetition(topics);
        if self.is_repeated_subscribe(consumer, group, &topics, options) {
            return self.describe_consumer(request, consumer);
        }
        if let Err(refusal) = self.may_subscribe(consumer, group, &topics, options, allow_missing) {
            return self.refuse(request, refusal);
        }
        for topic in &topics {
            self.subscribers.entry(topic.clone()).or_default().insert((group.clone(), consumer));
        }
        let subscription = Subscription::Topics(topics);
        let after = self.record(Fact::ConsumerCreated { consumer, group: group.clone(), options, subscription });
        let mut session = Session::new(group.clone(), options, self.now);
        session.depends_on = after;
        self.sessions.insert(consumer, session);
        self.touch(consumer);
        self.rebalance(group, RebalanceReason::Joined(consumer));
        self.tell_assignment(request, consumer);
    }

    /// A client that chose its consumer's id may repeat the call.
    fn is_repeated_subscribe(
        &self,
        consumer: ConsumerId,
        group: &GroupName,
        topics: &[TopicName],
        options: ConsumerOptions,
    ) -> bool {
        let record = self.durable.consumers.get(&consumer);
        record.is_some_and(|record| {
            record.group == *group
                && record.options == options
                && matches!(&record.subscription, Subscription::Topics(has) if has == topics)
        })
    }

    fn may_subscribe(
        &self,
        consumer: ConsumerId,
        group: &GroupName,
        topics: &[TopicName],
        options: ConsumerOptions,
        allow_missing: bool,
    ) -> Result<(), Refusal> {
        if self.draining {
            return Err(Refusal::ShuttingDown);
        }
        self.may_write()?;
        options.check()?;
        Self::not_empty("topics", topics.is_empty())?;
        in_range("topics", u32::try_from(topics.len()).unwrap_or(u32::MAX), 1, MAX_NAMED)?;
        if !allow_missing {
            topics.iter().try_for_each(|topic| self.usable_topic(topic).map(|_| ()))?;
        }
        if self.sessions.contains_key(&consumer) {
            return Err(Refusal::ConsumerExists { consumer });
        }
        if self.sessions.len() >= self.config.max_consumers as usize && !planted!(self, ConsumersUnbounded) {
            return Err(Refusal::TooMany { what: Bounded::Consumers, limit: self.config.max_consumers });
        }
        if !self.durable.groups.contains_key(group) && self.durable.groups.len() >= self.config.max_groups as usize {
            return Err(Refusal::TooMany { what: Bounded::Groups, limit: self.config.max_groups });
        }
        Ok(())
    }

    /// Tells a consumer its assignment in answer to its own request: then it is no news to the next poll.
    fn tell_assignment(&mut self, request: RequestId, consumer: ConsumerId) {
        let generation = self.durable.consumers[&consumer].generation;
        let Some(session) = self.sessions.get_mut(&consumer) else { return };
        if session.poll.is_none() {
            session.news = News::default();
        }
        session.generation = generation;
        let after = session.depends_on;
        let description = self.consumer_description(consumer);
        self.reply_after(request, after, Response::Consumer(description));
    }

    pub(super) fn assign(&mut self, request: RequestId, consumer: ConsumerId, partitions: &[(TopicName, u32)]) {
        let logs = match self.may_assign(consumer, partitions) {
            Ok(logs) => logs,
            Err(refusal) => {
                self.touch(consumer);
                return self.refuse(request, refusal);
            }
        };
        self.touch(consumer);
        self.commit_delivered(consumer);
        let kept = self.take_all_partitions(consumer);
        let was_member = self.unsubscribe(consumer);
        self.record(Fact::SubscriptionChanged { consumer, subscription: Subscription::Manual });
        self.hold(consumer, &logs, &kept);
        if was_member {
            let group = self.sessions[&consumer].group.clone();
            self.rebalance(&group, RebalanceReason::Unsubscribed(consumer));
        }
        let after = self.outbox.decided();
        if let Some(session) = self.sessions.get_mut(&consumer) {
            session.depends_on = after;
        }
        self.woken.insert(consumer);
        self.tell_assignment(request, consumer);
    }

    fn may_assign(&self, consumer: ConsumerId, partitions: &[(TopicName, u32)]) -> Result<BTreeSet<LogId>, Refusal> {
        self.must_know(consumer)?;
        self.may_write()?;
        in_range("topics", u32::try_from(partitions.len()).unwrap_or(u32::MAX), 0, MAX_NAMED)?;
        partitions.iter().map(|(topic, partition)| self.find_log(topic, *partition)).collect()
    }

    pub(super) fn close(&mut self, request: RequestId, consumer: ConsumerId) {
        if let Err(refusal) = self.must_know(consumer).and_then(|()| self.may_write()) {
            return self.refuse(request, refusal);
        }
        let reason = LeaveReason::Closed;
        self.end_polls(consumer, reason);
        self.commit_delivered(consumer);
        self.end_consumer(consumer, reason);
        let after = self.outbox.decided();
        self.reply_after(request, after, Response::Closed { consumer });
    }

    /// Ends a session: its partitions are free at once.
    fn end_consumer(&mut self, consumer: ConsumerId, reason: LeaveReason) {
        self.end_polls(consumer, reason);
        self.take_all_partitions(consumer);
        let was_member = self.unsubscribe(consumer);
        let Some(session) = self.sessions.remove(&consumer) else { return };
        if let Some(at) = session.silence_timer {
            self.timers.unset(at, Timer::Session(consumer));
        }
        if let Some(at) = session.rebalance_timer {
            self.timers.unset(at, Timer::Rebalance(consumer));
        }
        self.record(Fact::ConsumerEnded { consumer, reason });
        if was_member {
            self.rebalance(&session.group, RebalanceReason::Left(consumer, reason));
        }
    }

    /// Ends the consumer's polls: the one under way, and one whose answer waits for a fact.
    fn end_polls(&mut self, consumer: ConsumerId, reason: LeaveReason) {
        let refusal = Refusal::ConsumerGone { consumer, reason };
        self.end_held_poll(consumer, refusal.clone());
        self.end_poll(consumer, refusal);
    }

    /// Takes a consumer off its topics' lists. Whether it was on them.
    fn unsubscribe(&mut self, consumer: ConsumerId) -> bool {
        let Some(record) = self.durable.consumers.get(&consumer) else { return false };
        let Subscription::Topics(topics) = &record.subscription else { return false };
        let entry = (record.group.clone(), consumer);
        for topic in topics {
            if let Some(subscribers) = self.subscribers.get_mut(topic) {
                subscribers.remove(&entry);
                if subscribers.is_empty() {
                    self.subscribers.remove(topic);
                }
            }
        }
        true
    }

    /// Takes all partitions from a consumer, and gives where it stood in each.
    fn take_all_partitions(&mut self, consumer: ConsumerId) -> Partitions {
        let Some(session) = self.sessions.get_mut(&consumer) else { return Partitions::new() };
        let partitions = core::mem::take(&mut session.partitions);
        session.ready.clear();
        session.unplaced.clear();
        session.uncommitted.clear();
        for id in partitions.keys() {
            if let Some(log) = self.logs.get_mut(id) {
                log.waiting.remove(&Waiter::Consumer(consumer));
                log.holders.remove(&consumer);
            }
            if let Some(group) = self.groups.get_mut(&session.group) {
                group.forget(*id, consumer);
            }
            if let Some(record) = self.durable.topics.get(&id.topic) {
                session.news.revoke(*id, record.name.clone());
            }
        }
        self.stop_rebalance_timer_if_done(consumer);
        partitions
    }

    /// The session was heard of. Its clock does not run while a poll is parked.
    pub(super) fn touch(&mut self, consumer: ConsumerId) {
        let Some(session) = self.sessions.get_mut(&consumer) else { return };
        session.expires_at = self.now + DurationMs(session.options.session_timeout_ms);
        if session.silence_timer.is_none() && session.poll.is_none() {
            session.silence_timer = Some(session.expires_at);
            self.timers.set(session.expires_at, Timer::Session(consumer));
        }
    }

    /// A session's timer rang: that means silence only if the session was not heard of since it was set.
    pub(super) fn session_due(&mut self, consumer: ConsumerId) {
        let Some(session) = self.sessions.get_mut(&consumer) else { return };
        session.silence_timer = None;
        if session.poll.is_some() || planted!(self, SilenceIgnored) {
            return;
        }
        if session.depends_on > self.outbox.persisted() {
            // It may be our own disk that it waits for.
            session.expires_at = self.now + DurationMs(session.options.session_timeout_ms);
        }
        if session.expires_at > self.now {
            session.silence_timer = Some(session.expires_at);
            self.timers.set(session.expires_at, Timer::Session(consumer));
        } else {
            self.end_consumer(consumer, LeaveReason::SessionTimeout);
        }
    }

    pub(super) fn rebalance_due(&mut self, consumer: ConsumerId) {
        let Some(session) = self.sessions.get_mut(&consumer) else { return };
        session.rebalance_timer = None;
        self.end_consumer(consumer, LeaveReason::RebalanceTimeout);
    }

    /// Refuses a consumer that is not, or is no longer, known.
    pub(super) fn must_know(&self, consumer: ConsumerId) -> Result<(), Refusal> {
        if self.sessions.contains_key(&consumer) {
            return Ok(());
        }
        let ended = self.durable.ended.iter().rev().find(|(id, _)| *id == consumer);
        Err(match ended {
            Some((_, reason)) => Refusal::ConsumerExpired { consumer, reason: *reason },
            None => Refusal::ConsumerNotFound { consumer },
        })
    }

    /// How many requests wait for records right now.
    pub fn parked_polls(&self) -> u32 {
        self.parked
    }

    /// How many topics there are, those still being created too.
    pub fn topics(&self) -> usize {
        self.topics.len()
    }

    /// How many consumers there are.
    pub fn consumers(&self) -> usize {
        self.sessions.len()
    }

    /// How many requests are owed a reply.
    pub fn open_requests(&self) -> usize {
        self.requests.len()
    }

    /// Whether a request waits for a fact to become durable; for tests that stop a core midway.
    pub fn waits_for_facts(&self, request: RequestId) -> bool {
        matches!(self.requests.get(&request), Some(Open::Held(_)))
    }
}

/// Each name once, where it was named first.
fn without_repetition(topics: Vec<TopicName>) -> Vec<TopicName> {
    let mut seen = BTreeSet::new();
    topics.into_iter().filter(|topic| seen.insert(topic.clone())).collect()
}
