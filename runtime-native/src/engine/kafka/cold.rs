//! Reading what is not in memory: a few clients that are moved to where somebody reads.
//!
//! A handle stays where it was read last and fetches on from there, so whoever reads on finds what comes next. It serves
//! one read at a time. A read takes the handle that is at its place, else the one that was used the longest time ago.

use std::{
    fmt,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use rdkafka::error::RDKafkaErrorCode;
use takhin_core::{LogId, Offset};

use super::{
    KafkaConfig, RecordsStats, bounds,
    client::{Fetching, reader},
    names::KafkaName,
    native::{Message, Messages, Source, Stream},
    run::{Packer, Run},
};
use crate::engine::{Chunk, ReadError, ReadOutcome, ReadPart};

/// How many there are at most.
const HANDLES: usize = 4;
/// A fetch that is under way keeps a handle from reading elsewhere, so it must not wait long for more.
const FETCHING: Fetching = Fetching { wait: Duration::from_millis(10), ahead_kib: 4 << 10 };
/// How much a handle keeps of what was read already.
const KEPT_BYTES: usize = 4 << 20;
/// A handle at a log's end would ask for more all the time.
const IDLE: Duration = Duration::from_secs(5);
/// How long is waited for more of what is being fetched. A broker gives a megabyte at a time, so a read that may bring more takes
/// several answers.
const MORE: Duration = Duration::from_millis(100);
/// How long is waited for what should be there and is not stable.
const UNSTABLE: Duration = Duration::from_millis(500);

/// The handles.
pub(super) struct Pool {
    config: KafkaConfig,
    slots: Mutex<Vec<Slot>>,
    returned: Condvar,
    stats: Arc<RecordsStats>,
}

/// One place in the pool.
#[derive(Debug)]
struct Slot {
    /// Not here while it is in use.
    handle: Option<Box<Handle>>,
    /// Where it is: its log, the first offset that it has, and the one at which it goes on.
    at: Option<(LogId, Offset, Offset)>,
    used: Instant,
}

impl fmt::Debug for Pool {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Pool").finish_non_exhaustive()
    }
}

/// Which log is read, and in which form.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted<'a> {
    pub(super) part: &'a ReadPart,
    pub(super) name: &'a KafkaName,
    pub(super) stored: bool,
}

impl Pool {
    pub(super) fn new(config: &KafkaConfig, stats: Arc<RecordsStats>) -> Self {
        Self { config: config.clone(), slots: Mutex::default(), returned: Condvar::new(), stats }
    }

    /// Reads, waiting for brokers.
    pub(super) fn read(&self, wanted: &Wanted<'_>, out: &mut Chunk) -> Result<ReadOutcome, ReadError> {
        let deadline = Instant::now() + self.config.timeout;
        let (at, mut handle) = self.take(wanted.part, deadline)?;
        let result = handle.read(wanted, deadline, &self.stats, out);
        self.give_back(at, handle);
        result
    }

