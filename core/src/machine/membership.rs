//! Consumers come, take partitions by hand, fall silent and go.

use alloc::collections::BTreeSet;

use super::{Core, Open, subscription::wanted};
use crate::{
    config::{Config, ConsumerOptions, in_range},
    event::Topics,
    fact::{Fact, RebalanceReason, Subscription},
    ids::{ConsumerId, GroupName, LogId, RequestId, TopicName},
    log::Waiter,
    planted::planted,
    refusal::{Bounded, LeaveReason, Refusal},
    response::Response,
    session::{Partitions, Session},
    time::DurationMs,
    timers::Timer,
};

impl Core {
    pub(super) fn subscribe(
        &mut self,
        request: RequestId,
        consumer: ConsumerId,
        group: &GroupName,
        topics: Topics,
        options: ConsumerOptions,
        allow_missing: bool,
    ) {
        let subscription = wanted(topics);
        if self.is_repeated_subscribe(consumer, group, &subscription, &options) {
            return self.describe_consumer(request, consumer);
        }
        if let Err(refusal) = self.may_subscribe(consumer, group, &subscription, &options, allow_missing) {
            return self.refuse(request, refusal);
        }
        if let Some(former) = self.former_instance(group, &options) {
            self.take_over(former, consumer, group, options, subscription);
            return self.tell_assignment(request, consumer);
        }
        let instance = options.instance_id.clone();
        self.forget_expiry(group);
        self.begin_session(consumer, group, &options, &subscription);
        let after = self.record(Fact::ConsumerCreated { consumer, group: group.clone(), options, subscription });
        if let Some(session) = self.sessions.get_mut(&consumer) {
            session.depends_on = after;
        }
        self.rebalance(group, RebalanceReason::Joined(consumer));
        self.take_place(group, instance, consumer);
        self.tell_assignment(request, consumer);
    }

    /// A session that was just heard of for the first time.
    pub(super) fn begin_session(
        &mut self,
        consumer: ConsumerId,
        group: &GroupName,
        options: &ConsumerOptions,
        subscription: &Subscription,
    ) {
        self.list_subscriber(consumer, group, subscription);
        let mut session = Session::new(group.clone(), options.clone(), self.now);
        session.receipts.begin_behind(self.former.take(consumer));
        self.sessions.insert(consumer, session);
        self.touch(consumer);
    }

    /// A client that chose its consumer's id may repeat the call.
    fn is_repeated_subscribe(
        &self,
        consumer: ConsumerId,
        group: &GroupName,
        subscription: &Subscription,
        options: &ConsumerOptions,
    ) -> bool {
        let record = self.durable.consumers.get(&consumer).filter(|_| !planted!(self, RepeatedSubscribeRefused));
        record.is_some_and(|record| {
            record.group == *group && !record.away && record.options == *options && record.subscription == *subscription
        })
    }

    fn may_subscribe(
        &self,
        consumer: ConsumerId,
        group: &GroupName,
        subscription: &Subscription,
        options: &ConsumerOptions,
        allow_missing: bool,
    ) -> Result<(), Refusal> {
        if self.draining {
            return Err(Refusal::ShuttingDown);
        }
        self.may_write()?;
        options.check()?;
        let Config { min_session_timeout, max_session_timeout, .. } = self.config;
        in_range("session_timeout_ms", options.session_timeout_ms, min_session_timeout.0, max_session_timeout.0)?;
        self.may_want(subscription)?;
        if self.sessions.contains_key(&consumer) && !self.is_coming_back(consumer, group, options) {
            return Err(Refusal::ConsumerExists { consumer });
        }
        if let Some(reason) = self.ended(consumer) {
            return Err(Refusal::ConsumerEnded { consumer, reason });
        }
        if self.sessions.len() >= self.config.max_consumers as usize && !planted!(self, ConsumersUnbounded) {
            return Err(Refusal::TooMany { what: Bounded::Consumers, limit: self.config.max_consumers });
        }
        if !self.durable.groups.contains_key(group) && self.durable.groups.len() >= self.config.max_groups as usize {
            return Err(Refusal::TooMany { what: Bounded::Groups, limit: self.config.max_groups });
        }
        // Last, so that who makes the topics that are missing makes none for a subscription that is refused anyway.
        self.must_exist(subscription, allow_missing)
    }

