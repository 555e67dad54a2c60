//! What is refused, and how: every error has the one shape, says which field or place is wrong, and bears the id of
//! its request.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
};

use serde_json::{Map, Value, json};
use takhin_tests::{
    broker::{Broker, Options},
    client::{Client, Whole},
};

const NOBODY: &str = "/api/consumers/00000000-0000-4000-8000-000000000000";

fn broker() -> (Broker, Client) {
    let broker = Broker::start(Options::quick());
    let client = broker.client();
    client.create_topic("t", 2);
    (broker, client)
}

/// The status, the code and the details of an answer that must have the shape of an error.
fn error(whole: &Whole) -> (u16, String, Value) {
    let body = whole.body.as_object().unwrap_or_else(|| panic!("{} is not an error's body", whole.body));
    let fields: Vec<_> = body.keys().map(String::as_str).collect();
    assert_eq!(fields, ["code", "details", "error", "request_id", "retryable"], "{body:?}");
    assert_eq!(whole.header("content-type"), "application/json");
    assert_eq!(body["request_id"], whole.header("x-request-id"));
    assert!(body["error"].as_str().is_some_and(|text| !text.is_empty()) && body["details"].is_object(), "{body:?}");
    let waits = !whole.header("retry-after").is_empty();
    assert_eq!(waits, matches!(whole.status, 429 | 503), "{whole:?}");
    assert!((400..600).contains(&whole.status) && whole.status != 500, "{whole:?}");
    (whole.status, body["code"].as_str().expect("a code").to_owned(), body["details"].clone())
}

fn send(client: &Client, method: &str, path: &str, body: Option<&str>) -> (u16, String, Value) {
    let whole = client.send(method, path, &[], body.map(|body| body.as_bytes().to_vec())).expect("an answer");
    error(&whole)
}

fn expect(status: u16, code: &str, details: Value) -> (u16, String, Value) {
    (status, code.to_owned(), details)
}

#[test]
fn a_route_that_is_not_there() {
    let (_broker, client) = broker();
    for path in ["/", "/api", "/api/consumers", "/api/topic", "/api/topics/t/nothing", "/api/health/", "/favicon.ico"] {
        let details = json!({"method": "GET", "path": path});
        assert_eq!(send(&client, "GET", path, None), expect(404, "route_not_found", details), "{path}");
    }
}

#[test]
fn a_method_that_a_route_has_not() {
    let (_broker, client) = broker();
    for (method, path, allow) in [
        ("GET", "/api/consumers/subscribe", "POST"),
        ("POST", NOBODY, "GET,HEAD,DELETE"),
        ("PUT", "/api/topics", "GET,HEAD,POST"),
        ("DELETE", "/api/topics/t/messages", "GET,HEAD"),
        ("POST", "/api/health", "GET,HEAD"),
    ] {
        let whole = client.send(method, path, &[], None).expect("an answer");
        let sorted = |methods: &str| {
            let mut methods: Vec<_> = methods.split(',').map(|method| method.trim().to_owned()).collect();
            methods.sort();
            methods
        };
        assert_eq!(sorted(whole.header("allow")), sorted(allow), "{path}");
        let (status, code, details) = error(&whole);
        assert_eq!((status, code.as_str()), (405, "method_not_allowed"));
        assert_eq!((&details["method"], &details["path"]), (&json!(method), &json!(path)));
    }
}

