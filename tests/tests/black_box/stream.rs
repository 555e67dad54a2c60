//! A consumer's records as server-sent events.

use serde_json::{Value, json};
use takhin_tests::{
    api::values,
    broker::{Broker, Options},
    client::Client,
};

/// One event: its kind, its id, its data.
#[derive(Debug, PartialEq)]
struct Event {
    kind: String,
    id: Option<String>,
    data: Value,
}

/// What a stream sends, as an `EventSource` would understand it; a comment is an event of kind `:`.
struct Events<L>(L);

impl<L: Iterator<Item = String>> Iterator for Events<L> {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        let mut event = Event { kind: "message".to_owned(), id: None, data: Value::Null };
        let mut any = false;
        loop {
            let line = self.0.next()?;
            let Some((field, value)) = line.split_once(':') else {
                if any {
                    return Some(event);
                }
                continue;
            };
            let value = value.trim_start().to_owned();
            any |= field != "retry";
            match field {
                "" => event.kind = ':'.into(),
                "event" => event.kind = value,
                "id" => event.id = Some(value),
                "data" => event.data = serde_json::from_str(&value).expect("JSON"),
                "retry" => {}
                other => panic!("a field {other:?}"),
            }
        }
    }
}

fn open(client: &Client, path: &str, last: Option<&str>) -> Events<impl Iterator<Item = String> + use<>> {
    let headers: Vec<_> = last.map(|id| ("last-event-id", id)).into_iter().collect();
    Events(client.lines(path, &headers).expect("a stream"))
}

fn started() -> (Broker, Client, String) {
    let broker = Broker::start(Options::quick());
    let client = broker.client();
    client.post("/api/topics", &json!({"name": "t", "partitions": 1}));
    let consumer = client.subscribe("g", &["t"], &json!({"auto_commit": false}));
    (broker, client, consumer)
}

#[test]
fn records_come_as_events_as_they_are_produced() {
    let (_broker, client, consumer) = started();
    client.produce_values("t", 0, &["a", "b"]);
    let mut events = open(&client, &format!("{consumer}/stream?max_records=1"), None);
    let first = events.next().expect("the assignment, or a record");
    let first = if first.kind == "rebalance" { events.next().expect("a record") } else { first };
    assert_eq!((first.kind.as_str(), first.id.as_deref()), ("message", Some("t/0:1")));
    assert_eq!(values(&first.data["records"]), ["a"]);
    assert_eq!(first.data["positions"], json!({"t": {"0": 1}}));
    assert_eq!(events.next().expect("another").id.as_deref(), Some("t/0:2"));
    client.produce_values("t", 0, &["c"]);
    let third = events.next().expect("what came meanwhile");
    assert_eq!((values(&third.data["records"]), third.id.as_deref()), (vec!["c".to_owned()], Some("t/0:3")));
}

#[test]
fn a_stream_says_that_it_lives() {
    let (_broker, client, consumer) = started();
    let mut events = open(&client, &format!("{consumer}/stream?heartbeat_ms=1000"), None);
    assert!(events.by_ref().take(3).any(|event| event.kind == ":"));
}

#[test]
fn who_comes_back_goes_on_behind_the_event_that_it_names() {
    let (_broker, client, consumer) = started();
    client.produce_values("t", 0, &["a", "b", "c", "d"]);
    let path = format!("{consumer}/stream?max_records=1");
    let messages = |events: Events<_>| events.filter(|event| event.kind == "message");
    let seen: Vec<_> = messages(open(&client, &path, None)).take(3).collect();
    assert_eq!(seen[1].id.as_deref(), Some("t/0:2"));
    // All of it was written, and of that only two events were read.
    let again: Vec<_> = messages(open(&client, &path, Some("t/0:2"))).take(2).collect();
    let again: Vec<_> = again.iter().flat_map(|event| values(&event.data["records"])).collect();
    assert_eq!(again, ["c", "d"]);
}

#[test]
fn a_stream_survives_kill_with_nothing_lost_or_doubled() {
    let (mut broker, client, consumer) = started();
    let path = format!("{consumer}/stream?max_records=7");
    let mut got: Vec<String> = Vec::new();
    let mut last: Option<String> = None;
    for round in 0..4 {
        let batch: Vec<String> = (0..50).map(|n| format!("{round}-{n}")).collect();
        client.produce_values("t", 0, &batch.iter().map(String::as_str).collect::<Vec<_>>());
        let client = broker.client();
        for event in open(&client, &path, last.as_deref()).filter(|event| event.kind == "message") {
            got.extend(values(&event.data["records"]));
            last = event.id;
            // In the middle of what there is, with events on their way.
            if got.len() >= round * 50 + 20 && (round < 3 || got.len() == 200) {
                break;
            }
        }
        if round < 3 {
            broker.kill9();
            broker.restart();
        }
    }
    let all: Vec<String> = (0..4).flat_map(|round| (0..50).map(move |n| format!("{round}-{n}"))).collect();
    assert_eq!(got, all);
}

