//! Old records go, and whoever reads is told where the log begins now.

use std::{
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};
use takhin_tests::{
    api::offsets,
    broker::{Broker, Options},
    client::Client,
    local_only,
};

const WHY_LOCAL: &str = "when segments end and old records go, and how small segments can be, is Kafka's to say";

fn broker(settings: &Value) -> (Broker, Client) {
    let arguments = vec!["--cleanup-interval-ms=10".into()];
    let broker = Broker::start(Options { arguments, ..Options::quick() });
    let client = broker.client();
    let mut topic = json!({"name": "t", "segment_bytes": 1024});
    topic.as_object_mut().expect("an object").extend(settings.as_object().expect("an object").clone());
    let (status, answer) = client.post("/api/topics", &topic);
    assert_eq!(status, 201, "{answer}");
    (broker, client)
}

/// Twenty records of some 300 bytes, one by one, each `age_ms` old.
fn fill(client: &Client, age_ms: i64) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_millis();
    let now = i64::try_from(now).expect("some time before the end of the world");
    for n in 0..20 {
        let record = json!({"key": "k", "value": format!("{n}").repeat(150), "timestamp": now - age_ms});
        client.produce("t", &json!([record]));
    }
}

fn bounds(client: &Client) -> (u64, u64) {
    let topic = client.get("/api/topics/t").1;
    let at = |field: &str| topic["offsets"][0][field].as_u64().expect("an offset");
    (at("start"), at("end"))
}

