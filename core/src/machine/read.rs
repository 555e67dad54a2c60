//! Reading a partition without a consumer: stateless, and able to wait at the log's end.

use serde::{Deserialize, Serialize};

use super::{Core, Open};
use crate::{
    command::{Command, FetchPart, FetchedPart, Parts, ReadError},
    config::PollLimits,
    ids::{FetchId, LogId, Offset, RequestId, TopicName},
    log::Waiter,
    refusal::{Applied, Bounded, Refusal},
    response::{Bounds, ReadResult, Response},
    time::{DurationMs, Timestamp},
    timers::Timer,
};

/// A read under way.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Read {
    topic: TopicName,
    log: LogId,
    from: Offset,
    limits: PollLimits,
    deadline: Timestamp,
    /// False while the engine reads.
    parked: bool,
}

impl Read {
    pub(super) fn is_parked(&self) -> bool {
        self.parked
    }
}

impl Core {
    pub(super) fn read(
        &mut self,
        request: RequestId,
        topic: TopicName,
        partition: u32,
        offset: i64,
        limits: PollLimits,
    ) {
        let (log, from) = match self.may_read(&topic, partition, offset, limits) {
            Ok(found) => found,
            Err(refusal) => return self.refuse(request, refusal),
        };
        let deadline = self.now + DurationMs(limits.timeout_ms);
        let mut read = Read { topic, log, from, limits, deadline, parked: false };
        if from < self.logs[&log].bounds.end {
            self.fetch_read(request, &read);
        } else if limits.timeout_ms == 0 || self.draining {
            return self.answer_read(request, &read, None, from);
        } else if self.parked >= self.config.max_parked {
            let refusal = Refusal::TooMany { what: Bounded::ParkedPolls, limit: self.config.max_parked };
            return self.refuse(request, refusal);
        } else {
            read.parked = true;
            self.parked += 1;
            self.timers.set(deadline, Timer::Wait(request));
            if let Some(entry) = self.logs.get_mut(&log) {
                entry.waiting.insert(Waiter::Read(request));
            }
        }
        self.requests.insert(request, Open::Read(read));
    }

    fn may_read(
        &self,
        topic: &TopicName,
        partition: u32,
        offset: i64,
        limits: PollLimits,
    ) -> Result<(LogId, Offset), Refusal> {
        limits.check()?;
        let log = self.find_log(topic, partition)?;
        let earliest = self.logs[&log].bounds.start;
        let from = self.check_offset(topic, log, offset, Offset(0))?;
        if from < earliest {
            return Err(Refusal::OffsetTrimmed { topic: topic.clone(), partition, offset, earliest });
        }
        Ok((log, from))
    }

    fn fetch_read(&mut self, request: RequestId, read: &Read) {
        let Some(entry) = self.logs.get(&read.log) else { return };
        let part = FetchPart { log: read.log, from: read.from, to: entry.bounds.end };
        let PollLimits { max_records, max_bytes, .. } = read.limits;
        let id = FetchId { request, attempt: 0 };
        let parts = Parts::from_elem(part, 1);
        self.outbox.send(Command::Fetch { id, max_records, max_bytes, parts, whole: false });
    }

    /// The log grew, and no longer has this read among those who wait.
    pub(super) fn read_grew(&mut self, request: RequestId) {
        if let Some(read) = self.unpark_read(request) {
            self.fetch_read(request, &read);
        }
    }

    /// The read has waited for as long as it wanted to.
    pub(super) fn read_due(&mut self, request: RequestId) {
        if let Some(read) = self.unpark_read(request) {
            self.requests.remove(&request);
            self.answer_read(request, &read, None, read.from);
        }
    }

    pub(super) fn abandon_read(&mut self, request: RequestId, read: &Read) {
        if read.parked {
            self.forget_parked_read(request, read);
        }
    }

    fn unpark_read(&mut self, request: RequestId) -> Option<Read> {
        let Some(Open::Read(read)) = self.requests.get_mut(&request) else { return None };
        let parked = core::mem::take(&mut read.parked);
        let read = read.clone();
        if !parked {
            return None;
        }
        self.forget_parked_read(request, &read);
        Some(read)
    }

    fn forget_parked_read(&mut self, request: RequestId, read: &Read) {
        self.parked -= 1;
        self.timers.unset(read.deadline, Timer::Wait(request));
        if let Some(entry) = self.logs.get_mut(&read.log) {
            entry.waiting.remove(&Waiter::Read(request));
        }
    }

    /// Ends a parked read before its time.
    pub(super) fn end_read(&mut self, request: RequestId, outcome: Result<(), Refusal>) {
        let Some(read) = self.unpark_read(request) else { return };
        self.requests.remove(&request);
        match outcome {
            Ok(()) => self.answer_read(request, &read, None, read.from),
            Err(refusal) => self.refuse(request, refusal),
        }
    }

    pub(super) fn read_fetched(&mut self, id: FetchId, parts: &[FetchedPart]) {
        let Some(Open::Read(read)) = self.requests.remove(&id.request) else { return self.discard(Some(id)) };
        let part = parts.first().filter(|part| part.log == read.log && part.from == read.from);
        if let Some(part) = part.filter(|part| part.next > part.from) {
            return self.answer_read(id.request, &read, Some(id), part.next);
        }
        self.discard(Some(id));
        if !self.logs.contains_key(&read.log) {
            return self.refuse(id.request, Refusal::TopicNotFound { topic: read.topic });
        }
        match part.and_then(|part| part.error.as_ref()) {
            None => self.answer_read(id.request, &read, None, read.from),
            Some(error) => self.refuse(id.request, read_refusal(error, read.topic, read.log, read.from)),
        }
    }

    fn answer_read(&mut self, request: RequestId, read: &Read, fetch: Option<FetchId>, next: Offset) {
        // Of a topic that was deleted since, nothing more is known than what was read.
        let bounds = self.logs.get(&read.log).map_or(Bounds { start: read.from, end: next }, |log| log.bounds);
        let result = ReadResult { log: read.log, fetch, from: read.from, next, bounds };
        self.reply(request, Response::Read(result));
    }
}

/// How a failed read is told to a client.
pub(super) fn read_refusal(error: &ReadError, topic: TopicName, log: LogId, from: Offset) -> Refusal {
    let partition = log.partition;
    match error {
        ReadError::Trimmed { start } => {
            let offset = i64::try_from(from.0).unwrap_or(i64::MAX);
            Refusal::OffsetTrimmed { topic, partition, offset, earliest: *start }
        }
        ReadError::Corrupt { at, next } => Refusal::DataCorrupt { topic, partition, offset: *at, next: *next },
        ReadError::Storage(error) => Refusal::StorageUnavailable { error: error.clone(), applied: Applied::Nothing },
    }
}
