//! What clients may not do, and what becomes of those who do.

use std::time::Duration;

use serde_json::json;

use super::world::{World, request};
use crate::http::HttpConfig;

#[test]
fn a_body_that_is_announced_too_long_is_not_asked_for() {
    let world = World::with(HttpConfig { max_body_bytes: 10, ..HttpConfig::default() });
    let mut client = world.client();
    client.send("POST /api/topics HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: 11\r\n\r\n");
    let answer = client.answer();
    assert_eq!((answer.status, &answer.json()["code"]), (413, &json!("body_too_large")));
    assert_eq!(answer.json()["details"], json!({"bytes": 11, "max_bytes": 10}));
    client.wait_for_end();
}

#[test]
fn a_body_that_becomes_too_long_is_refused_when_it_does() {
    let world = World::with(HttpConfig { max_body_bytes: 10, ..HttpConfig::default() });
    let mut client = world.client();
    client.send("POST /api/topics HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.send("6\r\n{     \r\n6\r\n      \r\n0\r\n\r\n");
    let answer = client.answer();
    assert_eq!((answer.status, &answer.json()["details"]), (413, &json!({"max_bytes": 10})));
    assert_eq!(answer.header("connection"), Some("close"));
}

#[test]
fn a_body_in_chunks_is_a_body() {
    let world = World::new();
    let mut client = world.client();
    client.send("POST /api/topics HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n");
    client.send("8\r\n{\"name\":\r\n4\r\n\"a\"}\r\n0\r\n\r\n");
    assert_eq!(client.answer().status, 201);
}

#[test]
fn a_slow_head_ends_the_connection() {
    let header_timeout = Duration::from_millis(50);
    let world = World::with(HttpConfig { header_timeout, ..HttpConfig::default() });
    let mut client = world.client();
    client.send("GET /api/health/live HTTP/1.1\r\nHos");
    client.wait_for_end();
    world.client().wait_for_end();
}

#[test]
fn an_idle_connection_ends() {
    let idle_timeout = Duration::from_millis(50);
    let world = World::with(HttpConfig { idle_timeout, ..HttpConfig::default() });
    let mut client = world.client();
    assert_eq!(client.ask("GET", "/api/health/live", "").status, 200);
    client.wait_for_end();
}

#[test]
fn a_slow_body_is_answered_408() {
    let body_timeout = Duration::from_millis(50);
    let world = World::with(HttpConfig { body_timeout, ..HttpConfig::default() });
    let mut client = world.client();
    client.send("POST /api/topics HTTP/1.1\r\nHost: t\r\nContent-Length: 20\r\n\r\n{\"name\"");
    let answer = client.answer();
    assert_eq!((answer.status, &answer.json()["code"]), (408, &json!("body_too_slow")));
    assert_eq!(answer.json()["details"]["received_bytes"], 7);
    client.wait_for_end();
}

#[test]
fn a_body_for_which_no_room_is_left_is_told_to_come_later() {
    let world = World::with(HttpConfig { max_bodies_bytes: 1, ..HttpConfig::default() });
    let mut first = world.client();
    let whole = request("POST", "/api/topics", r#"{"name": "a"}"#);
    let (most, rest) = whole.split_at(whole.len() - 1);
    first.send(&most.replacen("\r\n", "\r\nExpect: 100-continue\r\n", 1));
    assert_eq!(first.answer().status, 100, "its body has its room");
    let answer = world.client().ask("POST", "/api/topics", r#"{"name": "b"}"#);
    assert_eq!((answer.status, &answer.json()["code"]), (503, &json!("overloaded")));
    assert_eq!(answer.header("retry-after"), Some("1"));
    first.send(rest);
    assert_eq!(first.answer().status, 201);
}

#[test]
fn a_poll_that_waits_takes_no_bodys_room() {
    let world = World::with(HttpConfig { max_bodies_bytes: 1, ..HttpConfig::default() });
    let id = world.consumer_of("orders");
    let mut poll = world.client();
    poll.send(&request("POST", &format!("/api/consumers/{id}/consume"), "{}"));
    super::world::until(|| world.get("/api/health")["parked_polls"] == 1);
    world.ask("POST", "/api/topics/orders/produce", &json!({"records": [{"value": "a"}]}));
    assert_eq!(poll.answer().json()["records"][0]["value"], "a");
}

#[test]
fn a_poll_for_whose_answer_no_room_is_left_loses_nothing() {
    let world = World::with(HttpConfig { max_answers_bytes: 2 << 10, ..HttpConfig::default() });
    let id = world.consumer_of("orders");
    let value = "x".repeat(1 << 10);
    world.ask("POST", "/api/topics/orders/produce", &json!({"records": [{"value": value}, {"value": value}]}));
    let consume = format!("/api/consumers/{id}/consume");
    let answer = world.client().ask("POST", &consume, "{}");
    assert_eq!((answer.status, &answer.json()["code"]), (503, &json!("overloaded")));
    assert_eq!(world.position(&id, "orders"), 0);
    for offset in 0..2 {
        let one = world.client().ask("POST", &consume, r#"{"max_records": 1}"#);
        assert_eq!(one.json()["records"][0]["offset"], offset, "room was given back");
    }
}

#[test]
fn reads_share_the_room_for_answers() {
    let world = World::with(HttpConfig { max_answers_bytes: 2 << 10, ..HttpConfig::default() });
    world.ask("POST", "/api/topics", &json!({"name": "orders"}));
    let value = "x".repeat(1 << 10);
    world.ask("POST", "/api/topics/orders/produce", &json!({"records": [{"value": value}, {"value": value}]}));
    let mut client = world.client();
    let answer = client.ask("GET", "/api/topics/orders/messages", "");
    assert_eq!((answer.status, &answer.json()["code"]), (503, &json!("overloaded")));
    for _ in 0..2 {
        let one = client.ask("GET", "/api/topics/orders/messages?limit=1", "");
        assert_eq!((one.status, one.header("x-next-offset")), (200, Some("1")), "room was given back");
    }
}

#[test]
fn one_connection_too_many_is_told_so() {
    let world = World::with(HttpConfig { max_connections: 1, ..HttpConfig::default() });
    let mut first = world.client();
    assert_eq!(first.ask("GET", "/api/health/live", "").status, 200);
    let mut second = world.client();
    let answer = second.ask("GET", "/api/health/live", "");
    assert_eq!((answer.status, &answer.json()["code"]), (503, &json!("too_many_connections")));
    second.wait_for_end();
    assert_eq!(first.ask("GET", "/api/health/live", "").status, 200);
}

#[test]
fn too_much_of_a_head_is_a_431() {
    let world = World::new();
    let mut client = world.client();
    client.send(&format!("GET / HTTP/1.1\r\nHost: t\r\nX-Long: {}\r\n\r\n", "x".repeat(70 << 10)));
    assert_eq!(client.answer().status, 431);
    let mut client = world.client();
    client.send(&format!("GET / HTTP/1.1\r\nHost: t\r\n{}\r\n", "A: b\r\n".repeat(101)));
    assert_eq!(client.answer().status, 431);
}

#[test]
fn requests_sent_at_once_are_answered_in_order() {
    let world = World::new();
    let mut client = world.client();
    let create = |name: &str| request("POST", "/api/topics", &json!({"name": name}).to_string());
    client.send(&[create("a"), create("b"), request("GET", "/api/topics", "")].concat());
    assert_eq!(client.answer().json()["name"], "a");
    assert_eq!(client.answer().json()["name"], "b");
    assert_eq!(client.answer().json()["topics"].as_array().map(Vec::len), Some(2));
}
