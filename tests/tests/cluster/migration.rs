//! `takhin migrate`: from one server's data directory to nodes on Kafka. However often it is killed, every record is there
//! once and in order, and groups go on behind what they had committed.

use std::{collections::BTreeMap, fs, process::Command, thread, time::Duration};

use serde_json::{Value, json};
use takhin_tests::{
    broker::{Broker, Options, program},
    client::Client,
    process::Process,
};
use uuid::Uuid;

use crate::nodes::{Nodes, brokers};

const START_MS: u64 = 1_700_000_000_000;

/// A server that is to be moved, and the names of its topics.
struct Source {
    broker: Broker,
    name: String,
    log: tempfile::TempDir,
}

impl Source {
    fn start() -> Self {
        let arguments = vec!["--cleanup-interval-ms=10".to_owned()];
        let broker = Broker::start(Options { arguments, ..Options::quick() });
        let log = tempfile::tempdir().expect("a directory");
        Self { broker, name: format!("mig-{}", Uuid::new_v4().simple()), log }
    }

    fn topic(&self, name: &str) -> String {
        format!("{}-{name}", self.name)
    }

    fn create(&self, name: &str, mut settings: Value) -> String {
        let topic = self.topic(name);
        settings["name"] = json!(topic);
        let (status, made) = self.broker.client().post("/api/topics", &settings);
        assert_eq!(status, 201, "{made}");
        topic
    }

    /// The command, to this node or with records alone.
    fn command(&self, node: Option<&Client>, brokers: &str) -> Command {
        let mut command = Command::new(program());
        command.arg("migrate").arg("--data-dir").arg(self.broker.data_dir()).args(["--brokers", brokers]);
        match node {
            Some(node) => command.args(["--server", node.base()]),
            None => command.arg("--records-only"),
        };
        command
    }

    fn begin(&self, node: Option<&Client>) -> Process {
        Process::start(&mut self.command(node, &brokers()), &self.log.path().join("log")).expect("it can be started")
    }

    /// Runs it to its end, which is good, and gives all that was printed by this run and those before.
    fn migrate(&self, node: Option<&Client>) -> String {
        let status = self.begin(node).ends();
        let log = self.log();
        assert!(status.success(), "{log}");
        log
    }

    /// Runs it to its end, which is not good, and gives what was printed.
    fn fail(&self, node: Option<&Client>) -> String {
        let before = self.log().len();
        let status = self.begin(node).ends();
        let log = self.log().split_off(before);
        assert!(!status.success(), "{log}");
        log
    }

    fn log(&self) -> String {
        fs::read_to_string(self.log.path().join("log")).unwrap_or_default()
    }

    fn report(&self) -> Value {
        let path = self.broker.data_dir().join("migration/report.json");
        serde_json::from_slice(&fs::read(path).expect("a report")).expect("JSON")
    }
}

/// All records of a topic, by partition.
fn records(client: &Client, topic: &str) -> Vec<Vec<Value>> {
    let (status, told) = client.get(&format!("/api/topics/{topic}"));
    assert_eq!(status, 200, "{told}");
    let bounds = told["offsets"].as_array().expect("partitions").iter();
    let starts = bounds.map(|it| it["start"].as_u64().expect("an offset"));
    (0..).zip(starts).map(|(partition, start)| client.read_from(topic, partition, start)).collect()
}

/// The same without their places, which are in order.
fn contents(records: &[Vec<Value>]) -> Vec<Vec<Value>> {
    let content = |record: &Value| {
        let mut record = record.clone();
        record.as_object_mut().expect("an object").remove("offset");
        record
    };
    records.iter().map(|records| records.iter().map(content).collect()).collect()
}

fn offsets(records: &[Value]) -> Vec<u64> {
    records.iter().map(|record| record["offset"].as_u64().expect("an offset")).collect()
}

/// Waits until a node shows these settings of a topic: it looks at them now and then.
fn shows(client: &Client, topic: &str, settings: &Value) {
    let settings = settings.as_object().expect("settings");
    loop {
        let (_, told) = client.get(&format!("/api/topics/{topic}"));
        if settings.iter().all(|(name, value)| told[name] == *value) {
            return;
        }
        thread::sleep(Duration::from_millis(200));
    }
}

/// Where a group is, by partition.
fn committed(client: &Client, group: &str) -> BTreeMap<u64, (Option<u64>, Option<String>)> {
    let (status, told) = client.get(&format!("/api/consumer-groups/{group}"));
    assert_eq!(status, 200, "{told}");
    let of = |at: &Value| {
        let metadata = at["metadata"].as_str().map(str::to_owned);
        (at["partition"].as_u64().expect("a number"), (at["committed"].as_u64(), metadata))
    };
    told["partitions"].as_array().expect("partitions").iter().map(of).collect()
}

