//! What monitoring is told.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use takhin_tests::{
    broker::{Broker, Options},
    local_only,
};

/// Every sample, by its name with its labels.
fn samples(text: &str) -> BTreeMap<String, f64> {
    assert!(text.ends_with("# EOF\n"), "{text}");
    let samples = text.lines().filter(|line| !line.starts_with('#')).map(|line| {
        let (name, value) = line.rsplit_once(' ').expect("a name and a value");
        (name.to_owned(), value.parse().expect("a number"))
    });
    samples.collect()
}

#[test]
fn what_happened_is_counted_and_what_is_there_is_told() {
    local_only!("it shows the figures of a disk, too, which a node has none of");
    let broker = Broker::start(Options::default());
    let client = broker.client();
    client.post("/api/topics", &json!({"name": "orders", "partitions": 2}));
    for partition in [0, 0, 1] {
        client.post(
            "/api/topics/orders/produce",
            &json!({"records": [{"partition": partition, "value": "a"}, {"partition": partition, "value": "b"}]}),
        );
    }
    let wish = json!({"group_id": "g", "topics": ["orders"], "auto_offset_reset": "earliest", "auto_commit": false});
    let consumer = client.post("/api/consumers/subscribe", &wish).1;
    let consumer = format!("/api/consumers/{}", consumer["consumer_id"].as_str().expect("an id"));
    client.post(&format!("{consumer}/consume"), &json!({"timeout_ms": 0}));
    client.post(&format!("{consumer}/commit"), &json!({"offsets": {"orders": {"0": 1}}}));
    client.get("/nowhere");

    let whole = client.send("GET", "/metrics", &[], None).expect("an answer");
    assert_eq!(whole.header("content-type"), "application/openmetrics-text; version=1.0.0; charset=utf-8");
    let Value::String(text) = &whole.body else { panic!("{:?}", whole.body) };
    let samples = samples(&text[..]);
    let expected = [
        ("takhin_produced_records_total", 6.0),
        ("takhin_fetched_records_total", 6.0),
        ("takhin_commits_total", 1.0),
        ("takhin_consumers_created_total", 1.0),
        (r#"takhin_rebalances_total{reason="joined"}"#, 1.0),
        ("takhin_storage_writable", 1.0),
        ("takhin_topics", 1.0),
        ("takhin_consumers", 1.0),
        ("takhin_parked_polls", 0.0),
        (r#"takhin_log_start_offset{topic="orders",partition="0"}"#, 0.0),
        (r#"takhin_log_end_offset{topic="orders",partition="0"}"#, 4.0),
        (r#"takhin_log_end_offset{topic="orders",partition="1"}"#, 2.0),
        (r#"takhin_group_members{group="g"}"#, 1.0),
        (r#"takhin_group_lag{group="g",topic="orders",partition="0"}"#, 3.0),
        ("takhin_storage_appends_total", 3.0),
        (r#"takhin_http_requests_total{route="/api/topics/{topic}/produce",status="2xx"}"#, 3.0),
        (r#"takhin_http_requests_total{route="unknown",status="4xx"}"#, 1.0),
        (r#"takhin_http_errors_total{code="route_not_found"}"#, 1.0),
        (r#"takhin_http_request_duration_seconds_count{route="/api/topics/{topic}/produce",status="2xx"}"#, 3.0),
    ];
    for (name, value) in expected {
        assert_eq!(samples.get(name), Some(&value), "{name}\n{text}");
    }
    // Three produces, each synced; and the facts of a topic, a consumer and a commit.
    assert!(samples["takhin_storage_sync_seconds_count"] >= 6.0, "{text}");
    assert!(samples["takhin_http_connections"] >= 1.0, "{text}");
}

#[test]
fn a_poll_that_wakes_and_a_session_that_ends_are_counted() {
    let broker = Broker::start(Options::default());
    let client = broker.client();
    client.post("/api/topics", &json!({"name": "t"}));
    let wish = json!({"group_id": "g", "topics": ["t"], "session_timeout_ms": 1_000});
    let consumer = client.post("/api/consumers/subscribe", &wish).1;
    let path = format!("/api/consumers/{}/consume", consumer["consumer_id"].as_str().expect("an id"));
    let poll = std::thread::spawn({
        let client = broker.client();
        move || client.post(&path, &json!({"timeout_ms": 60_000}))
    });
    client.wait_for_parked_polls(1);
    client.produce_values("t", 0, &["news"]);
    assert_eq!(poll.join().expect("an answer").0, 200);
    let text = || match client.get("/metrics").1 {
        Value::String(text) => text,
        other => panic!("{other}"),
    };
    assert_eq!(samples(&text()).get("takhin_poll_wake_seconds_count"), Some(&1.0));
    while !samples(&text()).contains_key(r#"takhin_consumers_ended_total{reason="session_timeout"}"#) {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}