#[test]
fn a_stream_takes_the_place_of_the_one_whose_connection_is_dead_unnoticed() {
    let (_broker, client, consumer) = started();
    let written: Vec<_> = (0..300).map(|number| number.to_string()).collect();
    client.produce_values("t", 0, &written.iter().map(String::as_str).collect::<Vec<_>>());
    let path = format!("{consumer}/stream?max_records=1");
    let mut former = Vec::new();
    let (mut last, mut seen) = (None::<String>, Vec::new());
    while seen.len() < written.len() {
        let mut events = open(&client, &path, last.as_deref());
        for event in events.by_ref().filter(|event| event.kind == "message").take(3) {
            seen.extend(values(&event.data["records"]));
            last = event.id;
        }
        // Nobody reads it any more, and nobody says so.
        former.push(events);
    }
    assert_eq!(seen, written);
    let ends = former.swap_remove(0).last().expect("an event");
    assert_eq!((ends.kind.as_str(), &ends.data["code"]), ("error", &json!("poll_superseded")));
}

#[test]
fn a_client_that_does_not_read_keeps_its_position() {
    let (_broker, client, consumer) = started();
    let text = "x".repeat(900_000);
    for _ in 0..40 {
        client.produce_values("t", 0, &[&text]);
    }
    let mut events = open(&client, &format!("{consumer}/stream?max_records=1"), None);
    assert!(events.by_ref().any(|event| event.kind == "message"));
    let position = || client.get(&format!("{consumer}/position")).1["offsets"]["t"]["0"].as_u64().expect("one");
    // It goes on until no buffer on the way takes any more, and stays there.
    let mut stood = position();
    loop {
        std::thread::sleep(std::time::Duration::from_millis(500));
        let now = position();
        if now == stood {
            break;
        }
        stood = now;
    }
    assert!(stood < 40, "all of it was sent, to nobody");
    assert_eq!(events.filter(|event| event.kind == "message").take(39).count(), 39, "and none of it is lost");
}

#[test]
fn a_change_of_the_assignment_is_an_event() {
    let broker = Broker::start(Options::quick());
    let client = broker.client();
    client.post("/api/topics", &json!({"name": "t", "partitions": 2}));
    let first = client.subscribe("g", &["t"], &json!({}));
    let events = open(&client, &format!("{first}/stream"), None);
    client.subscribe("g", &["t"], &json!({}));
    let mut changes = events.filter(|event| event.kind == "rebalance");
    let revoked = changes.find(|event| event.data["revoked"] != json!({})).expect("a partition goes");
    assert_eq!(revoked.data["revoked"]["t"].as_array().map(Vec::len), Some(1), "{revoked:?}");
    assert!(revoked.data["generation"].as_u64() >= Some(2), "{revoked:?}");
}

#[test]
fn what_is_wrong_with_a_stream_is_said_before_it_begins() {
    let (_broker, client, consumer) = started();
    let refused = |path: &str, headers: &[(&str, &str)]| {
        let (status, body) = client.lines(path, headers).err().expect("a refusal");
        (status, body["code"].as_str().expect("a code").to_owned())
    };
    let nobody = "/api/consumers/00000000-0000-0000-0000-000000000000/stream";
    assert_eq!(refused(nobody, &[]), (404, "consumer_not_found".to_owned()));
    assert_eq!(refused(&format!("{consumer}/stream?heartbeat_ms=1"), &[]), (422, "out_of_range".to_owned()));
    assert_eq!(refused(&format!("{consumer}/stream?max_records=0"), &[]), (422, "out_of_range".to_owned()));
    assert_eq!(refused(&format!("{consumer}/stream?nope=1"), &[]), (400, "unknown_parameter".to_owned()));
    let wrong = refused(&format!("{consumer}/stream"), &[("last-event-id", "seven")]);
    assert_eq!(wrong, (400, "invalid_last_event_id".to_owned()));
}

#[test]
fn what_ends_a_stream_is_its_last_event() {
    let (_broker, client, consumer) = started();
    let events = open(&client, &format!("{consumer}/stream"), None);
    client.wait_for_parked_polls(1);
    client.delete(&consumer);
    let last = events.last().expect("an error");
    assert_eq!(last.kind, "error");
    assert_eq!(last.data["code"], "consumer_expired", "{last:?}");
    assert_ne!(last.data["request_id"], "");
}

#[test]
fn a_server_that_stops_ends_its_streams() {
    let (mut broker, client, consumer) = started();
    let events = open(&client, &format!("{consumer}/stream"), None);
    client.wait_for_parked_polls(1);
    assert!(broker.terminate().success());
    assert_eq!(events.last().expect("an error").data["code"], "shutting_down");
}
