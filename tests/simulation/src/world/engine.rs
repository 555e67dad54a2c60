//! The engine of a world: the core's memory engine, behind faults.
//!
//! What waits stands in lanes. Effects of one lane are carried out in order, as the core asks; lanes go in any order.
//! Facts, and appends of one log, are durable in order: a crash keeps some first part of each.
//!
//! With [`Kafka`] beside it, logs are those of a cluster: what differs is in that module.

mod crash;
pub(crate) mod kafka;
mod watching;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use takhin_core::{
    AppendId, Command, Date, Durable, Event, FactSeq, FetchId, FetchPart, FetchedPart, LogId, Offset, Parts,
    ProducerStamp, ReadError, RequestId, StorageError, StorageState, TopicId, TopicName, memory::MemoryEngine,
    response::Bounds,
};

use self::kafka::Kafka;
pub(crate) use self::watching::Side;
use crate::{
    engine_kind::EngineKind,
    tape::{Word, mix},
};

/// What a waiting command has to keep its order with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// All facts.
    Facts,
    /// The making and removing of logs.
    Topics,
    /// Dates to be looked up.
    Lookups,
    /// The appends of one log.
    Log(LogId),
    /// One fetch.
    Fetch(FetchId),
}

/// What goes wrong as a command is carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mishap {
    None,
    /// It fails, and does nothing.
    Fails,
    /// It brings less than it might.
    Short,
    /// It is done, or not, or in part, and nobody learns which.
    Unknown,
}

/// Where records and facts are kept, and what waits to be done.
#[derive(Debug, Default)]
pub(crate) struct Engine {
    memory: MemoryEngine,
    /// The record at each offset of a log, from 0; those that were trimmed too.
    records: BTreeMap<LogId, Vec<Record>>,
    /// What the facts that are durable add up to.
    pub(crate) durable: Durable,
    /// What the facts up to one added up to: those before it are needed no more.
    base: (Durable, FactSeq),
    lanes: Vec<(Lane, VecDeque<Command>)>,
    spare: Vec<VecDeque<Command>>,
    /// Done, and not said.
    pub(crate) unsaid: Vec<Event>,
    /// Said last.
    pub(crate) said: Option<Event>,
    pub(crate) blocked: BTreeSet<LogId>,
    corrupt: Vec<(LogId, Offset, Offset)>,
    /// Records that were compacted away.
    holes: BTreeMap<LogId, BTreeSet<u64>>,
    /// Whether a read went over such records.
    pub(crate) read_over_gap: bool,
    /// Logs of which something could once not be read, or that are being removed: not all of them reaches everybody.
    pub(crate) excused: BTreeSet<LogId>,
    pub(crate) state: StorageState,
    /// Appends of which nothing is known since a sync failed.
    uncertain: Vec<Command>,
    ended_remembered: u32,
    /// What a cluster has beside, if the logs are one's.
    pub(crate) kafka: Option<Kafka>,
    #[cfg(feature = "planted")]
    pub(crate) planted: super::planted::Planted,
}

/// What stands at an offset: it follows from the append and from the place in it.
pub(crate) type Record = u64;

/// The `n`-th record of an append; of one that can be recognized it is the same whenever it is sent.
pub(crate) fn record(append: AppendId, stamp: Option<ProducerStamp>, n: u64) -> Record {
    let Some(ProducerStamp { producer, epoch, sequence }) = stamp else {
        return mix(append.request.0 << 16 ^ u64::from(append.partition) << 8 ^ n) | 1;
    };
    let of = mix(producer.0) ^ u64::from(epoch) << 32;
    if producer.is_keyed() {
        mix(mix(of ^ u64::from(sequence)) + n) | 1
    } else {
        mix(of ^ (u64::from(sequence) + n)) | 1
    }
}

fn stamp(append: &Command) -> Option<ProducerStamp> {
    if let Command::Append { producer, .. } = append { *producer } else { None }
}

/// The same places, and nothing to be read there.
fn nothing_of(mut parts: Parts<FetchPart>) -> Parts<FetchPart> {
    for part in &mut parts {
        part.to = part.from;
    }
    parts
}

impl Engine {
    pub(crate) fn new(kind: EngineKind, ended_remembered: u32) -> Self {
        let kafka = (kind == EngineKind::Kafka).then(Kafka::default);
        Self { ended_remembered, kafka, ..Self::default() }
    }

