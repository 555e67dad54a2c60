//! Polls: what a consumer is given, and how it waits for it.
//!
//! ```text
//!   consume --> Idle --- something ready ---> Fetching --- enough ---> answer
//!                 |                             ^  |
//!                 | nothing, or too little      |  | too little, and time left
//!                 v                             |  v
//!               Parked --- append, news, deadline, drain ---> (looked at again)
//! ```
//!
//! A position moves only when an answer is made, and from the very place that was read: whatever a seek, a
//! revocation or a deletion did to a partition in the meantime makes its part of the fetch fall away.

use alloc::vec::Vec;

use super::{Core, Open, read::read_refusal};
use crate::{
    command::{Command, FetchPart, FetchedPart, Parts, ReadError},
    config::PollLimits,
    ids::{BatchId, ConsumerId, FetchId, RequestId},
    planted::planted,
    refusal::Refusal,
    session::{Gathered, Poll, Range, Session, Stage},
    time::DurationMs,
    timers::Timer,
};

/// Partitions that one fetch looks into at most; the others have their turn with the next poll.
const MAX_FETCH_PARTS: usize = 256;
/// Fetches that found nothing usable, or too little, after which a poll is answered with what there is rather than
/// read again.
const MAX_FRUITLESS_FETCHES: u32 = 8;

impl Core {
    pub(super) fn consume(
        &mut self,
        request: RequestId,
        consumer: ConsumerId,
        limits: PollLimits,
        after: Option<BatchId>,
    ) {
        if let Err(refusal) = limits.check().and_then(|()| self.must_know(consumer)) {
            return self.refuse(request, refusal);
        }
        self.supersede(consumer);
        let replay = match self.acknowledge(consumer, after) {
            Ok(replay) => replay,
            Err(refusal) => {
                self.touch(consumer);
                return self.refuse(request, refusal);
            }
        };
        let deadline = self.now + DurationMs(limits.timeout_ms);
        let Some(session) = self.sessions.get_mut(&consumer) else { return };
        session.poll = Some(Poll {
            request,
            limits,
            deadline,
            attempts: 0,
            stage: Stage::Idle,
            counted: Vec::new(),
            timed: false,
            replay,
        });
        self.requests.insert(request, Open::Poll(consumer));
        self.auto_commit(consumer, false);
        self.look_up_unasked(consumer);
        self.advance_poll(consumer);
    }

    /// Looks at a poll that isn't fetching, and does what can be done for it.
    pub(super) fn advance_poll(&mut self, consumer: ConsumerId) {
        let Some(session) = self.sessions.get_mut(&consumer) else { return };
        let Some(poll) = &session.poll else { return };
        let limits = poll.limits;
        let waits = limits.min_bytes > 0 && self.now < poll.deadline && !self.draining;
        let over = !waits || !session.news.is_empty();
        let enough = match poll.stage {
            Stage::Fetching(..) => return,
            Stage::Idle => true,
            Stage::Parked { have } => have.is_enough(&limits),
        };
        if poll.replay.is_some() {
            return self.replay(consumer);
        }
        if let Some(log) = session.unplaced.first().copied() {
            let refusal = Refusal::NoCommittedOffset { topic: self.topic_name(log), partition: log.partition };
            return self.end_poll(consumer, refusal);
        }
        if enough || over {
            self.uncount(consumer);
            let plan = self.fetch_plan(consumer);
            if !plan.is_empty() {
                return self.fetch(consumer, plan);
            }
        }
        if over { self.answer(consumer, None, &[]) } else { self.park(consumer) }
    }

    fn fetch_plan(&self, consumer: ConsumerId) -> Parts<FetchPart> {
        let session = &self.sessions[&consumer];
        let parts = session.ready_in_turn().filter_map(|log| {
            let from = session.partitions.get(&log)?.position?;
            Some(FetchPart { log, from, to: self.logs.get(&log)?.bounds.end })
        });
        let mut parts: Parts<FetchPart> = parts.take(MAX_FETCH_PARTS).collect();
        if planted!(self, PausedIsRead) {
            for (log, partition) in session.partitions.iter().filter(|(_, partition)| partition.paused) {
                if let Some(from) = partition.position {
                    parts.push(FetchPart { log: *log, from, to: self.logs[log].bounds.end });
                    parts.retain(|part| part.from < part.to);
                }
            }
        }
        parts
    }

