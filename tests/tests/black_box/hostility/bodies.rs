//! Bodies and lengths that nobody sends who means well: huge, deep, not what they say; and many requests at once.

use std::{
    io::BufReader,
    net::{Shutdown, TcpStream},
};

use serde_json::{Value, json};

use super::{Watched, answer, send, statuses, whole};

/// Where something with a body can be sent, none of which exists as far as it names a consumer.
const PATHS: [(&str, &str); 7] = [
    ("POST", "/api/topics"),
    ("POST", "/api/topics/t/produce"),
    ("POST", "/api/consumers/subscribe"),
    ("POST", "/api/consumers/00000000-0000-0000-0000-000000000000/consume"),
    ("POST", "/api/consumers/00000000-0000-0000-0000-000000000000/commit"),
    ("POST", "/api/consumers/00000000-0000-0000-0000-000000000000/seek"),
    ("PUT", "/api/consumer-groups/nobody/offsets"),
];

fn nested(open: &str, close: &str, depth: usize) -> String {
    open.repeat(depth) + &close.repeat(depth)
}

fn ask(server: &Watched, method: &str, path: &str, body: &str) -> (u16, Value) {
    let stream = server.connect();
    send(&stream, whole(method, path, body).as_bytes());
    let (status, said) = answer(&mut BufReader::new(&stream)).expect("an answer");
    (status, serde_json::from_slice(&said).unwrap_or_default())
}

#[test]
fn json_of_any_depth_and_size_is_refused_and_breaks_nothing() {
    let server = Watched::start();
    let bodies = [
        nested("[", "]", 100_000),
        nested("{\"a\":", "}", 100_000),
        "[".repeat(8 << 20),
        format!("{{\"records\": [{{\"value\": {}}}", "[".repeat(1 << 20)),
        format!("{{\"name\": \"{}\"}}", "x".repeat(8 << 20)),
        json!({"group_id": "g", "topics": (0..20_000).map(|n| format!("t{n}")).collect::<Vec<_>>()}).to_string(),
        "9".repeat(1 << 20),
        format!("{{\"partitions\": 1e{}}}", "9".repeat(100_000)),
        "\"\\ud800\"".repeat(10_000),
        "{\"name\": \"\u{0}\"}".to_owned(),
        "\u{feff}{}".to_owned(),
        "{\"name\": \"a\", \"name\": \"b\", \"name\": 7}".to_owned(),
        "nul".to_owned(),
        String::new(),
    ];
    for (method, path) in PATHS {
        for body in &bodies {
            let (status, said) = ask(&server, method, path, body);
            let start: String = body.chars().take(40).collect();
            assert!((400..500).contains(&status), "{status} {said} for {method} {path} {start}");
            assert!(said["code"].is_string(), "{said}");
        }
        server.serves();
    }
    server.comes_to_rest();
}

#[test]
fn a_value_that_is_nested_is_kept_as_it_is_up_to_a_depth_and_refused_beyond() {
    let server = Watched::start();
    let produce = |depth| {
        let value = nested("[", "]", depth);
        ask(&server, "POST", "/api/topics/t/produce", &format!("{{\"records\": [{{\"value\": {value}}}]}}"))
    };
    assert_eq!(produce(100).0, 200);
    let (status, said) = produce(1_000_000);
    assert!((400..500).contains(&status), "{status} {said}");
    server.comes_to_rest();
}

#[test]
fn bytes_that_are_no_text_are_refused() {
    let server = Watched::start();
    for (method, path) in PATHS {
        let stream = server.connect();
        let head = format!("{method} {path} HTTP/1.1\r\nHost: t\r\nContent-Length: 12\r\n\r\n");
        send(&stream, &[head.as_bytes(), b"{\"name\":\"\xff\xfe\"}"].concat());
        let (status, _) = answer(&mut BufReader::new(&stream)).expect("an answer");
        assert!((400..500).contains(&status), "{status} for {path}");
    }
    for noise in [&b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..], &[0; 4096], &[0xFF; 4096], b"\r\n\r\n\r\n\r\n"]
    {
        let stream = server.connect();
        send(&stream, noise);
        assert!(stream.shutdown(Shutdown::Write).is_ok());
        assert!(statuses(&stream).iter().all(|status| (400..500).contains(status)));
    }
    server.comes_to_rest();
}

#[test]
fn a_length_that_is_none_or_not_the_bodys_is_refused() {
    let server = Watched::start();
    let lengths = [
        "Content-Length: -1",
        "Content-Length: 99999999999999999999999",
        "Content-Length: 17179869184",
        "Content-Length: 0x10",
        "Content-Length: 1, 2",
        "Content-Length: 2\r\nContent-Length: 3",
        "Content-Length: 2\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: gzip",
        "Content-Length: 1000",
    ];
    let send_all = |head: &str, body: &str| {
        let stream = server.connect();
        send(&stream, format!("POST /api/topics HTTP/1.1\r\nHost: t\r\n{head}\r\n\r\n{body}").as_bytes());
        assert!(stream.shutdown(Shutdown::Write).is_ok());
        statuses(&stream)
    };
    for length in lengths {
        let statuses = send_all(length, "{}");
        assert!(statuses.iter().all(|status| (400..500).contains(status)), "{statuses:?} for {length}");
    }
    let chunks =
        ["FFFFFFFFFFFFFFFFF\r\n", "-1\r\n", "2\r\n{}0\r\n\r\n", "zz\r\n{}\r\n", "2;x=\"\r\n{}\r\n", "2\r\n{}\r\n"];
    for chunk in chunks {
        let statuses = send_all("Transfer-Encoding: chunked", chunk);
        assert!(statuses.iter().all(|status| (400..500).contains(status)), "{statuses:?} for {chunk:?}");
    }
    // What comes after a body that is shorter than it might be is another request.
    let statuses = send_all("Content-Length: 2", "{}{\"name\": \"smuggled\"}");
    assert!(statuses.iter().all(|status| (400..500).contains(status)), "{statuses:?}");
    let (_, topics) = server.client().get("/api/topics");
    assert!(!topics.to_string().contains("smuggled"), "{topics}");
    server.comes_to_rest();
}

#[test]
fn requests_that_are_sent_all_at_once_are_answered_in_order() {
    const REQUESTS: usize = 500;
    let server = Watched::start();
    let stream = server.connect();
    let sender = stream.try_clone().expect("another handle");
    let writing = std::thread::spawn(move || {
        for n in 0..REQUESTS {
            let body = json!({"records": [{"partition": 0, "value": n}]}).to_string();
            send(&sender, whole("POST", "/api/topics/t/produce", &body).as_bytes());
        }
    });
    let mut reader = BufReader::new(&stream);
    let mut before = None;
    for _ in 0..REQUESTS {
        let (status, said) = answer(&mut reader).expect("an answer for each");
        let said: Value = serde_json::from_slice(&said).expect("JSON");
        assert_eq!(status, 200, "{said}");
        let offset = said["offsets"][0]["offset"].as_u64();
        assert!(offset > before, "{offset:?} after {before:?}: {said}");
        before = offset;
    }
    writing.join().expect("all is sent");
    drop(reader);
    drop::<TcpStream>(stream);
    server.comes_to_rest();
}
