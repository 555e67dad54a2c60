//! A cluster to test against, and short ways to write to it and to read from it.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, Receiver},
    },
    thread,
    time::{Duration, Instant},
};

use rdkafka::{
    message::{Header, OwnedHeaders},
    mocking::MockCluster,
    producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer},
};
use takhin_core::{LogId, Offset, TopicName, response::Bounds};

use super::super::{Appended, KafkaConfig, Records};
use crate::{
    engine::{Chunk, ReadError, ReadMode, ReadOutcome, ReadPart, StorageError},
    record::{BatchBuilder, EncodedBatch},
};

/// Longer than anything takes that is going to happen at all.
pub(super) const PATIENCE: Duration = Duration::from_mins(1);

pub(super) fn config(brokers: &str) -> KafkaConfig {
    KafkaConfig {
        brokers: brokers.to_owned(),
        properties: Vec::new(),
        topic_prefix: String::new(),
        own_topics: "ours.".to_owned(),
        cache_bytes: 4 << 20,
        replication: None,
        timeout: Duration::from_secs(20),
    }
}

/// One record, owned.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Own {
    pub(super) timestamp_ms: i64,
    pub(super) key: Option<Vec<u8>>,
    pub(super) value: Option<Vec<u8>>,
    pub(super) headers: Vec<(String, Option<Vec<u8>>)>,
}

pub(super) fn own(value: &str) -> Own {
    Own { timestamp_ms: 1_700_000_000_000, value: Some(value.into()), ..Own::default() }
}

pub(super) fn batch(records: &[Own]) -> EncodedBatch {
    let mut builder = BatchBuilder::default();
    for record in records {
        let headers = record.headers.iter().map(|(name, value)| (name.as_str(), value.as_deref()));
        builder.push(record.timestamp_ms, record.key.as_deref(), record.value.as_deref(), headers).unwrap();
    }
    builder.finish().unwrap()
}

pub(super) fn values(values: &[&str]) -> EncodedBatch {
    batch(&values.iter().map(|value| own(value)).collect::<Vec<_>>())
}

/// A mock of a cluster, which ends after what uses it.
pub(super) struct World {
    pub(super) records: Records,
    pub(super) cluster: MockCluster<'static, DefaultProducerContext>,
}

/// With these topics, of three partitions each.
pub(super) fn world(topics: &[&str]) -> World {
    world_with(topics, |_| {})
}

pub(super) fn world_with(topics: &[&str], change: impl Fn(&mut KafkaConfig)) -> World {
    let cluster = MockCluster::new(1).unwrap();
    for topic in topics {
        cluster.create_topic(topic, 3, 1).unwrap();
    }
    let mut config = config(&cluster.bootstrap_servers());
    change(&mut config);
    World { records: Records::connect(&config).unwrap(), cluster }
}

impl World {
    pub(super) fn log(&self, topic: &str, partition: u32) -> LogId {
        log(&self.records, topic, partition)
    }

    pub(super) fn other(&self) -> Other {
        Other::new(&self.cluster.bootstrap_servers())
    }
}

pub(super) fn log(records: &Records, topic: &str, partition: u32) -> LogId {
    let catalogue = Arc::clone(&records.catalogue().borrow());
    LogId { topic: catalogue.topics[&TopicName::new(topic).unwrap()].id, partition }
}

/// Appends and waits for the outcome.
pub(super) fn append(records: &Records, log: LogId, batch: EncodedBatch) -> Result<Appended, StorageError> {
    let (sender, outcome) = mpsc::channel();
    records.append(log, batch, move |result| sender.send(result).unwrap());
    outcome.recv_timeout(PATIENCE).expect("an append is answered")
}

pub(super) fn part(log: LogId, from: u64, to: u64) -> ReadPart {
    ReadPart { log, from: Offset(from), to: Offset(to), max_bytes: 1 << 20, max_records: u32::MAX }
}