    fn replay(&mut self, consumer: ConsumerId) {
        let Some(session) = self.sessions.get_mut(&consumer) else { return };
        let Some(batch) = session.poll.as_ref().and_then(|poll| poll.replay.as_ref()) else { return };
        let still = batch.ranges.iter().filter(|range| session.stands_for_replay(range, batch.counted_as_delivered));
        let plan: Parts<_> =
            still.map(|range| FetchPart { log: range.log, from: range.from, to: range.next }).collect();
        if plan.is_empty() { self.answer(consumer, None, &[]) } else { self.fetch(consumer, plan) }
    }

    fn fetch(&mut self, consumer: ConsumerId, parts: Parts<FetchPart>) {
        self.unpark(consumer);
        let hidden = planted!(self, HiddenInput);
        let Some(poll) = self.poll_of(consumer) else { return };
        let id = FetchId { request: poll.request, attempt: poll.attempts };
        poll.attempts += 1;
        poll.stage = Stage::Fetching(id, parts.clone());
        let whole = poll.replay.is_some();
        let (max_records, max_bytes) = match poll.replay {
            Some(_) => (u32::MAX, u32::MAX),
            None if hidden => (1, poll.limits.max_bytes),
            None => (poll.limits.max_records, poll.limits.max_bytes),
        };
        self.outbox.send(Command::Fetch { id, max_records, max_bytes, parts, whole });
    }

    pub(super) fn fetched(&mut self, id: FetchId, parts: Parts<FetchedPart>) {
        let consumer = match self.requests.get(&id.request) {
            Some(Open::Poll(consumer)) => *consumer,
            Some(Open::Read(_)) => return self.read_fetched(id, &parts),
            _ if planted!(self, ReadForNobodyKept) => return,
            _ => return self.discard(Some(id)),
        };
        let Some(poll) = self.poll_of(consumer) else { return self.discard(Some(id)) };
        let plan = match &mut poll.stage {
            Stage::Fetching(expected, plan) if *expected == id => core::mem::take(plan),
            _ => return self.discard(Some(id)),
        };
        poll.stage = Stage::Idle;
        let problem = self.follow_trims(consumer, &parts);
        let Some(session) = self.sessions.get(&consumer) else { return };
        if let (Some(refusal), true) = (&problem, session.poll.as_ref().is_some_and(|poll| poll.replay.is_some())) {
            self.discard(Some(id));
            return self.end_poll(consumer, refusal.clone());
        }
        let mut usable = parts;
        usable.retain(|part| session.can_deliver(part));
        for part in usable.iter_mut().filter(|_| planted!(self, ShortReadTakenAsWhole)) {
            part.next = plan.iter().find(|want| want.log == part.log).map_or(part.next, |want| want.to);
        }
        if usable.is_empty() {
            self.discard(Some(id));
            return self.fetched_nothing(consumer, problem);
        }
        if self.is_too_little(consumer, &plan, &usable) {
            self.discard(Some(id));
            return self.count_and_park(consumer, &usable);
        }
        self.answer(consumer, Some(id), &usable);
    }

    /// Nothing of a fetch could be used: the poll is refused for the reason, or looks again.
    fn fetched_nothing(&mut self, consumer: ConsumerId, problem: Option<Refusal>) {
        if let Some(refusal) = problem {
            return self.end_poll(consumer, refusal);
        }
        let Some(poll) = self.poll_of(consumer) else { return };
        if poll.replay.is_some() || poll.attempts >= MAX_FRUITLESS_FETCHES {
            return self.answer(consumer, None, &[]);
        }
        self.woken.insert(consumer);
    }

    /// Resets positions that were trimmed away, and gives the first problem that a client must hear of.
    fn follow_trims(&mut self, consumer: ConsumerId, parts: &[FetchedPart]) -> Option<Refusal> {
        let mut problem = None;
        for part in parts {
            let Some(error) = &part.error else { continue };
            let Some(log) = self.logs.get_mut(&part.log) else { continue };
            if let ReadError::Trimmed { start } = error {
                log.trim(*start);
                self.reset_position(consumer, part.log);
            } else if problem.is_none() {
                problem = Some(read_refusal(error, self.topic_name(part.log), part.log, part.from));
            }
        }
        problem
    }

