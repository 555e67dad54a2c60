//! What clients were told, all of them together, and what must hold of it: records, deliveries and commits as they
//! are seen from outside.

use std::collections::BTreeMap;

use rustc_hash::{FxHashMap, FxHashSet};
use takhin_core::{
    AppendId, LogId, Offset, ProduceBatch as Batch, ProducerId, ProducerStamp, RequestId, response::DeliveredPart,
};

use crate::{
    engine_kind::EngineKind,
    history::{Ask, History, Ticket},
    oracle::{Violation, must},
    world::engine::{Engine, Record, record},
};

/// Whoever sent what is recognized by its stamp.
const NOBODY: AppendId = AppendId { request: RequestId(0), partition: 0 };
/// Nothing was committed.
pub(crate) const NOTHING: u64 = u64::MAX;

/// What is committed for a partition, as one number: the offset, and what is remembered with it, less than 256.
pub(crate) fn what_is_committed(offset: Offset, metadata: Option<&str>) -> u64 {
    offset.0 << 8 | metadata.map_or(0, |text| text.parse().unwrap_or(0xFF))
}

/// Commits of one group and log that are remembered with their moments.
const MAX_COMMITS: usize = 16;

/// What clients know.
#[derive(Debug, Default)]
pub(crate) struct Model {
    /// Whether others append to the logs, too: an end says little then.
    shared: bool,
    /// At least so far a log must be said to reach, to whoever asked.
    floors: BTreeMap<(LogId, Ticket), Offset>,
    /// The record that somebody was told to be at an offset; 0 where nobody was told.
    told: BTreeMap<LogId, Vec<Record>>,
    /// Records of appends that failed and did nothing.
    failed: FxHashSet<Record>,
    /// Records that can be recognized: whose, of which epoch, and which number.
    numbered: FxHashMap<Record, (ProducerId, u16, u32)>,
    progress: BTreeMap<(usize, LogId), Progress>,
    ends: BTreeMap<LogId, History>,
    commits: BTreeMap<(usize, LogId), History>,
}

/// How far a group is in a log.
#[derive(Debug, Default)]
struct Progress {
    /// All records before it were received by some client of the group, or can't be any more.
    received: u64,
    /// What was committed, and in which step, oldest first.
    commits: Vec<(u64, u64)>,
}

impl Model {
    pub(crate) fn new(engine: EngineKind) -> Self {
        Self { shared: engine == EngineKind::Kafka, ..Self::default() }
    }

    /// A producer is told where its records are: from an offset on, or each at a place of its own.
    pub(crate) fn appended(
        &mut self,
        id: AppendId,
        log: LogId,
        (at, places): (Offset, Option<Vec<u64>>),
        batch: &Batch,
        engine: &Engine,
    ) -> Result<(), Violation> {
        let places = places.unwrap_or_else(|| (at.0..).take(batch.records as usize).collect());
        must!(
            places.first() == Some(&at.0) && places.is_sorted(),
            OffsetsDense,
            "{log}: {at:?} is told, and the records are at {places:?}"
        );
        for (n, place) in (0..).zip(places) {
            let record = record(id, batch.producer, n);
            let there = engine.record(log, place);
            must!(
                !self.shared || there.is_none_or(|there| there == record),
                OffsetsDense,
                "{log}: record {n} of {id} is said to be at {place}, and another one is"
            );
            self.tell(log, place, record)?;
        }
        Ok(())
    }

    /// A producer is told that its records are not there. Those that can be recognized may be sent again.
    pub(crate) fn append_failed(&mut self, id: AppendId, batch: &Batch) {
        if batch.producer.is_none() {
            self.failed.extend((0..u64::from(batch.records)).map(|n| record(id, None, n)));
        }
    }

    /// Records are sent that can be recognized.
    pub(crate) fn sends(&mut self, stamp: ProducerStamp, records: u32) {
        let first = if stamp.producer.is_keyed() { 0 } else { stamp.sequence };
        for n in 0..records {
            let of = record(NOBODY, Some(stamp), n.into());
            self.numbered.insert(of, (stamp.producer, stamp.epoch, first + n));
        }
    }

    /// What a producer numbered is in a log once, in order, and without a gap.
    pub(crate) fn must_be_in_order(&self, engine: &Engine) -> Result<(), Violation> {
        for (log, records) in engine.all_records().filter(|_| !self.numbered.is_empty()) {
            let mut reached: BTreeMap<ProducerId, (u16, u32)> = BTreeMap::new();
            for (offset, record) in records.iter().enumerate() {
                let Some((producer, epoch, number)) = self.numbered.get(record).copied() else { continue };
                let (last, next) = reached.get(&producer).copied().unwrap_or_default();
                let follows = (epoch == last && number == next) || (epoch > last && number == 0);
                must!(
                    follows,
                    RetriesRecognized,
                    "{log}: at {offset} is record {number} of {producer:?} in epoch {epoch}, after {next} in {last}"
                );
                reached.insert(producer, (epoch, number + 1));
            }
        }
        Ok(())
    }

