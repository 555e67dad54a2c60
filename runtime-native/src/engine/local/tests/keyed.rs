//! An idempotency key stands for one request to all logs of a topic: another one with it is refused as a whole.

use std::{io, sync::Arc};

use takhin_core::{AppendId, AppendRefusal, ProducerId, ProducerStamp, RequestId};
use tempfile::tempdir;

use super::{
    faulty_disk::{FaultyDisk, Op},
    harness::*,
};
use crate::{
    engine::{StorageError, WriteOp},
    record::{BatchBuilder, EncodedBatch},
};

/// What became of each of a request's batches.
type Results = Vec<Result<(u64, bool), StorageError>>;

fn keyed(key: u64, body: u32) -> EncodedBatch {
    let mut builder = BatchBuilder::default();
    builder.push(0, None, Some(b"x"), std::iter::empty()).unwrap();
    builder.stamp(ProducerStamp { producer: ProducerId::keyed(key), epoch: 0, sequence: body });
    builder.finish().unwrap()
}

fn reused() -> Result<(u64, bool), StorageError> {
    Err(StorageError::Refused(AppendRefusal::KeyReused))
}

impl Running {
    /// Submits a request for these partitions with the key 7, without having it written.
    fn ask(&self, request: u64, body: u32, partitions: &[u32]) -> Vec<AppendId> {
        let submit = |partition: &u32| {
            let id = AppendId { request: RequestId(request), partition: *partition };
            let batch = keyed(7, body);
            let op = WriteOp::Append { id, log: log(*partition), batch, expected_offset: None };
            self.engine.submit(op).map(drop).unwrap();
            id
        };
        partitions.iter().map(submit).collect()
    }

    fn results(&self, ids: Vec<AppendId>) -> Results {
        let result = |id| self.wait_append(id).map(|at| (at.base_offset.0, at.duplicate));
        ids.into_iter().map(result).collect()
    }

    /// Has a request written, and says what became of it.
    fn put_keyed(&self, request: u64, body: u32, partitions: &[u32]) -> Results {
        let ids = self.ask(request, body, partitions);
        self.engine.flusher().flush();
        self.results(ids)
    }
}

#[test]
fn a_key_that_is_taken_is_refused_whole_whatever_partitions_it_is_for() {
    let dir = tempdir().unwrap();
    for restarted in [false, true] {
        let running = open(dir.path(), 4);
        assert_eq!(running.put_keyed(1_001, 1, &[0, 2]), [Ok((0, restarted)), Ok((0, restarted))]);
        for (request, partitions) in [(1_002, &[1][..]), (1_003, &[3]), (1_004, &[2, 3]), (1_005, &[1, 2, 0])] {
            let results = running.put_keyed(request, 2, partitions);
            assert!(results.iter().all(|result| *result == reused()), "{partitions:?}: {results:?}");
        }
        let ends = [0, 1, 2, 3].map(|partition| running.append(log(partition), &[b"end"]).unwrap().base_offset.0);
        assert_eq!(ends, if restarted { [2, 1, 2, 1] } else { [1, 0, 1, 0] });
    }
}

#[test]
fn of_two_requests_in_one_group_one_is_stored_and_the_other_is_not() {
    for (first, second) in [(&[0, 2][..], &[1, 2][..]), (&[2], &[1, 3]), (&[1, 3], &[2]), (&[3], &[3, 0])] {
        let dir = tempdir().unwrap();
        let running = open(dir.path(), 4);
        let ids = [running.ask(1_001, 1, first), running.ask(1_002, 2, second)];
        running.engine.flusher().flush();
        let stored = ids.map(|ids| {
            let results = running.results(ids);
            let stored = results.iter().filter(|result| **result == Ok((0, false))).count();
            assert!(stored == results.len() || results.iter().all(|result| *result == reused()), "{results:?}");
            stored > 0
        });
        assert!(stored[0] != stored[1], "{first:?}, {second:?}");
    }
}

#[test]
fn a_request_of_which_a_part_failed_is_done_when_it_comes_again_and_no_other_with_its_key() {
    let disk = FaultyDisk::default();
    let running = open_on(Arc::new(disk.clone()), config("/data"), 3).unwrap();
    disk.fault(|at, path| {
        let hit = at == Op::Write && path.to_string_lossy().contains("orders-1");
        hit.then(|| io::Error::other("no"))
    });
    let half = running.put_keyed(1_001, 1, &[0, 1]);
    assert!(matches!(half[..], [Ok((0, false)), Err(StorageError::Failed(_))]), "{half:?}");
    disk.heal();
    assert_eq!(running.put_keyed(1_002, 2, &[1]), [reused()]);
    assert_eq!(running.put_keyed(1_003, 2, &[1, 2]), [reused(), reused()]);
    assert_eq!(running.put_keyed(1_004, 1, &[0, 1]), [Ok((0, true)), Ok((0, false))]);
}

#[test]
fn a_key_whose_request_failed_is_free_and_goes_to_one_of_those_that_follow() {
    let disk = FaultyDisk::default();
    let running = open_on(Arc::new(disk.clone()), config("/data"), 4).unwrap();
    disk.fault(|at, path| {
        let hit = at == Op::Write && path.to_string_lossy().contains("orders-1");
        hit.then(|| io::Error::other("no"))
    });
    // The first log in the order of writing fails, after which the second request has the key.
    let ids = [running.ask(1_001, 1, &[1, 3]), running.ask(1_002, 2, &[2, 3])];
    running.engine.flusher().flush();
    let [failed, stored] = ids.map(|ids| running.results(ids));
    assert!(matches!(failed[0], Err(StorageError::Failed(_))), "{failed:?}");
    assert_eq!((failed[1].clone(), stored), (reused(), vec![Ok((0, false)), Ok((0, false))]));
}
