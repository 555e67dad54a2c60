//! The core alone: time and allocations of each kind of step, with completions fed by hand.

use std::{
    fmt,
    time::{Duration, Instant},
};

use clap::Args;
use takhin_core::{
    AppendedAt, Boot, Command, Config, ConsumerId, ConsumerOptions, Core, Event, FetchedPart, GroupName, LogId,
    NameError, Offset, OffsetReset, Parts, PollLimits, ProduceBatch, Refusal, Request, RequestId, Response, Timestamp,
    TopicConfig, TopicName, memory::MemoryEngine,
};
use uuid::Uuid;

use crate::{Failure, counting::allocations};

/// Records of one ready poll.
const POLL_RECORDS: u64 = 500;

/// How often a meter is started and stopped to learn what that costs.
const CALIBRATIONS: u32 = 10_000;

#[derive(Clone, Debug, Args)]
pub(crate) struct CoreSteps {
    /// Events for each kind
    #[arg(long, default_value_t = 1_000_000)]
    pub(crate) events: u32,
}

/// What the steps of one kind cost.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cost {
    name: &'static str,
    steps: u32,
    took: Duration,
    allocations: u64,
}

impl Cost {
    fn new(name: &'static str) -> Self {
        Self { name, ..Self::default() }
    }

    /// Nanoseconds of one step, without what it costs to measure it, and how often it asks for memory.
    #[allow(clippy::cast_precision_loss)] // Far below 2^52.
    pub(crate) fn of_one(&self, empty: Duration) -> (f64, f64) {
        let steps = f64::from(self.steps.max(1));
        let took = self.took.saturating_sub(empty * self.steps);
        (took.as_secs_f64() * 1e9 / steps, self.allocations as f64 / steps)
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let steps = f64::from(self.steps.max(1));
        #[allow(clippy::cast_precision_loss)] // Far below 2^52.
        let allocations = self.allocations as f64 / steps;
        let ns = self.took.as_secs_f64() * 1e9 / steps;
        write!(f, "| {} | {ns:.0} | {allocations:.2} |", self.name)
    }
}

impl CoreSteps {
    pub(crate) fn run(&self) -> Result<(), Failure> {
        println!("| core step | ns | allocations |\n|---|---:|---:|");
        for cost in self.measure()? {
            println!("{cost}");
        }
        Ok(())
    }

    pub(crate) fn measure(&self) -> Result<Vec<Cost>, Failure> {
        let mut costs = produce(self.events / 2)?;
        costs.extend(poll_ready(self.events / 2)?);
        costs.extend(park_and_wake(self.events / 4)?);
        costs.extend(commit(self.events / 2, 1)?);
        let empty = calibrate();
        for cost in &mut costs {
            cost.took = cost.took.saturating_sub(empty * cost.steps);
        }
        Ok(costs)
    }
}

/// What it costs to measure nothing: the least of several counts, since others who use the machine only add to it.
pub(crate) fn calibrate() -> Duration {
    let count = || {
        let mut took = Duration::ZERO;
        for _ in 0..CALIBRATIONS {
            let began = Instant::now();
            took += began.elapsed();
        }
        took / CALIBRATIONS
    };
    (0..10).map(|_| count()).min().unwrap_or_default()
}

fn produce(rounds: u32) -> Result<Vec<Cost>, Failure> {
    let mut bench = Bench::new()?;
    let mut costs = [Cost::new("produce: request"), Cost::new("produce: appended")];
    for _ in 0..rounds {
        let request = bench.produce_request();
        bench.step(request, &mut costs[0])?;
        let appended = bench.appended()?;
        bench.step(appended, &mut costs[1])?;
        bench.expect_replies(1)?;
    }
    Ok(costs.into())
}

fn poll_ready(rounds: u32) -> Result<Vec<Cost>, Failure> {
    let mut bench = Bench::new()?;
    bench.grow(u64::from(rounds) * POLL_RECORDS);
    let mut costs = [Cost::new("poll, ready: request"), Cost::new("poll, ready: fetched")];
    for _ in 0..rounds {
        let request = bench.poll_request(0);
        bench.step(request, &mut costs[0])?;
        let fetched = bench.fetched()?;
        bench.step(fetched, &mut costs[1])?;
        bench.expect_replies(1)?;
    }
    Ok(costs.into())
}

