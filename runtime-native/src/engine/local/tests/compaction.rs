//! Of each key the latest record stays, under readers' eyes and through power cuts, and offsets keep their places.

use std::{collections::BTreeMap, path::Path, sync::Arc, thread, time::Duration};

use takhin_core::{Cleanup, Compression, Offset, TopicConfig};
use tempfile::tempdir;

use super::{crashes::Random, faulty_disk::FaultyDisk, harness::*};
use crate::{
    engine::{
        Chunk, ReadError, ReadMode,
        local::{LocalConfig, RecoveryNote, disk::RealDisk, producers::wall_clock_ms},
    },
    record::BatchBuilder,
};

/// A record: its key, and its value unless it says that the key is gone.
type Entry = (Option<u8>, Option<u64>);

fn small(dir: impl Into<std::path::PathBuf>) -> LocalConfig {
    LocalConfig { segment_bytes: 2_000, cleanup_interval: Duration::from_millis(1), ..config(dir) }
}

fn real(dir: &Path) -> Running {
    open_on(Arc::new(RealDisk), small(dir), 1).unwrap()
}

fn compacted() -> TopicConfig {
    TopicConfig { cleanup: Cleanup::Compact, ..TopicConfig::default() }
}

fn value(number: u64) -> Vec<u8> {
    format!("{number:0>60}").into_bytes()
}

impl Running {
    fn append_entries(&self, entries: &[Entry], timestamp_ms: i64, compression: Compression) {
        let mut builder = BatchBuilder::default();
        for (key, number) in entries {
            let (key, value) = (key.map(|key| [key]), number.map(value));
            let key = key.as_ref().map(|key| &key[..]);
            builder.push(timestamp_ms, key, value.as_deref(), std::iter::empty()).unwrap();
        }
        builder.compress(compression);
        self.wait_append(self.submit_append(ORDERS, builder.finish().unwrap())).unwrap();
    }

    /// All records from an offset on, with their offsets.
    fn entries(&self, from: u64, to: u64) -> Vec<(u64, Entry)> {
        let (mut part, mut all) = (part(ORDERS, from, to), Vec::new());
        while part.from < part.to {
            let mut chunk = Chunk::default();
            let outcome = self.engine.reader().read(&part, ReadMode::Blocking, &mut chunk).unwrap();
            all.extend(chunk.records(&outcome).map(|record| {
                let number = record.value.map(|value| std::str::from_utf8(value).unwrap().parse().unwrap());
                (record.offset.0, (record.key.map(|key| key[0]), number))
            }));
            assert!(outcome.next > part.from, "no way on from {}", part.from.0);
            part.from = outcome.next;
        }
        all
    }

