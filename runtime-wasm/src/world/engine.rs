//! The world's disk: carries out the core's commands after a while, and loses in a crash what it has to.
//!
//! What waits stands in lanes (facts, the making of logs, one log's appends, one fetch); each lane keeps its order.

use std::collections::BTreeMap;

use takhin_core::{
    AppendRefusal, AppendedAt, Command, Durable, Event, Fact, FactSeq, FetchPart, FetchedPart, LogId, Offset, Parts,
    ProducerStamp, Producers, ReadError, StorageError, StorageState, producers::Verdict, response::Bounds,
};

use crate::shared::Shared;

/// Records that were appended together.
#[derive(Clone, Copy, Debug)]
struct Batch {
    base: u64,
    records: u32,
    size: u32,
    at: u64,
}

#[derive(Clone, Debug, Default)]
struct Log {
    start: u64,
    end: u64,
    batches: Shared<Batch>,
    producers: Producers,
}

/// What waits, and the row of the time line in which it was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) command: Command,
    pub(crate) row: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Lane {
    Facts,
    Topics,
    Log(LogId),
}

/// The disk.
#[derive(Clone, Debug, Default)]
pub(crate) struct Engine {
    logs: BTreeMap<LogId, Log>,
    pub(crate) durable: Durable,
    pub(crate) through: FactSeq,
    pub(crate) state: StorageState,
    /// When the last job of each lane will be done.
    busy: BTreeMap<Lane, u64>,
    /// How much longer everything takes, and until when.
    slow: (u64, u64),
    ended_remembered: u32,
}

impl Engine {
    pub(crate) fn new(ended_remembered: u32) -> Self {
        Self { ended_remembered, ..Self::default() }
    }

    /// When a command that is given now will be done; [`None`] if it is not for the disk.
    pub(crate) fn due(&mut self, command: &Command, now: u64, takes: u64) -> Option<u64> {
        let lane = match command {
            Command::Append { log, .. } => Some(Lane::Log(*log)),
            Command::Persist { .. } => Some(Lane::Facts),
            Command::CreateLogs { .. } | Command::DeleteLogs { .. } | Command::ConfigureLogs { .. } => {
                Some(Lane::Topics)
            }
            Command::Fetch { .. } | Command::Lookup { .. } => None,
            Command::Discard { .. } | Command::Reply { .. } => return None,
        };
        let slower = if now < self.slow.1 { self.slow.0 } else { 0 };
        let due = now + takes.max(1) + slower;
        let Some(lane) = lane else { return Some(due) };
        let busy = self.busy.entry(lane).or_default();
        *busy = due.max(*busy);
        Some(*busy)
    }

    pub(crate) fn slow_down(&mut self, by: u64, until: u64) {
        self.slow = (by, until);
    }

    /// Carries out a command, and says what came of it.
    pub(crate) fn execute(&mut self, command: Command, now: u64) -> Option<Event> {
        match command {
            Command::Append { id, log, records, bytes, expected_offset, producer } => {
                let result = match &self.state {
                    StorageState::Ok if producer.is_some_and(|stamp| self.key_is_anothers(log, stamp)) => {
                        Err(StorageError::Refused(AppendRefusal::KeyReused))
                    }
                    StorageState::Ok => {
                        let append = Append { records, bytes, expected_offset, producer, at: now };
                        self.logs.entry(log).or_default().append(append).map_err(StorageError::Refused)
                    }
                    StorageState::Stalled(error) => Err(error.clone()),
                    StorageState::Failed(_) => Err(StorageError::Uncertain("the sync failed".into())),
                };
                Some(Event::Appended { id, log, result })
            }
            Command::Fetch { id, max_records, max_bytes, parts, .. } => {
                Some(Event::Fetched { id, parts: self.read(&parts, max_records, max_bytes) })
            }
            Command::Lookup { consumer, log, at, to } => {
                let found = self.logs.get(&log).and_then(|log| log.first_since(at.0));
                Some(Event::LookedUp { consumer, log, at, result: Ok(found.map_or(to, |offset| offset.min(to))) })
            }
            Command::Persist { .. } if self.state != StorageState::Ok => None,
            Command::Persist { first, facts } => {
                self.persist(first, &facts);
                Some(Event::Persisted { through: self.through })
            }
            Command::CreateLogs { topic, first, partitions, .. } => {
                for partition in first..partitions {
                    self.logs.insert(LogId { topic, partition }, Log::default());
                }
                Some(Event::LogsCreated { topic, partitions, result: Ok(()) })
            }
            Command::DeleteLogs { topic, .. } => {
                self.logs.retain(|log, _| log.topic != topic);
                None
            }
            Command::ConfigureLogs { .. } | Command::Discard { .. } | Command::Reply { .. } => None,
        }
    }

    /// Whether some log of the topic has the idempotency key from another request.
    fn key_is_anothers(&self, log: LogId, stamp: ProducerStamp) -> bool {
        let of_topic = LogId { partition: 0, ..log }..=LogId { partition: u32::MAX, ..log };
        stamp.producer.is_keyed() && self.logs.range(of_topic).any(|(_, log)| log.producers.know_another(stamp, 0))
    }

    fn persist(&mut self, first: FactSeq, facts: &[Fact]) {
        for fact in facts {
            self.durable.apply(fact, self.ended_remembered);
        }
        self.through = FactSeq(first.0 + facts.len() as u64 - 1);
    }

