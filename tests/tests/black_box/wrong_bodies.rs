//! Requests that can't be understood: each is told which field or place is wrong, and harms nobody else.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

use serde_json::{Value, json};
use takhin_tests::client::Client;

use crate::errors::{broker, error, expect, send};

#[test]
fn broken_json_is_told_with_its_place() {
    let (_broker, client) = broker();
    for path in ["/api/consumers/subscribe", "/api/topics", "/api/topics/t/produce"] {
        for (body, line, column) in
            [("{\"x\"", 1, 4), ("", 1, 1), ("[1", 1, 2), ("nul", 1, 3), ("{\n  \"a\" 1}", 2, 7), ("{} {}", 1, 4)]
        {
            let (status, code, details) = send(&client, "POST", path, Some(body));
            // What is missing from, or strange to, this body may be found before the place where it breaks off.
            if code == "malformed_json" {
                assert_eq!((status, details), (400, json!({"line": line, "column": column})), "{path} {body:?}");
            } else {
                assert!(
                    status == 400 && ["unknown_field", "missing_field"].contains(&code.as_str()),
                    "{path} {body:?}"
                );
            }
        }
    }
    for (body, what) in [("[]", "an array"), (" \"a\"", "a string"), ("-1", "a number"), ("null", "null")] {
        for path in ["/api/consumers/subscribe", "/api/topics", "/api/topics/t/produce"] {
            let (status, answer) =
                client.send("POST", path, &[], Some(body.into())).map(|it| (it.status, it.body)).expect("an answer");
            assert_eq!((status, &answer["code"]), (400, &json!("not_an_object")), "{path} {body:?}");
            assert_eq!(answer["error"], format!("the body is {what}, and must be a JSON object"));
        }
    }
    let not_utf8 = client.send("POST", "/api/topics", &[], Some(b"{\"name\": \"\xff\"}".to_vec())).expect("an answer");
    assert_eq!(error(&not_utf8), expect(400, "malformed_json", json!({"line": 1, "column": 11})));
}

const WRONG_TYPE: (u16, &str) = (400, "invalid_field");
const OUT_OF_RANGE: (u16, &str) = (422, "out_of_range");

fn must_name(client: &Client, (method, path): (&str, &str), body: &Value, (status, code): (u16, &str), field: &str) {
    let found = send(client, method, path, Some(&body.to_string()));
    let shown: String = body.to_string().chars().take(100).collect();
    assert_eq!((found.0, found.1.as_str(), &found.2["field"]), (status, code, &json!(field)), "{path} {shown}");
}

#[test]
fn a_wrong_topic_names_its_field() {
    let (_broker, client) = broker();
    let (topics, wrong, out) = ("/api/topics", WRONG_TYPE, OUT_OF_RANGE);
    for (method, path, body, refusal, field) in [
        ("POST", topics, json!({"name": ".."}), (422, "invalid_name"), "name"),
        ("POST", topics, json!({"name": "a/b"}), (422, "invalid_name"), "name"),
        ("POST", topics, json!({"name": "x".repeat(250)}), (422, "invalid_name"), "name"),
        ("POST", topics, json!({"name": "a", "partitions": 0}), out, "partitions"),
        ("POST", topics, json!({"name": "a", "partitions": 10_001}), out, "partitions"),
        ("POST", topics, json!({"name": "a", "partitions": 1.5}), wrong, "partitions"),
        ("POST", topics, json!({"name": "a", "retention_ms": -2}), out, "retention_ms"),
        ("POST", topics, json!({"name": "a", "retention_bytes": -2}), out, "retention_bytes"),
        ("POST", topics, json!({"name": "a", "segment_bytes": 1023}), out, "segment_bytes"),
        ("POST", topics, json!({"name": "a", "segment_ms": 0}), out, "segment_ms"),
        ("POST", topics, json!({"name": "a", "max_message_bytes": 0}), out, "max_message_bytes"),
        ("POST", topics, json!({"name": "a", "min_compaction_lag_ms": -1}), out, "min_compaction_lag_ms"),
        ("POST", topics, json!({"name": "a", "delete_retention_ms": -1}), out, "delete_retention_ms"),
        ("POST", topics, json!({"name": "a", "cleanup": "never"}), (422, "invalid_value"), "cleanup"),
        ("POST", topics, json!({"name": "a", "compression": "rar"}), (422, "invalid_value"), "compression"),
        ("POST", topics, json!({"name": "a", "retention": 5}), (400, "unknown_field"), "retention"),
        ("PATCH", "/api/topics/t", json!({}), (400, "missing_field"), "partitions"),
        ("PATCH", "/api/topics/t", json!({"name": "u"}), (400, "unknown_field"), "name"),
        ("PATCH", "/api/topics/t", json!({"segment_bytes": 1_073_741_825}), out, "segment_bytes"),
        ("PATCH", "/api/topics/t", json!({"segment_bytes": 4096, "partitions": 0}), out, "partitions"),
    ] {
        must_name(&client, (method, path), &body, refusal, field);
    }
}