    /// Whether a fetch brought less than the poll wants to be woken for, with time left to wait for more.
    fn is_too_little(&self, consumer: ConsumerId, plan: &[FetchPart], parts: &[FetchedPart]) -> bool {
        let session = &self.sessions[&consumer];
        let Some(poll) = &session.poll else { return false };
        let all_read = plan.iter().all(|want| parts.iter().any(|part| part.log == want.log && part.next >= want.to));
        !gathered(parts).is_enough(&poll.limits)
            && all_read
            && poll.attempts < MAX_FRUITLESS_FETCHES
            && poll.replay.is_none()
            && self.now < poll.deadline
            && !self.draining
            && session.news.is_empty()
            && self.parked < self.config.max_parked
    }

    /// A newer poll takes the place of one that is under way.
    fn supersede(&mut self, consumer: ConsumerId) {
        if self.poll_of(consumer).is_some() {
            self.end_poll(consumer, Refusal::PollSuperseded { consumer });
        }
        self.end_held_poll(consumer, Refusal::PollSuperseded { consumer });
    }

    /// Ends a poll whose answer was made and waits for a fact: it never left, so it can't have been received.
    pub(super) fn end_held_poll(&mut self, consumer: ConsumerId, refusal: Refusal) {
        let open = self.sessions.get(&consumer).and_then(|session| session.receipts.open.as_ref());
        let Some(request) = open.map(|batch| batch.request) else { return };
        if let Some(Open::Held(after)) = self.requests.get(&request) {
            self.withdraw(request, *after);
            self.refuse(request, refusal);
        }
    }

    /// Ends a poll with a refusal; nothing was delivered.
    pub(super) fn end_poll(&mut self, consumer: ConsumerId, refusal: Refusal) {
        if let Some(request) = self.abandon_poll(consumer) {
            self.requests.remove(&request);
            self.touch(consumer);
            self.refuse(request, refusal);
        }
    }

    /// Ends a poll without an answer; nothing was delivered.
    pub(super) fn abandon_poll(&mut self, consumer: ConsumerId) -> Option<RequestId> {
        self.unpark(consumer);
        self.uncount(consumer);
        let poll = self.take_poll(consumer)?;
        if let (Some(batch), Some(session)) = (poll.replay, self.sessions.get_mut(&consumer)) {
            session.receipts.open = Some(*batch);
        }
        Some(poll.request)
    }

    pub(super) fn take_poll(&mut self, consumer: ConsumerId) -> Option<Poll> {
        let now = self.now;
        let session = self.sessions.get_mut(&consumer)?;
        let poll = session.poll.take()?;
        session.polled(now);
        self.requests.remove(&poll.request);
        if poll.timed {
            self.timers.unset(poll.deadline, Timer::Wait(poll.request));
        }
        Some(poll)
    }

    pub(super) fn poll_of(&mut self, consumer: ConsumerId) -> Option<&mut Poll> {
        self.sessions.get_mut(&consumer)?.poll.as_mut()
    }
}

/// How much a fetch brought.
pub(super) fn gathered(parts: &[FetchedPart]) -> Gathered {
    let of = |part: &FetchedPart| Gathered { bytes: part.bytes.into(), records: part.records.into() };
    parts.iter().map(of).fold(Gathered::NOTHING, Gathered::and)
}

impl Session {
    /// Whether what was read is what comes next in a partition that is still this consumer's to read.
    fn can_deliver(&self, part: &FetchedPart) -> bool {
        let replay = self.poll.as_ref().and_then(|poll| poll.replay.as_deref());
        part.next > part.from
            && match replay {
                Some(batch) => batch.ranges.iter().any(|range| {
                    (range.log, range.from, range.next) == (part.log, part.from, part.next)
                        && self.stands_for_replay(range, batch.counted_as_delivered)
                }),
                None => self
                    .partitions
                    .get(&part.log)
                    .is_some_and(|partition| partition.is_delivered() && partition.position == Some(part.from)),
            }
    }

    /// Whether a partition stands where a batch left it, so that the batch can be handed out again.
    fn stands_for_replay(&self, range: &Range, delivered: bool) -> bool {
        let expected = if delivered { range.next } else { range.from };
        self.partitions.get(&range.log).is_some_and(|p| p.is_delivered() && p.position == Some(expected))
    }
}
