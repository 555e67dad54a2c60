//! The journal's files are written past the system's memory where that can be done, and then one over another.

use std::{
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{
    faulty_disk::{FaultyDisk, Op, Unbuffered},
    harness::*,
};
use crate::engine::{
    StorageError,
    local::{Durability, LocalConfig, RecoveryNote, disk::Disk as _},
};

const JOURNAL: &str = "/data/journal";

fn settings() -> LocalConfig {
    LocalConfig { journal_file_bytes: 8_192, ..config("/data") }
}

fn start(disk: &FaultyDisk) -> Running {
    open_on(Arc::new(disk.clone()), settings(), 1).unwrap()
}

fn names(disk: &FaultyDisk, ending: &str) -> Vec<String> {
    let mut names = disk.list(Path::new(JOURNAL)).unwrap();
    names.retain(|name| name.ends_with(ending));
    names
}

/// Writes until files are no longer needed, again and again.
fn write_much(running: &Running, facts: &mut u64) {
    for _ in 0..6 {
        for _ in 0..12 {
            running.append(ORDERS, &[&[7; 900]]).unwrap();
            *facts += 1;
            running.persist(*facts);
        }
        running.checkpoint(*facts, &facts.to_be_bytes()).unwrap();
    }
    // Files are removed beside the writing; what is asked for behind that is done behind it.
    running.checkpoint(*facts, &facts.to_be_bytes()).unwrap();
}

/// A disk on which the file that is being written was others before.
fn written_over(facts: &mut u64) -> (FaultyDisk, Running) {
    let disk = FaultyDisk::default();
    let running = start(&disk);
    write_much(&running, facts);
    (disk, running)
}

#[test]
fn files_are_written_over_once_they_are_not_needed() {
    let disk = FaultyDisk::default();
    let running = start(&disk);
    let made = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&made);
    disk.fault(move |op, path| {
        counted.fetch_add(u64::from(op == Op::Create && path.starts_with(JOURNAL)), Ordering::Relaxed);
        None
    });
    let mut facts = 0;
    write_much(&running, &mut facts);
    write_much(&running, &mut facts);
    let begun: u64 = names(&disk, ".wal").last().unwrap().trim_end_matches(".wal").parse().unwrap();
    assert!(made.load(Ordering::Relaxed) < begun * 2 / 3, "{made:?} of {begun} were new");
    assert!(names(&disk, ".spare").len() <= 2);
}

#[test]
fn what_stood_in_a_file_before_is_neither_read_nor_told_of() {
    let mut facts = 0;
    let (disk, running) = written_over(&mut facts);
    let (from, end) = (facts, 72);
    for left in 0..40 {
        let fork = disk.fork();
        let again = start(&fork);
        assert_eq!(again.report.notes, [], "after {left}");
        assert_eq!(again.fact_numbers(), (from + 1..=facts).collect::<Vec<_>>());
        assert_eq!(again.read_all(ORDERS, 0, again.end(ORDERS).0).len(), end + left);
        drop(again);
        running.append(ORDERS, &[&vec![7; left * 20]]).unwrap();
        facts += 1;
        running.persist(facts);
    }
}

#[test]
fn a_group_of_which_a_part_is_missing_is_told_and_nothing_of_it_read() {
    let mut facts = 0;
    let (disk, running) = written_over(&mut facts);
    running.persist(facts + 1);
    // Files that are not needed are still being removed beside it, so changes can't be counted.
    disk.blow_within_a_write_below(Path::new(JOURNAL));
    let _ = running.append(ORDERS, &[&[9; 6_000]]);
    drop(running);
    disk.crash(|| true);
    let again = start(&disk);
    assert_eq!(again.fact_numbers(), [facts + 1]);
    let torn = |note: &RecoveryNote| matches!(note, RecoveryNote::TornJournal { bytes, .. } if *bytes > 1_000);
    assert!(again.report.notes.iter().any(torn), "{}", again.report);
}

#[test]
fn where_the_file_system_knows_no_such_writes_nothing_is_kept_to_be_written_over() {
    for unbuffered in [Unbuffered::NotOpened, Unbuffered::NotWritten] {
        let mut facts = 0;
        // The directory was on another file system before.
        let (disk, running) = written_over(&mut facts);
        assert_ne!(names(&disk, ".spare"), [""; 0]);
        drop(running);
        disk.kill();
        disk.set_unbuffered(unbuffered);
        let running = start(&disk);
        write_much(&running, &mut facts);
        assert_eq!(names(&disk, ".spare"), [""; 0], "{unbuffered:?}");
        running.persist(facts + 1);
        let end = running.append(ORDERS, &[b"last"]).unwrap().end;
        drop(running);
        disk.crash(|| false);
        let again = start(&disk);
        assert_eq!((again.fact_numbers(), again.end(ORDERS)), (vec![facts + 1], end));
        assert_eq!(again.report.notes, []);
    }
}

#[test]
fn without_a_sync_for_each_group_spare_files_are_removed() {
    let mut facts = 0;
    let (disk, running) = written_over(&mut facts);
    drop(running);
    disk.kill();
    assert_ne!(names(&disk, ".spare"), [""; 0]);
    let os = LocalConfig { durability: Durability::Os, ..settings() };
    let running = open_on(Arc::new(disk.clone()), os, 1).unwrap();
    assert_eq!(names(&disk, ".spare"), [""; 0]);
    assert_eq!(running.report.notes, []);
}

#[test]
fn a_full_disk_gets_the_room_of_spare_files() {
    let mut facts = 0;
    let (disk, running) = written_over(&mut facts);
    assert_ne!(names(&disk, ".spare"), [""; 0]);
    let full = || io::ErrorKind::StorageFull.into();
    disk.fault(move |op, path| (op == Op::Write && !path.starts_with(JOURNAL)).then(full));
    assert_eq!(running.append(ORDERS, &[b"x"]), Err(StorageError::Full));
    assert_eq!(names(&disk, ".spare"), [""; 0]);
}

#[test]
fn a_spare_file_that_can_not_be_had_is_done_without() {
    let mut facts = 0;
    let (disk, running) = written_over(&mut facts);
    disk.fault(|op, _| (op == Op::Rename).then(|| io::Error::other("stuck")));
    for _ in 0..30 {
        running.append(ORDERS, &[&[7; 900]]).unwrap();
    }
    drop(running);
    disk.crash(|| false);
    assert_eq!(start(&disk).end(ORDERS).0, 72 + 30);
}
