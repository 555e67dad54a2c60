//! Every error has the one shape, whoever makes it.

use serde_json::{Value, json};

use super::world::{Answer, World, request};

/// The answer's status and code, after its shape was checked.
#[track_caller]
fn fault(answer: &Answer) -> (u16, String) {
    let body = answer.json();
    let fields: Vec<_> = body.as_object().expect("an object").keys().map(String::as_str).collect();
    assert_eq!(fields, ["code", "details", "error", "request_id", "retryable"]);
    assert!(body["error"].is_string() && body["retryable"].is_boolean() && body["details"].is_object(), "{body}");
    assert_eq!(body["request_id"].as_str(), answer.header("x-request-id"));
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("retry-after").is_some(), matches!(answer.status, 429 | 503));
    (answer.status, body["code"].as_str().expect("a code").to_owned())
}

#[test]
fn what_is_not_there_and_what_is_not_allowed_have_the_shape() {
    let world = World::new();
    let mut client = world.client();
    let answer = client.ask("GET", "/nowhere", "");
    assert_eq!(fault(&answer), (404, "route_not_found".into()));
    assert_eq!(answer.json()["details"], json!({"method": "GET", "path": "/nowhere"}));

    let answer = client.ask("DELETE", "/api/topics", "");
    assert_eq!(fault(&answer), (405, "method_not_allowed".into()));
    assert_eq!(answer.header("allow"), Some("GET,HEAD,POST"));
    assert_eq!(answer.json()["details"]["allow"], "GET,HEAD,POST");
}

#[test]
fn a_fault_in_the_url_or_the_body_is_a_400() {
    let world = World::new();
    let id = "550e8400-e29b-41d4-a716-446655440000";
    let consume = format!("/api/consumers/{id}/consume");
    for (method, path, body, code) in [
        ("POST", "/api/consumers/None/consume", "", "invalid_consumer_id"),
        ("GET", "/api/topics/a%2", "", "malformed_url"),
        ("GET", "/api/topics/a%ff", "", "malformed_url"),
        ("GET", "/api/topics?limit=1", "", "unknown_parameter"),
        ("GET", "/api/topics/a/messages?ofset=1", "", "unknown_parameter"),
        ("GET", "/api/topics/a/partitions/x/offsets", "", "invalid_partition"),
        ("POST", &consume, "{\"max_records\": }", "malformed_json"),
        ("POST", &consume, "{\"max_record\": 1}", "unknown_field"),
        ("POST", &consume, "{\"max_records\": \"1\"}", "invalid_field"),
        ("POST", "/api/topics", "{}", "missing_field"),
    ] {
        assert_eq!(fault(&world.client().ask(method, path, body)), (400, code.into()), "{method} {path} {body}");
    }
}

#[test]
fn what_cannot_be_read_as_a_request_has_the_shape_too() {
    let world = World::new();
    let long = "x".repeat(70 << 10);
    let headers = "A: b\r\n".repeat(101);
    for (bytes, status, code) in [
        ("NONSENSE\r\n\r\n".to_owned(), 400, "malformed_request"),
        ("GET /api/topics HTTP/1.1\r\nno header\r\n\r\n".to_owned(), 400, "malformed_request"),
        ("\u{16}\u{3}\u{1}".to_owned(), 400, "malformed_request"),
        (format!("GET / HTTP/1.1\r\nHost: t\r\nX-Long: {long}\r\n\r\n"), 431, "headers_too_large"),
        (format!("GET / HTTP/1.1\r\nHost: t\r\n{headers}\r\n"), 431, "headers_too_large"),
        (format!("GET /{long} HTTP/1.1\r\nHost: t\r\n\r\n"), 431, "headers_too_large"),
    ] {
        let mut client = world.client();
        client.send(&bytes);
        let answer = client.answer();
        assert_eq!(fault(&answer), (status, code.into()));
        assert_eq!(answer.header("connection"), Some("close"));
        client.wait_for_end();

        let mut client = world.client();
        client.send(&(request("GET", "/api/health/live", "") + &bytes));
        assert_eq!(client.answer().status, 200, "what came before is answered");
        assert_eq!(fault(&client.answer()), (status, code.into()));
        client.wait_for_end();
    }
}

#[test]
fn what_is_understood_and_impossible_is_a_422_with_its_bounds() {
    let world = World::new();
    let id = "550e8400-e29b-41d4-a716-446655440000";
    let answer = world.client().ask("POST", &format!("/api/consumers/{id}/consume"), r#"{"max_records": 10001}"#);
    assert_eq!(fault(&answer), (422, "out_of_range".into()));
    assert_eq!(answer.json()["details"], json!({"field": "max_records", "value": 10_001, "min": 1, "max": 10_000}));
    let answer = world.client().ask("GET", "/api/topics/a%20b", "");
    assert_eq!(fault(&answer), (422, "invalid_name".into()));
    world.ask("POST", "/api/topics", &json!({"name": "a"}));
    let answer = world.client().ask("GET", "/api/topics/a/messages?limit=0", "");
    assert_eq!(fault(&answer), (422, "out_of_range".into()));
    assert_eq!(answer.json()["details"], json!({"field": "limit", "value": 0, "min": 1, "max": 10_000}));
}

#[test]
fn a_refusal_of_the_broker_has_the_shape() {
    let world = World::new();
    let answer = world.client().ask("GET", "/api/topics/nothing", "");
    assert_eq!(fault(&answer), (404, "topic_not_found".into()));
    assert_eq!(answer.json()["details"], json!({"topic": "nothing"}));
    world.ask("POST", "/api/topics", &json!({"name": "orders"}));
    let answer = world.client().ask("POST", "/api/topics", r#"{"name": "orders"}"#);
    assert_eq!(fault(&answer), (409, "topic_exists".into()));
}

#[test]
fn nothing_is_produced_of_a_request_with_one_bad_record() {
    let world = World::new();
    world.ask("POST", "/api/topics", &json!({"name": "orders", "partitions": 2}));
    let body = r#"{"records": [{"value": "a"}, {"value": "b", "partition": 2}]}"#;
    let answer = world.client().ask("POST", "/api/topics/orders/produce", body);
    assert_eq!(fault(&answer), (404, "partition_not_found".into()));
    assert_eq!(answer.json()["details"]["field"], "records[1].partition");
    let ends: Vec<Value> = world.get("/api/topics/orders")["offsets"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|partition| partition["end"].clone())
        .collect();
    assert_eq!(ends, [0, 0]);
}

#[test]
fn a_sane_request_id_comes_back() {
    let world = World::new();
    let mut client = world.client();
    client.send(&request("GET", "/nowhere", "").replacen("\r\n", "\r\nX-Request-Id: mine-1\r\n", 1));
    assert_eq!(client.answer().json()["request_id"], "mine-1");
    let ok = client.ask("GET", "/api/health/live", "");
    assert_eq!(ok.status, 200);
    assert!(ok.header("x-request-id").is_some());
}
