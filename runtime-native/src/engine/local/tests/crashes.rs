//! Power fails at every point of a scripted run, and everything acknowledged is there afterwards.

use std::{collections::BTreeMap, sync::Arc};

use takhin_core::LogId;

use super::{faulty_disk::FaultyDisk, harness::*};
use crate::engine::{Completion, WriteOp, local::LocalConfig};

/// A small generator of numbers that look random, the same for the same seed.
pub(super) struct Random(pub(super) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 33
    }

    fn value(&mut self) -> Vec<u8> {
        vec![u8::try_from(self.below(256)).unwrap(); usize::try_from(self.below(700)).unwrap()]
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

fn small() -> LocalConfig {
    LocalConfig { segment_bytes: 3000, journal_file_bytes: 4096, ..config("/data") }
}

fn start(disk: &FaultyDisk) -> Option<Running> {
    open_on(Arc::new(disk.clone()), small(), 3).ok()
}

/// What was acknowledged.
#[derive(Clone, Debug, Default, PartialEq)]
struct Acknowledged {
    records: BTreeMap<(LogId, u64), Vec<u8>>,
    fact: u64,
    snapshot: Option<Vec<u8>>,
}

/// Appends, facts and checkpoints in turn, until the disk fails or the script ends.
fn script(running: &Running, steps: u64, random: &mut Random, done: &mut Acknowledged) {
    for step in 0..steps {
        let target = log(u32::try_from(random.below(3)).unwrap());
        let values: Vec<_> = (0..=random.below(3)).map(|_| random.value()).collect();
        let slices: Vec<_> = values.iter().map(Vec::as_slice).collect();
        let Ok(at) = running.append(target, &slices) else {
            return;
        };
        for (offset, value) in (at.base_offset.0..).zip(values) {
            assert_eq!(done.records.insert((target, offset), value), None, "an offset was given twice");
        }
        if step % 3 == 0 {
            let next = done.fact + 1;
            running.submit_fact(next);
            // The append behind it tells whether the disk still works.
            let Ok(at) = running.append(target, &[b"mark"]) else {
                return;
            };
            done.records.insert((target, at.base_offset.0), b"mark".to_vec());
            running.wait_fact(next);
            done.fact = next;
        }
        if step % 10 == 9 {
            let state = done.fact.to_be_bytes().to_vec();
            if running.checkpoint(done.fact, &state).is_ok() {
                done.snapshot = Some(state);
            }
        }
    }
}

/// Everything acknowledged is there, dense and with the same bytes; what is there beyond it is taken over.
fn check(running: &Running, done: &mut Acknowledged) {
    let mut found = BTreeMap::new();
    for bounds in &running.bounds {
        let values = running.read_all(bounds.log, bounds.start.0, bounds.end.0);
        let offsets: Vec<_> = values.iter().map(|(offset, _)| *offset).collect();
        assert_eq!(offsets, (0..bounds.end.0).collect::<Vec<_>>(), "dense");
        found.extend(values.into_iter().map(|(offset, value)| ((bounds.log, offset), value)));
    }
    for (place, value) in &done.records {
        assert_eq!(found.get(place), Some(value), "{place:?} was acknowledged\n{}", running.report);
    }
    let from = running.snapshot.as_ref().map_or(0, |state| u64::from_be_bytes(state[..].try_into().unwrap()));
    let facts = running.fact_numbers();
    assert_eq!(facts, (from + 1..=from + facts.len() as u64).collect::<Vec<_>>());
    let last = from + facts.len() as u64;
    assert!(last >= done.fact, "fact {} was acknowledged, {last} is the last", done.fact);
    assert!(running.snapshot >= done.snapshot, "a snapshot was acknowledged");
    (done.records, done.fact) = (found, last);
}

#[test]
fn power_may_fail_anywhere_and_nothing_acknowledged_is_lost() {
    let whole = FaultyDisk::default();
    let running = start(&whole).unwrap();
    script(&running, 40, &mut Random(1), &mut Acknowledged::default());
    let operations = whole.operations();
    drop(running);
    assert!(operations > 300);
    for fuse in 1..operations {
        let disk = FaultyDisk::default();
        let mut random = Random(fuse);
        let mut done = Acknowledged::default();
        disk.blow_after(fuse);
        if let Some(running) = start(&disk) {
            script(&running, 40, &mut Random(1), &mut done);
        }
        // The process dies, the power fails and takes all that it can, or some of it.
        match fuse % 4 {
            0 => disk.kill(),
            1 => disk.crash(|| false),
            _ => disk.crash(|| random.below(2) == 0),
        }
        // It fails again while recovering, and then once more later.
        disk.blow_after(1 + random.below(40));
        if let Some(running) = start(&disk) {
            check_if_alive(&running, &mut done, &mut random);
        }
        disk.crash(|| random.below(2) == 0);
        let running = start(&disk).unwrap_or_else(|| panic!("fuse {fuse}"));
        check(&running, &mut done);
        script(&running, 4, &mut random, &mut done);
        drop(running);
        disk.kill();
        check(&start(&disk).unwrap(), &mut done);
    }
}

fn check_if_alive(running: &Running, done: &mut Acknowledged, random: &mut Random) {
    // Unacknowledged records that were recovered may be read by now, so they have to stay.
    for bounds in &running.bounds {
        let mut part = part(bounds.log, bounds.start.0, bounds.end.0);
        while part.from < part.to
            && let Ok((values, outcome)) = running.read(&part)
        {
            done.records.extend(values.into_iter().map(|(offset, value)| ((bounds.log, offset), value)));
            part.from = outcome.next;
        }
    }
    let from = running.snapshot.as_ref().map_or(0, |state| u64::from_be_bytes(state[..].try_into().unwrap()));
    done.fact = done.fact.max(from + running.facts.len() as u64);
    script(running, 5, random, done);
}

#[test]
fn recovering_again_finds_nothing_to_do() {
    let disk = FaultyDisk::default();
    let running = start(&disk).unwrap();
    let mut done = Acknowledged::default();
    script(&running, 1000, &mut Random(3), &mut done);
    assert!(done.records.len() > 1000);
    drop(running);
    let mut random = Random(4);
    disk.crash(|| random.below(2) == 0);
    let first = start(&disk).unwrap();
    check(&first, &mut done);
    let bounds = first.bounds.clone();
    drop(first);
    disk.crash(|| false);
    let second = start(&disk).unwrap();
    assert_eq!((&second.bounds, second.report.notes.len(), second.report.reapplied_batches), (&bounds, 0, 0));
    check(&second, &mut done);
}

#[test]
fn power_may_fail_anywhere_while_logs_are_made_and_deleted() {
    for fuse in 1.. {
        let disk = FaultyDisk::default();
        let mut random = Random(fuse);
        disk.blow_after(fuse);
        let (mut kept, mut deleted) = (None, false);
        if let Ok(running) = open_on(Arc::new(disk.clone()), small(), 0) {
            let (topic, partitions) = (ORDERS.topic, 3);
            running.submit(WriteOp::CreateLogs { topic, name: name(), partitions: 0..partitions });
            running.wait(|completion| matches!(completion, Completion::LogsCreated { .. }).then_some(()));
            kept = running.append(log(2), &[b"kept"]).ok();
            // With and without it, every point of the run is met.
            let _ = running.checkpoint(0, b"");
            // The fact that a topic is deleted is durable before its logs are removed.
            deleted = fuse % 3 == 0;
            if deleted {
                running.submit(WriteOp::DeleteLogs { topic, name: name(), partitions });
                running.wait(|completion| matches!(completion, Completion::LogsDeleted { .. }).then_some(()));
            }
        }
        let survived = disk.operations() < fuse;
        disk.crash(|| random.below(2) == 0);
        for _ in 0..2 {
            let again = open_on(Arc::new(disk.clone()), small(), if deleted { 0 } else { 3 }).unwrap();
            if !deleted && let Some(at) = kept {
                let values = again.read_all(log(2), at.base_offset.0, at.end.0);
                assert_eq!(values, [(0, b"kept".to_vec())], "fuse {fuse}\n{}", again.report);
            }
            drop(again);
            disk.crash(|| random.below(2) == 0);
        }
        if survived {
            return;
        }
    }
}
