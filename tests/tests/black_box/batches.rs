//! Kafka's record batches out as they are stored, and in as they came; read and written by an independent codec.

use bytes::{Buf as _, Bytes, BytesMut};
use kafka_protocol::records::{
    Compression, Record, RecordBatchDecoder, RecordBatchEncoder, RecordEncodeOptions, TimestampType,
};
use serde_json::{Value, json};
use takhin_tests::{
    broker::{Broker, Options},
    client::Client,
    local_only,
};

const BATCHES: &str = "application/vnd.kafka.record-batches";

fn started(partitions: u32) -> (Broker, Client) {
    let broker = Broker::start(Options::quick());
    let client = broker.client();
    client.create_topic("t", partitions);
    (broker, client)
}

/// Offsets and values of all records in these batches.
fn decoded(bytes: &[u8]) -> Vec<(u64, String)> {
    let mut bytes = Bytes::copy_from_slice(bytes);
    let mut all = Vec::new();
    while bytes.has_remaining() {
        for record in RecordBatchDecoder::decode(&mut bytes).expect("a batch").records {
            let value = String::from_utf8(record.value.expect("a value").to_vec()).expect("text");
            all.push((u64::try_from(record.offset).expect("an offset"), value));
        }
    }
    all
}

fn encoded(values: &[&str], compression: Compression, producer: Option<(i64, i32)>) -> Vec<u8> {
    let record = |(n, value): (i32, &&str)| Record {
        transactional: false,
        control: false,
        delete_horizon: false,
        partition_leader_epoch: -1,
        producer_id: producer.map_or(-1, |(id, _)| id),
        producer_epoch: producer.map_or(-1, |_| 0),
        timestamp_type: TimestampType::Creation,
        offset: n.into(),
        sequence: producer.map_or(n - 1, |(_, sequence)| sequence + n),
        timestamp: 1_700_000_000_000 + i64::from(n),
        key: None,
        value: Some(Bytes::copy_from_slice(value.as_bytes())),
        headers: [].into_iter().collect(),
    };
    let records: Vec<_> = (0..).zip(values).map(record).collect();
    let mut bytes = BytesMut::new();
    RecordBatchEncoder::encode(&mut bytes, &records, &RecordEncodeOptions { version: 2, compression })
        .expect("it fits");
    bytes.to_vec()
}

fn produce(client: &Client, query: &str, body: Vec<u8>) -> (u16, Value) {
    let path = format!("/api/topics/t/produce{query}");
    let answer = client.send("POST", &path, &[("content-type", BATCHES)], Some(body)).expect("an answer");
    (answer.status, answer.body)
}

fn read(client: &Client, query: &str) -> (Vec<(u64, String)>, u64) {
    let path = format!("/api/topics/t/messages?{query}");
    let (status, headers, body) =
        client.send_for_bytes("GET", &path, &[("accept", BATCHES)], Vec::new()).expect("an answer");
    assert_eq!(status, 200, "{}", String::from_utf8_lossy(&body));
    let next = headers["x-next-offset"].to_str().expect("text").parse().expect("an offset");
    (decoded(&body), next)
}

/// The sections of a poll's answer, and its end: what a client has to do.
fn sections(mut body: &[u8]) -> (Vec<(Value, Vec<u8>)>, Value) {
    let mut sections = Vec::new();
    loop {
        let at = body.iter().position(|byte| *byte == b'\n').expect("a line");
        let head: Value = serde_json::from_slice(&body[..at]).expect("JSON");
        body = &body[at + 1..];
        if let Some(end) = head.get("end") {
            assert!(body.is_empty(), "the last line is the last");
            return (sections, end.clone());
        }
        let (batches, rest) = body.split_at(usize::try_from(head["bytes"].as_u64().expect("a length")).expect("one"));
        sections.push((head, batches.to_vec()));
        body = rest;
    }
}

fn poll(client: &Client, consumer: &str, body: &Value) -> (Vec<(Value, Vec<u8>)>, Value) {
    let path = format!("{consumer}/consume");
    let headers = [("accept", BATCHES)];
    let (status, _, answer) =
        client.send_for_bytes("POST", &path, &headers, body.to_string().into_bytes()).expect("an answer");
    assert_eq!(status, 200, "{}", String::from_utf8_lossy(&answer));
    sections(&answer)
}

