//! When an append is reported as done: as its topic says, and else as the engine is set.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use takhin_core::{AppendId, RequestId, TopicConfig, TopicDurability};

use super::{
    faulty_disk::{FaultyDisk, Op},
    harness::*,
};
use crate::engine::{
    Completion, WriteOp,
    local::{Durability, LocalConfig, LogSpec, Opening},
};

const SERVERS: [Durability; 3] = [Durability::Fsync, Durability::Interval(Duration::from_hours(1)), Durability::Os];
const TOPICS: [TopicDurability; 3] = [TopicDurability::Fsync, TopicDurability::Os, TopicDurability::Server];

fn set_to(durability: Durability) -> LocalConfig {
    LocalConfig { durability, ..config("/data") }
}

fn kept(durability: TopicDurability) -> TopicConfig {
    TopicConfig { durability, ..TopicConfig::default() }
}

#[test]
fn an_append_is_synced_as_its_topic_says_and_a_fact_as_the_server_is_set() {
    for server in SERVERS {
        let disk = FaultyDisk::default();
        let running = open_on(Arc::new(disk.clone()), set_to(server), 1).unwrap();
        let counted = Arc::new(AtomicU64::new(0));
        let syncs = Arc::clone(&counted);
        disk.fault(move |op, _| {
            if op == Op::Sync {
                syncs.fetch_add(1, Ordering::SeqCst);
            }
            None
        });
        // Set, and set to something else, more than once.
        for (round, topic) in TOPICS.into_iter().chain(TOPICS).enumerate() {
            running.configure(kept(topic));
            let before = counted.load(Ordering::SeqCst);
            for _ in 0..3 {
                running.append(ORDERS, &[b"x"]).unwrap();
            }
            let by_appends = counted.load(Ordering::SeqCst) - before;
            let synced = topic == TopicDurability::Fsync || topic == TopicDurability::Server && server == SERVERS[0];
            assert_eq!(by_appends, if synced { 3 } else { 0 }, "{server:?}, {topic:?}");
            running.persist(round as u64 + 1);
            let by_fact = counted.load(Ordering::SeqCst) - before - by_appends;
            assert_eq!(by_fact, u64::from(server == SERVERS[0]), "{server:?}, {topic:?}");
        }
    }
}

#[test]
fn what_was_synced_outlives_the_loss_of_power_whatever_the_server_is_set_to() {
    for server in SERVERS {
        let disk = FaultyDisk::default();
        let running = open_on(Arc::new(disk.clone()), set_to(server), 1).unwrap();
        running.persist(1);
        running.configure(kept(TopicDurability::Os));
        running.append(ORDERS, &[b"may go"]).unwrap();
        running.configure(kept(TopicDurability::Fsync));
        running.append(ORDERS, &[b"stays"]).unwrap();
        disk.crash(|| false);
        drop(running);
        let again = open_on(Arc::new(disk), set_to(server), 1).unwrap();
        assert_eq!(again.end(ORDERS).0, 2, "{server:?}");
        assert_eq!(again.read_all(ORDERS, 1, 2), [(1, b"stays".to_vec())], "{server:?}");
        assert_eq!(again.fact_numbers(), [1], "what was written before is synced along");
    }
}

#[test]
fn an_append_that_waits_for_a_sync_is_not_written_by_who_submits_it() {
    for from_the_start in [false, true] {
        let opening = Opening::open_on(Arc::new(FaultyDisk::default()), set_to(Durability::Os)).unwrap();
        let config = if from_the_start { kept(TopicDurability::Fsync) } else { TopicConfig::default() };
        let (mut engine, ..) = opening.with_logs(&[LogSpec { log: ORDERS, name: name(), config }]).unwrap();
        let (report, reported) = mpsc::channel();
        let sink = move |batch: &mut Vec<Completion>| {
            batch.drain(..).for_each(|_| report.send(thread::current().id()).unwrap());
        };
        engine.start(sink).unwrap();
        let written_by = |n| {
            let id = AppendId { request: RequestId(n), partition: 0 };
            let op = WriteOp::Append { id, log: ORDERS, batch: batch(&[b"x"]), expected_offset: None };
            assert!(engine.submit(op).is_ok());
            engine.flusher().flush();
            reported.recv().unwrap()
        };
        if !from_the_start {
            let config = kept(TopicDurability::Fsync);
            assert!(engine.submit(WriteOp::ConfigureLogs { topic: ORDERS.topic, config }).is_ok());
        }
        assert!((0..10).all(|n| written_by(n) != thread::current().id()), "{from_the_start}");
        assert!(
            engine
                .submit(WriteOp::ConfigureLogs { topic: ORDERS.topic, config: kept(TopicDurability::Server) })
                .is_ok()
        );
        // After a round that the machine made slow the thread writes for a while.
        assert!((10..1_000_000).any(|n| written_by(n) == thread::current().id()), "{from_the_start}");
    }
}
