//! Requests that end in the middle: of the line, of a header, of the body, of the JSON.

use std::{
    io::BufReader,
    net::{Shutdown, TcpStream},
};

use serde_json::json;

use super::{Watched, answer, send, statuses, whole};

/// One request of each kind, as they would follow each other.
fn script(consumer: &str) -> Vec<String> {
    let consumer = format!("/api/consumers/{consumer}");
    vec![
        whole("POST", "/api/topics", r#"{"name": "cut", "partitions": 1, "config": {"retention_ms": 1000}}"#),
        whole(
            "POST",
            "/api/topics/t/produce",
            r#"{"records": [{"key": "k", "value": {"a": [1, 2.5e3, "\u00e9"]}, "headers": {"h": "x"}}]}"#,
        ),
        whole("POST", &format!("{consumer}/consume"), r#"{"timeout_ms": 0, "max_records": 1}"#),
        whole("POST", &format!("{consumer}/commit"), r#"{"offsets": {"t": {"0": 1}}}"#),
        whole("POST", &format!("{consumer}/seek"), r#"{"offsets": {"t": {"0": 0}}}"#),
        whole("PUT", &format!("{consumer}/subscription"), r#"{"topics": ["t"]}"#),
        "GET /api/topics/t/messages?partition=0&offset=0&limit=1 HTTP/1.1\r\nHost: t\r\n\r\n".to_owned(),
        "POST /api/topics HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n{\"name\":\r\n5\r\n\"x\" }\r\n0\r\n\r\n"
            .to_owned(),
    ]
}

fn consumer(server: &Watched) -> String {
    let wish = json!({"group_id": "g", "topics": ["t"], "auto_offset_reset": "earliest"});
    let (status, subscribed) = server.client().post("/api/consumers/subscribe", &wish);
    assert_eq!(status, 200, "{subscribed}");
    subscribed["consumer_id"].as_str().expect("an id").to_owned()
}

/// What a cut request may be answered with: that it is wrong, or nothing at all.
fn must_be_refused(statuses: &[u16], request: &str) {
    assert!(statuses.iter().all(|status| (400..500).contains(status)), "{statuses:?} for {request:?}");
}

#[test]
fn a_request_that_is_cut_at_any_byte_is_refused_or_not_answered() {
    let server = Watched::start();
    for request in script(&consumer(&server)) {
        for cut in 0..request.len() {
            let stream = server.connect();
            send(&stream, &request.as_bytes()[..cut]);
            // By turns: says that nothing more comes, and just goes.
            if cut % 2 == 0 && stream.shutdown(Shutdown::Write).is_ok() {
                must_be_refused(&statuses(&stream), &request[..cut]);
            }
        }
        server.serves();
    }
    server.comes_to_rest();
}

#[test]
fn a_body_that_is_cut_at_any_byte_and_says_so_is_refused() {
    let server = Watched::start();
    let stream = server.connect();
    let mut reader = BufReader::new(&stream);
    for request in script(&consumer(&server)).iter().filter(|request| request.contains("Content-Length")) {
        let (head, body) = request.split_once("\r\n\r\n").expect("a body");
        let (method, rest) = head.split_once(' ').expect("a method");
        let path = rest.split(' ').next().expect("a path");
        for cut in 1..body.len() {
            send(&stream, whole(method, path, &body[..cut]).as_bytes());
            let (status, said) = answer(&mut reader).expect("an answer, on the same connection");
            let said = String::from_utf8_lossy(&said);
            assert!((400..500).contains(&status), "{status} {said} for {:?}", &body[..cut]);
            assert!(said.contains("\"code\""), "{said}");
        }
    }
    drop(reader);
    drop::<TcpStream>(stream);
    server.comes_to_rest();
}