    /// Tells a consumer its assignment in answer to its own request: then it is no news to the next poll, except for
    /// what it is giving up, which takes a poll to be let go of.
    pub(super) fn tell_assignment(&mut self, request: RequestId, consumer: ConsumerId) {
        let generation = self.durable.consumers[&consumer].generation;
        let Some(session) = self.sessions.get_mut(&consumer) else { return };
        session.generation = generation;
        let after = session.depends_on;
        if session.poll.is_none() {
            let (record, partitions) = (&self.durable.consumers[&consumer], &session.partitions);
            // What it has lost to others is told by its next poll as well: this answer may not arrive, and who does not
            // know of a loss goes on to commit what others have gone beyond.
            let to_others = record.subscription != Subscription::Manual;
            session.news.revoked.retain(|log, _| partitions.get(log).map_or(to_others, |partition| partition.revoking));
            session.news.assigned.clear();
            session.news.perhaps_told.clear();
            let lost = record.lost.keys().filter(|log| !session.news.revoked.contains_key(log));
            let told = record.untold.iter().chain(lost).copied().collect();
            self.note_told(consumer, told);
        }
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
        let was_member = self.unlist_subscriber(consumer);
        self.record(Fact::SubscriptionChanged { consumer, subscription: Subscription::Manual });
        self.hold(consumer, &logs, &kept);
        let paused = kept.iter().filter(|(log, partition)| partition.paused && logs.contains(log));
        self.turn_paused(consumer, paused.map(|(log, _)| *log).collect(), true);
        if was_member {
            let group = self.sessions[&consumer].group.clone();
            self.rebalance(&group, RebalanceReason::Unsubscribed(consumer));
        }
        let after = self.outbox.decided();
        if let Some(session) = self.sessions.get_mut(&consumer) {
            session.depends_on = after;
            session.poll_by = None;
        }
        self.woken.insert(consumer);
        self.tell_assignment(request, consumer);
    }

    fn may_assign(&self, consumer: ConsumerId, partitions: &[(TopicName, u32)]) -> Result<BTreeSet<LogId>, Refusal> {
        self.must_know(consumer)?;
        self.may_write()?;
        in_range("topics", u32::try_from(partitions.len()).unwrap_or(u32::MAX), 0, Topics::MAX_NAMED)?;
        partitions.iter().map(|(topic, partition)| self.find_log(topic, *partition)).collect()
    }

    pub(super) fn close(&mut self, request: RequestId, consumer: ConsumerId) {
        if let Err(refusal) = self.must_know(consumer).and_then(|()| self.may_write()) {
            return self.refuse(request, refusal);
        }
        let reason = LeaveReason::Closed;
        self.end_polls(consumer, reason);
        self.commit_delivered(consumer);
        if self.is_static_member(consumer) && !planted!(self, PlaceNotKept) {
            self.go_away(consumer);
        } else {
            self.end_consumer(consumer, reason);
        }
        let after = self.outbox.decided();
        self.reply_after(request, after, Response::Closed { consumer });
    }

    /// Ends a session: its partitions are free at once.
    fn end_consumer(&mut self, consumer: ConsumerId, reason: LeaveReason) {
        self.end_polls(consumer, reason);
        let Some((session, _, was_member)) = self.end_session(consumer) else { return };
        self.record(Fact::ConsumerEnded { consumer, reason });
        if was_member {
            self.rebalance(&session.group, RebalanceReason::Left(consumer, reason));
        }
        self.note_empty(&session.group);
    }

