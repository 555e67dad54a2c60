//! What the mock can't do: topics' ids and settings, times, and what is left of a log. Each test has topics of its own.

use std::{
    collections::HashMap,
    env, process,
    time::{Instant, SystemTime},
};

use rdkafka::{
    admin::{AdminClient, AdminOptions},
    client::DefaultClientContext,
};
use takhin_core::{Cleanup, Compression, LogId, Offset, TopicConfig, TopicName};

use super::{super::*, harness::*};

pub(super) fn brokers() -> String {
    env::var("TAKHIN_KAFKA_BROKERS").expect("TAKHIN_KAFKA_BROKERS says where brokers are")
}

pub(super) fn connect() -> Records {
    Records::connect(&KafkaConfig { replication: Some(3), ..config(&brokers()) }).unwrap()
}

pub(super) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
}

/// A topic of these partitions that nothing else uses, removed in the end.
pub(super) struct Topic<'a> {
    pub(super) records: &'a Records,
    pub(super) name: TopicName,
}

impl<'a> Topic<'a> {
    pub(super) fn new(records: &'a Records, test: &str, partitions: u32, config: &TopicConfig) -> Self {
        let nanos = SystemTime::UNIX_EPOCH.elapsed().unwrap().subsec_nanos();
        let name = TopicName::new(&format!("records-{test}-{}-{nanos}", process::id())).unwrap();
        block_on(records.create_topic(&name, partitions, config)).unwrap();
        Self { records, name }
    }

    pub(super) fn log(&self, partition: u32) -> LogId {
        log(self.records, &self.name, partition)
    }

    pub(super) fn bounds(&self, log: LogId) -> (u64, u64) {
        let found = block_on(self.records.bounds(&[log])).unwrap();
        assert_eq!(found.len(), 1, "it has bounds");
        (found[0].1.start.0, found[0].1.end.0)
    }
}

impl Drop for Topic<'_> {
    fn drop(&mut self) {
        // A test may have removed it.
        let _ = block_on(self.records.delete_topic(&self.name));
    }
}

#[test]
#[ignore = "needs brokers"]
fn a_topic_is_made_changed_and_removed_and_every_node_gives_it_the_same_id() {
    let keyed = |value: &str| batch(&[Own { key: Some(b"key".to_vec()), ..own(value) }]);
    let (records, elsewhere) = (connect(), connect());
    let config = TopicConfig { retention_ms: 3_600_000, cleanup: Cleanup::Both, ..TopicConfig::default() };
    let topic = Topic::new(&records, "life", 2, &config);
    let name = &topic.name;
    let now = |records: &Records| block_on(records.refresh()).unwrap().topics.get(name).cloned();
    let made = now(&records).unwrap();
    assert_eq!((made.partitions, made.config, made.id.0 >> 63), (2, config, 1));
    assert_eq!(now(&elsewhere).unwrap().id, made.id);
    assert_eq!(block_on(records.create_topic(name, 2, &config)), Err(TopicError::Exists));

    block_on(records.add_partitions(name, 5)).unwrap();
    assert_eq!(now(&records).unwrap().partitions, 5);
    assert!(matches!(block_on(records.add_partitions(name, 1)), Err(TopicError::Unsupported(_))));

    let changed = TopicConfig { compression: Compression::Zstd, retention_ms: -1, ..config };
    block_on(records.configure_topic(name, &changed)).unwrap();
    assert_eq!(now(&records).unwrap().config, changed);
    let impossible = TopicConfig { segment_bytes: 1, ..config };
    let refused = block_on(records.configure_topic(name, &impossible));
    assert!(matches!(&refused, Err(TopicError::Unsupported(why)) if why.contains("segment.bytes")), "{refused:?}");

    append(&records, topic.log(4), keyed("old")).unwrap();
    block_on(records.delete_topic(name)).unwrap();
    assert_eq!(now(&records), None);
    assert_eq!(block_on(records.delete_topic(name)), Err(TopicError::NotFound));
    assert_eq!(block_on(records.add_partitions(name, 9)), Err(TopicError::NotFound));
    let old = LogId { topic: made.id, partition: 4 };
    assert_eq!(append(&records, old, values(&["a"])), Err(StorageError::NoSuchLog));
    assert_eq!(read(&records, &part(old, 0, 1), ReadMode::Blocking).unwrap_err(), ReadError::Deleted);

    block_on(records.create_topic(name, 5, &config)).unwrap();
    let anew = topic.log(4);
    assert_ne!(anew.topic, made.id);
    assert_eq!(append(&records, anew, keyed("new")).unwrap().at.base_offset, Offset(0));
    assert_eq!(texts(&read_all(&records, anew, 0, 1)), [(0, "new".to_owned())]);
}