#[test]
fn a_read_gives_batches_as_they_are_stored() {
    local_only!("batches are made anew of what Kafka holds");
    let (_broker, client) = started(1);
    for n in 0..4 {
        let records: Vec<_> = (0..3).map(|m| json!({"value": format!("{n}-{m}").repeat(50)})).collect();
        let (status, _) = client.post(
            "/api/topics/t/produce",
            &json!({"records": records, "compression": if n % 2 == 0 { "none" } else { "zstd" }}),
        );
        assert_eq!(status, 200);
    }
    let all: Vec<_> = (0..12).map(|n| (n, format!("{}-{}", n / 3, n % 3).repeat(50))).collect();
    assert_eq!(read(&client, ""), (all.clone(), 12));
    assert_eq!(read(&client, "offset=4"), (all[3..].to_vec(), 12), "from the first batch that has the offset");
    assert_eq!(
        read(&client, "offset=4&limit=3"),
        (all[3..9].to_vec(), 9),
        "the batch with which a limit is reached is whole"
    );
    assert_eq!(read(&client, "offset=1&max_bytes=1"), (all[..3].to_vec(), 3), "and one fits always");
    assert_eq!(read(&client, "offset=12"), (vec![], 12));
}

#[test]
fn a_read_says_where_it_began_and_where_the_log_starts_and_ends() {
    local_only!("when old records go is Kafka's to say");
    let arguments = vec!["--cleanup-interval-ms=10".into()];
    let broker = Broker::start(Options { arguments, ..Options::quick() });
    let client = broker.client();
    assert_eq!(client.post("/api/topics", &json!({"name": "t", "segment_bytes": 1024})).0, 201);
    for n in 0..12 {
        client.produce_values("t", 0, &[format!("{n:03}").repeat(100)]);
    }
    assert_eq!(client.patch("/api/topics/t", &json!({"retention_bytes": 1024})).0, 200);
    let start = loop {
        let start = client.get("/api/topics/t").1["offsets"][0]["start"].as_u64().expect("an offset");
        if start > 0 {
            break start;
        }
    };
    let told = |query: &str| {
        let path = format!("/api/topics/t/messages?{query}");
        let (status, headers, _) =
            client.send_for_bytes("GET", &path, &[("accept", BATCHES)], Vec::new()).expect("an answer");
        assert_eq!(status, 200);
        ["x-from-offset", "x-log-start-offset", "x-log-end-offset", "x-next-offset"]
            .map(|name| headers[name].to_str().expect("text").parse::<u64>().expect("an offset"))
    };
    assert_eq!(told("limit=1"), [start, start, 12, start + 1]);
    assert_eq!(told("offset=11"), [11, start, 12, 12]);
    assert_eq!(told("offset=12"), [12, start, 12, 12]);
}

#[test]
fn of_several_batches_those_that_were_stored_are_named() {
    local_only!("Kafka has no means to recognise a producer's records");
    let (_broker, client) = started(1);
    let good = encoded(&["a", "b"], Compression::None, Some((7, 0)));
    let gap = encoded(&["x"], Compression::None, Some((7, 9)));
    let (status, answer) = produce(&client, "", [good, gap].concat());
    assert_eq!((status, &answer["code"]), (503, &json!("partly_produced")), "{answer}");
    let batches = json!([{"partition": 0, "offset": 0, "records": 2}]);
    assert_eq!(answer["details"], json!({"batches": batches, "cause": "sequence_gap"}));
    assert_eq!(read(&client, "").0, [(0, "a".to_owned()), (1, "b".to_owned())]);
}

#[test]
fn a_poll_gives_them_by_partition() {
    let (_broker, client) = started(2);
    client.produce_values("t", 0, &["a", "b"]);
    client.produce_values("t", 1, &["c"]);
    let consumer = client.subscribe("g", &["t"], &json!({"auto_commit": false}));
    let (found, end) = poll(&client, &consumer, &json!({"after_batch": 0}));
    let mut heads: Vec<_> = found.iter().map(|(head, batches)| (head.clone(), decoded(batches))).collect();
    heads.sort_by_key(|(head, _)| head["partition"].as_u64());
    for (head, from_next, values) in [
        (&heads[0], (0, 2), vec![(0, "a".to_owned()), (1, "b".to_owned())]),
        (&heads[1], (0, 1), vec![(0, "c".to_owned())]),
    ] {
        assert_eq!((&head.0["from"], &head.0["next"]), (&json!(from_next.0), &json!(from_next.1)));
        assert_eq!(head.1, values);
    }
    assert_eq!(end["positions"], json!({"t": {"0": 2, "1": 1}}));
    let (again, same) = poll(&client, &consumer, &json!({"after_batch": 0}));
    assert_eq!((again, &same["batch_id"]), (found, &end["batch_id"]));
    let (nothing, _) = poll(&client, &consumer, &json!({"after_batch": end["batch_id"], "timeout_ms": 0}));
    assert_eq!(nothing, []);
}

