//! `takhin bench consume`: each connection is a consumer with partitions of its own, and reads them from their start to
//! where they ended when it began. A topic that is made for it is filled first.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use clap::Args;
use indicatif::ProgressBar;
use takhin_client::{Admin, Consumer, Reset, TopicPartition};
use uuid::Uuid;

use super::{
    budget::Budget,
    figures::{Figures, Latencies, Report},
    load::{LoadOptions, on_each},
    produce::Sender,
    topic::BenchTopic,
};
use crate::cli::client::failure::Failure;

/// How many records a topic is filled with, if nothing is said.
const RECORDS: u64 = 100_000;
/// And how many in a request: as large as its bodies may be.
const FILL_BYTES: u64 = 1 << 20;
/// How long one poll may wait. It is given up when the run is over.
const WAIT: Duration = Duration::from_secs(30);

#[derive(Debug, Args)]
pub(in crate::cli) struct Consume {
    #[command(flatten)]
    load: LoadOptions,

    /// How many records a poll brings at most
    #[arg(short, long, default_value_t = 500, value_name = "RECORDS", value_parser = clap::value_parser!(u64).range(1..=10_000))]
    batch: u64,
}

/// What one connection has read.
struct Read {
    records: u64,
    bytes: u64,
    latencies: Latencies,
}

impl Consume {
    pub(super) async fn run(self) -> Result<(), Failure> {
        let load = &self.load;
        let admin = load.connection.once()?.admin();
        let topic = BenchTopic::provide(&admin, load.topic.as_deref(), load.partitions()).await?;
        let run = self.fill_and_measure(&admin, &topic).await;
        topic.remove(&admin, run).await?.print(load.output.output)
    }

    async fn fill_and_measure(&self, admin: &Admin, topic: &BenchTopic) -> Result<Report, Failure> {
        if self.load.connections() > topic.partitions as usize {
            let most = format!("{} has {} partitions: each is read by one connection", topic.name, topic.partitions);
            return Err(Failure::WrongUsage(most));
        }
        if topic.is_ours() {
            self.fill(topic).await?;
        }
        self.measure(admin, topic).await
    }

    async fn fill(&self, topic: &BenchTopic) -> Result<(), Failure> {
        let load = &self.load;
        let count = load.count.unwrap_or(RECORDS);
        let bar = load.progress("filling", Some(count))?;
        let client = load.connection.lasting().await?;
        let batch = (FILL_BYTES / load.record_bytes.max(1)).clamp(1, 10_000);
        let budget = Arc::new(Budget::new(Some(count)));
        let senders = (0..topic.partitions as usize).map(|number| {
            let sender = Sender::new(&client, topic, number, batch, load.record_bytes, None);
            sender.run(budget.clone(), bar.clone(), None)
        });
        on_each(senders, &budget, None).await?;
        bar.finish_and_clear();
        Ok(())
    }

    async fn measure(&self, admin: &Admin, topic: &BenchTopic) -> Result<Report, Failure> {
        let load = &self.load;
        let there: u64 = admin.topic(&topic.name).await?.offsets.iter().map(|bounds| bounds.end - bounds.start).sum();
        if there == 0 {
            return Err(Failure::new(format!("{} has no records", topic.name)));
        }
        let records = load.count.unwrap_or(there).min(there);
        let bar = load.progress("consuming", Some(records))?;
        let budget = Arc::new(Budget::new(Some(records)));
        let group = format!("bench-{}", Uuid::new_v4());
        let consumers = self.consumers(topic, &group).await?;
        let began = Instant::now();
        let tasks = consumers.into_iter().map(|consumer| read(consumer, budget.clone(), bar.clone()));
        let run = on_each(tasks, &budget, load.duration()).await;
        let took = began.elapsed();
        bar.finish_and_clear();
        let all = run?;
        let (records, bytes) = all.iter().fold((0, 0), |(records, bytes), it| (records + it.records, bytes + it.bytes));
        let latencies = all.iter().fold(Latencies::new(), |all, read| all.merge(&read.latencies));
        Ok(Report {
            topic: topic.name.clone(),
            partitions: topic.partitions,
            connections: load.connections(),
            batch: self.batch,
            record_bytes: bytes / records.max(1),
            results: vec![Figures::new("consumed", records, bytes, took, &latencies)],
        })
    }

    /// A consumer for each connection, which has joined. Nothing is committed, so no group is left behind.
    async fn consumers(&self, topic: &BenchTopic, group: &str) -> Result<Vec<Consumer>, Failure> {
        let load = &self.load;
        let batch = usize::try_from(self.batch).unwrap_or(usize::MAX);
        let mut consumers = Vec::new();
        for number in 0..load.connections() {
            let client = load.connection.lasting().await?;
            let own = (0..topic.partitions).skip(number).step_by(load.connections());
            let consumer = client.consumer(group).assign(own.map(|number| TopicPartition::new(&*topic.name, number)));
            let consumer = consumer.auto_offset_reset(Reset::Earliest).auto_commit(false).client_id("takhin bench");
            let mut consumer = consumer.max_poll_records(batch).max_poll_bytes(64 << 20).build();
            consumer.join().await?;
            consumers.push(consumer);
        }
        Ok(consumers)
    }
}

/// Reads until the budget is over.
async fn read(mut consumer: Consumer, budget: Arc<Budget>, bar: ProgressBar) -> Result<Read, Failure> {
    let mut read = Read { records: 0, bytes: 0, latencies: Latencies::new() };
    loop {
        let began = Instant::now();
        let batch = tokio::select! {
            batch = consumer.poll(WAIT) => batch?,
            () = budget.ended() => break,
        };
        if batch.messages.is_empty() {
            continue;
        }
        read.latencies.note(began.elapsed());
        let bytes = batch.messages.iter().map(|message| message.value.as_ref().map_or(0, |value| value.len() as u64));
        read.bytes += bytes.sum::<u64>();
        read.records += batch.messages.len() as u64;
        bar.inc(batch.messages.len() as u64);
        budget.note(batch.messages.len() as u64);
    }
    consumer.leave().await?;
    Ok(read)
}
