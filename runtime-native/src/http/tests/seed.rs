//! A consumer's whole life, request by request.

use serde_json::{Value, json};

use super::world::World;

#[test]
fn a_consumer_lives_as_documented() {
    let world = World::new();
    for (name, partitions) in [("orders", 3), ("events", 2)] {
        world.ask("POST", "/api/topics", &json!({"name": name, "partitions": partitions}));
    }
    let wish = json!({
        "group_id": "my-consumer-group",
        "topics": ["orders", "events"],
        "auto_offset_reset": "earliest",
        "session_timeout_ms": 30000,
    });
    let consumer = world.ask("POST", "/api/consumers/subscribe", &wish);
    let id = consumer["consumer_id"].as_str().expect("an id").to_owned();
    assert_eq!(consumer["group_id"], "my-consumer-group");
    assert_eq!(consumer["assignment"], json!({"orders": [0, 1, 2], "events": [0, 1]}));
    assert_eq!(consumer["session_timeout_ms"], 30_000);

    let record = json!({
        "key": "order-123",
        "value": "{\"order_id\": \"123\", \"amount\": 99.99}",
        "headers": {"correlation_id": "abc-123"},
        "partition": 0,
        "timestamp": 1_704_537_600_000i64,
    });
    let produced = world.ask("POST", "/api/topics/orders/produce", &json!({"records": [record]}));
    assert_eq!(produced, json!({"offsets": [{"partition": 0, "offset": 0, "timestamp": 1_704_537_600_000i64}]}));

    let limits = json!({"max_records": 100, "timeout_ms": 30000, "max_bytes_total": 1_048_576});
    let polled = world.ask("POST", &format!("/api/consumers/{id}/consume"), &limits);
    assert_eq!(
        polled["records"],
        json!([{
            "topic": "orders",
            "partition": 0,
            "offset": 0,
            "timestamp": 1_704_537_600_000i64,
            "key": "order-123",
            "value": "{\"order_id\": \"123\", \"amount\": 99.99}",
            "headers": {"correlation_id": "abc-123"},
        }])
    );
    assert!(polled["timestamp"].as_i64() > Some(1_704_537_600_000));
    assert_eq!(polled.get("rebalance"), None);
    assert_eq!(polled["positions"]["orders"], json!({"0": 1, "1": 0, "2": 0}));
    assert_eq!(polled["lag"]["orders"]["0"], 0);

    let committed = world.ask(
        "POST",
        &format!("/api/consumers/{id}/commit"),
        &json!({"offsets": {"orders": {"0": 1}, "events": {"1": 0}}}),
    );
    assert_eq!(committed["success"], true);
    assert_eq!(committed["committed"], json!({"orders": {"0": 1}, "events": {"1": 0}}));

    assert_eq!(
        world.get(&format!("/api/consumers/{id}/position")),
        json!({"offsets": {"orders": {"0": 1, "1": 0, "2": 0}, "events": {"0": 0, "1": 0}}})
    );
    let seek = json!({"topic": "orders", "partition": 0, "offset": 0});
    assert_eq!(world.ask("POST", &format!("/api/consumers/{id}/seek"), &seek)["success"], true);
    assert_eq!(world.position(&id, "orders"), 0);

    let by_hand = json!({"topics": {"orders": [0, 1], "events": [0]}});
    let assigned = world.ask("PUT", &format!("/api/consumers/{id}/assignment"), &by_hand);
    assert_eq!(assigned["assignment"], by_hand["topics"]);

    assert!(world.ask("DELETE", &format!("/api/consumers/{id}"), &Value::Null)["message"].is_string());
    let again = world.client().ask("DELETE", &format!("/api/consumers/{id}"), "");
    assert_eq!((again.status, &again.json()["code"]), (404, &json!("consumer_not_found")));
}

#[test]
fn no_body_at_all_means_the_defaults() {
    let world = World::new();
    let id = world.consumer_of("orders");
    world.ask("POST", "/api/topics/orders/produce", &json!({"records": [{"value": "a"}]}));
    let bare = |path: &str| format!("POST {path} HTTP/1.1\r\nHost: takhin\r\n\r\n");
    let mut client = world.client();
    client.send(&bare(&format!("/api/consumers/{id}/consume")));
    assert_eq!(client.answer().json()["records"][0]["value"], "a");
    client.send(&bare(&format!("/api/consumers/{id}/commit")));
    assert_eq!(client.answer().json()["committed"], json!({"orders": {"0": 1}}));
    client.send(&bare(&format!("/api/consumers/{id}/heartbeat")));
    assert_eq!(client.answer().json()["success"], true);
}

#[test]
fn a_topic_is_read_without_a_consumer() {
    let world = World::new();
    world.ask("POST", "/api/topics", &json!({"name": "orders"}));
    let records: Vec<_> = (0..5).map(|n| json!({"value": n, "timestamp": 10 * n})).collect();
    world.ask("POST", "/api/topics/orders/produce", &json!({"records": records}));
    let read = |query: &str| {
        let answer = world.client().ask("GET", &format!("/api/topics/orders/messages{query}"), "");
        let next = answer.header("x-next-offset").map(str::to_owned);
        let values = answer.json();
        let values: Vec<_> = values.as_array().expect("a list").iter().map(|r| r["value"].clone()).collect();
        (values, next.expect("a next offset"))
    };
    assert_eq!(read(""), (vec![json!("0"), json!("1"), json!("2"), json!("3"), json!("4")], "5".into()));
    assert_eq!(read("?offset=1&limit=2&partition=0"), (vec![json!("1"), json!("2")], "3".into()));
    assert_eq!(read("?timestamp_ms=25&limit=1"), (vec![json!("3")], "4".into()));
    assert_eq!(read("?timestamp_ms=99"), (vec![], "5".into()));
    assert_eq!(
        world.get("/api/topics/orders/partitions/0/offsets?timestamp_ms=25"),
        json!({"topic": "orders", "partition": 0, "start": 0, "end": 5,
               "timestamp_ms": 25, "offset": 3, "timestamp": 30})
    );
}
