//! One reading client for all the logs that somebody waits at.
//!
//! Two threads share it: one takes what is fetched and puts it into the [`Tails`]; the other does what has to wait for
//! brokers: it looks where a log ends when it is to be followed, begins anew where a log was cut, and lets go of what
//! nobody waits for any longer.

use std::{
    collections::BTreeSet,
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
        mpsc::{Receiver, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

use rdkafka::{consumer::BaseConsumer, error::RDKafkaErrorCode};
use rustc_hash::FxHashMap;
use takhin_core::{LogId, Offset, response::Bounds};

use super::{
    Inner, RecordsStats, bounds,
    catalogue::{Cataloguer, no_thread},
    client::{Context, Fetching},
    cold::Pool,
    error::KafkaError,
    names::KafkaName,
    native::{Message, Messages, Source, Stream},
    run::Packer,
    tails::{Tail, Tails, Task},
};

/// The settings of its client. A log that is newly followed is fetched once the broker has answered a request that was
/// made without it, so the wait is short.
pub(super) const FETCHING: Fetching = Fetching { wait: Duration::from_millis(100), ahead_kib: 4 << 10 };
/// How often is looked for what nobody waits for, and what could not be done is tried again.
const EVERY: Duration = Duration::from_secs(1);
/// How often is looked where logs begin.
const STARTS_EVERY: Duration = Duration::from_secs(5);
/// How long the taking thread waits for messages before it looks whether it is to end.
const LOOK_UP: Duration = Duration::from_millis(100);

/// What the two threads share.
pub(super) struct Follower {
    stream: Arc<Stream>,
    questions: Arc<BaseConsumer<Context>>,
    tails: Arc<Tails>,
    cold: Arc<Pool>,
    catalogue: Cataloguer,
    sources: RwLock<FxHashMap<Source, Arc<Tail>>>,
    timeout: Duration,
    stopped: AtomicBool,
    stats: Arc<RecordsStats>,
}

impl Follower {
    /// Starts both threads; they end after [`Task::Stop`].
    pub(super) fn start(records: &Inner, tasks: Receiver<Task>) -> Result<(), KafkaError> {
        let taking = Arc::new(Self {
            stream: Arc::clone(&records.stream),
            questions: Arc::clone(&records.questions),
            tails: Arc::clone(&records.tails),
            cold: Arc::clone(&records.cold),
            catalogue: records.catalogue.clone(),
            sources: RwLock::default(),
            timeout: records.config.timeout,
            stopped: AtomicBool::new(false),
            stats: Arc::clone(&records.stats),
        });
        let keeping = Arc::clone(&taking);
        let spawn = |name: &str| thread::Builder::new().name(name.to_owned());
        spawn("kafka-fetch").spawn(move || taking.take()).map_err(|error| no_thread(&error))?;
        let kept = spawn("kafka-follow").spawn(move || keeping.keep(&tasks));
        kept.map(drop).map_err(|error| no_thread(&error))
    }

    fn take(&self) {
        let mut messages = Messages::default();
        while !self.stopped.load(Ordering::Relaxed) {
            self.stream.poll(LOOK_UP, &mut messages);
            // What clients say of brokers is heard by being asked for.
            for client in [self.stream.client(), &*self.questions] {
                while client.poll(Duration::ZERO).is_some() {}
            }
            let mut moved = Vec::new();
            let mut rest = messages.iter().peekable();
            while let Some(first) = rest.peek() {
                let source = first.source();
                let mut of_one = std::iter::from_fn(|| rest.next_if(|message| message.source() == source));
                let tail = self.sources.read().unwrap_or_else(PoisonError::into_inner).get(&source).cloned();
                let Some(tail) = tail else {
                    // It is followed no longer.
                    of_one.by_ref().for_each(drop);
                    continue;
                };
                if self.absorb(&tail, of_one.by_ref()) {
                    moved.push(tail);
                }
                // After an error there may be some left.
                of_one.for_each(drop);
            }
            self.tails.moved(&moved);
        }
    }

    /// Takes what came of one log, in order. Whether its end has moved.
    fn absorb<'a>(&self, tail: &Arc<Tail>, messages: impl Iterator<Item = Message<'a>>) -> bool {
        let mut packer = Packer::default();
        // What was appended here is known before it is fetched.
        let (mut known_to, from) = (None, tail.bounds().end);
        for message in messages {
            match message.event() {
                None => {
                    self.stats.records_followed.inc();
                    if message.offset() >= from {
                        packer.push(message);
                    }
                }
                Some(RDKafkaErrorCode::PartitionEOF) => known_to = Some(message.offset()),
                Some(code) => {
                    tracing::warn!(log = %tail.log, topic = %tail.name, %code, "a log that is followed can't be read on");
                    // What comes behind it must not be taken for what comes next.
                    self.sources.write().unwrap_or_else(PoisonError::into_inner).remove(&message.source());
                    let is_damaged = matches!(code, RDKafkaErrorCode::BadMessage | RDKafkaErrorCode::BadCompression);
                    self.tails.task(if is_damaged { Task::Skip(tail.log) } else { Task::Restart(tail.log) });
                    break;
                }
            }
        }
        self.tails.grow(tail, packer.finish(), known_to)
    }

    fn keep(&self, tasks: &Receiver<Task>) {
        let (mut follow, mut restart, mut skip) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        let (mut swept, mut starts_seen) = (Instant::now(), Instant::now());
        loop {
            let first = tasks.recv_timeout(EVERY);
            let ended = matches!(first, Err(RecvTimeoutError::Disconnected));
            let mut stop = ended;
            for task in first.into_iter().chain(tasks.try_iter()) {
                match task {
                    Task::Follow(log) => drop(follow.insert(log)),
                    Task::Restart(log) => drop(restart.insert(log)),
                    Task::Skip(log) => drop(skip.insert(log)),
                    Task::Stop => stop = true,
                }
            }
            if stop {
                self.stopped.store(true, Ordering::Relaxed);
                return;
            }
            self.follow(&mut follow, &mut restart);
            self.restart(&mut restart, false);
            self.restart(&mut skip, true);
            if swept.elapsed() >= EVERY {
                swept = Instant::now();
                self.let_go(self.tails.lapsed());
                self.cold.rest();
            }
            if starts_seen.elapsed() >= STARTS_EVERY {
                starts_seen = Instant::now();
                self.look_at_starts();
            }
        }
    }

    /// Begins to follow these. What the brokers don't answer for is left for the next time.
    fn follow(&self, wanted: &mut BTreeSet<LogId>, restart: &mut BTreeSet<LogId>) {
        if wanted.is_empty() {
            return;
        }
        let mut named = self.named(wanted.iter().copied());
        if named.len() < wanted.len() {
            match self.catalogue.refresh_and_wait(self.timeout) {
                Ok(_) => named = self.named(wanted.iter().copied()),
                Err(error) => tracing::debug!(%error, "logs to be followed are not known yet"),
            }
            // Who still waits there asks again.
            wanted.retain(|log| {
                let known = named.iter().any(|(id, _)| id == log);
                if !known {
                    self.tails.answered(*log);
                }
                known
            });
        }
        let found = match bounds::bounds(&self.questions, &self.led(named.clone()), self.timeout) {
            Ok(found) => found,
            Err(error) => {
                tracing::debug!(%error, "logs can't be followed yet");
                return;
            }
        };
        // A topic made anew is fetched under the name of the old one, which has to be let go of first.
        self.let_go(Vec::new());
        let mut begun = Vec::new();
        for (log, bounds) in found {
            let name = named.iter().find(|(id, _)| *id == log).map(|(_, name)| name.clone());
            let Some(name) = name.filter(|_| self.tails.get(log).is_none()) else { continue };
            let tail = self.tails.insert(log, name, bounds);
            if !self.begin(&tail, bounds.end) {
                restart.insert(log);
            }
            begun.push(tail);
            wanted.remove(&log);
            self.tails.answered(log);
        }
        self.tails.moved(&begun);
    }

    fn named(&self, logs: impl Iterator<Item = LogId>) -> Vec<(LogId, KafkaName)> {
        let catalogue = self.catalogue.now();
        let within = logs.filter_map(|log| {
            let (_, topic) = catalogue.topic(log.topic)?;
            (log.partition < topic.partitions).then(|| (log, topic.in_kafka.clone()))
        });
        within.collect()
    }

    /// Those that have a leader. One that has none would have the client wait, and with it all others.
    fn led(&self, mut named: Vec<(LogId, KafkaName)>) -> Vec<(LogId, KafkaName)> {
        let catalogue = self.catalogue.now();
        named.retain(|(log, _)| catalogue.has_leader(*log));
        named
    }

    /// Has it fetched from here on.
    fn begin(&self, tail: &Arc<Tail>, from: Offset) -> bool {
        // The other thread must know whose messages these are when the first of them comes.
        let mut sources = self.sources.write().unwrap_or_else(PoisonError::into_inner);
        match self.stream.start(&tail.name, tail.log.partition, from) {
            Ok(source) => {
                tail.set_source(source);
                sources.insert(source, Arc::clone(tail));
                true
            }
            Err(error) => {
                tracing::warn!(log = %tail.log, %error, "a log can't be followed");
                false
            }
        }
    }

    /// Has it fetched no longer.
    fn end(&self, tail: &Arc<Tail>) {
        let Some(source) = tail.take_source() else { return };
        let mut sources = self.sources.write().unwrap_or_else(PoisonError::into_inner);
        // A topic made anew has the same source.
        if sources.get(&source).is_some_and(|of| !Arc::ptr_eq(of, tail)) {
            return;
        }
        sources.remove(&source);
        drop(sources);
        if let Err(error) = self.stream.stop(&tail.name, tail.log.partition) {
            tracing::debug!(log = %tail.log, %error, "a log that was followed is gone");
        }
    }

    /// Looks where these begin and end now, and goes on where it was, if that is still there and it shall not `skip`; else
    /// at the end.
    fn restart(&self, wanted: &mut BTreeSet<LogId>, skip: bool) {
        let tails: Vec<Arc<Tail>> = wanted.iter().filter_map(|log| self.tails.get(*log)).collect();
        wanted.clear();
        for tail in &tails {
            self.end(tail);
        }
        let named: Vec<(LogId, KafkaName)> = tails.iter().map(|tail| (tail.log, tail.name.clone())).collect();
        let found: FxHashMap<LogId, Bounds> = match bounds::bounds(&self.questions, &self.led(named), self.timeout) {
            Ok(found) => found.into_iter().collect(),
            Err(error) => {
                tracing::debug!(%error, "logs can't be followed again yet");
                FxHashMap::default()
            }
        };
        let mut begun_anew = Vec::new();
        for mut tail in tails {
            let Some(&bounds) = found.get(&tail.log) else {
                wanted.insert(tail.log);
                continue;
            };
            self.stats.partitions_restarted.inc();
            // What is known may be right still: the client may have been the only one that lost its place.
            let known = tail.bounds();
            let mut from = known.end;
            if skip || from < bounds.start || from > bounds.end {
                // Another tail, so that nothing that was fetched before gets into it.
                self.tails.remove(&tail);
                tail = self.tails.insert(tail.log, tail.name.clone(), bounds);
                from = bounds.end;
                begun_anew.push(Arc::clone(&tail));
            }
            if !self.begin(&tail, from) {
                wanted.insert(tail.log);
            }
        }
        self.tails.moved(&begun_anew);
    }

    /// Lets go of these, and of what belongs to topics that are gone.
    fn let_go(&self, mut leaving: Vec<Arc<Tail>>) {
        let catalogue = self.catalogue.now();
        leaving.extend(self.tails.all().into_iter().filter(|tail| catalogue.topic(tail.log.topic).is_none()));
        for tail in leaving {
            self.end(&tail);
            self.tails.remove(&tail);
        }
    }

    fn look_at_starts(&self) {
        let tails = self.tails.all();
        let named: Vec<(LogId, KafkaName)> = tails.iter().map(|tail| (tail.log, tail.name.clone())).collect();
        match bounds::starts(&self.questions, &self.led(named), self.timeout) {
            Ok(starts) => {
                let moved = starts.into_iter().filter_map(|(log, start)| {
                    let tail = self.tails.get(log)?;
                    tail.trimmed(start).then_some(tail)
                });
                self.tails.moved(&moved.collect::<Vec<_>>());
            }
            Err(error) => tracing::debug!(%error, "it can't be seen where logs begin"),
        }
    }
}