    pub(crate) fn take(&mut self, command: Command) {
        let lane = match &command {
            Command::Append { log, .. } => Lane::Log(*log),
            Command::Fetch { id, .. } => Lane::Fetch(*id),
            Command::CreateLogs { .. } | Command::ConfigureLogs { .. } | Command::DeleteLogs { .. } => Lane::Topics,
            Command::Lookup { .. } => Lane::Lookups,
            Command::Persist { .. } => Lane::Facts,
            Command::Discard { .. } | Command::Reply { .. } => return,
        };
        if let Some((_, queue)) = self.lanes.iter_mut().find(|(of, _)| *of == lane) {
            return queue.push_back(command);
        }
        let mut queue = self.spare.pop().unwrap_or_default();
        queue.push_back(command);
        self.lanes.push((lane, queue));
    }

    /// Whether anything waits that could be carried out.
    pub(crate) fn is_idle(&self) -> bool {
        !self.lanes.iter().any(|(lane, queue)| self.can_run(*lane, queue))
    }

    /// Whether something is to be read for a request.
    pub(crate) fn is_fetching(&self, request: RequestId) -> bool {
        self.lanes.iter().any(|(lane, _)| matches!(lane, Lane::Fetch(id) if id.request == request))
    }

    /// Whether nothing waits.
    pub(crate) fn is_empty(&self) -> bool {
        self.lanes.is_empty() && self.unsaid.is_empty()
    }

    fn can_run(&self, lane: Lane, queue: &VecDeque<Command>) -> bool {
        #[cfg(feature = "planted")]
        if self.planted.holds_all() && matches!(lane, Lane::Log(_)) && !self.blocked.is_empty() {
            return false;
        }
        match (lane, queue.front()) {
            (Lane::Facts, _) => self.state == StorageState::Ok,
            (Lane::Log(log), _) => !self.blocked.contains(&log),
            (Lane::Fetch(_), Some(Command::Fetch { parts, whole, .. })) if !self.blocked.is_empty() => {
                let mut blocked = parts.iter().map(|part| self.blocked.contains(&part.log));
                if *whole { !blocked.any(|blocked| blocked) } else { blocked.any(|blocked| !blocked) }
            }
            _ => true,
        }
    }

    /// Carries out something of those that `wanted` wants, and says what came of it.
    pub(crate) fn run(&mut self, word: &mut Word, mishap: Mishap, wanted: fn(Lane) -> bool) -> Option<Event> {
        let first = word.index(self.lanes.len());
        let order = (first..self.lanes.len()).chain(0..first);
        let lane = order.into_iter().find(|at| {
            let (lane, queue) = &self.lanes[*at];
            wanted(*lane) && self.can_run(*lane, queue)
        })?;
        let queue = &mut self.lanes[lane].1;
        let command = queue.pop_front()?;
        if queue.is_empty() {
            let (_, queue) = self.lanes.remove(lane);
            self.spare.push(queue);
        }
        if let Some(kafka) = &mut self.kafka {
            kafka.word = *word;
        }
        let event = self.execute(command, mishap);
        if let Some(kafka) = &self.kafka {
            *word = kafka.word;
        }
        event
    }

