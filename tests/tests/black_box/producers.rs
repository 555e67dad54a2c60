//! Producing under conditions: where a log has to end, and who sends what for the second time.

use std::thread;

use serde_json::{Value, json};
use takhin_tests::{
    broker::{Broker, Options},
    client::{Client, Whole},
    local_only,
};

const WHY_LOCAL: &str = "Kafka has no means to recognise a producer's or a request's records";

const PRODUCE: &str = "/api/topics/t/produce";

fn broker(options: Options, partitions: u32) -> (Broker, Client) {
    let broker = Broker::start(options);
    let client = broker.client();
    client.create_topic("t", partitions);
    (broker, client)
}

fn send(client: &Client, producer_id: u64, epoch: u64, sequence: u64, values: &[&str]) -> (u16, Value) {
    let records: Vec<_> = values.iter().map(|value| json!({"value": value, "partition": 0})).collect();
    let body = json!({"records": records, "producer_id": producer_id, "epoch": epoch, "sequence": sequence});
    client.post(PRODUCE, &body)
}

/// The first offset, and whether it is a duplicate.
fn place((status, answer): (u16, Value)) -> (u64, bool) {
    assert_eq!(status, 200, "{answer}");
    (answer["offsets"][0]["offset"].as_u64().expect("an offset"), answer["duplicate"] == true)
}

fn refused((status, answer): (u16, Value)) -> (u16, String, Value) {
    let text = |field: &str| answer[field].as_str().unwrap_or_default().to_owned();
    assert_eq!(answer["retryable"], false, "{answer}");
    (status, text("code"), answer["details"].clone())
}

fn keyed(client: &Client, key: &str, body: &Value) -> Whole {
    client.send("POST", PRODUCE, &[("Idempotency-Key", key)], Some(body.to_string().into_bytes())).expect("an answer")
}

fn end(client: &Client, partition: usize) -> Value {
    client.get("/api/topics/t").1["offsets"][partition]["end"].clone()
}

#[test]
fn a_record_is_appended_where_it_is_expected_or_not_at_all() {
    local_only!("Kafka has no means for an expected offset");
    let (_broker, client) = broker(Options::quick(), 2);
    let at = |offset: i64| client.post(PRODUCE, &json!({"records": [{"partition": 1}], "expected_offset": offset}));
    assert_eq!(place(at(0)), (0, false));
    let details = json!({"topic": "t", "partition": 1, "expected": 0, "end": 1});
    assert_eq!(refused(at(0)), (412, "offset_mismatch".into(), details));
    assert_eq!(refused(at(2)).0, 412);
    assert_eq!(place(at(1)), (1, false));
    assert_eq!(end(&client, 1), 2);
}

#[test]
fn of_many_writers_at_one_offset_exactly_one_wins() {
    local_only!("Kafka has no means for an expected offset");
    let (broker, client) = broker(Options::default(), 1);
    for offset in 0..10 {
        let body = json!({"records": [{"value": "v"}], "expected_offset": offset});
        let statuses: Vec<u16> = thread::scope(|scope| {
            let writers: Vec<_> = (0..8).map(|_| scope.spawn(|| broker.client().post(PRODUCE, &body).0)).collect();
            writers.into_iter().map(|writer| writer.join().expect("an answer")).collect()
        });
        let won = statuses.iter().filter(|status| **status == 200).count();
        let lost = statuses.iter().filter(|status| **status == 412).count();
        assert_eq!((won, lost), (1, 7), "{statuses:?}");
    }
    assert_eq!(end(&client, 0), 10);
}

#[test]
fn a_batch_that_comes_again_is_recognised_before_and_after_a_kill() {
    local_only!(WHY_LOCAL);
    for durability in ["fsync", "os"] {
        let options = Options { durability: Some(durability.into()), ..Options::default() };
        let (mut broker, client) = broker(options, 2);
        assert_eq!(place(send(&client, 7, 0, 0, &["a", "b"])), (0, false));
        assert_eq!(place(send(&client, 7, 0, 2, &["c"])), (2, false));
        assert_eq!(place(send(&client, 7, 0, 0, &["a", "b"])), (0, true));
        broker.kill9();
        broker.restart();
        let client = broker.client();
        let (status, answer) = send(&client, 7, 0, 2, &["c"]);
        assert_eq!((status, &answer), (200, &json!({"offsets": [{"partition": 0, "offset": 2}], "duplicate": true})));
        let gap = json!({"topic": "t", "partition": 0, "producer_id": 7, "given": 4, "expected": 3});
        assert_eq!(refused(send(&client, 7, 0, 4, &["e"])), (409, "sequence_gap".into(), gap));
        assert_eq!(place(send(&client, 7, 0, 3, &["d"])), (3, false));
        // A clean stop keeps them too, in the snapshot.
        broker.restart();
        let client = broker.client();
        assert_eq!(place(send(&client, 7, 0, 3, &["d"])), (3, true));
        assert_eq!(end(&client, 0), 4);
    }
}

