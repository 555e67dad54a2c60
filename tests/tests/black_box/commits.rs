//! What is remembered with committed offsets, and how far behind a consumer and its group are.

use serde_json::json;
use takhin_tests::{
    broker::{Broker, Options},
    client::Client,
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
fn lag_is_told_in_records_and_in_time() {
    let (_broker, client, consumer) = broker();
    let record = |timestamp: u64| json!({"partition": 0, "value": "v", "timestamp": timestamp});
    client.produce("t", &json!([record(1_000), record(2_000), record(4_102_444_800_000)]));
    let hour = 3_600_000;
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