#[test]
#[ignore = "needs brokers"]
fn a_batch_with_a_time_that_its_topic_does_not_allow_is_refused_as_a_whole() {
    let records = connect();
    let topic = Topic::new(&records, "times", 1, &TopicConfig::default());
    let log = topic.log(0);
    let now_ms = i64::try_from(SystemTime::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap();
    let in_a_day = Own { timestamp_ms: now_ms + 86_400_000, ..own("too late") };
    // A batch on its own is refused by Kafka, whose default is an hour, or by the node if Kafka has told of it.
    for refused in [vec![in_a_day.clone()], vec![own("in time"), in_a_day]] {
        let result = append(&records, log, batch(&refused));
        assert!(matches!(result, Err(StorageError::Unacceptable(_))), "{result:?}");
    }
    assert_eq!(append(&records, log, values(&["in time"])).unwrap().at.base_offset, Offset(0), "none of it is there");
}

#[test]
#[ignore = "needs brokers"]
fn a_topic_that_is_made_anew_is_followed_anew() {
    let records = connect();
    let topic = Topic::new(&records, "anew", 1, &TopicConfig::default());
    let ear = Ear::new(&records);
    let old = topic.log(0);
    records.watch([old]);
    ear.hears_end(old, 0);
    append(&records, old, values(&["a", "b"])).unwrap();
    ear.hears_end(old, 2);
    block_on(records.delete_topic(&topic.name)).unwrap();
    block_on(records.create_topic(&topic.name, 1, &TopicConfig::default())).unwrap();
    let anew = topic.log(0);
    records.watch([anew]);
    assert_eq!(ear.hears_end(anew, 0), Bounds { start: Offset(0), end: Offset(0) });
    append(&records, anew, values(&["c"])).unwrap();
    ear.hears_end(anew, 1);
    Other::new(&brokers()).write(&topic.name, 0, &[own("d")]);
    ear.hears_end(anew, 2);
    assert_eq!(texts(&read_all(&records, anew, 0, 2)), [(0, "c".to_owned()), (1, "d".to_owned())]);
    eventually("the old one is let go", || records.stats().read().followed == 1);
}

#[test]
#[ignore = "needs brokers"]
fn a_topic_with_a_small_limit_takes_many_records_and_refuses_a_large_one() {
    let records = connect();
    let config = TopicConfig { max_message_bytes: 10_000, ..TopicConfig::default() };
    let topic = Topic::new(&records, "small", 1, &config);
    let log = topic.log(0);
    let value = "x".repeat(1000);
    let appended = append(&records, log, values(&[value.as_str(); 100])).unwrap();
    assert_eq!((appended.at.base_offset, appended.at.end, appended.scattered), (Offset(0), Offset(100), None));
    let large = "x".repeat(20_000);
    let result = append(&records, log, values(&[&large]));
    assert!(matches!(&result, Err(StorageError::Unacceptable(why)) if why.contains("size")), "{result:?}");
    let result = append(&records, log, values(&["fits", &large]));
    assert!(matches!(&result, Err(StorageError::Uncertain(why)) if why.starts_with("1 of 2")), "{result:?}");
    assert_eq!(read_all(&records, log, 0, 101).len(), 101);
}

#[test]
#[ignore = "needs brokers"]
fn a_time_is_looked_up() {
    let records = connect();
    let topic = Topic::new(&records, "times", 1, &TopicConfig::default());
    let log = topic.log(0);
    let at = |timestamp_ms: i64| Own { timestamp_ms, ..own("x") };
    let times = [1000, 2000, 1500, 4000];
    append(&records, log, batch(&times.map(at))).unwrap();
    let look = |timestamp_ms, to| records.lookup_time(log, timestamp_ms, Offset(to)).unwrap();
    assert_eq!(look(0, 4), Some((Offset(0), 1000)));
    assert_eq!(look(1001, 4), Some((Offset(1), 2000)));
    assert_eq!(look(2001, 4), Some((Offset(3), 4000)));
    assert_eq!(look(2001, 3), None);
    assert_eq!(look(4001, 4), None);
    let gone = LogId { partition: 7, ..log };
    assert_eq!(records.lookup_time(gone, 0, Offset(1)), Err(ReadError::Deleted));
}

#[test]
#[ignore = "needs brokers"]
fn what_was_removed_at_the_beginning_is_said_to_be() {
    let records = connect();
    let topic = Topic::new(&records, "trimmed", 1, &TopicConfig::default());
    let log = topic.log(0);
    append(&records, log, values(&["a", "b", "c", "d"])).unwrap();
    let ear = Ear::new(&records);
    records.watch([log]);
    assert_eq!(ear.hears_end(log, 4).start, Offset(0));
    assert_eq!(read_all(&records, log, 1, 4).len(), 3);

    let admin: AdminClient<DefaultClientContext> = Records::client_config(&config(&brokers())).create().unwrap();
    let mut before = rdkafka::TopicPartitionList::new();
    before.add_partition_offset(&topic.name, 0, rdkafka::Offset::Offset(3)).unwrap();
    block_on(admin.delete_records(&before, &AdminOptions::new())).unwrap();
    assert_eq!(topic.bounds(log), (3, 4));
    let elsewhere = connect();
    let refused = read(&elsewhere, &part(log, 1, 4), ReadMode::Blocking);
    assert_eq!(refused.unwrap_err(), ReadError::BeforeStart { start: Offset(3) });
    assert_eq!(texts(&read_all(&elsewhere, log, 3, 4)), [(3, "d".to_owned())]);
    // Whoever follows it looks from time to time.
    eventually("it is told where the log begins", || ear.hears_start(log, 3));
    let refused = read(&records, &part(log, 1, 4), ReadMode::NoWait);
    assert_eq!(refused.unwrap_err(), ReadError::BeforeStart { start: Offset(3) });
}

#[test]
#[ignore = "needs brokers"]
fn records_that_were_compacted_away_leave_holes_that_reads_get_over() {
    let records = connect();
    let topic = Topic::new(
        &records,
        "compacted",
        1,
        &TopicConfig { cleanup: Cleanup::Compact, segment_ms: 1000, segment_bytes: 1 << 20, ..TopicConfig::default() },
    );
    let log = topic.log(0);
    let settings = [("min.cleanable.dirty.ratio", "0.0"), ("max.compaction.lag.ms", "1")];
    native::alter_topic(
        records.inner.admin.inner(),
        &topic.name,
        &settings.map(|(name, value)| (name, Some(value.to_owned()))),
        PATIENCE,
    )
    .unwrap()
    .unwrap();
    let keyed = |number: u64| Own { key: Some(vec![u8::from(number.is_multiple_of(2))]), ..own(&number.to_string()) };
    let batches = (0..10u64).map(|number| batch(&(number * 10..number * 10 + 10).map(keyed).collect::<Vec<_>>()));
    for batch in batches {
        append(&records, log, batch).unwrap();
    }
    // What the active segment holds is not compacted, and it is rolled when something comes.
    let give_up = Instant::now() + PATIENCE * 3;
    let mut end = 100;
    loop {
        std::thread::sleep(Duration::from_secs(2));
        // The age of a segment is told by its records' times.
        let timestamp_ms = own("").timestamp_ms + i64::try_from(end).unwrap() * 1000;
        append(&records, log, batch(&[Own { timestamp_ms, key: Some(b"other".to_vec()), ..own("tick") }])).unwrap();
        end += 1;
        let all = read_all(&connect(), log, 0, end);
        let latest: HashMap<u64, &Own> = all.iter().map(|(offset, own)| (*offset, own)).collect();
        assert_eq!((latest.get(&98), latest.get(&99)), (Some(&&keyed(98)), Some(&&keyed(99))));
        if all.iter().filter(|(offset, _)| *offset < 100).count() == 2 {
            break;
        }
        assert!(Instant::now() < give_up, "the cluster has not compacted it");
    }
    // A read that ends within the hole gets to its end.
    assert_eq!(read_all(&connect(), log, 0, 50), []);
    assert_eq!(read_all(&connect(), log, 20, 99).len(), 1);
}
