//! Producers and consumers that go on whatever happens, and what they know in the end.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use takhin_tests::client::Client;

use crate::nodes::SESSION_TIMEOUT_MS;

pub(crate) const PARTITIONS: u64 = 4;
/// Records that are delivered before and after a fault.
pub(crate) const CALM: usize = 200;
/// Groups, each of which is to have all records. Their cells lie on all nodes.
const GROUPS: usize = 5;

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
    groups: [Group; GROUPS],
}

/// What the consumers of a group know.
#[derive(Default)]
struct Group {
    /// Up to where commits were acknowledged, by partition.
    committed: Mutex<BTreeMap<u64, u64>>,
    delivered: Mutex<BTreeSet<String>>,
    /// Records delivered so far.
    progress: AtomicUsize,
    /// Polls in a row that brought nothing.
    empty: AtomicUsize,
    pauses: Mutex<Pauses>,
}

/// When something was delivered last, and for how long nothing was.
struct Pauses {
    last: Instant,
    longest: Duration,
}

impl Default for Pauses {
    fn default() -> Self {
        Self { last: Instant::now(), longest: Duration::ZERO }
    }
}

impl Group {
    fn name(number: usize) -> String {
        format!("workers-{number}")
    }

    /// Whether its consumers polled so often in vain that nothing can be missing any more but what is lost.
    fn has_nothing_more(&self) -> bool {
        self.empty.load(Ordering::Relaxed) > 50
    }

    fn delivers(&self, value: &str) {
        self.empty.store(0, Ordering::Relaxed);
        if self.delivered.lock().expect("nobody panicked").insert(value.to_owned()) {
            self.progress.fetch_add(1, Ordering::Relaxed);
        }
        let mut pauses = self.pauses.lock().expect("nobody panicked");
        pauses.longest = pauses.longest.max(pauses.last.elapsed());
        pauses.last = Instant::now();
    }

    fn pauses(&self) -> MutexGuard<'_, Pauses> {
        self.pauses.lock().expect("nobody panicked")
    }
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
            groups: Default::default(),
        }
    }

    /// Lets something happen between times in which all goes on, and says for how long at most a group got nothing.
    pub(crate) fn suffers(&self, what: &str, fault: impl FnOnce()) {
        self.goes_on(CALM);
        self.groups.iter().for_each(|group| group.pauses().longest = Duration::ZERO);
        fault();
        self.goes_on(CALM);
        let pauses = self.groups.iter().map(|group| format!("{:.1}", group.pauses().longest.as_secs_f64()));
        println!("{what}: nothing was delivered for {} s at most", pauses.collect::<Vec<_>>().join(", "));
    }

    /// Waits until so many more records were delivered to each group.
    pub(crate) fn goes_on(&self, more: usize) {
        let until = self.groups.each_ref().map(|group| group.progress.load(Ordering::Relaxed) + more);
        let went = |(group, until): (&Group, usize)| group.progress.load(Ordering::Relaxed) >= until;
        while !self.groups.iter().zip(until).all(went) {
            assert!(!self.stop.load(Ordering::Relaxed), "somebody has given up");
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Runs so many producers, and consumers of each group, while `meanwhile` runs, and checks what they know in the end.
    pub(crate) fn run(&self, producers: usize, consumers: usize, meanwhile: impl FnOnce()) {
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            // Whoever panics ends all.
            let _end = EndAtPanic(&self.stop);
            let producers: Vec<_> =
                (0..producers).map(|number| scope.spawn(move || self.guarded(|| self.produce(number)))).collect();
            for number in 0..consumers * GROUPS {
                let done = &done;
                scope.spawn(move || self.guarded(|| self.consume(number, done)));
            }
            meanwhile();
            self.stop.store(true, Ordering::Relaxed);
            for producer in producers {
                producer.join().expect("no panic");
            }
            while !self.all_delivered() && !self.groups.iter().all(Group::has_nothing_more) {
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
        let acknowledged = self.acknowledged.lock().expect("nobody panicked");
        let all = |group: &Group| acknowledged.is_subset(&group.delivered.lock().expect("nobody panicked"));
        self.groups.iter().all(all)
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
        let group = &self.groups[number % GROUPS];
        let wish = json!({
            "group_id": Group::name(number % GROUPS), "topics": [self.topic], "auto_offset_reset": "earliest", "auto_commit": false,
            "session_timeout_ms": SESSION_TIMEOUT_MS,
        });
        let (_, consumer) = self.insist(number, "POST", "/api/consumers/subscribe", &wish);
        let consumer = format!("/api/consumers/{}", consumer["consumer_id"].as_str().expect("an id"));
        // The batch that arrived last: who gives up waiting has to say it, for nobody else can know.
        let mut after = Value::Null;
        for round in 0_usize.. {
            if done.load(Ordering::Relaxed) {
                return;
            }
            let committed = group.committed.lock().expect("nobody panicked").clone();
            let mut poll = json!({"max_records": 20, "timeout_ms": 300});
            if !after.is_null() {
                poll["after_batch"] = after.clone();
            }
            let (status, answer) = self.insist(number + round, "POST", &format!("{consumer}/consume"), &poll);
            if status == 409 && answer["code"] == "poll_superseded" {
                // One that it gave up waiting for was on its way until now.
                continue;
            }
            if status == 409 && answer["code"] == "batch_unknown" {
                // It was given by an owner before this one: what is not known to have arrived comes again.
                after = Value::Null;
                continue;
            }
            assert_eq!(status, 200, "{answer}");
            after = answer["batch_id"].clone();
            let mut next: BTreeMap<u64, u64> = BTreeMap::new();
            for record in answer["records"].as_array().expect("records") {
                let place = place_of(record);
                let value = record["value"].as_str().expect("a text");
                self.record(place, value);
                let from = committed.get(&place.0).copied().unwrap_or(0);
                assert!(place.1 >= from, "{place:?} was delivered again, and committed up to {from}");
                group.delivers(value);
                next.insert(place.0, place.1 + 1);
            }
            if next.is_empty() {
                group.empty.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            let commit = json!({"offsets": {&self.topic: next}});
            let (status, answer) = self.insist(number + round, "POST", &format!("{consumer}/commit"), &commit);
            match status {
                200 => {
                    let mut committed = group.committed.lock().expect("nobody panicked");
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
        for (number, group) in self.groups.iter().enumerate() {
            let delivered = group.delivered.lock().expect("nobody panicked");
            let lost: Vec<_> = acknowledged.difference(&delivered).collect();
            assert!(lost.is_empty(), "acknowledged, and never delivered to group {number}: {lost:?}");
            let path = format!("/api/consumer-groups/{}", Group::name(number));
            let (status, told) = self.insist(0, "GET", &path, &Value::Null);
            assert_eq!(status, 200, "{told}");
            let committed = group.committed.lock().expect("nobody panicked");
            for partition in told["partitions"].as_array().expect("partitions") {
                let number = partition["partition"].as_u64().expect("a number");
                let kept = partition["committed"].as_u64().unwrap_or(0);
                let known = committed.get(&number).copied().unwrap_or(0);
                assert!(kept >= known, "partition {number}: committed up to {known}, and kept {kept}");
            }
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