#[test]
fn a_newer_epoch_fences_the_older() {
    local_only!(WHY_LOCAL);
    let (mut broker, client) = broker(Options::quick(), 1);
    assert_eq!(place(send(&client, 7, 0, 0, &["a"])), (0, false));
    assert_eq!(place(send(&client, 7, 1, 0, &["b"])), (1, false));
    broker.kill9();
    broker.restart();
    let details = json!({"topic": "t", "partition": 0, "producer_id": 7, "given": 0, "current": 1});
    assert_eq!(refused(send(&broker.client(), 7, 0, 1, &["c"])), (409, "producer_fenced".into(), details));
}

#[test]
fn an_idempotency_key_makes_one_request_safe_to_repeat() {
    local_only!(WHY_LOCAL);
    let (mut broker, client) = broker(Options::quick(), 4);
    // Without keys and partitions: a repetition has to find the partition again.
    let body = json!({"records": [{"value": "a"}, {"value": "b"}, {"value": "c", "partition": 3}]});
    let first = keyed(&client, "order-17", &body);
    assert_eq!((first.status, &first.body["duplicate"]), (200, &Value::Null));
    let offsets = |answer: &Whole| -> Vec<_> {
        let list = answer.body["offsets"].as_array().expect("offsets").clone();
        list.iter().map(|place| (place["partition"].clone(), place["offset"].clone())).collect()
    };
    for restart in [false, true] {
        if restart {
            broker.kill9();
            broker.restart();
        }
        let again = keyed(&broker.client(), "order-17", &body);
        assert_eq!((again.status, &again.body["duplicate"]), (200, &json!(true)));
        assert_eq!(offsets(&again), offsets(&first));
    }
    let client = broker.client();
    let other = keyed(&client, "order-17", &json!({"records": [{"value": "x"}]}));
    assert_eq!((other.status, &other.body["code"]), (422, &json!("idempotency_key_reused")));
    assert_eq!(keyed(&client, "order-18", &body).body["duplicate"], Value::Null);
    let long = keyed(&client, &"k".repeat(256), &body);
    assert_eq!((long.status, &long.body["code"]), (422, &json!("invalid_idempotency_key")));
    let both = json!({"records": [{"partition": 0}], "producer_id": 7, "sequence": 0});
    let both = keyed(&client, "order-19", &both);
    assert_eq!((both.status, &both.body["code"]), (400, &json!("conflicting_fields")));
}

/// What was in the topic's partitions before is there, and nothing more.
fn ends(client: &Client) -> Vec<Value> {
    let topic = client.get("/api/topics/t").1;
    topic["offsets"].as_array().expect("partitions").iter().map(|partition| partition["end"].clone()).collect()
}

#[test]
fn an_idempotency_key_used_for_something_else_is_refused_whole() {
    local_only!(WHY_LOCAL);
    let (mut broker, client) = broker(Options::quick(), 4);
    let to = |partitions: &[u32]| {
        let records: Vec<_> =
            partitions.iter().map(|partition| json!({"value": "a", "partition": partition})).collect();
        json!({"records": records})
    };
    assert_eq!(keyed(&client, "k", &to(&[0, 1])).status, 200);
    for restart in [false, true] {
        if restart {
            broker.kill9();
            broker.restart();
        }
        let client = broker.client();
        for other in [to(&[2]), to(&[1, 2]), to(&[3, 0]), to(&[0]), to(&[0, 1, 1]), to(&[1, 0])] {
            let answer = keyed(&client, "k", &other);
            let seen = (answer.status, &answer.body["code"], &answer.body["retryable"]);
            assert_eq!(seen, (422, &json!("idempotency_key_reused"), &json!(false)), "{other}");
        }
        assert_eq!(ends(&client), [1, 1, 0, 0]);
        let again = keyed(&client, "k", &to(&[0, 1]));
        assert_eq!((again.status, &again.body["duplicate"]), (200, &json!(true)));
    }
    // Another topic knows nothing of it.
    let client = broker.client();
    client.create_topic("other", 1);
    let body = json!({"records": [{"value": "b"}]}).to_string().into_bytes();
    let answer = client.send("POST", "/api/topics/other/produce", &[("Idempotency-Key", "k")], Some(body));
    assert_eq!(answer.expect("an answer").status, 200);
}

