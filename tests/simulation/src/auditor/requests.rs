//! What the auditor knows of open requests: what each waits for, and so when its answer is due.

use takhin_core::{
    AppendId, ByLog, ConsumerId, FactSeq, FetchedPart, GroupName, LogId, Offset, Refusal, Request, RequestId, Response,
    Timestamp,
    response::{Bounds, CommittedPartition, Consumed, ProducedBatch, ReadResult, TopicDescription},
};

use super::Auditor;
use crate::oracle::{Oracle, Violation, must};

/// A request that is owed an answer.
#[derive(Clone, Debug)]
pub(super) struct Open {
    pub(super) kind: Kind,
    pub(super) consumer: Option<ConsumerId>,
    deadline: Option<Timestamp>,
    /// The log that it reads.
    log: Option<LogId>,
    /// The last fact decided in the step in which it was asked.
    after: FactSeq,
}

/// What it asks, as far as its answer is judged.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    /// With the offset that each append was given.
    Produce(Vec<(u32, Offset)>),
    Poll,
    /// The offset from which on it reads.
    Read(i64),
    /// It waits for logs to be made.
    Topic,
    /// With what was decided for it, and why it must be refused, if it must.
    Commit(Vec<(LogId, Offset)>, Option<&'static str>),
    /// With what its group had committed when it was asked.
    Committed(Vec<(LogId, Offset)>),
    /// A group's offsets, set or deleted by who is not in it.
    Admin {
        group: GroupName,
        dry_run: bool,
        in_use: bool,
    },
    /// Everything else: it waits for nothing but facts.
    Other,
}

impl Open {
    pub(super) fn is_poll(&self) -> bool {
        matches!(self.kind, Kind::Poll)
    }
}

impl Auditor {
    pub(super) fn asked(&mut self, id: RequestId, request: &Request) {
        if self.open.contains_key(&id) {
            return;
        }
        self.touched = Some(id);
        let (mut consumer, mut deadline, mut log) = (None, None, None);
        let kind = match request {
            Request::Produce { .. } => Kind::Produce(Vec::new()),
            Request::CreateTopic { .. } | Request::AddPartitions { .. } | Request::ConfigureTopic { .. } => Kind::Topic,
            Request::Read { topic, partition, offset, limits } => {
                deadline = Some(self.now + takhin_core::DurationMs(limits.timeout_ms));
                log = self.topics.by_name(topic).map(|topic| LogId { topic, partition: *partition });
                self.readers.extend(log.map(|log| (log, id)));
                Kind::Read(*offset)
            }
            Request::Consume { consumer: who, limits, .. } => {
                deadline = Some(self.now + takhin_core::DurationMs(limits.timeout_ms));
                consumer = Some(*who);
                self.polls(*who, id);
                Kind::Poll
            }
            Request::Commit { consumer: who, offsets, generation } => {
                consumer = Some(*who);
                let why_not = self.why_not_commit(*who, offsets.as_deref().unwrap_or_default(), *generation);
                Kind::Commit(Vec::new(), why_not)
            }
            Request::Committed { consumer: who } => {
                consumer = Some(*who);
                Kind::Committed(self.has_committed(*who))
            }
            Request::ChangeSubscription { consumer: who, .. } => {
                consumer = Some(*who);
                self.asks_for_news(*who);
                Kind::Other
            }
            Request::Subscribe { consumer: who, .. }
            | Request::Seek { consumer: who, .. }
            | Request::SeekPlace { consumer: who, .. }
            | Request::Pause { consumer: who, .. }
            | Request::Resume { consumer: who, .. }
            | Request::Assign { consumer: who, .. }
            | Request::Describe { consumer: who }
            | Request::Close { consumer: who } => {
                consumer = Some(*who);
                Kind::Other
            }
            Request::DeleteTopic { .. }
            | Request::ListTopics
            | Request::DescribeTopic { .. }
            | Request::ListGroups
            | Request::DescribeGroup { .. } => Kind::Other,
            Request::SetOffsets { group, dry_run, .. } => self.kind_from_outside(group, *dry_run),
            Request::DeleteOffsets { group, .. } | Request::DeleteGroup { group } => {
                self.kind_from_outside(group, false)
            }
        };
        if let Some(at) = deadline {
            self.deadlines.insert((at, id));
        }
        if let Some(consumer) = consumer {
            self.heard(consumer);
        }
        self.open.insert(id, Open { kind, consumer, deadline, log, after: FactSeq::default() });
    }

