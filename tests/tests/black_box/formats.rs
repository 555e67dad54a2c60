//! How keys and values are written: as text, as the JSON that they are, or in base64.

use serde_json::{Value, json};
use takhin_tests::{
    broker::{Broker, Options},
    client::Client,
};

/// A topic with a record of JSON over two lines, one of text, one of bytes, and one of nothing.
fn started() -> (Broker, Client) {
    let broker = Broker::start(Options::quick());
    let client = broker.client();
    client.create_topic("t", 1);
    let records = json!([
        {"key": "7", "value": "{\"a\":\n1.50}"}, {"key": "k", "value": "text"},
        {"key": "/w==", "key_encoding": "base64", "value": "/w==", "value_encoding": "base64"}, {},
    ]);
    client.produce("t", &records);
    (broker, client)
}

/// Key, its encoding, value, its encoding.
fn told(records: &Value) -> Vec<Value> {
    let fields = ["key", "key_encoding", "value", "value_encoding"];
    let record = |record: &Value| json!(fields.map(|field| record[field].clone()));
    records.as_array().expect("records").iter().map(record).collect()
}

fn expected(format: &str) -> Vec<Value> {
    let records = match format {
        "text" => json!([
            ["7", null, "{\"a\":\n1.50}", null],
            ["k", null, "text", null],
            ["/w==", "base64", "/w==", "base64"],
        ]),
        "json" => json!([
            ["7", null, {"a": 1.5}, "json"], ["k", null, "text", null], ["/w==", "base64", "/w==", "base64"],
        ]),
        "base64" => json!([
            ["Nw==", "base64", "eyJhIjoKMS41MH0=", "base64"],
            ["aw==", "base64", "dGV4dA==", "base64"],
            ["/w==", "base64", "/w==", "base64"],
        ]),
        other => panic!("a format {other:?}"),
    };
    let nothing = json!([null, null, null, null]);
    records.as_array().expect("records").iter().cloned().chain([nothing]).collect()
}

/// The records of an answer in lines.
fn in_lines(client: &Client, method: &str, path: &str, body: Option<&Value>) -> Value {
    let accept = [("accept", "application/x-ndjson")];
    let answer = client.send(method, path, &accept, body.map(|body| body.to_string().into_bytes())).expect("an answer");
    let lines = answer.body.as_str().expect("lines").lines().map(|line| serde_json::from_str(line).expect("JSON"));
    lines.filter(|line: &Value| line["topic"] == "t").collect()
}

#[test]
fn a_read_is_written_as_it_is_asked_for() {
    let (_broker, client) = started();
    assert_eq!(told(&client.get("/api/topics/t/messages").1), expected("text"));
    for format in ["text", "json", "base64"] {
        let path = format!("/api/topics/t/messages?format={format}");
        assert_eq!(told(&client.get(&path).1), expected(format));
        assert_eq!(told(&in_lines(&client, "GET", &path, None)), expected(format));
    }
}

#[test]
fn a_consumer_has_its_format_and_a_poll_may_have_another() {
    let (mut broker, client) = started();
    for format in ["text", "json", "base64"] {
        let body = json!({"auto_offset_reset": "earliest", "auto_commit": false, "format": format});
        let consumer = client.subscribe(format, &["t"], &body);
        assert_eq!(client.get(&consumer).1["format"], format);
        let again = json!({"timeout_ms": 0, "after_batch": 0});
        assert_eq!(told(&client.poll(&consumer, &again)["records"]), expected(format));
        let consume = format!("{consumer}/consume");
        assert_eq!(told(&in_lines(&client, "POST", &consume, Some(&again))), expected(format));
        for other in ["text", "json", "base64"] {
            let again = json!({"timeout_ms": 0, "after_batch": 0, "format": other});
            assert_eq!(told(&client.poll(&consumer, &again)["records"]), expected(other));
            assert_eq!(told(&in_lines(&client, "POST", &consume, Some(&again))), expected(other));
        }
        broker.kill9();
        broker.restart();
        let client = broker.client();
        assert_eq!(client.get(&consumer).1["format"], format);
        assert_eq!(told(&client.poll(&consumer, &again)["records"]), expected(format));
    }
}

#[test]
fn a_stream_is_written_as_the_consumer_wants_it_or_as_it_is_asked_for() {
    let (_broker, client) = started();
    for (query, format) in [("", "json"), ("?format=base64", "base64"), ("?format=text", "text")] {
        let body = json!({"auto_offset_reset": "earliest", "auto_commit": false, "format": "json"});
        let consumer = client.subscribe("g", &["t"], &body);
        let lines = client.lines(&format!("{consumer}/stream{query}"), &[]).expect("a stream");
        let data = lines.filter_map(|line| line.strip_prefix("data: ").map(ToOwned::to_owned));
        let mut events = data.map(|data| serde_json::from_str::<Value>(&data).expect("an event is one line"));
        let records = events.find(|event| event["records"].is_array()).expect("records");
        assert_eq!(told(&records["records"]), expected(format));
        assert_eq!(client.delete(&consumer).0, 200);
    }
}

#[test]
fn another_word_is_refused_with_those_that_there_are() {
    let (_broker, client) = started();
    let consumer = client.subscribe("g", &["t"], &json!({}));
    let subscription = json!({"group_id": "g", "topics": ["t"], "format": "xml"});
    for (status, answer) in [
        client.post("/api/consumers/subscribe", &subscription),
        client.post(&format!("{consumer}/consume"), &json!({"format": "xml"})),
        client.get("/api/topics/t/messages?format=xml"),
        client.get(&format!("{consumer}/stream?format=xml")),
    ] {
        assert_eq!(
            (status, &answer["code"], &answer["details"]["field"]),
            (422, &json!("invalid_value"), &json!("format"))
        );
        let text = answer["error"].as_str().expect("text");
        assert!(["text", "json", "base64"].iter().all(|word| text.contains(word)), "{text}");
    }
}
