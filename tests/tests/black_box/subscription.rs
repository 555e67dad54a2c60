//! What a consumer subscribes to: by pattern, and how it changes its mind.

use serde_json::{Value, json};
use takhin_tests::{
    broker::{Broker, Options},
    client::Client,
};

fn broker() -> (Broker, Client) {
    let broker = Broker::start(Options::quick());
    let client = broker.client();
    for topic in ["orders-eu", "orders-us", "audits"] {
        client.create_topic(topic, 1);
        client.produce_values(topic, 0, &[topic]);
    }
    (broker, client)
}

fn subscribe(client: &Client, pattern: &str) -> (u16, Value) {
    let body = json!({"group_id": "g", "topic_pattern": pattern, "auto_offset_reset": "earliest"});
    client.post("/api/consumers/subscribe", &body)
}

#[test]
fn a_pattern_follows_the_topics() {
    let (_broker, client) = broker();
    let (status, answer) = subscribe(&client, "orders-.*");
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["topic_pattern"], "orders-.*");
    assert_eq!(answer["assignment"], json!({"orders-eu": [0], "orders-us": [0]}));
    let consumer = format!("/api/consumers/{}", answer["consumer_id"].as_str().expect("an id"));
    client.create_topic("orders-jp", 2);
    let answer = client.poll(&consumer, &json!({"timeout_ms": 0}));
    assert_eq!(answer["rebalance"], json!({"assigned": {"orders-jp": [0, 1]}, "revoked": {}}));
    assert_eq!(client.delete("/api/topics/orders-us").0, 200);
    let told = json!({"topics": ["orders-eu", "orders-jp"], "topic_pattern": "orders-.*", "manual": false});
    assert_eq!(client.get(&format!("{consumer}/subscription")), (200, told));
}

#[test]
fn a_subscription_can_be_changed() {
    let (_broker, client) = broker();
    let consumer = client.subscribe("g", &["orders-eu"], &json!({}));
    let put = |body| client.put(&format!("{consumer}/subscription"), &body);
    let (status, answer) = put(json!({"topics": ["orders-eu", "audits"]}));
    assert_eq!((status, &answer["assignment"]), (200, &json!({"audits": [0], "orders-eu": [0]})), "{answer}");
    let (status, answer) = put(json!({"topic_pattern": "audits"}));
    assert_eq!((status, &answer["assignment"]), (200, &json!({"audits": [0]})), "{answer}");
    assert_eq!(client.poll_values(&consumer), ["audits"]);
    assert_eq!(client.put(&format!("{consumer}/assignment"), &json!({"topics": {"orders-us": [0]}})).0, 200);
    let (status, answer) = put(json!({"topics": ["later"], "allow_missing": true}));
    assert_eq!((status, &answer["manual"], &answer["assignment"]), (200, &json!(false), &json!({})), "{answer}");
}

#[test]
fn subscriptions_that_cannot_be_are_refused() {
    let (_broker, client) = broker();
    let consumer = client.subscribe("g", &["orders-eu"], &json!({}));
    for (body, status, code) in [
        (json!({"topic_pattern": "("}), 422, "invalid_pattern"),
        (json!({"topic_pattern": ""}), 422, "invalid_pattern"),
        (json!({"topic_pattern": "x".repeat(1_001)}), 422, "invalid_pattern"),
        (json!({"topic_pattern": "(a{100}){100}"}), 422, "invalid_pattern"),
        (json!({"topic_pattern": "a", "topics": ["b"]}), 400, "conflicting_fields"),
        (json!({}), 400, "missing_field"),
        (json!({"topics": []}), 422, "empty"),
        (json!({"topics": ["nothing"]}), 404, "topic_not_found"),
    ] {
        let (was, answer) = client.put(&format!("{consumer}/subscription"), &body);
        assert_eq!((was, &answer["code"]), (status, &json!(code)), "{body}: {answer}");
        let mut subscribe = body.clone();
        subscribe["group_id"] = json!("g");
        let (was, answer) = client.post("/api/consumers/subscribe", &subscribe);
        assert_eq!((was, &answer["code"]), (status, &json!(code)), "{subscribe}: {answer}");
    }
    let nobody = "/api/consumers/00000000-0000-0000-0000-000000000000/subscription";
    assert_eq!(client.put(nobody, &json!({"topics": ["audits"]})).1["code"], "consumer_not_found");
    assert_eq!(client.get(&format!("{consumer}/subscription")).1["topics"], json!(["orders-eu"]));
}