    fn kind_from_outside(&self, group: &GroupName, dry_run: bool) -> Kind {
        Kind::Admin { group: group.clone(), dry_run, in_use: self.is_in_use(group) }
    }

    pub(super) fn hung_up(&mut self, request: RequestId) {
        self.end(request);
    }

    fn end(&mut self, request: RequestId) -> Option<Open> {
        let open = self.open.remove(&request)?;
        if matches!(open.kind, Kind::Poll | Kind::Read(_)) {
            self.abandon(request);
        }
        if let Some(at) = open.deadline {
            self.deadlines.remove(&(at, request));
        }
        if let Some(log) = open.log {
            self.readers.remove(&(log, request));
        }
        if let Some(consumer) = open.consumer {
            self.heard(consumer);
            self.polls_no_more(consumer, request);
        }
        Some(open)
    }

    pub(super) fn note_offset(&mut self, id: AppendId, base_offset: Offset) {
        if let Some(Open { kind: Kind::Produce(offsets), .. }) = self.open.get_mut(&id.request) {
            offsets.push((id.partition, base_offset));
        }
    }

    /// What was decided in a request's own step. What another member commits in the same one, as when its time is over,
    /// is not the request's.
    pub(super) fn note_commit(&mut self, group: &GroupName, offsets: &ByLog<Offset>) {
        let Some(open) = self.touched.and_then(|request| self.open.get_mut(&request)) else { return };
        let Kind::Commit(decided, _) = &mut open.kind else { return };
        let asker = open.consumer.and_then(|consumer| self.members.get(&consumer));
        let Some(asker) = asker.filter(|member| member.group == *group) else { return };
        let before = decided.len();
        decided.extend(offsets.iter().filter(|(log, _)| asker.held.contains(log)).map(|(log, at)| (*log, *at)));
        if decided.len() > before {
            open.after = self.decided;
        }
    }

    pub(super) fn replied(
        &mut self,
        request: RequestId,
        response: &Result<Response, Refusal>,
    ) -> Result<(), Violation> {
        let Some(open) = self.end(request) else {
            return Err(Violation::new(Oracle::OneReply, format!("{request:?} is answered, and nobody waits for it")));
        };
        let Ok(response) = response else { return Ok(()) };
        match (open.kind, response) {
            (Kind::Produce(offsets), Response::Produced(batches)) => must_be_told(&offsets, batches),
            (Kind::Admin { group, in_use, .. }, _) => {
                must!(!in_use, FencedNeverCommits, "offsets of {group} are changed, and somebody is in it");
                Ok(())
            }
            (Kind::Poll, Response::Consumed(consumed)) => self.consumed(request, consumed),
            (Kind::Read(_), Response::Read(result)) => self.read(result),
            (Kind::Commit(decided, why_not), Response::Committed(told)) => {
                must!(
                    why_not.is_none(),
                    FencedNeverCommits,
                    "{request:?} commits, and {}",
                    why_not.unwrap_or_default()
                );
                let (after, persisted) = (open.after, self.persisted);
                must!(after <= persisted, CommitsReadBack, "{request:?} is acknowledged before {after:?} is durable");
                self.must_be_committed(&decided, told)
            }
            (Kind::Committed(were), Response::Committed(told)) => self.must_read_back(&were, told),
            (_, Response::Consumer(description)) => {
                self.described(&description.group, description.generation);
                Ok(())
            }
            (_, Response::Topic(topic)) => self.must_tell_bounds(request, topic),
            (_, Response::Topics(topics)) => topics.iter().try_for_each(|topic| self.must_tell_bounds(request, topic)),
            _ => Ok(()),
        }
    }

