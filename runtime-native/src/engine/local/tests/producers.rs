//! Conditional appends: decided in the order of writing, taken back with what they rest on, known after a start.

use std::{io, sync::Arc};

use takhin_core::{AppendId, AppendRefusal, Offset, ProducerId, ProducerStamp, RequestId};
use tempfile::tempdir;

use super::{
    faulty_disk::{FaultyDisk, Op},
    harness::*,
};
use crate::{
    engine::{StorageError, WriteOp, local::LocalConfig},
    record::{BatchBuilder, EncodedBatch},
};

fn stamped(producer: u64, sequence: u32, values: &[&[u8]]) -> EncodedBatch {
    let mut builder = BatchBuilder::default();
    for value in values {
        builder.push(0, None, Some(value), std::iter::empty()).unwrap();
    }
    builder.stamp(ProducerStamp { producer: ProducerId(producer), epoch: 0, sequence });
    builder.finish().unwrap()
}

impl Running {
    /// Where a batch is, and whether it was there before.
    fn put(&self, batch: EncodedBatch) -> Result<(u64, bool), StorageError> {
        self.wait_append(self.submit_append(ORDERS, batch)).map(|at| (at.base_offset.0, at.duplicate))
    }

    fn at(&self, number: u64, expected: u64) -> AppendId {
        let id = AppendId { request: RequestId(number), partition: 0 };
        let batch = batch(&[b"x"]);
        self.engine
            .submit(WriteOp::Append { id, log: ORDERS, batch, expected_offset: Some(Offset(expected)) })
            .map(drop)
            .unwrap();
        id
    }
}

fn gap(expected: u32) -> StorageError {
    StorageError::Refused(AppendRefusal::SequenceGap { expected })
}

fn mismatch(end: u64) -> StorageError {
    StorageError::Refused(AppendRefusal::OffsetMismatch { end: Offset(end) })
}

#[test]
fn of_many_in_one_group_at_the_same_offset_exactly_one_is_appended() {
    let dir = tempdir().unwrap();
    let running = open(dir.path(), 1);
    let ids: Vec<_> = (0..10).map(|n| running.at(1_000 + n, n / 2)).collect();
    running.engine.flusher().flush();
    let results: Vec<_> = ids.into_iter().map(|id| running.wait_append(id).map(|at| at.base_offset.0)).collect();
    for (n, pair) in (0..).zip(results.chunks(2)) {
        assert_eq!(pair, [Ok(n), Err(mismatch(n + 1))]);
    }
    assert_eq!(running.read_all(ORDERS, 0, 5).len(), 5);
}

#[test]
fn a_batch_that_comes_again_is_recognised_in_the_same_group_and_later() {
    let dir = tempdir().unwrap();
    let running = open(dir.path(), 1);
    let ids: Vec<_> = [0, 0, 2, 0]
        .map(|sequence| {
            let id = AppendId { request: RequestId(2_000 + u64::from(sequence)), partition: 0 };
            let batch = stamped(7, sequence, &[b"a", b"b"]);
            let op = WriteOp::Append { id, log: ORDERS, batch, expected_offset: None };
            running.engine.submit(op).map(drop).unwrap();
            id
        })
        .into();
    running.engine.flusher().flush();
    assert_eq!(running.wait_append(ids[2]).map(|at| (at.base_offset.0, at.duplicate)), Ok((2, false)));
    assert_eq!(running.put(stamped(7, 0, &[b"a", b"b"])), Ok((0, true)));
    assert_eq!(running.put(stamped(7, 5, &[b"c"])), Err(gap(4)));
    assert_eq!(running.put(stamped(7, 4, &[b"c"])), Ok((4, false)));
    assert_eq!(running.read_all(ORDERS, 0, 5).len(), 5);
}

#[test]
fn what_a_failed_write_had_noted_is_taken_back_and_so_is_what_rests_on_it() {
    for op in [Op::Write, Op::Sync] {
        let disk = FaultyDisk::default();
        let running = open_on(Arc::new(disk.clone()), config("/data"), 1).unwrap();
        assert_eq!(running.put(stamped(7, 0, &[b"a"])), Ok((0, false)));
        disk.fault(move |at, path| {
            let hit = at == op && path.extension().is_some_and(|ending| ending == "wal");
            hit.then(|| io::Error::other("no"))
        });
        let ids = [stamped(7, 1, &[b"b"]), stamped(7, 1, &[b"b"])].map(|batch| running.submit_append(ORDERS, batch));
        for id in ids {
            let error = running.wait_append(id).unwrap_err();
            assert!(!matches!(error, StorageError::Refused(_)), "{op:?}: {error:?}");
        }
        disk.heal();
        if op == Op::Write {
            assert_eq!(running.put(stamped(7, 1, &[b"b"])), Ok((1, false)));
        }
    }
}

#[test]
fn producers_are_known_after_a_kill_with_and_without_a_snapshot() {
    for checkpoint in [false, true] {
        let dir = tempdir().unwrap();
        let running = open(dir.path(), 1);
        running.put(stamped(7, 0, &[b"a", b"b"])).unwrap();
        running.put(stamped(8, 0, &[b"c"])).unwrap();
        if checkpoint {
            running.checkpoint(0, b"").unwrap();
        }
        running.put(stamped(7, 2, &[b"d"])).unwrap();
        drop(running);
        // Twice, for the second start no longer finds what the first one has put right.
        for _ in 0..2 {
            let running = open(dir.path(), 1);
            assert_eq!(running.put(stamped(7, 0, &[b"a", b"b"])), Ok((0, true)));
            assert_eq!(running.put(stamped(7, 2, &[b"d"])), Ok((3, true)));
            assert_eq!(running.put(stamped(8, 0, &[b"c"])), Ok((2, true)));
            assert_eq!(running.put(stamped(7, 4, &[b"e"])), Err(gap(3)));
        }
    }
}

#[test]
fn a_producer_is_known_across_segments() {
    let dir = tempdir().unwrap();
    let small = || LocalConfig { segment_bytes: 200, ..config(dir.path()) };
    let running = open_on(Arc::new(crate::engine::local::disk::RealDisk), small(), 1).unwrap();
    for sequence in 0..20 {
        assert_eq!(running.put(stamped(7, sequence, &[&[0; 90]])), Ok((sequence.into(), false)));
    }
    drop(running);
    let running = open_on(Arc::new(crate::engine::local::disk::RealDisk), small(), 1).unwrap();
    assert_eq!(running.put(stamped(7, 16, &[&[0; 90]])), Ok((16, true)));
    assert_eq!(running.put(stamped(7, 20, &[&[0; 90]])), Ok((20, false)));
}

#[test]
fn a_snapshot_from_before_there_were_producers_is_read() {
    let dir = tempdir().unwrap();
    let running = open(dir.path(), 1);
    running.append(ORDERS, &[b"a"]).unwrap();
    running.checkpoint(3, b"the state").unwrap();
    drop(running);
    // What the first version wrote: another magic, and no length and list of producers.
    let path = dir.path().join("snapshots/00000000000000000001.snap");
    let bytes = std::fs::read(&path).unwrap();
    let body = [&bytes[12..32 + 20], b"the state"].concat();
    assert!(bytes.ends_with(b"\0\0\0\x02[]the state"), "{bytes:?}");
    std::fs::write(&path, [&b"takhin\x001"[..], &crc32c::crc32c(&body).to_be_bytes(), &body].concat()).unwrap();
    let again = open(dir.path(), 1);
    assert_eq!((again.snapshot.as_deref(), again.report.notes.len()), (Some(&b"the state"[..]), 0));
}
