//! An engine that behaves as a Kafka cluster does: records lie in topics that are others' as well.
//!
//! ```text
//!   offset     0   1   2   3   4   5   6   7   8
//!   log        a0  x   a1  -   -   b0  x?  c0  x?     a, b, c: records of requests; x: of others
//!                          |   |       '--- stable end: a transaction is open
//!                          '---'--- markers, and what was taken back: no records
//! ```
//!
//! It keeps the true content of each log, whatever anybody has heard of it. Appends may be given up without anybody knowing
//! what became of them, and arrive later, in part or not at all. A core that dies takes nothing along.

mod outside;

use std::collections::BTreeMap;

use takhin_core::{
    AppendId, AppendedAt, Command, Durable, Event, FetchPart, FetchedPart, LogId, Offset, Parts, ReadError, RequestId,
    StorageError, TopicConfig, TopicId, TopicName, response::Bounds,
};

use super::{Engine, Lane, Mishap, Record, Side, record, watching::Watching};
use crate::{
    coverage::{Coverage, Rare},
    tape::Word,
};

/// What the ids of the front's requests have set, beside a number: both cores have requests of their own.
const OF_FRONT: u64 = 1 << 62;
/// What the ids of Kafka's topics have set.
const OF_KAFKA: u64 = 1 << 61;
/// Bytes of a record.
const RECORD_BYTES: u32 = 10;

/// The id of one of the front's requests.
pub(crate) fn request_of_front(n: u64) -> RequestId {
    RequestId(OF_FRONT | n)
}

/// Which core a request was put to.
pub(crate) fn side_of(request: RequestId) -> Side {
    if request.0 & OF_FRONT == 0 { Side::Cell } else { Side::Front }
}

/// A topic as Kafka has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Topic {
    pub(crate) id: TopicId,
    pub(crate) partitions: u32,
    pub(crate) config: TopicConfig,
}

/// What there is beside the records.
#[derive(Debug, Default)]
pub(crate) struct Kafka {
    pub(crate) topics: BTreeMap<TopicName, Topic>,
    pub(crate) watching: Watching,
    /// Topics made so far.
    made: u64,
    /// What chance says of what is being carried out.
    pub(super) word: Word,
    /// Records of others so far.
    others: u64,
    /// The places of the records of transactions that are open.
    open: BTreeMap<LogId, Vec<u64>>,
    /// What was given up and is on its way still.
    adrift: Vec<(LogId, Vec<Record>)>,
    /// Where the records of an append lie.
    placed: BTreeMap<AppendId, Vec<u64>>,
    /// Rare states met since somebody asked.
    pub(crate) met: Vec<Rare>,
}

impl Kafka {
    /// A topic comes under a name that nobody has.
    pub(crate) fn create(&mut self, name: TopicName, partitions: u32, config: TopicConfig) -> Topic {
        self.made += 1;
        let topic = Topic { id: TopicId(OF_KAFKA | self.made), partitions, config };
        self.topics.insert(name, topic);
        topic
    }

    /// The first offset that may still be taken back.
    fn unstable(&self, log: LogId) -> Option<u64> {
        self.open.get(&log)?.first().copied()
    }
}

/// What a node asks for.
impl Engine {
    pub(super) fn execute_on_kafka(&mut self, command: &Command, mishap: Mishap) -> Option<Event> {
        match command {
            Command::Append { id, log, records, .. } => {
                let result = self.append_to_kafka(*id, *log, *records, mishap);
                #[cfg(feature = "planted")]
                if self.planted.leaves_unsaid(result.as_ref().err()) {
                    return None;
                }
                Some(Event::Appended { id: *id, log: *log, result })
            }
            // They are there, or the core would not know of the topic.
            Command::CreateLogs { topic, partitions, .. } => {
                Some(Event::LogsCreated { topic: *topic, partitions: *partitions, result: Ok(()) })
            }
            _ => None,
        }
    }

