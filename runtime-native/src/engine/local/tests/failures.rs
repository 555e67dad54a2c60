//! A disk that fails or is full while the engine runs.

use std::{io, path::Path, sync::Arc};

use takhin_core::FactSeq;

use super::{
    faulty_disk::{FaultyDisk, Op},
    harness::*,
};
use crate::engine::{
    Completion, StorageError, StorageState,
    local::{LocalConfig, Opening, Run},
};

fn start(disk: &FaultyDisk) -> Running {
    open_on(Arc::new(disk.clone()), config("/data"), 2).unwrap()
}

fn in_journal(path: &Path) -> bool {
    path.starts_with("/data/journal")
}

fn states(running: &Running) -> Vec<StorageState> {
    let state = |completion| {
        if let Completion::StorageState(state) = completion { Some(state) } else { None }
    };
    running.completions().into_iter().filter_map(state).collect()
}

#[test]
fn a_write_that_fails_is_undone_and_the_next_one_goes_on() {
    for fails_in_journal in [false, true] {
        let disk = FaultyDisk::default();
        let running = start(&disk);
        running.append(ORDERS, &[b"first"]).unwrap();
        disk.fault(move |op, path| {
            (op == Op::Write && in_journal(path) == fails_in_journal).then(|| io::Error::other("broken"))
        });
        assert_eq!(running.append(ORDERS, &[b"lost"]), Err(StorageError::Failed("broken".to_owned())));
        disk.heal();
        assert_eq!(running.append(ORDERS, &[b"second"]).unwrap().base_offset.0, 1);
        let expected = [(0, b"first".to_vec()), (1, b"second".to_vec())];
        assert_eq!(running.read_all(ORDERS, 0, 2), expected);
        drop(running);
        disk.kill();
        let again = start(&disk);
        assert_eq!(again.read_all(ORDERS, 0, again.end(ORDERS).0), expected);
    }
}

#[test]
fn a_log_that_can_not_be_written_does_not_harm_another_in_the_same_group() {
    let disk = FaultyDisk::default();
    let running = start(&disk);
    disk.fault(|op, path| (op == Op::Write && path.to_str()?.contains("orders-0")).then(|| io::Error::other("bad")));
    let broken = running.submit_append(ORDERS, batch(&[b"x"]));
    let good = running.submit_append(log(1), batch(&[b"y"]));
    assert!(running.wait_append(broken).is_err());
    assert!(running.wait_append(good).is_ok());
}

#[test]
fn nothing_is_acknowledged_after_a_sync_that_failed() {
    let disk = FaultyDisk::default();
    let running = start(&disk);
    running.append(ORDERS, &[b"first"]).unwrap();
    disk.fault(|op, path| (op == Op::Sync && in_journal(path)).then(|| io::Error::other("gone")));
    running.submit_fact(1);
    assert!(matches!(
        running.append(ORDERS, &[b"doubtful"]),
        Err(StorageError::Uncertain(_) | StorageError::Failed(_))
    ));
    disk.heal();
    assert!(matches!(running.append(ORDERS, &[b"refused"]), Err(StorageError::Failed(_))));
    assert!(matches!(states(&running)[..], [StorageState::Failed { .. }]));
    assert!(!running.completions().iter().any(|completion| matches!(completion, Completion::Persisted { .. })));
    assert_eq!(running.read_all(ORDERS, 0, 1), [(0, b"first".to_vec())]);
    assert!(running.engine.stop().is_err());
}

#[test]
fn facts_that_can_never_be_kept_do_not_pile_up() {
    let disk = FaultyDisk::default();
    let opening = Opening::open_on(Arc::new(disk), config("/data")).unwrap();
    let (mut engine, ..) = opening.with_logs(&specs(1)).unwrap();
    let Run::Ready(writer) = &mut engine.run else { unreachable!("it was not started") };
    let facts = |seq| vec![(FactSeq(seq), vec![0; 100])];
    writer.keep_facts(FactSeq(1), facts(1));
    assert_eq!(writer.facts.waiting.len(), 1);
    writer.fail("gone".to_owned());
    writer.keep_facts(FactSeq(2), facts(2));
    assert_eq!(writer.facts.waiting.capacity(), 0);
}

#[test]
fn what_can_not_be_undone_is_final() {
    let disk = FaultyDisk::default();
    let running = start(&disk);
    disk.fault(|op, path| {
        (matches!(op, Op::Write | Op::SetLen) && !in_journal(path)).then(|| io::Error::other("stuck"))
    });
    assert!(matches!(running.append(ORDERS, &[b"x"]), Err(StorageError::Uncertain(_))));
    disk.heal();
    assert!(matches!(running.append(log(1), &[b"y"]), Err(StorageError::Failed(_))));
}

