//! Who writes: the engine's thread, or whoever submits.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use takhin_core::{AppendId, RequestId};
use tempfile::tempdir;

use super::{
    faulty_disk::{FaultyDisk, Op},
    harness::*,
};
use crate::engine::{
    Completion, SubmitError, WriteOp,
    local::{Durability, LocalConfig, Opening},
};

fn unsynced(dir: &std::path::Path) -> LocalConfig {
    LocalConfig { durability: Durability::Os, ..config(dir) }
}

#[test]
fn what_waits_for_no_disk_is_written_by_whoever_submits_it() {
    let dir = tempdir().unwrap();
    let opening = Opening::open(unsynced(dir.path())).unwrap();
    let (mut engine, ..) = opening.with_logs(&specs(1)).unwrap();
    let (report, reported) = mpsc::channel();
    let sink = move |batch: &mut Vec<Completion>| {
        batch.drain(..).for_each(|done| report.send((thread::current().id(), done)).unwrap());
    };
    engine.start(sink).unwrap();
    // The thread looks once after its start, and writes for a while where a round took long on a busy machine.
    let mut writers = (0..100_000).map(|n| {
        let id = AppendId { request: RequestId(n), partition: 0 };
        assert!(
            engine.submit(WriteOp::Append { id, log: ORDERS, batch: batch(&[b"x"]), expected_offset: None }).is_ok()
        );
        engine.flusher().flush();
        reported.recv().unwrap().0
    });
    assert!(writers.any(|writer| writer == thread::current().id()));
    engine.stop().unwrap();
}

#[test]
fn nothing_is_left_unwritten_when_many_find_the_others_writing() {
    let dir = tempdir().unwrap();
    let running = open_on(Arc::new(super::super::disk::RealDisk), unsynced(dir.path()), 2).unwrap();
    thread::scope(|scope| {
        for partition in [0, 0, 0, 1, 1] {
            let running = &running;
            scope.spawn(move || {
                for seq in 0..400 {
                    running.append(log(partition), &[b"x"]).unwrap();
                    if partition == 1 && seq % 10 == 0 {
                        thread::sleep(Duration::from_micros(50));
                    }
                }
            });
        }
    });
    assert_eq!(running.append(log(0), &[b"x"]).unwrap().base_offset.0, 1200);
    assert_eq!(running.append(log(1), &[b"x"]).unwrap().base_offset.0, 800);
}

#[test]
fn a_disk_that_keeps_a_round_waiting_keeps_no_submitter_waiting_after_it() {
    let disk = FaultyDisk::default();
    let dir = std::path::Path::new("/data");
    let opening = Opening::open_on(Arc::new(disk.clone()), unsynced(dir)).unwrap();
    let (mut engine, ..) = opening.with_logs(&specs(1)).unwrap();
    let (report, reported) = mpsc::channel();
    let sink = move |batch: &mut Vec<Completion>| {
        batch.drain(..).for_each(|_| report.send(thread::current().id()).unwrap());
    };
    engine.start(sink).unwrap();
    let append = |n| {
        let id = AppendId { request: RequestId(n), partition: 0 };
        assert!(
            engine.submit(WriteOp::Append { id, log: ORDERS, batch: batch(&[b"x"]), expected_offset: None }).is_ok()
        );
        engine.flusher().flush();
        reported.recv().unwrap()
    };
    disk.fault(|op, _| {
        if op == Op::Write {
            thread::sleep(Duration::from_millis(5));
        }
        None
    });
    append(0);
    let own = (1..20).filter(|n| append(*n) == thread::current().id()).count();
    assert!(own < 10, "{own}");
}

#[test]
fn a_panic_in_a_round_ends_the_engine() {
    let dir = tempdir().unwrap();
    let opening = Opening::open(unsynced(dir.path())).unwrap();
    let (mut engine, ..) = opening.with_logs(&specs(1)).unwrap();
    let tester = thread::current().id();
    let (report, reported) = mpsc::channel();
    let sink = move |batch: &mut Vec<Completion>| {
        batch.clear();
        assert_ne!(thread::current().id(), tester, "what the driver finds impossible");
        report.send(()).unwrap();
    };
    engine.start(sink).unwrap();
    let append = || {
        let id = AppendId { request: RequestId(1), partition: 0 };
        let submitted =
            engine.submit(WriteOp::Append { id, log: ORDERS, batch: batch(&[b"x"]), expected_offset: None });
        catch_unwind(AssertUnwindSafe(|| engine.flusher().flush())).map(|()| submitted)
    };
    // Until it is this thread that writes.
    while let Ok(submitted) = append() {
        assert!(submitted.is_ok());
        reported.recv().unwrap();
    }
    let id = AppendId { request: RequestId(2), partition: 0 };
    let refused = engine.submit(WriteOp::Append { id, log: ORDERS, batch: batch(&[b"x"]), expected_offset: None });
    assert!(matches!(refused, Err(SubmitError::Stopped(_))));
    assert!(engine.stop().is_err());
}
