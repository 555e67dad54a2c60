//! Segments are synced while they grow, and not only when a checkpoint wants all of it at once.

use std::{
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use super::{
    faulty_disk::{FaultyDisk, Op},
    harness::*,
};
use crate::engine::{StorageError, local::LocalConfig};

fn start(disk: &FaultyDisk) -> Running {
    let config = LocalConfig { journal_file_bytes: 1 << 20, ..config("/data") };
    open_on(Arc::new(disk.clone()), config, 1).unwrap()
}

fn is_segment_synced(op: Op, path: &Path) -> bool {
    op == Op::Sync && path.extension().is_some_and(|extension| extension == "log")
}

fn grow(running: &Running, mebibytes: usize) {
    let value = vec![7; 1 << 18];
    for _ in 0..4 * mebibytes {
        running.append(ORDERS, &[&value]).unwrap();
    }
}

#[test]
fn a_segment_that_grows_is_synced_before_a_checkpoint() {
    let disk = FaultyDisk::default();
    let running = start(&disk);
    let syncs = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&syncs);
    disk.fault(move |op, path| {
        counted.fetch_add(u64::from(is_segment_synced(op, path)), Ordering::SeqCst);
        None
    });
    grow(&running, 12);
    // Behind all that the background thread was asked for before.
    running.checkpoint(0, b"").unwrap();
    assert_eq!(syncs.load(Ordering::SeqCst), 12 + 1);
}

#[test]
fn a_segment_that_could_not_be_synced_once_fails_every_checkpoint_and_loses_nothing() {
    let disk = FaultyDisk::default();
    let running = start(&disk);
    let mut left = 1;
    disk.fault(move |op, path| {
        let fails = left > 0 && is_segment_synced(op, path);
        left -= u64::from(fails);
        fails.then(|| io::Error::other("gone"))
    });
    grow(&running, 3);
    // The system tells of it once. What it then syncs need not be all that was written.
    assert!(matches!(running.checkpoint(0, b""), Err(StorageError::Failed(why)) if why.contains("gone")));
    assert!(matches!(running.append(ORDERS, &[b"refused"]), Err(StorageError::Failed(_))));
    assert!(running.engine.stop().is_err());
    disk.crash(|| false);
    assert_eq!(start(&disk).end(ORDERS).0, 12);
}

#[test]
fn a_clean_stop_is_none_where_a_segment_could_not_be_synced() {
    let disk = FaultyDisk::default();
    let running = start(&disk);
    let mut left = 1;
    disk.fault(move |op, path| {
        let fails = left > 0 && is_segment_synced(op, path);
        left -= u64::from(fails);
        fails.then(|| io::Error::other("gone"))
    });
    grow(&running, 2);
    assert!(running.engine.stop().is_err());
    disk.crash(|| false);
    assert_eq!(start(&disk).end(ORDERS).0, 8);
}