    /// Reads until something holds of all records.
    fn wait_entries(&self, end: u64, done: impl Fn(&[(u64, Entry)]) -> bool) -> Vec<(u64, Entry)> {
        loop {
            let entries = self.entries(0, end);
            if done(&entries) {
                return entries;
            }
            thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Some entries of few keys, in batches; all of them in order.
fn fill(running: &Running, random: &mut Random, batches: u64, timestamp_ms: i64) -> Vec<Entry> {
    let codecs = [Compression::None, Compression::Zstd, Compression::Lz4];
    let mut all = Vec::new();
    for _ in 0..batches {
        let entries: Vec<Entry> = (0..=random.below(6))
            .map(|_| {
                let key = (random.below(30) > 0).then(|| u8::try_from(random.below(12)).unwrap());
                let gone = key.is_some() && random.below(8) == 0;
                (key, (!gone).then(|| random.below(1_000_000)))
            })
            .collect();
        running.append_entries(&entries, timestamp_ms, codecs[usize::try_from(random.below(3)).unwrap()]);
        all.extend(entries);
    }
    all
}

/// What each key says last.
fn latest(entries: impl Iterator<Item = Entry>) -> BTreeMap<u8, u64> {
    let mut latest = BTreeMap::new();
    for (key, number) in entries {
        match (key, number) {
            (Some(key), Some(number)) => latest.insert(key, number),
            (Some(key), None) => latest.remove(&key),
            (None, _) => None,
        };
    }
    latest
}

/// What was kept are records as they were written, all of those without a key, and the latest of each key.
fn check(kept: &[(u64, Entry)], written: &[Entry]) {
    for (offset, entry) in kept {
        assert_eq!(*entry, written[usize::try_from(*offset).unwrap()], "at {offset}");
    }
    assert!(kept.windows(2).all(|pair| pair[0].0 < pair[1].0));
    assert_eq!(latest(kept.iter().map(|(_, entry)| *entry)), latest(written.iter().copied()));
    let keyless = |entries: &mut dyn Iterator<Item = Entry>| entries.filter(|(key, _)| key.is_none()).count();
    assert_eq!(keyless(&mut kept.iter().map(|(_, entry)| *entry)), keyless(&mut written.iter().copied()));
}

/// How many records of each key are left.
fn most_of_one_key(kept: &[(u64, Entry)]) -> usize {
    let mut counts = BTreeMap::<u8, usize>::new();
    kept.iter().filter_map(|(_, (key, _))| *key).for_each(|key| *counts.entry(key).or_default() += 1);
    counts.into_values().max().unwrap_or_default()
}

#[test]
fn the_latest_of_each_key_stays_at_its_offset() {
    for (seed, compaction_keys) in [(1, 1_000), (2, 5), (3, 1)] {
        let dir = tempdir().unwrap();
        let config = || LocalConfig { compaction_keys, ..small(dir.path()) };
        let running = open_on(Arc::new(RealDisk), config(), 1).unwrap();
        let mut random = Random(seed);
        let written = fill(&running, &mut random, 300, wall_clock_ms());
        running.configure(compacted());
        let end = written.len() as u64;
        // Segments that are being written aside, of each key one is left, and gone keys are still said to be gone.
        let kept = running.wait_entries(end, |kept| kept.len() < 120);
        check(&kept, &written);
        // Reading can begin anywhere, and finds what is next.
        for from in (0..end).step_by(7) {
            let expected: Vec<_> = kept.iter().filter(|(offset, _)| *offset >= from).copied().collect();
            assert!(running.entries(from, end).len() <= expected.len());
        }
        drop(running);
        let again = open_on(Arc::new(RealDisk), config(), 1).unwrap();
        let missing = |note: &RecoveryNote| matches!(note, RecoveryNote::MissingRecords { .. });
        assert!(!again.report.notes.iter().any(missing), "{}", again.report);
        assert_eq!(again.end(ORDERS), Offset(end));
        check(&again.entries(0, end), &written);
    }
}

#[test]
fn a_log_shrinks_to_about_its_keys_and_its_segments_are_put_together() {
    let dir = tempdir().unwrap();
    let running = real(dir.path());
    running.configure(compacted());
    for number in 0..600 {
        running.append_entries(&[(Some((number % 3) as u8), Some(number))], wall_clock_ms(), Compression::None);
    }
    let kept = running.wait_entries(600, |kept| most_of_one_key(kept) < 12);
    assert_eq!(latest(kept.into_iter().map(|(_, entry)| entry)), BTreeMap::from([(0, 597), (1, 598), (2, 599)]));
    let files = || {
        let names = std::fs::read_dir(dir.path().join("logs/orders-0")).unwrap();
        names.filter(|name| name.as_ref().unwrap().path().extension().is_some_and(|ending| ending == "log")).count()
    };
    while files() > 6 {
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn a_key_that_is_gone_is_forgotten_after_a_while_and_no_value_comes_back() {
    let dir = tempdir().unwrap();
    let running = real(dir.path());
    let old = wall_clock_ms() - 10_000;
    for number in 0..100 {
        running.append_entries(&[(Some(1), Some(number))], old, Compression::None);
    }
    running.append_entries(&[(Some(1), None)], old, Compression::None);
    for number in 0..30 {
        running.append_entries(&[(Some(2), Some(number))], old, Compression::None);
    }
    running.configure(compacted());
    let kept = running.wait_entries(131, |kept| most_of_one_key(kept) < 20);
    let of_one: Vec<_> = kept.iter().filter(|(_, (key, _))| *key == Some(1)).collect();
    assert_eq!(of_one, [&(100, (Some(1), None))], "a day has not passed");
    running.configure(TopicConfig { delete_retention_ms: 5_000, ..compacted() });
    for number in 0..60 {
        running.append_entries(&[(Some(3), Some(number))], old, Compression::None);
    }
    running.wait_entries(191, |kept| kept.iter().all(|(_, (key, _))| *key != Some(1)));
}

#[test]
fn what_is_young_stays_for_the_lag() {
    let dir = tempdir().unwrap();
    let running = real(dir.path());
    running.configure(TopicConfig { min_compaction_lag_ms: 3_600_000, ..compacted() });
    for number in 0..50 {
        running.append_entries(&[(Some(1), Some(number))], 1, Compression::None);
    }
    for number in 50..100 {
        running.append_entries(&[(Some(1), Some(number))], wall_clock_ms(), Compression::None);
    }
    let kept = running.wait_entries(100, |kept| kept.len() < 75);
    let young: Vec<_> = kept.iter().map(|(offset, _)| *offset).filter(|offset| *offset >= 50).collect();
    assert_eq!(young, (50..100).collect::<Vec<_>>());
}

#[test]
fn damage_is_not_compacted_away() {
    let dir = tempdir().unwrap();
    let running = real(dir.path());
    for number in 0..50 {
        running.append_entries(&[(Some(1), Some(number))], 1, Compression::None);
    }
    let path = dir.path().join("logs/orders-0/00000000000000000000.log");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    running.configure(compacted());
    thread::sleep(Duration::from_millis(30));
    let error = running.read(&part(ORDERS, 0, 50)).unwrap_err();
    assert!(matches!(error, ReadError::Corrupt { offset: Offset(0), next_offset: Some(Offset(1)), .. }), "{error:?}");
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
}

#[test]
fn readers_never_notice() {
    let dir = tempdir().unwrap();
    let running = real(dir.path());
    let mut random = Random(9);
    let written = fill(&running, &mut random, 400, wall_clock_ms());
    let end = written.len() as u64;
    let before = running.entries(0, end).len();
    assert_eq!(before, written.len());
    running.configure(compacted());
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut least = usize::MAX;
                while least > 150 {
                    let kept = running.entries(0, end);
                    check(&kept, &written);
                    least = least.min(kept.len());
                }
            });
        }
    });
}

