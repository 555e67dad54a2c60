//! Records in, one in a line, for as long as they come.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{Shutdown, TcpStream},
};

use serde_json::{Value, json};
use takhin_tests::{
    api::values,
    broker::{Broker, Options},
    client::Client,
    local_only,
};

fn started(partitions: u32) -> (Broker, Client) {
    let broker = Broker::start(Options::quick());
    let client = broker.client();
    client.create_topic("t", partitions);
    (broker, client)
}

/// Sends lines, and gives the status and the lines of the answer.
fn upload(client: &Client, query: &str, headers: &[(&str, &str)], lines: &str) -> (u16, Vec<Value>) {
    let headers = [&[("content-type", "application/x-ndjson")], headers].concat();
    let path = format!("/api/topics/t/produce{query}");
    let (status, _, body) =
        client.send_for_bytes("POST", &path, &headers, lines.as_bytes().to_vec()).expect("an answer");
    let text = String::from_utf8(body).expect("text");
    (status, text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect())
}

fn stored(client: &Client, partition: u32) -> Vec<String> {
    values(&json!(client.read_from("t", partition, 0)))
}

/// A connection on which an upload has begun, whose body is sent piece by piece.
struct Live(TcpStream);

impl Live {
    fn begin(client: &Client, query: &str) -> Self {
        let mut socket = TcpStream::connect(client.address()).expect("a connection");
        let head = format!(
            "POST /api/topics/t/produce{query} HTTP/1.1\r\nhost: t\r\ncontent-type: application/x-ndjson\r\n\
             connection: close\r\ntransfer-encoding: chunked\r\n\r\n"
        );
        socket.write_all(head.as_bytes()).expect("sent");
        Self(socket)
    }

    fn send(&mut self, text: &str) {
        self.0.write_all(format!("{:x}\r\n{text}\r\n", text.len()).as_bytes()).expect("sent");
    }

    fn end(&mut self) {
        self.0.write_all(b"0\r\n\r\n").expect("sent");
    }

    /// The JSON lines of the answer as they come.
    fn lines(&self) -> impl Iterator<Item = Value> + use<> {
        let lines = BufReader::new(self.0.try_clone().expect("a socket")).lines().map_while(Result::ok);
        lines.filter(|line| line.starts_with('{')).map(|line| serde_json::from_str(&line).expect("JSON"))
    }
}

#[test]
fn each_batch_is_told_and_then_the_sum() {
    let (_broker, client) = started(1);
    let lines = "{\"value\": \"a\"}\n\n{\"key\": \"k\", \"value\": {\"n\": 1}}\r\n{\"value\": \"c\"}";
    let (status, answer) = upload(&client, "?batch_records=3", &[], lines);
    assert_eq!(status, 200, "{answer:?}");
    assert_eq!(
        answer,
        [
            json!({"batch": {"first_line": 1, "last_line": 3, "records": 2, "offsets": {"0": {"first": 0, "last": 1, "records": 2}}}}),
            json!({"batch": {"first_line": 4, "last_line": 4, "records": 1, "offsets": {"0": {"first": 2, "last": 2, "records": 1}}}}),
            json!({"end": {"lines": 4, "records": 3, "duplicates": 0, "offsets": {"0": {"first": 0, "last": 2, "records": 3}}}}),
        ]
    );
    assert_eq!(stored(&client, 0), ["a", "{\"n\": 1}", "c"]);
}

#[test]
fn lines_may_be_values() {
    let (_broker, client) = started(1);
    let (status, _) = upload(&client, "?value_format=line&key_separator=%3A", &[], "a:1\nno key\nb:2:3\n:\n");
    assert_eq!(status, 200);
    let records = client.read_from("t", 0, 0);
    let pairs: Vec<_> = records.iter().map(|record| (record["key"].clone(), record["value"].clone())).collect();
    let expected = [json!(["a", "1"]), json!([null, "no key"]), json!(["b", "2:3"]), json!(["", ""])];
    assert_eq!(pairs, expected.map(|pair| (pair[0].clone(), pair[1].clone())));
    let (status, answer) = upload(&client, "?value_format=json", &[], "{\"a\" : 1}\n[1, 2]\nnot json\n");
    assert_eq!((status, &answer[0]["batch"]["records"]), (200, &json!(2)), "{answer:?}");
    assert_eq!(answer[1]["error"]["code"], "malformed_json");
    assert_eq!(stored(&client, 0)[4..], ["{\"a\" : 1}", "[1, 2]"]);
}

