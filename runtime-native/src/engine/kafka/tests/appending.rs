//! What becomes of an append.

use std::sync::Arc;

use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use takhin_core::{LogId, Offset, TopicId};

use super::{super::*, harness::*};

#[test]
fn records_lie_one_behind_the_other_and_come_back_as_they_were() {
    let world = world(&["orders"]);
    let log = world.log("orders", 1);
    let header = |name: &str, value: Option<&[u8]>| (name.to_owned(), value.map(<[u8]>::to_vec));
    let records = vec![
        Own { timestamp_ms: 5, key: Some(b"k".to_vec()), value: Some(b"v".to_vec()), headers: vec![] },
        Own { timestamp_ms: 4, key: None, value: None, headers: vec![header("a", Some(b"1")), header("a", None)] },
        Own { timestamp_ms: 1_700_000_000_000, key: Some(vec![]), value: Some(vec![]), headers: vec![] },
        Own { timestamp_ms: 7, key: Some(vec![0, 255]), value: None, headers: vec![header("", Some(b""))] },
    ];
    let appended = append(&world.records, log, batch(&records)).unwrap();
    assert_eq!((appended.at.base_offset, appended.at.end, appended.at.duplicate), (Offset(0), Offset(4), false));
    assert_eq!(appended.scattered, None);
    let expected: Vec<(u64, Own)> = (0..).zip(records).collect();
    assert_eq!(read_all(&world.records, log, 0, 4), expected);

    let second = append(&world.records, log, values(&["a", "b"])).unwrap();
    assert_eq!((second.at.base_offset, second.at.end), (Offset(4), Offset(6)));
    let elsewhere = append(&world.records, world.log("orders", 2), values(&["c"])).unwrap();
    assert_eq!((elsewhere.at.base_offset, elsewhere.at.end), (Offset(0), Offset(1)));
}

#[test]
fn batches_of_one_log_keep_their_order() {
    let world = world(&["orders"]);
    let log = world.log("orders", 0);
    let (sender, outcomes) = mpsc::channel();
    for number in 0..500 {
        let sender = sender.clone();
        let batch = values(&[&format!("{number} a"), &format!("{number} b")]);
        world.records.append(log, batch, move |result| sender.send((number, result)).unwrap());
    }
    for _ in 0..500 {
        let (number, result) = outcomes.recv_timeout(PATIENCE).unwrap();
        let appended = result.unwrap();
        assert_eq!((appended.at.base_offset.0, appended.scattered), (number * 2, None));
    }
    let read = texts(&read_all(&world.records, log, 0, 1000));
    let expected = (0..500).flat_map(|number| [format!("{number} a"), format!("{number} b")]);
    assert_eq!(read, (0..).zip(expected).collect::<Vec<_>>());
}

#[test]
fn records_of_several_writers_are_told_apart() {
    let world = world(&["orders"]);
    let log = world.log("orders", 0);
    let batches = 40;
    let ours = std::thread::scope(|scope| {
        let ours = scope.spawn(|| {
            let appended = (0..batches).map(|_| append(&world.records, log, values(&["our"; 50])).unwrap());
            appended.collect::<Vec<_>>()
        });
        let other = world.other();
        (0..batches).for_each(|_| other.write("orders", 0, &vec![own("their"); 50]));
        ours.join().unwrap()
    });
    let read = texts(&read_all(&world.records, log, 0, batches * 100));
    for Appended { at, scattered, .. } in ours {
        let dense = (at.base_offset.0..at.end.0).map(Offset).collect();
        let offsets = scattered.unwrap_or(dense);
        assert_eq!(offsets.len(), 50);
        assert!(offsets.is_sorted_by(|a, b| a < b));
        assert_eq!((offsets[0], offsets[49].0 + 1), (at.base_offset, at.end.0));
        assert!(offsets.iter().all(|offset| read[usize::try_from(offset.0).unwrap()].1 == "our"));
    }
}

#[test]
fn nothing_is_appended_to_what_is_not_there() {
    let world = world(&["orders"]);
    let unknown = LogId { topic: TopicId(7), partition: 0 };
    assert_eq!(append(&world.records, unknown, values(&["a"])), Err(StorageError::NoSuchLog));
    assert_eq!(append(&world.records, world.log("orders", 3), values(&["a"])), Err(StorageError::NoSuchLog));
}

#[test]
fn a_header_that_kafka_has_no_name_for_is_refused() {
    let world = world(&["orders"]);
    let bad = Own { headers: vec![("a\0b".to_owned(), None)], ..own("x") };
    let result = append(&world.records, world.log("orders", 0), batch(&[bad]));
    assert!(matches!(&result, Err(StorageError::Unacceptable(why)) if why.contains("header")), "{result:?}");
    assert_eq!(append(&world.records, world.log("orders", 0), values(&["a"])).unwrap().at.base_offset, Offset(0));
}