#[test]
fn whatever_a_power_cut_leaves_nothing_is_lost_or_comes_twice() {
    for fuse in (1..120).step_by(5) {
        let disk = FaultyDisk::default();
        let running = open_on(Arc::new(disk.clone()), small("/data"), 1).unwrap();
        let mut random = Random(fuse);
        let written = fill(&running, &mut random, 100, wall_clock_ms());
        let end = written.len() as u64;
        running.checkpoint(0, b"").unwrap();
        disk.blow_after(fuse);
        running.configure(compacted());
        thread::sleep(Duration::from_millis(10));
        drop(running);
        for seed in 0..8 {
            let mut random = Random(seed);
            let disk = disk.fork();
            disk.crash(|| random.below(2) == 0);
            let quiet = LocalConfig { cleanup_interval: Duration::from_hours(1), ..small("/data") };
            let again = open_on(Arc::new(disk.clone()), quiet, 1).unwrap();
            let lost = |note: &&RecoveryNote| {
                matches!(note, RecoveryNote::MissingRecords { .. } | RecoveryNote::DamagedSegment { .. })
            };
            assert_eq!(again.report.notes.iter().find(lost), None, "fuse {fuse}, seed {seed}");
            assert_eq!(again.end(ORDERS), Offset(end));
            check(&again.entries(0, end), &written);
        }
    }
}
