//! How soon requests are answered that come at a given rate, below what the server can take: what users see who are not
//! a load tool.

use std::path::PathBuf;

use clap::Args;

use crate::{
    Failure,
    figures::{Figures, Ms},
    machine::Usage,
    produce::Produce,
    server::Server,
};

const CONNECTIONS: usize = 64;
const RATES: [u32; 4] = [1_000, 5_000, 10_000, 20_000];
/// Percentiles that are shown.
const SHOWN: [f64; 3] = [50.0, 99.0, 99.9];

#[derive(Clone, Debug, Args)]
pub(crate) struct Rates {
    /// The release build of `takhin`
    #[arg(long)]
    pub(crate) server: PathBuf,
    /// Directory in which servers keep their data while they run; on the disk to be measured
    #[arg(long, default_value = ".")]
    pub(crate) directory: PathBuf,
    /// Runs of each kind, in turn, of which the one with the median of the second percentile counts
    #[arg(long, default_value_t = 3)]
    pub(crate) runs: usize,
    /// How long each run takes
    #[arg(long, default_value_t = 4)]
    pub(crate) seconds: u64,
}

impl Rates {
    pub(crate) fn run(&self) -> Result<(), Failure> {
        println!("Produce of 1 KiB at a given rate, {CONNECTIONS} connections; ms from when a request was due:\n");
        println!("| requests/s | bare p50, p99, p99.9 | os p50, p99, p99.9 | fsync p50, p99, p99.9 |");
        println!("|---:|---:|---:|---:|");
        for rate in RATES {
            let mut runs = [const { Vec::new() }; 3];
            for _ in 0..self.runs {
                for (durability, runs) in [None, Some("os"), Some("fsync")].into_iter().zip(&mut runs) {
                    runs.push(self.measure(rate, durability)?);
                }
            }
            let shown = runs.map(|mut runs| {
                runs.sort_by_key(|figures| figures.latencies.at(SHOWN[1]));
                let median = &runs[runs.len() / 2];
                let shown = SHOWN.map(|percentile| Ms(median.latencies.at(percentile)).to_string()).join(", ");
                // A server that falls behind answers fewer than come.
                let behind = median.requests_per_second() < 0.99 * f64::from(rate);
                if behind { format!("{shown} (only {:.0}/s)", median.requests_per_second()) } else { shown }
            });
            println!("| {rate} | {} |", shown.join(" | "));
        }
        Ok(())
    }

    fn measure(&self, rate: u32, durability: Option<&str>) -> Result<Figures, Failure> {
        let server = match durability {
            None => Server::bare(&self.directory)?,
            Some(durability) => Server::takhin(&self.server, &self.directory, durability)?,
        };
        let usage = Usage::begin(vec![std::process::id(), server.pid()])?;
        let produce = Produce {
            url: server.url,
            connections: CONNECTIONS,
            records_per_request: 1,
            record_bytes: 1024,
            partitions: 1,
            seconds: self.seconds,
            threads: 1,
            rate: Some(rate),
            bare: durability.is_none(),
        };
        let figures = produce.measure()?;
        let kind = durability.unwrap_or("bare");
        eprintln!("{rate}/s {kind}: {figures}; others {:.1} %", usage.others_percent()?);
        match &figures.error {
            Some(error) => Err(format!("{} errors, the first: {error}", figures.errors).into()),
            None => Ok(figures),
        }
    }
}
