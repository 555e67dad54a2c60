//! Ids that clients choose for their consumers, and what they call themselves.

use std::thread;

use serde_json::{Value, json};
use takhin_tests::{
    broker::{Broker, Options},
    client::Client,
};

const ID: &str = "550e8400-e29b-41d4-a716-446655440000";

fn broker() -> (Broker, Client) {
    let broker = Broker::start(Options::quick());
    let client = broker.client();
    client.create_topic("t", 2);
    (broker, client)
}

fn subscribe(client: &Client, more: &Value) -> (u16, Value) {
    let mut body = json!({"group_id": "g", "topics": ["t"], "consumer_id": ID, "client_id": "till-3"});
    for (field, value) in more.as_object().expect("an object") {
        body[field] = value.clone();
    }
    client.post("/api/consumers/subscribe", &body)
}

#[test]
fn a_subscribe_with_an_id_can_be_repeated() {
    let (mut broker, client) = broker();
    let first = subscribe(&client, &json!({}));
    assert_eq!((first.0, &first.1["consumer_id"], &first.1["client_id"]), (200, &json!(ID), &json!("till-3")));
    assert_eq!(subscribe(&client, &json!({})), first);
    let (_, group) = client.get("/api/consumer-groups/g");
    assert_eq!(group["generation"], 1, "{group}");
    broker.restart();
    let client = broker.client();
    assert_eq!(subscribe(&client, &json!({})), first);
}

#[test]
fn an_id_that_is_taken_or_over_is_refused() {
    let (_broker, client) = broker();
    assert_eq!(subscribe(&client, &json!({"session_timeout_ms": 1_000})).0, 200);
    for other in [json!({"group_id": "h"}), json!({"session_timeout_ms": 1_001}), json!({"client_id": null})] {
        let (status, answer) = subscribe(&client, &other);
        assert_eq!((status, &answer["code"]), (409, &json!("consumer_exists")), "{answer}");
        assert_eq!(answer["details"], json!({"consumer": ID}));
    }
    while client.get("/api/health").1["consumers"] != 0 {
        thread::sleep(std::time::Duration::from_millis(20));
    }
    let (status, answer) = subscribe(&client, &json!({}));
    assert_eq!((status, &answer["code"]), (409, &json!("consumer_ended")), "{answer}");
    assert_eq!(answer["details"], json!({"consumer": ID, "reason": "session_timeout"}));
}

#[test]
fn bad_ids_are_refused() {
    let (_broker, client) = broker();
    for (field, value, code) in [
        ("consumer_id", json!("till-3"), "invalid_consumer_id"),
        ("client_id", json!("x".repeat(256)), "client_id_too_long"),
        ("client_id", json!(""), "invalid_name"),
        ("client_id", json!("a\u{7}b"), "invalid_name"),
    ] {
        let (status, answer) = subscribe(&client, &json!({field: value}));
        assert_eq!((status, &answer["code"]), (422, &json!(code)), "{answer}");
        assert_eq!(answer["details"]["field"], field);
    }
}
