//! Clients that send slowly or never, and clients that do not read.

use std::{net::TcpStream, thread, time::Duration};

use serde_json::json;

use super::{Watched, send, statuses, whole};

/// As many of each kind.
const CLIENTS: usize = 100;

#[test]
fn who_sends_slowly_or_stops_is_given_up_and_delays_nobody() {
    let server = Watched::start();
    let starts: [&[u8]; 5] = [
        b"",
        b"GET /api/hea",
        b"POST /api/topics HTTP/1.1\r\nHost: t\r\nContent-Le",
        b"POST /api/topics HTTP/1.1\r\nHost: t\r\nContent-Length: 4000000\r\n\r\n{\"name\":",
        b"POST /api/topics HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n{\"na",
    ];
    let clients: Vec<TcpStream> = (0..CLIENTS)
        .flat_map(|_| {
            starts.map(|start| {
                let stream = server.connect();
                send(&stream, start);
                stream
            })
        })
        .collect();
    for _ in 0..10 {
        server.serves();
        // A byte now and then, as if it were still coming.
        for stream in &clients {
            send(stream, b" ");
        }
        thread::sleep(Duration::from_millis(50));
    }
    assert!(server.figure("takhin_http_connections") > 100.0);
    // Some are waited out, of those that began a head; the others go by themselves.
    let heads = clients.iter().skip(1).step_by(starts.len()).chain(clients.iter().skip(2).step_by(starts.len()));
    for stream in heads {
        assert!(statuses(stream).iter().all(|status| (400..500).contains(status)));
    }
    drop(clients);
    server.comes_to_rest();
}

#[test]
fn who_does_not_read_keeps_what_is_his_waiting_and_delays_nobody() {
    let server = Watched::start();
    let value = "x".repeat(200_000);
    for _ in 0..20 {
        let records = json!({"records": [{"partition": 0, "value": value}]});
        assert_eq!(server.client().post("/api/topics/t/produce", &records).0, 200);
    }
    let read = "GET /api/topics/t/messages?partition=0&offset=0 HTTP/1.1\r\nHost: t\r\n\r\n";
    let clients: Vec<TcpStream> = (0..CLIENTS)
        .map(|_| {
            let stream = server.connect();
            send(&stream, read.repeat(3).as_bytes());
            stream
        })
        .collect();
    for _ in 0..10 {
        server.serves();
    }
    drop(clients);
    server.comes_to_rest();
}

#[test]
fn who_polls_and_goes_leaves_nothing_waiting() {
    let server = Watched::start();
    for round in 0..3 {
        let clients: Vec<TcpStream> = (0..CLIENTS)
            .map(|n| {
                let wish = json!({"group_id": format!("g{round}-{n}"), "topics": ["t"]});
                let (status, subscribed) = server.client().post("/api/consumers/subscribe", &wish);
                assert_eq!(status, 200, "{subscribed}");
                let id = subscribed["consumer_id"].as_str().expect("an id");
                let stream = server.connect();
                let poll = whole("POST", &format!("/api/consumers/{id}/consume"), r#"{"timeout_ms": 60000}"#);
                send(&stream, poll.as_bytes());
                stream
            })
            .collect();
        server.client().wait_for_parked_polls(CLIENTS as u64);
        drop(clients);
        server.client().wait_for_parked_polls(0);
    }
    server.comes_to_rest();
}