#[test]
fn what_the_cluster_refuses_for_what_it_is_is_refused_for_good_and_what_comes_next_is_taken() {
    let world = world(&["orders"]);
    let log = world.log("orders", 0);
    for (code, name) in [
        (RDKafkaRespErr::RD_KAFKA_RESP_ERR_INVALID_TIMESTAMP, "Invalid timestamp"),
        (RDKafkaRespErr::RD_KAFKA_RESP_ERR_INVALID_RECORD, "validate"),
        (RDKafkaRespErr::RD_KAFKA_RESP_ERR_POLICY_VIOLATION, "olicy"),
        (RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, "too large"),
    ] {
        world.cluster.request_errors(RDKafkaApiKey::Produce, &[code]);
        let result = append(&world.records, log, values(&["a"]));
        assert!(matches!(&result, Err(StorageError::Unacceptable(why)) if why.contains(name)), "{code:?}: {result:?}");
    }
    assert_eq!(append(&world.records, log, values(&["a"])).unwrap().at.base_offset, Offset(0), "none of it is there");
}

#[test]
fn an_append_to_a_cluster_that_is_away_fails_in_its_time_and_the_next_one_goes_on() {
    let world = world_with(&["orders"], |config| config.timeout = Duration::from_secs(2));
    let log = world.log("orders", 0);
    append(&world.records, log, values(&["a"])).unwrap();
    world.cluster.broker_down(-1).unwrap();
    let result = append(&world.records, log, values(&["b"]));
    let is_told = matches!(&result, Err(StorageError::Failed(_) | StorageError::Uncertain(_)));
    assert!(is_told, "{result:?}");
    world.cluster.broker_up(-1).unwrap();
    eventually("appends are taken again", || append(&world.records, log, values(&["c"])).is_ok());
    let stats = world.records.stats().read();
    assert!(stats.appends >= 2 && stats.appends_failed + stats.appends_uncertain >= 1, "{stats:?}");
}

#[test]
fn without_a_broker_there_is_a_clear_error() {
    let mut config = config("127.0.0.1:1");
    config.timeout = Duration::from_millis(300);
    let error = Records::connect(&config).unwrap_err();
    assert!(matches!(error, KafkaError::NoBroker { .. }), "{error:?}");
    assert!(error.to_string().starts_with("no Kafka broker of 127.0.0.1:1 answered within 300 ms: "), "{error}");
    config.properties = vec![("security.protocol".to_owned(), "pigeon".to_owned())];
    assert!(matches!(Records::connect(&config), Err(KafkaError::Config(_))));
}

#[test]
fn topics_of_our_own_and_of_the_cluster_are_not_shown() {
    let world = world(&["orders", "ours.facts", "__consumer_offsets", "ours"]);
    let catalogue = Arc::clone(&world.records.catalogue().borrow());
    let names: Vec<&str> = catalogue.topics.keys().map(|name| &**name).collect();
    assert_eq!(names, ["orders", "ours"]);
    for (name, topic) in &catalogue.topics {
        assert_eq!((topic.partitions, topic.id.0 >> 63), (3, 1));
        assert_eq!(catalogue.name(topic.id), Some(name));
    }
}

#[test]
fn a_topic_that_others_make_is_found() {
    let world = world(&[]);
    world.cluster.create_topic("late", 2, 1).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let catalogue = runtime.block_on(world.records.refresh()).unwrap();
    let log = LogId { topic: catalogue.topics["late"].id, partition: 1 };
    append(&world.records, log, values(&["a"])).unwrap();
    let bounds = runtime.block_on(world.records.bounds(&[log, LogId { partition: 9, ..log }])).unwrap();
    assert_eq!(bounds, [(log, Bounds { start: Offset(0), end: Offset(1) })]);
}

#[test]
fn with_the_last_of_them_its_threads_end() {
    let world = world(&["orders"]);
    let log = world.log("orders", 0);
    append(&world.records, log, values(&["a"])).unwrap();
    assert_eq!(read_all(&world.records, log, 0, 1).len(), 1);
    let ear = Ear::new(&world.records);
    world.records.watch([log]);
    ear.hears_end(log, 1);
    let (tails, admin) = (Arc::downgrade(&world.records.inner.tails), Arc::downgrade(&world.records.inner.admin));
    drop(world.records);
    eventually("nobody has them", || tails.strong_count() == 0 && admin.strong_count() == 0);
}
