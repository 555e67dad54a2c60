//! Bytes that change, and files that vanish, while nobody looks.

use std::{
    fs,
    path::{Path, PathBuf},
};

use takhin_core::{FactSeq, Offset};
use tempfile::tempdir;

use super::harness::*;
use crate::engine::{
    ReadError,
    local::{LocalConfig, OpenError, RecoveryNote, disk::RealDisk},
};

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 0x10;
    fs::write(path, bytes).unwrap();
}

fn segment(dir: &Path) -> PathBuf {
    dir.join("logs/orders-0/00000000000000000000.log")
}

fn journal_file(dir: &Path, number: u64) -> PathBuf {
    dir.join(format!("journal/{number:020}.wal"))
}

/// Ten batches of one record of 100 bytes each.
fn ten(dir: &Path) -> Running {
    let running = open(dir, 1);
    for value in 0..10 {
        running.append(ORDERS, &[&[value; 100]]).unwrap();
    }
    running
}

fn expected(offsets: impl Iterator<Item = u64>) -> Vec<(u64, Vec<u8>)> {
    offsets.map(|offset| (offset, vec![u8::try_from(offset).unwrap(); 100])).collect()
}

#[test]
fn the_journal_supplies_what_a_torn_or_damaged_tail_has_lost() {
    let dir = tempdir().unwrap();
    drop(ten(dir.path()));
    let whole = fs::read(segment(dir.path())).unwrap();
    let batch = whole.len() / 10;
    for cut in [0, 1, batch, 5 * batch + 30, whole.len() - 1] {
        let copy = copied(dir.path());
        fs::write(segment(copy.path()), &whole[..cut]).unwrap();
        let again = open(copy.path(), 1);
        assert_eq!(again.read_all(ORDERS, 0, again.end(ORDERS).0), expected(0..10), "cut at {cut}");
        assert_eq!(again.report.reapplied_batches, 10 - (cut / batch) as u64);
    }
    for at in (0..whole.len()).step_by(7) {
        let copy = copied(dir.path());
        flip(&segment(copy.path()), at);
        let again = open(copy.path(), 1);
        assert_eq!(again.read_all(ORDERS, 0, again.end(ORDERS).0), expected(0..10), "byte {at}");
        assert!(matches!(again.report.notes[..], [RecoveryNote::TornSegment { .. }]));
        assert_eq!(fs::read(segment(copy.path())).unwrap(), whole);
    }
}

fn copied(from: &Path) -> tempfile::TempDir {
    fn copy(from: &Path, to: &Path) {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            let to = to.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                copy(&entry.path(), &to);
            } else {
                fs::copy(entry.path(), to).unwrap();
            }
        }
    }
    let dir = tempdir().unwrap();
    copy(from, dir.path());
    dir
}

#[test]
fn damage_in_the_middle_is_told_and_its_neighbours_are_read() {
    let dir = tempdir().unwrap();
    ten(dir.path()).engine.stop().unwrap();
    let batch = fs::read(segment(dir.path())).unwrap().len() / 10;
    for at in 4 * batch..5 * batch {
        let copy = copied(dir.path());
        flip(&segment(copy.path()), at);
        let again = open(copy.path(), 1);
        assert_eq!(again.end(ORDERS), Offset(10));
        assert_eq!(again.read(&part(ORDERS, 0, 10)).unwrap().0, expected(0..4), "byte {at}");
        let corrupt = again.read(&part(ORDERS, 4, 10)).unwrap_err();
        let place = format!("{} at byte {}", segment(copy.path()).display(), 4 * batch);
        assert_eq!(corrupt, ReadError::Corrupt { place, offset: Offset(4), next_offset: Some(Offset(5)) });
        assert_eq!(again.read(&part(ORDERS, 5, 10)).unwrap().0, expected(5..10), "byte {at}");
        assert_eq!(again.read_all(ORDERS, 8, 10), expected(8..10));
        let reader = again.engine.reader();
        assert_eq!(reader.lookup_time(ORDERS, 100, Offset(10)).unwrap(), Some((Offset(0), 100)));
    }
}

#[test]
fn damage_in_the_last_batch_of_a_stopped_log_is_told_and_its_offset_not_given_again() {
    let dir = tempdir().unwrap();
    ten(dir.path()).engine.stop().unwrap();
    let length = usize::try_from(fs::metadata(segment(dir.path())).unwrap().len()).unwrap();
    flip(&segment(dir.path()), length - 120);
    let again = open(dir.path(), 1);
    assert_eq!(again.end(ORDERS), Offset(10));
    assert_eq!(again.append(ORDERS, &[b"next"]).unwrap().base_offset, Offset(10));
    assert_eq!(again.read_all(ORDERS, 0, 9), expected(0..9));
    let error = again.read(&part(ORDERS, 9, 11)).unwrap_err();
    assert!(matches!(error, ReadError::Corrupt { offset: Offset(9), .. }), "{error}");
    assert_eq!(again.read_all(ORDERS, 10, 11), [(10, b"next".to_vec())]);
}

