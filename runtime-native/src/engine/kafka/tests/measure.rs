//! How quick it is beside the bare client, in the same run: `cargo test --release -p takhin --lib kafka::tests::measure --
//! --ignored --nocapture`.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Instant,
};

use rdkafka::{
    Message, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer, ThreadedProducer},
};
use takhin_core::{LogId, Offset, TopicConfig};

use super::{super::*, brokers::*, harness::*};

const RECORDS: usize = 50_000;

fn bare_producer() -> ThreadedProducer<DefaultProducerContext> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers()).set("enable.idempotence", "true").set("linger.ms", "0");
    config.create().unwrap()
}

fn bare_consumer(topic: &str, from: i64) -> BaseConsumer {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers()).set("group.id", "none").set("enable.auto.commit", "false");
    let consumer: BaseConsumer = config.create().unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, 0, rdkafka::Offset::Offset(from)).unwrap();
    consumer.assign(&list).unwrap();
    consumer
}

fn kib() -> String {
    "x".repeat(1 << 10)
}

/// Records in a second, each batch of so many.
fn produce(records: &Records, log: LogId, in_batch: usize) -> f64 {
    let (done, kib) = (Arc::new(AtomicUsize::new(0)), kib());
    let batch = values(&vec![kib.as_str(); in_batch]);
    let began = Instant::now();
    for _ in 0..RECORDS / in_batch {
        let done = Arc::clone(&done);
        records.append(log, batch.clone(), move |result| {
            result.unwrap();
            done.fetch_add(in_batch, Ordering::Release);
        });
    }
    while done.load(Ordering::Acquire) < RECORDS {
        thread::sleep(Duration::from_micros(200));
    }
    per_second(RECORDS, began)
}

fn produce_bare(producer: &ThreadedProducer<DefaultProducerContext>, topic: &str) -> f64 {
    let kib = kib();
    let began = Instant::now();
    for _ in 0..RECORDS {
        let record = BaseRecord::<[u8], str>::to(topic).partition(0).payload(&kib);
        producer.send(record).map_err(|(error, _)| error).unwrap();
    }
    while producer.in_flight_count() > 0 {
        thread::sleep(Duration::from_micros(200));
    }
    per_second(RECORDS, began)
}

#[allow(clippy::cast_precision_loss)] // small numbers
fn per_second(count: usize, began: Instant) -> f64 {
    count as f64 / began.elapsed().as_secs_f64()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn ratio(what: &str, ours: f64, bare: f64, unit: &str) {
    println!("{what}: {ours:.1} {unit}, bare {bare:.1} {unit}, ratio {:.2}", ours / bare);
}

#[test]
#[ignore = "needs brokers, and measures"]
fn beside_the_bare_client() {
    let records = connect();
    let config = TopicConfig { segment_bytes: 1 << 30, ..TopicConfig::default() };
    let [ours, bare] = ["ours", "bare"].map(|name| Topic::new(&records, name, 1, &config));
    let log = ours.log(0);
    // Connections and caches are warm for both.
    produce(&records, log, 100);
    let producer = bare_producer();
    produce_bare(&producer, &bare.name);
    for in_batch in [1, 100] {
        let (first, other, second) =
            (produce(&records, log, in_batch), produce_bare(&producer, &bare.name), produce(&records, log, in_batch));
        ratio(&format!("produce {in_batch} x 1 KiB"), f64::midpoint(first, second), other, "records/s");
    }
    sequential_appends(&records, &bare);
    cold_reads(&records, log, &bare);
    tails(&records, &ours);
}

fn sequential_appends(records: &Records, bare: &Topic<'_>) {
    let topic = Topic::new(records, "latency", 1, &TopicConfig::default());
    let (log, kib) = (topic.log(0), kib());
    let ours = (0..500).map(|_| {
        let began = Instant::now();
        append(records, log, values(&[&kib])).unwrap();
        began.elapsed()
    });
    let ours = median(ours.collect());
    let producer: BaseProducer = {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", brokers()).set("enable.idempotence", "true").set("linger.ms", "0");
        config.create().unwrap()
    };
    let theirs = (0..500).map(|_| {
        let began = Instant::now();
        let record = BaseRecord::<[u8], str>::to(&bare.name).partition(0).payload(&kib);
        producer.send(record).map_err(|(error, _)| error).unwrap();
        while producer.in_flight_count() > 0 {
            producer.poll(Duration::from_micros(50));
        }
        began.elapsed()
    });
    let theirs = median(theirs.collect());
    ratio("one append, median", ours.as_secs_f64() * 1e6, theirs.as_secs_f64() * 1e6, "us");
}

fn cold_reads(records: &Records, log: LogId, bare: &Topic<'_>) {
    let end = (RECORDS * 3) as u64;
    let began = Instant::now();
    let (mut next, mut chunk, mut count) = (Offset(0), Chunk::default(), 0);
    while next.0 < end {
        chunk.clear();
        let part = ReadPart { log, from: next, to: Offset(end), max_bytes: 1 << 20, max_records: u32::MAX };
        let outcome = records.read(&part, ReadMode::Blocking, &mut chunk).unwrap();
        count += chunk.records(&outcome).count();
        next = outcome.next;
    }
    assert_eq!(count as u64, end);
    let ours = per_second(count, began) / 1024.0;
    let began = Instant::now();
    let consumer = bare_consumer(&bare.name, 0);
    let (mut count, mut bytes) = (0, 0);
    while count < RECORDS * 3 {
        if let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) {
            count += 1;
            bytes += message.payload().map_or(0, <[u8]>::len);
        }
    }
    assert_eq!(bytes, count << 10);
    ratio("cold read, in sequence", ours, per_second(count, began) / 1024.0, "MiB/s");
}