    /// A group was forgotten, with all its offsets; a crash may bring it back.
    pub(crate) fn group_forgotten(&mut self, group: usize) {
        for (_, progress) in self.progress.iter_mut().filter(|((of, _), _)| *of == group) {
            progress.commits.clear();
        }
        for (_, history) in self.commits.iter_mut().filter(|((of, _), _)| *of == group) {
            history.begin(Ask::Set(NOTHING));
        }
    }

    /// Somebody reads.
    pub(crate) fn read(&mut self, log: LogId, from: Offset, next: Offset, engine: &Engine) -> Result<(), Violation> {
        for offset in from.0..next.0 {
            if let Some(record) = engine.read(log, offset) {
                let stable = !self.shared || offset < engine.stable_end(log);
                must!(stable, ReadsWithinBounds, "{log}: {offset} is read, and may still be taken back");
                self.tell(log, offset, record)?;
            }
        }
        Ok(())
    }

    /// An answer brings every record that there is where it says that it read, and no more than there ever were.
    pub(crate) fn must_be_all(&self, part: &DeliveredPart, engine: &Engine) -> Result<(), Violation> {
        if !self.shared || !engine.has(part.log) {
            return Ok(());
        }
        let log = part.log;
        let (mut left, mut ever) = (0, 0);
        for offset in part.from.0..part.next.0 {
            left += u32::from(engine.read(log, offset).is_some());
            ever += u32::from(engine.record(log, offset).is_some_and(|record| record != 0));
        }
        let all = (left..=ever).contains(&part.records);
        must!(all, ReadsContinuous, "{log}: {part:?} is delivered, and there are {left} records, of {ever}");
        Ok(())
    }

    fn tell(&mut self, log: LogId, offset: u64, record: Record) -> Result<(), Violation> {
        let told = self.told.entry(log).or_default();
        let at = usize::try_from(offset).unwrap_or(usize::MAX);
        if told.len() <= at {
            told.resize(at + 1, 0);
        }
        if told[at] != record {
            must!(!self.failed.contains(&record), FailedUnseen, "{log}: what is at {offset} was said not to be there");
        }
        if told[at] == 0 {
            told[at] = record;
        }
        must!(told[at] == record, ReadsAgree, "{log}: {offset} was told to be another record");
        Ok(())
    }

    /// After a crash: what anybody was told must be there.
    pub(crate) fn must_have_survived(&self, engine: &Engine) -> Result<(), Violation> {
        for (log, told) in &self.told {
            let Some(end) = engine.end(*log) else { continue };
            for (offset, record) in (0..).zip(told).filter(|(_, record)| **record != 0) {
                let survived = offset < end && engine.record(*log, offset) == Some(*record);
                must!(survived, AcknowledgedSurvives, "{log}: the record at {offset} is gone, the end is {end}");
            }
        }
        Ok(())
    }

    /// A client of a group receives records.
    pub(crate) fn received(
        &mut self,
        group: usize,
        log: LogId,
        (from, next): (u64, u64),
        asked_at: u64,
        start: u64,
    ) -> Result<(), Violation> {
        let progress = self.progress.entry((group, log)).or_default();
        let committed = progress.commits.iter().rev().find(|(at, _)| *at < asked_at).map_or(0, |(_, offset)| *offset);
        must!(from >= committed, DeliveredOnce, "{log}: {from} is delivered again, {committed} was committed");
        let reached = progress.received.max(start);
        must!(from <= reached, DeliveredOnce, "{log}: {from} is delivered, and what is from {reached} on never was");
        progress.received = reached.max(next);
        Ok(())
    }

    /// Whether a group received every record that is in a log.
    pub(crate) fn has_all(&self, group: usize, log: LogId, engine: &Engine) -> bool {
        let received = self.progress.get(&(group, log)).map_or(0, |progress| progress.received);
        (received.max(engine.start(log))..engine.stable_end(log)).all(|offset| engine.read(log, offset).is_none())
    }

    /// A commit is decided for a group that plays by the rules.
    pub(crate) fn commit_decided(
        &mut self,
        (group, log): (usize, LogId),
        offset: u64,
        step: u64,
        start: u64,
    ) -> Result<(), Violation> {
        let progress = self.progress.entry((group, log)).or_default();
        let before = progress.commits.last().map_or(0, |(_, offset)| *offset);
        must!(offset.max(start) >= before, DeliveredOnce, "{log}: {offset} is committed after {before}");
        let received = progress.received.max(start);
        must!(offset <= received, DeliveredOnce, "{log}: {offset} is committed, and {received} not yet received");
        if progress.commits.len() == MAX_COMMITS {
            progress.commits.remove(0);
        }
        progress.commits.push((step, offset));
        Ok(())
    }

