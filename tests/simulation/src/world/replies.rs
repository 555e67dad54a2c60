//! Answers: whether they reach who asked, and what those make of them.

use takhin_core::{
    AppendId, BatchId, ConsumerId, Event, LogId, Offset, Parts, ProduceBatch, Refusal, RequestId, Response,
    StorageError, TopicId, TopicName,
    refusal::{Applied, Bounded},
    response::{CommittedPartition, Consumed, ConsumerDescription, GroupState, ProducedBatch},
};

use super::{World, members::Targets, producers::Claim};
use crate::{
    coverage::Rare,
    history::Ticket,
    model::{NOTHING, what_is_committed},
    operation::Operation,
    options::GroupKind,
    oracle::{Violation, must},
};

/// A request that is owed an answer.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) id: RequestId,
    pub(super) client: Option<usize>,
    pub(super) consumer: Option<ConsumerId>,
    pub(super) ask: Ask,
    /// The step in which it was asked.
    pub(super) step: u64,
}

/// What was asked, as far as it matters to what the answer means.
#[derive(Debug)]
pub(super) enum Ask {
    Produce {
        topic: Option<TopicId>,
        batches: Parts<ProduceBatch>,
        tickets: Vec<(LogId, Ticket)>,
        claim: Claim,
    },
    Read {
        log: Option<(LogId, Ticket)>,
    },
    Subscribe,
    SubscribeAgain,
    Poll,
    Commit {
        tickets: Vec<(LogId, Ticket)>,
    },
    Committed {
        tickets: Vec<(LogId, TopicName, Ticket)>,
    },
    Close,
    Groups,
    /// What there is of topics, with how far each log reached when it was asked.
    Topics {
        floors: Vec<(LogId, Offset)>,
    },
    Seek {
        to: Targets,
    },
    /// Of all that a client has.
    Resume,
    /// From outside of a group.
    Admin,
    /// Of who a client was before.
    Ghost,
    Other,
}

impl Asked {
    /// Whether it changes some group from outside.
    pub(super) fn is_from_outside(&self) -> bool {
        matches!(self.ask, Ask::Admin)
    }
}

impl World {
    pub(super) fn reply(&mut self, id: RequestId, response: Result<Response, Refusal>) -> Result<(), Violation> {
        let Some(at) = self.open.iter().position(|asked| asked.id == id) else {
            self.teaching.remove(&id);
            return Ok(());
        };
        let asked = self.open.remove(at);
        if self.faults && self.options.lost > 0 && self.word.per_mille(self.options.lost.into()) {
            return self.lose(&asked, &response);
        }
        match (asked.client, &asked.ask) {
            (_, Ask::Produce { .. }) => self.produced(&asked, &response),
            (_, Ask::Read { log }) => self.read(*log, &response),
            (_, Ask::Admin) => {
                self.admin_hears(&response);
                Ok(())
            }
            (_, Ask::Ghost) => {
                if response.is_err() {
                    self.cover(Rare::GhostIsRefused);
                }
                Ok(())
            }
            (_, Ask::Topics { floors }) => self.topics_told(floors, &response),
            (_, Ask::Groups) => {
                self.groups_told(&response);
                Ok(())
            }
            (Some(at), _) => self.client_hears(at, &asked, response),
            (None, _) => Ok(()),
        }
    }

    /// An answer does not reach its client. Whose clients rely on it, for them the server sees that.
    fn lose(&mut self, asked: &Asked, response: &Result<Response, Refusal>) -> Result<(), Violation> {
        self.gave_up(asked)?;
        if let Ask::Produce { topic: Some(_), batches, claim: Claim::None, .. } = &asked.ask {
            let name = self.topics[self.word.index(self.topics.len())].clone();
            self.retry = Some(takhin_core::Request::Produce { topic: name, batches: batches.clone() });
        }
        let (Ask::Poll, Some(at), Some(consumer), Ok(_)) = (&asked.ask, asked.client, asked.consumer, response) else {
            return Ok(());
        };
        if let Ok(Response::Consumed(consumed)) = response {
            let lost = self.clients[at].lost.filter(|(batch, _)| *batch == consumed.batch);
            self.clients[at].lost = lost.or(Some((consumed.batch, asked.step)));
        }
        let event = Event::Undelivered { request: asked.id, consumer };
        if self.kind(at) == GroupKind::Plain || self.word.one_in(2) {
            self.queue.push_back(event);
        } else if self.word.one_in(2) && self.options.weights.contains_key(&Operation::Report) {
            self.cover(Rare::LossSeenLate);
            self.engine.unsaid.push(event);
        }
        Ok(())
    }