#[test]
fn a_key_whose_records_would_go_elsewhere_by_now_is_refused() {
    local_only!(WHY_LOCAL);
    let (_broker, client) = broker(Options::quick(), 1);
    let body = json!({"records": (0..20).map(|n| json!({"key": format!("k{n}")})).collect::<Vec<_>>()});
    assert_eq!(keyed(&client, "k", &body).status, 200);
    assert_eq!(keyed(&client, "k", &body).body["duplicate"], true);
    assert_eq!(client.patch("/api/topics/t", &json!({"partitions": 3})).0, 200);
    let answer = keyed(&client, "k", &body);
    assert_eq!((answer.status, &answer.body["code"]), (422, &json!("idempotency_key_reused")));
    assert_eq!(ends(&client), [20, 0, 0]);
}

#[test]
fn a_request_that_was_half_done_is_done_when_it_is_repeated() {
    local_only!(WHY_LOCAL);
    let (broker, client) = broker(Options::quick(), 2);
    assert_eq!(client.patch("/api/topics/t", &json!({"segment_bytes": 1024})).0, 200);
    let filling = json!({"records": [{"value": "x".repeat(2000), "partition": 1}]});
    assert_eq!(client.post(PRODUCE, &filling).0, 200);
    // The partition needs a new segment next, and there is no place for it.
    let (place, away) = (broker.data_dir().join("logs/t-1"), broker.data_dir().join("away"));
    std::fs::rename(&place, &away).expect("moved");
    std::fs::write(&place, b"in the way").expect("written");
    let body = json!({"records": [{"value": "a", "partition": 0}, {"value": "b", "partition": 1}]});
    for duplicate in [false, true] {
        let half = keyed(&client, "k", &body);
        let seen = (half.status, &half.body["code"], &half.body["retryable"]);
        assert_eq!(seen, (503, &json!("partly_produced"), &json!(true)), "{duplicate}: {}", half.body);
        let told = &half.body["details"]["offsets"];
        assert_eq!((&told[0]["offset"], &told[1]), (&json!(0), &Value::Null), "{}", half.body);
    }
    let other = json!({"records": [{"value": "c", "partition": 0}]});
    let refused = keyed(&client, "k", &other);
    assert_eq!((refused.status, &refused.body["code"]), (422, &json!("idempotency_key_reused")));
    std::fs::remove_file(&place).expect("removed");
    std::fs::rename(&away, &place).expect("moved back");
    for _ in 0..2 {
        let whole = keyed(&client, "k", &body);
        let offsets = whole.body["offsets"].as_array().expect("offsets").iter().map(|place| &place["offset"]);
        assert_eq!((whole.status, offsets.collect::<Vec<_>>()), (200, vec![&json!(0), &json!(1)]));
    }
    assert_eq!(ends(&client), [1, 2]);
}

#[test]
fn many_repetitions_at_once_append_once() {
    local_only!(WHY_LOCAL);
    let (broker, client) = broker(Options::default(), 1);
    let body = json!({"records": [{"value": "once"}]});
    let answers: Vec<Whole> = thread::scope(|scope| {
        let writers: Vec<_> = (0..16).map(|_| scope.spawn(|| keyed(&broker.client(), "k", &body))).collect();
        writers.into_iter().map(|writer| writer.join().expect("an answer")).collect()
    });
    assert!(answers.iter().all(|answer| answer.status == 200 && answer.body["offsets"][0]["offset"] == 0));
    assert_eq!(answers.iter().filter(|answer| answer.body["duplicate"] == true).count(), 15);
    assert_eq!(end(&client, 0), 1);
}

#[test]
fn a_record_that_is_too_large_for_its_topic_is_named() {
    let (_broker, client) = broker(Options::quick(), 1);
    assert_eq!(client.patch("/api/topics/t", &json!({"max_message_bytes": 10})).0, 200);
    let (status, answer) =
        client.post(PRODUCE, &json!({"records": [{"value": "0123456789"}, {"value": "01234567890"}]}));
    assert_eq!((status, &answer["code"]), (413, &json!("record_too_large")));
    assert_eq!(answer["details"], json!({"field": "records[1]", "bytes": 11, "max_bytes": 10}));
    assert_eq!(end(&client, 0), 0);
}
