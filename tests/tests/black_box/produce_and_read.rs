//! Records in and out of a topic without a consumer: where they go, that they come back as they were, and how a read
//! walks through them.

use std::thread;

use serde_json::{Value, json};
use takhin_tests::{
    api::{offsets, values},
    broker::{Broker, Options},
    client::{Client, Whole},
    engine::Engine,
};

fn broker() -> (Broker, Client) {
    let broker = Broker::start(Options::quick());
    let client = broker.client();
    (broker, client)
}

fn read(client: &Client, path: &str) -> Whole {
    let whole = client.send("GET", path, &[], None).expect("an answer");
    assert_eq!(whole.status, 200, "{path}: {}", whole.body);
    whole
}

/// Produces one record, reads it back, and gives what came back without where and when.
fn round_trip(client: &Client, record: &Value) -> Value {
    let (partition, offset) = client.produce("t", &json!([record]))[0];
    let read = read(client, &format!("/api/topics/t/messages?partition={partition}&offset={offset}"));
    let mut record = read.body[0].clone();
    for field in ["topic", "partition", "offset", "timestamp"] {
        assert!(record.as_object_mut().expect("a record").remove(field).is_some(), "{field} of {record}");
    }
    record
}

#[test]
fn a_batch_is_told_where_each_of_its_records_went() {
    let (_broker, client) = broker();
    client.create_topic("t", 3);
    client.produce_values("t", 2, &["there before"]);
    let at = |partition: u32, timestamp: u64| json!({"partition": partition, "value": "v", "timestamp": timestamp});
    let body = json!({"records": [at(2, 11), at(0, 12), at(2, 13), at(1, 14), at(0, 15)]});
    let place = |partition: u32, offset: u64, timestamp: u64| json!({"partition": partition, "offset": offset, "timestamp": timestamp});
    assert_eq!(
        client.post("/api/topics/t/produce", &body),
        (
            200,
            json!({"offsets": [place(2, 1, 11), place(0, 0, 12), place(2, 2, 13), place(1, 0, 14), place(0, 1, 15)]})
        )
    );
    assert_eq!(
        client.get("/api/topics/t").1["offsets"],
        json!([
            {"partition": 0, "start": 0, "end": 2},
            {"partition": 1, "start": 0, "end": 1},
            {"partition": 2, "start": 0, "end": 3},
        ])
    );
}

/// The hashes are those of Kafka's own test of its murmur2.
#[test]
fn a_key_goes_where_a_kafka_producer_puts_it() {
    let (_broker, client) = broker();
    client.create_topic("t", 12);
    for (key, hash) in [
        ("21", -973_932_308_i32),
        ("foobar", -790_332_482),
        ("a-little-bit-long-string", -985_981_536),
        ("a-little-bit-longer-string", -1_486_304_829),
        ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
        ("abc", 479_470_107),
    ] {
        let expected = u64::from(hash.cast_unsigned() & 0x7fff_ffff) % 12;
        for _ in 0..3 {
            let places = client.produce("t", &json!([{"key": key, "value": "v"}, {"key": key, "value": "w"}]));
            assert!(places.iter().all(|(partition, _)| *partition == expected), "{key}: {places:?}, not {expected}");
        }
    }
}

#[test]
fn records_without_a_key_stay_together_and_requests_take_turns() {
    let (_broker, client) = broker();
    client.create_topic("t", 3);
    let batch = json!([{"value": "a"}, {"value": "b"}, {"value": "c"}]);
    let mut used: Vec<_> = (0..3)
        .map(|_| {
            let places = client.produce("t", &batch);
            assert!(places.windows(2).all(|pair| pair[0].0 == pair[1].0), "{places:?}");
            places[0].0
        })
        .collect();
    used.sort_unstable();
    assert_eq!(used, [0, 1, 2]);
}