#[test]
fn a_full_disk_refuses_records_keeps_facts_and_goes_on_when_there_is_room() {
    let disk = FaultyDisk::default();
    let running = start(&disk);
    running.append(ORDERS, &[b"first"]).unwrap();
    disk.set_capacity(Some(disk.used() + 100));
    assert_eq!(running.append(ORDERS, &[&[7; 1000]]), Err(StorageError::Full));
    assert_eq!(states(&running), [StorageState::Full]);
    disk.fault(|op, path| (op == Op::Write && in_journal(path)).then(|| io::ErrorKind::StorageFull.into()));
    running.submit_fact(1);
    running.submit_fact(2);
    assert_eq!(running.append(ORDERS, &[b"tiny"]), Err(StorageError::Full));
    assert!(!running.completions().iter().any(|completion| matches!(completion, Completion::Persisted { .. })));
    disk.heal();
    disk.set_capacity(None);
    running.wait_fact(2);
    assert_eq!(running.append(ORDERS, &[b"second"]).unwrap().base_offset.0, 1);
    assert_eq!(states(&running).last(), Some(&StorageState::Ok));
    drop(running);
    disk.kill();
    let again = start(&disk);
    assert_eq!(again.fact_numbers(), [1, 2]);
    assert_eq!(again.read_all(ORDERS, 0, 2), [(0, b"first".to_vec()), (1, b"second".to_vec())]);
}

#[test]
fn a_full_disk_is_found_to_have_room_again_without_anybody_writing() {
    let disk = FaultyDisk::default();
    let running = start(&disk);
    disk.set_capacity(Some(disk.used() + 100));
    assert_eq!(running.append(ORDERS, &[&[7; 1000]]), Err(StorageError::Full));
    assert_eq!(states(&running), [StorageState::Full]);
    disk.set_capacity(None);
    running.wait(|completion| matches!(completion, Completion::StorageState(StorageState::Ok)).then_some(()));
    assert_eq!(states(&running), [StorageState::Full, StorageState::Ok]);
}

#[test]
fn a_checkpoint_that_fails_leaves_the_one_before_in_force() {
    let disk = FaultyDisk::default();
    let running = start(&disk);
    running.persist(1);
    running.checkpoint(1, b"one").unwrap();
    running.append(ORDERS, &[b"kept"]).unwrap();
    running.persist(2);
    disk.fault(|op, path| (op == Op::Rename && path.starts_with("/data/snapshots")).then(|| io::Error::other("no")));
    assert!(running.checkpoint(2, b"two").is_err());
    disk.heal();
    running.persist(3);
    let disk = disk.fork();
    disk.crash(|| false);
    let again = start(&disk);
    assert_eq!((again.snapshot.clone(), again.fact_numbers()), (Some(b"one".to_vec()), vec![2, 3]));
    assert_eq!(again.read_all(ORDERS, 0, 1), [(0, b"kept".to_vec())]);
}

#[test]
fn a_segment_that_can_not_be_synced_is_final() {
    let disk = FaultyDisk::default();
    let running = start(&disk);
    running.append(ORDERS, &[b"kept"]).unwrap();
    disk.fault(|op, path| (op == Op::Sync && path.starts_with("/data/logs")).then(|| io::Error::other("gone")));
    assert!(running.checkpoint(0, b"").is_err());
    assert!(matches!(running.append(ORDERS, &[b"y"]), Err(StorageError::Failed(_))));
}

#[test]
fn when_the_system_opens_no_more_files_those_longest_unused_are_closed() {
    let disk = FaultyDisk::default();
    let config = LocalConfig { segment_bytes: 100, ..config("/data") };
    let running = open_on(Arc::new(disk.clone()), config, 1).unwrap();
    for _ in 0..20 {
        running.append(ORDERS, &[&[7; 200]]).unwrap();
    }
    let reader = running.engine.reader();
    assert_eq!(running.read_all(ORDERS, 0, 20).len(), 20);
    let before = reader.open_files();
    for kind in [rustix::io::Errno::MFILE, rustix::io::Errno::NFILE] {
        let files = running.engine.reader();
        disk.fault(move |op, path| {
            (op == Op::Open && path.starts_with("/data/logs") && files.open_files() > before / 2).then(|| kind.into())
        });
        assert!(before > 20, "{before}");
        running.append(ORDERS, &[&[7; 200]]).unwrap();
        assert_eq!(running.read_all(ORDERS, 0, 20).len(), 20);
        disk.heal();
    }
    disk.fault(|op, path| (op == Op::Open && path.starts_with("/data/logs")).then(|| rustix::io::Errno::MFILE.into()));
    assert!(running.append(ORDERS, &[&[7; 200]]).is_err(), "it is tried once more and not for ever");
}

#[test]
fn short_writes_are_completed() {
    let disk = FaultyDisk::default();
    let config = LocalConfig { journal_file_bytes: 1 << 20, ..config("/data") };
    let running = open_on(Arc::new(disk.clone()), config, 2).unwrap();
    disk.set_capacity(Some(disk.used() + 700));
    assert_eq!(running.append(ORDERS, &[&[1; 900]]), Err(StorageError::Full));
    assert_eq!(running.append(ORDERS, &[&[2; 500]]).unwrap().base_offset.0, 0);
    assert_eq!(running.read_all(ORDERS, 0, 1), [(0, vec![2; 500])]);
}
