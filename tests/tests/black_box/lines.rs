//! Records out, one in a line.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

use serde_json::{Value, json};
use takhin_tests::{
    api::{offsets, values},
    broker::{Broker, Options},
    client::{Client, Whole},
    local_only,
};

const LINES: (&str, &str) = ("accept", "application/x-ndjson");

fn started(partitions: u32) -> (Broker, Client) {
    let broker = Broker::start(Options::quick());
    let client = broker.client();
    client.create_topic("t", partitions);
    (broker, client)
}

/// The records of an answer in lines, and its last line.
fn taken_apart(answer: &Whole) -> (Vec<Value>, Value) {
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/x-ndjson"), "{answer:?}");
    // One line alone was taken for JSON.
    let text = answer.body.as_str().map_or_else(|| format!("{}\n", answer.body), ToOwned::to_owned);
    assert!(text.ends_with('\n'), "{text}");
    let mut lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let last = lines.pop().expect("a last line");
    (lines, last)
}

fn poll(client: &Client, consumer: &str, body: &Value) -> (Vec<Value>, Value) {
    let path = format!("{consumer}/consume");
    let answer = client.send("POST", &path, &[LINES], Some(body.to_string().into_bytes())).expect("an answer");
    let (records, last) = taken_apart(&answer);
    (records, last["end"].clone())
}

fn read(client: &Client, query: &str) -> (Vec<Value>, Value) {
    taken_apart(&client.send("GET", &format!("/api/topics/t/messages?{query}"), &[LINES], None).expect("an answer"))
}

#[test]
fn a_poll_in_lines_says_what_one_in_json_says() {
    let (_broker, client) = started(2);
    client.produce_values("t", 0, &["a", "b"]);
    client.produce_values("t", 1, &["c"]);
    let [json, lines] = ["json", "lines"].map(|group| client.subscribe(group, &["t"], &json!({"auto_commit": false})));
    let mut expected = client.poll(&json, &json!({"timeout_ms": 0}));
    let (records, mut end) = poll(&client, &lines, &json!({"timeout_ms": 0}));
    assert_eq!(json!(records), expected["records"]);
    let expected = expected.as_object_mut().expect("an object");
    let end = end.as_object_mut().expect("an object");
    for either in ["records", "timestamp", "lag_ms"] {
        expected.remove(either);
        end.remove(either);
    }
    assert_eq!(end, expected);
    let (records, end) = poll(&client, &lines, &json!({"timeout_ms": 0}));
    assert_eq!((records.len(), end["positions"].clone()), (0, json!({"t": {"0": 2, "1": 1}})));
}

#[test]
fn a_poll_that_is_cut_short_was_not_delivered() {
    local_only!("a poll brings what Kafka gives at a time, which fits into the buffers on the way");
    let (_broker, client) = started(1);
    let text = "x".repeat(900_000);
    for _ in 0..40 {
        client.produce_values("t", 0, &[&text]);
    }
    let consumer = client.subscribe("g", &["t"], &json!({"auto_commit": false}));
    for after in [None, Some(0)] {
        let mut socket = TcpStream::connect(client.address()).expect("a connection");
        let body = json!({"max_bytes_total": 60_000_000, "after_batch": after}).to_string();
        let head = format!(
            "POST {consumer}/consume HTTP/1.1\r\nhost: t\r\naccept: application/x-ndjson\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        socket.write_all((head + &body).as_bytes()).expect("sent");
        let mut some = vec![0; 2_000_000];
        socket.read_exact(&mut some).expect("some of it");
        let answered = String::from_utf8_lossy(&some);
        assert!(answered.contains("{\"topic\":\"t\"") && !answered.contains("\"end\""), "its last line has to be far");
        drop(socket);
    }
    // An answer has as much as is at hand, which need not be all.
    let mut came = Vec::new();
    while came.len() < 40 {
        let (records, end) = poll(&client, &consumer, &json!({"max_bytes_total": 60_000_000}));
        assert!(!records.is_empty(), "all of it is there");
        came.extend(offsets(&json!(records)));
        assert_eq!(end["positions"], json!({"t": {"0": came.len()}}));
    }
    assert_eq!(came, (0..40).collect::<Vec<_>>());
}

#[test]
fn after_batch_is_exact() {
    let (_broker, client) = started(1);
    client.produce_values("t", 0, &["a", "b", "c"]);
    let consumer = client.subscribe("g", &["t"], &json!({}));
    let (first, end) = poll(&client, &consumer, &json!({"max_records": 2, "after_batch": 0}));
    assert_eq!(values(&json!(first)), ["a", "b"]);
    let (again, same) = poll(&client, &consumer, &json!({"after_batch": 0}));
    assert_eq!((&again, &same["batch_id"]), (&first, &end["batch_id"]));
    let (then, _) = poll(&client, &consumer, &json!({"after_batch": end["batch_id"]}));
    assert_eq!(values(&json!(then)), ["c"]);
}

#[test]
fn a_read_in_lines_has_no_other_end_than_the_logs() {
    let (_broker, client) = started(1);
    let some: Vec<String> = (0..10_000).map(|n| format!("{n:0200}")).collect();
    for _ in 0..3 {
        client.produce_values("t", 0, &some);
    }
    let (records, last) = read(&client, "");
    assert_eq!(offsets(&json!(records)), (0..30_000).collect::<Vec<u64>>());
    assert_eq!(last, json!({"end": {"next_offset": 30_000, "records": 30_000}}));
    let (records, last) = read(&client, "offset=5&limit=20007");
    assert_eq!(offsets(&json!(records)), (5..20_012).collect::<Vec<u64>>());
    assert_eq!(last, json!({"end": {"next_offset": 20_012, "records": 20_007}}));
    let (records, last) = read(&client, "offset=30000&wait_ms=1");
    assert_eq!((records.len(), last), (0, json!({"end": {"next_offset": 30_000, "records": 0}})));
}

#[test]
fn who_follows_gets_what_comes() {
    let (mut broker, client) = started(1);
    client.produce_values("t", 0, &["a"]);
    let path = "/api/topics/t/messages?follow=true&heartbeat_ms=1000";
    let mut lines = client
        .lines(path, &[LINES])
        .expect("lines")
        .map(|line| -> Value { serde_json::from_str(&line).expect("JSON") });
    assert_eq!(lines.next().expect("a record")["value"], "a");
    assert_eq!(lines.next(), Some(json!({"waiting": {"next_offset": 1}})), "it says that it lives");
    client.produce_values("t", 0, &["b"]);
    assert_eq!(lines.find(|line| line["waiting"].is_null()).expect("a record")["value"], "b");
    assert!(broker.terminate().success());
    let last = lines.last().expect("a last line");
    assert_eq!((&last["error"]["code"], &last["next_offset"]), (&json!("shutting_down"), &json!(2)));
}

#[test]
fn what_is_wrong_with_a_read_is_an_error_before_it_begins() {
    let (_broker, client) = started(1);
    for (query, status, code) in [
        ("follow=maybe", 400, "invalid_parameter"),
        ("limit=0", 422, "out_of_range"),
        ("max_bytes=5", 400, "unknown_parameter"),
        ("offset=7", 422, "offset_out_of_range"),
        ("partition=3", 404, "partition_not_found"),
    ] {
        let answer = client.send("GET", &format!("/api/topics/t/messages?{query}"), &[LINES], None).expect("an answer");
        assert_eq!((answer.status, &answer.body["code"]), (status, &json!(code)), "{query}");
    }
    let in_json = client.get("/api/topics/t/messages?follow=true");
    assert_eq!((in_json.0, &in_json.1["code"]), (400, &json!("unknown_parameter")));
}
