//! Subscriptions by pattern: which topics each pattern matches now, kept as topics come and go.
//!
//! A pattern is compiled once however many consumers use it, and matched against a name once when a topic of that name
//! comes or goes. Whoever asks what it matches looks it up.

use alloc::{collections::BTreeSet, vec::Vec};

use serde::{Deserialize, Serialize};

use super::Core;
use crate::{
    fact::Subscription,
    ids::{ConsumerId, GroupName, TopicName},
    pattern::{Matcher, TopicPattern},
    planted::planted,
    refusal::{Bounded, Refusal},
};

/// A pattern that somebody subscribes with.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Pattern {
    /// [`None`] if it can no longer be compiled; then it matches nothing.
    matcher: Option<Matcher>,
    /// The usable topics that match.
    pub(super) topics: BTreeSet<TopicName>,
    pub(super) subscribers: BTreeSet<(GroupName, ConsumerId)>,
}

impl Core {
    /// Refuses a pattern that can't be used.
    pub(super) fn may_match(&self, pattern: &TopicPattern) -> Result<(), Refusal> {
        if self.patterns.contains_key(pattern) {
            return Ok(());
        }
        let limit = self.config.max_patterns;
        if self.patterns.len() >= limit as usize {
            return Err(Refusal::TooMany { what: Bounded::Patterns, limit });
        }
        let invalid = |problem| Refusal::InvalidPattern { pattern: pattern.clone(), problem };
        pattern.compile().map(|_| ()).map_err(invalid)
    }

    /// Puts a consumer on the lists of those who want to hear of topics.
    pub(super) fn list_subscriber(&mut self, consumer: ConsumerId, group: &GroupName, subscription: &Subscription) {
        let entry = (group.clone(), consumer);
        match subscription {
            Subscription::Topics(topics) => {
                for topic in topics {
                    self.subscribers.entry(topic.clone()).or_default().insert(entry.clone());
                }
            }
            Subscription::Pattern(pattern) => {
                if !self.patterns.contains_key(pattern) {
                    let matching = self.matching(pattern);
                    self.patterns.insert(pattern.clone(), matching);
                }
                if let Some(pattern) = self.patterns.get_mut(pattern) {
                    pattern.subscribers.insert(entry);
                }
            }
            Subscription::Manual => {}
        }
    }

    /// Takes a consumer off those lists. Whether it was a member, which is on some.
    pub(super) fn unlist_subscriber(&mut self, consumer: ConsumerId) -> bool {
        let Some(record) = self.durable.consumers.get(&consumer) else { return false };
        let entry = (record.group.clone(), consumer);
        match &record.subscription {
            Subscription::Topics(topics) => {
                for topic in topics {
                    if let Some(subscribers) = self.subscribers.get_mut(topic) {
                        subscribers.remove(&entry);
                        if subscribers.is_empty() {
                            self.subscribers.remove(topic);
                        }
                    }
                }
            }
            Subscription::Pattern(pattern) => {
                if let Some(found) = self.patterns.get_mut(pattern) {
                    found.subscribers.remove(&entry);
                    if found.subscribers.is_empty() {
                        self.patterns.remove(pattern);
                    }
                }
            }
            Subscription::Manual => return false,
        }
        true
    }

    fn matching(&self, pattern: &TopicPattern) -> Pattern {
        let matcher = pattern.compile().ok();
        let usable = self.topics.iter().filter(|(_, topic)| topic.usable > 0).map(|(name, _)| name);
        let is_wanted = |name: &&TopicName| matcher.as_ref().is_some_and(|matcher| matcher.matches(name));
        let topics = usable.filter(is_wanted).cloned().collect();
        Pattern { matcher, topics, subscribers: BTreeSet::new() }
    }

    /// A topic came, grew or went: gives every group that subscribes to it, by name or by pattern.
    pub(super) fn groups_subscribing(&mut self, name: &TopicName) -> BTreeSet<GroupName> {
        let by_name = self.subscribers.get(name).into_iter().flatten().map(|(group, _)| group.clone());
        let mut groups: BTreeSet<GroupName> = by_name.collect();
        let usable = self.usable_topic(name).is_ok();
        for pattern in self.patterns.values_mut() {
            if !pattern.matcher.as_ref().is_some_and(|matcher| matcher.matches(name)) {
                continue;
            }
            if usable && planted!(self, PatternKeepsItsTopics) {
                continue;
            }
            if usable {
                pattern.topics.insert(name.clone());
            } else {
                pattern.topics.remove(name);
            }
            groups.extend(pattern.subscribers.iter().map(|(group, _)| group.clone()));
        }
        groups
    }

    /// The topics that a subscription names, or that match it now.
    pub(super) fn topics_of(&self, subscription: &Subscription) -> Vec<TopicName> {
        match subscription {
            Subscription::Topics(topics) => topics.clone(),
            Subscription::Pattern(pattern) => {
                self.patterns.get(pattern).into_iter().flat_map(|pattern| pattern.topics.iter().cloned()).collect()
            }
            Subscription::Manual => Vec::new(),
        }
    }
}
