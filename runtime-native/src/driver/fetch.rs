//! Carrying out a fetch: from memory at once, from the disk on a thread that may wait.

use std::{
    ops::{ControlFlow, Range},
    sync::Arc,
};

use bytes::Bytes;
use takhin_core::{
    Applied, FetchedPart, LogId, Offset, Parts, ReadError as CoreReadError, Refusal, StorageError, TopicName,
};

use super::state::Plan;
use crate::{
    engine::{Chunk, ReadError, ReadLogs, ReadMode, ReadOutcome, ReadPart},
    record::RecordRef,
};

/// What a fetch read: the bytes of whole batches, and which records of them were wanted.
#[derive(Debug, Default)]
pub struct Fetched {
    chunk: Chunk,
    parts: Parts<(LogId, ReadOutcome)>,
}

impl Fetched {
    /// What another node read: the bytes of whole batches, and what they are.
    #[cfg(feature = "kafka")]
    pub(crate) fn from_parts(bytes: &[u8], parts: Vec<(LogId, ReadOutcome)>) -> Self {
        Self { chunk: Chunk::of(bytes), parts: parts.into_iter().collect() }
    }

    /// The bytes, and what they are.
    #[cfg(feature = "kafka")]
    pub(crate) fn into_parts(self) -> (Bytes, Vec<(LogId, ReadOutcome)>) {
        (self.chunk.into_bytes(), self.parts.into_iter().collect())
    }

    /// How many records, and how many bytes they take as stored.
    pub(super) fn size(&self) -> (u64, u64) {
        let outcomes = self.parts.iter().map(|(_, outcome)| outcome);
        outcomes.fold((0, 0), |(records, bytes), outcome| {
            (records + u64::from(outcome.records), bytes + outcome.bytes as u64)
        })
    }

    /// The records read of one log, in order.
    pub fn records(&self, log: LogId) -> impl Iterator<Item = RecordRef<'_>> {
        let of_log = self.parts.iter().filter(move |(id, _)| *id == log);
        of_log.flat_map(|(_, outcome)| self.chunk.records(outcome))
    }

    /// What the records take as they are stored.
    pub fn bytes(&self) -> usize {
        self.parts.iter().map(|(_, outcome)| outcome.bytes).sum()
    }

    /// The batches of a read with [`Driver::ask_stored`](super::Driver::ask_stored): their bytes, and which of these are
    /// of which log.
    pub fn into_stored(self) -> (Bytes, Vec<(LogId, Range<usize>)>) {
        let spans = self.parts.iter().map(|(log, outcome)| (*log, self.chunk.stored(outcome))).collect();
        (self.chunk.into_bytes(), spans)
    }
}

/// In which form records are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// One by one.
    Records,
    /// Batches as they are stored.
    Stored,
}

/// To read and check more than this from memory may take a millisecond, in which the other requests of the thread go
/// on elsewhere.
const LONG_READ_BYTES: u32 = 2 << 20;

/// Carries out a plan.
pub(super) async fn carry_out(reader: &Arc<dyn ReadLogs>, plan: Plan, form: Form) -> (Parts<FetchedPart>, Fetched) {
    let at_once = || read(&**reader, &plan, form, ReadMode::NoWait);
    let done = if plan.max_bytes > LONG_READ_BYTES { tokio::task::block_in_place(at_once) } else { at_once() };
    if let Some(done) = done {
        return done;
    }
    let reader = Arc::clone(reader);
    let waited = tokio::task::spawn_blocking(move || read(&*reader, &plan, form, ReadMode::Blocking)).await;
    waited.ok().flatten().unwrap_or_default()
}

