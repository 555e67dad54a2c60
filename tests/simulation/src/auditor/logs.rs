//! What the auditor knows of logs: bounds, appends and fetches under way.

use std::collections::BTreeMap;

use takhin_core::{
    AppendId, AppendedAt, FetchId, FetchPart, FetchedPart, LogId, Offset, Parts, ReadError, StorageError,
    response::Bounds,
};

use super::{Auditor, NewLife};
use crate::oracle::{Violation, must};

/// A log's bounds, as storage last said.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Log {
    pub(super) start: Offset,
    pub(super) end: Offset,
    /// Whether its end is where the last append left it.
    exact: bool,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Logs {
    /// Whether others append, too: then an end may be anywhere beyond what is known, and of a log that nobody has asked for
    /// since a restart nothing is known.
    shared: bool,
    bounds: BTreeMap<LogId, Log>,
    appends: BTreeMap<AppendId, u32>,
    /// Fetches that the engine carries out, and what those brought that it has.
    fetches: BTreeMap<FetchId, Option<Parts<FetchedPart>>>,
}

impl Logs {
    pub(super) fn new(shared: bool) -> Self {
        Self { shared, ..Self::default() }
    }

    pub(super) fn get(&self, log: LogId) -> Log {
        self.bounds.get(&log).copied().unwrap_or(Log { exact: !self.shared, ..Log::default() })
    }

    /// What can be read of a log, as the core must tell it.
    pub(super) fn bounds(&self, log: LogId) -> Bounds {
        let Log { start, end, .. } = self.get(log);
        Bounds { start, end }
    }

    pub(super) fn moved(&mut self, log: LogId, start: Offset, end: Offset) {
        let entry = self.bounds.entry(log).or_default();
        entry.exact = entry.exact && end <= entry.end;
        entry.end = entry.end.max(end);
        entry.start = entry.start.max(start.min(entry.end));
    }

    pub(super) fn forget_topic(&mut self, topic: takhin_core::TopicId) {
        self.bounds.retain(|log, _| log.topic != topic);
    }

    pub(super) fn restart(&mut self, life: NewLife<'_>) {
        let known = life.bounds.iter().filter(|(log, _)| {
            life.durable.topics.get(&log.topic).is_some_and(|topic| log.partition < topic.partitions)
        });
        let exact = !self.shared;
        self.bounds = known.map(|(log, at)| (*log, Log { start: at.start, end: at.end, exact })).collect();
        self.appends.clear();
        self.fetches.clear();
    }

    /// Bounds that go back are records that were shown and are gone.
    pub(super) fn must_have_survived(&self, life: NewLife<'_>) -> Result<(), Violation> {
        for (log, was) in self.bounds.iter().filter(|(log, _)| !self.shared || life.bounds.contains_key(log)) {
            let known = life.durable.topics.contains_key(&log.topic);
            let now = life.bounds.get(log).copied().unwrap_or_default();
            let same = now.end >= was.end && now.start >= was.start;
            must!(!known || same, BoundsGrow, "{log} was {:?}..{:?}, and {now:?} after a restart", was.start, was.end);
        }
        Ok(())
    }

    pub(super) fn is_fetching(&self, request: takhin_core::RequestId) -> bool {
        let all = FetchId { request, attempt: 0 }..=FetchId { request, attempt: u32::MAX };
        self.fetches.range(all).any(|(_, brought)| brought.is_none())
    }

    pub(super) fn is_appending(&self, request: takhin_core::RequestId) -> bool {
        let all = AppendId { request, partition: 0 }..=AppendId { request, partition: u32::MAX };
        self.appends.range(all).next().is_some()
    }

    /// What a fetch brought that an answer makes use of.
    pub(super) fn used(&mut self, id: FetchId) -> Option<Parts<FetchedPart>> {
        self.fetches.remove(&id).flatten()
    }

    pub(super) fn leftovers(&self) -> Option<String> {
        if let Some((fetch, _)) = self.fetches.first_key_value() {
            return Some(format!("what {fetch} read is neither answered with nor dropped"));
        }
        self.appends.first_key_value().map(|(append, _)| format!("append {append} never ended"))
    }
}

impl Auditor {
    pub(super) fn append(&mut self, id: AppendId, log: LogId, records: u32) -> Result<(), Violation> {
        must!(self.open.contains_key(&id.request), OneReply, "append {id} to {log} is nobody's");
        self.logs.appends.insert(id, records);
        Ok(())
    }