    /// Lets go of all that a session has. Gives it, where it stood in its partitions, and whether it was a member.
    pub(super) fn end_session(&mut self, consumer: ConsumerId) -> Option<(Session, Partitions, bool)> {
        let stood = self.take_all_partitions(consumer);
        let was_member = self.unlist_subscriber(consumer);
        let session = self.sessions.remove(&consumer)?;
        self.former.note(consumer, session.receipts.highest(), self.config.max_ended_remembered);
        if let Some(at) = session.silence_timer {
            self.timers.unset(at, Timer::Session(consumer));
        }
        if let Some(at) = session.rebalance_timer {
            self.timers.unset(at, Timer::Rebalance(consumer));
        }
        self.leave_place(&session.group, session.options.instance_id.as_ref(), consumer);
        Some((session, stood, was_member))
    }

    /// Ends the consumer's polls: the one under way, and one whose answer waits for a fact.
    pub(super) fn end_polls(&mut self, consumer: ConsumerId, reason: LeaveReason) {
        let refusal = Refusal::ConsumerGone { consumer, reason };
        self.end_held_poll(consumer, refusal.clone());
        self.end_poll(consumer, refusal);
    }

    /// Takes all partitions from a consumer, and gives where it stood in each.
    pub(super) fn take_all_partitions(&mut self, consumer: ConsumerId) -> Partitions {
        let Some(session) = self.sessions.get_mut(&consumer) else { return Partitions::new() };
        let partitions = core::mem::take(&mut session.partitions);
        session.ready.clear();
        session.unplaced.clear();
        session.uncommitted.clear();
        session.outdated.clear();
        session.delivered.clear();
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
        if session.poll.is_some() {
            return;
        }
        let ends_at = session.ends_at();
        if session.silence_timer.is_none_or(|at| at > ends_at) {
            let earlier = session.silence_timer.replace(ends_at);
            if let Some(at) = earlier {
                self.timers.unset(at, Timer::Session(consumer));
            }
            self.timers.set(ends_at, Timer::Session(consumer));
        }
    }

    /// A session's timer rang: that ends it only if it was not heard of since the timer was set, or, if it is a
    /// member's, did not poll since.
    pub(super) fn session_due(&mut self, consumer: ConsumerId) {
        let Some(session) = self.sessions.get_mut(&consumer) else { return };
        session.silence_timer = None;
        if session.poll.is_some() || planted!(self, SilenceIgnored) {
            return;
        }
        if session.depends_on > self.outbox.persisted() {
            // It may be our own disk that it waits for.
            session.expires_at = self.now + DurationMs(session.options.session_timeout_ms);
            session.polled(self.now);
        }
        let ends_at = if planted!(self, PollIntervalIgnored) { session.expires_at } else { session.ends_at() };
        if ends_at > self.now {
            session.silence_timer = Some(ends_at);
            self.timers.set(ends_at, Timer::Session(consumer));
        } else if session.expires_at <= self.now {
            self.end_consumer(consumer, LeaveReason::SessionTimeout);
        } else {
            self.end_consumer(consumer, LeaveReason::PollInterval);
        }
    }

    pub(super) fn rebalance_due(&mut self, consumer: ConsumerId) {
        let Some(session) = self.sessions.get_mut(&consumer) else { return };
        session.rebalance_timer = None;
        self.end_consumer(consumer, LeaveReason::RebalanceTimeout);
    }

    /// Refuses a consumer that is not, or is no longer, known.
    pub(super) fn must_know(&self, consumer: ConsumerId) -> Result<(), Refusal> {
        if self.sessions.get(&consumer).is_some_and(|session| !session.away) {
            return Ok(());
        }
        Err(match self.ended(consumer) {
            Some(reason) => Refusal::ConsumerExpired { consumer, reason },
            None => Refusal::ConsumerNotFound { consumer },
        })
    }

    /// Why a consumer was removed, as long as that is remembered.
    fn ended(&self, consumer: ConsumerId) -> Option<LeaveReason> {
        let ended = self.durable.ended.iter().rev().find(|(id, _)| *id == consumer);
        ended.map(|(_, reason)| *reason)
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