#[test]
fn what_stands_before_a_wrong_line_is_stored_and_nothing_behind_it() {
    let (_broker, client) = started(2);
    for (wrong, status, code, field) in [
        ("{\"value\": \"b\", \"partition\": 9}", 404, "partition_not_found", json!("partition")),
        ("{\"valeu\": \"b\"}", 400, "unknown_field", json!("valeu")),
        ("{\"headers_list\": [{\"key\": 1}]}", 400, "invalid_field", json!("headers_list[0].key")),
        ("{\"value\": \"b\"", 400, "malformed_json", Value::Null),
        ("[]", 400, "not_an_object", Value::Null),
        ("[", 400, "malformed_json", Value::Null),
    ] {
        let before = stored(&client, 0).len();
        let good = "{\"value\": \"a\", \"partition\": 0}";
        let (first, answer) = upload(&client, "", &[], &format!("{wrong}\n{good}\n"));
        assert_eq!(
            (first, &answer[0]["code"]),
            (status, &json!(code)),
            "nothing is stored, so it is an error: {answer:?}"
        );
        assert_eq!((&answer[0]["details"]["line"], &answer[0]["details"]["field"]), (&json!(1), &field), "{answer:?}");
        let (later, answer) = upload(&client, "", &[], &format!("{good}\n{good}\n{wrong}\n{good}\n"));
        assert_eq!((later, answer.len()), (200, 2), "{answer:?}");
        let last = &answer[1];
        assert_eq!((&last["error"]["code"], &last["error"]["details"]["line"]), (&json!(code), &json!(3)));
        assert_eq!((&last["applied"]["lines"], &last["applied"]["records"]), (&json!(2), &json!(2)));
        assert_eq!(stored(&client, 0).len(), before + 2, "{wrong}");
    }
}

#[test]
fn an_upload_sent_again_stores_what_was_not_stored() {
    local_only!("Kafka has no means to recognise a producer's records");
    let (mut broker, client) = started(3);
    let line = |n: u32| {
        if n.is_multiple_of(2) {
            format!("{{\"key\":\"k{n}\",\"value\":\"{n}\"}}\n")
        } else {
            format!("{{\"value\":\"{n}\"}}\n")
        }
    };
    let lines = |to: u32| (0..to).map(line).collect::<String>();
    let count = |client: &Client| -> usize { (0..3).map(|partition| stored(client, partition).len()).sum() };
    for (query, headers) in [("producer_id=7&", &[][..]), ("", &[("idempotency-key", "the file")])] {
        let before = count(&client);
        let query = |batch: u32| format!("?{query}batch_records={batch}");
        let (status, answer) = upload(&client, &query(100), headers, &lines(1_000));
        assert_eq!((status, &answer.last().expect("an end")["end"]["records"]), (200, &json!(1_000)));
        // In other batches, after a crash, with more behind it.
        broker.kill9();
        broker.restart();
        let client = broker.client();
        let (_, answer) = upload(&client, &query(77), headers, &lines(1_300));
        let end = &answer.last().expect("an end")["end"];
        assert_eq!((&end["lines"], &end["records"], &end["duplicates"]), (&json!(1_300), &json!(300), &json!(1_000)));
        let (_, answer) = upload(&client, &query(500), headers, &lines(1_300));
        let end = &answer.last().expect("an end")["end"];
        assert_eq!((&end["records"], &end["duplicates"]), (&json!(0), &json!(1_300)));
        assert_eq!(count(&client) - before, 1_300);
    }
}

#[test]
fn an_upload_of_one_partition_goes_on_where_it_was_told_that_it_is() {
    local_only!("Kafka has no means to recognise a producer's records");
    let (_broker, client) = started(2);
    let text = |from: u32, to: u32| (from..to).map(|n| n.to_string() + "\n").collect::<String>();
    let query = |sequence: u32| format!("?value_format=line&partition=1&producer_id=3&sequence={sequence}");
    upload(&client, &query(0), &[], &text(0, 50));
    // The client heard of 20 lines only.
    let (_, answer) = upload(&client, &query(20), &[], &text(20, 80));
    let end = &answer.last().expect("an end")["end"];
    assert_eq!((&end["records"], &end["duplicates"]), (&json!(30), &json!(30)));
    assert_eq!(stored(&client, 1), (0..80).map(|n| n.to_string()).collect::<Vec<_>>());
    let (status, answer) = upload(&client, &query(90), &[], &text(90, 91));
    assert_eq!(
        (status, &answer[0]["code"], &answer[0]["details"]["expected"]),
        (409, &json!("sequence_gap"), &json!(80))
    );
    let (status, answer) = upload(&client, "?producer_id=3&sequence=9", &[], "{}");
    assert_eq!((status, &answer[0]["code"]), (422, &json!("partition_needed")));
}