    fn append_to_kafka(
        &mut self,
        id: AppendId,
        log: LogId,
        count: u32,
        mishap: Mishap,
    ) -> Result<AppendedAt, StorageError> {
        let Some(kafka) = &mut self.kafka else { return Err(StorageError::Failed("there is no cluster".into())) };
        if !self.records.contains_key(&log) || mishap == Mishap::Fails {
            #[cfg(feature = "planted")]
            self.planted.failed(id, None, log);
            return Err(StorageError::Failed("the append was refused".into()));
        }
        let mut word = kafka.word;
        let mine: Vec<Record> = (0..count).map(|n| record(id, None, n.into())).collect();
        if mishap == Mishap::Unknown {
            self.give_up(log, mine, &mut word);
            return Err(StorageError::Uncertain("nobody answered in time".into()));
        }
        let mut places = Vec::with_capacity(mine.len());
        for record in mine {
            if word.per_mille(100) {
                self.put_anothers(log);
            }
            places.push(self.put(log, Some(record)));
        }
        #[cfg(feature = "planted")]
        if let Some(records) = self.records.get_mut(&log) {
            self.planted.appended(log, records);
        }
        let (first, last) = (places.first().copied().unwrap_or_default(), places.last().copied().unwrap_or_default());
        if let Some(kafka) = &mut self.kafka {
            kafka.word = word;
            if last - first >= u64::from(count) {
                kafka.met.push(Rare::RecordsScattered);
            }
            if kafka.unstable(log).is_some() {
                kafka.met.push(Rare::WaitsForTransaction);
            }
            kafka.placed.insert(id, places);
        }
        Ok(AppendedAt { base_offset: Offset(first), end: Offset(last + 1), duplicate: false })
    }

    /// Nobody will know what became of an append: some first part of it is there, and the rest may come.
    fn give_up(&mut self, log: LogId, mut mine: Vec<Record>, word: &mut Word) {
        let rest = mine.split_off(word.index(mine.len() + 1));
        let in_part = !mine.is_empty() && !rest.is_empty();
        self.put_all(log, mine);
        let Some(kafka) = &mut self.kafka else { return };
        if in_part {
            kafka.met.push(Rare::UnknownAppendInPart);
        }
        if !rest.is_empty() && word.one_in(2) {
            kafka.adrift.push((log, rest));
        }
        kafka.word = *word;
    }

    /// Nothing is read that may be taken back, nor of what is gone.
    pub(super) fn only_what_is_stable(&mut self, parts: &mut Parts<FetchPart>) -> Parts<FetchedPart> {
        let is_beyond = |part: &FetchPart| self.start(part.log) > part.to.0;
        if parts.iter().any(is_beyond)
            && let Some(kafka) = &mut self.kafka
        {
            kafka.met.push(Rare::TrimmedBeyondHeard);
        }
        for part in parts.iter_mut() {
            part.to = part.to.min(Offset(self.readable_end(part.log)));
        }
        let gone = parts.iter().filter(|part| !self.has(part.log)).map(|part| FetchedPart {
            log: part.log,
            from: part.from,
            next: part.from,
            records: 0,
            bytes: 0,
            error: Some(ReadError::Storage(StorageError::Failed("the topic was deleted".into()))),
        });
        gone.collect()
    }

    /// Whether a broker has nothing to give for now, though it is there.
    pub(super) fn has_nothing_yet(&mut self) -> bool {
        self.kafka.as_mut().is_some_and(|kafka| kafka.word.one_in(3))
    }

    /// A read may end with its last record, or behind what comes after it and is no record.
    pub(super) fn end_as_kafka_does(&mut self, part: &mut FetchedPart, whole: bool) {
        #[cfg(feature = "planted")]
        if u64::from(part.records) < part.next.0 - part.from.0 {
            part.records = part.records.saturating_sub(self.planted.left_out_at_gap());
        }
        let last = (part.from.0..part.next.0).rev().find(|offset| self.read(part.log, *offset).is_some());
        let Some(kafka) = &mut self.kafka else { return };
        match last {
            Some(last) if !whole && kafka.word.one_in(2) => part.next = Offset(last + 1),
            None if part.next > part.from => kafka.met.push(Rare::ReadsOnlyAPlace),
            _ => {}
        }
    }

