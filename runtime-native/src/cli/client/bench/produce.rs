//! `takhin bench produce`: each connection sends a batch, waits until it is durable, and sends the next one, at once or
//! when it is due.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use clap::Args;
use indicatif::ProgressBar;
use takhin_client::{Client, Producer, Record};

use super::{
    budget::Budget,
    figures::{Figures, Latencies, Report},
    load::{LoadOptions, Values, on_each},
    pace::Pace,
    topic::BenchTopic,
};
use crate::cli::client::{failure::Failure, topic::CompressionArgument};

/// Longer than it takes to fill any batch: it goes when it is full.
const LINGER: Duration = Duration::from_mins(1);

#[derive(Debug, Args)]
pub(in crate::cli) struct Produce {
    #[command(flatten)]
    load: LoadOptions,

    /// How many records a request has
    #[arg(short, long, default_value_t = 100, value_name = "RECORDS", value_parser = clap::value_parser!(u64).range(1..=100_000))]
    batch: u64,

    /// How many records a second all connections send together, however soon they are acknowledged, instead of as many as
    /// they can. A batch that is late because the one before it was counts from when it was due
    #[arg(long, value_name = "RECORDS", value_parser = clap::value_parser!(u64).range(1..=1_000_000_000))]
    rate: Option<u64>,

    /// How the server stores the records, instead of as the topic is set
    #[arg(short = 'z', long, value_enum)]
    compression: Option<CompressionArgument>,
}

/// One connection.
pub(super) struct Sender {
    producer: Producer,
    topic: String,
    partition: u32,
    batch: u64,
    values: Values,
}

/// What one connection has sent.
pub(super) struct Sent {
    pub(super) records: u64,
    pub(super) latencies: Latencies,
}

impl Produce {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let load = &self.load;
        let admin = load.connection.once()?.admin();
        let topic = BenchTopic::provide(&admin, load.topic.as_deref(), load.partitions()).await?;
        let run = self.measure(&topic).await;
        topic.remove(&admin, run).await?.print(load.output.output)
    }

    async fn measure(&self, topic: &BenchTopic) -> Result<Report, Failure> {
        let load = &self.load;
        let bar = load.progress("producing", load.count)?;
        let budget = Arc::new(Budget::new(load.count));
        let mut senders = Vec::new();
        for number in 0..load.connections() {
            let client = load.connection.lasting().await?;
            senders.push(Sender::new(&client, topic, number, self.batch, load.record_bytes, self.compression));
        }
        let (began, connections) = (Instant::now(), senders.len());
        let tasks = senders.into_iter().enumerate().map(|(index, sender)| {
            #[allow(clippy::cast_precision_loss)] // Far below 2^52.
            let pace = self.rate.map(|rate| Pace::new(began, rate as f64, self.batch, index, connections));
            sender.run(budget.clone(), bar.clone(), pace)
        });
        let all = on_each(tasks, &budget, load.duration()).await?;
        let took = began.elapsed();
        bar.finish_and_clear();
        let records = all.iter().map(|sent| sent.records).sum();
        let latencies = all.iter().fold(Latencies::new(), |all, sent| all.merge(&sent.latencies));
        let figures = Figures::new("produced", records, records * load.record_bytes, took, &latencies);
        Ok(Report {
            topic: topic.name.clone(),
            partitions: topic.partitions,
            connections: load.connections(),
            batch: self.batch,
            record_bytes: load.record_bytes,
            results: vec![figures],
        })
    }
}

impl Sender {
    pub(super) fn new(
        client: &Client,
        topic: &BenchTopic,
        number: usize,
        batch: u64,
        record_bytes: u64,
        compression: Option<CompressionArgument>,
    ) -> Self {
        let full = usize::try_from(batch).unwrap_or(usize::MAX);
        let producer = client.producer_builder().linger(LINGER).max_batch_records(full).max_batch_bytes(usize::MAX);
        let producer = producer.max_buffered_bytes(usize::MAX);
        let producer = match compression {
            Some(compression) => producer.compression(compression.into()),
            None => producer,
        };
        let partition = u32::try_from(number % topic.partitions as usize).unwrap_or(0);
        let values = Values::new(record_bytes);
        Self { producer: producer.build(), topic: topic.name.clone(), partition, batch, values }
    }

    pub(super) async fn run(
        mut self,
        budget: Arc<Budget>,
        bar: ProgressBar,
        mut pace: Option<Pace>,
    ) -> Result<Sent, Failure> {
        let mut sent = Sent { records: 0, latencies: Latencies::new() };
        loop {
            let due = match &mut pace {
                None => None,
                Some(pace) => tokio::select! {
                    due = pace.wait() => Some(due),
                    () = budget.ended() => None,
                },
            };
            let count = budget.take(self.batch);
            if count == 0 {
                return Ok(sent);
            }
            let began = due.unwrap_or_else(Instant::now);
            let mut pending = Vec::new();
            for _ in 0..count {
                let record = Record::new(&*self.topic).partition(self.partition).value(self.values.next());
                pending.push(self.producer.send(record).await?);
            }
            if count < self.batch {
                self.producer.flush().await;
            }
            for fate in pending {
                fate.await?;
            }
            sent.latencies.note(began.elapsed());
            sent.records += count;
            bar.inc(count);
        }
    }
}
