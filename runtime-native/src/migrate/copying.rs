//! Copying records: a few partitions at a time, of each one piece after the other. A piece is begun only once the one before
//! it is acknowledged, so that what is known never lies behind by more than a piece, and a moment.

use std::{
    collections::VecDeque,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use takhin_core::{LogId, Offset};

use super::{Migration, error::MigrateError, source::Found, watch::Phase};
use crate::engine::{
    Chunk, ReadOutcome,
    kafka::{Copier, CopyError, Flight},
};

/// Partitions that are copied at a time.
const AT_ONCE: usize = 8;
/// How often what was copied is written down, unless that takes long.
const SAVE_EVERY: Duration = Duration::from_secs(1);
/// How much longer it is between two times than one of them takes.
const SAVE_SHARE: u32 = 20;
/// How often whoever waits looks whether to go on with that.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How long what is on its way may take once the run is to stop.
const LANDING: Duration = Duration::from_secs(3);

/// A partition to be copied.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) topic: String,
    pub(super) source: LogId,
    pub(super) target: LogId,
    /// Where it ends in the source.
    pub(super) end: u64,
}

impl Part {
    pub(super) fn number(&self) -> usize {
        self.source.partition as usize
    }

    pub(super) fn failed(&self, error: CopyError) -> MigrateError {
        MigrateError::Copy { topic: self.topic.clone(), partition: self.source.partition, error }
    }
}

/// What the threads of one run share.
struct Work<'a> {
    migration: &'a Migration<'a>,
    copier: Copier,
    queue: Mutex<VecDeque<Part>>,
    failures: Mutex<Vec<MigrateError>>,
    /// Nothing more is to be begun.
    halt: AtomicBool,
    /// Something was sent, and what came of it isn't known.
    unsure: AtomicBool,
}

impl Migration<'_> {
    /// Copies all that is missing of these. Waits.
    pub(super) fn copy(&self, parts: Vec<Part>) -> Result<(), MigrateError> {
        let counted: (u64, u64) = self.with_state(|state| {
            let counts = parts.iter().map(|part| {
                let start = self.source.bounds(part.source.topic, part.source.partition).start.0;
                let next = state.topics[&part.topic].partitions[part.number()].next;
                (part.end.saturating_sub(start), next.saturating_sub(start))
            });
            counts.fold((0, 0), |(total, done), (more, of_them)| (total + more, done + of_them))
        });
        self.watch.begin(Phase::Records, counted.0, counted.1);
        let workers = parts.len().min(AT_ONCE);
        let work = Work {
            migration: self,
            copier: self.records.copier()?,
            queue: Mutex::new(parts.into()),
            failures: Mutex::default(),
            halt: AtomicBool::new(false),
            unsure: AtomicBool::new(false),
        };
        thread::scope(|scope| {
            let workers: Vec<_> = (0..workers).map(|_| scope.spawn(|| work.run())).collect();
            let (mut saved, mut took) = (Instant::now(), Duration::ZERO);
            while workers.iter().any(|worker| !worker.is_finished()) {
                thread::sleep(Duration::from_millis(20));
                if saved.elapsed() >= SAVE_EVERY.max(took * SAVE_SHARE) {
                    let began = Instant::now();
                    if let Err(error) = self.save() {
                        work.fail(error);
                    }
                    (saved, took) = (Instant::now(), began.elapsed());
                }
            }
        });
        self.watch.settled();
        self.with_state(|state| state.under_way = work.unsure.load(Relaxed));
        self.save()?;
        let mut failures = work.failures.into_inner().unwrap_or_else(PoisonError::into_inner);
        if failures.is_empty() { Ok(()) } else { Err(failures.swap_remove(0)) }
    }
}

impl Work<'_> {
    fn run(&self) {
        loop {
            let part = self.queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            let Some(part) = part.filter(|_| !self.halt.load(Relaxed)) else { return };
            if let Err(error) = self.copy(&part) {
                return self.fail(error);
            }
        }
    }

    /// What has failed first is what is told.
    fn fail(&self, error: MigrateError) {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).push(error);
        self.halt.store(true, Relaxed);
    }

    fn is_stopping(&self) -> bool {
        self.halt.load(Relaxed) || self.migration.watch.is_stopped()
    }

    fn copy(&self, part: &Part) -> Result<(), MigrateError> {
        let mut chunk = Chunk::default();
        loop {
            if self.is_stopping() {
                return Err(MigrateError::Stopped);
            }
            let next = self.migration.with_state(|state| state.topics[&part.topic].partitions[part.number()].next);
            if next >= part.end {
                return Ok(());
            }
            let Found::Records(outcome) = self.migration.read_source(part, next, &mut chunk)? else { continue };
            self.send(part, &chunk, &outcome)?;
        }
    }

    /// Sends the records of a piece, and waits until all are acknowledged.
    fn send(&self, part: &Part, chunk: &Chunk, outcome: &ReadOutcome) -> Result<(), MigrateError> {
        let known = self.migration.with_state(|state| state.topics[&part.topic].partitions[part.number()].clone());
        let mut flight = self.copier.begin(part.target, Offset(known.end)).map_err(|error| part.failed(error))?;
        self.unsure_until(|| {
            let (mut runs, mut end) = (known.runs(), known.end);
            for record in chunk.records(outcome) {
                flight.push(&record).map_err(|error| part.failed(error))?;
                runs.note(record.offset.0, end);
                end += 1;
            }
            self.land(part, &flight)?;
            let bytes = outcome.bytes as u64;
            self.migration.with_state(|state| {
                let partition = &mut state.topics.get_mut(&part.topic).expect("it was there").partitions[part.number()];
                partition.copied(outcome.next.0, end, bytes, runs);
            });
            self.migration.watch.advance(outcome.next.0 - known.next, bytes);
            Ok(())
        })
    }

    /// Whatever is sent is not known about, unless this succeeds.
    fn unsure_until(&self, send: impl FnOnce() -> Result<(), MigrateError>) -> Result<(), MigrateError> {
        send().inspect_err(|_| self.unsure.store(true, Relaxed))
    }

    /// Waits for what is on its way, for as long as Kafka may need, unless the run is to stop.
    fn land(&self, part: &Part, flight: &Flight) -> Result<(), MigrateError> {
        let mut stopping: Option<Instant> = None;
        loop {
            if let Some(outcome) = flight.wait(LOOK_EVERY) {
                return outcome.map_err(|error| part.failed(error));
            }
            self.migration.watch.waiting(self.copier.trouble());
            if self.is_stopping() && stopping.get_or_insert_with(Instant::now).elapsed() > LANDING {
                return Err(MigrateError::Stopped);
            }
        }
    }
}
