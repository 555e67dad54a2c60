//! What is refused, and how: every error has the one shape, says what is wrong, and bears the id of its request.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, TcpStream},
};

use serde_json::{Map, Value, json};
use takhin_tests::{
    broker::{Broker, Options},
    client::{Client, Whole},
};

const NOBODY: &str = "/api/consumers/00000000-0000-4000-8000-000000000000";

pub(crate) fn broker() -> (Broker, Client) {
    let broker = Broker::start(Options::quick());
    let client = broker.client();
    client.create_topic("t", 2);
    (broker, client)
}

/// The status, the code and the details of an answer that must have the shape of an error.
pub(crate) fn error(whole: &Whole) -> (u16, String, Value) {
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

pub(crate) fn send(client: &Client, method: &str, path: &str, body: Option<&str>) -> (u16, String, Value) {
    let whole = client.send(method, path, &[], body.map(|body| body.as_bytes().to_vec())).expect("an answer");
    error(&whole)
}

pub(crate) fn expect(status: u16, code: &str, details: Value) -> (u16, String, Value) {
    (status, code.to_owned(), details)
}

#[test]
fn a_route_that_is_not_there() {
    let (_broker, client) = broker();
    for path in ["/api", "/api/consumers", "/api/topic", "/api/topics/t/nothing", "/api/health/", "/favicon.ico"] {
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
    let known = json!(["partition", "offset", "timestamp_ms", "limit", "max_bytes", "wait_ms", "format"]);
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
        (
            "POST",
            &commit,
            json!({"offsets": {"t": {"0": 1}}, "generation": 2}),
            expect(409, "generation_unknown", json!({"given": 2, "current": 1})),
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
fn records_that_are_too_many_or_for_too_many_partitions_are_refused() {
    let arguments = vec!["--max-records-per-request=3".to_owned()];
    let broker = Broker::start(Options { arguments, ..Options::quick() });
    let client = broker.client();
    client.create_topic("t", 2);
    let produce = |body: Value| send(&client, "POST", "/api/topics/t/produce", Some(&body.to_string()));
    let too_many = expect(413, "too_many_records", json!({"field": "records", "max": 3}));
    assert_eq!(produce(json!({"records": [{}, {}, {}, {}]})), too_many);
    let records = json!([{"partition": 1}, {"partition": 0}]);
    let several = expect(422, "several_partitions", json!({"field": "records", "partitions": [1, 0]}));
    assert_eq!(produce(json!({"records": records, "expected_offset": 0})), several);
    assert_eq!(produce(json!({"records": records, "producer_id": 1, "sequence": 0})), several);
    let needed = expect(422, "partition_needed", json!({"field": "records[1].partition"}));
    assert_eq!(produce(json!({"records": [{"partition": 0}, {}], "expected_offset": 0})), needed);
    let (status, topic) = client.get("/api/topics/t");
    assert_eq!((status, &topic["offsets"][0]["end"], &topic["offsets"][1]["end"]), (200, &json!(0), &json!(0)));
}

#[test]
fn a_line_that_is_too_long_is_refused_by_its_length_or_with_the_headers() {
    let path = format!("/api/topics?x={}", "x".repeat(70_000));
    for (arguments, status, code) in
        [(vec!["--max-header-bytes=200000".to_owned()], 414, "uri_too_long"), (Vec::new(), 431, "headers_too_large")]
    {
        let broker = Broker::start(Options { arguments, ..Options::quick() });
        let mut stream = TcpStream::connect(broker.client().address()).expect("a connection");
        // The server may have closed it before it had all.
        let _ = stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: t\r\n\r\n").as_bytes());
        let answer = until_closed(stream);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        assert!(answer.contains(&format!("\"code\":\"{code}\"")), "{answer}");
    }
}

#[test]
fn a_body_that_ends_too_soon_is_told_so() {
    let (_broker, client) = broker();
    for head in ["Content-Length: 100\r\n\r\n{\"records\"", "Transfer-Encoding: chunked\r\n\r\n5\r\n{\"rec\r\n"] {
        let mut stream = TcpStream::connect(client.address()).expect("a connection");
        let request = format!("POST /api/topics/t/produce HTTP/1.1\r\nHost: t\r\n{head}");
        stream.write_all(request.as_bytes()).expect("sent");
        stream.shutdown(Shutdown::Write).expect("nothing more comes");
        let answer = until_closed(stream);
        assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("\"incomplete_body\""), "{head:?}: {answer}");
    }
}

fn until_closed(mut stream: TcpStream) -> String {
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
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
