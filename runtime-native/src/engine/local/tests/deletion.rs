//! Logs of deleted topics go, whatever comes between.

use std::{collections::BTreeSet, fs, io, path::Path, sync::Arc};

use tempfile::tempdir;

use super::{
    crashes::Random,
    faulty_disk::{FaultyDisk, Op},
    harness::*,
};
use crate::engine::local::{Opening, RecoveryNote, disk::Disk};

fn logs(disk: &FaultyDisk) -> Vec<String> {
    disk.list(Path::new("/data/logs")).unwrap()
}

#[test]
fn a_crash_before_the_logs_of_a_deleted_topic_are_out_of_their_place_does_not_keep_them() {
    let dir = tempdir().unwrap();
    drop(open(dir.path(), 2));
    let opening = Opening::open(config(dir.path())).unwrap().with_deleted(BTreeSet::from([ORDERS.topic]));
    let (_, _, report) = opening.with_logs(&[]).unwrap();
    assert!(matches!(report.notes[..], [RecoveryNote::Leftover { .. }, RecoveryNote::Leftover { .. }]), "{report}");
    assert_eq!(fs::read_dir(dir.path().join("logs")).unwrap().count(), 0);
}

#[test]
fn a_snapshot_with_the_deletion_in_it_does_not_keep_the_logs() {
    let dir = tempdir().unwrap();
    let running = open(dir.path(), 1);
    running.persist(1);
    running.checkpoint(1, b"without the topic").unwrap();
    drop(running);
    let again = open(dir.path(), 0);
    assert!(matches!(again.report.notes[..], [RecoveryNote::Leftover { .. }]), "{}", again.report);
    assert_eq!(fs::read_dir(dir.path().join("logs")).unwrap().count(), 0);
}

#[test]
fn a_log_that_a_lost_fact_may_have_wanted_is_moved_aside() {
    let dir = tempdir().unwrap();
    let running = open(dir.path(), 1);
    running.persist(1);
    running.checkpoint(1, b"without the topic").unwrap();
    running.persist(3);
    drop(running);
    let again = open(dir.path(), 0);
    assert!(
        matches!(again.report.notes[..], [RecoveryNote::MissingFacts { .. }, RecoveryNote::Stray { .. }]),
        "{}",
        again.report
    );
}

#[test]
fn a_deletion_survives_a_power_cut_once_anything_is_removed() {
    for fuse in 1.. {
        let disk = FaultyDisk::default();
        let running = open_on(Arc::new(disk.clone()), config("/data"), 1).unwrap();
        running.checkpoint(0, b"").unwrap();
        disk.blow_after(fuse);
        let before = disk.operations();
        let _ = running.delete(1);
        drop(running);
        let survived = disk.operations() - before < fuse;
        for seed in 0..40 {
            let mut random = Random(seed);
            let disk = disk.fork();
            disk.crash(|| random.below(2) == 0);
            let names = logs(&disk);
            assert!(names == ["orders-0"] || names.is_empty() || names[0].ends_with("-delete"), "{names:?}");
            if names == ["orders-0"] {
                let files = disk.list(Path::new("/data/logs/orders-0")).unwrap();
                assert_eq!(files.len(), 4, "all of it or nothing; fuse {fuse}, seed {seed}");
            }
            let again = open_on(Arc::new(disk.clone()), config("/data"), 0).unwrap();
            assert_eq!(logs(&disk), Vec::<String>::new(), "{}", again.report);
        }
        if survived {
            return;
        }
    }
}

#[test]
fn a_checkpoint_waits_for_deletions_that_failed() {
    let disk = FaultyDisk::default();
    let running = open_on(Arc::new(disk.clone()), config("/data"), 1).unwrap();
    disk.fault(|op, path| (op == Op::Rename && path.starts_with("/data/logs")).then(|| io::Error::other("no")));
    assert!(running.delete(1).is_err());
    assert!(running.checkpoint(0, b"").is_err());
    assert_eq!(logs(&disk), ["orders-0"]);
    disk.heal();
    running.checkpoint(0, b"").unwrap();
    assert_eq!(logs(&disk), Vec::<String>::new());
}