/// A group that has committed these offsets, and left.
fn commit(client: &Client, group: &str, topic: &str, offsets: &Value, metadata: &Value) {
    let consumer = client.subscribe(group, &[topic], &json!({"auto_commit": false}));
    // Until it has the partitions.
    client.poll(&consumer, &json!({"timeout_ms": 0, "max_records": 1}));
    let body = json!({"offsets": {topic: offsets}, "metadata": {topic: metadata}});
    let (status, answer) = client.post(&format!("{consumer}/commit"), &body);
    assert_eq!(status, 200, "{answer}");
    assert_eq!(client.delete(&consumer).0, 200);
}

/// The first record that a new consumer of the group gets of each partition.
fn goes_on(client: &Client, group: &str, topic: &str, partitions: usize) -> BTreeMap<u64, Value> {
    let consumer = client.subscribe(group, &[topic], &json!({"auto_commit": false}));
    let mut first = BTreeMap::new();
    while first.len() < partitions {
        let polled = client.poll(&consumer, &json!({"timeout_ms": 5_000}));
        for record in polled["records"].as_array().expect("records") {
            first.entry(record["partition"].as_u64().expect("a number")).or_insert_with(|| record.clone());
        }
    }
    assert_eq!(client.delete(&consumer).0, 200);
    first
}

/// A topic of all that a record can be, of which a part is gone at the front and in the middle.
fn with_gaps(source: &Source) -> String {
    let client = source.broker.client();
    let topic = source.create("gaps", json!({"segment_bytes": 1024, "cleanup": "compact", "partitions": 2}));
    for n in 0..150_u64 {
        let key = format!("k{}", if n < 20 || n % 7 == 0 { n } else { n % 3 });
        let value = if n % 11 == 0 { Value::Null } else { json!(format!("{n} ").repeat(30)) };
        let headers = json!([{"key": "h", "value": format!("{n}")}, {"key": "h", "value": null}]);
        let record = json!({
            "partition": n % 2, "key": key, "value": value, "headers_list": headers, "timestamp": START_MS + n,
        });
        client.produce(&topic, &json!([record]));
    }
    while records(&client, &topic).iter().map(Vec::len).sum::<usize>() > 110 {
        thread::sleep(Duration::from_millis(5));
    }
    // Kafka knows no such small segments.
    let keep = 1_000_000_000_000_u64;
    let settings = json!({"segment_bytes": 1 << 20, "cleanup": "both", "min_compaction_lag_ms": keep});
    assert_eq!(client.patch(&format!("/api/topics/{topic}"), &settings).0, 200);
    topic
}

/// A topic whose first records went with age.
fn with_a_late_start(source: &Source) -> String {
    let client = source.broker.client();
    let topic = source.create("late", json!({"segment_bytes": 1024}));
    for n in 0..40_u64 {
        client.produce(&topic, &json!([{"value": format!("{n} ").repeat(60), "timestamp": START_MS + n}]));
    }
    // All at once, now that all is there.
    assert_eq!(client.patch(&format!("/api/topics/{topic}"), &json!({"retention_bytes": 3_000})).0, 200);
    while client.get(&format!("/api/topics/{topic}")).1["offsets"][0]["start"] == 0 {
        thread::sleep(Duration::from_millis(5));
    }
    let settings = json!({"segment_bytes": 1 << 20, "retention_bytes": -1});
    assert_eq!(client.patch(&format!("/api/topics/{topic}"), &settings).0, 200);
    topic
}