#[test]
fn a_record_comes_back_as_it_was() {
    let (_broker, client) = broker();
    client.create_topic("t", 1);
    let plain = |key: Value, value: Value| json!({"key": key, "value": value, "headers": {}});
    for (given, expected) in [
        (json!({"key": "k", "value": "v"}), plain(json!("k"), json!("v"))),
        (json!({"key": "", "value": ""}), plain(json!(""), json!(""))),
        (json!({"key": null, "value": null}), plain(Value::Null, Value::Null)),
        (json!({"value": null}), plain(Value::Null, Value::Null)),
        (json!({}), plain(Value::Null, Value::Null)),
        (json!({"value": "\u{0}\u{1f}\"\\/é😀\u{2028}"}), plain(Value::Null, json!("\u{0}\u{1f}\"\\/é😀\u{2028}"))),
        (
            json!({"value": {"b": [1, 2.50, null], "a": "x"}}),
            plain(Value::Null, json!(r#"{"a":"x","b":[1,2.5,null]}"#)),
        ),
        (json!({"value": 7}), plain(Value::Null, json!("7"))),
        (json!({"value": false}), plain(Value::Null, json!("false"))),
        (
            json!({"key": "a2V5", "key_encoding": "base64", "value": "dmFsdWU=", "value_encoding": "base64"}),
            plain(json!("key"), json!("value")),
        ),
        (
            json!({"key": "/w==", "key_encoding": "base64", "value": "AP8=", "value_encoding": "base64"}),
            json!({"key": "/w==", "key_encoding": "base64", "value": "AP8=", "value_encoding": "base64", "headers": {}}),
        ),
        (
            json!({"value": "v", "headers": {"a": "1", "b": null, "c": ""}}),
            json!({"key": null, "value": "v", "headers": {"a": "1", "b": null, "c": ""}}),
        ),
        (
            json!({"value": "v", "headers_list": [{"key": "a", "value": "1"}, {"key": "a", "value": "2"}]}),
            json!({"key": null, "value": "v", "headers": {"a": "2"},
                "headers_list": [{"key": "a", "value": "1"}, {"key": "a", "value": "2"}]}),
        ),
    ] {
        assert_eq!(round_trip(&client, &given), expected, "{given}");
    }
}

/// A JSON value keeps the text in which it was written, spaces and the order of its fields included.
#[test]
fn a_json_value_is_stored_as_it_was_written() {
    let (_broker, client) = broker();
    client.create_topic("t", 1);
    let body = br#"{"records": [{"value": {"z": 1.50,  "a": [ ]}}]}"#.to_vec();
    assert_eq!(client.send("POST", "/api/topics/t/produce", &[], Some(body)).expect("an answer").status, 200);
    assert_eq!(values(&read(&client, "/api/topics/t/messages").body), [r#"{"z": 1.50,  "a": [ ]}"#]);
}

#[test]
fn any_bytes_survive_the_round_trip() {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (_broker, client) = broker();
    client.create_topic("t", 1);
    // Every byte, each three as four digits.
    let bytes: Vec<u8> = (0..=255).chain([0, 0xff]).collect();
    let encoded: String = bytes
        .chunks(3)
        .flat_map(|three| {
            let bits = three.iter().fold(0, |bits, byte| bits << 8 | usize::from(*byte));
            [18, 12, 6, 0].map(|shift| char::from(DIGITS[bits >> shift & 63]))
        })
        .collect();
    let record = json!({
        "key": encoded, "key_encoding": "base64", "value": encoded, "value_encoding": "base64", "headers": {},
    });
    assert_eq!(round_trip(&client, &record), record);
    let consumer = client.subscribe("g", &["t"], &json!({}));
    let polled = client.poll(&consumer, &json!({"timeout_ms": 0}));
    assert_eq!(polled["records"][0]["value"], encoded);
    assert_eq!(polled["records"][0]["value_encoding"], "base64");
}

#[test]
fn a_read_walks_by_limit_and_next_offset() {
    let (_broker, client) = broker();
    client.create_topic("t", 1);
    let all: Vec<_> = (0..25).map(|number| format!("v{number}")).collect();
    client.produce_values("t", 0, &all);
    let mut seen = Vec::new();
    let mut next = "0".to_owned();
    for expected in [10, 10, 5, 0] {
        let page = read(&client, &format!("/api/topics/t/messages?offset={next}&limit=10"));
        assert_eq!(page.body.as_array().expect("an array").len(), expected);
        page.header("x-next-offset").clone_into(&mut next);
        seen.extend(values(&page.body));
    }
    assert_eq!((seen, next.as_str()), (all, "25"));
    assert_eq!(offsets(&read(&client, "/api/topics/t/messages?offset=24").body), [24]);
    assert_eq!(read(&client, "/api/topics/t/messages?offset=25").body, json!([]));
}

#[test]
fn a_read_begins_where_a_time_begins() {
    let (_broker, client) = broker();
    client.create_topic("t", 2);
    let at = |timestamp: u64| json!({"partition": 1, "value": timestamp.to_string(), "timestamp": timestamp});
    for times in [[100, 300], [200, 400]] {
        client.produce("t", &Value::from(times.map(at).to_vec()));
    }
    for (time, first) in
        [(0, Some((0, 100))), (100, Some((0, 100))), (101, Some((1, 300))), (301, Some((3, 400))), (401, None)]
    {
        let (offset, timestamp) = first.map_or((Value::Null, Value::Null), |(o, t)| (json!(o), json!(t)));
        assert_eq!(
            client.get(&format!("/api/topics/t/partitions/1/offsets?timestamp_ms={time}")),
            (
                200,
                json!({"topic": "t", "partition": 1, "start": 0, "end": 4, "timestamp_ms": time, "offset": offset,
                "timestamp": timestamp})
            )
        );
        let page = read(&client, &format!("/api/topics/t/messages?partition=1&timestamp_ms={time}"));
        let expected: Vec<u64> = first.map_or(4..4, |(offset, _)| offset..4).collect();
        assert_eq!((offsets(&page.body), page.header("x-next-offset")), (expected, "4"));
    }
    assert_eq!(
        client.get("/api/topics/t/partitions/0/offsets"),
        (200, json!({"topic": "t", "partition": 0, "start": 0, "end": 0}))
    );
}

#[test]
fn a_waiting_read_wakes_when_a_record_comes() {
    let (_broker, client) = broker();
    client.create_topic("t", 1);
    let waiting = thread::spawn({
        let client = client.clone();
        move || read(&client, "/api/topics/t/messages?offset=0&wait_ms=60000")
    });
    client.wait_for_parked_polls(1);
    client.produce_values("t", 0, &["at last"]);
    let page = waiting.join().expect("no panic");
    assert_eq!((values(&page.body), page.header("x-next-offset")), (vec!["at last".to_owned()], "1"));
    let page = read(&client, "/api/topics/t/messages?offset=1&wait_ms=20");
    assert_eq!((page.body.clone(), page.header("x-next-offset")), (json!([]), "1"));
}

#[test]
fn a_request_with_one_bad_record_appends_nothing() {
    let (_broker, client) = broker();
    client.create_topic("t", 2);
    for bad in [
        json!({"value": "v", "partition": 2}),
        json!({"value": "v", "partition": -1}),
        json!({"value": "v", "timestamp": -1}),
        json!({"value": "not base64!", "value_encoding": "base64"}),
        json!({"vlaue": "v"}),
    ] {
        let body = json!({"records": [{"partition": 0, "value": "good"}, {"partition": 1, "value": "good"}, bad]});
        let (status, answer) = client.post("/api/topics/t/produce", &body);
        assert!((400..=422).contains(&status), "{answer}");
    }
    assert_eq!(
        client.get("/api/topics/t").1["offsets"],
        json!([{"partition": 0, "start": 0, "end": 0}, {"partition": 1, "start": 0, "end": 0}])
    );
}

#[test]
fn topics_are_created_on_the_way_where_the_server_is_set_to() {
    let broker = Broker::start(Options { arguments: vec!["--auto-create-topics=4".into()], ..Options::quick() });
    let client = broker.client();
    client.produce("by-producer", &json!([{"value": "v"}]));
    assert_eq!(client.get("/api/topics/by-producer").1["partitions"], 4);
    let consumer = client.subscribe("g", &["by-consumer"], &json!({}));
    assert_eq!(client.get(&format!("{consumer}/assignment")).1["assignment"], json!({"by-consumer": [0, 1, 2, 3]}));
    // Reading creates nothing.
    assert_eq!(client.get("/api/topics/by-reader/messages?partition=0").0, 404);
    assert_eq!(client.get("/api/topics/by-reader").0, 404);
}

#[test]
fn a_topic_is_made_on_first_use_by_many_at_once_and_not_by_a_refused_request() {
    let options = Options { arguments: vec!["--auto-create-topics=3".into()], ..Options::quick() };
    let broker = Broker::start(options);
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                let (status, answer) =
                    broker.client().post("/api/topics/new/produce", &json!({"records": [{"value": "x"}]}));
                assert_eq!(status, 200, "{answer}");
            });
        }
    });
    let client = broker.client();
    assert_eq!(client.get("/api/topics/new").1["partitions"], 3);
    for refused in [json!({}), json!({"records": []}), json!({"records": [{"partition": 7}]}), json!({"recrods": []})] {
        let (status, _) = client.post("/api/topics/refused/produce", &refused);
        assert!((400..500).contains(&status), "{status}");
        assert_eq!(client.get("/api/topics/refused").0, 404, "{refused}");
    }
}

