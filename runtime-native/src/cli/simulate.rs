//! `takhin simulate`: the broker's core in a simulated world, until a promise is broken or the runs are done.

use std::{
    collections::BTreeSet,
    fs,
    path::PathBuf,
    str::FromStr,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use takhin_simulation::{
    Coverage, EngineKind, Fault, Found, Rare, Simulation,
    cluster::{Cluster, Sights},
};

#[derive(Debug, Args)]
pub(super) struct Simulate {
    /// Seed of the first run; the others follow it by one. A fresh one if none is given
    #[arg(long, value_name = "N")]
    seed: Option<u64>,

    /// Steps of one run
    #[arg(long, default_value_t = 10_000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    steps: u32,

    /// Runs, each with a seed and a world of its own
    #[arg(long, default_value_t = 100, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    runs: u64,

    /// What may go wrong: all, none, or names with commas between them, as in crash,trim,lost
    #[arg(long, default_value = "all", value_name = "LIST")]
    faults: Faults,

    /// What the broker runs on: local, one server with its storage, or kafka, a cell of a cluster
    #[arg(long, default_value_t, value_name = "ENGINE", conflicts_with = "cluster")]
    engine: EngineKind,

    /// One cell on several nodes that take it over from each other, instead of one broker with its storage
    #[arg(long, conflicts_with = "faults")]
    cluster: bool,

    /// Directory in which the trace of a violation is put
    #[arg(long, default_value = ".", value_name = "DIR")]
    output: PathBuf,

    /// The bug that is switched on, to see what comes of it
    #[cfg(feature = "planted")]
    #[arg(long, hide = true, value_parser = bug)]
    plant: Option<takhin_core::planted::Bug>,
}

#[cfg(feature = "planted")]
fn bug(name: &str) -> Result<takhin_core::planted::Bug, String> {
    serde_json::from_value(name.into()).map_err(|error: serde_json::Error| error.to_string())
}

#[derive(Clone, Debug)]
struct Faults(BTreeSet<Fault>);

impl FromStr for Faults {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "all" => Ok(Self(Fault::ALL.iter().copied().collect())),
            "none" => Ok(Self(BTreeSet::new())),
            names => names.split(',').map(str::parse).collect::<Result<_, _>>().map(Self),
        }
    }
}

/// What all runs together did.
#[derive(Default)]
struct Totals {
    runs: u64,
    steps: u64,
    events: u64,
    coverage: Coverage,
}

impl Simulate {
    pub(super) fn run(self) -> Result<(), String> {
        let first = match self.seed {
            Some(seed) => seed,
            None => fresh_seed()?,
        };
        println!("seed {first}, {} runs of {} steps", self.runs, self.steps);
        let bar = ProgressBar::new(self.runs).with_style(style()?);
        if self.cluster {
            return self.run_clusters(first, &bar);
        }
        let (mut totals, began) = (Totals::default(), Instant::now());
        for seed in (0..self.runs).map(|run| first.wrapping_add(run)) {
            let simulation = self.simulation(seed);
            let report = simulation.run(seed, self.steps);
            totals.runs += 1;
            totals.steps += report.steps;
            totals.events += report.events;
            totals.coverage.add(&report.coverage);
            if let Some(violation) = &report.violation {
                bar.set_message(format!("seed {seed}: {violation}; making it smaller"));
                let found = simulation.shrink(seed, &report);
                bar.finish_and_clear();
                totals.print(self.engine, began.elapsed());
                let found = found.ok_or_else(|| format!("seed {seed}: {violation}, and not again when repeated"))?;
                return Err(self.keep(seed, &found)?);
            }
            bar.inc(1);
        }
        bar.finish_and_clear();
        totals.print(self.engine, began.elapsed());
        Ok(())
    }

    fn run_clusters(&self, first: u64, bar: &ProgressBar) -> Result<(), String> {
        let (mut sights, mut steps, began) = (Sights::default(), 0, Instant::now());
        for seed in (0..self.runs).map(|run| first.wrapping_add(run)) {
            let report = Cluster::run(seed, self.steps);
            steps += report.steps;
            sights.add(&report.sights);
            if let Some(violation) = report.violation {
                bar.finish_and_clear();
                return Err(format!(
                    "seed {seed} breaks a promise in step {}\n  {violation}\n  \
                     again: takhin simulate --cluster --seed {seed} --runs 1 --steps {}",
                    report.steps, self.steps,
                ));
            }
            bar.inc(1);
        }
        bar.finish_and_clear();
        println!("\n{sights}");
        println!("{:>12}  runs", self.runs);
        println!("{steps:>12}  steps, {:.0} a second", rate(steps, began.elapsed()));
        Ok(())
    }

    fn simulation(&self, seed: u64) -> Simulation {
        #[allow(unused_mut)] // Without the feature nothing is planted.
        let mut simulation = Simulation::on(self.engine, seed, &self.faults.0);
        #[cfg(feature = "planted")]
        simulation.planted.clone_from(&self.plant);
        simulation
    }

    /// Writes a violation's trace, and says where it is and how to see it again.
    fn keep(&self, seed: u64, found: &Found) -> Result<String, String> {
        let path = self.output.join(format!("takhin-{seed}.jsonl"));
        fs::write(&path, &found.trace).map_err(|error| format!("can't write {}: {error}", path.display()))?;
        let (lines, violation) = (found.trace.lines().count() - 1, &found.violation);
        let engine =
            if self.engine == EngineKind::Local { String::new() } else { format!(" --engine {}", self.engine) };
        Ok(format!(
            "seed {seed} breaks a promise\n  oracle    {}: {}\n  seen      {}\n  trace     {}, {lines} steps\n  \
             again     takhin simulate{engine} --seed {seed} --runs 1 --steps {}",
            violation.oracle,
            violation.oracle.sentence(),
            violation.detail,
            path.display(),
            self.steps,
        ))
    }
}

impl Totals {
    fn print(&self, engine: EngineKind, took: Duration) {
        let all = Rare::on(engine).count();
        let met = all - self.coverage.missing(engine).count();
        let rate = rate(self.steps, took);
        println!("\n{}", self.coverage.table(engine));
        println!("{:>12}  runs", self.runs);
        println!("{:>12}  steps, {rate:.0} a second", self.steps);
        println!("{:>12}  events judged by all oracles", self.events);
        println!("{met:>12}  of {all} rare states met");
    }
}

fn rate(steps: u64, took: Duration) -> f64 {
    #[allow(clippy::cast_precision_loss)] // Far below 2^52.
    let steps = steps as f64;
    steps / took.as_secs_f64().max(f64::EPSILON)
}

fn fresh_seed() -> Result<u64, String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(|error| error.to_string())?;
    Ok(now.as_secs() << 20 | u64::from(now.subsec_micros()))
}

fn style() -> Result<ProgressStyle, String> {
    let template = "{wide_bar} {pos} of {len} runs, {eta} to go {msg}";
    ProgressStyle::with_template(template).map_err(|error| error.to_string())
}
