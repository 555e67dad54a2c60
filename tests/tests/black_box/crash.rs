//! The server is killed under load, again and again. Whatever it acknowledged is there after each start, once, in its
//! place and in order; consumers go on with the ids that they had.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use serde_json::{Value, json};
use takhin_tests::{
    broker::{Broker, Options},
    client::Client,
    local_only,
};

const WHY_LOCAL: &str =
    "durability is about a disk; nodes that are killed under load have tests of their own (cluster::faults)";

const PARTITIONS: u32 = 3;
const PRODUCERS: usize = 4;
const KILLS: usize = 10;

/// A partition and an offset.
type Place = (u64, u64);

/// What the clients know, over all lives of the server.
#[derive(Default)]
struct Known {
    /// What was acknowledged, or read, at each place.
    records: Mutex<BTreeMap<Place, String>>,
    /// Up to where commits were acknowledged, by partition.
    committed: Mutex<BTreeMap<u64, u64>>,
    /// What was delivered to the group.
    delivered: Mutex<BTreeSet<Place>>,
    /// How many requests were acknowledged since the server was started.
    acknowledged: AtomicUsize,
}

impl Known {
    fn record(&self, place: Place, value: &str) {
        let mut records = self.records.lock().expect("nobody panicked");
        let known = records.entry(place).or_insert_with(|| value.to_owned());
        assert_eq!(known, value, "{place:?} holds another record than before");
    }

