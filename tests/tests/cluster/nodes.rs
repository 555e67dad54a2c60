//! Some nodes of a cluster of its own.

use std::{env, thread, time::Duration};

use takhin_tests::{
    broker::{Broker, Options, free_port},
    client::Client,
};
use uuid::Uuid;

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
        let name = format!("test-{}", Uuid::new_v4().simple());
        let nodes = (0..count).map(|_| Broker::start(options(&name))).collect();
        let nodes = Self { nodes, name };
        nodes.settle();
        nodes
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

    /// A topic name that nobody had before.
    pub(crate) fn topic(&self, name: &str) -> String {
        format!("{name}-{}", self.name)
    }

    /// A client of a node.
    pub(crate) fn client(&self, node: usize) -> Client {
        self.nodes[node].client()
    }
}

fn options(name: &str) -> Options {
    let (brokers, port) = (brokers(), free_port());
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
