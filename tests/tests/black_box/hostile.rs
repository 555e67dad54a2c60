//! What somebody may send who means harm. docs/security.md has the whole list; slow clients are tried in the server's own
//! tests, whose clock they need.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    time::Instant,
};

use serde_json::{Value, json};
use takhin_tests::{
    broker::{Broker, Options},
    client::Client,
    keyed::Keyed,
};

/// Sends bytes as they are, and gives all that is answered until the server closes the connection.
fn raw(client: &Client, bytes: &str) -> String {
    let mut stream = TcpStream::connect(client.address()).expect("a connection");
    // The server may have closed it before it had all.
    let _ = stream.write_all(bytes.as_bytes());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

fn broker() -> (Broker, Client) {
    let arguments = vec!["--log".to_owned(), "takhin=debug".to_owned()];
    let broker = Broker::start(Options { arguments, ..Options::quick() });
    let client = broker.client();
    client.create_topic("t", 1);
    (broker, client)
}

#[test]
fn no_request_hides_in_another_ones_body() {
    let (_broker, client) = broker();
    let hidden = format!("0\r\n\r\n{HIDDEN}");
    let length = format!("Content-Length: {}\r\n", hidden.len());
    for framing in [
        format!("Content-Length: 4\r\n{length}"),
        "Content-Length: 0, 0\r\n".to_owned(),
        "Content-Length: +5\r\n".to_owned(),
        "Content-Length: 0x5\r\n".to_owned(),
        "Content-Length: 99999999999999999999\r\n".to_owned(),
        "Content-Length : 5\r\n".to_owned(),
        "Transfer-Encoding: xchunked\r\n".to_owned(),
        "Transfer-Encoding: chunked, identity\r\n".to_owned(),
        "Transfer-Encoding: identity, chunked\r\n".to_owned(),
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n".to_owned(),
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n".to_owned(),
        "X: a\r\n Transfer-Encoding: chunked\r\n".to_owned(),
        "Host: other\r\n".to_owned(),
        "X: a\rContent-Length: 5\r\n".to_owned(),
        "X: a\0b\r\n".to_owned(),
    ] {
        let answer = raw(&client, &format!("POST /api/topics/t/produce HTTP/1.1\r\nHost: t\r\n{framing}\r\n{hidden}"));
        assert!(answer.starts_with("HTTP/1.1 400 "), "{framing:?}: {answer}");
        assert!(!answer.contains("hidden"), "{framing:?}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{framing:?}: {answer}");
    }
}

const HIDDEN: &str = "GET /hidden HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n";

/// A length beside chunks counts for nothing, however long it says the body is, and whoever sends both is not heard again on
/// that connection: nobody on the way who goes by the length has others' requests answered.
#[test]
fn a_length_beside_chunks_hides_no_request() {
    let (_broker, client) = broker();
    let record = r#"{"records":[{"value":"once"}]}"#;
    let chunks = format!("{:x}\r\n{record}\r\n0\r\n\r\n", record.len());
    let lengths = [0, 4, chunks.len(), chunks.len() + HIDDEN.len()];
    let framings = lengths.map(|length| {
        let (length, chunked) = (format!("Content-Length: {length}\r\n"), "Transfer-Encoding: chunked\r\n");
        [format!("{length}{chunked}"), format!("{chunked}{length}")]
    });
    for (n, framing) in framings.concat().iter().enumerate() {
        let head = format!("POST /api/topics/t/produce HTTP/1.1\r\nHost: t\r\n{framing}\r\n");
        let answer = raw(&client, &format!("{head}{chunks}{HIDDEN}"));
        assert!(answer.starts_with("HTTP/1.1 200 "), "{framing:?}: {answer}");
        assert!(answer.to_ascii_lowercase().contains("\r\nconnection: close\r\n"), "{framing:?}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{framing:?}: {answer}");
        assert!(!answer.contains("hidden"), "{framing:?}: {answer}");
        assert_eq!(client.read_from("t", 0, 0).len(), n + 1, "{framing:?}: what the chunks say is the body");
    }
    // The same without the length: a second request that is none of the body's is one of its own.
    let head = "POST /api/topics/t/produce HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n";
    let answer = raw(&client, &format!("{head}{chunks}{HIDDEN}"));
    assert_eq!(answer.matches("HTTP/1.1 ").count(), 2, "{answer}");
}

#[test]
fn no_way_of_writing_a_path_leads_around_the_check() {
    let keyed = Keyed::start(&[]);
    keyed.admin.create_topic("t", 1);
    let nothing = keyed.make(&json!({})).0;
    let raw = |path: &str, key: Option<&str>| {
        let key = key.map_or_else(String::new, |key| format!("Authorization: Bearer {key}\r\n"));
        raw(&keyed.admin, &format!("GET {path} HTTP/1.1\r\nHost: t\r\n{key}Connection: close\r\n\r\n"))
    };
    for path in [
        "/api/topics/t",
        "//api/topics/t",
        "/api//topics/t",
        "/api/./topics/t",
        "/api/health/../topics/t",
        "/api/health/%2e%2e/topics/t",
        "/api/health/..%2ftopics/t",
        "/api/health%2f..%2ftopics%2ft",
        "/api/health;/../topics/t",
        "/api/topics/%74",
        "/%61pi/topics/t",
        "/api/topics%2ft",
        "/api/topics/t%00",
        "/api/topics/t%2f",
        "/api/topics/%2574",
        "/api/topics/%2e%2e",
        "/api/topics/..%2f..%2fetc%2fpasswd",
        "/API/topics/t",
        "/api/topics/t?x=/api/health",
        "/api/topics/t#/api/health",
        "http://t/api/topics/t",
        "/api/health/live/..;/topics/t",
        "/api/topics/t/",
        "*",
        "/api/topics/%ff",
    ] {
        let nobody = raw(path, None);
        assert!(nobody.starts_with("HTTP/1.1 401 "), "{path}: {nobody}");
        let answer = raw(path, Some(&nothing));
        let refused =
            ["400", "403", "404", "422"].iter().any(|status| answer.starts_with(&format!("HTTP/1.1 {status} ")));
        assert!(refused && !answer.contains("\"partitions\""), "{path}: {answer}");
    }
}

#[test]
fn no_header_makes_a_request_another_one() {
    let (_broker, client) = broker();
    for (name, value) in [
        ("x-http-method-override", "DELETE"),
        ("x-http-method", "DELETE"),
        ("x-method-override", "DELETE"),
        ("x-original-url", "/api/health"),
        ("x-rewrite-url", "/api/health"),
        ("x-forwarded-prefix", "/x"),
    ] {
        let whole = client.send("GET", "/api/topics/t", &[(name, value)], None).expect("an answer");
        assert_eq!((whole.status, &whole.body["name"]), (200, &json!("t")), "{name}");
    }
    assert_eq!(client.post("/api/topics/t?_method=DELETE", &json!({})).0, 405);
    assert_eq!(client.get("/api/topics/t").0, 200, "it is still there");
}

#[test]
fn nothing_that_is_sent_becomes_a_line_of_the_log_or_a_header() {
    let (broker, client) = broker();
    let forged = "2030-01-01T00:00:00Z ERROR forged";
    for (path, body) in [
        ("/api/topics", json!({format!("a\n{forged}"): 1})),
        ("/api/topics", json!({"name": format!("a\r\n{forged}")})),
        ("/api/consumers/subscribe", json!({"group_id": format!("g\u{2028}\u{202e}{forged}"), "topics": ["t"]})),
        ("/api/consumers/subscribe", json!({"group_id": "g", "topic_pattern": format!("(\n{forged}\u{1b}[31m")})),
        ("/api/topics/t/produce", json!({"records": [{"partition": format!("\n{forged}")}]})),
    ] {
        client.post(path, &body);
    }
    raw(
        &client,
        &format!(
            "GET /api/\u{2028}\u{9b}31m%0a{} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n",
            forged.replace(' ', "%20")
        ),
    );
    let id = client.send("GET", "/api/topics", &[("x-request-id", "a%0d%0aset-cookie: x")], None).expect("an answer");
    assert!(!id.header("x-request-id").contains("set-cookie"));
    let log = broker.log();
    assert!(log.contains("forged"), "what was asked for is in the log");
    assert!(!log.lines().any(|line| line.starts_with("2030")), "{log}");
    let strange = |c: &char| c.is_control() && *c != '\n' || ['\u{2028}', '\u{202e}'].contains(c);
    assert_eq!(log.chars().find(strange), None, "{log}");
}

/// Bodies that are large, deep or wide, and what they are answered.
fn bombs() -> Vec<(&'static str, String, u16)> {
    let repeat = |text: &str, times: usize| vec![text; times].join(",");
    let numbers = |times: usize| (0..times).map(|n| format!("\"{n}\":0")).collect::<Vec<_>>().join(",");
    let produce = "/api/topics/t/produce";
    vec![
        (produce, format!(r#"{{"records":[{{"value":{}{}}}]}}"#, "[".repeat(400_000), "]".repeat(400_000)), 200),
        (produce, format!(r#"{{"records":[{{"key":{}"#, "[".repeat(1_000_000)), 400),
        (produce, "[".repeat(8_000_000), 400),
        (produce, format!(r#"{{"records":[{}]}}"#, repeat("{}", 1_000_000)), 413),
        (produce, format!(r#"{{"records":[{{"partition":{}}}]}}"#, "9".repeat(1_000_000)), 400),
        (produce, r#"{"records":[{"timestamp":1e999999999}]}"#.to_owned(), 400),
        (produce, r#"{"records":[{"value":1,"value":2}]}"#.to_owned(), 400),
        (produce, format!(r#"{{"records":[{{"headers":{{{}}}}}]}}"#, numbers(500_000).replace(":0", ":\"\"")), 422),
        ("/api/topics", format!("{{{}}}", numbers(500_000)), 400),
        ("/api/topics", r#"{"name":"a","n\u0061me":"b"}"#.to_owned(), 400),
        ("/api/consumers/subscribe", format!(r#"{{"group_id":"g","topics":[{}]}}"#, repeat("\"t\"", 1_000_000)), 422),
        ("/api/consumers/subscribe", r#"{"group_id":"g","topic_pattern":"((a{100}){100}){100}"}"#.to_owned(), 422),
        ("pause", format!(r#"{{"partitions":{{"t":[{}]}}}}"#, repeat("0", 2_000_000)), 422),
        ("seek", format!(r#"{{"timestamp_ms":1,"partitions":{{"t":[{}]}}}}"#, repeat("0", 2_000_000)), 422),
        ("seek", format!(r#"{{"timestamp_ms":1,"partitions":{{"t":[{}]}}}}"#, repeat("0", 90_000)), 200),
        ("commit", format!(r#"{{"offsets":{{"t":{{{}}}}}}}"#, numbers(1_000_000)), 422),
    ]
}

#[test]
fn a_body_costs_no_more_than_its_length_however_it_is_made() {
    let (_broker, client) = broker();
    let consumer = client.subscribe("g", &["t"], &json!({}));
    for (path, body, status) in bombs() {
        let path = if path.starts_with('/') { path.to_owned() } else { format!("{consumer}/{path}") };
        let (bytes, began) = (body.len(), Instant::now());
        let whole = client.send("POST", &path, &[], Some(body.into_bytes())).expect("an answer");
        let shown: String = whole.body.to_string().chars().take(200).collect();
        assert_eq!(whole.status, status, "{path}: {shown}");
        eprintln!("{path}: {bytes} bytes took {:?}", began.elapsed());
    }
    assert_eq!(client.get("/api/health").0, 200);
}

#[test]
fn a_key_in_a_query_is_no_key() {
    let keyed = Keyed::start(&[]);
    let key = keyed.make(&json!({"cluster": ["admin"]})).0;
    let client = keyed.broker.client();
    for path in [format!("/api/keys?key={key}"), format!("/api/keys?authorization=Bearer%20{key}")] {
        assert_eq!(client.get(&path).0, 401);
    }
    let twice = [("authorization", &*format!("Bearer {key}")), ("authorization", "Bearer other")];
    let whole = client.send("GET", "/api/keys", &twice, None).expect("an answer");
    assert_eq!((whole.status, &whole.body["details"]["reason"]), (401, &Value::from("several")));
    let cookie =
        client.send("GET", "/api/keys", &[("cookie", &format!("authorization={key}"))], None).expect("an answer");
    assert_eq!(cookie.status, 401);
}