    fn execute(&mut self, command: Command, mishap: Mishap) -> Option<Event> {
        let fails = mishap == Mishap::Fails;
        let of_node = matches!(command, Command::Fetch { .. } | Command::Persist { .. } | Command::Lookup { .. });
        if self.kafka.is_some() && !of_node {
            return self.execute_on_kafka(&command, mishap);
        }
        match command {
            Command::Append { id, log, .. } => {
                #[cfg(feature = "planted")]
                let stamp = stamp(&command);
                let error = match &self.state {
                    _ if fails => StorageError::Failed("an append failed".into()),
                    _ if !self.records.contains_key(&log) => StorageError::Failed("there is no such log".into()),
                    StorageState::Ok => return self.append(&command, id, log),
                    StorageState::Stalled(error) => error.clone(),
                    StorageState::Failed(_) => {
                        self.uncertain.push(command);
                        StorageError::Uncertain("the sync failed".into())
                    }
                };
                #[cfg(feature = "planted")]
                self.planted.failed(id, stamp, log);
                Some(Event::Appended { id, log, result: Err(error) })
            }
            Command::Fetch { id, max_records, max_bytes, parts, whole } => {
                let not_yet = mishap == Mishap::Short && self.has_nothing_yet();
                // Where only all of it will do, what is not there yet is a failure.
                let fails = fails || (not_yet && whole);
                let parts = if not_yet { nothing_of(parts) } else { parts };
                let max_records = if mishap == Mishap::Short && !whole { 1 } else { max_records };
                Some(Event::Fetched { id, parts: self.fetch(id, parts, max_records, max_bytes, whole, fails) })
            }
            Command::CreateLogs { topic, partitions, .. } if fails || self.state != StorageState::Ok => {
                let result = Err(StorageError::Failed("logs could not be made".into()));
                Some(Event::LogsCreated { topic, partitions, result })
            }
            Command::CreateLogs { topic, first, partitions, .. } => {
                self.records.extend((first..partitions).map(|partition| (LogId { topic, partition }, Vec::new())));
                self.memory.execute(&command)
            }
            Command::DeleteLogs { topic, .. } => {
                self.forget(topic);
                None
            }
            Command::Persist { .. } => self.persist(&command),
            Command::Lookup { consumer, log, at, .. } if fails => {
                let result = Err(StorageError::Failed("a read failed".into()));
                Some(Event::LookedUp { consumer, log, at, result })
            }
            Command::Lookup { .. } | Command::ConfigureLogs { .. } => self.memory.execute(&command),
            Command::Discard { .. } | Command::Reply { .. } => None,
        }
    }

    fn append(&mut self, command: &Command, id: AppendId, log: LogId) -> Option<Event> {
        let event = self.memory.execute(command);
        if let (Some(Event::Appended { result: Ok(at), .. }), Some(records)) = (&event, self.records.get_mut(&log)) {
            let new = if at.duplicate { 0 } else { at.end.0 - at.base_offset.0 };
            for n in 0..new {
                records.push(record(id, stamp(command), n));
            }
            #[cfg(feature = "planted")]
            self.planted.appended(log, records);
        }
        event
    }

    fn persist(&mut self, command: &Command) -> Option<Event> {
        if let Command::Persist { facts, .. } = command {
            for fact in facts {
                self.durable.apply(fact, self.ended_remembered);
            }
        }
        self.memory.execute(command)
    }

    fn fetch(
        &mut self,
        id: FetchId,
        mut parts: Parts<FetchPart>,
        max_records: u32,
        max_bytes: u32,
        whole: bool,
        fails: bool,
    ) -> Parts<FetchedPart> {
        let unread = |part: &FetchPart, error| FetchedPart {
            log: part.log,
            from: part.from,
            next: part.from,
            records: 0,
            bytes: 0,
            error: Some(error),
        };
        if fails {
            let error = ReadError::Storage(StorageError::Failed("a read failed".into()));
            return parts.iter().take(1).map(|part| unread(part, error.clone())).collect();
        }
        let mut damaged = Parts::new();
        if self.kafka.is_some() {
            damaged = self.only_what_is_stable(&mut parts);
        }
        parts.retain(|part| !self.blocked.contains(&part.log) && self.records.contains_key(&part.log));
        if !self.corrupt.is_empty() {
            for part in &mut parts {
                for (_, at, next) in self.corrupt.iter().filter(|(log, ..)| *log == part.log) {
                    if (*at..*next).contains(&part.from) {
                        damaged.push(unread(part, ReadError::Corrupt { at: part.from, next: *next }));
                    } else if part.from < *at {
                        part.to = part.to.min(*at);
                    }
                }
            }
            parts.retain(|part| !damaged.iter().any(|unread: &FetchedPart| unread.log == part.log));
        }
        let command = Command::Fetch { id, max_records, max_bytes, parts, whole };
        if let Some(Event::Fetched { mut parts, .. }) = self.memory.execute(&command) {
            parts.iter_mut().for_each(|part| self.leave_out(part));
            if self.kafka.is_some() {
                parts.iter_mut().for_each(|part| self.end_as_kafka_does(part, whole));
            }
            parts.extend(damaged);
            return parts;
        }
        damaged
    }

    /// What was compacted away is not brought.
    fn leave_out(&mut self, part: &mut FetchedPart) {
        let Some(holes) = self.holes.get(&part.log) else { return };
        let gone = u32::try_from(holes.range(part.from.0..part.next.0).count()).unwrap_or(u32::MAX);
        part.bytes -= gone * (part.bytes / part.records.max(1));
        part.records -= gone;
        self.read_over_gap |= gone > 0;
    }