    pub(super) fn appended(
        &mut self,
        id: AppendId,
        log: LogId,
        result: &Result<AppendedAt, StorageError>,
    ) -> Result<(), Violation> {
        (self.touched, self.grown) = (Some(id.request), Some(log));
        let asked = self.logs.appends.remove(&id);
        if let (Some(_), Ok(at)) = (asked, result) {
            self.note_offset(id, at.base_offset);
        }
        if !self.topics.contains(log.topic) {
            return Ok(());
        }
        let mut before = self.logs.get(log);
        match (asked, result) {
            (Some(records), Ok(AppendedAt { base_offset, end, .. })) if self.logs.shared => {
                let room = end.0.saturating_sub(base_offset.0) >= u64::from(records);
                must!(room, OffsetsDense, "{log}: {records} records are said to be at {base_offset:?}..{end:?}");
                before.end = before.end.max(*end);
            }
            (Some(records), Ok(AppendedAt { base_offset, end, duplicate: true })) => {
                let there = *end <= before.end && end.0 == base_offset.0 + u64::from(records);
                must!(
                    there || !before.exact,
                    RetriesRecognized,
                    "{log}: {records} records are said to be at {base_offset:?}..{end:?} already, the end is {:?}",
                    before.end
                );
                before.end = before.end.max(*end);
            }
            (Some(records), Ok(AppendedAt { base_offset, end, .. })) => {
                let dense = *base_offset == before.end && end.0 == base_offset.0 + u64::from(records);
                must!(
                    dense || !before.exact,
                    OffsetsDense,
                    "{log}: {records} records went to {base_offset:?}..{end:?}, the end was {:?}",
                    before.end
                );
                must!(
                    *base_offset >= before.end,
                    OffsetsDense,
                    "{log}: {base_offset:?} was given out before, up to {:?}",
                    before.end
                );
                before.end = *end;
            }
            (_, Err(StorageError::Uncertain(_))) => before.exact = false,
            // Said twice; or by somebody else, which tells where the end is.
            (None, Ok(AppendedAt { end, .. })) => before.end = before.end.max(*end),
            _ => {}
        }
        self.logs.bounds.insert(log, before);
        Ok(())
    }

    pub(super) fn fetch(&mut self, id: FetchId, parts: &[FetchPart]) -> Result<(), Violation> {
        for FetchPart { log, from, to } in parts {
            let end = self.log(*log).end;
            must!(*to <= end, ReadsWithinBounds, "{id} is to read {log} up to {to:?}, and {end:?} is durable");
            must!(from < to, ReadsContinuous, "{id} is to read nothing of {log}, {from:?}..{to:?}");
        }
        self.logs.fetches.insert(id, None);
        let poll = self.open.get(&id.request).filter(|open| open.is_poll());
        let Some(consumer) = poll.and_then(|open| open.consumer) else { return Ok(()) };
        parts.iter().try_for_each(|part| self.must_not_be_paused(consumer, part.log))
    }

    pub(super) fn fetched(&mut self, id: FetchId, parts: &Parts<FetchedPart>) {
        (self.touched, self.has_read) = (Some(id.request), true);
        // What comes for a request that is no more is to be dropped, and may have been asked for before a restart.
        self.logs.fetches.insert(id, Some(parts.clone()));
        let poll = self.open.get(&id.request).filter(|open| open.is_poll());
        let Some(consumer) = poll.and_then(|open| open.consumer) else { return };
        self.reads_anew(consumer);
        for part in parts {
            if let Some(ReadError::Trimmed { start }) = &part.error
                && let Some(log) = self.logs.bounds.get_mut(&part.log)
            {
                log.start = log.start.max((*start).min(log.end));
            }
        }
    }

    /// Nobody waits any more for what is read for a request. What comes of it all the same is to be dropped then.
    pub(super) fn abandon(&mut self, request: takhin_core::RequestId) {
        let all = FetchId { request, attempt: 0 }..=FetchId { request, attempt: u32::MAX };
        let fetches = &mut self.logs.fetches;
        let under_way = fetches.range(all).filter(|(_, brought)| brought.is_none()).map(|(id, _)| *id);
        for id in under_way.collect::<Vec<_>>() {
            fetches.remove(&id);
        }
    }

    pub(super) fn discard(&mut self, id: FetchId) {
        self.logs.fetches.remove(&id);
    }
}
