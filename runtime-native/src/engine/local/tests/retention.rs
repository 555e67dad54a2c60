//! Old segments go: by age and by size, whole ones, under readers' eyes, and for good.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use takhin_core::{Offset, TopicConfig};
use tempfile::tempdir;

use super::{crashes::Random, faulty_disk::FaultyDisk, harness::*};
use crate::{
    engine::{
        Completion, ReadError, WriteOp,
        local::{
            LocalConfig, RecoveryNote,
            disk::{Disk, RealDisk},
            producers::wall_clock_ms,
        },
    },
    record::BatchBuilder,
};

/// Added to the end of what was written once nothing more will be.
const END: u64 = 100_000;

/// Values of 90 bytes, so that a segment has three batches.
fn small(dir: impl Into<std::path::PathBuf>) -> LocalConfig {
    LocalConfig { segment_bytes: 400, cleanup_interval: Duration::from_millis(1), ..config(dir) }
}

fn real(dir: &std::path::Path) -> Running {
    open_on(Arc::new(RealDisk), small(dir), 1).unwrap()
}

impl Running {
    pub(super) fn configure(&self, config: TopicConfig) {
        self.submit(WriteOp::ConfigureLogs { topic: ORDERS.topic, config });
    }

    fn append_at(&self, timestamp_ms: i64) {
        let mut builder = BatchBuilder::default();
        builder.push(timestamp_ms, None, Some(&[7; 90]), std::iter::empty()).unwrap();
        self.wait_append(self.submit_append(ORDERS, builder.finish().unwrap())).unwrap();
    }

    /// Waits until a log is told to begin at or behind an offset, and gives where.
    fn wait_start(&self, at_least: u64) -> u64 {
        self.wait(|completion| match completion {
            Completion::LogTrimmed { start, .. } if start.0 >= at_least => Some(start.0),
            _ => None,
        })
    }
}

#[test]
fn what_is_too_old_goes_and_the_rest_stays() {
    let dir = tempdir().unwrap();
    let running = real(dir.path());
    let now = wall_clock_ms();
    (0..7).for_each(|_| running.append_at(now - 10_000));
    (7..20).for_each(|_| running.append_at(now + 100_000));
    running.configure(TopicConfig { retention_ms: 5_000, ..TopicConfig::default() });
    let start = running.wait_start(1);
    assert_eq!(start, 6, "two whole segments; the third one has a record that is young");
    let error = running.read(&part(ORDERS, 5, 20)).unwrap_err();
    assert_eq!(error, ReadError::BeforeStart { start: Offset(6) });
    assert_eq!(running.read_all(ORDERS, 6, 20).len(), 14);
    assert!(!dir.path().join("logs/orders-0/00000000000000000000.log").exists());
    drop(running);
    let again = real(dir.path());
    assert_eq!((again.bounds[0].start, again.end(ORDERS)), (Offset(6), Offset(20)));
    assert_eq!(again.report.notes, []);
}

#[test]
fn a_log_of_which_all_is_too_old_begins_where_it_ends() {
    let dir = tempdir().unwrap();
    let running = real(dir.path());
    (0..5).for_each(|_| running.append_at(1));
    running.configure(TopicConfig { retention_ms: 5_000, ..TopicConfig::default() });
    assert_eq!(running.wait_start(5), 5);
    drop(running);
    let again = real(dir.path());
    assert_eq!((again.bounds[0].start, again.end(ORDERS)), (Offset(5), Offset(5)));
    again.append_at(wall_clock_ms() + 100_000);
    assert_eq!(again.read_all(ORDERS, 5, 6).len(), 1);
}

#[test]
fn a_log_that_is_too_large_loses_its_oldest_segments() {
    let dir = tempdir().unwrap();
    let running = real(dir.path());
    (0..30).for_each(|_| running.append_at(1));
    running.configure(TopicConfig { retention_bytes: 1_500, ..TopicConfig::default() });
    let start = running.wait_start(1);
    let kept = 160 * (30 - start);
    assert!((1_500..1_500 + 3 * 160).contains(&kept), "from {start}, {kept} bytes");
}