#[test]
#[ignore = "needs brokers"]
fn what_a_server_has_goes_on_in_a_cluster() {
    let mut source = Source::start();
    let local = source.broker.client();
    let (gaps, late) = (with_gaps(&source), with_a_late_start(&source));
    let plain = source.create("plain", json!({"partitions": 2, "retention_ms": 86_400_000, "segment_ms": 100_000_000}));
    let future = 4_102_444_800_000_u64;
    let bytes = json!({"partition": 1, "value": "AP8=", "value_encoding": "base64", "timestamp": future});
    local.produce(&plain, &json!([{"partition": 0, "value": "a"}, {"partition": 0, "value": ""}, bytes]));
    let empty = source.create("empty", json!({"partitions": 3, "durability": "fsync"}));
    let before: BTreeMap<&String, Vec<Vec<Value>>> =
        [&gaps, &late].into_iter().map(|topic| (topic, records(&local, topic))).collect();
    let places = offsets(&before[&gaps][0]);
    let (middle, gap) = (places.len() / 2, places.windows(2).position(|pair| pair[0] + 1 < pair[1]).expect("a gap"));
    commit(&local, "middle", &gaps, &json!({"0": places[middle], "1": 150 / 2}), &json!({"0": "noted"}));
    commit(&local, "within", &gaps, &json!({"0": places[gap] + 1}), &json!({}));
    commit(&local, "behind", &late, &json!({"0": 0}), &json!({}));
    commit(&local, "same", &plain, &json!({"0": 1}), &json!({}));
    assert!(source.broker.terminate().success());

    let nodes = Nodes::start(2);
    let (one, other) = (nodes.client(0), nodes.client(1));
    let log = source.migrate(Some(&one));
    assert!(log.contains("4 topics") && log.contains("4 groups") && log.contains("durability"), "{log}");

    for (topic, before) in &before {
        let after = records(&other, topic);
        assert_eq!(contents(&after), contents(before));
        assert!(after.iter().all(|records| offsets(records) == (0..records.len() as u64).collect::<Vec<_>>()));
    }
    shows(&other, &gaps, &json!({"cleanup": "both", "min_compaction_lag_ms": 1_000_000_000_000_u64}));
    shows(&other, &plain, &json!({"retention_ms": 86_400_000, "max_message_bytes": 1_048_576}));
    assert_eq!(contents(&records(&one, &plain))[1][0]["timestamp"], json!(future));
    assert_eq!(other.get(&format!("/api/topics/{empty}")).1["partitions"], 3);

    let first = goes_on(&other, "middle", &gaps, 1);
    assert_eq!((&first[&0]["value"], first.len()), (&before[&gaps][0][middle]["value"], 1));
    assert_eq!(committed(&one, "middle")[&0], (Some(middle as u64), Some("noted".to_owned())));
    assert_eq!(goes_on(&one, "within", &gaps, 2)[&0]["value"], before[&gaps][0][gap + 1]["value"]);
    assert_eq!(goes_on(&other, "behind", &late, 1)[&0]["value"], before[&late][0][0]["value"]);
    assert_eq!(committed(&other, "same")[&0].0, Some(1));

    // Which offset became which can be looked up.
    let file = source.broker.data_dir().join(format!("migration/offsets/{gaps}/0.tsv"));
    let text = fs::read_to_string(file).expect("it is there");
    let runs =
        text.lines().skip(1).map(|line| line.split('\t').map(|it| it.parse().expect("a number")).collect::<Vec<u64>>());
    let mapped = runs.flat_map(|run| (0..run[2]).map(move |at| (run[0] + at, run[1] + at)));
    assert_eq!(mapped.collect::<Vec<_>>(), places.into_iter().zip(0..).collect::<Vec<_>>());
    let topics = source.report()["topics"].clone();
    let same = |topic: &String| topics.as_array().expect("topics").iter().find(|it| it["topic"] == **topic);
    assert_eq!(same(&plain).expect("it is told")["partitions"][0]["same_offsets"], true);

    // Once more, it finds that all is done, and leaves what was used since as it is.
    commit(&one, "middle", &gaps, &json!({"0": middle + 1}), &json!({}));
    one.produce(&plain, &json!([{"partition": 0, "value": "from a client of the cluster"}]));
    let log = source.fail(Some(&one));
    assert!(log.contains("a group was left as it is: middle: it has committed"), "{log}");
    assert_eq!(committed(&one, "middle")[&0].0, Some(middle as u64 + 1));
}

