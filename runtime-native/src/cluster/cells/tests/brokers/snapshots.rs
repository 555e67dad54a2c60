//! Snapshots, and what is cut away behind them.

use std::{thread, time::Duration};

use rdkafka::{
    ClientConfig,
    consumer::{BaseConsumer, Consumer},
    producer::{BaseProducer, BaseRecord, Producer},
};

use super::site::{Site, config, prefix};

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
    let latest = bounds(&format!("{prefix}snapshots")).1 - 1;
    append(&format!("{prefix}snapshots"), b"not a snapshot");
    append(&format!("{prefix}snapshots"), &half_a_snapshot(&prefix, latest));
    let third = Site::with(with_snapshots, Some(10));
    third.owns(0);
    assert_eq!(third.facts(0), facts);
    third.cells.stop();
}

/// The latest snapshot again, as if it went further and lacked a chunk.
fn half_a_snapshot(prefix: &str, at: i64) -> Vec<u8> {
    use rdkafka::{Message as _, Offset, TopicPartitionList};
    let mut config = client();
    config.set("group.id", format!("{prefix}looks")).set("enable.auto.commit", "false");
    let consumer: BaseConsumer = config.create().expect("a client");
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(&format!("{prefix}snapshots"), 0, Offset::Offset(at)).expect("a place");
    consumer.assign(&list).expect("a client of its own");
    let payload = loop {
        if let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) {
            break message.payload().expect("a chunk").to_vec();
        }
    };
    let text = String::from_utf8(payload).expect("text");
    let next = text.find("\"next\":").expect("a head") + 7;
    let broken = format!("{}9{}", &text[..next], &text[next..]).replacen("\"of\":1", "\"of\":2", 1);
    assert!(broken.contains("\"of\":2"));
    broken.replacen("\"snapshot\":\"", "\"snapshot\":\"0", 1).replacen("0-", "-", 0).into_bytes()
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
