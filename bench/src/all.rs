//! Everything in one go: starts the servers, measures them in turn, and writes a Markdown table.
//!
//! Servers take turns within each repetition (A B C A B C), so what slows the machine down for a while slows all of
//! them. A run during which other programs took more than a few percent of the CPUs is thrown away and repeated;
//! what stayed disturbed is marked with `*`.

use std::{
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use clap::Args;

use crate::{
    Failure,
    commits::Commits,
    consume::{Consume, Group},
    core_steps::CoreSteps,
    crowd::Crowd,
    disk::sync_latencies,
    figures::{Figures, Ms},
    machine::{Usage, description},
    produce::Produce,
    rates::Rates,
    read::{Form, Read},
    request::Url,
    server::Server,
    wake::{Idle, Wake, allow_files},
};

/// How long to look whether others are quiet.
const LOOK_AROUND: Duration = Duration::from_millis(300);

/// More connections than that and their servers' own files are never open here.
const FILES: u64 = 4_096;

#[derive(Debug, Args)]
pub(crate) struct All {
    /// The release build of `takhin`
    #[arg(long)]
    server: PathBuf,
    /// Directory in which servers keep their data while they run; on the disk to be measured
    #[arg(long, default_value = ".")]
    directory: PathBuf,
    /// Undisturbed runs of each kind, of which the median counts
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// How long each run takes
    #[arg(long, default_value_t = 4)]
    seconds: u64,
    /// How much of the CPUs others may take, in percent
    #[arg(long, default_value_t = 5.0)]
    others_percent: f64,
    /// How often a disturbed run is repeated
    #[arg(long, default_value_t = 3)]
    repeats: usize,
    /// How many seconds to wait at most before each run until others are quiet
    #[arg(long, default_value_t = 15)]
    patience: u64,
    /// Only what has this in its name
    #[arg(long, default_value = "")]
    only: String,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    Raw,
    Bare,
    Takhin(&'static str),
}

const RAW: Target = Target::Raw;
const BARE: Target = Target::Bare;
const OS: Target = Target::Takhin("os");
const FSYNC: Target = Target::Takhin("fsync");

/// One line of the table.
struct Scenario {
    name: String,
    unit: &'static str,
    targets: &'static [Target],
    measure: Box<dyn Fn(Url, Target) -> Result<Figures, Failure>>,
    value: fn(&Figures) -> f64,
}

/// One run's outcome.
struct Run {
    value: f64,
    p99: Ms,
    others_percent: f64,
}

impl All {
    pub(crate) fn run(self) -> Result<(), Failure> {
        allow_files(FILES)?;
        println!("{}; each figure the median of {} runs of {} s.", description(), self.runs, self.seconds);
        println!("`*`: other programs took more than {} % of the CPUs during a run.\n", self.others_percent);
        println!("| | unit | raw TCP | bare | os | of bare | p99 ms | fsync | of bare | p99 ms |");
        println!("|---|---|---:|---:|---:|---:|---:|---:|---:|---:|");
        for scenario in self.scenarios().iter().filter(|scenario| scenario.name.contains(&self.only)) {
            println!("{}", self.line(scenario)?);
        }
        if "parked".contains(&self.only) {
            self.parked()?;
        }
        if "rates".contains(&self.only) {
            let (server, directory) = (self.server.clone(), self.directory.clone());
            Rates { server, directory, runs: self.runs, seconds: self.seconds }.run()?;
        }
        if "disk".contains(&self.only) {
            println!();
            for bytes in [1 << 10, 100 << 10] {
                let latencies = sync_latencies(&self.directory, bytes, Duration::from_secs(2))?;
                println!("fdatasync of {} KiB: {latencies}\n", bytes >> 10);
            }
        }
        if "core".contains(&self.only) {
            CoreSteps { events: 1_000_000 }.run()?;
        }
        Ok(())
    }

    fn scenarios(&self) -> Vec<Scenario> {
        let mut all = Vec::new();
        for (connections, records_per_request) in [(1, 1), (16, 1), (64, 1), (16, 100)] {
            let seconds = self.seconds;
            let single = records_per_request == 1;
            all.push(Scenario {
                name: format!("produce {records_per_request} x 1 KiB, {connections} connections"),
                unit: if single { "requests/s" } else { "MB/s" },
                targets: &[RAW, BARE, OS, FSYNC],
                measure: Box::new(move |url, target| {
                    let (partitions, bare) = (1, matches!(target, RAW | BARE));
                    let (record_bytes, threads) = (1024, 1);
                    Produce {
                        url,
                        connections,
                        records_per_request,
                        record_bytes,
                        partitions,
                        seconds,
                        threads,
                        rate: None,
                        bare,
                    }
                    .measure()
                }),
                value: if single { Figures::requests_per_second } else { Figures::megabytes_per_second },
            });
        }
        let seconds = self.seconds;
        all.push(Scenario {
            name: "consume 1 MiB answers, 4 connections".to_owned(),
            unit: "MB/s",
            targets: &[RAW, BARE, OS],
            measure: Box::new(move |url, target| {
                let (connections, megabytes, record_bytes, threads, bare) =
                    (4, 64, 1024, 1, matches!(target, RAW | BARE));
                Consume { url, connections, megabytes, record_bytes, seconds, threads, bare }.measure()
            }),
            value: Figures::megabytes_per_second,
        });
        for (form, name) in [
            (Form::Batches, "stored batches, answers of 1 MiB, 4 connections"),
            (Form::Lines, "lines (NDJSON), 64 MiB, 4 connections"),
            (Form::Events, "stream (SSE), 64 MiB, 4 connections"),
        ] {
            all.push(Scenario {
                name: name.to_owned(),
                unit: "MB/s",
                targets: &[RAW, BARE, OS],
                measure: Box::new(move |url, target| {
                    let (connections, megabytes, record_bytes, threads, bare) = (4, 64, 1024, 1, true);
                    if matches!(target, RAW | BARE) {
                        return Consume { url, connections, megabytes, record_bytes, seconds, threads, bare }.measure();
                    }
                    Read { url, form, connections, megabytes, record_bytes, seconds }.measure()
                }),
                value: Figures::megabytes_per_second,
            });
        }
        all.push(Scenario {
            name: "commit, 64 connections".to_owned(),
            unit: "requests/s",
            targets: &[BARE, OS, FSYNC],
            measure: Box::new(move |url, target| {
                let (connections, records_per_request, record_bytes, partitions, threads) = (64, 1, 16, 1, 1);
                if target != BARE {
                    return Commits { url, connections, seconds, threads }.measure();
                }
                let (rate, bare) = (None, true);
                Produce {
                    url,
                    connections,
                    records_per_request,
                    record_bytes,
                    partitions,
                    seconds,
                    threads,
                    rate,
                    bare,
                }
                .measure()
            }),
            value: Figures::requests_per_second,
        });
        for (members, auto_commit) in [(1, true), (4, true), (1, false), (4, false)] {
            let commits = if auto_commit { "auto-commit" } else { "a commit each" };
            all.push(Scenario {
                name: format!("group of {members}, 500 x 1 KiB, {commits}"),
                unit: "records/s",
                targets: &[OS, FSYNC],
                measure: Box::new(move |url, _| {
                    let (batch, megabytes, record_bytes, threads) = (500, 64, 1024, 1);
                    Group { url, members, batch, auto_commit, megabytes, record_bytes, seconds, threads }.measure()
                }),
                value: Figures::records_per_second,
            });
        }
        all
    }

    /// Measures a scenario for all its targets in turn.
    fn line(&self, scenario: &Scenario) -> Result<String, Failure> {
        let mut runs: Vec<Vec<Run>> = scenario.targets.iter().map(|_| Vec::new()).collect();
        for _ in 0..self.runs {
            for (target, runs) in scenario.targets.iter().zip(&mut runs) {
                runs.push(self.undisturbed(scenario, *target)?);
            }
        }
        let mut cells = vec![scenario.name.clone(), scenario.unit.to_owned()];
        let mut bare = None;
        for target in [RAW, BARE, OS, FSYNC] {
            let at = scenario.targets.iter().position(|candidate| *candidate == target);
            let Some(mut runs) = at.map(|at| std::mem::take(&mut runs[at])) else {
                cells.extend(vec!["–".to_owned(); if matches!(target, RAW | BARE) { 1 } else { 3 }]);
                continue;
            };
            let disturbed = runs.iter().any(|run| run.others_percent > self.others_percent);
            runs.sort_by(|a, b| a.value.total_cmp(&b.value));
            let Run { value, p99, .. } = runs[runs.len() / 2];
            let mark = if disturbed { "*" } else { "" };
            if matches!(target, RAW | BARE) {
                bare = (target == BARE).then_some(value);
                cells.push(format!("{value:.0}{mark}"));
            } else {
                let ratio = bare.map_or("–".to_owned(), |bare| format!("{:.0} %", 100.0 * value / bare));
                cells.extend([format!("{value:.0}{mark}"), ratio, p99.to_string()]);
            }
        }
        Ok(format!("| {} |", cells.join(" | ")))
    }

    /// One run while others were quiet, or the quietest of several.
    fn undisturbed(&self, scenario: &Scenario, target: Target) -> Result<Run, Failure> {
        let mut best: Option<Run> = None;
        for _ in 0..=self.repeats {
            self.wait_until_quiet()?;
            let server = self.server(target)?;
            let usage = Usage::begin(vec![std::process::id(), server.pid()])?;
            let figures = (scenario.measure)(server.url, target)?;
            let others_percent = usage.others_percent()?;
            eprintln!("{} {target:?}: {figures}; others {others_percent:.1} %", scenario.name);
            if let Some(error) = figures.error {
                return Err(format!("{}: {} errors, the first: {error}", scenario.name, figures.errors).into());
            }
            let run = Run { value: (scenario.value)(&figures), p99: Ms(figures.latencies.at(99.0)), others_percent };
            if best.as_ref().is_none_or(|best| run.others_percent < best.others_percent) {
                best = Some(run);
            }
            if others_percent <= self.others_percent {
                break;
            }
        }
        best.ok_or_else(|| "no run at all".into())
    }

    fn wait_until_quiet(&self) -> Result<(), Failure> {
        let deadline = Instant::now() + Duration::from_secs(self.patience);
        while Instant::now() < deadline {
            let usage = Usage::begin(Vec::new())?;
            thread::sleep(LOOK_AROUND);
            if usage.others_percent()? <= self.others_percent {
                break;
            }
        }
        Ok(())
    }

    fn server(&self, target: Target) -> Result<Server, Failure> {
        match target {
            Target::Raw => Server::raw(&self.directory),
            Target::Bare => Server::bare(&self.directory),
            Target::Takhin(durability) => Server::takhin(&self.server, &self.directory, durability),
        }
    }

    fn parked(&self) -> Result<(), Failure> {
        println!();
        for target in [OS, FSYNC] {
            self.wait_until_quiet()?;
            let server = self.server(target)?;
            let (url, pid, kind) = (server.url, Some(server.pid()), Idle::Consumers);
            let usage = Usage::begin(vec![std::process::id(), server.pid()])?;
            let woken = Wake { url, idle: 1_000, kind, rounds: 1_000, pid, idle_seconds: 10 }.measure()?;
            println!("{target:?}, 1,000 idle polls (others {:.1} %):\n{woken}\n", usage.others_percent()?);
            let server = self.server(target)?;
            let (each, last) = Crowd { url: server.url, polls: 1_000, rounds: 20 }.measure()?;
            println!("{target:?}, 1,000 polls of the same partition: each {each}; the last of them {last}\n");
        }
        Ok(())
    }
}
