//! `takhin bench latency`: from a record's sending to its arrival at a poll that waited for it. Each connection is a
//! producer and a consumer with a partition that they share with no other connection of the run.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use clap::Args;
use indicatif::ProgressBar;
use takhin_client::{Client, Consumer, Place, Producer, Record, TopicPartition};
use tokio::time::sleep;
use uuid::Uuid;

use super::{
    budget::Budget,
    figures::{Figures, Latencies, Report},
    load::{LoadOptions, Values, on_each},
    topic::BenchTopic,
};
use crate::cli::client::failure::Failure;

/// How long one poll waits; the next one follows.
const WAIT: Duration = Duration::from_secs(30);

#[derive(Debug, Args)]
pub(in crate::cli) struct Latency {
    #[command(flatten)]
    load: LoadOptions,

    /// How many records are sent at a time; they have arrived when the last one has
    #[arg(short, long, default_value_t = 1, value_name = "RECORDS", value_parser = clap::value_parser!(u64).range(1..=10_000))]
    batch: u64,

    /// How long a poll waits, at least, before the record that it waits for is sent
    #[arg(long, default_value_t = 5, value_name = "MS", value_parser = clap::value_parser!(u64).range(0..=60_000))]
    pause_ms: u64,
}

/// One connection there and one back.
struct Pair {
    producer: Producer,
    consumer: Consumer,
    place: TopicPartition,
    batch: u64,
    pause: Duration,
    values: Values,
}

/// What one pair has found.
struct Found {
    acknowledged: Latencies,
    received: Latencies,
    records: u64,
}

impl Latency {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let load = &self.load;
        let admin = load.connection.once()?.admin();
        let topic = BenchTopic::provide(&admin, load.topic.as_deref(), load.partitions()).await?;
        let run = self.measure(&topic).await;
        topic.remove(&admin, run).await?.print(load.output.output)
    }

    async fn measure(&self, topic: &BenchTopic) -> Result<Report, Failure> {
        let load = &self.load;
        if load.connections() > topic.partitions as usize {
            let most = format!("{} has {} partitions: each is for one connection", topic.name, topic.partitions);
            return Err(Failure::WrongUsage(most));
        }
        let bar = load.progress("measuring", load.count)?;
        let budget = Arc::new(Budget::new(load.count));
        let group = format!("bench-{}", Uuid::new_v4());
        let mut pairs = Vec::new();
        for number in (0..topic.partitions).take(load.connections()) {
            let place = TopicPartition::new(&*topic.name, number);
            pairs.push(self.pair(&load.connection.lasting().await?, &group, place).await?);
        }
        let began = Instant::now();
        let tasks = pairs.into_iter().map(|pair| pair.run(budget.clone(), bar.clone()));
        let run = on_each(tasks, &budget, load.duration()).await;
        let took = began.elapsed();
        bar.finish_and_clear();
        let all = run?;
        let records = all.iter().map(|found| found.records).sum();
        let figures = |what, latencies: fn(&Found) -> &Latencies| {
            let merged = all.iter().fold(Latencies::new(), |all, found| all.merge(latencies(found)));
            Figures::new(what, records, records * load.record_bytes, took, &merged)
        };
        Ok(Report {
            topic: topic.name.clone(),
            partitions: topic.partitions,
            connections: load.connections(),
            batch: self.batch,
            record_bytes: load.record_bytes,
            results: vec![
                figures("acknowledged", |found| &found.acknowledged),
                figures("received", |found| &found.received),
            ],
        })
    }

    async fn pair(&self, client: &Client, group: &str, place: TopicPartition) -> Result<Pair, Failure> {
        let batch = usize::try_from(self.batch).unwrap_or(usize::MAX);
        // A batch goes when it is full.
        let producer = client.producer_builder().linger(WAIT).max_batch_records(batch).max_batch_bytes(usize::MAX);
        let consumer = client.consumer(group).assign([place.clone()]).auto_commit(false).client_id("takhin bench");
        let mut consumer = consumer.max_poll_records(batch).build();
        // Where the topic is in use, what was there before is of no interest.
        consumer.seek_to(Place::End, None).await?;
        Ok(Pair {
            producer: producer.max_buffered_bytes(usize::MAX).build(),
            consumer,
            place,
            batch: self.batch,
            pause: Duration::from_millis(self.pause_ms),
            values: Values::new(self.load.record_bytes),
        })
    }
}

impl Pair {
    async fn run(mut self, budget: Arc<Budget>, bar: ProgressBar) -> Result<Found, Failure> {
        let mut found = Found { acknowledged: Latencies::new(), received: Latencies::new(), records: 0 };
        // The first one opens connections, and is not measured.
        self.exchange(1).await?;
        loop {
            let count = budget.take(self.batch);
            if count == 0 {
                self.consumer.leave().await?;
                return Ok(found);
            }
            let (acknowledged, received) = self.exchange(count).await?;
            found.acknowledged.note(acknowledged);
            found.received.note(received);
            found.records += count;
            bar.inc(count);
        }
    }

    /// Sends so many records to a poll that waits; how long they took to be durable, and to arrive.
    async fn exchange(&mut self, count: u64) -> Result<(Duration, Duration), Failure> {
        let Self { producer, consumer, place, batch, pause, values, .. } = self;
        let last = Uuid::new_v4().to_string();
        let sending = async {
            sleep(*pause).await;
            let began = Instant::now();
            let mut pending = Vec::new();
            for number in 1..=count {
                let record = Record::new(&*place.topic).partition(place.partition).value(values.next());
                let record = if number == count { record.key(last.clone()) } else { record };
                pending.push(producer.send(record).await?);
            }
            if count < *batch {
                producer.flush().await;
            }
            for fate in pending {
                fate.await?;
            }
            Ok::<_, Failure>((began, began.elapsed()))
        };
        let receiving = async {
            loop {
                let batch = consumer.poll(WAIT).await?;
                if batch.messages.iter().any(|message| message.key_text() == Some(&last)) {
                    return Ok::<_, Failure>(Instant::now());
                }
            }
        };
        let ((began, acknowledged), arrived) = tokio::try_join!(sending, receiving)?;
        Ok((acknowledged, arrived.saturating_duration_since(began)))
    }
}
