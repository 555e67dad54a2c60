//! Producers and consumers that go on whatever happens, and what they know in the end.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use serde_json::{Value, json};
use takhin_tests::client::Client;

use crate::nodes::SESSION_TIMEOUT_MS;

pub(crate) const PARTITIONS: u64 = 4;
pub(crate) const GROUP: &str = "workers";

/// A partition and an offset.
type Place = (u64, u64);

/// What the clients know, whatever became of the nodes.
pub(crate) struct Load {
    topic: String,
    clients: Vec<Client>,
    stop: AtomicBool,
    /// What was acknowledged, or read, at each place.
    records: Mutex<BTreeMap<Place, String>>,
    /// The values that were acknowledged.
    acknowledged: Mutex<BTreeSet<String>>,
    /// Up to where commits were acknowledged, by partition.
    committed: Mutex<BTreeMap<u64, u64>>,
    delivered: Mutex<BTreeSet<String>>,
    /// Records delivered so far.
    progress: AtomicUsize,
}

impl Load {
    pub(crate) fn new(topic: String, clients: Vec<Client>) -> Self {
        let (status, made) = clients[0].post("/api/topics", &json!({"name": topic, "partitions": PARTITIONS}));
        assert_eq!(status, 201, "{made}");
        Self {
            topic,
            clients,
            stop: AtomicBool::new(false),
            records: Mutex::default(),
            acknowledged: Mutex::default(),
            committed: Mutex::default(),
            delivered: Mutex::default(),
            progress: AtomicUsize::new(0),
        }
    }

    /// How many records were delivered so far.
    pub(crate) fn progress(&self) -> usize {
        self.progress.load(Ordering::Relaxed)
    }

    /// Waits until so many more records were delivered.
    pub(crate) fn goes_on(&self, more: usize) {
        let until = self.progress() + more;
        while self.progress() < until {
            assert!(!self.stop.load(Ordering::Relaxed), "somebody has given up");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Runs so many producers and consumers while `meanwhile` runs, and checks what they know in the end.
    pub(crate) fn run(&self, producers: usize, consumers: usize, meanwhile: impl FnOnce()) {
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            // Whoever panics ends all.
            let _end = EndAtPanic(&self.stop);
            let producers: Vec<_> =
                (0..producers).map(|number| scope.spawn(move || self.guarded(|| self.produce(number)))).collect();
            for number in 0..consumers {
                let done = &done;
                scope.spawn(move || self.guarded(|| self.consume(number, done)));
            }
            meanwhile();
            self.stop.store(true, Ordering::Relaxed);
            for producer in producers {
                producer.join().expect("no panic");
            }
            while !self.all_delivered() {
                thread::sleep(Duration::from_millis(20));
            }
            done.store(true, Ordering::Relaxed);
        });
        self.check();
    }

    fn guarded(&self, work: impl FnOnce()) {
        let _end = EndAtPanic(&self.stop);
        work();
    }

    fn all_delivered(&self) -> bool {
        let delivered = self.delivered.lock().expect("nobody panicked");
        self.acknowledged.lock().expect("nobody panicked").is_subset(&delivered)
    }

    fn record(&self, place: Place, value: &str) {
        let mut records = self.records.lock().expect("nobody panicked");
        let known = records.entry(place).or_insert_with(|| value.to_owned());
        assert_eq!(known, value, "{place:?} holds another record than before");
    }

