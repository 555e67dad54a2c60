//! Whether a group's partitions are shared out fairly, and whether silent members lose theirs.

use takhin_core::{
    Assignor, ConsumerId, DurationMs, GroupName, Timestamp, TopicName,
    fact::{RebalanceReason, Subscription},
};

use super::{Auditor, groups::Group, members::Member};
use crate::oracle::{Violation, must};

/// Groups with more members are not looked at: it takes time in proportion to all of them at each rebalance.
const MAX_MEMBERS: usize = 1_000;

impl Auditor {
    /// Judges what a group has decided. Who came back to its own place is no reason to decide anything.
    pub(super) fn must_be_fair(&self, name: &GroupName, reason: &RebalanceReason) -> Result<(), Violation> {
        if let RebalanceReason::Joined(consumer) = reason {
            let back = self.came_back == Some(*consumer);
            must!(!back, SharesFair, "{name} is rebalanced because {consumer} came back");
        }
        let Some(group) = self.groups.get(name).filter(|group| group.consumers.len() <= MAX_MEMBERS) else {
            return Ok(());
        };
        let members = || group.consumers.iter().filter_map(|consumer| Some((consumer, self.members.get(consumer)?)));
        for (consumer, member) in members() {
            for log in &member.target {
                let Some(topic) = self.topics.name(log.topic) else { continue };
                must!(member.wants(topic), SharesFair, "{log} is meant for {consumer}, which does not want {topic}");
            }
        }
        self.must_be_even(name, group)
    }

    /// Members with one subscription have as many partitions as each other, or one more.
    fn must_be_even(&self, name: &GroupName, group: &Group) -> Result<(), Violation> {
        let members: Vec<&Member> = group.consumers.iter().filter_map(|one| self.members.get(one)).collect();
        let members: Vec<&Member> = members.into_iter().filter(|member| !member.is_manual()).collect();
        let range = members.iter().filter(|member| member.options.assignor == Assignor::Range).count();
        if range * 2 > members.len() {
            return Ok(());
        }
        let mut kinds: Vec<(&Subscription, usize, usize)> = Vec::new();
        for member in members {
            let share = member.target.len();
            match kinds.iter_mut().find(|(subscription, ..)| **subscription == member.subscription) {
                Some((_, least, most)) => (*least, *most) = (share.min(*least), share.max(*most)),
                None => kinds.push((&member.subscription, share, share)),
            }
        }
        for (subscription, least, most) in kinds {
            let even = most - least <= 1;
            must!(even, SharesFair, "{name}: shares of {least} and of {most} partitions, of {subscription:?}");
        }
        Ok(())
    }

    /// Sees to it that a consumer is looked at when it should be gone unless it is heard of.
    pub(super) fn watch(&mut self, consumer: ConsumerId) {
        let Some(member) = self.members.get_mut(&consumer) else { return };
        member.watched_at = member.ends_at(self.now, self.waited_at);
        self.silence.insert((member.watched_at, consumer));
    }

    pub(super) fn must_not_be_silent(&mut self) -> Result<(), Violation> {
        while let Some((at, consumer)) = self.silence.first().copied().filter(|(at, _)| *at <= self.now) {
            self.silence.remove(&(at, consumer));
            let Some(member) = self.members.get(&consumer) else { continue };
            let (heard, polled) = (member.heard_at, member.polled_at);
            let until = member.ends_at(self.now, self.waited_at);
            must!(
                until > self.now,
                AssignmentTold,
                "{consumer} is silent since {heard:?}, did not poll since {polled:?}, and still is a consumer"
            );
            self.watch(consumer);
        }
        Ok(())
    }
}

impl Member {
    /// When it should be gone, unless it is heard of. It may have waited for our own disk until `waited_at`.
    fn ends_at(&self, now: Timestamp, waited_at: Timestamp) -> Timestamp {
        if self.poll.is_some() {
            return now + DurationMs(self.options.session_timeout_ms.min(self.options.max_poll_interval_ms));
        }
        let expires = self.heard_at.max(waited_at) + DurationMs(self.options.session_timeout_ms);
        if self.is_manual() || self.away {
            return expires;
        }
        expires.min(self.polled_at.max(waited_at) + DurationMs(self.options.max_poll_interval_ms))
    }

    fn wants(&self, topic: &TopicName) -> bool {
        match &self.subscription {
            Subscription::Topics(topics) => topics.contains(topic),
            Subscription::Pattern(_) => self.matcher.as_ref().is_some_and(|matcher| matcher.matches(topic)),
            Subscription::Manual => false,
        }
    }
}