fn tails(records: &Records, topic: &Topic<'_>) {
    let (log, kib) = (topic.log(0), kib());
    let (_, mut end) = topic.bounds(log);
    let (sender, heard) = mpsc::channel();
    records.on_moved(move |moved| {
        let _ = sender.send((Instant::now(), moved.to_vec()));
    });
    let told = |end: u64| loop {
        let (at, moved) = heard.recv_timeout(PATIENCE).unwrap();
        if moved.iter().any(|(of, bounds)| *of == log && bounds.end.0 >= end) {
            return at;
        }
    };
    records.watch([log]);
    told(end);
    let mut own_wakes = Vec::new();
    for _ in 0..500 {
        let (sender, done) = mpsc::channel();
        records.append(log, values(&[&kib]), move |result| {
            result.unwrap();
            sender.send(Instant::now()).unwrap();
        });
        end += 1;
        let done = done.recv_timeout(PATIENCE).unwrap();
        own_wakes.push(told(end).saturating_duration_since(done));
    }
    println!("own append, done to told: {:?}", median(own_wakes));

    let other = bare_producer();
    let write = || {
        let record = BaseRecord::<[u8], str>::to(&topic.name).partition(0).payload(&kib);
        other.send(record).map_err(|(error, _)| error).unwrap();
        Instant::now()
    };
    let mut wakes = Vec::new();
    for _ in 0..200 {
        let began = write();
        end += 1;
        wakes.push(told(end).saturating_duration_since(began));
    }
    let consumer = bare_consumer(&topic.name, i64::try_from(end).unwrap());
    let mut bare_wakes = Vec::new();
    for _ in 0..200 {
        let began = write();
        while consumer.poll(Duration::from_millis(1)).is_none() {}
        end += 1;
        bare_wakes.push(began.elapsed());
    }
    let (ours, bare) = (median(wakes).as_secs_f64() * 1e6, median(bare_wakes).as_secs_f64() * 1e6);
    ratio("another's append to told, median", ours, bare, "us");

    hears_all(records, log, end);
    for count in [1, 100] {
        let part =
            ReadPart { log, from: Offset(end - count), to: Offset(end), max_bytes: 1 << 20, max_records: u32::MAX };
        let (mut chunk, began, times) = (Chunk::default(), Instant::now(), 10_000);
        for _ in 0..times {
            chunk.clear();
            assert_eq!(u64::from(records.read(&part, ReadMode::NoWait, &mut chunk).unwrap().records), count);
        }
        println!("read of the last {count} x 1 KiB from memory: {:?}", began.elapsed() / times);
    }
}

fn hears_all(records: &Records, log: LogId, end: u64) {
    eventually("all is in memory", || read(records, &part(log, end - 1, end), ReadMode::NoWait).is_ok());
}
