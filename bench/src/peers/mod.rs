//! Producing beside other servers that keep logs: each record acknowledged once it is in the log, with and without a sync.
//!
//! They do not do the same. What each has synced when it answers is counted, and stands beside the figures.

mod load;
mod programs;
mod wire;

use std::{fs, path::PathBuf, time::Duration};

use clap::Args;

use self::programs::{Peer, Programs};
use crate::{
    Failure,
    connection::Connection,
    figures::Figures,
    load::{Load, Round, Step, Worth},
    machine::description,
    server::Server,
};

const RECORD_BYTES: usize = 1024;
const CONNECTIONS: [usize; 3] = [1, 16, 64];
/// Requests for which syncs are counted.
const COUNTED: usize = 1_000;

/// Those without a sync first, then those with.
const PEERS: [Peer; 8] = [
    Peer::Takhin { durability: "os" },
    Peer::DurableStreams { durability: "memory" },
    Peer::Nats { sync_interval: "\"2m\"" },
    Peer::Redis { appendfsync: "no" },
    Peer::Takhin { durability: "fsync" },
    Peer::DurableStreams { durability: "wal" },
    Peer::Nats { sync_interval: "always" },
    Peer::Redis { appendfsync: "always" },
];

#[derive(Debug, Args)]
pub(crate) struct Peers {
    /// The release build of `takhin`
    #[arg(long)]
    server: PathBuf,
    /// Directory in which servers keep their data while they run; on the disk to be measured
    #[arg(long, default_value = ".")]
    directory: PathBuf,
    /// Runs of each kind, of which the median counts
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// How long each run takes
    #[arg(long, default_value_t = 3)]
    seconds: u64,
    /// Only count the syncs
    #[arg(long)]
    syncs_only: bool,
}

impl Peers {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let programs = Programs::get(self.server.clone())?;
        println!("{}\n{}\n", description(), programs.versions()?);
        if self.syncs_only {
            for peer in PEERS {
                println!("{}: {} syncs of {COUNTED} requests", peer.name(), self.syncs(&programs, peer)?);
            }
            return Ok(());
        }
        let heads: Vec<_> = CONNECTIONS.iter().map(|count| format!("{count} connections | p99 ms")).collect();
        println!("| produce of 1 KiB, requests/s | {} | syncs of 1,000 requests, 1 connection |", heads.join(" | "));
        println!("|---|{}", "---:|".repeat(2 * CONNECTIONS.len() + 1));
        let mut runs: Vec<Vec<Vec<Figures>>> = vec![vec![Vec::new(); CONNECTIONS.len()]; PEERS.len()];
        for (at, &connections) in CONNECTIONS.iter().enumerate() {
            for _ in 0..self.runs.max(1) {
                for (peer, runs) in PEERS.iter().zip(&mut runs) {
                    let server = programs.start(*peer, &self.directory, None)?;
                    let figures = measure(*peer, &server, connections, self.seconds)?;
                    eprintln!("{}, {connections} connections: {figures}", peer.name());
                    runs[at].push(figures);
                }
            }
        }
        for (peer, runs) in PEERS.iter().zip(runs) {
            let cells = runs.into_iter().map(|mut runs| {
                runs.sort_by_key(|figures| figures.requests);
                let median = &runs[runs.len() / 2];
                let p99 = median.latencies.at(99.0).as_secs_f64() * 1e3;
                format!("{:.0} | {p99:.3}", median.requests_per_second())
            });
            let cells: Vec<_> = cells.collect();
            println!("| {} | {} | {} |", peer.name(), cells.join(" | "), self.syncs(&programs, *peer)?);
        }
        Ok(())
    }

    /// How often a server syncs for a thousand requests one after the other, by strace.
    fn syncs(&self, programs: &Programs, peer: Peer) -> Result<usize, Failure> {
        let files = tempfile::tempdir_in(&self.directory)?;
        let trace = files.path().join("syncs");
        let server = programs.start(peer, &self.directory, Some(&trace))?;
        let before = count(&trace)?;
        if let Some(wire) = peer.wire() {
            wire.append_one_by_one(server.url.0, &"x".repeat(RECORD_BYTES), COUNTED)?;
        } else {
            let (create, append) = peer.requests(RECORD_BYTES);
            let mut connection = Connection::open(server.url.0)?;
            connection.ask(&create)?;
            for _ in 0..COUNTED {
                connection.ask(&append)?;
            }
        }
        Ok(count(&trace)? - before)
    }
}

/// Syncs in a trace: a call that is cut in two by another thread's counts once.
fn count(trace: &std::path::Path) -> Result<usize, Failure> {
    let text = fs::read_to_string(trace)?;
    Ok(text.lines().filter(|line| !line.contains("resumed>") && line.contains("sync")).count())
}

fn measure(peer: Peer, server: &Server, connections: usize, seconds: u64) -> Result<Figures, Failure> {
    let duration = Duration::from_secs(seconds);
    let figures = if let Some(wire) = peer.wire() {
        load::append(wire, server.url.0, connections, RECORD_BYTES, duration)?
    } else {
        let (create, append) = peer.requests(RECORD_BYTES);
        Connection::open(server.url.0)?.ask(&create)?;
        let worth = Worth::Sent { records: 1, bytes: RECORD_BYTES as u64 };
        let round = Round { steps: vec![Step { request: append.into(), worth }], rewind: None };
        Load { address: server.url.0, duration, threads: 1, rate: None }.run(vec![round; connections])?
    };
    match &figures.error {
        Some(error) => Err(format!("{}: {} errors, the first: {error}", peer.name(), figures.errors).into()),
        None => Ok(figures),
    }
}