#[test]
fn a_subscription_that_is_refused_makes_no_topic() {
    let broker = Broker::start(Options { arguments: vec!["--auto-create-topics".into()], ..Options::quick() });
    let client = broker.client();
    let consumer = client.subscribe("g", &["t"], &json!({}));
    let id = consumer.rsplit('/').next().expect("an id");
    let other = json!({"group_id": "other", "topics": ["t", "new"], "consumer_id": id});
    let (status, refused) = client.post("/api/consumers/subscribe", &other);
    assert_eq!((status, &refused["code"]), (409, &json!("consumer_exists")));
    assert_eq!(client.get("/api/topics/new").0, 404);
}

#[test]
fn compressed_records_are_read_as_they_were_produced() {
    let (mut broker, client) = broker();
    client.create_topic("t", 1);
    let text = "the same words again and again, ".repeat(50);
    let mut sent = Vec::new();
    for compression in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let produced: Vec<_> = (0..10).map(|n| format!("{compression} {n} {text}")).collect();
        let records: Vec<_> = produced.iter().map(|value| json!({"value": value})).collect();
        let body = json!({"compression": compression, "records": records});
        let (status, answer) = client.post("/api/topics/t/produce", &body);
        assert_eq!(status, 200, "{answer}");
        sent.extend(produced);
    }
    broker.kill9();
    broker.restart();
    let client = broker.client();
    assert_eq!(values(&Value::from(client.read_from("t", 0, 0))), sent);
    let consumer = client.subscribe("g", &["t"], &json!({}));
    assert_eq!(client.poll_values(&consumer), sent);
    if Engine::of_this_run() == Engine::Local {
        a_topic_is_packed_as_it_is_set(&broker, &text);
    }
    let body = json!({"compression": "rar", "records": [{}]});
    assert_eq!(client.post("/api/topics/t/produce", &body).0, 422);
}

/// What a topic is set to holds for requests that don't say.
fn a_topic_is_packed_as_it_is_set(broker: &Broker, text: &str) {
    let client = broker.client();
    let size = || std::fs::metadata(broker.data_dir().join("logs/t-0/00000000000000000000.log")).expect("a log").len();
    let before = size();
    assert_eq!(client.patch("/api/topics/t", &json!({"compression": "zstd"})).0, 200);
    client.produce_values("t", 0, &[text]);
    let packed = size() - before;
    assert!(packed < 300, "{packed} bytes for {}", text.len());
    let body = json!({"compression": "none", "records": [{"value": text}]});
    assert_eq!(client.post("/api/topics/t/produce", &body).0, 200);
    assert!(size() - before - packed > 1_500);
}
