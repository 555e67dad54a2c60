//! Polls that wait: what ends them, and that nothing is lost when their answer does not arrive.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    thread::{self, JoinHandle},
};

use serde_json::{Value, json};
use takhin_tests::{
    api::{offsets, values},
    broker::{Broker, Options},
    client::{Answer, Client},
    local_only,
};

fn broker() -> (Broker, Client) {
    let broker = Broker::start(Options::quick());
    let client = broker.client();
    client.create_topic("t", 1);
    (broker, client)
}

/// Begins a poll that waits for a minute.
fn park(client: &Client, consumer: &str) -> JoinHandle<Answer> {
    let (client, path) = (client.clone(), format!("{consumer}/consume"));
    thread::spawn(move || client.post(&path, &json!({"timeout_ms": 60_000})))
}

fn ended(poll: JoinHandle<Answer>) -> Answer {
    poll.join().expect("the poll did not panic")
}

/// Sends a poll on a connection of its own, and reads nothing.
fn poll_unread(client: &Client, consumer: &str, body: &Value) -> TcpStream {
    let mut stream = TcpStream::connect(client.address()).expect("a connection");
    let body = body.to_string();
    let head = format!("POST {consumer}/consume HTTP/1.1\r\nHost: takhin\r\nContent-Length: {}\r\n\r\n", body.len());
    stream.write_all(format!("{head}{body}").as_bytes()).expect("the poll is sent");
    stream
}

/// Closes a connection so that the other side hears of it at once, whatever it has still to read.
fn cut(stream: &TcpStream) {
    stream.shutdown(std::net::Shutdown::Both).expect("a connection can be closed");
}

#[test]
fn a_poll_waits_for_a_record() {
    let (_broker, client) = broker();
    let consumer = client.subscribe("g", &["t"], &json!({}));
    let poll = park(&client, &consumer);
    client.wait_for_parked_polls(1);
    client.produce_values("t", 0, &["news"]);
    let (status, answer) = ended(poll);
    assert_eq!((status, values(&answer["records"])), (200, vec!["news".to_owned()]));
    client.wait_for_parked_polls(0);
}

#[test]
fn a_poll_ends_empty_when_its_time_is_over() {
    let (_broker, client) = broker();
    let consumer = client.subscribe("g", &["t"], &json!({}));
    for timeout_ms in [0, 50] {
        let answer = client.poll(&consumer, &json!({"timeout_ms": timeout_ms}));
        assert_eq!((&answer["records"], &answer["positions"]), (&json!([]), &json!({"t": {"0": 0}})));
    }
    client.wait_for_parked_polls(0);
}

#[test]
fn a_poll_waits_for_as_many_bytes_as_it_wants() {
    let (_broker, client) = broker();
    let consumer = client.subscribe("g", &["t"], &json!({}));
    let poll = thread::spawn({
        let (client, path) = (client.clone(), format!("{consumer}/consume"));
        move || client.post(&path, &json!({"timeout_ms": 60_000, "min_bytes": 1_000}))
    });
    client.wait_for_parked_polls(1);
    client.produce_values("t", 0, &["little"]);
    assert_eq!(client.parked_polls(), 1);
    client.produce_values("t", 0, &["x".repeat(1_000)]);
    assert_eq!(offsets(&ended(poll).1["records"]), [0, 1]);
}

#[test]
fn a_newer_poll_takes_the_place_of_the_one_that_waits() {
    let (_broker, client) = broker();
    let consumer = client.subscribe("g", &["t"], &json!({}));
    let first = park(&client, &consumer);
    client.wait_for_parked_polls(1);
    let second = park(&client, &consumer);
    let (status, answer) = ended(first);
    assert_eq!((status, &answer["code"]), (409, &json!("poll_superseded")), "{answer}");
    client.wait_for_parked_polls(1);
    client.produce_values("t", 0, &["for the second"]);
    assert_eq!(values(&ended(second).1["records"]), ["for the second"]);
}

#[test]
fn closing_the_consumer_ends_its_poll() {
    let (_broker, client) = broker();
    let consumer = client.subscribe("g", &["t"], &json!({}));
    let poll = park(&client, &consumer);
    client.wait_for_parked_polls(1);
    assert_eq!(client.delete(&consumer).0, 200);
    let (status, answer) = ended(poll);
    assert_eq!((status, &answer["code"]), (410, &json!("consumer_expired")), "{answer}");
    assert_eq!(client.parked_polls(), 0);
}

#[test]
fn a_topic_that_goes_ends_what_waits_for_it() {
    let (_broker, client) = broker();
    let consumer = client.subscribe("g", &["t"], &json!({}));
    let poll = park(&client, &consumer);
    let read = thread::spawn({
        let client = client.clone();
        move || client.get("/api/topics/t/messages?wait_ms=60000")
    });
    client.wait_for_parked_polls(2);
    assert_eq!(client.delete("/api/topics/t").0, 200);
    let (status, answer) = ended(poll);
    assert_eq!((status, &answer["rebalance"]), (200, &json!({"assigned": {}, "revoked": {"t": [0]}})), "{answer}");
    let (status, answer) = ended(read);
    assert_eq!((status, &answer["code"]), (404, &json!("topic_not_found")), "{answer}");
    assert_eq!(client.parked_polls(), 0);
}

#[test]
fn a_client_that_hangs_up_leaves_nothing_behind() {
    let (_broker, client) = broker();
    let consumers: Vec<_> = (0..20).map(|n| client.subscribe(&format!("g{n}"), &["t"], &json!({}))).collect();
    let polls: Vec<_> = consumers.iter().map(|it| poll_unread(&client, it, &json!({"timeout_ms": 60_000}))).collect();
    client.wait_for_parked_polls(20);
    drop(polls);
    client.wait_for_parked_polls(0);
    client.produce_values("t", 0, &["kept"]);
    for consumer in &consumers {
        assert_eq!(client.poll_values(consumer), ["kept"]);
    }
}

