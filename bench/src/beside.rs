//! A node of a cluster beside Strimzi's Kafka Bridge, both before the same Kafka, and beside a server without Kafka: what
//! each does of the same.

use std::time::Duration;

use clap::Args;

use crate::{
    Failure,
    connection::Connection,
    figures::{Figures, Latencies},
    load::{Load, Round, Step, Worth},
    request::{self, Url},
    wake::wake,
};

const RECORD_BYTES: usize = 1024;
/// Records in a request and connections.
const PRODUCES: [(usize, usize); 4] = [(1, 1), (1, 16), (1, 64), (100, 16)];
/// What is fetched over and over: records, in requests of so many.
const FETCHED: (usize, usize) = (40_000, 400);
/// Answers of about 1 MiB, after which a consumer goes back to the beginning.
const FETCHES: usize = 30;
const FETCH_CONNECTIONS: [usize; 2] = [1, 4];
const JSON: &str = "application/vnd.kafka.json.v2+json";

#[derive(Debug, Args)]
pub(crate) struct Beside {
    /// A node
    #[arg(long)]
    url: Url,
    /// The bridge
    #[arg(long)]
    bridge: Url,
    /// A server that keeps its records itself, to see what the cluster costs
    #[arg(long)]
    local: Option<Url>,
    /// Runs of each kind, in turn, of which the median counts
    #[arg(long, default_value_t = 3)]
    runs: usize,
    /// How long each run takes
    #[arg(long, default_value_t = 4)]
    seconds: u64,
    /// Records produced one at a time while a poll waits
    #[arg(long, default_value_t = 300)]
    rounds: usize,
}

/// Who is asked, and in which words.
#[derive(Clone, Copy, Debug)]
enum Server {
    Takhin(Url),
    Bridge(Url),
}

impl Server {
    const fn url(self) -> Url {
        match self {
            Self::Takhin(url) | Self::Bridge(url) => url,
        }
    }

    fn produce(self, topic: &str, records: usize) -> Vec<u8> {
        let body = request::records(records, RECORD_BYTES);
        match self {
            Self::Takhin(_) => request::produce(topic, &body),
            Self::Bridge(_) => request::post_as(&format!("/topics/{topic}"), JSON, &body),
        }
    }

