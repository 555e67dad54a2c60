//! What becomes of records that are sent.

use std::collections::HashSet;

use serde_json::json;
use takhin_client::{Client, Compression, Error, Header, ReadFrom, Record, TopicPartition};

use crate::server::with_topic;

async fn stored(client: &Client, partition: u32) -> Vec<takhin_client::Message> {
    let of = TopicPartition::new("t", partition);
    client.admin().read(&of, ReadFrom::Start, 100, std::time::Duration::ZERO).await.unwrap().messages
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_headers_and_times_come_back_as_they_were() {
    let (_broker, client) = with_topic(1).await;
    let producer = client.producer_builder().compression(Compression::Zstd).build();
    let bytes = Record::new("t").key(vec![0xff, 0]).value(vec![0xfe]).header(Header::new("n", vec![0x80]));
    let bytes = bytes.header(Header::new("n", "again")).header(Header { name: "none".into(), value: None });
    let _unawaited = producer.send(bytes.timestamp_ms(1_704_537_600_000)).await.unwrap();
    let _unawaited = producer.send(Record::new("t").json(&json!({"amount": 9.5})).unwrap()).await.unwrap();
    let last = producer.send(Record::new("t").value("")).await.unwrap().await.unwrap();
    assert_eq!((last.offset, last.partition), (2, TopicPartition::new("t", 0)));
    let read = stored(&client, 0).await;
    assert_eq!((read[0].key.as_deref(), read[0].value.as_deref()), (Some(&[0xff, 0][..]), Some(&[0xfe][..])));
    let none = Header { name: "none".into(), value: None };
    assert_eq!(read[0].headers, [Header::new("n", vec![0x80]), Header::new("n", "again"), none]);
    assert_eq!((read[0].timestamp_ms, read[0].text()), (1_704_537_600_000, None));
    assert_eq!((&read[1].key, read[1].json::<serde_json::Value>().unwrap()), (&None, json!({"amount": 9.5})));
    assert_eq!((read[2].text(), read[1].value.is_some()), (Some(""), true));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_leads_where_the_server_would_put_it() {
    let (broker, client) = with_topic(7).await;
    let producer = client.producer();
    for key in ["a", "ab", "abc", "abcd", "order-17", "żółw", ""] {
        let record = json!({"records": [{"key": key}]});
        let by_server = broker.client().post("/api/topics/t/produce", &record).1["offsets"][0]["partition"].clone();
        let by_client = producer.send(Record::new("t").key(key)).await.unwrap().await.unwrap().partition.partition;
        assert_eq!(by_server, by_client, "{key}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn records_without_a_key_go_everywhere_in_time() {
    let (_broker, client) = with_topic(3).await;
    let producer = client.producer();
    let mut partitions = HashSet::new();
    while partitions.len() < 3 {
        let stored = producer.send(Record::new("t").value("x")).await.unwrap().await.unwrap();
        partitions.insert(stored.partition.partition);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_record_is_refused_and_those_beside_it_are_not() {
    let (_broker, client) = with_topic(1).await;
    let producer = client.producer_builder().linger(std::time::Duration::from_millis(200)).build();
    let good = producer.send(Record::new("t").value("good")).await.unwrap();
    let wrong = producer.send(Record::new("t").value(vec![b'x'; 2 << 20])).await.unwrap();
    let bad_time = producer.send(Record::new("t").timestamp_ms(-5)).await.unwrap();
    let better = producer.send(Record::new("t").value("better")).await.unwrap();
    producer.flush().await;
    assert_eq!((good.await.unwrap().offset, better.await.unwrap().offset), (0, 1));
    let error = wrong.await.unwrap_err();
    assert!(error.is_api("record_too_large"), "{error}");
    assert!(matches!(bad_time.await, Err(Error::Api(_))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_is_missing_refuses_each_record() {
    let (_broker, client) = with_topic(1).await;
    let producer = client.producer();
    let error = producer.send(Record::new("missing").value("x")).await.unwrap().await.unwrap_err();
    assert!(error.is_api("topic_not_found"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_buffer_makes_senders_wait_and_nobody_else() {
    let (_broker, client) = with_topic(1).await;
    let producer = client.producer_builder().max_buffered_bytes(1_000).build();
    for _ in 0..100 {
        let _unawaited = producer.send(Record::new("t").value("x".repeat(300))).await.unwrap();
    }
    let large = producer.send(Record::new("t").value("x".repeat(3_000))).await.unwrap();
    assert_eq!(large.await.unwrap().offset, 100, "one record always fits");
    producer.close().await;
}