/// Each round's record arrives at about the moment at which the client hangs up. Whether it went out can't be known to
/// the client, so it says what it has: nothing after the batch before.
#[test]
fn a_record_that_comes_while_the_client_hangs_up_is_not_skipped() {
    let (_broker, client) = broker();
    let consumer = client.subscribe("g", &["t"], &json!({}));
    let mut after = 0;
    for round in 0..200 {
        let poll = poll_unread(&client, &consumer, &json!({"timeout_ms": 60_000, "after_batch": after}));
        if round % 2 == 0 {
            client.wait_for_parked_polls(1);
        }
        let hang_up = thread::spawn(move || cut(&poll));
        client.produce_values("t", 0, &[round.to_string()]);
        hang_up.join().expect("the connection was cut");
        let answer = client.poll(&consumer, &json!({"timeout_ms": 60_000, "after_batch": after}));
        assert_eq!(values(&answer["records"]), [round.to_string()]);
        after = answer["batch_id"].as_u64().expect("a batch");
    }
}

/// More than the system's buffers hold, so the server notices that the answer could not be delivered.
#[test]
fn an_answer_that_breaks_off_is_given_again() {
    local_only!("a poll brings what Kafka gives at a time, which fits into the buffers on the way");
    let (_broker, client) = broker();
    let text = "x".repeat(900_000);
    for _ in 0..40 {
        client.produce_values("t", 0, &[&text]);
    }
    let consumer = client.subscribe("g", &["t"], &json!({}));
    let all = json!({"max_bytes_total": 64 << 20, "timeout_ms": 0});
    for _ in 0..3 {
        let mut poll = poll_unread(&client, &consumer, &all);
        let mut some = vec![0; 100_000];
        poll.read_exact(&mut some).expect("the answer begins");
        drop(poll);
        // The position goes back as soon as the server sees that nobody takes the rest.
        while client.get(&format!("{consumer}/position")).1["offsets"]["t"]["0"] != 0 {
            thread::yield_now();
        }
    }
    // An answer has as much as is at hand, which need not be all.
    let mut came = Vec::new();
    while came.len() < 40 {
        let more = offsets(&client.poll(&consumer, &all)["records"]);
        assert!(!more.is_empty(), "all of it is there");
        came.extend(more);
    }
    assert_eq!(came, (0..40).collect::<Vec<_>>());
}

#[test]
fn a_batch_is_replayed_exactly_for_whoever_says_what_came_before_it() {
    let (_broker, client) = broker();
    let consumer = client.subscribe("g", &["t"], &json!({}));
    let poll = |body: Value| client.poll(&consumer, &body);
    client.produce_values("t", 0, &["a", "b", "c"]);
    let first = poll(json!({"max_records": 2, "timeout_ms": 0, "after_batch": 0}));
    // The answer was lost; more has come meanwhile, and the limits are others.
    client.produce_values("t", 0, &["d"]);
    let mut again = poll(json!({"max_records": 500, "timeout_ms": 0, "after_batch": 0}));
    again["timestamp"] = first["timestamp"].clone();
    assert_eq!((&again["records"], &again["batch_id"]), (&first["records"], &first["batch_id"]));
    assert_eq!((&again["positions"], &again["generation"]), (&first["positions"], &first["generation"]));
    let after = first["batch_id"].clone();
    // A moment may pass until what was appended is there for a poll.
    let second = poll(json!({"max_records": 2, "min_bytes": 1 << 20, "timeout_ms": 60_000, "after_batch": after}));
    assert_eq!(values(&second["records"]), ["c", "d"]);
    // Without a word about what arrived, the last batch counts as received.
    let third = poll(json!({"timeout_ms": 0}));
    assert_eq!(third["records"], json!([]));
    let (status, refused) =
        client.post(&format!("{consumer}/consume"), &json!({"timeout_ms": 0, "after_batch": after}));
    assert_eq!((status, &refused["code"]), (409, &json!("batch_unknown")), "{refused}");
}

#[test]
fn two_hundred_polls_of_one_partition_all_wake() {
    let (_broker, client) = broker();
    let polls: Vec<_> = (0..200)
        .map(|number| {
            let consumer = client.subscribe(&format!("g{number}"), &["t"], &json!({}));
            (park(&client, &consumer), consumer)
        })
        .collect();
    client.wait_for_parked_polls(200);
    client.produce_values("t", 0, &["for all"]);
    for (poll, consumer) in polls {
        let (status, answer) = ended(poll);
        assert_eq!((status, values(&answer["records"])), (200, vec!["for all".to_owned()]), "{consumer}");
    }
    assert_eq!(client.parked_polls(), 0);
}

#[test]
fn a_parked_poll_keeps_the_session_and_silence_ends_it() {
    let (_broker, client) = broker();
    let consumer = client.subscribe("g", &["t"], &json!({"session_timeout_ms": 1_000}));
    // Longer than the session may be silent.
    assert_eq!(client.poll(&consumer, &json!({"timeout_ms": 2_500}))["records"], json!([]));
    assert_eq!(client.get(&consumer).0, 200);
    // A group that committed nothing is forgotten with its last member.
    while client.get("/api/consumer-groups/g").0 != 404 {
        thread::sleep(std::time::Duration::from_millis(20));
    }
    let (status, answer) = client.get(&consumer);
    assert_eq!((status, &answer["code"]), (404, &json!("consumer_expired")), "{answer}");
}