    fn produce(&self, number: usize) {
        for request in 0_usize.. {
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            let value = |index: usize| format!("{number}-{request:06}-{index}");
            let record =
                |index: usize| json!({"partition": (request + index) as u64 % PARTITIONS, "value": value(index)});
            let records: Vec<_> = (0..3).map(record).collect();
            let path = format!("/api/topics/{}/produce", self.topic);
            // What isn't acknowledged is never written again.
            let answer = self.client(number + request).request("POST", &path, Some(&json!({"records": records})));
            match answer {
                Ok((200, answer)) => {
                    for (index, place) in answer["offsets"].as_array().expect("offsets").iter().enumerate() {
                        self.record(place_of(place), &value(index));
                        self.acknowledged.lock().expect("nobody panicked").insert(value(index));
                    }
                }
                Ok((503, _)) | Err(_) => thread::sleep(Duration::from_millis(50)),
                Ok((status, answer)) => panic!("{status} {answer}"),
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn consume(&self, number: usize, done: &AtomicBool) {
        let wish = json!({
            "group_id": GROUP, "topics": [self.topic], "auto_offset_reset": "earliest", "auto_commit": false,
            "session_timeout_ms": SESSION_TIMEOUT_MS,
        });
        let (_, consumer) = self.insist(number, "POST", "/api/consumers/subscribe", &wish);
        let consumer = format!("/api/consumers/{}", consumer["consumer_id"].as_str().expect("an id"));
        for round in 0_usize.. {
            if done.load(Ordering::Relaxed) {
                return;
            }
            let committed = self.committed.lock().expect("nobody panicked").clone();
            let poll = json!({"max_records": 20, "timeout_ms": 300});
            let (status, answer) = self.insist(number + round, "POST", &format!("{consumer}/consume"), &poll);
            assert_eq!(status, 200, "{answer}");
            let mut next: BTreeMap<u64, u64> = BTreeMap::new();
            for record in answer["records"].as_array().expect("records") {
                let place = place_of(record);
                let value = record["value"].as_str().expect("a text");
                self.record(place, value);
                let from = committed.get(&place.0).copied().unwrap_or(0);
                assert!(place.1 >= from, "{place:?} was delivered again, and committed up to {from}");
                if self.delivered.lock().expect("nobody panicked").insert(value.to_owned()) {
                    self.progress.fetch_add(1, Ordering::Relaxed);
                }
                next.insert(place.0, place.1 + 1);
            }
            if next.is_empty() {
                continue;
            }
            let commit = json!({"offsets": {&self.topic: next}});
            let (status, answer) = self.insist(number + round, "POST", &format!("{consumer}/commit"), &commit);
            match status {
                200 => {
                    let mut committed = self.committed.lock().expect("nobody panicked");
                    for (partition, next) in next {
                        let known = committed.entry(partition).or_default();
                        *known = (*known).max(next);
                    }
                }
                // It was taken from it meanwhile.
                409 => {}
                _ => panic!("{status} {answer}"),
            }
        }
    }

    /// Asks one node after the other until one answers.
    fn insist(&self, first: usize, method: &str, path: &str, body: &Value) -> (u16, Value) {
        for attempt in first.. {
            match self.client(attempt).request(method, path, Some(body)) {
                Ok((503, _)) | Err(_) => thread::sleep(Duration::from_millis(100)),
                Ok(answer) => return answer,
            }
        }
        unreachable!("it asks for ever")
    }

    fn client(&self, number: usize) -> &Client {
        &self.clients[number % self.clients.len()]
    }

    fn check(&self) {
        let acknowledged = self.acknowledged.lock().expect("nobody panicked");
        let delivered = self.delivered.lock().expect("nobody panicked");
        let lost: Vec<_> = acknowledged.difference(&delivered).collect();
        assert!(lost.is_empty(), "acknowledged, and never delivered: {lost:?}");
        let (status, group) = self.insist(0, "GET", &format!("/api/consumer-groups/{GROUP}"), &Value::Null);
        assert_eq!(status, 200, "{group}");
        let committed = self.committed.lock().expect("nobody panicked");
        for partition in group["partitions"].as_array().expect("partitions") {
            let number = partition["partition"].as_u64().expect("a number");
            let kept = partition["committed"].as_u64().unwrap_or(0);
            let known = committed.get(&number).copied().unwrap_or(0);
            assert!(kept >= known, "partition {number}: committed up to {known}, and kept {kept}");
        }
    }
}

/// Ends the load if the test or one of its clients fails.
struct EndAtPanic<'a>(&'a AtomicBool);

impl Drop for EndAtPanic<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.store(true, Ordering::Relaxed);
            eprintln!("a client or the test has failed; the rest ends");
            std::process::abort();
        }
    }
}

fn place_of(record: &Value) -> Place {
    (record["partition"].as_u64().expect("a partition"), record["offset"].as_u64().expect("an offset"))
}