    fn read(&self, plan: &[FetchPart], max_records: u32, max_bytes: u32) -> Parts<FetchedPart> {
        let mut room = Room { records: max_records, bytes: max_bytes, first: true };
        let mut parts = Parts::new();
        for FetchPart { log, from, to } in plan {
            if room.records == 0 || room.bytes == 0 {
                break;
            }
            let found = self.logs.get(log);
            let trimmed = found.filter(|log| from.0 < log.start).map(|log| Offset(log.start));
            let error = trimmed.map(|start| ReadError::Trimmed { start });
            let (records, bytes) = match (found, &error) {
                (Some(log), None) => log.read(from.0, to.0, &mut room),
                _ => (0, 0),
            };
            let next = Offset(from.0 + u64::from(records));
            parts.push(FetchedPart { log: *log, from: *from, next, records, bytes, error });
        }
        parts
    }

    /// Drops a partition's oldest records, and says so.
    pub(crate) fn trim(&mut self, id: LogId, records: u64) -> Option<Event> {
        let log = self.logs.get_mut(&id)?;
        log.start = (log.start + records).min(log.end);
        Some(Event::LogMoved { log: id, start: Offset(log.start), end: Offset(log.end) })
    }

    /// Cuts the last records of each log off, acknowledged or not, and says how many in all.
    pub(crate) fn lose(&mut self, records: u64) -> u64 {
        let mut lost = 0;
        for log in self.logs.values_mut() {
            let end = log.end.saturating_sub(records).max(log.start);
            lost += log.end - end;
            log.cut(end);
        }
        lost
    }

    /// The broker died. What was on its way is done if it was written, and nobody hears of it.
    pub(crate) fn crash(&mut self, waiting: Vec<Job>, written: bool, now: u64) {
        if written && self.state == StorageState::Ok {
            for job in waiting {
                if matches!(job.command, Command::Append { .. } | Command::Persist { .. }) {
                    let _ = self.execute(job.command, now);
                }
            }
        }
        self.busy.clear();
        self.state = StorageState::Ok;
    }

    /// What can be read of each log, with all those made that a recovery found missing.
    pub(crate) fn recover(&mut self, logs: impl Iterator<Item = LogId>) -> BTreeMap<LogId, Bounds> {
        let mut known = BTreeMap::new();
        for id in logs {
            let log = self.logs.remove(&id).unwrap_or_default();
            known.insert(id, log);
        }
        self.logs = known;
        let bounds = |log: &Log| Bounds { start: Offset(log.start), end: Offset(log.end) };
        self.logs.iter().map(|(id, log)| (*id, bounds(log))).collect()
    }

    /// When the record at an offset was appended, in the world's milliseconds.
    pub(crate) fn appended_at(&self, log: LogId, offset: Offset) -> Option<u64> {
        self.logs.get(&log)?.batch_at(offset.0).map(|batch| batch.at)
    }
}

/// How much a read may still take.
struct Room {
    records: u32,
    bytes: u32,
    first: bool,
}

#[derive(Clone, Copy)]
struct Append {
    records: u32,
    bytes: u32,
    expected_offset: Option<Offset>,
    producer: Option<ProducerStamp>,
    at: u64,
}

impl Log {
    fn append(&mut self, append: Append) -> Result<AppendedAt, AppendRefusal> {
        let Append { records, bytes, expected_offset, producer, at } = append;
        if let Some(stamp) = producer
            && let Verdict::Duplicate { base_offset } = self.producers.check(stamp, records, 0)?
        {
            let end = Offset(base_offset.0 + u64::from(records));
            return Ok(AppendedAt { base_offset, end, duplicate: true });
        }
        let base_offset = Offset(self.end);
        if expected_offset.is_some_and(|expected| expected != base_offset) {
            return Err(AppendRefusal::OffsetMismatch { end: base_offset });
        }
        self.batches.push(Batch { base: self.end, records, size: bytes / records.max(1), at });
        self.end += u64::from(records);
        if let Some(stamp) = producer {
            self.producers.note(stamp, records, base_offset, 0);
            self.producers.commit();
        }
        Ok(AppendedAt { base_offset, end: Offset(self.end), duplicate: false })
    }

    fn batch_at(&self, offset: u64) -> Option<&Batch> {
        let after = self.batches.partition_point(|batch| batch.base <= offset);
        let batch = self.batches.get(after.checked_sub(1)?)?;
        (offset < batch.base + u64::from(batch.records)).then_some(batch)
    }

    fn read(&self, from: u64, to: u64, room: &mut Room) -> (u32, u32) {
        let (mut records, mut bytes, mut offset) = (0, 0, from);
        while offset < to.min(self.end) {
            let Some(batch) = self.batch_at(offset) else { break };
            if room.records == 0 || (batch.size > room.bytes && !room.first) {
                break;
            }
            room.first = false;
            room.records -= 1;
            room.bytes = room.bytes.saturating_sub(batch.size);
            records += 1;
            bytes += batch.size;
            offset += 1;
        }
        (records, bytes)
    }

    fn first_since(&self, date: i64) -> Option<Offset> {
        let at = self.batches.partition_point(|batch| super::date(batch.at).0 < date);
        self.batches.get(at).map(|batch| Offset(batch.base.max(self.start)))
    }

    fn cut(&mut self, end: u64) {
        while let Some(batch) = self.batches.last().copied().filter(|batch| batch.base + u64::from(batch.records) > end)
        {
            self.batches.pop();
            if batch.base < end {
                let records = u32::try_from(end - batch.base).unwrap_or(u32::MAX);
                self.batches.push(Batch { records, ..batch });
            }
        }
        self.end = end;
    }
}