/// For each request: what is wrong with its body, and how that is answered.
#[test]
fn a_wrong_body_names_its_field() {
    let (_broker, client) = broker();
    let consumer = client.subscribe("g", &["t"], &json!({}));
    let [consume, commit, seek, assignment] =
        ["consume", "commit", "seek", "assignment"].map(|action| format!("{consumer}/{action}"));
    let (subscribe, produce) = ("/api/consumers/subscribe", "/api/topics/t/produce");
    let (wrong, out) = (WRONG_TYPE, OUT_OF_RANGE);
    for (method, path, body, refusal, field) in [
        ("POST", subscribe, json!({"topics": ["t"]}), (400, "missing_field"), "group_id"),
        ("POST", subscribe, json!({"group_id": "g"}), (400, "missing_field"), "topics"),
        ("POST", subscribe, json!({"group_id": 7, "topics": ["t"]}), wrong, "group_id"),
        ("POST", subscribe, json!({"group_id": "g", "topics": "t"}), wrong, "topics"),
        ("POST", subscribe, json!({"group_id": "g", "topics": ["t", 7]}), wrong, "topics[1]"),
        ("POST", subscribe, json!({"group_id": "g", "topics": []}), (422, "empty"), "topics"),
        ("POST", subscribe, json!({"group_id": "", "topics": ["t"]}), (422, "invalid_name"), "group_id"),
        ("POST", subscribe, json!({"group_id": "g", "topics": ["a b"]}), (422, "invalid_name"), "topics[0]"),
        ("POST", subscribe, json!({"group_id": "g", "topics": ["t"], "topik": 1}), (400, "unknown_field"), "topik"),
        (
            "POST",
            subscribe,
            json!({"group_id": "g", "topics": ["t"], "auto_offset_reset": "oldest"}),
            (422, "invalid_value"),
            "auto_offset_reset",
        ),
        (
            "POST",
            subscribe,
            json!({"group_id": "g", "topics": ["t"], "session_timeout_ms": 999}),
            out,
            "session_timeout_ms",
        ),
        (
            "POST",
            subscribe,
            json!({"group_id": "g", "topics": ["t"], "session_timeout_ms": "1"}),
            wrong,
            "session_timeout_ms",
        ),
        (
            "POST",
            subscribe,
            json!({"group_id": "g", "topics": ["t"], "consumer_id": "mine"}),
            (422, "invalid_consumer_id"),
            "consumer_id",
        ),
        ("POST", &consume, json!({"max_records": 0}), out, "max_records"),
        ("POST", &consume, json!({"max_records": 10_001}), out, "max_records"),
        ("POST", &consume, json!({"timeout_ms": -1}), out, "timeout_ms"),
        ("POST", &consume, json!({"timeout_ms": 300_001}), out, "timeout_ms"),
        ("POST", &consume, json!({"timeout_ms": "5000"}), wrong, "timeout_ms"),
        ("POST", &consume, json!({"timeout": 5}), (400, "unknown_field"), "timeout"),
        ("POST", &commit, json!({"offsets": {"t": {"0": "5"}}}), wrong, "offsets.t.0"),
        ("POST", &commit, json!({"offsets": {"t": {"00": 5}}}), (422, "invalid_partition"), "offsets.t"),
        ("POST", &commit, json!({"offsets": {"t": 5}}), wrong, "offsets.t"),
        ("POST", &seek, json!({"topic": "t", "partition": 0}), (400, "missing_field"), "offset"),
        ("POST", &seek, json!({}), (400, "missing_field"), "topic"),
        ("POST", &seek, json!({"topic": "t", "partition": "0", "offset": 1}), wrong, "partition"),
        ("PUT", &assignment, json!({"topics": {"t": [0, -1]}}), out, "topics.t[1]"),
        ("PUT", &assignment, json!({"topics": ["t"]}), wrong, "topics"),
        ("PUT", &assignment, json!({}), (400, "missing_field"), "topics"),
        ("POST", produce, json!({}), (400, "missing_field"), "records"),
        ("POST", produce, json!({"records": []}), (422, "empty"), "records"),
        ("POST", produce, json!({"records": {}}), wrong, "records"),
        ("POST", produce, json!({"records": [{"value": "v"}, 7]}), wrong, "records[1]"),
        ("POST", produce, json!({"records": [{"key": 7}]}), wrong, "records[0].key"),
        ("POST", produce, json!({"records": [{"partition": "0"}]}), wrong, "records[0].partition"),
        ("POST", produce, json!({"records": [{"valeu": "v"}]}), (400, "unknown_field"), "records[0].valeu"),
        ("POST", produce, json!({"records": [{"partition": -1}]}), out, "records[0].partition"),
        ("POST", produce, json!({"records": [{"partition": 2}]}), (404, "partition_not_found"), "records[0].partition"),
        ("POST", produce, json!({"records": [{"timestamp": -1}]}), out, "records[0].timestamp"),
        (
            "POST",
            produce,
            json!({"records": [{"value": "?", "value_encoding": "base64"}]}),
            (422, "invalid_base64"),
            "records[0].value",
        ),
        (
            "POST",
            produce,
            json!({"records": [{"value": "x".repeat((1 << 20) + 1)}]}),
            (413, "record_too_large"),
            "records[0]",
        ),
    ] {
        must_name(&client, (method, path), &body, refusal, field);
    }
    assert_eq!(
        send(&client, "POST", &consume, Some(r#"{"timeout_ms": -1}"#)).2,
        json!({"field": "timeout_ms", "value": -1, "min": 0, "max": 300_000})
    );
}

#[test]
fn a_body_that_is_too_large() {
    let (_broker, client) = broker();
    let body = vec![b' '; (16 << 20) + 1];
    let whole = client.send("POST", "/api/topics/t/produce", &[], Some(body)).expect("an answer");
    let details = json!({"max_bytes": 16 << 20, "bytes": (16 << 20) + 1});
    assert_eq!(error(&whole), expect(413, "body_too_large", details));
    // The client goes on, on whichever connection.
    assert_eq!(client.get("/api/topics/t").0, 200);
}

/// What is no HTTP is answered in the one shape, if at all, and ends nothing except its own connection.
#[test]
fn what_is_no_http_harms_nobody() {
    let (_broker, client) = broker();
    for bytes in [
        b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03".as_slice(),
        b"\r\n\r\n\r\n\r\nGARBAGE\r\n\r\n",
        b"GET /api/health HTTP/9.9\r\n\r\n",
        b"GET /api/health HTTP/1.1\r\nContent-Length: 5\r\nContent-Length: 6\r\nHost: x\r\n\r\n",
        b"POST /api/topics HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST /api/topics HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{",
    ] {
        let mut stream = TcpStream::connect(client.address()).expect("a connection");
        stream.write_all(bytes).expect("sent");
        stream.shutdown(std::net::Shutdown::Write).expect("half closed");
        let mut answer = Vec::new();
        // It may be cut off without a word.
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer);
        if let Some((head, body)) = answer.split_once("\r\n\r\n") {
            let body: Value = serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"));
            assert!(head.starts_with("HTTP/1.1 4") && body["code"].is_string(), "{answer}");
        } else {
            assert!(answer.is_empty(), "{answer}");
        }
        assert_eq!(client.get("/api/health").0, 200);
    }
}
