//! Runs of which a seed decides everything: what is written, what the disk does, when the power fails. Whatever
//! happens, what was acknowledged is there whole, what was refused is not there, and nobody is given wrong bytes.

use std::{
    collections::{BTreeMap, BTreeSet},
    env, io,
    sync::Arc,
};

use takhin_core::LogId;

use super::{
    crashes::Random,
    faulty_disk::{FaultyDisk, Op, Unbuffered},
    harness::*,
};
use crate::engine::{ReadError, StorageError, local::LocalConfig};

const LOGS: u32 = 3;
/// Lives of the engine in one run, and what it does in each at most.
const LIVES: u64 = 6;
const STEPS: u64 = 30;

fn settings() -> LocalConfig {
    LocalConfig { segment_bytes: 2_000, journal_file_bytes: 4_096, ..config("/data") }
}

/// What whoever writes knows.
#[derive(Default)]
struct Knows {
    /// What is there: it was acknowledged, or seen.
    records: BTreeMap<(LogId, u64), Vec<u8>>,
    /// What was refused, and so is nowhere.
    refused: BTreeSet<Vec<u8>>,
    fact: u64,
    values: u64,
}

impl Knows {
    /// A value that is like no other.
    fn value(&mut self, random: &mut Random) -> Vec<u8> {
        self.values += 1;
        let mut value = self.values.to_be_bytes().to_vec();
        value.resize(8 + usize::try_from(random.below(600)).unwrap(), u8::try_from(random.below(256)).unwrap());
        value
    }

    /// Everything acknowledged is there, dense; nothing refused is. What is there beside is known from now on.
    fn check(&mut self, running: &Running, seed: u64) {
        let mut found = BTreeMap::new();
        for bounds in &running.bounds {
            let values = running.read_all(bounds.log, bounds.start.0, bounds.end.0);
            let offsets: Vec<_> = values.iter().map(|(offset, _)| *offset).collect();
            assert_eq!(offsets, (bounds.start.0..bounds.end.0).collect::<Vec<_>>(), "seed {seed}: dense");
            found.extend(values.into_iter().map(|(offset, value)| ((bounds.log, offset), value)));
        }
        for (place, value) in &self.records {
            assert_eq!(found.get(place), Some(value), "seed {seed}: {place:?} was there\n{}", running.report);
        }
        for (place, value) in &found {
            assert!(!self.refused.contains(value), "seed {seed}: what is at {place:?} was refused");
        }
        self.records = found;
        let from = running.snapshot.as_ref().map_or(0, |state| u64::from_be_bytes(state[..].try_into().unwrap()));
        let facts = running.fact_numbers();
        assert_eq!(facts, (from + 1..=from + facts.len() as u64).collect::<Vec<_>>(), "seed {seed}: facts in order");
        let last = from + facts.len() as u64;
        assert!(last >= self.fact, "seed {seed}: fact {} was acknowledged, and {last} is the last", self.fact);
        self.fact = last;
    }

    /// One thing that is written. False once the disk can no longer be trusted.
    fn write(&mut self, running: &Running, random: &mut Random) -> bool {
        let target = log(u32::try_from(random.below(LOGS.into())).unwrap());
        let values: Vec<_> = (0..=random.below(3)).map(|_| self.value(random)).collect();
        let slices: Vec<_> = values.iter().map(Vec::as_slice).collect();
        match running.append(target, &slices) {
            Ok(at) => {
                for (offset, value) in (at.base_offset.0..).zip(values) {
                    let before = self.records.insert((target, offset), value);
                    assert_eq!(before, None, "offset {offset} of {target} was given twice");
                }
                true
            }
            Err(StorageError::Uncertain(_)) => false,
            Err(_) => {
                self.refused.extend(values);
                true
            }
        }
    }

    /// A fact, and an append behind it that says whether the disk still takes anything.
    fn decide(&mut self, running: &Running, random: &mut Random) -> bool {
        running.submit_fact(self.fact + 1);
        let before = self.records.len();
        let trusted = self.write(running, random);
        if self.records.len() > before {
            running.wait_fact(self.fact + 1);
            self.fact += 1;
        }
        // A fact that was not taken waits, and is not submitted again in this life.
        trusted && self.records.len() > before
    }
}

/// What the disk does in a life.
fn misbehave(disk: &FaultyDisk, random: &mut Random) {
    disk.set_short(random.below(2) == 0);
    let (turns, kind) = (1 + random.below(30), random.below(6));
    let op = match kind {
        0 => Op::Write,
        1 => Op::Sync,
        2 => Op::SetLen,
        3 => Op::Create,
        4 => return disk.set_capacity(Some(disk.used() + random.below(9_000))),
        _ => return,
    };
    let mut left = turns;
    disk.fault(move |met, _| {
        left = if met == op { left.saturating_sub(1) } else { left };
        (met == op && left == 0).then(|| io::Error::other("the disk has had enough"))
    });
}