    /// Has handles that nobody uses fetch no more.
    pub(super) fn rest(&self) {
        let mut slots = self.lock();
        for slot in slots.iter_mut().filter(|slot| slot.used.elapsed() >= IDLE) {
            if let Some(handle) = &mut slot.handle {
                handle.leave();
                slot.at = None;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, part: &ReadPart, deadline: Instant) -> Result<(usize, Box<Handle>), ReadError> {
        let mut slots = self.lock();
        loop {
            let is_there = |slot: &Slot| {
                slot.at.is_some_and(|(log, from, to)| log == part.log && (from..=to).contains(&part.from))
            };
            let place = if let Some(place) = slots.iter().position(is_there) {
                Some(place)
            } else if slots.len() < HANDLES && slots.iter().all(|slot| slot.handle.is_none() || slot.at.is_some()) {
                let handle = Handle::new(&self.config).map_err(|error| ReadError::Failed(error.to_string()))?;
                self.stats.handles.inc();
                slots.push(Slot { handle: Some(Box::new(handle)), at: None, used: Instant::now() });
                Some(slots.len() - 1)
            } else {
                let idle = slots.iter().enumerate().filter(|(_, slot)| slot.handle.is_some());
                idle.min_by_key(|(_, slot)| (slot.at.is_some(), slot.used)).map(|(place, _)| place)
            };
            if let Some((place, handle)) = place.and_then(|place| Some((place, slots[place].handle.take()?))) {
                // Who wants the same waits for this one; who wants something else leaves it alone.
                slots[place].at = Some((part.log, part.from, part.from));
                return Ok((place, handle));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(ReadError::Failed("too many reads of what is not in memory at a time".to_owned()));
            }
            slots = self.returned.wait_timeout(slots, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn give_back(&self, place: usize, handle: Box<Handle>) {
        let mut slots = self.lock();
        let at = handle.at();
        slots[place] = Slot { handle: Some(handle), at, used: Instant::now() };
        drop(slots);
        self.returned.notify_all();
    }
}

/// One client, and where it is.
#[derive(Debug)]
struct Handle {
    // Before the client to which they belong.
    messages: Messages,
    stream: Stream,
    place: Option<Place>,
}

#[derive(Debug)]
struct Place {
    log: LogId,
    name: KafkaName,
    source: Source,
    run: Run,
    /// Whether the run's end was the log's when it was reached.
    ended: bool,
    /// Whether it can't go on from the run's end.
    broken: bool,
}

/// What came of a look for what was fetched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Absorbed {
    Some,
    /// Nothing yet.
    Nothing,
    /// Nothing, and there will be nothing.
    NoMore,
}

/// Why a handle can't go on.
enum Stuck {
    /// The log has no such offset.
    OutOfRange,
    /// Something else, in words.
    Failed(String),
    /// The bytes at this offset.
    Corrupt(Offset),
    /// There is no such log.
    Gone,
}

impl Handle {
    fn new(config: &KafkaConfig) -> Result<Self, super::KafkaError> {
        let stream = Stream::new(Arc::new(reader(config, FETCHING)?))?;
        Ok(Self { messages: Messages::default(), stream, place: None })
    }

    /// Its log, and from where to where it can be read on.
    fn at(&self) -> Option<(LogId, Offset, Offset)> {
        self.place.as_ref().map(|place| (place.log, place.run.start(), place.run.end()))
    }

    fn leave(&mut self) {
        if let Some(place) = self.place.take()
            && let Err(error) = self.stream.stop(&place.name, place.log.partition)
        {
            tracing::debug!(log = %place.log, %error, "a log that was read is gone");
        }
    }

    fn read(
        &mut self,
        wanted: &Wanted<'_>,
        deadline: Instant,
        stats: &RecordsStats,
        out: &mut Chunk,
    ) -> Result<ReadOutcome, ReadError> {
        let part = wanted.part;
        self.go_to(wanted, stats).map_err(ReadError::Failed)?;
        let began = Instant::now();
        let mut wait = Duration::ZERO;
        loop {
            let patient = !wait.is_zero();
            let took = match self.absorb(wait) {
                Ok(took) => took,
                // What came before is given first; the next read meets it again.
                Err(_) if self.covers(part.from) => Absorbed::NoMore,
                Err(stuck) => {
                    self.leave();
                    return self.stuck(stuck, wanted, deadline, out);
                }
            };
            let Some(place) = &mut self.place else {
                return Err(ReadError::Failed("the reader has stopped".to_owned()));
            };
            let over = took == Absorbed::NoMore || took == Absorbed::Nothing && patient;
            let enough = over || place.ended || place.run.suffices(part);
            if enough && let Some(selection) = place.run.select(part) {
                let outcome = selection.give(part, wanted.stored, out);
                if outcome.next > part.from {
                    place.run.trim(outcome.next, KEPT_BYTES);
                    return Ok(outcome);
                }
            }
            if place.ended && place.run.end() <= part.from && began.elapsed() >= UNSTABLE.min(deadline - began) {
                // It ends here, or what follows isn't stable: a transaction is open.
                return Ok(ReadOutcome::nothing(part.from, out.filled()));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                self.leave();
                return Err(ReadError::Failed("no broker has answered in time".to_owned()));
            }
            wait = left.min(MORE);
        }
    }

    fn covers(&self, from: Offset) -> bool {
        self.place.as_ref().is_some_and(|place| place.run.covers(from))
    }

    /// Moves to the place, unless it is there.
    fn go_to(&mut self, wanted: &Wanted<'_>, stats: &RecordsStats) -> Result<(), String> {
        let part = wanted.part;
        let there = |place: &Place| {
            let goes_on = !place.broken && part.from == place.run.end();
            place.log == part.log && (goes_on || place.run.covers(part.from))
        };
        if self.place.as_ref().is_some_and(there) {
            return Ok(());
        }
        self.leave();
        stats.cold_starts.inc();
        let started = self.stream.start(wanted.name, part.log.partition, part.from);
        let source = started.map_err(|error| error.to_string())?;
        let (log, name, run) = (part.log, wanted.name.clone(), Run::new(part.from));
        self.place = Some(Place { log, name, source, run, ended: false, broken: false });
        Ok(())
    }

    /// Takes what has been fetched, or is within this time.
    fn absorb(&mut self, wait: Duration) -> Result<Absorbed, Stuck> {
        while self.stream.client().poll(Duration::ZERO).is_some() {}
        self.stream.poll(wait, &mut self.messages);
        let Some(place) = self.place.as_mut().filter(|place| !place.broken) else {
            return Ok(Absorbed::NoMore);
        };
        let mut packer = Packer::default();
        let (mut known_to, mut stuck) = (None, None);
        for message in self.messages.iter().filter(|message| message.source() == place.source) {
            match message.event() {
                None => {
                    packer.push(message);
                    place.ended = false;
                }
                Some(RDKafkaErrorCode::PartitionEOF) => {
                    known_to = Some(message.offset());
                    place.ended = true;
                }
                Some(code) => {
                    stuck = stuck_by(code, message);
                    if stuck.is_some() {
                        // What comes behind it must not be taken for what comes next.
                        place.broken = true;
                        break;
                    }
                }
            }
        }
        for block in packer.finish() {
            place.run.push(block);
        }
        if let Some(known_to) = known_to.filter(|_| stuck.is_none()) {
            place.run.advance(known_to);
        }
        let took = if self.messages.is_empty() { Absorbed::Nothing } else { Absorbed::Some };
        stuck.map_or(Ok(took), Err)
    }

    /// What is answered where a log can't be read: what its leader says of it now.
    fn stuck(
        &self,
        stuck: Stuck,
        wanted: &Wanted<'_>,
        deadline: Instant,
        out: &mut Chunk,
    ) -> Result<ReadOutcome, ReadError> {
        let (part, name) = (wanted.part, wanted.name);
        match stuck {
            Stuck::Gone => Err(ReadError::Deleted),
            Stuck::Failed(why) => Err(ReadError::Failed(why)),
            Stuck::Corrupt(offset) => {
                let place = format!("{name}-{}", part.log.partition);
                Err(ReadError::Corrupt { place, offset: offset.max(part.from), next_offset: None })
            }
            Stuck::OutOfRange => {
                let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(100));
                let found = bounds::bounds(self.stream.client(), &[(part.log, name.clone())], left);
                match found.map(|found| found.first().map(|(_, bounds)| *bounds)) {
                    Ok(Some(bounds)) if part.from < bounds.start => Err(ReadError::BeforeStart { start: bounds.start }),
                    // The log was cut, and ends before what was asked for.
                    Ok(Some(bounds)) if part.from >= bounds.end => Ok(ReadOutcome::nothing(part.from, out.filled())),
                    Ok(_) => Err(ReadError::Failed("the log was changed as it was read".to_owned())),
                    Err(error) => Err(ReadError::Failed(error.to_string())),
                }
            }
        }
    }
}

/// What a message that is no record says, if reading can't go on.
fn stuck_by(code: RDKafkaErrorCode, message: Message<'_>) -> Option<Stuck> {
    match code {
        RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange | RDKafkaErrorCode::LogTruncation => {
            Some(Stuck::OutOfRange)
        }
        RDKafkaErrorCode::UnknownTopic
        | RDKafkaErrorCode::UnknownPartition
        | RDKafkaErrorCode::UnknownTopicOrPartition => Some(Stuck::Gone),
        RDKafkaErrorCode::BadMessage | RDKafkaErrorCode::BadCompression | RDKafkaErrorCode::InvalidMessage => {
            Some(Stuck::Corrupt(message.offset()))
        }
        // It tries again by itself.
        RDKafkaErrorCode::BrokerTransportFailure
        | RDKafkaErrorCode::AllBrokersDown
        | RDKafkaErrorCode::OperationTimedOut => None,
        other => Some(Stuck::Failed(other.to_string())),
    }
}