/// Reads part after part until a limit is reached. [`None`] if the first part would have to wait for the disk; a
/// later one that would is left to the next fetch, unless the plan wants the whole.
fn read(reader: &dyn ReadLogs, plan: &Plan, form: Form, mode: ReadMode) -> Option<(Parts<FetchedPart>, Fetched)> {
    let mut fetched = Fetched::default();
    let mut parts = Parts::new();
    let mut left = Left { records: plan.max_records, bytes: plan.max_bytes as usize, any: false };
    for part in &plan.parts {
        let (log, from) = (part.log, part.from);
        let part = ReadPart { log, from, to: part.to, max_bytes: left.bytes, max_records: left.records };
        let read = match form {
            Form::Records => reader.read(&part, mode, &mut fetched.chunk),
            Form::Stored => reader.read_stored(&part, mode, &mut fetched.chunk),
        };
        match read {
            Ok(outcome) if plan.whole && mode == ReadMode::NoWait && outcome.next < part.to => return None,
            Ok(outcome) => {
                if left.take(&outcome).is_break() {
                    break;
                }
                parts.push(FetchedPart {
                    log,
                    from,
                    next: outcome.next,
                    records: outcome.records,
                    bytes: u32::try_from(outcome.bytes).unwrap_or(u32::MAX),
                    error: None,
                });
                fetched.parts.push((log, outcome));
                if let (true, Some(read)) = (plan.whole && reader.is_shared(), parts.last_mut()) {
                    read_rest(reader, part, form, read, &mut fetched);
                }
                if left.records == 0 || left.bytes == 0 {
                    break;
                }
            }
            Err(ReadError::WouldBlock) if parts.is_empty() || plan.whole => return None,
            Err(ReadError::WouldBlock) => break,
            Err(error) => {
                tracing::warn!(%log, from = from.0, %error, "a log can't be read");
                let error = Some(read_error(&error, from));
                parts.push(FetchedPart { log, from, next: from, records: 0, bytes: 0, error });
            }
        }
    }
    Some((parts, fetched))
}

/// Reads on from where a read stopped, to the end of the part: brokers give what they have at hand, and here only all of it
/// will do. What can't be had ends the part with nothing.
fn read_rest(reader: &dyn ReadLogs, part: ReadPart, form: Form, read: &mut FetchedPart, fetched: &mut Fetched) {
    while read.next < part.to {
        let from = read.next;
        let rest = ReadPart { from, ..part };
        let more = match form {
            Form::Records => reader.read(&rest, ReadMode::Blocking, &mut fetched.chunk),
            Form::Stored => reader.read_stored(&rest, ReadMode::Blocking, &mut fetched.chunk),
        };
        let error = match more {
            Ok(outcome) if outcome.next > from => {
                read.next = outcome.next;
                read.records = read.records.saturating_add(outcome.records);
                read.bytes = read.bytes.saturating_add(u32::try_from(outcome.bytes).unwrap_or(u32::MAX));
                fetched.parts.push((part.log, outcome));
                continue;
            }
            Ok(_) => ReadError::Failed("not all of it can be read at this moment".to_owned()),
            Err(error) => error,
        };
        tracing::warn!(log = %part.log, from = from.0, %error, "a log can't be read on");
        fetched.parts.retain(|(log, _)| *log != part.log);
        let error = Some(read_error(&error, from));
        *read = FetchedPart { log: part.log, from: part.from, next: part.from, records: 0, bytes: 0, error };
        return;
    }
}

/// The timestamps of single records. May wait for the disk.
pub(super) fn timestamps(reader: &dyn ReadLogs, places: &[Option<(LogId, Offset)>]) -> Vec<Option<i64>> {
    /// Looks at the disk for one answer at most.
    const MAX_LOOKS: usize = 1_000;
    let mut looks = 0;
    let mut chunk = Chunk::default();
    let mut timestamp = |place: &Option<(LogId, Offset)>| {
        let (log, from) = (*place).filter(|_| looks < MAX_LOOKS)?;
        looks += 1;
        chunk.clear();
        let part = ReadPart { log, from, to: Offset(from.0 + 1), max_bytes: 1, max_records: 1 };
        let outcome = reader.read(&part, ReadMode::Blocking, &mut chunk).ok()?;
        chunk.records(&outcome).next().map(|record| record.timestamp_ms)
    };
    places.iter().map(&mut timestamp).collect()
}

/// How much more a fetch may bring.
struct Left {
    records: u32,
    bytes: usize,
    any: bool,
}

