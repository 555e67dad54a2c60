//! Partitions that a consumer keeps and, for a while, is not delivered.

use std::thread;

use serde_json::json;
use takhin_tests::{
    api::values,
    broker::{Broker, Options},
    client::Client,
};

fn broker() -> (Broker, Client, String) {
    let broker = Broker::start(Options::quick());
    let client = broker.client();
    client.create_topic("t", 2);
    client.produce_values("t", 0, &["a"]);
    client.produce_values("t", 1, &["b"]);
    let consumer = client.subscribe("g", &["t"], &json!({}));
    (broker, client, consumer)
}

#[test]
fn what_is_paused_is_kept_and_not_delivered() {
    let (mut broker, client, consumer) = broker();
    let answer = client.post(&format!("{consumer}/pause"), &json!({"partitions": {"t": [0]}}));
    assert_eq!(answer, (200, json!({"success": true, "paused": {"t": [0]}})));
    assert_eq!(client.get(&consumer).1["paused"], json!({"t": [0]}));
    assert_eq!(client.get(&format!("{consumer}/assignment")).1["assignment"], json!({"t": [0, 1]}));
    assert_eq!(client.poll_values(&consumer), ["b"]);
    assert_eq!(client.poll_values(&consumer), Vec::<String>::new());
    broker.restart();
    let client = broker.client();
    let poll = thread::spawn({
        let (client, path) = (client.clone(), format!("{consumer}/consume"));
        move || client.post(&path, &json!({"timeout_ms": 50_000})).1
    });
    client.wait_for_parked_polls(1);
    let answer = client.post(&format!("{consumer}/resume"), &json!({}));
    assert_eq!(answer, (200, json!({"success": true, "paused": {}})));
    assert_eq!(values(&poll.join().expect("no panic")["records"]), ["a"]);
    assert_eq!(client.get(&consumer).1.get("paused"), None);
}

#[test]
fn everything_is_paused_where_nothing_is_named() {
    let (_broker, client, consumer) = broker();
    let answer = client.post(&format!("{consumer}/pause"), &json!({}));
    assert_eq!(answer, (200, json!({"success": true, "paused": {"t": [0, 1]}})));
    assert_eq!(client.poll_values(&consumer), Vec::<String>::new());
}

#[test]
fn what_cannot_be_paused_is_refused() {
    let (_broker, client, consumer) = broker();
    for verb in ["pause", "resume"] {
        let other = format!("not-subscribed-to-{verb}");
        let ask = |body| {
            let (status, answer) = client.post(&format!("{consumer}/{verb}"), &body);
            (status, answer["code"].as_str().unwrap_or_default().to_owned())
        };
        assert_eq!(ask(json!({"partitions": {"t": [2]}})), (404, "partition_not_found".to_owned()));
        assert_eq!(ask(json!({"partitions": {&other: [0]}})), (404, "topic_not_found".to_owned()));
        assert_eq!(ask(json!({"partitions": {"t": [-1]}})), (422, "out_of_range".to_owned()));
        assert_eq!(ask(json!({"partitions": {}})), (422, "empty".to_owned()));
        assert_eq!(ask(json!({"topics": {"t": [0]}})), (400, "unknown_field".to_owned()));
        client.create_topic(&other, 1);
        assert_eq!(ask(json!({"partitions": {&other: [0]}})), (409, "partition_not_assigned".to_owned()));
        assert_eq!(client.delete(&format!("/api/topics/{other}")).0, 200);
        let nobody = "/api/consumers/00000000-0000-0000-0000-000000000000";
        assert_eq!(client.post(&format!("{nobody}/{verb}"), &json!({})).1["code"], "consumer_not_found");
    }
}