#[test]
#[ignore = "needs brokers"]
fn killed_again_and_again_it_copies_every_record_once() {
    let mut source = Source::start();
    let local = source.broker.client();
    let topics = ["a", "b"].map(|name| source.create(name, json!({"partitions": 2})));
    let fill = |from: u64| {
        for topic in &topics {
            for request in from..from + 30 {
                let record = |n: u64| {
                    json!({
                        "partition": n % 2, "value": format!("{request}-{n} {}", "x".repeat(2_000)),
                        "key": format!("{}", n % 5), "headers": {"n": n.to_string()}, "timestamp": START_MS + request,
                    })
                };
                local.produce(topic, &(0..200).map(record).collect());
            }
        }
    };
    fill(0);
    let nodes = Nodes::start(1);
    let node = nodes.client(0);
    let there = || -> u64 {
        let ends = |topic: &String| {
            let (_, told) = node.get(&format!("/api/topics/{topic}"));
            told["offsets"].as_array().into_iter().flatten().filter_map(|it| it["end"].as_u64()).sum::<u64>()
        };
        topics.iter().map(ends).sum()
    };
    assert!(source.broker.terminate().success());
    let mut known = 0;
    for _ in 0..4 {
        let mut running = source.begin(None);
        // As soon as something more is there, which is most likely not written down yet.
        while there() == known && running.ended().is_none() {
            thread::sleep(Duration::from_millis(1));
        }
        running.kill9();
        known = there();
    }
    source.migrate(None);
    known = there();

    // The server goes on meanwhile, and the rest is copied once it has stopped.
    source.broker.restart();
    let local = source.broker.client();
    local.produce(&topics[0], &json!([{"partition": 0, "value": "the last one"}]));
    let at = json!({"0": 2_900, "1": 17});
    commit(&local, "readers", &topics[0], &at, &json!({}));
    let before = topics.each_ref().map(|topic| records(&local, topic));
    assert!(source.broker.terminate().success());
    let mut running = source.begin(Some(&node));
    while there() == known && running.ended().is_none() {
        thread::sleep(Duration::from_millis(1));
    }
    running.kill9();
    source.migrate(Some(&node));
    for (topic, before) in topics.iter().zip(&before) {
        assert_eq!(records(&node, topic), *before, "{topic}: records and offsets are the same");
    }
    let first = goes_on(&node, "readers", &topics[0], 2);
    assert_eq!((&first[&0]["offset"], &first[&1]["offset"]), (&json!(2_900), &json!(17)));
}

#[test]
#[ignore = "needs brokers"]
fn what_can_not_be_gone_on_with_is_said() {
    let mut source = Source::start();
    let local = source.broker.client();
    let taken = source.create("taken", json!({}));
    let other = source.create("other", json!({"partitions": 2}));
    let copied = source.create("copied", json!({}));
    let busy = source.create("busy", json!({}));
    local.produce(&copied, &json!([{"value": "one"}, {"value": "two"}]));
    commit(&local, "billing", &busy, &json!({"0": 0}), &json!({}));
    assert!(source.fail(None).contains("is in use by another process"));
    assert!(source.broker.terminate().success());

    let nodes = Nodes::start(1);
    let node = nodes.client(0);
    for (topic, partitions) in [(&taken, 1), (&other, 3), (&busy, 1)] {
        let (status, made) = node.post("/api/topics", &json!({"name": topic, "partitions": partitions}));
        assert_eq!(status, 201, "{made}");
    }
    node.produce(&taken, &json!([{"value": "somebody else's"}]));
    let log = source.fail(None);
    assert!(log.contains(&format!("{other} has 2 partitions, and in Kafka there is one with 3")), "{log}");
    assert_eq!(node.delete(&format!("/api/topics/{other}")).0, 200);
    let log = source.fail(None);
    assert!(log.contains(&format!("{taken} is in Kafka already")), "{log}");
    assert_eq!(node.delete(&format!("/api/topics/{taken}")).0, 200);

    // Somebody is in the group.
    let consumer = node.subscribe("billing", &[&busy], &json!({}));
    let log = source.fail(Some(&node));
    assert!(log.contains("billing: it has consumers in the cluster"), "{log}");
    assert_eq!(node.delete(&consumer).0, 200);
    source.migrate(Some(&node));
    assert_eq!(committed(&node, "billing")[&0].0, Some(0));

    // Written to by somebody else, while there is more to copy.
    source.broker.restart();
    source.broker.client().produce(&copied, &json!([{"value": "three"}]));
    assert!(source.broker.terminate().success());
    node.produce(&copied, &json!([{"value": "somebody else's"}]));
    let log = source.fail(Some(&node));
    assert!(log.contains("something else writes to it"), "{log}");
    // What is deleted there is copied anew.
    assert_eq!(node.delete(&format!("/api/topics/{copied}")).0, 200);
    let log = source.migrate(Some(&node));
    assert!(log.contains("it is copied anew"), "{log}");
    let values: Vec<Value> = records(&node, &copied)[0].iter().map(|record| record["value"].clone()).collect();
    assert_eq!(values, ["one", "two", "three"]);

    // Brokers that are not there.
    let mut command = source.command(None, "127.0.0.1:9");
    command.args(["--kafka-timeout-ms", "1000"]);
    let log = source.log.path().join("nobody");
    assert!(!Process::start(&mut command, &log).expect("it can be started").ends().success());
    let log = fs::read_to_string(log).expect("a log");
    assert!(log.contains("no Kafka broker of 127.0.0.1:9 answered within 1000 ms"), "{log}");
}
