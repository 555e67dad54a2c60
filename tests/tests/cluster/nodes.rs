//! Some nodes of a cluster of its own.

use std::{
    env,
    process::{Command, ExitStatus},
    thread,
    time::Duration,
};

use takhin_tests::{
    broker::{Broker, Options, free_port, program, run_to_its_end},
    client::Client,
};
use tempfile::TempDir;
use uuid::Uuid;

use crate::door::Door;

/// The nodes of one cluster, each a server of its own.
pub(crate) struct Nodes {
    pub(crate) nodes: Vec<Broker>,
    name: String,
}

/// Cells of each cluster.
const CELLS: usize = 8;

/// What the tests call "a session's time": nothing that lasts this long is taken for gone.
pub(crate) const SESSION_TIMEOUT_MS: u32 = 60_000;

/// The Kafka brokers.
///
/// # Panics
/// There are none.
pub(crate) fn brokers() -> String {
    env::var("TAKHIN_KAFKA_BROKERS").expect("TAKHIN_KAFKA_BROKERS says where Kafka is")
}

impl Nodes {
    /// Starts so many, of a cluster that nobody had before, and returns once each has its share of the cells.
    pub(crate) fn start(count: usize) -> Self {
        let name = fresh_name();
        let all = (0..count).map(|_| options(&name, free_port())).collect();
        Self::of(name, all)
    }

    /// The same, and the cluster has topics of its own: those that begin with [`Self::topic_prefix`].
    pub(crate) fn start_with_prefix(count: usize) -> Self {
        let name = fresh_name();
        let mut all: Vec<Options> = (0..count).map(|_| options(&name, free_port())).collect();
        for options in &mut all {
            options.arguments.push(format!("--topic-prefix={name}."));
        }
        Self::of(name, all)
    }

    /// The same, of which the first is behind a door.
    pub(crate) fn start_behind(door: &Door, count: usize) -> Self {
        let name = fresh_name();
        let ports: Vec<u16> = (0..count).map(|_| free_port()).collect();
        let mut all: Vec<Options> = ports.iter().map(|port| options(&name, *port)).collect();
        let others = ports[1..].iter().copied();
        let brokers = brokers().split(',').map(port_of).collect::<Vec<u16>>();
        door.put_before(&mut all[0], ports[0], &brokers.into_iter().chain(others).collect::<Vec<u16>>());
        Self::of(name, all)
    }

    fn of(name: String, all: Vec<Options>) -> Self {
        let nodes = Self { nodes: all.into_iter().map(Broker::start).collect(), name };
        nodes.settle();
        nodes
    }

    /// The name of the topic in which the cluster's journals are.
    pub(crate) fn journal(&self) -> String {
        format!("__{}.journal", self.name)
    }

    /// What the topics of a cluster with a prefix begin with in Kafka.
    pub(crate) fn topic_prefix(&self) -> String {
        format!("{}.", self.name)
    }

    /// Starts another node of the cluster, with this argument unless it is empty, which is to end by itself; and gives how it
    /// did, and what it printed.
    pub(crate) fn start_another(&self, argument: &str) -> (ExitStatus, String) {
        let directory = TempDir::new().expect("a temporary directory can be made");
        let mut command = Command::new(program());
        command.args(["serve", "--listen=127.0.0.1:0", "--data-dir"]).arg(directory.path().join("data"));
        command
            .args(options(&self.name, free_port()).arguments)
            .args(Some(argument).filter(|argument| !argument.is_empty()));
        run_to_its_end(&mut command, &directory.path().join("log"))
    }

    /// Waits until each node has its share of the cells.
    pub(crate) fn settle(&self) {
        let least = CELLS / self.nodes.len();
        loop {
            let owned: Vec<_> = (0..self.nodes.len()).map(|node| self.owned(node)).collect();
            if owned.iter().sum::<usize>() == CELLS && owned.iter().all(|owned| *owned >= least) {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// How many cells a node serves.
    pub(crate) fn owned(&self, node: usize) -> usize {
        let (status, metrics) = self.client(node).get("/metrics");
        assert_eq!(status, 200);
        let text = metrics.as_str().expect("metrics are text");
        let figure = text.lines().find_map(|line| line.strip_prefix("takhin_cells_served "));
        figure.expect("a node says how many cells it serves").parse().expect("a number")
    }

    /// How many polls wait at a node.
    pub(crate) fn parked(&self, node: usize) -> u64 {
        self.client(node).get("/api/health").1["parked_polls"].as_u64().expect("a number")
    }

    /// A topic name that nobody had before.
    pub(crate) fn topic(&self, name: &str) -> String {
        format!("{name}-{}", self.name)
    }

    /// A client of a node.
    pub(crate) fn client(&self, node: usize) -> Client {
        self.nodes[node].client()
    }
}

fn fresh_name() -> String {
    format!("test-{}", Uuid::new_v4().simple())
}

fn port_of(address: &str) -> u16 {
    let port = address.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
    port.unwrap_or_else(|| panic!("{address} has no port"))
}

fn options(name: &str, port: u16) -> Options {
    let brokers = brokers();
    let arguments = [
        "--engine=kafka".to_owned(),
        format!("--brokers={brokers}"),
        format!("--cluster-prefix=__{name}."),
        format!("--cells={CELLS}"),
        format!("--node-listen=127.0.0.1:{port}"),
        "--cell-lease-ms=1500".to_owned(),
    ];
    Options { arguments: arguments.into(), ..Options::default() }
}