#[test]
fn a_damaged_frame_in_the_journal_costs_no_other() {
    let dir = tempdir().unwrap();
    let running = open(dir.path(), 1);
    for seq in 1..=5 {
        running.persist(seq);
    }
    running.append(ORDERS, &[b"kept"]).unwrap();
    drop(running);
    let path = journal_file(dir.path(), 1);
    let bytes = fs::read(&path).unwrap();
    let at = bytes.windows(6).position(|window| window == b"fact 3").unwrap();
    flip(&path, at);
    let again = open(dir.path(), 1);
    assert_eq!(again.fact_numbers(), [1, 2, 4, 5]);
    assert!(matches!(again.report.notes[..], [RecoveryNote::MissingFacts { .. }, RecoveryNote::DamagedJournal { .. }]));
    assert_eq!(again.end(ORDERS), Offset(1));
}

#[test]
fn indexes_are_made_anew_when_missing_or_damaged() {
    let dir = tempdir().unwrap();
    let config = LocalConfig { segment_bytes: 30_000, ..config(dir.path()) };
    let open = || open_on(std::sync::Arc::new(RealDisk), config.clone(), 1).unwrap();
    let running = open();
    let mut values = Vec::new();
    for offset in 0..100u64 {
        let value = vec![u8::try_from(offset).unwrap(); 1000];
        running.append(ORDERS, &[&value]).unwrap();
        values.push((offset, value));
    }
    running.engine.stop().unwrap();
    let indexes: Vec<_> = fs::read_dir(dir.path().join("logs/orders-0"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension != "log" && extension != "metadata"))
        .collect();
    assert_eq!(indexes.len(), 8);
    for damage in [None, Some(0), Some(3), Some(7), Some(8), Some(15)] {
        for path in &indexes {
            match damage {
                None => fs::remove_file(path).unwrap(),
                Some(at) if fs::metadata(path).unwrap().len() > at => flip(path, usize::try_from(at).unwrap()),
                Some(_) => {}
            }
        }
        let again = open();
        for from in 0..100 {
            assert_eq!(again.read_all(ORDERS, from, 100), values[usize::try_from(from).unwrap()..], "{damage:?}");
        }
        again.engine.stop().unwrap();
    }
}

#[test]
fn a_damaged_snapshot_falls_back_to_the_one_before() {
    let dir = tempdir().unwrap();
    let running = open(dir.path(), 1);
    running.persist(1);
    running.checkpoint(1, b"one").unwrap();
    running.append(ORDERS, &[b"kept"]).unwrap();
    running.persist(2);
    running.checkpoint(2, b"two").unwrap();
    running.persist(3);
    drop(running);
    fs::write(dir.path().join("snapshots/00000000000000000003.snap.tmp"), b"half").unwrap();
    let path = dir.path().join("snapshots/00000000000000000002.snap");
    flip(&path, 40);
    let again = open(dir.path(), 1);
    assert_eq!((again.snapshot.as_deref(), again.fact_numbers()), (Some(&b"one"[..]), vec![2, 3]));
    assert_eq!(again.read_all(ORDERS, 0, 1), [(0, b"kept".to_vec())]);
    let notes = &again.report.notes[..];
    assert!(matches!(notes, [RecoveryNote::Leftover { .. }, RecoveryNote::DamagedSnapshot { .. }]), "{notes:?}");
    again.checkpoint(3, b"three").unwrap();
    again.engine.stop().unwrap();
    flip(&path, 20);
    assert_eq!(open(dir.path(), 1).fact_numbers(), [2, 3]);
}

#[test]
fn without_a_whole_snapshot_and_the_whole_journal_nothing_is_opened() {
    let dir = tempdir().unwrap();
    let running = open(dir.path(), 1);
    running.persist(1);
    running.checkpoint(1, b"one").unwrap();
    drop(running);
    fs::remove_file(journal_file(dir.path(), 1)).unwrap();
    fs::write(journal_file(dir.path(), 2), b"").unwrap();
    fs::remove_dir_all(dir.path().join("snapshots")).unwrap();
    let error = super::super::Opening::open(config(dir.path())).unwrap_err();
    assert!(matches!(error, OpenError::NoSnapshot(_)), "{error}");
}