    fn produced(&mut self, asked: &Asked, response: &Result<Response, Refusal>) -> Result<(), Violation> {
        let Ask::Produce { topic, batches, tickets, claim } = &asked.ask else { return Ok(()) };
        let Some(topic) = *topic else { return Ok(()) };
        if let [batch] = &batches[..] {
            let log = LogId { topic, partition: batch.partition };
            self.recognized((batch, log, *claim), response)?;
        }
        let ticket = |log: LogId| tickets.iter().find(|(of, _)| *of == log).map(|(_, ticket)| *ticket);
        let untouched = matches!(
            response,
            Err(Refusal::StorageUnavailable { applied: Applied::Nothing, .. }
                | Refusal::TopicNotFound { .. }
                | Refusal::PartitionNotFound { .. }
                | Refusal::OffsetMismatch { .. }
                | Refusal::SequenceGap { .. }
                | Refusal::ProducerFenced { .. }
                | Refusal::IdempotencyKeyReused { .. }
                | Refusal::RecordsRefused { .. }
                | Refusal::ShuttingDown)
        );
        let told: &[ProducedBatch] = if let Ok(Response::Produced(told)) = response { told } else { &[] };
        for batch in batches {
            let log = LogId { topic, partition: batch.partition };
            let id = AppendId { request: asked.id, partition: batch.partition };
            let told = told.iter().find(|told| told.partition == batch.partition);
            match told.map(|told| &told.result) {
                Some(Ok(base)) => {
                    let places = self.engine.places(id);
                    self.model.appended(id, log, (*base, places), batch, &self.engine)?;
                    if let Some(ticket) = ticket(log) {
                        // What was there already is not appended by this request.
                        let met = Some(*base).filter(|_| told.is_none_or(|told| !told.duplicate));
                        self.model.append_ended(log, ticket, met)?;
                    }
                }
                Some(Err(StorageError::Uncertain(_))) => {}
                None if !untouched => {}
                Some(Err(_)) | None => {
                    self.model.append_failed(id, batch);
                    if let Some(ticket) = ticket(log) {
                        self.model.append_ended(log, ticket, None)?;
                    }
                }
            }
        }
        if told.iter().any(|batch| batch.result.is_ok()) && told.iter().any(|batch| batch.result.is_err()) {
            self.cover(Rare::PartOfProduceFails);
        }
        Ok(())
    }

    fn read(&mut self, asked: Option<(LogId, Ticket)>, response: &Result<Response, Refusal>) -> Result<(), Violation> {
        let told = if let Ok(Response::Read(result)) = response { Some(result) } else { None };
        if let Some((log, ticket)) = asked {
            let mut names = self.topics.iter().filter_map(|name| self.topics_core().topic(name));
            let is_there = names.any(|topic| topic.id == log.topic);
            let bounds = told.filter(|result| is_there && result.log == log).map(|result| result.bounds.end);
            self.model.end_told(log, ticket, bounds, &self.engine)?;
        }
        if let Some(result) = told.filter(|result| result.fetch.is_some()) {
            self.model.read(result.log, result.from, result.next, &self.engine)?;
        }
        Ok(())
    }

    fn groups_told(&mut self, response: &Result<Response, Refusal>) {
        if let Ok(Response::Groups(groups)) = response {
            let unsettled = groups.iter().find(|group| group.state == GroupState::Reconciling);
            self.unsettled = unsettled.map(|group| group.group.clone());
        }
    }

