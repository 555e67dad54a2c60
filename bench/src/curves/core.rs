//! The core's steps beside more and more of everything.

use std::time::{Duration, Instant};

use takhin_core::{Config, ConsumerId, ConsumerOptions, Event, GroupName, Request, TopicConfig, TopicName};
use uuid::Uuid;

use super::{Growing, Point};
use crate::{
    Failure,
    core_steps::{Bench, Cost, calibrate},
};

/// Rounds of one pass at most, and for how long at most: where a step takes long, fewer of them tell as much. Of several
/// passes the least counts, since others who use the machine only ever add to it.
const MOST_ROUNDS: u32 = 2_000;
const LONGEST: Duration = Duration::from_millis(200);
const PASSES: u32 = 8;
/// The last kinds of operations come and go, and are measured by themselves.
const PASSING: usize = 2;

/// What one round's operations cost: each is one step or several.
#[derive(Default)]
struct Costs {
    produce: [Cost; 2],
    poll: [Cost; 2],
    wake: [Cost; 3],
    commit: [Cost; 2],
    tick: [Cost; 1],
    topic: [Cost; 2],
    consumer: [Cost; 2],
}

/// Measures the operations with so much of what grows.
pub(super) fn measure(growing: Growing, size: u32) -> Result<Vec<(&'static str, Point)>, Failure> {
    let mut bench = populated(growing, size)?;
    // What comes and goes may look at all that there is, and would leave the others to find their memory cold.
    let mut found = least(&mut bench, size, round)?;
    found.truncate(found.len() - PASSING);
    let passing = least(&mut bench, size, come_and_go)?;
    found.extend(passing.into_iter().rev().take(PASSING).rev());
    Ok(found)
}

/// What the operations cost in the best of several passes.
fn least(
    bench: &mut Bench,
    size: u32,
    round: fn(&mut Bench, &mut Costs) -> Result<(), Failure>,
) -> Result<Vec<(&'static str, Point)>, Failure> {
    let (empty, began) = (calibrate(), Instant::now());
    let mut least: Vec<(&'static str, Point)> = Vec::new();
    for pass in 0..=PASSES {
        let (mut costs, began_pass) = (Costs::default(), Instant::now());
        for _ in 0..MOST_ROUNDS {
            round(bench, &mut costs)?;
            if began_pass.elapsed() > LONGEST {
                break;
            }
        }
        // The first one makes it warm.
        if pass == 1 {
            least = points(&costs, size, empty);
        }
        for (least, (_, point)) in least.iter_mut().zip(points(&costs, size, empty)) {
            if point.ns < least.1.ns {
                least.1 = point;
            }
        }
        if pass > 0 && began.elapsed() > LONGEST * PASSES {
            break;
        }
    }
    Ok(least)
}

/// What a round's operations cost.
fn points(costs: &Costs, size: u32, empty: Duration) -> Vec<(&'static str, Point)> {
    let point = |steps: &[Cost]| {
        let of_steps = steps.iter().map(|cost| cost.of_one(empty));
        let (ns, allocations) = of_steps.fold((0.0, 0.0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        Point { size, ns, allocations: Some(allocations) }
    };
    vec![
        ("produce", point(&costs.produce)),
        ("poll that finds records", point(&costs.poll)),
        ("poll that waits, woken", point(&costs.wake)),
        ("commit", point(&costs.commit)),
        ("time passes", point(&costs.tick)),
        ("a topic is made and deleted", point(&costs.topic)),
        ("a consumer joins and leaves", point(&costs.consumer)),
    ]
}

/// A record is produced, and read; another is waited for; what was read is committed, and time passes.
fn round(bench: &mut Bench, costs: &mut Costs) -> Result<(), Failure> {
    let produce = bench.produce_request();
    bench.step(produce, &mut costs.produce[0])?;
    let appended = bench.appended()?;
    bench.step(appended, &mut costs.produce[1])?;

    let poll = bench.poll_request(0);
    bench.step(poll, &mut costs.poll[0])?;
    let fetched = bench.fetched()?;
    bench.step(fetched, &mut costs.poll[1])?;

    let mut unmeasured = Cost::default();
    let poll = bench.poll_request(30_000);
    bench.step(poll, &mut costs.wake[0])?;
    let produce = bench.produce_request();
    bench.step(produce, &mut unmeasured)?;
    let appended = bench.appended()?;
    bench.step(appended, &mut costs.wake[1])?;
    let fetched = bench.fetched()?;
    bench.step(fetched, &mut costs.wake[2])?;

    let commit = Request::Commit { consumer: bench.consumer, offsets: None, generation: None };
    let commit = bench.request(commit);
    bench.step(commit, &mut costs.commit[0])?;
    let persisted = bench.persisted()?;
    bench.step(persisted, &mut costs.commit[1])?;
    bench.step(Event::Tick, &mut costs.tick[0])?;
    bench.expect_replies(5)
}

/// A topic is made and deleted, and a consumer of the very topic joins a group of its own and leaves.
fn come_and_go(bench: &mut Bench, costs: &mut Costs) -> Result<(), Failure> {
    let name = topic("passing")?;
    let create = Request::CreateTopic { name: name.clone(), partitions: 1, config: TopicConfig::default() };
    bench.ask_measured(create, &mut costs.topic[0])?;
    bench.ask_measured(Request::DeleteTopic { name }, &mut costs.topic[1])?;

    let consumer = ConsumerId(Uuid::from_u128(2));
    let group = GroupName::new("passing").map_err(|error| error.to_string())?;
    let (topics, options) = ([bench.topic.clone()].into_iter().collect(), ConsumerOptions::default());
    let subscribe = Request::Subscribe { consumer, group, topics, options, allow_missing: false };
    bench.ask_measured(subscribe, &mut costs.consumer[0])?;
    bench.ask_measured(Request::Close { consumer }, &mut costs.consumer[1])?;
    Ok(())
}

/// A core with so much of what grows, beside the topic and the consumer that are measured.
fn populated(growing: Growing, size: u32) -> Result<Bench, Failure> {
    let most = 10_000_000;
    let config = Config {
        max_topics: most,
        max_partitions_per_topic: most,
        max_partitions: most,
        max_consumers: most,
        max_groups: most,
        max_parked: most,
        ..Config::default()
    };
    let partitions = if growing == Growing::Partitions { size } else { 1 };
    let mut bench = Bench::with(config, partitions)?;
    let quiet = topic("quiet")?;
    bench.create_topic(&quiet, 1)?;
    for number in 0..size {
        let other = ConsumerId(Uuid::from_u128(1_000 + u128::from(number)));
        match growing {
            Growing::Partitions => break,
            Growing::Topics => {
                bench.create_topic(&topic(&format!("other-{number}"))?, 1)?;
            }
            Growing::Groups => bench.join(other, &format!("group-{number}"), &quiet)?,
            Growing::Consumers => {
                let measured = bench.topic.clone();
                bench.join(other, &format!("group-{number}"), &measured)?;
            }
            Growing::Parked => {
                bench.join(other, &format!("group-{number}"), &quiet)?;
                bench.park(other);
            }
            Growing::Age => round(&mut bench, &mut Costs::default())?,
        }
    }
    Ok(bench)
}

fn topic(name: &str) -> Result<TopicName, Failure> {
    Ok(TopicName::new(name).map_err(|error| error.to_string())?)
}