fn live(disk: &FaultyDisk, running: &Running, knows: &mut Knows, random: &mut Random) {
    let mut decides = true;
    for _ in 0..random.below(STEPS) {
        let goes_on = match random.below(12) {
            0..=2 if decides => {
                decides = knows.decide(running, random);
                true
            }
            3 => {
                disk.heal();
                disk.set_capacity(None);
                true
            }
            4 => {
                let state = knows.fact.to_be_bytes().to_vec();
                // Whether it works or not, what was known stays known.
                let _ = running.checkpoint(knows.fact, &state);
                true
            }
            _ => knows.write(running, random),
        };
        if !goes_on {
            return;
        }
    }
}

fn run(seed: u64) {
    let (disk, mut random, mut knows) = (FaultyDisk::default(), Random(seed), Knows::default());
    disk.set_unbuffered([Unbuffered::Taken, Unbuffered::NotWritten][usize::from(seed % 4 == 3)]);
    for _ in 0..LIVES {
        // It may fail again while it recovers.
        if random.below(3) == 0 {
            disk.blow_after(1 + random.below(80));
        }
        if let Ok(running) = open_on(Arc::new(disk.clone()), settings(), LOGS) {
            let bounds = running.bounds.clone();
            let readable = bounds.iter().all(|bounds| running.read(&part(bounds.log, 0, bounds.end.0)).is_ok());
            if readable {
                misbehave(&disk, &mut random);
                live(&disk, &running, &mut knows, &mut random);
            }
        }
        let keeps = random.below(4);
        disk.crash(|| keeps == 0 || keeps > 1 && random.below(keeps) == 0);
        let running = open_on(Arc::new(disk.clone()), settings(), LOGS).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
        knows.check(&running, seed);
        drop(running);
        disk.kill();
    }
}

/// How many runs there are, unless the environment says otherwise.
fn runs() -> u64 {
    env::var("TAKHIN_DISK_RUNS").ok().and_then(|runs| runs.parse().ok()).unwrap_or(150)
}

#[test]
fn what_was_acknowledged_is_there_whatever_the_disk_does() {
    (0..runs()).for_each(run);
}

/// What can be read of a log, by offset, and how many stretches of it can't.
fn read_around(running: &Running, log: LogId, (start, end): (u64, u64), seed: u64) -> (Values, u32) {
    let (mut all, mut damaged) = (Vec::new(), 0);
    let mut part = part(log, start, end);
    while part.from < part.to {
        match running.read(&part) {
            Ok((values, outcome)) => {
                assert!(outcome.next > part.from, "seed {seed}: a read goes on");
                all.extend(values);
                part.from = outcome.next;
            }
            Err(ReadError::Corrupt { place, offset, next_offset }) => {
                assert!(place.contains("orders"), "seed {seed}: {place:?} names the place");
                assert!(offset >= part.from, "seed {seed}: damage lies ahead");
                damaged += 1;
                match next_offset.filter(|next| *next > part.from) {
                    Some(next) => part.from = next,
                    None => break,
                }
            }
            Err(error) => panic!("seed {seed}: {error}"),
        }
    }
    (all, damaged)
}

fn rot(seed: u64) {
    let (disk, mut random, mut knows) = (FaultyDisk::default(), Random(seed), Knows::default());
    let running = open_on(Arc::new(disk.clone()), settings(), LOGS).unwrap();
    for step in 0..40 {
        assert!(knows.write(&running, &mut random));
        if step % 10 == 9 {
            running.checkpoint(0, &0_u64.to_be_bytes()).unwrap();
        }
    }
    drop(running);
    disk.kill();
    let rotten: Vec<_> = (0..=random.below(3))
        .filter_map(|_| disk.rot(|bound| random.below(bound), |path| !path.ends_with("lock")))
        .collect();
    let running = match open_on(Arc::new(disk.clone()), settings(), LOGS) {
        Ok(running) => running,
        // What says that the directory is one of ours can be read, or is named.
        Err(error) => return assert!(error.to_string().contains("/data"), "seed {seed}: {error}"),
    };
    let (mut lost, mut damaged) = (0, 0);
    for bounds in &running.bounds {
        let (values, stretches) = read_around(&running, bounds.log, (bounds.start.0, bounds.end.0), seed);
        damaged += stretches;
        for (offset, value) in &values {
            let written = knows.records.get(&(bounds.log, *offset));
            assert_eq!(written, Some(value), "seed {seed}: {offset} of {} after {rotten:?}", bounds.log);
        }
        lost += knows.records.keys().filter(|(log, _)| *log == bounds.log).count() - values.len();
    }
    let told = damaged > 0 || !running.report.notes.is_empty();
    assert!(
        lost == 0 || told,
        "seed {seed}: {lost} records are gone after {rotten:?}, and nothing is said\n{}",
        running.report
    );
}

#[test]
fn bits_that_rot_are_noticed_and_never_given_to_anybody() {
    (0..runs()).for_each(rot);
}