#[test]
fn a_segment_that_is_written_for_long_is_followed_by_another() {
    let dir = tempdir().unwrap();
    let running = real(dir.path());
    running.append_at(1);
    running.configure(TopicConfig { segment_ms: 0, ..TopicConfig::default() });
    let second = dir.path().join("logs/orders-0/00000000000000000001.log");
    while !second.exists() {
        thread::yield_now();
    }
    assert_eq!(running.read_all(ORDERS, 0, 1).len(), 1);
}

#[test]
fn readers_meet_records_or_the_new_start_and_nothing_else() {
    let dir = tempdir().unwrap();
    let running = real(dir.path());
    running.configure(TopicConfig { retention_bytes: 2_000, ..TopicConfig::default() });
    let done = AtomicU64::new(0);
    let (running, done) = (&running, &done);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(move || {
                let mut from = 0;
                loop {
                    let end = done.load(Ordering::Acquire);
                    match running.read(&part(ORDERS, from, end.max(from) % END)) {
                        Ok((values, outcome)) => {
                            assert!(values.iter().zip(from..).all(|((offset, _), expected)| *offset == expected));
                            from = outcome.next.0;
                        }
                        Err(ReadError::BeforeStart { start }) => from = start.0,
                        Err(other) => panic!("{other:?}"),
                    }
                    if end >= END && from >= end % END {
                        return;
                    }
                }
            });
        }
        for n in 1..=600 {
            running.append_at(1);
            done.store(n, Ordering::Release);
        }
        done.store(END + 600, Ordering::Release);
    });
    assert!(running.wait_start(1) > 0);
}

#[test]
fn a_start_that_was_told_never_goes_back_whatever_a_power_cut_leaves() {
    for fuse in (1..160).step_by(7) {
        let disk = FaultyDisk::default();
        let running = open_on(Arc::new(disk.clone()), small("/data"), 1).unwrap();
        (0..10).for_each(|_| running.append_at(1));
        disk.blow_after(fuse);
        running.configure(TopicConfig { retention_bytes: 500, ..TopicConfig::default() });
        // As long as the fuse holds there is something to wait for; afterwards there is not.
        for _ in 0..200 {
            thread::sleep(Duration::from_micros(50));
        }
        let completions = running.completions();
        let told = completions.iter().filter_map(|completion| match completion {
            Completion::LogTrimmed { start, .. } => Some(start.0),
            _ => None,
        });
        let told = told.max().unwrap_or_default();
        drop(running);
        for seed in 0..10 {
            let mut random = Random(seed);
            let disk = disk.fork();
            disk.crash(|| random.below(2) == 0);
            let again = open_on(Arc::new(disk.clone()), small("/data"), 1).unwrap();
            let (start, end) = (again.bounds[0].start.0, again.end(ORDERS).0);
            assert!(start >= told && end == 10, "fuse {fuse}, seed {seed}: {start} {told} {end}");
            assert_eq!(again.read_all(ORDERS, start, 10).len() as u64, 10 - start);
            let lost = again.report.notes.iter().find(|note| matches!(note, RecoveryNote::MissingRecords { .. }));
            assert_eq!(lost, None);
            assert!(disk.list(std::path::Path::new("/data/logs/orders-0")).is_ok());
        }
    }
}

#[test]
fn producers_outlive_the_records_by_which_they_are_known() {
    let dir = tempdir().unwrap();
    let running = real(dir.path());
    let stamped = |sequence| {
        let mut builder = BatchBuilder::default();
        builder.push(1, None, Some(&[7; 90]), std::iter::empty()).unwrap();
        let producer = takhin_core::ProducerId(7);
        builder.stamp(takhin_core::ProducerStamp { producer, epoch: 0, sequence });
        builder.finish().unwrap()
    };
    for sequence in 0..10 {
        running.wait_append(running.submit_append(ORDERS, stamped(sequence))).unwrap();
    }
    running.configure(TopicConfig { retention_ms: 5, ..TopicConfig::default() });
    running.wait(|completion| matches!(completion, Completion::CheckpointWanted).then_some(()));
    assert!(!running.completions().iter().any(|it| matches!(it, Completion::LogTrimmed { .. })), "not before");
    running.checkpoint(0, b"").unwrap();
    running.wait_start(9);
    drop(running);
    let again = real(dir.path());
    let result = again.wait_append(again.submit_append(ORDERS, stamped(10)));
    assert_eq!(result.map(|at| (at.base_offset, at.duplicate)), Ok((Offset(10), false)));
}
