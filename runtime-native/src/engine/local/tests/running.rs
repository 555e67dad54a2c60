//! An engine on the machine's file system from start to stop.

use std::{fs, time::Duration};

use takhin_core::{Boot, FactSeq, TopicId, TopicName};
use tempfile::tempdir;

use super::harness::*;
use crate::engine::{
    Completion, ReadError, StorageError, SubmitError, WriteOp,
    local::{Durability, LocalConfig, LogSpec, OpenError, Opening, RecoveryNote},
};

#[test]
fn a_stop_leaves_nothing_to_recover() {
    let dir = tempdir().unwrap();
    let first = open(dir.path(), 2);
    assert_eq!((first.report.boot, first.end(ORDERS).0), (Boot(0), 0));
    let at = first.append(ORDERS, &[b"a", b"b"]).unwrap();
    assert_eq!((at.base_offset.0, at.end.0), (0, 2));
    assert_eq!(first.append(log(1), &[b"c"]).unwrap().base_offset.0, 0);
    assert_eq!(first.append(ORDERS, &[b"d"]).unwrap().base_offset.0, 2);
    first.persist(1);
    first.engine.stop().unwrap();

    let second = open(dir.path(), 2);
    assert_eq!(second.report.boot, Boot(1));
    assert_eq!((second.end(ORDERS).0, second.end(log(1)).0), (3, 1));
    assert_eq!((second.report.verified_bytes, second.report.reapplied_batches), (0, 0));
    assert_eq!(second.report.notes, []);
    assert_eq!(second.facts, [(FactSeq(1), b"fact 1".to_vec())]);
    let expected = [(0, b"a".to_vec()), (1, b"b".to_vec()), (2, b"d".to_vec())];
    assert_eq!(second.read_all(ORDERS, 0, 3), expected);
    assert_eq!(second.append(ORDERS, &[b"e"]).unwrap().base_offset.0, 3);
}

#[test]
fn one_sync_covers_all_that_waits() {
    let dir = tempdir().unwrap();
    let running = open(dir.path(), 8);
    std::thread::scope(|scope| {
        for partition in 0..8 {
            let running = &running;
            scope.spawn(move || {
                let ids: Vec<_> = (0..250).map(|_| running.submit_append(log(partition), batch(&[b"value"]))).collect();
                for id in ids {
                    running.wait_append(id).unwrap();
                }
            });
        }
    });
    let counts = running.engine.stats().read();
    assert_eq!(counts.appends, 2000);
    assert!(counts.syncs <= counts.groups && counts.syncs * 4 < counts.appends, "{counts:?}");
    for partition in 0..8 {
        let offsets: Vec<_> = running.read_all(log(partition), 0, 250).into_iter().map(|(offset, _)| offset).collect();
        assert_eq!(offsets, (0..250).collect::<Vec<_>>());
    }
}

#[test]
fn a_dropped_engine_loses_nothing_acknowledged_whatever_the_durability() {
    for durability in [Durability::Fsync, Durability::Interval(Duration::from_hours(1)), Durability::Os] {
        let dir = tempdir().unwrap();
        let config = LocalConfig { durability, ..config(dir.path()) };
        let first = open_on(std::sync::Arc::new(super::super::disk::RealDisk), config, 1).unwrap();
        first.append(ORDERS, &[b"kept"]).unwrap();
        first.persist(1);
        let syncs = first.engine.stats().read().syncs;
        assert_eq!(syncs > 0, durability == Durability::Fsync);
        drop(first);
        let second = open(dir.path(), 1);
        assert_eq!(second.read_all(ORDERS, 0, second.end(ORDERS).0), [(0, b"kept".to_vec())], "{durability:?}");
        assert_eq!(second.fact_numbers(), [1]);
    }
}

#[test]
fn an_interval_is_kept_without_further_appends() {
    let dir = tempdir().unwrap();
    let config = LocalConfig { durability: Durability::Interval(Duration::from_millis(1)), ..config(dir.path()) };
    let running = open_on(std::sync::Arc::new(super::super::disk::RealDisk), config, 1).unwrap();
    running.append(ORDERS, &[b"kept"]).unwrap();
    while running.engine.stats().read().syncs == 0 {
        std::thread::yield_now();
    }
}