#[test]
fn damaged_snapshots_alone_do_not_make_an_empty_broker() {
    let dir = tempdir().unwrap();
    let running = open(dir.path(), 1);
    running.persist(1);
    for round in 1..=2 {
        running.checkpoint(1, b"state").unwrap();
        flip(&dir.path().join(format!("snapshots/{round:020}.snap")), 40);
    }
    drop(running);
    let whole = copied(dir.path());
    fs::remove_file(journal_file(dir.path(), 1)).unwrap();
    for _ in 0..2 {
        let error = super::super::Opening::open(config(dir.path())).unwrap_err();
        assert!(matches!(error, OpenError::NoSnapshot(_)), "{error}");
    }
    assert_eq!(open(whole.path(), 1).fact_numbers(), [1]);
}

#[test]
fn a_missing_journal_file_is_told() {
    let dir = tempdir().unwrap();
    for seq in 1..=3 {
        let running = open(dir.path(), 1);
        running.persist(seq);
        running.engine.stop().unwrap();
    }
    fs::remove_file(journal_file(dir.path(), 2)).unwrap();
    let again = open(dir.path(), 1);
    assert_eq!(again.fact_numbers(), [1, 3]);
    let path = journal_file(dir.path(), 2);
    let facts = RecoveryNote::MissingFacts { after: FactSeq(1), before: FactSeq(3) };
    assert_eq!(again.report.notes, [RecoveryNote::MissingJournal { path }, facts]);
}

/// What a read of `from..to` tells of records that are missing up to `next`.
fn missing(dir: &Path, from: u64, next: u64) -> ReadError {
    let place = format!("{}: records {from} to {next} are missing", dir.join("logs/orders-0").display());
    ReadError::Corrupt { place, offset: Offset(from), next_offset: Some(Offset(next)) }
}

#[test]
fn records_that_are_lost_are_told_to_their_readers() {
    let dir = tempdir().unwrap();
    ten(dir.path()).engine.stop().unwrap();
    fs::write(segment(dir.path()), b"").unwrap();
    let lost = RecoveryNote::MissingRecords { log: ORDERS, from: Offset(0), to: Offset(10) };
    for appended in 10..12 {
        let again = open(dir.path(), 1);
        assert_eq!(again.report.notes, std::slice::from_ref(&lost));
        assert_eq!((again.bounds[0].start, again.bounds[0].end), (Offset(0), Offset(appended)));
        assert_eq!(again.read(&part(ORDERS, 0, 5)).unwrap_err(), missing(dir.path(), 0, 10));
        assert_eq!(again.read(&part(ORDERS, 7, appended)).unwrap_err(), missing(dir.path(), 7, 10));
        again.append(ORDERS, &[&[u8::try_from(appended).unwrap(); 100]]).unwrap();
        assert_eq!(again.read(&part(ORDERS, 7, appended + 1)).unwrap_err(), missing(dir.path(), 7, 10));
        assert_eq!(again.read_all(ORDERS, 10, appended + 1), expected(10..=appended));
        again.engine.stop().unwrap();
    }
}

#[test]
fn a_full_segment_that_is_missing_or_cut_short_is_told_at_the_start_and_to_its_readers() {
    let dir = tempdir().unwrap();
    let config = LocalConfig { segment_bytes: 500, ..config(dir.path()) };
    let running = open_on(std::sync::Arc::new(RealDisk), config, 1).unwrap();
    for value in 0..12 {
        running.append(ORDERS, &[&[value; 100]]).unwrap();
    }
    running.engine.stop().unwrap();
    // Three batches to a segment.
    let middle = Path::new("logs/orders-0/00000000000000000003.log");
    let batch = fs::read(dir.path().join(middle)).unwrap().len() / 3;
    for kept in [None, Some(0), Some(1), Some(2)] {
        let copy = copied(dir.path());
        match kept {
            None => fs::remove_file(copy.path().join(middle)).unwrap(),
            Some(batches) => {
                let bytes = fs::read(copy.path().join(middle)).unwrap();
                fs::write(copy.path().join(middle), &bytes[..batches * batch]).unwrap();
            }
        }
        let again = open(copy.path(), 1);
        let from = 3 + kept.unwrap_or_default() as u64;
        let lost = RecoveryNote::MissingRecords { log: ORDERS, from: Offset(from), to: Offset(6) };
        assert!(again.report.notes.contains(&lost), "{}", again.report);
        assert_eq!(again.read_all(ORDERS, 0, from), expected(0..from));
        let (values, outcome) = again.read(&part(ORDERS, 1, 12)).unwrap();
        assert_eq!((values, outcome.next), (expected(1..from), Offset(from)));
        assert_eq!(again.read(&part(ORDERS, from, 12)).unwrap_err(), missing(copy.path(), from, 6));
        assert_eq!(again.read(&part(ORDERS, 5, 6)).unwrap_err(), missing(copy.path(), 5, 6));
        assert_eq!(again.read_all(ORDERS, 6, 12), expected(6..12));
    }
}
