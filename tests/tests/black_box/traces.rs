//! What a live server wrote down of its steps happens again when it is replayed.

use std::{fs, thread};

use serde_json::{Value, json};
use takhin_core::trace::replay;
use takhin_tests::{
    api::values,
    broker::{Broker, Options},
    client::Client,
    local_only,
};
use tempfile::TempDir;

use crate::kafka_rest;

/// Producers, and groups whose members come, poll, commit, hang up and go, all at the same time, and some of them over
/// the Kafka REST API.
fn load(broker: &Broker) {
    let client = broker.client();
    client.create_topic("t", 4);
    thread::scope(|scope| {
        for producer in 0..2 {
            let client = broker.client();
            scope.spawn(move || {
                for n in 0..600 {
                    client.produce_values("t", (producer * 2 + n) % 4, &["a record that no trace may show", "b"]);
                }
            });
        }
        for member in 0..4 {
            let client = broker.client();
            scope.spawn(move || consume(&client, member));
        }
        let client = broker.client();
        scope.spawn(move || produce_over_kafka_rest(&client));
        for instance in ["three", "four"] {
            let client = broker.client();
            scope.spawn(move || consume_over_kafka_rest(&client, instance));
        }
    });
}

fn produce_over_kafka_rest(client: &Client) {
    for n in 0..200 {
        let records = json!({"records": [{"value": "a record that no trace may show"}, {"key": "b", "value": n}]});
        let whole = kafka_rest::send(client, "POST", "/kafka/topics/t", kafka_rest::JSON, &records);
        assert_eq!(whole.status, 200, "{:?}", whole.body);
    }
}

fn consume_over_kafka_rest(client: &Client, name: &str) {
    // Not everything in the topic is JSON.
    let options = json!({"format": "binary", "auto.commit.enable": "false"});
    for round in 0..3 {
        let instance = kafka_rest::subscribed(client, name, &options);
        for _ in 0..12 {
            kafka_rest::read(client, &instance);
            let (status, answer) = kafka_rest::post(client, &format!("{instance}/offsets"), &Value::Null);
            assert!([200, 409].contains(&status), "{answer}");
        }
        if round != 2 {
            assert_eq!(client.delete(&instance).0, 204);
        }
    }
}

fn consume(client: &Client, member: usize) {
    for round in 0..3 {
        let consumer = client.subscribe(["one", "two"][member % 2], &["t"], &json!({"auto_commit": member == 0}));
        for poll in 0..12 {
            let impatient = Client::with_timeout(client.base(), std::time::Duration::from_millis(20));
            let body = json!({"timeout_ms": 50, "max_records": 40});
            if poll % 5 == 4 {
                // Whether it is answered in time or not.
                let _ = impatient.request("POST", &format!("{consumer}/consume"), Some(&json!({"timeout_ms": 500})));
                continue;
            }
            let (status, answer) = client.post(&format!("{consumer}/consume"), &body);
            assert!([200, 409, 410].contains(&status), "{answer}");
            let (status, answer) = client.post(&format!("{consumer}/commit"), &json!({}));
            assert!([200, 409].contains(&status), "{answer}");
        }
        if round != 1 {
            client.delete(&consumer);
        }
    }
}

fn holds_no_values(trace: &str) {
    assert!(!trace.contains("no trace may show"));
}

#[test]
fn a_recording_under_load_replays_to_the_same_commands() {
    local_only!("a node has many cores, and makes no recording of all their steps");
    let directory = TempDir::new().expect("a directory");
    let file = directory.path().join("run.jsonl");
    let arguments = vec!["--record".to_owned(), file.display().to_string()];
    let mut broker = Broker::start(Options { arguments, ..Options::quick() });
    load(&broker);
    assert!(broker.terminate().success());
    let trace = fs::read_to_string(&file).expect("a recording");
    let (core, steps) = replay(&trace).expect("it says the same again");
    assert!(steps > 2_000, "{steps} steps");
    for group in ["one", "two", "g"] {
        assert!(trace.contains(&format!(r#""group":"{group}""#)), "{group} is in it");
    }
    let judged = takhin_simulation::replay(&trace).expect("no promise is broken");
    assert_eq!(judged, steps);
    assert_eq!(core.topic("t").map(|topic| topic.partitions), Some(4));
    holds_no_values(&trace);
}

#[test]
fn the_last_steps_of_a_live_server_replay_from_where_it_stood() {
    let arguments = vec!["--flight-recorder".to_owned(), "300".to_owned()];
    let broker = Broker::start(Options { arguments, ..Options::quick() });
    load(&broker);
    let client = broker.client();
    let get = |path: &str| match client.send("GET", path, &[], None).expect("an answer") {
        whole if whole.status == 200 => match whole.body {
            Value::String(text) => text,
            other => other.to_string(),
        },
        whole => panic!("{:?}", whole.body),
    };
    for steps in [1, 100, 300] {
        let trace = get(&format!("/api/debug/trace?steps={steps}"));
        let (_, replayed) = replay(&trace).expect("it says the same again");
        assert_eq!(replayed, steps);
        holds_no_values(&trace);
    }
    let (_, replayed) = replay(&get("/api/debug/trace")).expect("it says the same again");
    assert!(replayed >= 300, "{replayed}");
    let (status, refused) = client.get("/api/debug/trace?steps=0");
    assert_eq!((status, &refused["code"]), (422, &json!("out_of_range")));
    let consumer = client.subscribe("later", &["t"], &json!({}));
    assert!(!values(&client.poll(&consumer, &json!({"timeout_ms": 0}))["records"]).is_empty(), "it goes on");
}