/// What one read gives: the records with their offsets, and where to go on.
pub(super) fn read(
    records: &Records,
    part: &ReadPart,
    mode: ReadMode,
) -> Result<(Vec<(u64, Own)>, ReadOutcome), ReadError> {
    let mut chunk = Chunk::default();
    let outcome = records.read(part, mode, &mut chunk)?;
    let owned = chunk.records(&outcome).map(|record| {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let headers = record.headers.map(|(name, value)| (text(name), value.map(<[u8]>::to_vec))).collect();
        let (key, value) = (record.key.map(<[u8]>::to_vec), record.value.map(<[u8]>::to_vec));
        (record.offset.0, Own { timestamp_ms: record.timestamp_ms, key, value, headers })
    });
    let owned: Vec<_> = owned.collect();
    assert_eq!(owned.len(), outcome.records as usize, "the outcome counts what is given");
    Ok((owned, outcome))
}

/// All from `from` to `to`, by as many reads as it takes.
pub(super) fn read_all(records: &Records, log: LogId, from: u64, to: u64) -> Vec<(u64, Own)> {
    let (mut all, mut next) = (Vec::new(), from);
    let give_up = Instant::now() + PATIENCE;
    while next < to {
        assert!(Instant::now() < give_up, "stuck at {next} of {to}");
        let (some, outcome) = read(records, &part(log, next, to), ReadMode::Blocking).unwrap();
        all.extend(some);
        next = outcome.next.0;
    }
    assert_eq!(next, to, "a read goes no further than it is told");
    all
}

pub(super) fn texts(records: &[(u64, Own)]) -> Vec<(u64, String)> {
    let text = |own: &Own| String::from_utf8(own.value.clone().unwrap_or_default()).unwrap();
    records.iter().map(|(offset, own)| (*offset, text(own))).collect()
}

/// Hears of logs that have moved.
pub(super) struct Ear {
    heard: Receiver<(LogId, Bounds)>,
    last: Mutex<Vec<(LogId, Bounds)>>,
}

impl Ear {
    pub(super) fn new(records: &Records) -> Self {
        let (sender, heard) = mpsc::channel();
        records.on_moved(move |moved| {
            for one in moved {
                // The ear may be gone at the end of a test.
                let _ = sender.send(*one);
            }
        });
        Self { heard, last: Mutex::default() }
    }

    /// Whether it has been told that the log begins there.
    pub(super) fn hears_start(&self, log: LogId, start: u64) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.extend(self.heard.try_iter());
        last.iter().any(|(of, bounds)| *of == log && bounds.start.0 == start)
    }

    /// Waits until it is told that the log ends there, or further on.
    pub(super) fn hears_end(&self, log: LogId, end: u64) -> Bounds {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let reached = |(of, bounds): &&(LogId, Bounds)| *of == log && bounds.end.0 >= end;
        if let Some((_, bounds)) = last.iter().rev().find(reached) {
            return *bounds;
        }
        loop {
            let one = self.heard.recv_timeout(PATIENCE).expect("it is told that the log has moved");
            last.push(one);
            if reached(&&one) {
                return one.1;
            }
        }
    }
}

/// Another client of the same cluster.
pub(super) struct Other {
    pub(super) producer: BaseProducer,
}

impl Other {
    pub(super) fn new(brokers: &str) -> Self {
        let mut config = rdkafka::ClientConfig::new();
        let producer = config.set("bootstrap.servers", brokers).create().unwrap();
        Self { producer }
    }

    pub(super) fn write(&self, topic: &str, partition: i32, records: &[Own]) {
        for record in records {
            let mut headers = OwnedHeaders::new();
            for (key, value) in &record.headers {
                headers = headers.insert(Header { key, value: value.as_deref() });
            }
            let mut wire = BaseRecord::<[u8], [u8]>::to(topic).partition(partition).headers(headers);
            wire.timestamp = Some(record.timestamp_ms);
            (wire.key, wire.payload) = (record.key.as_deref(), record.value.as_deref());
            self.producer.send(wire).map_err(|(error, _)| error).unwrap();
        }
        self.producer.flush(PATIENCE).unwrap();
    }
}

/// Waits for what is going to be so.
pub(super) fn eventually(what: &str, mut so: impl FnMut() -> bool) {
    let give_up = Instant::now() + PATIENCE;
    while !so() {
        assert!(Instant::now() < give_up, "it never came to be that {what}");
        thread::sleep(Duration::from_millis(5));
    }
}