#[test]
fn a_second_process_is_told_that_the_directory_is_in_use() {
    let dir = tempdir().unwrap();
    let first = open(dir.path(), 1);
    assert!(matches!(Opening::open(config(dir.path())), Err(OpenError::InUse(_))));
    first.engine.stop().unwrap();
    assert_eq!(Opening::open(config(dir.path())).unwrap().boot(), Boot(1));
}

#[test]
fn a_directory_of_a_newer_format_or_without_its_manifest_is_left_alone() {
    let dir = tempdir().unwrap();
    open(dir.path(), 1).engine.stop().unwrap();
    let manifest = dir.path().join("takhin.json");
    fs::write(&manifest, r#"{"format": 99, "something": "else"}"#).unwrap();
    assert!(matches!(Opening::open(config(dir.path())), Err(OpenError::NewerFormat { found: 99, .. })));
    fs::write(&manifest, "{").unwrap();
    assert!(matches!(Opening::open(config(dir.path())), Err(OpenError::ManifestDamaged { .. })));
    fs::remove_file(&manifest).unwrap();
    assert!(matches!(Opening::open(config(dir.path())), Err(OpenError::ManifestMissing(_))));
}

#[test]
fn logs_are_made_and_deleted_while_running() {
    let dir = tempdir().unwrap();
    let running = open(dir.path(), 0);
    let (topic, partitions) = (TopicId(1), 0..3);
    assert_eq!(running.append(ORDERS, &[b"early"]), Err(StorageError::NoSuchLog));
    running.submit(WriteOp::CreateLogs { topic, name: name(), partitions: partitions.clone() });
    let created = Completion::LogsCreated { topic, partitions, result: Ok(()) };
    running.wait(|completion| (*completion == created).then_some(()));
    running.append(log(2), &[b"x"]).unwrap();
    running.submit(WriteOp::DeleteLogs { topic, name: name(), partitions: 3 });
    assert_eq!(running.append(log(2), &[b"late"]), Err(StorageError::NoSuchLog));
    assert!(running.completions().contains(&Completion::LogsDeleted { topic, result: Ok(()) }));
    assert_eq!(running.read(&part(log(2), 0, 1)).unwrap_err(), ReadError::Deleted);
    running.engine.stop().unwrap();
    assert_eq!(fs::read_dir(dir.path().join("logs")).unwrap().count(), 0);
}

#[test]
fn making_many_logs_lets_appends_to_others_through() {
    let dir = tempdir().unwrap();
    let running = open(dir.path(), 1);
    let (topic, partitions) = (TopicId(2), 0..2_000);
    let wide = TopicName::new("wide").unwrap();
    running.submit(WriteOp::CreateLogs { topic, name: wide.clone(), partitions: partitions.clone() });
    running.append(ORDERS, &[b"meanwhile"]).unwrap();
    let created = Completion::LogsCreated { topic, partitions, result: Ok(()) };
    assert!(!running.completions().contains(&created), "the append did not wait for all of them");
    running.wait(|completion| (*completion == created).then_some(()));

    let more = WriteOp::CreateLogs { topic, name: wide.clone(), partitions: 2_000..4_000 };
    running.submit(more);
    running.submit(WriteOp::DeleteLogs { topic, name: wide, partitions: 4_000 });
    running.wait(|completion| matches!(completion, Completion::LogsDeleted { result: Ok(()), .. }).then_some(()));
    running.engine.stop().unwrap();
    assert_eq!(fs::read_dir(dir.path().join("logs")).unwrap().count(), 1);
}

#[test]
fn a_log_of_an_older_topic_of_the_same_name_is_moved_aside() {
    let dir = tempdir().unwrap();
    let first = open(dir.path(), 1);
    first.append(ORDERS, &[b"old"]).unwrap();
    drop(first);
    let newer = takhin_core::LogId { topic: TopicId(2), partition: 0 };
    let (_, bounds, report) = Opening::open(config(dir.path()))
        .unwrap()
        .with_logs(&[LogSpec {
            log: newer,
            name: TopicName::new("orders").unwrap(),
            config: takhin_core::TopicConfig::default(),
        }])
        .unwrap();
    assert_eq!((bounds[0].log, bounds[0].end.0), (newer, 0));
    assert!(matches!(&report.notes[..], [RecoveryNote::Stray { to, .. }] if to.is_dir()), "{report}");
}

#[test]
fn a_log_is_moved_aside_whatever_lies_about_in_the_directory_of_logs() {
    let dir = tempdir().unwrap();
    let logs = dir.path().join("logs");
    for round in 1..=3 {
        open(dir.path(), 1).engine.stop().unwrap();
        for file in ["notes.txt", "x-delete", "y-stray"] {
            fs::write(logs.join(file), b"not a log").unwrap();
        }
        let without = open(dir.path(), 0);
        let number = if round == 1 { String::new() } else { format!("-{round}") };
        let to = logs.join(format!("orders-0.0000000000000001-0{number}-stray"));
        let from = logs.join("orders-0");
        assert_eq!(without.report.notes, [RecoveryNote::Stray { from, to }]);
        assert_eq!(fs::read_dir(&logs).unwrap().count(), 3 + round);
    }
}

#[test]
fn remains_of_a_deletion_are_removed_at_the_next_start() {
    let dir = tempdir().unwrap();
    open(dir.path(), 1).engine.stop().unwrap();
    let logs = dir.path().join("logs");
    fs::rename(logs.join("orders-0"), logs.join("orders-0.0000000000000001-0-delete")).unwrap();
    let second = open(dir.path(), 0);
    assert!(matches!(second.report.notes[..], [RecoveryNote::Leftover { .. }]));
    assert_eq!(fs::read_dir(logs).unwrap().count(), 0);
}

#[test]
fn a_full_queue_refuses_appends_and_takes_facts() {
    let dir = tempdir().unwrap();
    let opening = Opening::open(LocalConfig { queue_bytes: 1000, ..config(dir.path()) }).unwrap();
    let (engine, ..) = opening.with_logs(&specs(1)).unwrap();
    let append = || {
        let id = takhin_core::AppendId { request: takhin_core::RequestId(1), partition: 0 };
        engine.submit(WriteOp::Append { id, log: ORDERS, batch: batch(&[&[0; 300]]), expected_offset: None })
    };
    let taken = (0..100).take_while(|_| append().is_ok()).count();
    assert_eq!(taken, 2);
    assert!(matches!(append(), Err(SubmitError::QueueFull(_))));
    assert_eq!(engine.stats().read().refused, 2);
    let facts = vec![(FactSeq(1), vec![0; 5000])];
    assert!(engine.submit(WriteOp::Persist { through: FactSeq(1), facts }).is_ok());
}

#[test]
fn a_checkpoint_is_asked_for_and_bounds_the_journal() {
    let dir = tempdir().unwrap();
    let config = LocalConfig { checkpoint_bytes: 20_000, journal_file_bytes: 10_000, ..config(dir.path()) };
    let running = open_on(std::sync::Arc::new(super::super::disk::RealDisk), config.clone(), 1).unwrap();
    let mut facts = 0;
    for round in 0..8u64 {
        for _ in 0..30 {
            running.append(ORDERS, &[&[7; 1000]]).unwrap();
            facts += 1;
            running.persist(facts);
        }
        running.wait(|completion| (*completion == Completion::CheckpointWanted).then_some(()));
        running.checkpoint(facts, &round.to_be_bytes()).unwrap();
    }
    running.persist(facts + 1);
    drop(running);
    // What the last two snapshots need: at most about two rounds.
    assert!(fs::read_dir(dir.path().join("journal")).unwrap().count() <= 9);
    assert_eq!(fs::read_dir(dir.path().join("snapshots")).unwrap().count(), 2);
    let second = open_on(std::sync::Arc::new(super::super::disk::RealDisk), config, 1).unwrap();
    assert_eq!(second.snapshot.as_deref(), Some(&7u64.to_be_bytes()[..]));
    assert_eq!((second.fact_numbers(), second.end(ORDERS).0), (vec![facts + 1], 240));
    assert_eq!(second.report.notes, []);
    assert_eq!(second.read_all(ORDERS, 0, 240).len(), 240);
}

#[test]
fn starts_and_crashes_alone_do_not_fill_the_disk() {
    let dir = tempdir().unwrap();
    for _ in 0..20 {
        drop(open(dir.path(), 1));
    }
    let files = fs::read_dir(dir.path().join("journal")).unwrap();
    let bytes: u64 = files.map(|file| file.unwrap().metadata().unwrap().len()).sum();
    assert!(bytes < 2 * config(dir.path()).journal_file_bytes, "{bytes}");
}
