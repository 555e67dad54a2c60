//! Seeking: to offsets, places and times; one partition, some, or all at once, or none of them.

use serde_json::{Value, json};
use takhin_tests::{
    broker::{Broker, Options},
    client::Client,
};

const START: u64 = 1_700_000_000_000;

/// Two partitions of five records, one for each second from [`START`] on, all of them read.
fn broker() -> (Broker, Client, String) {
    let broker = Broker::start(Options::quick());
    let client = broker.client();
    client.create_topic("t", 2);
    for partition in 0..2 {
        let record = |second: u64| json!({"partition": partition, "value": "v", "timestamp": START + second * 1_000});
        client.produce("t", &(0..5).map(record).collect());
    }
    let consumer = client.subscribe("g", &["t"], &json!({"auto_commit": false}));
    assert_eq!(client.poll_values(&consumer).len(), 10);
    (broker, client, consumer)
}

fn seek(client: &Client, consumer: &str, body: &Value) -> (u16, Value) {
    let (status, answer) = client.post(&format!("{consumer}/seek"), body);
    let telling = if status == 200 { &answer["positions"]["t"] } else { &answer["code"] };
    (status, telling.clone())
}

#[test]
fn a_seek_goes_to_a_place() {
    let (_broker, client, consumer) = broker();
    let seek = |body| seek(&client, &consumer, &body);
    assert_eq!(seek(json!({"to": "beginning"})), (200, json!({"0": 0, "1": 0})));
    assert_eq!(seek(json!({"to": "end", "partitions": {"t": [1]}})), (200, json!({"0": 0, "1": 5})));
    assert_eq!(seek(json!({"to": "end", "topic": "t", "partition": 0})), (200, json!({"0": 5, "1": 5})));
    assert_eq!(client.post(&format!("{consumer}/commit"), &json!({"offsets": {"t": {"0": 3}}})).0, 200);
    assert_eq!(seek(json!({"to": "committed"})), (200, json!({"0": 3, "1": 0})));
    assert_eq!(client.poll_values(&consumer).len(), 2 + 5);
}

#[test]
fn a_seek_goes_to_a_time() {
    let (_broker, client, consumer) = broker();
    let seek = |body| seek(&client, &consumer, &body);
    assert_eq!(seek(json!({"timestamp_ms": START + 2_001})), (200, json!({"0": 3, "1": 3})));
    assert_eq!(seek(json!({"timestamp_ms": 0, "partitions": {"t": [1]}})), (200, json!({"0": 3, "1": 0})));
    let late = json!({"timestamp_ms": START + 4_001, "topic": "t", "partition": 0});
    assert_eq!(seek(late), (200, json!({"0": 5, "1": 0})));
}

#[test]
fn many_partitions_move_at_once_or_none_does() {
    let (_broker, client, consumer) = broker();
    let seek = |body| seek(&client, &consumer, &body);
    assert_eq!(seek(json!({"offsets": {"t": {"0": 1, "1": 2}}})), (200, json!({"0": 1, "1": 2})));
    client.create_topic("u", 1);
    for (body, status, code) in [
        (json!({"offsets": {"t": {"0": 3, "1": 6}}}), 422, "offset_out_of_range"),
        (json!({"offsets": {"t": {"0": 3}, "u": {"0": 0}}}), 409, "partition_not_assigned"),
        (json!({"to": "end", "partitions": {"t": [0], "u": [0]}}), 409, "partition_not_assigned"),
        (json!({"timestamp_ms": 0, "partitions": {"t": [0], "u": [0]}}), 409, "partition_not_assigned"),
        (json!({"timestamp_ms": 0, "partitions": {"t": [0, 2]}}), 404, "partition_not_found"),
        (json!({"to": "end", "partitions": {"v": [0]}}), 404, "topic_not_found"),
        (json!({"to": "end", "partitions": {}}), 422, "empty"),
        (json!({"timestamp_ms": 0, "partitions": {}}), 422, "empty"),
        (json!({"to": "middle"}), 422, "invalid_value"),
        (json!({"to": "end", "timestamp_ms": 0}), 400, "conflicting_fields"),
        (json!({"topic": "t", "partition": 0}), 400, "missing_field"),
    ] {
        assert_eq!(seek(body.clone()), (status, json!(code)), "{body}");
    }
    let (_, position) = client.get(&format!("{consumer}/position"));
    assert_eq!(position["offsets"]["t"], json!({"0": 1, "1": 2}));
}