    fn read(&mut self, result: &ReadResult) -> Result<(), Violation> {
        let ReadResult { log, fetch, from, next, bounds } = result;
        if let Some(fetch) = fetch {
            let brought = self.logs.used(*fetch).unwrap_or_default();
            let same = brought.iter().any(|part| (part.log, part.from, part.next) == (*log, *from, *next));
            must!(same, ReadsContinuous, "{log} {from:?}..{next:?} is not what {fetch} read");
        }
        if self.topics.contains(log.topic) {
            self.must_be_bounds(*log, *bounds)?;
            must!(*next <= bounds.end, ReadsWithinBounds, "{log} is read up to {next:?}, {bounds:?}");
        }
        Ok(())
    }

    /// What is told at once is as it is; what waited for facts is as it was when it was asked.
    fn must_tell_bounds(&self, request: RequestId, topic: &TopicDescription) -> Result<(), Violation> {
        for (partition, told) in (0..).zip(&topic.partitions) {
            let log = LogId { topic: topic.id, partition };
            if self.touched == Some(request) {
                self.must_be_bounds(log, *told)?;
            } else if self.topics.contains(topic.id) {
                let known = self.logs.bounds(log);
                let was = told.end <= known.end && told.start <= known.start;
                must!(was, ReadsWithinBounds, "{log} is at {known:?}, and {told:?} is told");
            }
        }
        Ok(())
    }

    fn must_be_bounds(&self, log: LogId, told: Bounds) -> Result<(), Violation> {
        let known = self.logs.bounds(log);
        must!(told.end <= known.end, ReadsWithinBounds, "{log} ends at {:?}, and {:?} is told", known.end, told.end);
        must!(told.end >= known.end, BoundsGrow, "{log} ends at {:?}, and {:?} is told", known.end, told.end);
        must!(told.start >= known.start, BoundsGrow, "{log} starts at {:?}, and {:?} is told", known.start, told.start);
        Ok(())
    }

    /// An answer must bring what its fetch read, to who may have it.
    fn consumed(&mut self, request: RequestId, consumed: &Consumed) -> Result<(), Violation> {
        let at_once = self.has_read && self.touched == Some(request);
        let brought = consumed.fetch.and_then(|fetch| self.logs.used(fetch)).unwrap_or_default();
        for part in &consumed.parts {
            let same = |read: &&FetchedPart| {
                (read.log, read.from, read.next, read.records) == (part.log, part.from, part.next, part.records)
            };
            let read = brought.iter().find(same);
            must!(read.is_some(), ReadsContinuous, "{}: {part:?} is not what was read, {brought:?}", part.log);
            let dense = part.next.0 - part.from.0 == u64::from(part.records) || !self.topics.is_dense(part.log.topic);
            let room = u64::from(part.records) <= part.next.0 - part.from.0;
            must!(
                dense && room,
                ReadsContinuous,
                "{}: {} records in {:?}..{:?}",
                part.log,
                part.records,
                part.from,
                part.next
            );
            let known = self.topics.contains(part.log.topic);
            let end = self.log(part.log).end;
            must!(!known || part.next <= end, ReadsWithinBounds, "{}: {:?} is beyond {end:?}", part.log, part.next);
            if at_once {
                self.must_not_be_paused(consumed.consumer, part.log)?;
            }
            self.must_own(consumed.consumer, part.log)?;
        }
        self.told(consumed.consumer, consumed.generation, consumed.rebalance.is_some())
    }

    fn must_be_committed(&self, decided: &[(LogId, Offset)], told: &[CommittedPartition]) -> Result<(), Violation> {
        for entry in told {
            let same = decided.iter().any(|(log, offset)| {
                log.partition == entry.partition
                    && Some(*offset) == entry.offset
                    && self.topics.name(log.topic).is_none_or(|name| *name == entry.topic)
            });
            must!(same, CommitsReadBack, "{entry:?} is acknowledged, and was not decided in {decided:?}");
        }
        Ok(())
    }

