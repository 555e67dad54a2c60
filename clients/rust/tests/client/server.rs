//! A server of a test's own, and the little that all tests do with it.

use takhin_client::{Client, Consumer, Record, Reset, TopicSettings};
use takhin_tests::broker::{Broker, Options};

/// A server with a topic `t` of so many partitions, and a client of it.
pub(crate) async fn with_topic(partitions: u32) -> (Broker, Client) {
    let broker = tokio::task::block_in_place(|| Broker::start(Options::quick()));
    let client = Client::new(broker.url("")).unwrap();
    client.admin().create_topic("t", partitions, &TopicSettings::default()).await.unwrap();
    (broker, client)
}

/// A consumer of `t` from its start.
pub(crate) fn from_start(client: &Client, group: &str) -> Consumer {
    client.consumer(group).topics(["t"]).auto_offset_reset(Reset::Earliest).build()
}

/// Stores the numbers from 0 as values, all in one partition.
pub(crate) async fn store_numbers(client: &Client, partition: u32, count: usize) {
    let producer = client.producer();
    for number in 0..count {
        let record = Record::new("t").partition(partition).value(number.to_string());
        let _unawaited = producer.send(record).await.unwrap();
    }
    producer.close().await;
}

/// The next so many values.
pub(crate) async fn take(consumer: &mut Consumer, count: usize) -> Vec<String> {
    let mut values = Vec::new();
    while values.len() < count {
        values.push(consumer.next().await.unwrap().text().unwrap().to_owned());
    }
    values
}

pub(crate) fn numbers(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|number| number.to_string()).collect()
}

/// What a group has committed in partition 0 of `t`.
pub(crate) async fn committed(client: &Client, group: &str) -> Option<u64> {
    client.admin().group(group).await.unwrap().partitions[0].committed
}