    /// The record at an offset, whatever became of it, if the log ever had it.
    pub(crate) fn record(&self, log: LogId, offset: u64) -> Option<Record> {
        self.records.get(&log)?.get(usize::try_from(offset).ok()?).copied()
    }

    /// The record that a read of an offset brings.
    pub(crate) fn read(&self, log: LogId, offset: u64) -> Option<Record> {
        #[cfg(feature = "planted")]
        let offset = self.planted.read(offset, self.start(log));
        let gone = self.holes.get(&log).is_some_and(|holes| holes.contains(&offset));
        if gone { None } else { self.record(log, offset) }
    }

    /// Whether there is such a log.
    pub(crate) fn has(&self, log: LogId) -> bool {
        self.records.contains_key(&log)
    }

    /// Where a log starts.
    pub(crate) fn start(&self, log: LogId) -> u64 {
        self.memory.bounds_of(log).start.0
    }

    /// What a recovery is told of how far logs reach.
    pub(crate) fn bounds(&self, durable: &Durable) -> BTreeMap<LogId, Bounds> {
        let bounds = if self.kafka.is_some() { self.bounds_needed(durable) } else { self.memory.bounds() };
        #[cfg(feature = "planted")]
        return self.planted.bounds(bounds);
        #[cfg(not(feature = "planted"))]
        bounds
    }

    /// What is durable of a log.
    pub(crate) fn end(&self, log: LogId) -> Option<u64> {
        self.records.get(&log).map(|records| records.len() as u64)
    }

    /// The logs there are, in order.
    pub(crate) fn logs(&self) -> impl Iterator<Item = LogId> + '_ {
        self.records.keys().copied()
    }

    /// One of the logs there are.
    pub(crate) fn some_log(&self, word: &mut Word) -> Option<LogId> {
        let at = word.index(self.records.len());
        self.records.keys().nth(at).copied()
    }

    /// Drops the records before an offset.
    pub(crate) fn trim(&mut self, log: LogId, start: Offset) -> Option<Event> {
        self.memory.trim(log, start)
    }

    /// All that was ever written to each log, in order.
    pub(crate) fn all_records(&self) -> impl Iterator<Item = (LogId, &[Record])> + '_ {
        self.records.iter().map(|(log, records)| (*log, &records[..]))
    }

    /// The date of what is appended from now on.
    pub(crate) fn set_date(&mut self, date: Date) {
        self.memory.set_date(date);
    }

    /// Whether a topic is compacted.
    pub(crate) fn compacts(&self, topic: TopicId) -> bool {
        if let Some(kafka) = &self.kafka {
            return kafka.topics.values().any(|of| of.id == topic && of.config.cleanup.compacts());
        }
        self.durable.topics.get(&topic).is_some_and(|topic| topic.config.cleanup.compacts())
    }

    /// Compaction drops a record and the one after it, but never a log's last one.
    pub(crate) fn compact(&mut self, log: LogId, at: Offset) {
        let end = self.end(log).unwrap_or_default();
        let holes = self.holes.entry(log).or_default();
        holes.extend((at.0..at.0 + 2).filter(|offset| offset + 1 < end));
    }

    /// Whether a date is being looked up.
    pub(crate) fn is_looking_up(&self) -> bool {
        self.lanes.iter().any(|(lane, _)| *lane == Lane::Lookups)
    }

    /// Makes two records from an offset on unreadable.
    pub(crate) fn corrupt(&mut self, log: LogId, at: Offset) {
        self.corrupt.push((log, at, Offset(at.0 + 2)));
        self.excused.insert(log);
    }

    /// A topic's logs are about to go.
    pub(crate) fn excuse(&mut self, topic: TopicId) {
        self.excused.extend(self.records.keys().filter(|log| log.topic == topic));
    }

    /// Everything that is wrong with single logs is mended.
    pub(crate) fn heal(&mut self) {
        self.blocked.clear();
        self.corrupt.clear();
    }

    fn forget(&mut self, topic: TopicId) {
        self.records.retain(|log, _| log.topic != topic);
        self.blocked.retain(|log| log.topic != topic);
        self.corrupt.retain(|(log, ..)| log.topic != topic);
        self.holes.retain(|log, _| log.topic != topic);
        self.excused.retain(|log| log.topic != topic);
        let name = TopicName::new("gone").expect("a good name");
        self.memory.execute(&Command::DeleteLogs { topic, name, partitions: 0 });
    }
}
