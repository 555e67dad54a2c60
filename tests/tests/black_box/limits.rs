//! How much a client may ask for.

use std::thread;

use serde_json::{Value, json};
use takhin_tests::{
    broker::{Broker, Options},
    client::{Client, Whole},
    keyed::Keyed,
};

fn limited(arguments: &[&str]) -> (Broker, Client) {
    let arguments = arguments.iter().map(|text| (*text).to_owned()).collect();
    let broker = Broker::start(Options { arguments, ..Options::quick() });
    let client = broker.client();
    (broker, client)
}

fn send(client: &Client, method: &str, path: &str, body: Option<&str>) -> Whole {
    client.send(method, path, &[], body.map(|body| body.as_bytes().to_vec())).expect("an answer")
}

/// Asks until it is too much.
fn until_refused(ask: impl Fn() -> Whole) -> Whole {
    loop {
        let whole = ask();
        if whole.status == 429 {
            return whole;
        }
        assert_eq!(whole.status, 200, "{whole:?}");
    }
}

fn rate_limited(whole: &Whole, limit: &str, value: u64) {
    assert_eq!(
        (whole.status, &whole.body["code"], &whole.body["retryable"]),
        (429, &json!("rate_limited"), &json!(true))
    );
    assert_eq!((&whole.body["details"]["limit"], &whole.body["details"]["value"]), (&json!(limit), &json!(value)));
    assert!(whole.header("retry-after").parse::<u64>().expect("seconds") >= 1, "{whole:?}");
}

#[test]
fn too_many_requests_are_told_when_to_come_back_and_health_goes_on() {
    let (_broker, client) = limited(&["--limit-requests-per-second", "5"]);
    let refused = until_refused(|| send(&client, "GET", "/api/topics", None));
    rate_limited(&refused, "requests_per_second", 5);
    for _ in 0..20 {
        assert_eq!(client.get("/api/health/ready").0, 200);
    }
    let unknown = until_unknown_is_refused(&client);
    rate_limited(&unknown, "requests_per_second", 5);
}

/// What is nowhere counts too.
fn until_unknown_is_refused(client: &Client) -> Whole {
    loop {
        let whole = send(client, "GET", "/nowhere", None);
        if whole.status != 404 {
            return whole;
        }
    }
}

#[test]
fn a_poll_that_waits_and_a_stream_are_one_request_each() {
    let (_broker, client) = limited(&["--limit-concurrent-requests", "2"]);
    client.create_topic("t", 1);
    let consumer = client.subscribe("g", &["t"], &json!({}));
    let other = client.subscribe("h", &["t"], &json!({}));
    let poll = {
        let (client, path) = (client.clone(), format!("{consumer}/consume"));
        thread::spawn(move || client.post(&path, &json!({"timeout_ms": 300_000})))
    };
    client.wait_for_parked_polls(1);
    let stream = client.lines(&format!("{other}/stream"), &[]).expect("a stream");
    client.wait_for_parked_polls(2);
    rate_limited(&send(&client, "GET", "/api/topics", None), "concurrent_requests", 2);
    drop(stream);
    client.wait_for_parked_polls(1);
    eprintln!("waiting until the stream's place is free");
    while send(&client, "GET", "/api/topics", None).status == 429 {}
    assert_eq!(client.post("/api/topics/t/produce", &json!({"records": [{"value": "a"}]})).0, 200);
    assert_eq!(poll.join().expect("an answer").0, 200);
}

#[test]
fn bytes_are_paid_for_after_they_came() {
    let (_broker, client) = limited(&["--limit-ingress-bytes-per-second", "1024"]);
    client.create_topic("t", 1);
    let large = json!({"records": [{"value": "a".repeat(200_000)}]}).to_string();
    let produce = || send(&client, "POST", "/api/topics/t/produce", Some(&large));
    assert_eq!(produce().status, 200, "one passes, however large");
    let refused = produce();
    rate_limited(&refused, "ingress_bytes_per_second", 1024);
    let wait: u64 = refused.header("retry-after").parse().expect("seconds");
    assert!((100..=200).contains(&wait), "{wait} s for 200 kB");
    assert_eq!(client.get("/api/topics").0, 200, "without a body it passes");
}

#[test]
fn a_body_in_chunks_is_paid_for_too() {
    use std::{
        io::{Read as _, Write as _},
        net::TcpStream,
    };
    let (_broker, client) = limited(&["--limit-ingress-bytes-per-second", "1024"]);
    client.create_topic("t", 1);
    let body = json!({"records": [{"value": "a".repeat(50_000)}]}).to_string();
    let mut stream = TcpStream::connect(client.address()).expect("a connection");
    let head =
        "POST /api/topics/t/produce HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n";
    write!(stream, "{head}{:x}\r\n{body}\r\n0\r\n\r\n", body.len()).expect("it is sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    rate_limited(&send(&client, "POST", "/api/topics/t/produce", Some(&body)), "ingress_bytes_per_second", 1024);
}

#[test]
fn each_key_has_limits_of_its_own() {
    let keyed = Keyed::start(&["--limit-requests-per-second", "100000", "--limit-concurrent-requests", "50"]);
    let limits = |limits: Value| keyed.client(&json!({"limits": limits}));
    let (slow, other) = (limits(json!({"requests_per_second": 3})), limits(json!({})));
    rate_limited(&until_refused(|| send(&slow, "GET", "/api/topics", None)), "requests_per_second", 3);
    for _ in 0..20 {
        assert_eq!(other.get("/api/topics").0, 200, "one key's excess is no other's");
    }
}

#[test]
fn who_guesses_keys_is_held_to_the_limits_of_the_address() {
    let keyed = Keyed::start(&["--limit-requests-per-second", "5"]);
    let guesser = keyed.broker.client().with_key("takhin_0123456789abcdef_guess");
    loop {
        let whole = send(&guesser, "GET", "/api/topics", None);
        if whole.status == 429 {
            rate_limited(&whole, "requests_per_second", 5);
            break;
        }
        assert_eq!(whole.status, 401);
    }
}
