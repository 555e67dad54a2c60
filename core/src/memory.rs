//! An engine in memory: carries out a core's commands at once, and always in the same way.
//!
//! The browser, the tests and whoever embeds the core use it. It keeps no bytes, as the core sends none: of each
//! record it knows the size. What a record is can be kept beside it, under its log and offset.

use alloc::{collections::BTreeMap, vec::Vec};

use crate::{
    command::{AppendedAt, Command, FetchPart, FetchedPart, Parts, ReadError, StorageError},
    durable::Durable,
    event::Event,
    fact::Fact,
    ids::{FactSeq, LogId, Offset},
    producers::{AppendRefusal, ProducerStamp, Producers, Verdict},
    response::Bounds,
    time::Date,
};

/// The logs, and the facts that were persisted.
#[derive(Clone, Debug, Default)]
pub struct MemoryEngine {
    logs: BTreeMap<LogId, MemoryLog>,
    facts: Vec<(FactSeq, Fact)>,
    date: Date,
}

/// One log: the size of each of its records, and its date.
#[derive(Clone, Debug, Default)]
struct MemoryLog {
    start: Offset,
    sizes: Vec<u32>,
    producers: Producers,
    dates: Vec<Date>,
}

impl MemoryLog {
    fn end(&self) -> Offset {
        Offset(self.start.0 + self.sizes.len() as u64)
    }

    fn append(
        &mut self,
        records: u32,
        bytes: u32,
        expected: Option<Offset>,
        producer: Option<ProducerStamp>,
    ) -> Result<AppendedAt, AppendRefusal> {
        let base_offset = self.end();
        if let Some(stamp) = producer
            && let Verdict::Duplicate { base_offset } = self.producers.check(stamp, records, 0)?
        {
            let end = Offset(base_offset.0 + u64::from(records));
            return Ok(AppendedAt { base_offset, end, duplicate: true });
        }
        if expected.is_some_and(|expected| expected != base_offset) {
            return Err(AppendRefusal::OffsetMismatch { end: base_offset });
        }
        self.sizes.extend((0..records).map(|_| bytes / records.max(1)));
        if let Some(stamp) = producer {
            self.producers.note(stamp, records, base_offset, 0);
            self.producers.commit();
        }
        Ok(AppendedAt { base_offset, end: self.end(), duplicate: false })
    }

    fn sizes_from(&self, from: Offset, to: Offset) -> &[u32] {
        let index = |offset: Offset| {
            let at = offset.0.saturating_sub(self.start.0);
            usize::try_from(at).unwrap_or(usize::MAX).min(self.sizes.len())
        };
        &self.sizes[index(from)..index(to).max(index(from))]
    }
}

impl MemoryEngine {
    /// Carries out one command. What comes of it, unless nothing does: replies and discards are the runtime's.
    pub fn execute(&mut self, command: &Command) -> Option<Event> {
        match command {
            Command::Append { id, log, records, bytes, expected_offset, producer } => {
                let reused = producer.is_some_and(|stamp| self.key_is_anothers(*log, stamp));
                let entry = self.logs.entry(*log).or_default();
                let result = if reused {
                    Err(AppendRefusal::KeyReused)
                } else {
                    entry.append(*records, *bytes, *expected_offset, *producer)
                };
                entry.dates.resize(entry.sizes.len(), self.date);
                Some(Event::Appended { id: *id, log: *log, result: result.map_err(StorageError::Refused) })
            }
            Command::Fetch { id, max_records, max_bytes, parts, .. } => {
                Some(Event::Fetched { id: *id, parts: self.read(parts, *max_records, *max_bytes) })
            }
            Command::Lookup { consumer, log, at, to } => {
                let offset = self.logs.get(log).and_then(|entry| {
                    let found = entry.dates.iter().position(|date| date >= at)?;
                    Some(Offset(entry.start.0 + found as u64).min(*to))
                });
                Some(Event::LookedUp { consumer: *consumer, log: *log, at: *at, result: Ok(offset.unwrap_or(*to)) })
            }
            Command::Persist { first, facts } => {
                let seqs = (first.0..).map(FactSeq);
                self.facts.extend(seqs.zip(facts.iter().cloned()));
                Some(Event::Persisted { through: FactSeq(first.0 + facts.len() as u64 - 1) })
            }
            Command::CreateLogs { topic, first, partitions, .. } => {
                for partition in *first..*partitions {
                    self.logs.insert(LogId { topic: *topic, partition }, MemoryLog::default());
                }
                Some(Event::LogsCreated { topic: *topic, partitions: *partitions, result: Ok(()) })
            }
            Command::DeleteLogs { topic, .. } => {
                self.logs.retain(|log, _| log.topic != *topic);
                None
            }
            Command::ConfigureLogs { .. } | Command::Discard { .. } | Command::Reply { .. } => None,
        }
    }

