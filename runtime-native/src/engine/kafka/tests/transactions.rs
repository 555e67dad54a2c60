//! Others' transactions: what is seen of them, and when.

use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use takhin_core::{Offset, TopicConfig};

use super::{super::*, brokers::*, harness::*};

/// A producer with a transaction open.
fn transactional(id: &str) -> BaseProducer {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers()).set("transactional.id", id);
    let producer: BaseProducer = config.create().unwrap();
    producer.init_transactions(PATIENCE).unwrap();
    producer.begin_transaction().unwrap();
    producer
}

fn write(producer: &BaseProducer, topic: &str, values: &[&str]) {
    for value in values {
        producer
            .send(BaseRecord::<[u8], str>::to(topic).partition(0).payload(value))
            .map_err(|(error, _)| error)
            .unwrap();
    }
    producer.flush(PATIENCE).unwrap();
}

#[test]
#[ignore = "needs brokers"]
fn aborted_records_and_markers_are_never_seen() {
    let records = connect();
    let topic = Topic::new(&records, "aborted", 1, &TopicConfig::default());
    let log = topic.log(0);
    let ear = Ear::new(&records);
    records.watch([log]);
    ear.hears_end(log, 0);
    let producer = transactional(&topic.name);
    write(&producer, &topic.name, &["committed"]);
    producer.commit_transaction(PATIENCE).unwrap();
    producer.begin_transaction().unwrap();
    write(&producer, &topic.name, &["aborted", "aborted"]);
    producer.abort_transaction(PATIENCE).unwrap();
    // 0 is the record, 1 its marker, 2 and 3 were aborted, 4 is their marker.
    ear.hears_end(log, 5);
    let expected = [(0, "committed".to_owned())];
    let (from_memory, outcome) = read(&records, &part(log, 0, 5), ReadMode::NoWait).unwrap();
    assert_eq!((texts(&from_memory), outcome.next), (expected.to_vec(), Offset(5)));
    assert_eq!(texts(&read_all(&connect(), log, 0, 5)), expected);
    assert_eq!(read_all(&connect(), log, 1, 5), []);
    assert_eq!(read_all(&connect(), log, 2, 4), []);
    let after = append(&records, log, values(&["after"])).unwrap();
    assert_eq!((after.at.base_offset, after.scattered), (Offset(5), None));
    ear.hears_end(log, 6);
    assert_eq!(texts(&read_all(&connect(), log, 1, 6)), [(5, "after".to_owned())]);
}

#[test]
#[ignore = "needs brokers"]
fn what_stands_behind_an_open_transaction_is_waited_for() {
    let records = connect();
    let topic = Topic::new(&records, "open", 1, &TopicConfig::default());
    let log = topic.log(0);
    let ear = Ear::new(&records);
    records.watch([log]);
    ear.hears_end(log, 0);
    assert!(append(&records, log, values(&["first"])).unwrap().at.readable);
    ear.hears_end(log, 1);
    let producer = transactional(&topic.name);
    write(&producer, &topic.name, &["open"]);
    let behind = append(&records, log, values(&["behind"])).unwrap();
    assert_eq!((behind.at.base_offset, behind.at.readable), (Offset(2), false));
    assert_eq!(topic.bounds(log), (0, 1));
    for node in [&records, &connect()] {
        let (none, outcome) = read(node, &part(log, 1, 3), ReadMode::Blocking).unwrap();
        assert_eq!((none, outcome.next), (vec![], Offset(1)));
    }
    producer.commit_transaction(PATIENCE).unwrap();
    ear.hears_end(log, 4);
    let expected = [(1, "open".to_owned()), (2, "behind".to_owned())];
    assert_eq!(texts(&read_all(&records, log, 1, 4)), expected);
    assert_eq!(texts(&read_all(&connect(), log, 1, 4)), expected);
    assert_eq!(topic.bounds(log), (0, 4));
}