#[test]
fn a_slow_feed_is_stored_as_it_comes_and_an_unfinished_line_never() {
    let (_broker, client) = started(1);
    let mut live = Live::begin(&client, "?value_format=line&linger_ms=1");
    let mut lines = live.lines();
    live.send("one\ntw");
    assert_eq!(lines.next().expect("progress")["batch"]["last_line"], 1);
    assert_eq!(stored(&client, 0), ["one"]);
    live.send("o\nthree");
    assert_eq!(lines.next().expect("progress")["batch"]["last_line"], 2);
    live.0.shutdown(Shutdown::Both).expect("closed");
    drop(live);
    // Another upload shows that nothing more comes of the first.
    let mut other = Live::begin(&client, "?value_format=line");
    let mut lines = other.lines();
    other.send("four");
    other.end();
    assert_eq!(lines.nth(1).expect("an end")["end"]["lines"], 1, "a body that ends as it should ends its last line");
    assert_eq!(stored(&client, 0), ["one", "two", "four"]);
}

#[test]
fn a_client_that_reads_nothing_while_it_writes_gets_its_answer() {
    local_only!("60,000 appends one after the other take minutes there");
    let (_broker, client) = started(1);
    let mut live = Live::begin(&client, "?value_format=line&batch_records=1");
    let many = "x\n".repeat(1_000);
    for _ in 0..60 {
        live.send(&many);
    }
    live.end();
    // So much progress would not fit between here and there, had every batch its line.
    let mut answer = String::new();
    live.0.read_to_string(&mut answer).expect("an answer");
    let lines: Vec<Value> = answer
        .lines()
        .filter(|line| line.starts_with('{'))
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let told: u64 = lines.iter().filter_map(|line| line["batch"]["records"].as_u64()).sum();
    assert_eq!((told, &lines.last().expect("an end")["end"]["lines"]), (60_000, &json!(60_000)));
}

#[test]
fn a_server_that_stops_ends_an_upload_with_what_was_stored() {
    let (mut broker, client) = started(1);
    let mut live = Live::begin(&client, "?value_format=line&linger_ms=1");
    let mut lines = live.lines();
    live.send("one\n");
    lines.next().expect("progress");
    assert!(broker.terminate().success());
    let last = lines.last().expect("a last line");
    assert_eq!((&last["error"]["code"], &last["applied"]["lines"]), (&json!("shutting_down"), &json!(1)));
}

#[test]
fn what_is_wrong_with_an_upload_is_said_before_it_begins() {
    let (_broker, client) = started(1);
    for (query, status, code) in [
        ("?value_format=xml", 400, "invalid_parameter"),
        ("?key_separator=%3A", 400, "invalid_parameter"),
        ("?batch_records=0", 422, "out_of_range"),
        ("?sequence=3", 400, "missing_field"),
        ("?nope=3", 400, "unknown_parameter"),
    ] {
        let (found, answer) = upload(&client, query, &[], "{}\n");
        assert_eq!((found, &answer[0]["code"]), (status, &json!(code)), "{query}");
    }
    let long = format!("{{\"value\": \"{}\"}}\n", "x".repeat(17 << 20));
    let (status, answer) = upload(&client, "", &[], &long);
    assert_eq!((status, &answer[0]["code"]), (413, &json!("line_too_long")));
    let (status, answer) = upload(&client, "", &[], "");
    assert_eq!(
        (status, answer),
        (200, vec![json!({"end": {"lines": 0, "records": 0, "duplicates": 0, "offsets": {}}})])
    );
}

#[test]
fn a_line_that_is_too_large_is_no_duplicate() {
    local_only!("Kafka has no means to recognise a producer's records");
    let (_broker, client) = started(1);
    let large = "x".repeat((1 << 20) + 1);
    for producer in ["", "&producer_id=7&sequence=0&partition=0"] {
        let query = format!("?value_format=line{producer}");
        let (_, answer) = upload(&client, &query, &[], &format!("fits\n{large}\n"));
        assert_eq!((&answer[0]["batch"]["records"], &answer[0]["batch"]["duplicates"]), (&json!(1), &Value::Null));
        assert_eq!(answer[1]["error"]["code"], "record_too_large");
    }
}
