//! Starts with so many logs that several threads open them.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use tempfile::tempdir;

use super::{
    faulty_disk::{FaultyDisk, Op},
    harness::*,
};
use crate::engine::local::{OpenError, RecoveryNote, parts::LOGS_PER_THREAD};

/// More than four threads get.
const LOGS: u32 = 515;
const _: () = assert!(LOGS as usize > 4 * LOGS_PER_THREAD);

fn value(partition: u32) -> Vec<u8> {
    partition.to_be_bytes().repeat(10)
}

/// A record in each log, and a clean stop.
fn write_all(running: Running) {
    let appends: Vec<_> = (0..LOGS).map(|at| running.submit_append(log(at), batch(&[&value(at)]))).collect();
    for append in appends {
        running.wait_append(append).unwrap();
    }
    running.engine.stop().unwrap();
}

fn segment(dir: &Path, partition: u32) -> PathBuf {
    dir.join(format!("logs/orders-{partition}/00000000000000000000.log"))
}

#[test]
fn what_is_found_in_them_is_told_in_their_order() {
    let dir = tempdir().unwrap();
    write_all(open(dir.path(), LOGS));
    let torn: Vec<_> = (0..LOGS).filter(|partition| partition % 7 == 3).collect();
    for &partition in &torn {
        let mut bytes = fs::read(segment(dir.path(), partition)).unwrap();
        bytes.extend([0; 5]);
        fs::write(segment(dir.path(), partition), bytes).unwrap();
    }
    let running = open(dir.path(), LOGS);
    let found = running.report.notes.iter().map(|note| match note {
        RecoveryNote::TornSegment { path, bytes: 5, .. } => path.clone(),
        other => panic!("{other}"),
    });
    assert_eq!(found.collect::<Vec<_>>(), torn.iter().map(|&at| segment(dir.path(), at)).collect::<Vec<_>>());
    assert_eq!(running.report.logs, LOGS as usize);
    for partition in 0..LOGS {
        assert_eq!(running.read_all(log(partition), 0, running.end(log(partition)).0), [(0, value(partition))]);
    }
}

#[test]
fn all_records_are_back_after_a_crash_and_no_second_recovery_is_needed() {
    let disk = FaultyDisk::default();
    let start = |disk: &FaultyDisk| open_on(Arc::new(disk.clone()), config("/data"), LOGS).unwrap();
    let running = start(&disk);
    let appends: Vec<_> = (0..LOGS).map(|at| running.submit_append(log(at), batch(&[&value(at)]))).collect();
    for append in appends {
        running.wait_append(append).unwrap();
    }
    drop(running);
    let mut turn = 0u32;
    // Of the segments, which nobody has synced yet, every other sector and name is lost.
    disk.crash(move || {
        turn += 1;
        turn.is_multiple_of(2)
    });
    for reapplied in [true, false] {
        let running = start(&disk);
        assert_eq!(running.report.reapplied_batches > 0, reapplied, "{}", running.report);
        for partition in 0..LOGS {
            assert_eq!(running.read_all(log(partition), 0, 1), [(0, value(partition))]);
        }
        drop(running);
        // Whatever recovery has not made durable is gone now.
        disk.crash(|| false);
    }
}

#[test]
fn where_several_can_not_be_opened_the_first_is_named() {
    let disk = FaultyDisk::default();
    let start = || open_on(Arc::new(disk.clone()), config("/data"), LOGS);
    write_all(start().unwrap());
    let bad = [LOGS - 1, LOGS / 2, LOGS / 4];
    disk.fault(move |op, path| {
        let is_bad = bad.iter().any(|&partition| path == segment(Path::new("/data"), partition));
        (op == Op::Open && is_bad).then(|| io::Error::other("unreadable"))
    });
    let Err(OpenError::Io { path, error }) = start() else { panic!("three logs can't be read") };
    assert_eq!(path, Path::new(&format!("/data/logs/orders-{}", LOGS / 4)));
    assert_eq!(error.to_string(), "unreadable");
    disk.heal();
    assert_eq!(start().unwrap().report.notes, []);
}

#[test]
fn a_log_is_listed_once_and_none_of_its_files_is_opened_twice() {
    let disk = FaultyDisk::default();
    let start = || open_on(Arc::new(disk.clone()), config("/data"), LOGS).unwrap();
    write_all(start());
    let asked = Arc::new(Mutex::new(BTreeMap::new()));
    let counts = Arc::clone(&asked);
    disk.fault(move |op, path| {
        if path.starts_with("/data/logs/") && matches!(op, Op::Open | Op::List) {
            *counts.lock().unwrap().entry(path.to_owned()).or_insert(0) += 1;
        }
        None
    });
    drop(start());
    let asked = asked.lock().unwrap();
    let more = asked.iter().find(|(path, count)| **count > 1 && *path != Path::new("/data/logs"));
    assert_eq!(more, None);
    // The directory, whose it is, and the segment: an index of so few bytes has nothing to say.
    assert_eq!(asked.len(), 3 * LOGS as usize + 1, "{asked:?}");
}
