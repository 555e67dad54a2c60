//! What the auditor knows of single consumers: what each wants and has, what it was told, and when it was heard of.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use takhin_core::{
    ConsumerId, ConsumerOptions, Generation, GroupName, LeaveReason, LogId, RequestId, Timestamp, TopicPattern,
    fact::Subscription, pattern::Matcher,
};

use super::Auditor;
use crate::oracle::{Violation, must};

/// A consumer.
#[derive(Clone, Debug)]
pub(super) struct Member {
    pub(super) group: GroupName,
    pub(super) subscription: Subscription,
    /// What its pattern matches, if it subscribes with one.
    pub(super) matcher: Option<Arc<Matcher>>,
    pub(super) options: ConsumerOptions,
    pub(super) held: BTreeSet<LogId>,
    /// What it shall have.
    pub(super) target: BTreeSet<LogId>,
    pub(super) paused: BTreeSet<LogId>,
    /// Whether it said goodbye, and its place is kept.
    pub(super) away: bool,
    /// The generation that its polls were told last; [`None`] if what it was told may be void.
    pub(super) told: Option<Generation>,
    pub(super) heard_at: Timestamp,
    pub(super) polled_at: Timestamp,
    /// When it is looked at for silence.
    pub(super) watched_at: Timestamp,
    /// What it lost since something was last read for it: an answer made before that may still come.
    pub(super) lost: BTreeSet<LogId>,
    pub(super) poll: Option<RequestId>,
    /// Whether it was granted something that it was not told of.
    pub(super) is_owed_news: bool,
}

impl Member {
    /// One that wants nothing yet.
    pub(super) fn new(group: GroupName, options: ConsumerOptions, now: Timestamp) -> Self {
        Self {
            group,
            subscription: Subscription::Manual,
            matcher: None,
            options,
            held: BTreeSet::new(),
            target: BTreeSet::new(),
            paused: BTreeSet::new(),
            away: false,
            told: None,
            heard_at: now,
            polled_at: now,
            watched_at: now,
            lost: BTreeSet::new(),
            poll: None,
            is_owed_news: false,
        }
    }

    pub(super) fn is_manual(&self) -> bool {
        self.subscription == Subscription::Manual
    }

    pub(super) fn subscribe(&mut self, subscription: &Subscription, matchers: &mut Matchers) {
        self.matcher = match subscription {
            Subscription::Pattern(pattern) => matchers.of(pattern),
            Subscription::Topics(_) | Subscription::Manual => None,
        };
        self.subscription = subscription.clone();
    }
}

/// Patterns that are compiled: who subscribes with one is seldom the only one.
#[derive(Clone, Debug, Default)]
pub(super) struct Matchers(BTreeMap<TopicPattern, Option<Arc<Matcher>>>);

impl Matchers {
    /// Patterns that are remembered at most.
    const MAX: usize = 64;

    /// What a pattern matches; [`None`] if it can't be used.
    fn of(&mut self, pattern: &TopicPattern) -> Option<Arc<Matcher>> {
        if let Some(known) = self.0.get(pattern) {
            return known.clone();
        }
        if self.0.len() >= Self::MAX {
            self.0.clear();
        }
        let matcher = pattern.compile().ok().map(Arc::new);
        self.0.insert(pattern.clone(), matcher.clone());
        matcher
    }
}

impl Auditor {
    pub(super) fn must_own(&self, consumer: ConsumerId, log: LogId) -> Result<(), Violation> {
        let Some(member) = self.members.get(&consumer) else { return Ok(()) };
        let owns = member.held.contains(&log) || member.lost.contains(&log) || !self.topics.contains(log.topic);
        must!(owns, OneOwner, "{consumer} is delivered {log}, which it does not hold");
        Ok(())
    }

    /// Nothing is read or delivered for a consumer that it wants nothing of.
    pub(super) fn must_not_be_paused(&self, consumer: ConsumerId, log: LogId) -> Result<(), Violation> {
        let paused = self.members.get(&consumer).is_some_and(|member| member.paused.contains(&log));
        must!(!paused, PauseKept, "{log} is read for {consumer}, which paused it");
        Ok(())
    }

    /// A poll's answer says in which generation its consumer is.
    pub(super) fn told(&mut self, consumer: ConsumerId, generation: Generation, news: bool) -> Result<(), Violation> {
        let Some(member) = self.members.get_mut(&consumer) else { return Ok(()) };
        member.is_owed_news &= !news;
        let before = member.told.replace(generation).unwrap_or_default();
        must!(generation >= before, GenerationsGrow, "{consumer} is told {generation:?} after {before:?}");
        if let Some(group) = self.groups.get_mut(&member.group) {
            group.told = group.told.max(generation);
        }
        Ok(())
    }

    pub(super) fn must_be_told(&self, consumer: ConsumerId, request: RequestId) -> Result<(), Violation> {
        let sleeps = self.members.get(&consumer).is_some_and(|m| m.is_owed_news && m.poll == Some(request));
        must!(!sleeps, AssignmentTold, "{request:?} of {consumer} sleeps, and what it was granted is not told");
        Ok(())
    }

    /// The answer tells what there is, unless a poll is there to do so: one whose answer is not made yet. As long as
    /// facts are on their way that can't be known.
    pub(super) fn asks_for_news(&mut self, consumer: ConsumerId) {
        let is_known = self.decided == self.persisted;
        if let Some(member) = self.members.get_mut(&consumer) {
            member.is_owed_news &= is_known && member.poll.is_some();
        }
    }

    pub(super) fn polls(&mut self, consumer: ConsumerId, request: RequestId) {
        if let Some(member) = self.members.get_mut(&consumer) {
            member.poll = Some(request);
            member.lost.clear();
        }
    }

    /// Something was read for a consumer: whoever lost a partition before that must not be delivered it.
    pub(super) fn reads_anew(&mut self, consumer: ConsumerId) {
        if let Some(member) = self.members.get_mut(&consumer) {
            member.lost.clear();
        }
    }

    pub(super) fn polls_no_more(&mut self, consumer: ConsumerId, request: RequestId) {
        if let Some(member) = self.members.get_mut(&consumer)
            && member.poll == Some(request)
        {
            member.poll = None;
            member.polled_at = self.now;
        }
    }

    pub(super) fn heard(&mut self, consumer: ConsumerId) {
        if let Some(member) = self.members.get_mut(&consumer) {
            member.heard_at = self.now;
        }
    }

    /// What was told may not have arrived.
    pub(super) fn may_not_have_heard(&mut self, consumer: ConsumerId) {
        if let Some(member) = self.members.get_mut(&consumer) {
            member.told = None;
        }
    }

    /// A static member that says goodbye is awaited.
    pub(super) fn must_keep_place(&self, consumer: ConsumerId, reason: LeaveReason) -> Result<(), Violation> {
        let Some(member) = self.members.get(&consumer) else { return Ok(()) };
        let is_static = member.options.instance_id.is_some() && !member.is_manual();
        let lost = is_static && reason == LeaveReason::Closed;
        must!(!lost, SharesFair, "{consumer} said goodbye, and its place is not kept for it");
        Ok(())
    }
}
