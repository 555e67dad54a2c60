//! What leaves the core, in order, and nothing before it may.
//!
//! ```text
//!   decide(fact) --> fresh ----------------> Command::Persist (one per step)
//!   reply(after: seq) --> seq persisted? --> Command::Reply
//!                            | not yet
//!                            v
//!                          held[seq] --- Event::Persisted(through >= seq) --> Command::Reply
//! ```
//!
//! A reply says after which fact it may go out; facts that it does not depend on never hold it back.

use alloc::{collections::BTreeMap, vec::Vec};
use core::mem;

use serde::{Deserialize, Serialize};

use crate::{
    command::{Command, Facts, StorageError},
    fact::Fact,
    ids::{FactSeq, RequestId, TopicId, TopicName},
    refusal::{Applied, Refusal},
    response::Response,
    topic_config::TopicConfig,
};

/// The commands of the step under way, and what waits for facts.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Outbox {
    /// The caller's buffer, lent for the duration of a step.
    #[serde(skip)]
    pub(crate) commands: Vec<Command>,
    fresh: Facts,
    /// What goes out behind the step's facts, so that its answer finds them decided and on their way.
    behind_facts: Vec<Command>,
    decided: FactSeq,
    persisted: FactSeq,
    #[serde(with = "pairs")]
    held: BTreeMap<(FactSeq, Held), Answer>,
}

/// What is held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Held {
    Reply(RequestId),
    Effect(TopicId),
}

#[derive(Clone, Debug, Serialize, Deserialize)]
enum Answer {
    Reply(Result<Response, Refusal>),
    Effect(Command),
}

impl Outbox {
    /// An outbox after a restart: all facts up to `persisted` are history.
    pub(crate) fn resume(persisted: FactSeq) -> Self {
        Self { decided: persisted, persisted, ..Self::default() }
    }

    pub(crate) fn decided(&self) -> FactSeq {
        self.decided
    }

    pub(crate) fn persisted(&self) -> FactSeq {
        self.persisted
    }

    pub(crate) fn decide(&mut self, fact: Fact) -> FactSeq {
        self.decided = self.decided.next();
        self.fresh.push(fact);
        self.decided
    }

    pub(crate) fn send(&mut self, command: Command) {
        self.commands.push(command);
    }

    /// Sends a command at the end of the step, behind its facts.
    pub(crate) fn send_behind_facts(&mut self, command: Command) {
        self.behind_facts.push(command);
    }

    /// Replies once the fact `after` is durable. True if the reply is held back until then.
    pub(crate) fn reply(&mut self, request: RequestId, after: FactSeq, response: Result<Response, Refusal>) -> bool {
        let hold = after > self.persisted;
        if hold {
            self.held.insert((after, Held::Reply(request)), Answer::Reply(response));
        } else {
            self.send(Command::Reply { request, response });
        }
        hold
    }

    /// Removes a topic's logs once the fact of its deletion, the last one decided, is durable.
    pub(crate) fn delete_logs(&mut self, topic: TopicId, name: TopicName, partitions: u32) {
        let command = Command::DeleteLogs { topic, name, partitions };
        self.held.insert((self.decided, Held::Effect(topic)), Answer::Effect(command));
    }

    /// Has a topic's logs kept in another way once the fact of that, the last one decided, is durable.
    pub(crate) fn configure_logs(&mut self, topic: TopicId, config: TopicConfig) {
        let command = Command::ConfigureLogs { topic, config };
        self.held.insert((self.decided, Held::Effect(topic)), Answer::Effect(command));
    }

    /// Takes back a reply that was held, and gives it.
    pub(crate) fn withdraw(&mut self, request: RequestId, after: FactSeq) -> Option<Result<Response, Refusal>> {
        match self.held.remove(&(after, Held::Reply(request)))? {
            Answer::Reply(response) => Some(response),
            Answer::Effect(_) => None,
        }
    }

    /// Facts up to `through` are durable: sends the next thing that this sets free. Gives what that was, and [`None`] once
    /// there is no more.
    pub(crate) fn release(&mut self, through: FactSeq) -> Option<Held> {
        self.persisted = self.persisted.max(through.min(self.decided));
        let entry = self.held.first_entry().filter(|entry| entry.key().0 <= self.persisted)?;
        let (_, held) = *entry.key();
        match (held, entry.remove()) {
            (Held::Effect(_), Answer::Effect(command)) => self.send(command),
            (Held::Reply(request), Answer::Reply(response)) => self.send(Command::Reply { request, response }),
            (Held::Effect(_), Answer::Reply(_)) | (Held::Reply(_), Answer::Effect(_)) => {}
        }
        Some(held)
    }

    /// Storage takes no facts: takes one reply that waits for some, if any does.
    pub(crate) fn next_held_reply(&self) -> Option<(FactSeq, RequestId)> {
        self.held.keys().find_map(|(after, held)| match held {
            Held::Reply(request) => Some((*after, *request)),
            Held::Effect(_) => None,
        })
    }

    /// Ends a step: what was decided in it goes out as one command.
    pub(crate) fn flush(&mut self) {
        if !self.fresh.is_empty() {
            let facts = mem::take(&mut self.fresh);
            let first = FactSeq(self.decided.0 - facts.len() as u64 + 1);
            self.send(Command::Persist { first, facts });
        }
        self.commands.append(&mut self.behind_facts);
    }

    pub(crate) fn held_replies(&self) -> impl Iterator<Item = (FactSeq, RequestId)> + '_ {
        self.held.keys().filter_map(|(after, held)| match held {
            Held::Reply(request) => Some((*after, *request)),
            Held::Effect(_) => None,
        })
    }
}

/// The refusal of a request whose facts may or may not outlive a restart.
pub(crate) fn undecided(error: StorageError) -> Refusal {
    Refusal::StorageUnavailable { error, applied: Applied::Unknown }
}

/// A map as a list of its entries, since JSON has no keys of several parts.
mod pairs {
    use serde::{Deserializer, Serializer};

    use super::{Answer, BTreeMap, Deserialize, FactSeq, Held, Vec};

    type Map = BTreeMap<(FactSeq, Held), Answer>;

    pub(super) fn serialize<S: Serializer>(map: &Map, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(map)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Map, D::Error> {
        Ok(Vec::deserialize(deserializer)?.into_iter().collect())
    }
}