    /// After a crash: these commits are left of what was decided.
    pub(crate) fn commits_are(&mut self, committed: impl Fn(usize, LogId) -> Option<Offset>) {
        for ((group, log), progress) in &mut self.progress {
            let left = committed(*group, *log);
            progress.commits.clear();
            progress.commits.extend(left.map(|offset| (0, offset.0)));
        }
    }
}

/// Histories.
impl Model {
    pub(crate) fn begin_append(&mut self, log: LogId, records: u32) -> Ticket {
        if self.shared {
            return Ticket::NONE;
        }
        self.ends.entry(log).or_insert_with(|| History::new(0)).begin(Ask::Append(records.into()))
    }

    pub(crate) fn append_ended(&mut self, log: LogId, ticket: Ticket, base: Option<Offset>) -> Result<(), Violation> {
        let Some(history) = self.ends.get_mut(&log) else { return Ok(()) };
        let holds = match base {
            Some(base) => history.happened(ticket, Some(base.0)),
            None => history.did_not_happen(ticket),
        };
        must!(holds, Linearizable, "{log}: no order of requests explains an append at {base:?}");
        Ok(())
    }

    /// Somebody asks for a log's end, of which `known` is known to be said before.
    pub(crate) fn begin_end(&mut self, log: LogId, known: Offset) -> Ticket {
        if self.shared {
            let ticket = Ticket::NONE.after(self.floors.keys().map(|(_, ticket)| *ticket).max());
            self.floors.insert((log, ticket), known);
            return ticket;
        }
        self.ends.entry(log).or_insert_with(|| History::new(0)).begin(Ask::Get)
    }

    pub(crate) fn end_told(
        &mut self,
        log: LogId,
        ticket: Ticket,
        end: Option<Offset>,
        engine: &Engine,
    ) -> Result<(), Violation> {
        if let Some(floor) = self.floors.remove(&(log, ticket)) {
            let there = engine.end(log).map(Offset);
            let holds = end.zip(there).is_none_or(|(end, there)| (floor..=there).contains(&end));
            must!(holds, Linearizable, "{log} is said to end at {end:?}, and was at {floor:?}, and is at {there:?}");
            return Ok(());
        }
        let Some(history) = self.ends.get_mut(&log) else { return Ok(()) };
        let Some(end) = end else {
            history.forget(ticket);
            return Ok(());
        };
        let holds = history.happened(ticket, Some(end.0));
        must!(holds, Linearizable, "{log}: no order of requests explains the end {end:?}");
        Ok(())
    }

    pub(crate) fn begin_commit(&mut self, group: usize, log: LogId, what: u64) -> Ticket {
        self.commits.entry((group, log)).or_insert_with(|| History::new(NOTHING)).begin(Ask::Set(what))
    }

    pub(crate) fn commit_ended(
        &mut self,
        (group, log): (usize, LogId),
        ticket: Ticket,
        happened: bool,
    ) -> Result<(), Violation> {
        let Some(history) = self.commits.get_mut(&(group, log)) else { return Ok(()) };
        let holds = if happened { history.happened(ticket, None) } else { history.did_not_happen(ticket) };
        must!(holds, Linearizable, "{log}: no order of requests explains a commit that ends with {happened}");
        Ok(())
    }

    pub(crate) fn begin_committed(&mut self, group: usize, log: LogId) -> Ticket {
        self.commits.entry((group, log)).or_insert_with(|| History::new(NOTHING)).begin(Ask::Get)
    }

    /// `told`: what is said to be committed, [`NOTHING`] if nothing is; [`None`] if no answer came that speaks of the
    /// log.
    pub(crate) fn committed_told(
        &mut self,
        (group, log): (usize, LogId),
        ticket: Ticket,
        told: Option<u64>,
    ) -> Result<(), Violation> {
        let Some(history) = self.commits.get_mut(&(group, log)) else { return Ok(()) };
        let Some(told) = told else {
            history.forget(ticket);
            return Ok(());
        };
        let holds = history.happened(ticket, Some(told));
        must!(holds, Linearizable, "{log}: no order of requests explains that {told:?} is committed");
        Ok(())
    }

    /// After a crash: where logs end, and what is committed.
    pub(crate) fn histories_restart(
        &mut self,
        end: impl Fn(LogId) -> Option<u64>,
        committed: impl Fn(usize, LogId) -> u64,
    ) -> Result<(), Violation> {
        // With a topic all that was said of it goes.
        self.ends.retain(|log, _| end(*log).is_some());
        self.commits.retain(|(_, log), _| end(*log).is_some());
        for (log, history) in &mut self.ends {
            let Some(end) = end(*log) else { continue };
            must!(history.restart(end), Linearizable, "{log}: no order of requests explains the end {end}");
        }
        for ((group, log), history) in &mut self.commits {
            let left = committed(*group, *log);
            let holds = history.restart(left);
            must!(holds, Linearizable, "{log}: no order of requests explains that {left:?} is left");
        }
        Ok(())
    }
}