    /// Writes until the server is gone. What it did not acknowledge is never written again.
    fn produce(&self, client: &Client, name: &str) {
        for request in 0_u64.. {
            let count = request % 3 + 1;
            let value = |index: u64| format!("{name}-{request:06}-{index}");
            let record = |index: u64| json!({"partition": (request + index) % 2, "value": value(index)});
            // The third partition's records come in big batches.
            let records: Vec<_> = if request % 10 == 9 {
                let padding = "x".repeat(20_000);
                (0..count).map(|index| json!({"partition": 2, "value": value(index), "key": padding})).collect()
            } else {
                (0..count).map(record).collect()
            };
            let body = json!({"records": records});
            let Ok((status, answer)) = client.request("POST", "/api/topics/t/produce", Some(&body)) else { return };
            assert_eq!(status, 200, "{answer}");
            for (index, place) in (0..).zip(answer["offsets"].as_array().expect("offsets")) {
                self.record(place_of(place), &value(index));
            }
            self.acknowledged.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Polls and commits until the server is gone.
    fn consume(&self, client: &Client, consumer: &str) {
        loop {
            // What is committed by now is delivered to nobody any more.
            let committed = self.committed.lock().expect("nobody panicked").clone();
            let poll = json!({"max_records": 20, "timeout_ms": 20});
            let path = format!("{consumer}/consume");
            let Ok((status, answer)) = client.request("POST", &path, Some(&poll)) else { return };
            assert_eq!(status, 200, "{answer}");
            let mut next: BTreeMap<u64, u64> = BTreeMap::new();
            for record in answer["records"].as_array().expect("records") {
                let place = place_of(record);
                self.record(place, record["value"].as_str().expect("a text"));
                let from = committed.get(&place.0).copied().unwrap_or(0);
                assert!(place.1 >= from, "{place:?} was delivered again, and committed up to {from}");
                self.delivered.lock().expect("nobody panicked").insert(place);
                next.insert(place.0, place.1 + 1);
            }
            if next.is_empty() {
                continue;
            }
            let path = format!("{consumer}/commit");
            let Ok((status, answer)) = client.request("POST", &path, Some(&json!({"offsets": {"t": next}}))) else {
                return;
            };
            assert_eq!(status, 200, "{answer}");
            self.committed.lock().expect("nobody panicked").extend(next);
        }
    }

    /// Compares all that the server has with all that is known.
    fn check(&self, client: &Client) {
        let mut values = BTreeSet::new();
        for partition in 0..PARTITIONS {
            let mut last_of: BTreeMap<String, String> = BTreeMap::new();
            let records = client.read_from("t", partition, 0);
            for (offset, record) in (0..).zip(&records) {
                assert_eq!(place_of(record), (partition.into(), offset), "offsets are dense");
                let value = record["value"].as_str().expect("a text");
                self.record((partition.into(), offset), value);
                assert!(values.insert(value.to_owned()), "{value} is there twice");
                let producer = value.split('-').next().expect("a producer").to_owned();
                let before = last_of.insert(producer, value.to_owned());
                assert!(before.as_deref() < Some(value), "{value} comes after {before:?}");
            }
        }
        let known: BTreeSet<_> = self.records.lock().expect("nobody panicked").values().cloned().collect();
        let lost: Vec<_> = known.difference(&values).collect();
        assert!(lost.is_empty(), "acknowledged, and lost: {lost:?}");

        let (_, group) = client.get("/api/consumer-groups/g");
        for partition in group["partitions"].as_array().expect("partitions") {
            let number = partition["partition"].as_u64().expect("a number");
            let acknowledged = self.committed.lock().expect("nobody panicked").get(&number).copied();
            assert!(partition["committed"].as_u64() >= acknowledged, "{acknowledged:?} was committed: {partition}");
        }
    }
}

fn place_of(record: &Value) -> Place {
    let number = |name: &str| record[name].as_u64().expect("a number");
    (number("partition"), number("offset"))
}

fn survives(durability: &str) {
    let mut broker = Broker::start(Options { durability: Some(durability.to_owned()), ..Options::default() });
    let client = broker.client();
    client.create_topic("t", PARTITIONS);
    let options = json!({"auto_commit": false, "session_timeout_ms": 600_000});
    let consumers = [(); 2].map(|()| client.subscribe("g", &["t"], &options));
    let known = Known::default();
    let mut generation = 0;
    for life in 0..=KILLS {
        let client = broker.client();
        known.check(&client);
        for consumer in &consumers {
            let (status, answer) = client.get(consumer);
            assert_eq!(status, 200, "the consumer is still there: {answer}");
            let now = answer["generation"].as_u64().expect("a generation");
            assert!(now >= generation, "generations never go back: {now} after {generation}");
            generation = generation.max(now);
        }
        if life == KILLS {
            break;
        }
        known.acknowledged.store(0, Ordering::Relaxed);
        thread::scope(|scope| {
            let mut threads = Vec::new();
            for number in 0..PRODUCERS {
                // Sorts as its lives do.
                let name = format!("{number}.{life:02}").replace('.', "");
                let (known, client) = (&known, broker.client());
                threads.push(scope.spawn(move || known.produce(&client, &format!("p{name}"))));
            }
            for consumer in &consumers {
                let (known, client) = (&known, broker.client());
                threads.push(scope.spawn(move || known.consume(&client, consumer)));
            }
            // Each life is of another length. A thread that ends before has panicked.
            while known.acknowledged.load(Ordering::Relaxed) < 20 + 37 * life
                && threads.iter().all(|it| !it.is_finished())
            {
                thread::yield_now();
            }
            broker.kill9();
        });
        broker.restart();
    }
    finish(&broker.client(), &consumers, &known);
}

/// Lets the consumers, who are still the same, take the rest. Nothing was skipped.
fn finish(client: &Client, consumers: &[String], known: &Known) {
    let all: BTreeSet<_> = known.records.lock().expect("nobody panicked").keys().copied().collect();
    let mut delivered = known.delivered.lock().expect("nobody panicked").clone();
    let mut quiet = 0;
    while quiet < 2 * consumers.len() {
        for consumer in consumers {
            let answer = client.poll(consumer, &json!({"timeout_ms": 0}));
            let records = answer["records"].as_array().expect("records");
            quiet = if records.is_empty() { quiet + 1 } else { 0 };
            delivered.extend(records.iter().map(place_of));
        }
    }
    let skipped: Vec<_> = all.difference(&delivered).collect();
    assert!(skipped.is_empty(), "never delivered: {skipped:?}");
    assert!(all.len() > 20 * KILLS, "there was some load: {}", all.len());
}

#[test]
fn what_was_acknowledged_survives_kills_when_each_write_is_synced() {
    local_only!(WHY_LOCAL);
    survives("fsync");
}

#[test]
fn what_was_acknowledged_survives_kills_when_writes_are_synced_now_and_then() {
    local_only!(WHY_LOCAL);
    survives("interval:20");
}

#[test]
fn what_was_acknowledged_survives_kills_when_the_system_syncs() {
    local_only!(WHY_LOCAL);
    survives("os");
}

/// The server is killed before it is up, too.
#[test]
fn kills_during_recovery_lose_nothing() {
    let mut broker = Broker::start(Options::quick());
    let client = broker.client();
    client.create_topic("t", 1);
    let values: Vec<_> = (0..2_000).map(|number| format!("{number}-{}", "x".repeat(500))).collect();
    for chunk in values.chunks(100) {
        client.produce_values("t", 0, chunk);
    }
    broker.kill9();
    for patience_ms in [0, 1, 2, 5, 10, 20, 40, 80] {
        broker.start_and_kill(std::time::Duration::from_millis(patience_ms));
    }
    broker.restart();
    let found = broker.client().read_from("t", 0, 0);
    let found: Vec<_> = found.iter().map(|record| record["value"].as_str().expect("a text")).collect();
    assert_eq!(found, values);
}
