//! What is remembered with committed offsets, and how far behind a consumer and its group are.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use takhin_tests::{
    broker::{Broker, Options},
    client::Client,
    local_only,
};

fn broker() -> (Broker, Client, String) {
    let broker = Broker::start(Options::quick());
    let client = broker.client();
    client.create_topic("t", 2);
    let consumer = client.subscribe("g", &["t"], &json!({"auto_commit": false}));
    (broker, client, consumer)
}

#[test]
fn metadata_is_kept_with_the_offset() {
    let (mut broker, client, consumer) = broker();
    client.produce_values("t", 0, &["a", "b"]);
    let body = json!({"offsets": {"t": {"0": 1, "1": 0}}, "metadata": {"t": {"0": "page 7"}}});
    let (status, answer) = client.post(&format!("{consumer}/commit"), &body);
    assert_eq!((status, &answer["metadata"]), (200, &json!({"t": {"0": "page 7"}})), "{answer}");
    broker.restart();
    let client = broker.client();
    let told = json!({"offsets": {"t": {"0": 1, "1": 0}}, "metadata": {"t": {"0": "page 7"}}});
    assert_eq!(client.get(&format!("{consumer}/committed")), (200, told));
    let (_, group) = client.get("/api/consumer-groups/g");
    assert_eq!(group["partitions"][0]["metadata"], "page 7");
    assert_eq!(client.post(&format!("{consumer}/commit"), &json!({"offsets": {"t": {"0": 2}}})).0, 200);
    let told = json!({"offsets": {"t": {"0": 2, "1": 0}}});
    assert_eq!(client.get(&format!("{consumer}/committed")), (200, told));
}

#[test]
fn metadata_that_cannot_be_kept_commits_nothing() {
    let (_broker, client, consumer) = broker();
    for (metadata, status, code, field) in [
        (json!({"t": {"0": "x".repeat(4_097)}}), 422, "out_of_range", "metadata.t.0"),
        (json!({"t": {"1": "x"}}), 422, "metadata_without_offset", "metadata.t.1"),
        (json!({"t": {"x": "x"}}), 422, "invalid_partition", "metadata.t"),
        (json!({"t": {"0": 5}}), 400, "invalid_field", "metadata.t.0"),
    ] {
        let body = json!({"offsets": {"t": {"0": 0}}, "metadata": metadata});
        let (was, answer) = client.post(&format!("{consumer}/commit"), &body);
        let told = (was, &answer["code"], &answer["details"]["field"]);
        assert_eq!(told, (status, &json!(code), &json!(field)), "{answer}");
    }
    assert_eq!(client.get(&format!("{consumer}/committed")).1, json!({"offsets": {"t": {"0": null, "1": null}}}));
}

#[test]
fn an_offset_before_the_logs_start_can_be_committed_and_is_no_place_to_begin() {
    local_only!("when old records go is Kafka's to say");
    let arguments = vec!["--cleanup-interval-ms=10".into()];
    let broker = Broker::start(Options { arguments, ..Options::quick() });
    let client = broker.client();
    assert_eq!(client.post("/api/topics", &json!({"name": "t", "segment_bytes": 1024})).0, 201);
    for n in 0..12 {
        client.produce_values("t", 0, &[format!("{n:03}").repeat(100)]);
    }
    assert_eq!(client.patch("/api/topics/t", &json!({"retention_bytes": 1024})).0, 200);
    let start = || client.get("/api/topics/t").1["offsets"][0]["start"].as_u64().expect("an offset");
    while start() == 0 {}
    let consumer = client.subscribe("g", &["t"], &json!({"auto_offset_reset": "latest", "auto_commit": false}));
    let (status, answer) = client.post(&format!("{consumer}/commit"), &json!({"offsets": {"t": {"0": 0}}}));
    assert_eq!((status, &answer["committed"]), (200, &json!({"t": {"0": 0}})), "{answer}");
    assert_eq!(client.delete(&consumer).0, 200);
    let next = client.subscribe("g", &["t"], &json!({"auto_offset_reset": "latest"}));
    assert_eq!(
        client.get(&format!("{next}/position")).1["offsets"],
        json!({"t": {"0": 12}}),
        "the reset policy decides"
    );
}

#[test]
fn auto_commit_waits_for_its_interval() {
    let (_broker, client, _) = broker();
    client.produce_values("t", 0, &["a", "b", "c"]);
    for (interval_ms, committed) in [(3_600_000, Value::Null), (0, json!(2))] {
        let group = format!("every-{interval_ms}");
        let body = json!({"auto_offset_reset": "earliest", "auto_commit_interval_ms": interval_ms});
        let consumer = client.subscribe(&group, &["t"], &body);
        for _ in 0..3 {
            client.poll(&consumer, &json!({"max_records": 1, "timeout_ms": 0}));
        }
        let seen = client.get(&format!("{consumer}/committed")).1["offsets"]["t"]["0"].clone();
        assert_eq!(seen, committed, "what earlier polls delivered, at most once in {interval_ms} ms");
    }
}

#[test]
fn lag_is_told_in_records_and_in_time() {
    let (_broker, client, consumer) = broker();
    let hour = 3_600_000;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_millis();
    // Kafka takes none that are more than an hour ahead.
    let soon = u64::try_from(now).expect("a time") + hour / 2;
    let record = |timestamp: u64| json!({"partition": 0, "value": "v", "timestamp": timestamp});
    client.produce("t", &json!([record(1_000), record(2_000), record(soon)]));
    let answer = client.poll(&consumer, &json!({"max_records": 1, "timeout_ms": 0}));
    assert_eq!(answer["lag"]["t"], json!({"0": 2, "1": 0}));
    let behind = answer["lag_ms"]["t"]["0"].as_u64().expect("the age of the last record given");
    assert!(behind > hour && answer["lag_ms"]["t"]["1"] == 0, "{answer}");
    let (_, told) = client.get(&consumer);
    assert!(told["lag_ms"]["t"]["0"].as_u64() > Some(hour) && told["lag_ms"]["t"]["1"] == 0, "{told}");
    assert_eq!(client.post(&format!("{consumer}/commit"), &json!({"offsets": {"t": {"0": 2}}})).0, 200);
    let (_, group) = client.get("/api/consumer-groups/g");
    let partition = &group["partitions"][0];
    assert_eq!((&partition["lag"], &partition["lag_ms"]), (&json!(1), &json!(0)), "a record of the future: {group}");
    assert_eq!(group["partitions"][1]["lag_ms"], json!(null), "nothing was committed");
    let answer = client.poll(&consumer, &json!({"timeout_ms": 0}));
    assert_eq!(answer["lag_ms"]["t"], json!({"0": 0, "1": 0}));
}