fn park_and_wake(rounds: u32) -> Result<Vec<Cost>, Failure> {
    let mut bench = Bench::new()?;
    let mut costs =
        [Cost::new("poll, parks: request"), Cost::new("poll, wakes: appended"), Cost::new("poll, wakes: fetched")];
    let mut unmeasured = Cost::default();
    for _ in 0..rounds {
        let request = bench.poll_request(30_000);
        bench.step(request, &mut costs[0])?;
        let produce = bench.produce_request();
        bench.step(produce, &mut unmeasured)?;
        let appended = bench.appended()?;
        bench.step(appended, &mut costs[1])?;
        let fetched = bench.fetched()?;
        bench.step(fetched, &mut costs[2])?;
        bench.expect_replies(2)?;
    }
    Ok(costs.into())
}

fn commit(rounds: u32, partitions: u32) -> Result<Vec<Cost>, Failure> {
    let mut bench = Bench::with(Config::default(), partitions)?;
    bench.grow(u64::from(rounds) * POLL_RECORDS);
    let mut costs = [Cost::new("commit: request"), Cost::new("commit: persisted")];
    let mut unmeasured = Cost::default();
    for _ in 0..rounds {
        let poll = bench.poll_request(0);
        bench.step(poll, &mut unmeasured)?;
        let fetched = bench.fetched()?;
        bench.step(fetched, &mut unmeasured)?;
        let commit = Request::Commit { consumer: bench.consumer, offsets: None, generation: None };
        let request = bench.request(commit);
        bench.step(request, &mut costs[0])?;
        let persisted = bench.persisted()?;
        bench.step(persisted, &mut costs[1])?;
        bench.expect_replies(2)?;
    }
    Ok(costs.into())
}

/// A core with one topic, and one consumer of it.
pub(crate) struct Bench {
    core: Core,
    engine: MemoryEngine,
    pub(crate) topic: TopicName,
    log: LogId,
    pub(crate) consumer: ConsumerId,
    requests: u64,
    end: u64,
    commands: Vec<Command>,
    replies: u32,
}

impl Bench {
    fn new() -> Result<Self, Failure> {
        Self::with(Config::default(), 1)
    }

    /// One whose topic has so many partitions.
    pub(crate) fn with(config: Config, partitions: u32) -> Result<Self, Failure> {
        let topic = TopicName::new("orders").map_err(|error: NameError| error.to_string())?;
        let mut bench = Self {
            core: Core::new(config, Boot(0)),
            engine: MemoryEngine::default(),
            topic: topic.clone(),
            log: LogId::default(),
            consumer: ConsumerId(Uuid::from_u128(1)),
            requests: 0,
            end: 0,
            commands: Vec::new(),
            replies: 0,
        };
        let created = bench.create_topic(&topic, partitions)?;
        let Response::Topic(created) = created else { return Err("no topic was created".into()) };
        bench.log = LogId { topic: created.id, partition: 0 };
        bench.join(bench.consumer, "billing", &topic)?;
        Ok(bench)
    }

    pub(crate) fn create_topic(&mut self, name: &TopicName, partitions: u32) -> Result<Response, Failure> {
        self.ask(Request::CreateTopic { name: name.clone(), partitions, config: TopicConfig::default() })
    }

    /// Has a consumer join a group and poll once: that poll tells of its partitions, those behind it of records only.
    pub(crate) fn join(&mut self, consumer: ConsumerId, group: &str, topic: &TopicName) -> Result<(), Failure> {
        let options = ConsumerOptions {
            auto_offset_reset: OffsetReset::Earliest,
            auto_commit: false,
            ..ConsumerOptions::default()
        };
        let group = GroupName::new(group).map_err(|error| error.to_string())?;
        let topics = [topic.clone()].into_iter().collect();
        self.ask(Request::Subscribe { consumer, group, topics, options, allow_missing: false })?;
        let limits = PollLimits { timeout_ms: 0, ..PollLimits::default() };
        self.ask(Request::Consume { consumer, limits, after_batch: None })?;
        Ok(())
    }

    /// Has a consumer wait for records that never come.
    pub(crate) fn park(&mut self, consumer: ConsumerId) {
        let limits = PollLimits::default();
        let poll = self.request(Request::Consume { consumer, limits, after_batch: None });
        self.core.step(Timestamp(0), poll, &mut self.commands);
        self.commands.clear();
    }

    /// Asks, and has the engine carry out what follows.
    fn ask(&mut self, request: Request) -> Result<Response, Failure> {
        self.ask_measured(request, &mut Cost::default())
    }

    /// The same, with all the steps that it takes counted as one.
    pub(crate) fn ask_measured(&mut self, request: Request, cost: &mut Cost) -> Result<Response, Failure> {
        let mut events = vec![self.request(request)];
        let mut reply: Option<Result<Response, Refusal>> = None;
        cost.steps += 1;
        while let Some(event) = events.pop() {
            let (before, began) = (allocations(), Instant::now());
            self.core.step(Timestamp(0), event, &mut self.commands);
            cost.took += began.elapsed();
            cost.allocations += allocations() - before;
            for command in self.commands.drain(..) {
                match command {
                    Command::Reply { response, .. } => reply = Some(response),
                    other => events.extend(self.engine.execute(&other)),
                }
            }
        }
        Ok(reply.ok_or("no reply")??)
    }