    fn must_read_back(&self, were: &[(LogId, Offset)], told: &[CommittedPartition]) -> Result<(), Violation> {
        for (log, offset) in were {
            let Some(name) = self.topics.name(log.topic) else { continue };
            let entry = told.iter().find(|entry| entry.topic == *name && entry.partition == log.partition);
            let same = entry.is_none_or(|entry| entry.offset == Some(*offset));
            must!(same, CommitsReadBack, "{log} was committed at {offset:?}, and {entry:?} is told");
        }
        Ok(())
    }

    /// After a step, whoever waits must wait for something.
    pub(super) fn must_not_wait(&mut self) -> Result<(), Violation> {
        if let Some(request) = self.touched {
            self.must_wait_for_something(request, false)?;
        }
        if let Some(log) = self.grown.take() {
            let mut next = RequestId::default();
            while let Some((_, reader)) = self.readers.range((log, next)..=(log, RequestId(u64::MAX))).next().copied() {
                self.must_wait_for_something(reader, false)?;
                next = RequestId(reader.0 + 1);
            }
        }
        while let Some((after, request)) = self.held.first().copied().filter(|(after, _)| *after <= self.persisted) {
            self.held.remove(&(after, request));
            self.must_wait_for_something(request, true)?;
        }
        while let Some((at, request)) = self.deadlines.first().copied().filter(|(at, _)| *at <= self.now) {
            self.deadlines.remove(&(at, request));
            self.must_wait_for_something(request, false)?;
        }
        Ok(())
    }

    /// `is_free`: all facts that were decided when it was asked are durable.
    fn must_wait_for_something(&mut self, request: RequestId, is_free: bool) -> Result<(), Violation> {
        let Some(open) = self.open.get(&request) else { return Ok(()) };
        let facts = self.decided > self.persisted;
        let over = open.deadline.is_some_and(|at| at <= self.now);
        match &open.kind {
            Kind::Produce(_) => {
                let appends = self.logs.is_appending(request);
                must!(appends, NoFalseWait, "{request:?} waits, and all of its appends have ended");
                return Ok(());
            }
            Kind::Topic => return Ok(()),
            Kind::Poll | Kind::Read(_) if self.logs.is_fetching(request) => return Ok(()),
            Kind::Read(from) => {
                let end = open.log.map(|log| self.log(log).end);
                let there = end.is_some_and(|end| i64::try_from(end.0).is_ok_and(|end| end > *from));
                must!(!there, NoSleeper, "{request:?} waits at {from} of {:?}, which goes to {end:?}", open.log);
                must!(!over, PollsEnd, "{request:?} waits beyond its deadline");
                return Ok(());
            }
            Kind::Poll if !facts => {
                must!(!over, PollsEnd, "{request:?} waits beyond its deadline");
                if let Some(consumer) = open.consumer {
                    self.must_be_told(consumer, request)?;
                }
                return Ok(());
            }
            Kind::Poll => {}
            Kind::Commit(..) | Kind::Committed(_) | Kind::Admin { .. } | Kind::Other => {
                must!(facts && !is_free, NoFalseWait, "{request:?} waits, and nothing has to become durable");
            }
        }
        self.held.insert((self.decided, request));
        Ok(())
    }

    /// Whether a grant in this step is told by the answer to the step's own request.
    pub(super) fn is_told_by_answer(&self, consumer: ConsumerId) -> bool {
        let asked = self.touched.and_then(|request| self.open.get(&request));
        asked.is_some_and(|open| open.consumer == Some(consumer) && matches!(open.kind, Kind::Other))
    }
}

fn must_be_told(offsets: &[(u32, Offset)], batches: &[ProducedBatch]) -> Result<(), Violation> {
    for batch in batches {
        if let Ok(told) = &batch.result {
            let same = offsets.contains(&(batch.partition, *told));
            must!(
                same,
                OffsetsDense,
                "partition {}: {told:?} is told, and was not given in {offsets:?}",
                batch.partition
            );
        }
    }
    Ok(())
}