#[test]
fn broken_json_is_told_with_its_place() {
    let (_broker, client) = broker();
    for path in ["/api/consumers/subscribe", "/api/topics", "/api/topics/t/produce"] {
        for (body, line, column) in
            [("{\"x\"", 1, 4), ("", 1, 1), ("[]", 1, 1), ("null", 1, 1), ("{\n  \"a\" 1}", 2, 7), ("{} {}", 1, 4)]
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
    let not_utf8 = client.send("POST", "/api/topics", &[], Some(b"{\"name\": \"\xff\"}".to_vec())).expect("an answer");
    assert_eq!(error(&not_utf8), expect(400, "malformed_json", json!({"line": 1, "column": 11})));
}

/// For each request: what is wrong with its body, and how that is answered.
#[test]
fn a_wrong_body_names_its_field() {
    let (_broker, client) = broker();
    let consumer = client.subscribe("g", &["t"], &json!({}));
    let [consume, commit, seek, assignment] =
        ["consume", "commit", "seek", "assignment"].map(|action| format!("{consumer}/{action}"));
    let (subscribe, topics, produce) = ("/api/consumers/subscribe", "/api/topics", "/api/topics/t/produce");
    let (status, code, field) = (400, "invalid_field", 422);
    let (wrong, out) = ((status, code), (field, "out_of_range"));
    for (method, path, body, (status, code), field) in [
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
        ("POST", topics, json!({"name": ".."}), (422, "invalid_name"), "name"),
        ("POST", topics, json!({"name": "a/b"}), (422, "invalid_name"), "name"),
        ("POST", topics, json!({"name": "x".repeat(250)}), (422, "invalid_name"), "name"),
        ("POST", topics, json!({"name": "a", "partitions": 0}), out, "partitions"),
        ("POST", topics, json!({"name": "a", "partitions": 10_001}), out, "partitions"),
        ("POST", topics, json!({"name": "a", "partitions": 1.5}), wrong, "partitions"),
        ("PATCH", "/api/topics/t", json!({}), (400, "missing_field"), "partitions"),
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
        let found = send(&client, method, path, Some(&body.to_string()));
        let shown: String = body.to_string().chars().take(100).collect();
        assert_eq!((found.0, found.1.as_str(), &found.2["field"]), (status, code, &json!(field)), "{path} {shown}");
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

#[test]
fn an_id_that_is_none() {
    let (_broker, client) = broker();
    for (method, action) in [
        ("GET", ""),
        ("DELETE", ""),
        ("POST", "/consume"),
        ("POST", "/commit"),
        ("POST", "/heartbeat"),
        ("GET", "/position"),
        ("GET", "/committed"),
        ("GET", "/assignment"),
        ("GET", "/subscription"),
    ] {
        let of = |id: &str| send(&client, method, &format!("/api/consumers/{id}{action}"), None);
        assert_eq!(of("42"), expect(400, "invalid_consumer_id", json!({"value": "42"})), "{action}");
        let consumer = NOBODY.rsplit('/').next().expect("an id");
        assert_eq!(of(consumer), expect(404, "consumer_not_found", json!({"consumer": consumer})), "{action}");
    }
}

#[test]
fn a_query_that_is_wrong() {
    let (_broker, client) = broker();
    let known = json!(["partition", "offset", "timestamp_ms", "limit", "wait_ms"]);
    let invalid =
        |name: &str, value: &str| expect(400, "invalid_parameter", json!({"parameter": name, "value": value}));
    let range = |field: &str, value: i64, min: i64, max: i64| {
        expect(422, "out_of_range", json!({"field": field, "value": value, "min": min, "max": max}))
    };
    for (query, expected) in [
        ("partition=0&offest=1", expect(400, "unknown_parameter", json!({"parameter": "offest", "known": known}))),
        ("partition=zero", invalid("partition", "zero")),
        ("partition=0&offset=", invalid("offset", "")),
        ("partition=0&partition=1", expect(400, "invalid_parameter", json!({"parameter": "partition"}))),
        ("", expect(400, "missing_parameter", json!({"parameter": "partition"}))),
        (
            "partition=0&offset=0&timestamp_ms=0",
            expect(400, "conflicting_parameters", json!({"parameter": "timestamp_ms"})),
        ),
        ("partition=0&limit=0", range("limit", 0, 1, 10_000)),
        ("partition=0&wait_ms=300001", range("wait_ms", 300_001, 0, 300_000)),
        ("partition=-1", range("partition", -1, 0, u32::MAX.into())),
        ("partition=%zz", expect(400, "malformed_url", json!({"position": 33}))),
    ] {
        let found = send(&client, "GET", &format!("/api/topics/t/messages?{query}"), None);
        assert_eq!(found, expected, "{query}");
    }
    assert_eq!(
        send(&client, "GET", "/api/health?verbose=1", None),
        expect(400, "unknown_parameter", json!({"parameter": "verbose", "known": []}))
    );
    assert_eq!(
        send(&client, "GET", "/api/topics/t/partitions/first/offsets", None),
        expect(400, "invalid_partition", json!({"value": "first"}))
    );
}

#[test]
fn a_topic_or_a_group_that_is_not_there() {
    let (_broker, client) = broker();
    let topic = || expect(404, "topic_not_found", json!({"topic": "none"}));
    let records = r#"{"records": [{"value": "v"}]}"#;
    let subscribe = r#"{"group_id": "g", "topics": ["t", "none"]}"#;
    for (method, path, body) in [
        ("GET", "/api/topics/none", None),
        ("DELETE", "/api/topics/none", None),
        ("PATCH", "/api/topics/none", Some(r#"{"partitions": 2}"#)),
        ("POST", "/api/topics/none/produce", Some(records)),
        ("GET", "/api/topics/none/messages?partition=0", None),
        ("GET", "/api/topics/none/partitions/0/offsets", None),
        ("POST", "/api/consumers/subscribe", Some(subscribe)),
    ] {
        assert_eq!(send(&client, method, path, body), topic(), "{method} {path}");
    }
    assert_eq!(
        send(&client, "GET", "/api/consumer-groups/none", None),
        expect(404, "group_not_found", json!({"group": "none"}))
    );
    let (status, subscribed) = client
        .post("/api/consumers/subscribe", &json!({"group_id": "g", "topics": ["t", "none"], "allow_missing": true}));
    assert_eq!((status, &subscribed["assignment"]), (200, &json!({"t": [0, 1]})), "a missing topic can be allowed");
}

#[test]
fn every_refusal_that_can_be_provoked() {
    let (_broker, client) = broker();
    client.create_topic("other", 1);
    client.produce_values("t", 0, &["a", "b"]);
    let consumer = client.subscribe("g", &["t"], &json!({}));
    let id = consumer.rsplit('/').next().expect("an id");
    let [consume, commit, seek, assignment] =
        ["consume", "commit", "seek", "assignment"].map(|action| format!("{consumer}/{action}"));
    let place = |partition: u32, more: Value| {
        let mut place = Map::from_iter([("topic".to_owned(), json!("t")), ("partition".to_owned(), json!(partition))]);
        place.extend(more.as_object().expect("an object").clone());
        Value::from(place)
    };
    let no_partition = || expect(404, "partition_not_found", place(2, json!({"partitions": 2})));
    let outside =
        |offset: i64| expect(422, "offset_out_of_range", place(0, json!({"offset": offset, "start": 0, "end": 2})));
    for (method, path, body, expected) in [
        ("POST", "/api/topics", json!({"name": "t"}), expect(409, "topic_exists", json!({"topic": "t"}))),
        (
            "PATCH",
            "/api/topics/t",
            json!({"partitions": 2}),
            expect(422, "partitions_can_only_grow", json!({"topic": "t", "partitions": 2, "asked": 2})),
        ),
        (
            "POST",
            "/api/consumers/subscribe",
            json!({"group_id": "other", "topics": ["t"], "consumer_id": id}),
            expect(409, "consumer_exists", json!({"consumer": id})),
        ),
        (
            "POST",
            &commit,
            json!({"offsets": {"t": {"0": 1}, "other": {"0": 0}}}),
            expect(409, "partition_not_assigned", json!({"topic": "other", "partition": 0})),
        ),
        ("POST", &commit, json!({"offsets": {"t": {"0": 1, "2": 1}}}), no_partition()),
        ("POST", &commit, json!({"offsets": {"t": {"0": 3}}}), outside(3)),
        ("POST", &commit, json!({"offsets": {"t": {"0": -1}}}), outside(-1)),
        (
            "POST",
            &commit,
            json!({"offsets": {"t": {"0": 1}}, "generation": 0}),
            expect(409, "stale_generation", json!({"given": 0, "current": 1})),
        ),
        ("POST", &seek, json!({"topic": "t", "partition": 0, "offset": 3}), outside(3)),
        ("POST", &seek, json!({"topic": "t", "partition": 0, "offset": -1}), outside(-1)),
        (
            "POST",
            &seek,
            json!({"topic": "other", "partition": 0, "offset": 0}),
            expect(409, "partition_not_assigned", json!({"topic": "other", "partition": 0})),
        ),
        ("PUT", &assignment, json!({"topics": {"t": [2]}}), no_partition()),
        ("PUT", &assignment, json!({"topics": {"no": [0]}}), expect(404, "topic_not_found", json!({"topic": "no"}))),
        (
            "POST",
            &consume,
            json!({"after_batch": 9}),
            expect(409, "batch_unknown", json!({"given": 9, "last": 0, "previous": 0})),
        ),
    ] {
        assert_eq!(send(&client, method, path, Some(&body.to_string())), expected, "{path} {body}");
    }
    assert_eq!(send(&client, "GET", "/api/topics/t/messages?partition=2", None), no_partition());
    assert_eq!(send(&client, "GET", "/api/topics/t/partitions/2/offsets", None), no_partition());
    assert_eq!(send(&client, "GET", "/api/topics/t/messages?partition=0&offset=3", None), outside(3));
    assert_eq!(send(&client, "GET", "/api/topics/t/messages?partition=0&offset=-1", None), outside(-1));

    // Nothing of what was refused has left a trace.
    assert_eq!(client.get(&format!("{consumer}/committed")).1["offsets"], json!({"t": {"0": null, "1": null}}));
    assert_eq!(client.get(&format!("{consumer}/position")).1["offsets"], json!({"t": {"0": 0, "1": 0}}));

    let careful = client.subscribe("careful", &["t"], &json!({"auto_offset_reset": "none"}));
    let (status, code, details) = send(&client, "POST", &format!("{careful}/consume"), Some(r#"{"timeout_ms": 0}"#));
    assert_eq!((status, code.as_str(), &details["topic"]), (409, "no_committed_offset", &json!("t")));
}

#[test]
fn a_request_keeps_the_id_that_it_brings() {
    let (_broker, client) = broker();
    let named = |id: &str| client.send("GET", "/api/topics/none", &[("x-request-id", id)], None).expect("an answer");
    assert_eq!(named("order-7/retry:2").body["request_id"], "order-7/retry:2");
    for strange in ["with space", "\"quoted\"", &"x".repeat(129)] {
        let whole = named(strange);
        assert_ne!(whole.body["request_id"], strange);
        error(&whole);
    }
    let good = client.send("GET", "/api/topics", &[("x-request-id", "mine")], None).expect("an answer");
    assert_eq!(good.header("x-request-id"), "mine", "an answer that is no error has it too");
}

/// What is no HTTP can't be answered in the one shape, but it ends nothing except its own connection.
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
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 4"), "{answer}");
        assert_eq!(client.get("/api/health").0, 200);
    }
}

#[test]
fn a_wrong_setting_of_a_topic_names_its_field() {
    let broker = Broker::start(Options::quick());
    let client = broker.client();
    client.create_topic("t", 1);
    let topics = "/api/topics";
    let out = (422, "out_of_range");
    for (method, path, body, (status, code), field) in [
        ("POST", topics, json!({}), (400, "missing_field"), "name"),
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
        ("PATCH", "/api/topics/t", json!({"name": "u"}), (400, "unknown_field"), "name"),
        ("PATCH", "/api/topics/t", json!({"segment_bytes": 1_073_741_825}), out, "segment_bytes"),
        ("PATCH", "/api/topics/t", json!({"segment_bytes": 4096, "partitions": 0}), out, "partitions"),
    ] {
        let (found, answer) = client.request(method, path, Some(&body)).expect("an answer");
        let wrong = (found, answer["code"].as_str().unwrap_or_default(), answer["details"]["field"].as_str());
        assert_eq!(wrong, (status, code, Some(field)), "{path} {body}");
    }
}