    /// A consumer in a group of its own that begins with the first record: how it polls, and how it goes back.
    fn consumer(self, topic: &str, number: usize, timeout_ms: u32) -> Result<(Vec<u8>, Vec<u8>), Failure> {
        let mut connection = Connection::open(self.url().0)?;
        match self {
            Self::Takhin(_) => {
                let id = request::consumer_id(number);
                connection.ask(&request::subscribe_patiently(&id, topic))?;
                let rewind = request::rewind(&id, topic, &["0".to_owned()]);
                Ok((request::poll(&id, 1_000, timeout_ms), rewind))
            }
            Self::Bridge(_) => {
                let (group, v2) = (format!("bridge-{}-{number}", std::process::id()), "application/vnd.kafka.v2+json");
                let wish =
                    r#"{"name":"one","format":"json","auto.offset.reset":"earliest","enable.auto.commit":false}"#;
                connection.ask(&request::post_as(&format!("/consumers/{group}"), v2, wish))?;
                let path = format!("/consumers/{group}/instances/one");
                let topics = format!(r#"{{"topics":["{topic}"]}}"#);
                connection.ask(&request::post_as(&format!("{path}/subscription"), v2, &topics))?;
                let records = format!("{path}/records?timeout={timeout_ms}&max_bytes=1048576");
                let first = format!(r#"{{"partitions":[{{"topic":"{topic}","partition":0}}]}}"#);
                let rewind = request::post_as(&format!("{path}/positions/beginning"), v2, &first);
                Ok((request::get_as(&records, JSON), rewind))
            }
        }
    }
}

impl Beside {
    pub(crate) fn run(self) -> Result<(), Failure> {
        let local = self.local.map(Server::Takhin);
        let servers: Vec<_> =
            [Server::Takhin(self.url), Server::Bridge(self.bridge)].into_iter().chain(local).collect();
        let topic = |name: &str| format!("beside-{name}-{}", std::process::id());
        for Url(address) in [self.url].into_iter().chain(self.local) {
            for name in ["produce", "fetch", "wake-0", "wake-1", "wake-2"] {
                Connection::open(address)?.ask(&request::create_topic(&topic(name), 1))?;
            }
        }
        println!("| | node | bridge | node / bridge | one server | node / one server |");
        println!("|---|---:|---:|---:|---:|---:|");
        for (records, connections) in PRODUCES {
            let figures =
                self.median(&servers, |server| self.produce(server, &topic("produce"), records, connections))?;
            let what = format!("{records} x 1 KiB, {connections} connections, requests/s");
            row(&what, figures.iter().map(Figures::requests_per_second), 0);
        }
        // The bridge gives only what is JSON, so it writes what both read from Kafka.
        for server in &servers[1..] {
            let fill = server.produce(&topic("fetch"), FETCHED.1);
            let mut connection = Connection::open(server.url().0)?;
            for _ in 0..FETCHED.0 / FETCHED.1 {
                connection.ask(&fill)?;
            }
        }
        let mut next = 0;
        for connections in FETCH_CONNECTIONS {
            let figures = self.median(&servers, |server| {
                next += connections;
                self.fetch(server, &topic("fetch"), next, connections)
            })?;
            let what = format!("fetch of 1 MiB, {connections} consumers, MB/s");
            row(&what, figures.iter().map(Figures::megabytes_per_second), 0);
        }
        let woken = self.wake(&servers, |at| topic(&format!("wake-{at}")))?;
        for percent in [50.0, 99.0] {
            let at = |latencies: &Latencies| latencies.at(percent).as_secs_f64() * 1e3;
            row(&format!("acknowledged, p{percent:.0}, ms"), woken.iter().map(|(acknowledged, _)| at(acknowledged)), 2);
            row(&format!("a waiting poll hears of it, p{percent:.0}, ms"), woken.iter().map(|(_, heard)| at(heard)), 2);
        }
        Ok(())
    }

    /// How soon a produce is acknowledged, and how soon a poll hears of it, at each server, all runs together.
    fn wake(
        &self,
        servers: &[Server],
        topic: impl Fn(usize) -> String,
    ) -> Result<Vec<(Latencies, Latencies)>, Failure> {
        let mut waiting = Vec::new();
        for (at, server) in servers.iter().enumerate() {
            let (poll, _) = server.consumer(&topic(at), 900_000, 60_000)?;
            let mut connections = [Connection::open(server.url().0)?, Connection::open(server.url().0)?];
            connections[1].send(&poll)?;
            waiting.push((connections, server.produce(&topic(at), 1), poll, (Latencies::new(), Latencies::new())));
        }
        for _ in 0..self.runs.max(1) {
            for (connections, produce, poll, all) in &mut waiting {
                let found = wake(self.rounds, connections, produce, poll)?;
                all.0.merge(&found.0);
                all.1.merge(&found.1);
            }
        }
        Ok(waiting.into_iter().map(|(.., all)| all).collect())
    }

    fn median(
        &self,
        servers: &[Server],
        mut measure: impl FnMut(Server) -> Result<Figures, Failure>,
    ) -> Result<Vec<Figures>, Failure> {
        let mut runs = vec![Vec::new(); servers.len()];
        for _ in 0..self.runs.max(1) {
            for (server, runs) in servers.iter().zip(&mut runs) {
                let figures = measure(*server)?;
                eprintln!("{server:?}: {figures}");
                runs.push(figures);
            }
        }
        let median = |mut runs: Vec<Figures>| {
            runs.sort_by_key(|figures| figures.bytes);
            runs.swap_remove(runs.len() / 2)
        };
        Ok(runs.into_iter().map(median).collect())
    }

    fn load(&self, server: Server, rounds: Vec<Round>) -> Result<Figures, Failure> {
        Load { address: server.url().0, duration: Duration::from_secs(self.seconds), threads: 1, rate: None }
            .run(rounds)
    }

    fn produce(&self, server: Server, topic: &str, records: usize, connections: usize) -> Result<Figures, Failure> {
        let bytes = (records * RECORD_BYTES) as u64;
        let worth = Worth::Sent { records: records as u64, bytes };
        let step = Step { request: server.produce(topic, records).into(), worth };
        self.load(server, vec![Round { steps: vec![step], rewind: None }; connections])
    }

    fn fetch(&self, server: Server, topic: &str, first: usize, consumers: usize) -> Result<Figures, Failure> {
        let round = |number: usize| {
            let (poll, rewind) = server.consumer(topic, first + number, 1_000)?;
            let mut steps = vec![Step { request: poll.into(), worth: Worth::Body }; FETCHES];
            steps.push(Step { request: rewind.into(), worth: Worth::Nothing });
            Ok(Round { steps, rewind: None })
        };
        let rounds: Result<Vec<Round>, Failure> = (0..consumers).map(round).collect();
        self.load(server, rounds?)
    }
}

/// What the node, the bridge and, if there is one, the single server have done.
fn row(what: &str, values: impl Iterator<Item = f64>, digits: usize) {
    let values: Vec<_> = values.collect();
    let mut cells = vec![format!("{:.digits$}", values[0]), format!("{:.digits$}", values[1])];
    cells.push(format!("{:.2}", values[0] / values[1]));
    cells.extend(values.get(2).map(|local| format!("{local:.digits$} | {:.3}", values[0] / local)));
    println!("| {what} | {} |", cells.join(" | "));
}