#[test]
fn a_batch_delivered_in_json_comes_again_as_batches_with_its_bounds() {
    let (_broker, client) = started(1);
    client.produce_values("t", 0, &["a", "b", "c", "d"]);
    let consumer = client.subscribe("g", &["t"], &json!({}));
    let first = client.poll(&consumer, &json!({"max_records": 1, "after_batch": 0}))["batch_id"].clone();
    let batch = client.poll(&consumer, &json!({"max_records": 2, "after_batch": first}));
    let (found, end) = poll(&client, &consumer, &json!({"after_batch": first}));
    assert_eq!(
        (&found[0].0["from"], &found[0].0["next"], &end["batch_id"]),
        (&json!(1), &json!(3), &batch["batch_id"])
    );
    assert_eq!(decoded(&found[0].1).len(), 4, "a client passes over what is outside of them");
}

#[test]
fn batches_of_every_codec_are_stored_as_they_came() {
    local_only!("batches are made anew of what Kafka holds");
    let (_broker, client) = started(2);
    let mut body = Vec::new();
    let text = "value ".repeat(100);
    let codecs = [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];
    for compression in codecs {
        body.extend(encoded(&[&text, "b", "c"], compression, None));
    }
    let (status, answer) = produce(&client, "?partition=1", body.clone());
    assert_eq!(status, 200, "{answer}");
    let expected: Vec<_> = (0..5).map(|n| json!({"partition": 1, "offset": n * 3, "records": 3})).collect();
    assert_eq!(answer, json!({"batches": expected}));
    let values: Vec<_> = client.read_from("t", 1, 0).iter().map(|record| record["value"].clone()).collect();
    assert_eq!(values, [text.as_str(), "b", "c"].repeat(5));
    let (_, _, stored) = client
        .send_for_bytes("GET", "/api/topics/t/messages?partition=1", &[("accept", BATCHES)], Vec::new())
        .expect("an answer");
    assert_eq!(stored.len(), body.len(), "nothing was packed anew");
    assert_eq!(stored[16..body.len() / 8], body[16..body.len() / 8]);
    let (status, _) = produce(&client, "?partition=0", stored);
    assert_eq!((status, client.read_from("t", 0, 0).len()), (200, 15), "what was read can be produced");
}

#[test]
fn an_idempotent_producers_batch_is_stored_once() {
    local_only!("Kafka has no means to recognise a producer's records");
    let (_broker, client) = started(1);
    for (sequence, duplicate) in [(0, Value::Null), (0, json!(true)), (2, Value::Null)] {
        let (status, answer) = produce(&client, "", encoded(&["a", "b"], Compression::Lz4, Some((5, sequence))));
        assert_eq!((status, &answer["batches"][0]["duplicate"]), (200, &duplicate), "{answer}");
    }
    let (status, answer) = produce(&client, "", encoded(&["a"], Compression::None, Some((5, 9))));
    assert_eq!((status, &answer["code"]), (409, &json!("sequence_gap")));
    let (status, _) = produce(&client, "?ignore_producer=true", encoded(&["a"], Compression::None, Some((5, 9))));
    assert_eq!((status, client.read_from("t", 0, 0).len()), (200, 5));
}

#[test]
fn what_is_no_good_batch_is_refused_and_nothing_is_stored() {
    let (_broker, client) = started(1);
    let good = encoded(&["a", "b"], Compression::None, None);
    let mut flipped = good.clone();
    flipped[70] ^= 1;
    for (body, code) in [
        (vec![], "empty"),
        (b"{}".to_vec(), "damaged_batch"),
        (good[..good.len() - 1].to_vec(), "damaged_batch"),
        ([good.clone(), flipped].concat(), "damaged_batch"),
        (encoded(&["a"], Compression::None, Some((1 << 60, 0))), "invalid_batch"),
        (encoded(&[&"x".repeat(2 << 20)], Compression::Zstd, None), "invalid_batch"),
    ] {
        let (status, answer) = produce(&client, "", body);
        assert_eq!((status, &answer["code"]), (422, &json!(code)), "{answer}");
    }
    assert_eq!(produce(&client, "?partition=1", good).0, 404);
    assert_eq!(client.read_from("t", 0, 0).len(), 0);
}