    pub(crate) fn request(&mut self, request: Request) -> Event {
        self.requests += 1;
        Event::Request { id: RequestId(self.requests), request }
    }

    pub(crate) fn produce_request(&mut self) -> Event {
        let batches =
            Parts::from_buf([ProduceBatch { partition: 0, records: 1, bytes: 1024, ..ProduceBatch::default() }]);
        let topic = self.topic.clone();
        self.request(Request::Produce { topic, batches })
    }

    pub(crate) fn poll_request(&mut self, timeout_ms: u32) -> Event {
        let limits = PollLimits { timeout_ms, ..PollLimits::default() };
        self.request(Request::Consume { consumer: self.consumer, limits, after_batch: None })
    }

    /// So many more records are there.
    fn grow(&mut self, records: u64) {
        self.end += records;
        let moved = Event::LogMoved { log: self.log, start: Offset(0), end: Offset(self.end) };
        self.core.step(Timestamp(0), moved, &mut self.commands);
        self.commands.clear();
    }

    /// One step, measured.
    pub(crate) fn step(&mut self, event: Event, cost: &mut Cost) -> Result<(), Failure> {
        self.commands.clear();
        let (before, began) = (allocations(), Instant::now());
        self.core.step(Timestamp(0), event, &mut self.commands);
        cost.took += began.elapsed();
        cost.allocations += allocations() - before;
        cost.steps += 1;
        for command in &self.commands {
            if let Command::Reply { response, .. } = command {
                self.replies += 1;
                if let Err(refusal) = response {
                    return Err(format!("refused: {refusal}").into());
                }
            }
        }
        Ok(())
    }

    pub(crate) fn expect_replies(&mut self, replies: u32) -> Result<(), Failure> {
        let given = std::mem::take(&mut self.replies);
        if given == replies { Ok(()) } else { Err(format!("{given} replies instead of {replies}").into()) }
    }

    /// What the engine says to the append that was commanded.
    pub(crate) fn appended(&mut self) -> Result<Event, Failure> {
        let found = self.commands.iter().find_map(|command| match command {
            Command::Append { id, log, records, .. } => Some((*id, *log, u64::from(*records))),
            _ => None,
        });
        let (id, log, records) = found.ok_or("no append was commanded")?;
        let base_offset = Offset(self.end);
        self.end += records;
        Ok(Event::Appended { id, log, result: Ok(AppendedAt { base_offset, end: Offset(self.end), duplicate: false }) })
    }

    /// What the engine says to the fetch that was commanded.
    pub(crate) fn fetched(&mut self) -> Result<Event, Failure> {
        let found = self.commands.iter().find_map(|command| match command {
            Command::Fetch { id, max_records, parts, .. } => Some((*id, *max_records, parts.first().copied()?)),
            _ => None,
        });
        let (id, max_records, part) = found.ok_or("no fetch was commanded")?;
        let records = u32::try_from(part.to.0 - part.from.0).unwrap_or(u32::MAX).min(max_records);
        let next = Offset(part.from.0 + u64::from(records));
        let bytes = records * 1024;
        let part = FetchedPart { log: part.log, from: part.from, next, records, bytes, error: None };
        Ok(Event::Fetched { id, parts: Parts::from_buf([part]) })
    }

    /// What the engine says to the facts that were commanded to be kept.
    pub(crate) fn persisted(&mut self) -> Result<Event, Failure> {
        let through = self.commands.iter().rev().find_map(|command| match command {
            Command::Persist { first, facts } => Some(takhin_core::FactSeq(first.0 + facts.len() as u64 - 1)),
            _ => None,
        });
        Ok(Event::Persisted { through: through.ok_or("no facts were commanded to be kept")? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first steps make room in the tables that all others use.
    const TO_BEGIN_WITH: u64 = 20;

    #[test]
    fn producing_polling_and_committing_ask_for_no_memory() {
        for cost in (CoreSteps { events: 8_000 }).measure().expect("nothing is refused") {
            assert!(cost.allocations <= TO_BEGIN_WITH, "{cost}");
        }
    }

    #[test]
    fn a_commit_asks_for_no_memory_however_many_partitions_there_are() {
        for cost in commit(2_000, 1_000).expect("nothing is refused") {
            assert!(cost.allocations <= TO_BEGIN_WITH, "{cost}");
        }
    }
}
