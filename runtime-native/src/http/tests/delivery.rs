//! What becomes of a poll whose client goes away: its records come again, over TLS too.

use std::time::Duration;

use serde_json::{Value, json};

use super::world::{Client, World, request, until};
use crate::http::HttpConfig;

/// More than the operating system takes on for a client that reads nothing.
const RECORDS: usize = 32;
const RECORD_BYTES: usize = 1_000_000;

/// How a server is started.
type Start = fn(HttpConfig) -> World;

/// Tests that hold whatever an answer goes through.
macro_rules! plain_and_encrypted {
    ($($test:ident),* $(,)?) => {
        mod plain {
            $(#[test] fn $test() { super::$test(super::World::with); })*
        }
        mod encrypted {
            $(#[test] fn $test() { super::$test(super::World::encrypted); })*
        }
    };
}

plain_and_encrypted!(
    a_client_that_goes_in_the_midst_of_an_answer_gets_it_again,
    a_client_that_does_not_read_is_cut_off_and_gets_it_again,
    what_breaks_off_while_the_client_polls_anew_is_neither_committed_nor_skipped,
    who_reads_slowly_and_polls_anew_is_answered_all_the_same,
    a_client_that_goes_while_it_waits_ends_its_poll,
    an_answer_that_arrives_is_not_given_again,
    a_stream_is_not_idle_while_it_goes_on,
);

/// A consumer with a big batch before it.
fn world_with_a_big_batch(start: Start, config: HttpConfig) -> (World, String) {
    let world = start(config);
    let id = world.consumer_of("orders");
    let record = json!({"value": "x".repeat(RECORD_BYTES)});
    for _ in 0..RECORDS / 8 {
        world.ask("POST", "/api/topics/orders/produce", &json!({"records": vec![&record; 8]}));
    }
    (world, id)
}

fn poll(world: &World, id: &str) -> Client {
    let mut client = world.client();
    let limits = json!({"max_bytes_total": 64 << 20}).to_string();
    client.send(&request("POST", &format!("/api/consumers/{id}/consume"), &limits));
    client
}

fn offsets(answer: &Value) -> Vec<u64> {
    let records = answer["records"].as_array().expect("records");
    records.iter().filter_map(|record| record["offset"].as_u64()).collect()
}

fn every_offset() -> Vec<u64> {
    (0..RECORDS as u64).collect()
}

/// What came, and what further polls bring: an answer has as much as is at hand, which need not be all, since the system
/// may have dropped pages of the file meanwhile.
fn all_after(world: &World, id: &str, mut all: Vec<u64>) -> Vec<u64> {
    while all.len() < RECORDS {
        let more = offsets(&poll(world, id).answer().json());
        assert_ne!(more, [0; 0], "all of it is there");
        all.extend(more);
    }
    all
}

fn a_client_that_goes_in_the_midst_of_an_answer_gets_it_again(start: Start) {
    let (world, id) = world_with_a_big_batch(start, HttpConfig::default());
    let mut client = poll(&world, &id);
    client.taste(1_000);
    assert_ne!(world.position(&id, "orders"), 0);
    drop(client);
    until(|| world.position(&id, "orders") == 0);
    assert_eq!(all_after(&world, &id, Vec::new()), every_offset());
}

fn a_client_that_does_not_read_is_cut_off_and_gets_it_again(start: Start) {
    let write_stall_timeout = Duration::from_millis(200);
    let (world, id) = world_with_a_big_batch(start, HttpConfig { write_stall_timeout, ..HttpConfig::default() });
    let mut client = poll(&world, &id);
    client.taste(1_000);
    until(|| world.position(&id, "orders") == 0);
    client.wait_for_end();
    let again = world.ask("POST", &format!("/api/consumers/{id}/consume"), &json!({"max_records": 1}));
    assert_eq!(offsets(&again), [0]);
}

fn what_breaks_off_while_the_client_polls_anew_is_neither_committed_nor_skipped(start: Start) {
    let (world, id) = world_with_a_big_batch(start, HttpConfig::default());
    let wish =
        json!({"group_id": "h", "topics": ["orders"], "auto_offset_reset": "earliest", "auto_commit_interval_ms": 0});
    let id = {
        world.ask("DELETE", &format!("/api/consumers/{id}"), &json!({}));
        world.ask("POST", "/api/consumers/subscribe", &wish)["consumer_id"].as_str().expect("an id").to_owned()
    };
    let mut first = poll(&world, &id);
    first.taste(1_000);
    let mut second = poll(&world, &id);
    // Most often long enough for the second to be there before the first is known to have broken off.
    std::thread::sleep(Duration::from_millis(100));
    drop(first);
    let came = offsets(&second.answer().json());
    let committed = world.get(&format!("/api/consumers/{id}/committed"));
    assert_eq!(committed["offsets"]["orders"]["0"], Value::Null);
    assert_eq!(all_after(&world, &id, came), every_offset());
}

fn who_reads_slowly_and_polls_anew_is_answered_all_the_same(start: Start) {
    let (world, id) = world_with_a_big_batch(start, HttpConfig::default());
    let mut slow = poll(&world, &id);
    until(|| world.position(&id, "orders") != 0);
    // Nothing, where the slow answer has all.
    let next = world.ask("POST", &format!("/api/consumers/{id}/consume"), &json!({"timeout_ms": 0}));
    let mut came = offsets(&slow.answer().json());
    came.extend(offsets(&next));
    assert_eq!(all_after(&world, &id, came), every_offset());
}

fn a_client_that_goes_while_it_waits_ends_its_poll(start: Start) {
    let world = start(HttpConfig::default());
    let id = world.consumer_of("orders");
    let client = poll(&world, &id);
    until(|| world.get("/api/health")["parked_polls"] == 1);
    drop(client);
    until(|| world.get("/api/health")["parked_polls"] == 0);
}

fn an_answer_that_arrives_is_not_given_again(start: Start) {
    let world = start(HttpConfig::default());
    let id = world.consumer_of("orders");
    let mut client = world.client();
    for offset in 0..3 {
        world.ask("POST", "/api/topics/orders/produce", &json!({"records": [{"value": "a"}]}));
        let answer = client.ask("POST", &format!("/api/consumers/{id}/consume"), "").json();
        assert_eq!(offsets(&answer), [offset]);
    }
    drop(client);
    let nothing = world.client().ask("POST", &format!("/api/consumers/{id}/consume"), r#"{"timeout_ms": 0}"#);
    assert_eq!(nothing.json()["records"], json!([]));
}

fn a_stream_is_not_idle_while_it_goes_on(start: Start) {
    let idle_timeout = Duration::from_millis(200);
    let world = start(HttpConfig { idle_timeout, ..HttpConfig::default() });
    let id = world.consumer_of("orders");
    let mut client = world.client();
    client.send(&request("GET", &format!("/api/consumers/{id}/stream?heartbeat_ms=1000"), ""));
    let mut text = String::new();
    while text.matches(": heartbeat").count() < 2 {
        text += &client.line();
    }
}