    fn client_hears(&mut self, at: usize, asked: &Asked, response: Result<Response, Refusal>) -> Result<(), Violation> {
        self.model_hears(self.clients[at].group, asked, &response)?;
        match (&asked.ask, &response) {
            (Ask::Seek { to }, _) => Self::must_stand(to, &response)?,
            (Ask::Resume, Ok(Response::Consumer(told))) => must_be_resumed(told)?,
            _ => {}
        }
        if asked.consumer != self.clients[at].me {
            self.cover(Rare::AnswerForFormerSelf);
            return Ok(());
        }
        self.client_learns(at, asked, response)
    }

    /// What an answer says of the offsets that are committed, whoever its client is by now.
    fn model_hears(
        &mut self,
        group: usize,
        asked: &Asked,
        response: &Result<Response, Refusal>,
    ) -> Result<(), Violation> {
        if let Ask::Commit { tickets } = &asked.ask {
            let unknown = matches!(response, Err(Refusal::StorageUnavailable { applied: Applied::Unknown, .. }));
            for (log, ticket) in tickets.iter().filter(|_| !unknown) {
                self.model.commit_ended((group, *log), *ticket, response.is_ok())?;
            }
        }
        if let Ask::Committed { tickets } = &asked.ask {
            let told: &[CommittedPartition] = if let Ok(Response::Committed(told)) = response { told } else { &[] };
            for (log, name, ticket) in tickets {
                let same = self.core.topic(name).is_some_and(|topic| topic.id == log.topic);
                let entry = told.iter().find(|entry| entry.topic == *name && entry.partition == log.partition);
                if entry.is_some_and(|entry| entry.metadata.is_some()) {
                    self.cover(Rare::MetadataReadBack);
                }
                let told = entry.filter(|_| same).map(|entry| {
                    entry.offset.map_or(NOTHING, |offset| what_is_committed(offset, entry.metadata.as_deref()))
                });
                self.model.committed_told((group, *log), *ticket, told)?;
            }
        }
        Ok(())
    }

    /// What a client makes of an answer.
    fn client_learns(
        &mut self,
        at: usize,
        asked: &Asked,
        response: Result<Response, Refusal>,
    ) -> Result<(), Violation> {
        let client = &mut self.clients[at];
        if client.poll == Some(asked.id) {
            client.poll = None;
            client.is_unsure &= !matches!(response, Ok(Response::Consumed(_)));
        }
        match response {
            Ok(Response::Consumed(consumed)) => return self.received(at, asked, &consumed),
            Ok(Response::Closed { .. }) => client.said_goodbye(),
            Ok(Response::Consumer(told)) => {
                let has = |name: &TopicName, partition| {
                    told.partitions.iter().any(|status| status.topic == *name && status.partition == partition)
                };
                client.next.retain(|(log, name, _)| has(name, log.partition));
            }
            Err(refusal @ Refusal::ConsumerExists { .. }) => {
                let known = !matches!(asked.ask, Ask::SubscribeAgain) || client.subscribed.is_none();
                must!(known, RetriesRecognized, "a subscription is repeated, and {refusal:?}");
                client.forget();
            }
            Err(Refusal::TooMany { what: Bounded::Patterns, .. }) => {
                self.cover(Rare::NoRoomForPattern);
                if matches!(asked.ask, Ask::Subscribe | Ask::SubscribeAgain) {
                    self.clients[at].forget();
                    self.clients[at].is_refused = true;
                }
            }
            Err(Refusal::NoCommittedOffset { .. }) => self.cover(Rare::PollMeetsNoOffset),
            Err(refusal @ Refusal::OffsetOutOfRange { .. }) if matches!(asked.ask, Ask::Commit { .. }) => {
                let wild = self.kind(at) == GroupKind::Wild;
                must!(wild, CommitsInLog, "what was received is committed, and {refusal:?}");
            }
            Err(Refusal::StaleGeneration { .. }) => self.cover(Rare::CommitOutOfDate),
            Err(Refusal::TooMany { what: Bounded::ParkedPolls, .. }) => self.cover(Rare::NoRoomToPark),
            Err(
                Refusal::ConsumerExpired { .. }
                | Refusal::ConsumerNotFound { .. }
                | Refusal::ConsumerGone { .. }
                | Refusal::ConsumerEnded { .. },
            ) => {
                client.forget();
                self.cover(Rare::HearsThatItExpired);
                if matches!(asked.ask, Ask::Commit { .. }) {
                    self.cover(Rare::CommitAfterExpiry);
                }
            }
            Err(Refusal::TooMany { .. }) if matches!(asked.ask, Ask::Subscribe | Ask::SubscribeAgain) => {
                client.forget();
                client.is_refused = true;
                self.cover(Rare::NoRoomForConsumer);
            }
            Err(Refusal::BatchUnknown { previous, .. }) => {
                client.after = previous;
                self.cover(Rare::BatchUnknown);
            }
            Err(Refusal::PartitionNotAssigned { .. }) => client.next.clear(),
            Err(Refusal::DataCorrupt { topic, partition, next, .. }) => {
                self.cover(Rare::PollMeetsDamage);
                self.seek_behind(at, topic, partition, next);
            }
            _ => {}
        }
        Ok(())
    }