impl Left {
    /// Takes what was read, if it fits. An engine gives a first record whatever its size; here only the first one
    /// of the whole fetch may be larger than what is left.
    fn take(&mut self, outcome: &ReadOutcome) -> ControlFlow<()> {
        if self.any && outcome.bytes > self.bytes {
            return ControlFlow::Break(());
        }
        self.any |= outcome.records > 0;
        self.records = self.records.saturating_sub(outcome.records);
        self.bytes = self.bytes.saturating_sub(outcome.bytes);
        ControlFlow::Continue(())
    }
}

fn read_error(error: &ReadError, from: Offset) -> CoreReadError {
    match error {
        ReadError::BeforeStart { start } => CoreReadError::Trimmed { start: *start },
        ReadError::Corrupt { offset, next_offset, .. } => {
            let next = next_offset.unwrap_or(Offset(offset.0.max(from.0) + 1));
            CoreReadError::Corrupt { at: *offset, next }
        }
        ReadError::Deleted | ReadError::WouldBlock | ReadError::Failed(_) => {
            CoreReadError::Storage(StorageError::Failed(error.to_string()))
        }
    }
}

pub(super) fn lookup_refusal(error: &ReadError, topic: &TopicName) -> Refusal {
    match error {
        ReadError::Deleted => Refusal::TopicNotFound { topic: topic.clone() },
        other => {
            let error = StorageError::Failed(other.to_string());
            Refusal::StorageUnavailable { error, applied: Applied::Nothing }
        }
    }
}

#[cfg(all(test, feature = "kafka"))]
mod tests {
    use takhin_core::{FetchPart, RequestId, TopicId};

    use super::*;

    /// Gives one record with each read, and none beyond an offset.
    struct OneByOne {
        there_to: u64,
    }

    impl ReadLogs for OneByOne {
        fn read(&self, part: &ReadPart, mode: ReadMode, out: &mut Chunk) -> Result<ReadOutcome, ReadError> {
            if mode == ReadMode::NoWait {
                return Err(ReadError::WouldBlock);
            }
            let given = u64::from(part.from.0 < self.there_to.min(part.to.0));
            let (records, next, at) = (given, part.from.0 + given, out.filled());
            let outcome = serde_json::json!({
                "records": records, "bytes": given * 10, "next": next, "from": part.from, "span": { "start": at, "end": at },
            });
            Ok(serde_json::from_value(outcome).expect("an outcome"))
        }

        fn read_stored(&self, part: &ReadPart, mode: ReadMode, out: &mut Chunk) -> Result<ReadOutcome, ReadError> {
            self.read(part, mode, out)
        }

        fn lookup_time(&self, _: LogId, _: i64, _: Offset) -> Result<Option<(Offset, i64)>, ReadError> {
            Ok(None)
        }

        fn is_shared(&self) -> bool {
            true
        }
    }

    fn fetch(there_to: u64, whole: bool) -> (Parts<FetchedPart>, usize) {
        let log = LogId { topic: TopicId(7), partition: 0 };
        let part = FetchPart { log, from: Offset(2), to: Offset(5) };
        let id = takhin_core::FetchId { request: RequestId(1), attempt: 0 };
        let plan = Plan { id, max_records: u32::MAX, max_bytes: u32::MAX, parts: Parts::from_elem(part, 1), whole };
        let (parts, fetched) =
            read(&OneByOne { there_to }, &plan, Form::Records, ReadMode::Blocking).expect("something");
        (parts, fetched.parts.len())
    }

    #[test]
    fn what_is_wanted_whole_is_read_on_until_all_of_it_is_there() {
        let (parts, reads) = fetch(9, true);
        assert_eq!((parts[0].next, parts[0].records, parts[0].bytes, reads), (Offset(5), 3, 30, 3));
        assert_eq!(parts[0].error, None);
        let (parts, reads) = fetch(9, false);
        assert_eq!((parts[0].next, reads), (Offset(3), 1), "what may be in part is taken as it comes");
    }

    #[test]
    fn what_can_not_be_had_whole_is_an_error_and_not_less_of_it() {
        let (parts, reads) = fetch(4, true);
        assert_eq!((parts[0].from, parts[0].next, parts[0].records, reads), (Offset(2), Offset(2), 0, 0));
        assert!(matches!(parts[0].error, Some(CoreReadError::Storage(_))), "{parts:?}");
    }
}
