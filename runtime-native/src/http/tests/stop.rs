//! Stopping: what is under way is finished, within bounds.

use std::time::Duration;

use serde_json::json;

use super::world::{World, request, until};
use crate::http::HttpConfig;

#[test]
fn a_request_under_way_is_answered_and_its_connection_then_closed() {
    let world = World::new();
    let mut client = world.client();
    let whole = request("POST", "/api/topics", r#"{"name": "a"}"#);
    let (most, rest) = whole.split_at(whole.len() - 1);
    client.send(&most.replacen("\r\n", "\r\nExpect: 100-continue\r\n", 1));
    assert_eq!(client.answer().status, 100, "it is under way");
    let mut idle = world.client();
    assert_eq!(idle.ask("GET", "/api/health/live", "").status, 200);
    let fresh = world.client();

    let stopping = world.stop();
    idle.wait_for_end();
    fresh.wait_for_end();
    client.send(rest);
    let answer = client.answer();
    assert_eq!((answer.status, answer.header("connection")), (201, Some("close")));
    stopping.wait();
    client.wait_for_end();
}

#[test]
fn a_poll_that_waits_is_answered_when_the_broker_drains() {
    let world = World::new();
    let id = world.consumer_of("orders");
    let mut client = world.client();
    client.send(&request("POST", &format!("/api/consumers/{id}/consume"), ""));
    until(|| world.get("/api/health")["parked_polls"] == 1);
    let stopping = world.stop();
    stopping.drain();
    let answer = client.answer();
    assert_eq!((answer.status, &answer.json()["records"]), (200, &json!([])));
    assert_eq!(answer.header("connection"), Some("close"));
    stopping.wait();
}

#[test]
fn a_request_that_does_not_end_in_time_is_cut() {
    let shutdown_grace = Duration::from_millis(50);
    let world = World::with(HttpConfig { shutdown_grace, ..HttpConfig::default() });
    let id = world.consumer_of("orders");
    let mut client = world.client();
    let body = json!({"timeout_ms": 300_000}).to_string();
    client.send(&request("POST", &format!("/api/consumers/{id}/consume"), &body));
    until(|| world.get("/api/health")["parked_polls"] == 1);
    world.stop().wait();
    client.wait_for_end();
}
