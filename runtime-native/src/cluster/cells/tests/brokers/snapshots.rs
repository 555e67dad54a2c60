//! Snapshots, and what is cut away behind them.

use std::{sync::Arc, thread, time::Duration};

use rdkafka::{
    ClientConfig,
    consumer::{BaseConsumer, Consumer},
    producer::{BaseProducer, BaseRecord, Producer},
};

use takhin_core::{
    FactSeq,
    cell::{CellOffset, Replay},
};
use uuid::Uuid;

use super::{
    super::super::chunk::{CHUNK_BYTES, Snapshot, chunks},
    site::{Site, config, prefix},
};

fn client() -> ClientConfig {
    config("", 1).client
}

/// Where a cell's part of a topic begins and ends.
fn bounds(topic: &str) -> (i64, i64) {
    let consumer: BaseConsumer = client().create().expect("a client");
    consumer.fetch_watermarks(topic, 0, Duration::from_secs(20)).expect("brokers say where it begins")
}

fn append(topic: &str, payload: &[u8]) {
    let producer: BaseProducer = client().create().expect("a client");
    producer.send(BaseRecord::<(), _>::to(topic).partition(0).payload(payload)).expect("room for one");
    producer.flush(Duration::from_secs(20)).expect("it is sent");
}

/// Keeps facts until so many snapshots were kept.
fn until_snapshots(site: &Site, snapshots: u64) {
    for fact in 0.. {
        if site.cells.stats().read().snapshots >= snapshots {
            break;
        }
        site.keep(0, &format!("fact {fact} {}", "x".repeat(100)));
    }
}

#[test]
#[ignore = "needs brokers"]
fn a_recovery_begins_with_the_latest_snapshot_and_what_is_before_the_one_before_is_cut_away() {
    let prefix = prefix("cuts");
    let mut with_snapshots = config(&prefix, 1);
    with_snapshots.snapshot_bytes = 2_000;
    let first = Site::with(with_snapshots.clone(), Some(10));
    first.owns(0);
    until_snapshots(&first, 4);
    let facts = first.facts(0);
    drop(first);
    let (begin, end) = bounds(&format!("{prefix}journal"));
    assert!(begin > 0 && begin < end, "the journal goes from {begin} to {end}");
    assert!(bounds(&format!("{prefix}snapshots")).0 > 0);

    let second = Site::with(with_snapshots.clone(), Some(10));
    second.owns(0);
    assert_eq!(second.facts(0), facts);
    assert!(second.on(0, |state| state.from_snapshot).is_some_and(|facts| facts > 0));
    drop(second);

    // The latest one is broken now: there is one before, and the journal from there on.
    let further = Snapshot {
        next: CellOffset(1 << 40),
        replay: Replay::starting_with(FactSeq(1 << 40)),
        state: Arc::new(vec![b'#'; CHUNK_BYTES + 1]),
    };
    let mut chunks: Vec<_> = chunks(0, Uuid::new_v4(), &further).collect();
    *chunks[1].last_mut().expect("a chunk has bytes") ^= 1;
    chunks.push(b"not a snapshot".to_vec());
    for chunk in &chunks {
        append(&format!("{prefix}snapshots"), chunk);
    }
    let third = Site::with(with_snapshots, Some(10));
    third.owns(0);
    assert_eq!(third.facts(0), facts);
    third.cells.stop();
}

#[test]
#[ignore = "needs brokers"]
fn a_snapshot_of_five_megabytes_is_kept_and_found() {
    let prefix = prefix("big");
    let mut with_snapshots = config(&prefix, 1);
    with_snapshots.snapshot_bytes = 2_000;
    let first = Site::with(with_snapshots.clone(), Some(5 << 20));
    first.owns(0);
    until_snapshots(&first, 1);
    let facts = first.facts(0);
    first.cells.stop();
    let second = Site::with(with_snapshots, None);
    second.owns(0);
    assert_eq!(second.facts(0), facts);
    assert!(second.on(0, |state| state.from_snapshot).is_some());
    second.cells.stop();
}

#[test]
#[ignore = "needs brokers"]
fn snapshots_taken_while_decisions_are_under_way_belong_where_their_facts_end() {
    let prefix = prefix("under-way");
    let mut with_snapshots = config(&prefix, 1);
    with_snapshots.snapshot_bytes = 20_000;
    let first = Site::with(with_snapshots.clone(), Some(10));
    first.owns(0);
    for fact in 0.. {
        if first.cells.stats().read().snapshots >= 5 {
            break;
        }
        let number = first.decide(0, &format!("fact {fact} {}", "x".repeat(100)));
        first.wait(0, |state| state.persisted + 200 > number);
    }
    let last = first.facts(0).len() as u64;
    first.wait(0, |state| state.persisted >= last);
    let facts = first.facts(0);
    drop(first);
    thread::sleep(Duration::from_millis(10));
    let second = Site::with(with_snapshots, Some(10));
    second.owns(0);
    assert!(second.facts(0) == facts, "neither less nor twice");
    assert!(second.on(0, |state| state.from_snapshot).is_some_and(|facts| facts > 0));
    second.cells.stop();
}
