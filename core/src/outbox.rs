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

use crate::{
    command::{Command, StorageError},
    fact::Fact,
    ids::{FactSeq, RequestId, TopicId, TopicName},
    refusal::{Applied, Refusal},
    response::Response,
};

/// The commands of the step under way, and what waits for facts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outbox {
    /// The caller's buffer, lent for the duration of a step.
    pub(crate) commands: Vec<Command>,
    fresh: Vec<Fact>,
    /// What goes out behind the step's facts, so that its answer finds them decided and on their way.
    behind_facts: Vec<Command>,
    decided: FactSeq,
    persisted: FactSeq,
    held: BTreeMap<(FactSeq, Held), Answer>,
}

/// What is held back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Held {
    Reply(RequestId),
    Deletion(TopicId),
}

#[derive(Clone, Debug)]
enum Answer {
    Reply(Result<Response, Refusal>),
    DeleteLogs { name: TopicName, partitions: u32 },
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
        self.held.insert((self.decided, Held::Deletion(topic)), Answer::DeleteLogs { name, partitions });
    }

    /// Takes back a reply that was held, and gives it.
    pub(crate) fn withdraw(&mut self, request: RequestId, after: FactSeq) -> Option<Result<Response, Refusal>> {
        match self.held.remove(&(after, Held::Reply(request)))? {
            Answer::Reply(response) => Some(response),
            Answer::DeleteLogs { .. } => None,
        }
    }

    /// Sends everything that facts up to `through` being durable sets free, and gives the requests answered.
    pub(crate) fn release(&mut self, through: FactSeq) -> Vec<RequestId> {
        self.persisted = self.persisted.max(through.min(self.decided));
        let mut answered = Vec::new();
        while let Some(entry) = self.held.first_entry() {
            let (after, held) = *entry.key();
            if after > self.persisted {
                break;
            }
            match (held, entry.remove()) {
                (Held::Deletion(topic), Answer::DeleteLogs { name, partitions }) => {
                    self.send(Command::DeleteLogs { topic, name, partitions });
                }
                (Held::Reply(request), Answer::Reply(response)) => {
                    self.send(Command::Reply { request, response });
                    answered.push(request);
                }
                (Held::Deletion(_), Answer::Reply(_)) | (Held::Reply(_), Answer::DeleteLogs { .. }) => {}
            }
        }
        answered
    }

    /// Storage takes no facts: takes one reply that waits for some, if any does.
    pub(crate) fn next_held_reply(&self) -> Option<(FactSeq, RequestId)> {
        self.held.keys().find_map(|(after, held)| match held {
            Held::Reply(request) => Some((*after, *request)),
            Held::Deletion(_) => None,
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
            Held::Deletion(_) => None,
        })
    }
}

/// The refusal of a request whose facts may or may not outlive a restart.
pub(crate) fn undecided(error: StorageError) -> Refusal {
    Refusal::StorageUnavailable { error, applied: Applied::Unknown }
}