    /// Whether some log of the topic has the idempotency key from another request.
    fn key_is_anothers(&self, log: LogId, stamp: ProducerStamp) -> bool {
        let of_topic = LogId { partition: 0, ..log }..=LogId { partition: u32::MAX, ..log };
        stamp.producer.is_keyed() && self.logs.range(of_topic).any(|(_, entry)| entry.producers.know_another(stamp, 0))
    }

    fn read(&self, plan: &[FetchPart], max_records: u32, max_bytes: u32) -> Parts<FetchedPart> {
        let mut parts = Parts::new();
        let (mut records_left, mut bytes_left, mut first) = (max_records, max_bytes, true);
        for FetchPart { log, from, to } in plan {
            if let Some(start) = self.logs.get(log).map(|entry| entry.start).filter(|start| from < start) {
                let error = Some(ReadError::Trimmed { start });
                parts.push(FetchedPart { log: *log, from: *from, next: *from, records: 0, bytes: 0, error });
                continue;
            }
            let sizes = self.logs.get(log).map_or(&[][..], |entry| entry.sizes_from(*from, *to));
            let (mut records, mut bytes) = (0, 0);
            for size in sizes {
                if records_left == 0 || (*size > bytes_left && !first) {
                    break;
                }
                first = false;
                records += 1;
                bytes += size;
                records_left -= 1;
                bytes_left = bytes_left.saturating_sub(*size);
            }
            let next = Offset(from.0 + u64::from(records));
            parts.push(FetchedPart { log: *log, from: *from, next, records, bytes, error: None });
            if records_left == 0 || bytes_left == 0 {
                break;
            }
        }
        parts
    }

    /// The date of what is appended from now on.
    pub fn set_date(&mut self, date: Date) {
        self.date = date;
    }

    /// Drops the records before `start`, as retention would, and says so.
    pub fn trim(&mut self, log: LogId, start: Offset) -> Option<Event> {
        let entry = self.logs.get_mut(&log)?;
        let kept = entry.sizes_from(start, entry.end()).to_vec();
        entry.start = entry.start.max(start.min(entry.end()));
        entry.dates.drain(..entry.sizes.len() - kept.len());
        entry.sizes = kept;
        Some(Event::LogMoved { log, start: entry.start, end: entry.end() })
    }

    /// Drops the records from `end` on, as a power cut might. What was told of the log is no longer true, so this is
    /// for between two lives of a core.
    pub fn lose_end(&mut self, log: LogId, end: Offset) {
        if let Some(entry) = self.logs.get_mut(&log) {
            entry.sizes = entry.sizes_from(entry.start, end).to_vec();
            entry.dates.truncate(entry.sizes.len());
        }
    }

    /// What can be read of each log.
    pub fn bounds(&self) -> BTreeMap<LogId, Bounds> {
        self.logs.iter().map(|(log, entry)| (*log, Bounds { start: entry.start, end: entry.end() })).collect()
    }

    /// What can be read of one log; nothing of one that is not there.
    pub fn bounds_of(&self, log: LogId) -> Bounds {
        self.logs.get(&log).map(|entry| Bounds { start: entry.start, end: entry.end() }).unwrap_or_default()
    }

    /// The facts persisted so far, in order.
    pub fn facts(&self) -> &[(FactSeq, Fact)] {
        &self.facts
    }

    /// A state made of nothing but the facts persisted so far.
    pub fn fold(&self, ended_remembered: u32) -> Durable {
        let mut durable = Durable::default();
        for (_, fact) in &self.facts {
            durable.apply(fact, ended_remembered);
        }
        durable
    }
}
