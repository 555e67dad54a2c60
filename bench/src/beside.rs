//! A node of a cluster beside Strimzi's Kafka Bridge, both before the same Kafka: what each does of the same.

use std::time::Duration;

use clap::Args;

use crate::{
    Failure,
    connection::Connection,
    figures::Figures,
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
        let servers = [Server::Takhin(self.url), Server::Bridge(self.bridge)];
        let topic = |name: &str| format!("beside-{name}-{}", std::process::id());
        for name in ["produce", "fetch", "wake-0", "wake-1"] {
            Connection::open(self.url.0)?.ask(&request::create_topic(&topic(name), 1))?;
        }
        println!("| | Takhin | bridge | |\n|---|---:|---:|---:|");
        for (records, connections) in PRODUCES {
            let figures =
                self.median(servers, |server| self.produce(server, &topic("produce"), records, connections))?;
            let what = format!("{records} x 1 KiB, {connections} connections, requests/s");
            row(&what, figures.map(|figures| figures.requests_per_second()), 0);
        }
        // The bridge gives only what is JSON.
        let fill = servers[1].produce(&topic("fetch"), FETCHED.1);
        let mut connection = Connection::open(self.bridge.0)?;
        for _ in 0..FETCHED.0 / FETCHED.1 {
            connection.ask(&fill)?;
        }
        for (at, connections) in FETCH_CONNECTIONS.into_iter().enumerate() {
            let mut next = at * 1_000;
            let figures = self.median(servers, |server| {
                next += connections;
                self.fetch(server, &topic("fetch"), next, connections)
            })?;
            row(
                &format!("fetch of 1 MiB, {connections} consumers, MB/s"),
                figures.map(|figures| figures.megabytes_per_second()),
                0,
            );
        }
        let mut woken = Vec::new();
        for (at, server) in servers.into_iter().enumerate() {
            let topic = topic(&format!("wake-{at}"));
            let (poll, _) = server.consumer(&topic, 900_000, 60_000)?;
            let mut connections = [Connection::open(server.url().0)?, Connection::open(server.url().0)?];
            connections[1].send(&poll)?;
            let produce = server.produce(&topic, 1);
            woken.push(wake(self.rounds, &mut connections, &produce, &poll)?);
        }
        for percent in [50.0, 99.0] {
            let at = |latencies: &crate::figures::Latencies| latencies.at(percent).as_secs_f64() * 1e3;
            let [of_takhin, of_bridge] = [0, 1].map(|server| (at(&woken[server].0), at(&woken[server].1)));
            row(&format!("acknowledged, p{percent:.0}, ms"), [of_takhin.0, of_bridge.0], 2);
            row(&format!("a waiting poll hears of it, p{percent:.0}, ms"), [of_takhin.1, of_bridge.1], 2);
        }
        Ok(())
    }

    fn median(
        &self,
        servers: [Server; 2],
        mut measure: impl FnMut(Server) -> Result<Figures, Failure>,
    ) -> Result<[Figures; 2], Failure> {
        let mut runs = [Vec::new(), Vec::new()];
        for _ in 0..self.runs.max(1) {
            for (server, runs) in servers.into_iter().zip(&mut runs) {
                let figures = measure(server)?;
                eprintln!("{server:?}: {figures}");
                runs.push(figures);
            }
        }
        Ok(runs.map(|mut runs| {
            runs.sort_by_key(|figures| figures.bytes);
            runs.swap_remove(runs.len() / 2)
        }))
    }

    fn load(&self, server: Server, rounds: Vec<Round>) -> Result<Figures, Failure> {
        Load { address: server.url().0, duration: Duration::from_secs(self.seconds), threads: 1 }.run(rounds)
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

fn row(what: &str, [takhin, bridge]: [f64; 2], digits: usize) {
    println!("| {what} | {takhin:.digits$} | {bridge:.digits$} | {:.2} |", takhin / bridge);
}