    fn received(&mut self, at: usize, asked: &Asked, consumed: &Consumed) -> Result<(), Violation> {
        let (kind, group) = (self.kind(at), self.clients[at].group);
        let client = &mut self.clients[at];
        if consumed.batch == client.after && !consumed.parts.is_empty() {
            self.coverage.reached(Rare::BatchComesTwice);
        }
        // A batch that was lost comes again just as it was, whatever was committed since.
        let lost = client.lost.take().filter(|(batch, _)| *batch == consumed.batch);
        let asked_at = lost.map_or(asked.step, |(_, step)| step);
        let former = BatchId::NONE.next(self.boot);
        if consumed.batch < former && self.boot.0 > 0 && !consumed.parts.is_empty() {
            self.coverage.reached(Rare::FormerBootsBatchAgain);
        }
        client.after = consumed.batch;
        let moved_on = client.generation != consumed.generation && consumed.rebalance.is_none();
        client.generation = consumed.generation;
        if moved_on {
            // After a crash nobody says what changed: what it knows may be of a time before that.
            client.next.clear();
        }
        if let Some(change) = &consumed.rebalance {
            client.next.retain(|(log, name, _)| {
                let of = |(topic, partition): &(TopicName, u32)| topic == name && *partition == log.partition;
                !change.assigned.iter().chain(&change.revoked).any(of)
            });
        }
        if std::mem::take(&mut self.engine.read_over_gap) {
            self.cover(Rare::ReadsOverGap);
        }
        for part in &consumed.parts {
            self.delivered += part.next.0 - part.from.0;
            self.model.read(part.log, part.from, part.next, &self.engine)?;
            self.model.must_be_all(part, &self.engine)?;
            let start = self.engine.start(part.log);
            if kind != GroupKind::Wild && !self.engine.excused.contains(&part.log) && self.engine.has(part.log) {
                let range = (part.from.0, part.next.0);
                self.model.received(group, part.log, range, asked_at, start)?;
            }
            let next = &mut self.clients[at].next;
            match next.iter_mut().find(|(log, ..)| *log == part.log) {
                // A commit may have overtaken an answer, and what was committed is not taken back.
                Some((_, _, next)) => *next = part.next.max(*next),
                None => next.push((part.log, part.topic.clone(), part.next)),
            }
        }
        Ok(())
    }
}

/// Who resumes all that it has, has nothing more that is paused: not even what it is giving up, which may stay with it.
fn must_be_resumed(told: &ConsumerDescription) -> Result<(), Violation> {
    let paused = told.partitions.iter().find(|status| status.paused);
    must!(paused.is_none(), PauseKept, "{} resumes all that it has, and is told {paused:?}", told.consumer);
    Ok(())
}
