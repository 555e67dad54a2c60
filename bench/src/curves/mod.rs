//! Whether an operation costs more where there is more of something else: topics, partitions, groups, consumers, polls
//! that wait, and everything that happened before.

mod core;
mod plot;
mod server;

use std::{fs, path::PathBuf};

use clap::Args;

use self::plot::{Line, Panel};
use crate::Failure;

/// How much there is of something, one after the other.
const SIZES: [u32; 5] = [10, 100, 1_000, 10_000, 100_000];

#[derive(Debug, Args)]
pub(crate) struct Curves {
    /// The release build of `takhin`; without it only the core is measured
    #[arg(long)]
    server: Option<PathBuf>,
    /// Directory in which servers keep their data while they run
    #[arg(long, default_value = ".")]
    directory: PathBuf,
    /// Draw the curves in this directory, as curves-core.svg and curves-server.svg
    #[arg(long)]
    plot: Option<PathBuf>,
    /// Leave the core out
    #[arg(long, requires = "server")]
    server_only: bool,
    /// How much there is of something, at most
    #[arg(long, default_value_t = 100_000)]
    most: u32,
}

/// What there is more and more of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Growing {
    /// Other topics, of one partition each.
    Topics,
    /// Partitions of the very topic.
    Partitions,
    /// Other groups, each with one consumer of another topic.
    Groups,
    /// Consumers of the very topic, each in a group of its own, that do not poll.
    Consumers,
    /// Polls that wait for another topic's records.
    Parked,
    /// Records that were produced, read and committed before.
    Age,
}

impl Growing {
    const ALL: [Self; 6] = [Self::Topics, Self::Partitions, Self::Groups, Self::Consumers, Self::Parked, Self::Age];

    const fn name(self) -> &'static str {
        match self {
            Self::Topics => "other topics",
            Self::Partitions => "partitions of the topic",
            Self::Groups => "other groups",
            Self::Consumers => "other consumers of the topic",
            Self::Parked => "polls that wait",
            Self::Age => "records and commits before",
        }
    }
}

/// What an operation costs at one size.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Point {
    pub(crate) size: u32,
    /// Nanoseconds.
    pub(crate) ns: f64,
    /// How often memory is asked for, where that is known.
    pub(crate) allocations: Option<f64>,
}

/// One operation beside more and more of one thing.
#[derive(Clone, Debug)]
pub(crate) struct Curve {
    pub(crate) operation: &'static str,
    pub(crate) growing: Growing,
    pub(crate) points: Vec<Point>,
}

impl Curves {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let sizes: Vec<_> = SIZES.into_iter().filter(|size| *size <= self.most).collect();
        let mut failures = Vec::new();
        let draw = |name: &str, panels: &[Panel]| {
            self.plot.as_deref().map_or(Ok(()), |directory| fs::write(directory.join(name), plot::svg(panels)))
        };
        if !self.server_only {
            let steps = curves(&sizes, &mut failures, core::measure);
            println!("{}", table("the core's steps, ns (allocations)", &sizes, &steps, 1.0));
            draw("curves-core.svg", &panels("ns", 1.0, &steps))?;
        }
        if let Some(program) = &self.server {
            let requests = curves(&sizes, &mut failures, |growing, size| match growing {
                _ if size > server::most(growing) => Ok(Vec::new()),
                _ => server::measure(program, &self.directory, growing, size),
            });
            println!("{}", table("CPU time of the server for a request, µs", &sizes, &requests, 1e-3));
            draw("curves-server.svg", &panels("µs of CPU", 1e-3, &requests))?;
        }
        // What could be measured is told all the same.
        if failures.is_empty() { Ok(()) } else { Err(failures.join("; ").into()) }
    }
}

/// Measures all operations at all sizes of everything that grows, and adds what failed.
fn curves(
    sizes: &[u32],
    failures: &mut Vec<String>,
    measure: impl Fn(Growing, u32) -> Result<Vec<(&'static str, Point)>, Failure>,
) -> Vec<Curve> {
    let mut curves: Vec<Curve> = Vec::new();
    for growing in Growing::ALL {
        for &size in sizes {
            eprintln!("{size} {}", growing.name());
            let points = measure(growing, size).unwrap_or_else(|failure| {
                failures.push(format!("{size} {}: {failure}", growing.name()));
                Vec::new()
            });
            for (operation, point) in points {
                let is_it = |curve: &&mut Curve| curve.operation == operation && curve.growing == growing;
                match curves.iter_mut().find(is_it) {
                    Some(curve) => curve.points.push(point),
                    None => curves.push(Curve { operation, growing, points: vec![point] }),
                }
            }
        }
    }
    curves
}

fn table(title: &str, sizes: &[u32], curves: &[Curve], scale: f64) -> String {
    let heads: Vec<_> = sizes.iter().map(|size| plot::thousands(*size)).collect();
    let mut lines =
        vec![format!("| {title} | beside | {} |\n|---|---|{}", heads.join(" | "), "---:|".repeat(sizes.len()))];
    for operation in operations(curves) {
        for curve in curves.iter().filter(|curve| curve.operation == operation) {
            let cell = |point: &Point| {
                let allocations = point.allocations.map_or(String::new(), |count| format!(" ({count:.1})"));
                format!("{:.0}{allocations}", point.ns * scale)
            };
            let point = |size: &u32| curve.points.iter().find(|point| point.size == *size);
            let cells: Vec<_> = sizes.iter().map(|size| point(size).map_or("–".to_owned(), cell)).collect();
            lines.push(format!("| {operation} | {} | {} |", curve.growing.name(), cells.join(" | ")));
        }
    }
    lines.join("\n") + "\n"
}

/// A panel for each operation, with a line for each thing that grows.
fn panels(unit: &str, scale: f64, curves: &[Curve]) -> Vec<Panel> {
    let panel = |operation: &'static str| {
        let line = |curve: &Curve| Line {
            name: curve.growing.name(),
            points: curve.points.iter().map(|point| (f64::from(point.size), point.ns * scale)).collect(),
        };
        let lines = curves.iter().filter(|curve| curve.operation == operation).map(line).collect();
        Panel { title: format!("{operation}, {unit}"), lines }
    };
    operations(curves).into_iter().map(panel).collect()
}

/// In the order in which they were measured.
fn operations(curves: &[Curve]) -> Vec<&'static str> {
    let mut operations = Vec::new();
    for curve in curves {
        if !operations.contains(&curve.operation) {
            operations.push(curve.operation);
        }
    }
    operations
}
