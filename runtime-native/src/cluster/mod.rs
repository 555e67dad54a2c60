//! Many nodes that are one broker, on a Kafka cluster.
//!
//! ```text
//!   any request, at any node
//!        |
//!        |-- a topic, an append, a read of one partition ----> the front: a core that knows topics alone
//!        |-- a group, or one of its consumers --> its cell --> the cell's core, if it runs here
//!        |                                          '--------> the node that serves it (`peers`)
//!        '-- what topics there are ------------------------> Kafka
//!
//!   front, cells' cores --- records ---> Kafka's topics, one to one     (`engine::kafka`)
//!                       '-- facts -----> a journal for each cell        (`cells`)
//! ```
//!
//! Groups are spread over cells by the hash of their names. A cell's core runs on one node at a time, which the cell's
//! journal decides; so a group, its offsets and its consumers outlive every node. The id of a consumer names its cell.

pub mod cells;
mod config;
mod engine;
mod fates;
mod figures;
mod finding;
mod fresh;
mod home;
mod journaled;
mod naming;
mod own_topics;
mod peers;
mod places;
mod recent;
mod routing;
mod seat;
mod settling;
mod topics;
mod watching;

use std::{
    fmt, io,
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use rustc_hash::FxHashMap;
use takhin_core::ConsumerId;
use tokio::{runtime::Handle, task::JoinHandle};

pub use self::config::ClusterConfig;
use self::{
    cells::{Cells, CellsError},
    fates::Fates,
    home::Home,
    peers::{Asker, Peers, Polls},
    seat::Seat,
};
use crate::{
    driver::{Driver, Health},
    engine::kafka::{KafkaError, Records},
};

/// One node of a cluster. Clones are the same node.
#[derive(Clone)]
pub struct Cluster {
    node: Arc<Node>,
}

struct Node {
    home: Arc<Home>,
    /// Gone once the node stops.
    cells: RwLock<Option<Cells>>,
    cell_count: u32,
    peers: Peers,
    /// What became of polls that other nodes asked for.
    polls: Polls,
    /// What became of answers that this node took from others to clients.
    fates: Arc<Fates>,
    /// The cells of consumers whose ids don't name them, as far as they were looked for.
    found: Mutex<FxHashMap<ConsumerId, u32>>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

/// Why a node could not be started.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// Kafka can't be used.
    #[error(transparent)]
    Kafka(#[from] KafkaError),
    /// The journals can't be used.
    #[error(transparent)]
    Cells(#[from] CellsError),
    /// Other nodes can't be listened to.
    #[error("can't listen for other nodes: {0}")]
    Listen(io::Error),
    /// The system gave no thread.
    #[error("no thread for the node: {0}")]
    Thread(io::Error),
}

impl Cluster {
    /// Joins the cluster, or makes it, and answers other nodes at `listener`. Waits for Kafka. To be called within a tokio
    /// runtime, on a thread that may wait.
    ///
    /// # Errors
    /// See [`ClusterError`].
    pub fn start(config: ClusterConfig, listener: std::net::TcpListener) -> Result<Self, ClusterError> {
        listener.set_nonblocking(true).map_err(ClusterError::Listen)?;
        let listener = tokio::net::TcpListener::from_std(listener).map_err(ClusterError::Listen)?;
        let records = Records::connect(&config.kafka)?;
        let cells = config.cells();
        let home = Arc::new(Home::new(config, records).map_err(ClusterError::Thread)?);
        let moved = Arc::downgrade(&home);
        home.records.on_moved(move |logs| {
            if let Some(home) = moved.upgrade() {
                home.watching.moved(logs);
            }
        });
        let host = Arc::clone(&home);
        let cells = Cells::start(cells, move |cell| Box::new(Seat::new(cell, Arc::clone(&host))))?;
        let fates = Arc::<Fates>::default();
        let asker = Asker { node: cells.node(), address: home.config.address.clone() };
        let node = Arc::new(Node {
            cell_count: cells.count(),
            peers: Peers::new(cells.secret(), asker, Arc::clone(&fates)),
            cells: RwLock::new(Some(cells)),
            home,
            found: Mutex::default(),
            polls: Polls::default(),
            fates,
            tasks: Mutex::default(),
        });
        let runtime = Handle::current();
        let tasks = [
            runtime.spawn(topics::follow(Arc::downgrade(&node.home))),
            runtime.spawn(own_topics::look_after(Arc::downgrade(&node.home))),
            runtime.spawn(peers::serve(listener, Arc::downgrade(&node))),
        ];
        node.tasks.lock().unwrap_or_else(PoisonError::into_inner).extend(tasks);
        Ok(Self { node })
    }

    /// The core that knows topics alone.
    pub(crate) fn front(&self) -> &Driver {
        &self.node.home.front
    }

    /// Ends everything that is parked, with what it has. New requests that would wait no longer do.
    pub fn drain(&self) {
        self.front().drain();
        for (_, driver) in self.node.home.places.all() {
            driver.drain();
        }
    }

    /// Gives up all cells, so that others serve them at once, and leaves the cluster. Waits for Kafka, for a while.
    pub fn stop(&self) {
        let cells = self.node.cells.write().unwrap_or_else(PoisonError::into_inner).take();
        for task in self.node.tasks.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            task.abort();
        }
        if let Some(cells) = cells {
            cells.stop();
        }
        if let Err(error) = self.front().stop() {
            tracing::warn!(%error, "not everything was appended");
        }
    }

    /// How the node is.
    pub(crate) fn health(&self) -> Health {
        let mut health = self.front().health();
        for (_, driver) in self.node.home.places.all() {
            let cell = driver.health();
            health.consumers += cell.consumers;
            health.parked_polls += cell.parked_polls;
        }
        if let (Ok(()), Some(wrong)) = (&health.storage, self.node.home.own_topics.wrong()) {
            health.storage = Err(wrong);
        }
        health
    }
}

impl Node {
    fn cells(&self) -> Option<Cells> {
        self.cells.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether an answer of this cell's core may leave.
    fn serves(&self, cell: u32) -> bool {
        self.cells.read().unwrap_or_else(PoisonError::into_inner).as_ref().is_some_and(|cells| cells.serves(cell))
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster").field("cells", &self.node.cell_count).finish_non_exhaustive()
    }
}
