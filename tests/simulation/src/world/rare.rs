//! Rare states: which of them the world is in, so that it can be said at the end that all were met.

use takhin_core::{
    Assignor, Command, ConsumerOptions, Event, Fact, FetchedPart, GroupName, LeaveReason, ReadError, Request,
    fact::{RebalanceReason, Subscription},
};

use super::{World, replies::Asked};
use crate::coverage::Rare;

/// What coverage wants to know of an event once the core has it.
pub(super) enum Seen {
    Commit,
    Trimmed,
    NoDate,
    Read,
    Other,
}

impl Seen {
    pub(super) fn of(event: &Event) -> Self {
        let is_trimmed = |part: &FetchedPart| matches!(part.error, Some(ReadError::Trimmed { .. }));
        match event {
            Event::Request { request: Request::Commit { .. }, .. } => Self::Commit,
            Event::Fetched { parts, .. } if parts.iter().any(is_trimmed) => Self::Trimmed,
            Event::LookedUp { result: Err(_), .. } => Self::NoDate,
            Event::Fetched { parts, .. } if parts.iter().any(|part| part.records > 0) => Self::Read,
            _ => Self::Other,
        }
    }
}

impl World {
    pub(super) fn cover(&mut self, state: Rare) {
        self.coverage.reached(state);
    }

    /// Rare states that can be seen from an event and what came of it.
    pub(super) fn cover_step(&mut self, event: &Seen, commands: &[Command]) {
        let facts = commands.iter().find_map(|command| match command {
            Command::Persist { facts, .. } => Some(facts),
            _ => None,
        });
        let is_silence = |fact: &Fact| matches!(fact, Fact::ConsumerEnded { reason: LeaveReason::SessionTimeout, .. });
        let expired = facts.into_iter().flatten().filter(|fact| is_silence(fact)).count();
        match event {
            Seen::Commit if expired > 0 => self.cover(Rare::CommitInStepOfExpiry),
            Seen::Trimmed => self.cover(Rare::PositionTrimmed),
            Seen::NoDate => self.cover(Rare::LookupFails),
            Seen::Read if matches!(commands, [Command::Discard { .. }]) => self.cover(Rare::PollWaitsForMore),
            _ if expired > 1 => self.cover(Rare::TimersFireLate),
            _ => {}
        }
        for fact in facts.into_iter().flatten() {
            self.cover_fact(fact);
        }
    }

    fn cover_fact(&mut self, fact: &Fact) {
        let parked = self.core.parked_polls() > 0;
        match fact {
            Fact::Rebalanced { targets, reason, .. } => {
                if let RebalanceReason::Unsubscribed(_) = reason {
                    self.cover(Rare::TakesByHandFromGroup);
                }
                let by_pattern = |me| {
                    let record = self.engine.durable.consumers.get(me);
                    record.is_some_and(|record| matches!(record.subscription, Subscription::Pattern(_)))
                };
                if matches!(reason, RebalanceReason::TopicsChanged(_)) && targets.keys().any(by_pattern) {
                    self.cover(Rare::PatternMeetsTopic);
                }
                let reads = |at: &usize| {
                    self.clients[*at].me.is_some_and(|me| targets.contains_key(&me)) && self.is_fetching(*at)
                };
                if (0..self.clients.len()).any(|at| reads(&at)) {
                    self.cover(Rare::RebalanceDuringFetch);
                }
            }
            Fact::TopicDeleted { .. } if parked => self.cover(Rare::TopicDeletedUnderParkedPoll),
            Fact::PartitionsAdded { .. } if parked => self.cover(Rare::TopicGrowsUnderParkedPoll),
            Fact::TopicCreated { name, .. } if self.created.contains(name) => self.cover(Rare::TopicComesAgain),
            Fact::TopicCreated { name, .. } => self.created.push(name.clone()),
            Fact::ConsumerEnded { reason: LeaveReason::RebalanceTimeout, .. } => self.cover(Rare::FencedForHoldingOn),
            Fact::ConsumerEnded { reason: LeaveReason::PollInterval, .. } => self.cover(Rare::RemovedForNotPolling),
            Fact::ConsumerCreated { options, group, .. } => self.cover_mixed(group, options),
            Fact::TakenOver { from, consumer, .. } if from == consumer => self.cover(Rare::ComesBackToItsPlace),
            Fact::TakenOver { from, .. } if self.clients.iter().any(|client| client.me == Some(*from)) => {
                self.cover(Rare::TakesPlaceOfTheLiving);
            }
            Fact::GroupDeleted { .. } if !self.open.iter().any(Asked::is_from_outside) => {
                self.cover(Rare::GroupExpires);
            }
            _ => {}
        }
    }

    fn cover_mixed(&mut self, group: &GroupName, options: &ConsumerOptions) {
        let mut others = self.engine.durable.consumers.values().filter(|record| record.group == *group);
        if options.assignor == Assignor::Range && others.any(|other| other.options.assignor == Assignor::Uniform) {
            self.cover(Rare::MixedAssignors);
        }
    }
}