    /// Where the records of an append lie. To be asked once.
    pub(crate) fn places(&mut self, id: AppendId) -> Option<Vec<u64>> {
        let places = self.kafka.as_mut()?.placed.remove(&id);
        #[cfg(feature = "planted")]
        return places.map(|places| self.planted.places(places));
        #[cfg(not(feature = "planted"))]
        places
    }

    /// The end of what nobody can take back.
    pub(crate) fn stable_end(&self, log: LogId) -> u64 {
        let end = self.end(log).unwrap_or_default();
        self.kafka.as_ref().and_then(|kafka| kafka.unstable(log)).map_or(end, |at| at.min(end))
    }

    /// The end of what may be read.
    pub(crate) fn readable_end(&self, log: LogId) -> u64 {
        #[cfg(feature = "planted")]
        if self.planted.shows_open_transactions() {
            return self.end(log).unwrap_or_default();
        }
        self.stable_end(log)
    }

    /// What Kafka says of how far a log reaches; [`None`] if it isn't there.
    pub(crate) fn reaches(&self, log: LogId) -> Option<Bounds> {
        self.has(log).then(|| Bounds { start: Offset(self.start(log)), end: Offset(self.readable_end(log)) })
    }

    /// How far the logs reach that a recovery needs to know.
    pub(super) fn bounds_needed(&self, durable: &Durable) -> BTreeMap<LogId, Bounds> {
        durable.logs_needed().into_iter().filter_map(|log| Some((log, self.reaches(log)?))).collect()
    }
}

/// Take-overs.
impl Engine {
    /// A cell's core is void, and with the `front` all of its node. Of what it decided some first entries of the journal are
    /// there; what it had told Kafka to append goes on.
    pub(crate) fn taken_over(&mut self, word: &mut Word, keeps_all: bool, front: bool, coverage: &mut Coverage) {
        let mut goes_on = Vec::new();
        for (lane, queue) in std::mem::take(&mut self.lanes) {
            match lane {
                Lane::Facts => {
                    let kept = if keeps_all { queue.len() } else { word.index(queue.len() + 1) };
                    if kept < queue.len() {
                        coverage.reached(Rare::CrashLosesDecisions);
                    }
                    queue.iter().take(kept).for_each(|entry| drop(self.persist(entry)));
                }
                Lane::Log(log) if front => {
                    for command in queue {
                        let Command::Append { id, records, .. } = command else { continue };
                        if self.has(log) {
                            let mine = (0..records).map(|n| record(id, None, n.into())).collect();
                            self.give_up(log, mine, word);
                        }
                    }
                }
                Lane::Fetch(id) if !front && side_of(id.request) == Side::Front => goes_on.push((lane, queue)),
                Lane::Log(_) => goes_on.push((lane, queue)),
                Lane::Topics | Lane::Lookups | Lane::Fetch(_) => {}
            }
        }
        self.lanes = goes_on;
        self.said = None;
        let of_front = |event: &Event| match event {
            Event::Appended { .. } => true,
            Event::Fetched { id, .. } => side_of(id.request) == Side::Front,
            _ => false,
        };
        self.unsaid.retain(|event| !front && of_front(event));
        if let Some(kafka) = &mut self.kafka {
            kafka.watching.forget(Side::Cell);
            if front {
                kafka.watching.forget(Side::Front);
                kafka.placed.clear();
            }
        }
        #[cfg(feature = "planted")]
        for (log, records) in &mut self.records {
            self.planted.crash(*log, records, &mut self.memory);
        }
    }
}