fn wait_for_start(client: &Client, at_least: u64) -> u64 {
    loop {
        let (start, _) = bounds(client);
        if start >= at_least {
            return start;
        }
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn records_go_with_age_and_readers_are_told() {
    local_only!(WHY_LOCAL);
    let (mut broker, client) = broker(&json!({}));
    fill(&client, 60_000);
    let late = client.subscribe("late", &["t"], &json!({}));
    assert_eq!(client.patch("/api/topics/t", &json!({"retention_ms": 30_000})).0, 200);
    assert_eq!(wait_for_start(&client, 20), 20, "the segment that was being written goes too");
    let (status, answer) = client.get("/api/topics/t/messages?offset=3");
    assert_eq!((status, &answer["code"], &answer["details"]["earliest"]), (410, &json!("offset_trimmed"), &json!(20)));
    client.produce_values("t", 0, &["young"]);
    assert_eq!(client.poll_values(&late), ["young"], "a position that is gone follows the reset policy");
    broker.kill9();
    broker.restart();
    let client = broker.client();
    assert_eq!(bounds(&client), (20, 21));
    assert_eq!(offsets(&Value::from(client.read_from("t", 0, 20))), [20]);
}

#[test]
fn records_go_with_size() {
    local_only!(WHY_LOCAL);
    let (_broker, client) = broker(&json!({"retention_bytes": 2048}));
    fill(&client, 0);
    let start = wait_for_start(&client, 5);
    assert!(start < 20);
    assert_eq!(client.read_from("t", 0, start).len() as u64, 20 - start);
}

#[test]
fn records_of_a_topic_that_only_compacts_do_not_go_with_age_or_size() {
    local_only!(WHY_LOCAL);
    let (_broker, client) = broker(&json!({"cleanup": "compact", "retention_ms": 0, "retention_bytes": 0}));
    fill(&client, 60_000);
    thread::sleep(Duration::from_millis(100));
    assert_eq!(bounds(&client), (0, 20));
}

#[test]
fn of_each_key_the_latest_stays_at_its_offset_across_restarts() {
    local_only!(WHY_LOCAL);
    let (mut broker, client) = broker(&json!({"cleanup": "compact", "compression": "lz4"}));
    for n in 0..120 {
        let record = json!({"key": format!("k{}", n % 4), "value": format!("{n} ").repeat(40)});
        client.produce("t", &json!([record]));
    }
    client.produce("t", &json!([{"key": "k0", "value": null}]));
    let latest = |client: &Client| -> Vec<_> {
        let records = client.read_from("t", 0, 0);
        assert!(records.windows(2).all(|pair| pair[0]["offset"].as_u64() < pair[1]["offset"].as_u64()));
        let of_key = |key: &str| {
            let found = records.iter().rev().find(|record| record["key"] == key).expect("its latest");
            (found["offset"].clone(), found["value"].is_null())
        };
        ["k0", "k1", "k2", "k3"].map(of_key).to_vec()
    };
    let expected = [(json!(120), true), (json!(117), false), (json!(118), false), (json!(119), false)];
    while client.read_from("t", 0, 0).len() > 40 {
        assert_eq!(latest(&client), expected);
        thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(bounds(&client), (0, 121), "offsets keep their places");
    let consumer = client.subscribe("g", &["t"], &json!({}));
    let polled = client.poll(&consumer, &json!({"timeout_ms": 0}));
    assert!(polled["records"].as_array().expect("records").len() <= 40);
    assert_eq!(polled["positions"]["t"]["0"], 121);
    broker.kill9();
    broker.restart();
    assert_eq!(latest(&broker.client()), expected);
    assert_eq!(client_error(&broker.client()), (422, "key_needed".to_owned()));
}

/// Records of one key, one after another, as so many segments.
fn fill_segments(client: &Client, key: &str) {
    for n in 0..8 {
        client.produce("t", &json!([{"key": key, "value": format!("{n}").repeat(600)}]));
    }
}

#[test]
fn a_segment_is_written_to_for_so_long_and_no_longer() {
    local_only!(WHY_LOCAL);
    // What is still being written is never compacted: so that it is says that a new segment was begun.
    let (_broker, client) = broker(&json!({"cleanup": "compact", "segment_bytes": 134_217_728, "segment_ms": 1000}));
    client.produce("t", &json!([{"key": "k", "value": "old"}]));
    client.produce("t", &json!([{"key": "k", "value": "new"}]));
    assert_eq!(client.read_from("t", 0, 0).len(), 2);
    while client.read_from("t", 0, 0).len() == 2 {
        thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(client.read_from("t", 0, 0)[0]["value"], "new");
}

#[test]
fn what_is_younger_than_the_lag_is_not_replaced() {
    local_only!(WHY_LOCAL);
    let (_broker, client) = broker(&json!({"cleanup": "compact", "min_compaction_lag_ms": 3_600_000}));
    fill_segments(&client, "k");
    thread::sleep(Duration::from_millis(200));
    assert_eq!(client.read_from("t", 0, 0).len(), 8);
    assert_eq!(client.patch("/api/topics/t", &json!({"min_compaction_lag_ms": 0})).0, 200);
    while client.read_from("t", 0, 0).len() > 3 {
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_record_without_a_value_goes_once_it_is_old_enough() {
    local_only!(WHY_LOCAL);
    let (_broker, client) = broker(&json!({"cleanup": "compact", "delete_retention_ms": 3_600_000}));
    client.produce("t", &json!([{"key": "gone", "value": "x".repeat(2000)}]));
    client.produce("t", &json!([{"key": "gone", "value": null}]));
    let of_key = |key: &str| client.read_from("t", 0, 0).iter().filter(|record| record["key"] == key).count();
    fill_segments(&client, "k");
    while of_key("gone") > 1 {
        thread::sleep(Duration::from_millis(5));
    }
    thread::sleep(Duration::from_millis(200));
    assert_eq!(of_key("gone"), 1, "that its key is gone is still told");
    assert_eq!(client.patch("/api/topics/t", &json!({"delete_retention_ms": 0})).0, 200);
    while of_key("gone") > 0 {
        // Something new, so that there is something to compact.
        fill_segments(&client, "k");
    }
}

/// What a record without a key is answered with.
fn client_error(client: &Client) -> (u16, String) {
    let (status, answer) = client.post("/api/topics/t/produce", &json!({"records": [{"value": "no key"}]}));
    (status, answer["code"].as_str().unwrap_or_default().to_owned())
}
