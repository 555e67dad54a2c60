//! The broker as HTTP sees it: one node with all of it, or one node of a cluster.

use std::collections::BTreeSet;

use prometheus_client::registry::Registry;
use takhin_core::{ConsumerId, GroupName, Offset, Refusal, Request, RequestId, TopicName, TopicView, response::Bounds};

#[cfg(feature = "kafka")]
use crate::cluster::Cluster;
use crate::driver::{Answer, Backup, BackupError, Bodies, Driver, Flight, Health};

/// Hands requests to the broker, and answers back. What a node does for it lies on the heap, so that it costs a poll that is
/// parked in a server of its own no memory. Clones are the same broker.
#[derive(Clone, Debug)]
pub enum Broker {
    /// All of it is here.
    Single(Driver),
    /// This node has a share of the groups, and knows who has the others.
    #[cfg(feature = "kafka")]
    Node(Cluster),
}

impl From<Driver> for Broker {
    fn from(driver: Driver) -> Self {
        Self::Single(driver)
    }
}

#[cfg(feature = "kafka")]
impl From<Cluster> for Broker {
    fn from(cluster: Cluster) -> Self {
        Self::Node(cluster)
    }
}

impl Broker {
    /// The part of it that knows topics and appends to them.
    fn front(&self) -> &Driver {
        match self {
            Self::Single(driver) => driver,
            #[cfg(feature = "kafka")]
            Self::Node(cluster) => cluster.front(),
        }
    }

    /// A look at a topic, as a producer needs it.
    ///
    /// # Errors
    /// If nobody says whether there is one.
    pub async fn topic(&self, name: &TopicName) -> Result<Option<TopicView>, Refusal> {
        let known = self.front().topic(name);
        #[cfg(feature = "kafka")]
        if let (None, Self::Node(cluster)) = (&known, self) {
            Box::pin(cluster.look_for_topics()).await?;
            return Ok(self.front().topic(name));
        }
        Ok(known)
    }

    /// The partitions of a topic of which nobody says now how far they reach, in ascending order. What is shown of them is
    /// what was heard last.
    #[cfg_attr(not(feature = "kafka"), expect(unused_variables))]
    pub fn leaderless(&self, topic: &TopicName) -> BTreeSet<u32> {
        match self {
            Self::Single(_) => BTreeSet::new(),
            #[cfg(feature = "kafka")]
            Self::Node(cluster) => cluster.leaderless(topic),
        }
    }

    /// A look at what can be read of a partition.
    ///
    /// # Errors
    /// If there is no such topic or partition, or nobody says.
    pub async fn bounds(&self, topic: &TopicName, partition: u32) -> Result<Bounds, Refusal> {
        #[cfg(feature = "kafka")]
        if let Self::Node(cluster) = self {
            Box::pin(cluster.look_at(topic, partition)).await?;
        }
        self.front().bounds(topic, partition)
    }

    /// The group of a consumer, if there is such a consumer; `topic` is shown each topic that it can reach.
    ///
    /// # Errors
    /// If the node that knows it can't be asked.
    pub async fn reach(
        &self,
        consumer: ConsumerId,
        topic: impl FnMut(&TopicName),
    ) -> Result<Option<GroupName>, Refusal> {
        match self {
            Self::Single(driver) => Ok(driver.reach(consumer, topic)),
            #[cfg(feature = "kafka")]
            Self::Node(cluster) => {
                let Some(reach) = Box::pin(cluster.reach(consumer)).await? else { return Ok(None) };
                reach.topics.iter().for_each(topic);
                Ok(Some(reach.group))
            }
        }
    }

    /// An id for a consumer to be.
    pub fn draw_consumer_id(&self, group: &GroupName) -> ConsumerId {
        match self {
            Self::Single(_) => ConsumerId(uuid::Uuid::new_v4()),
            #[cfg(feature = "kafka")]
            Self::Node(cluster) => cluster.draw_consumer_id(group),
        }
    }

    /// Asks, and waits for the reply. To drop the future is to hang up.
    ///
    /// # Errors
    /// The core's refusal.
    pub async fn ask(&self, request: Request) -> Result<Answer, Refusal> {
        match self {
            Self::Single(driver) => driver.ask(request).await,
            #[cfg(feature = "kafka")]
            Self::Node(cluster) => Box::pin(cluster.ask(request)).await,
        }
    }

    /// The same for a poll or a read whose records are wanted in batches as they are stored, which are read whole: the
    /// first may begin before what was asked for, and limits hold but for the batch with which they are reached.
    ///
    /// # Errors
    /// As for [`Broker::ask`].
    pub async fn ask_stored(&self, request: Request) -> Result<Answer, Refusal> {
        match self {
            Self::Single(driver) => driver.ask_stored(request).await,
            #[cfg(feature = "kafka")]
            Self::Node(cluster) => Box::pin(cluster.ask_stored(request)).await,
        }
    }

    /// Appends a batch to each of some partitions of a topic, if each of those ends at `expected_offset` or none is
    /// given. To drop the future is not to know what came of it.
    ///
    /// # Errors
    /// The core's refusal; nothing was appended then, unless it says otherwise.
    pub async fn produce(
        &self,
        topic: TopicName,
        bodies: Bodies,
        expected_offset: Option<Offset>,
    ) -> Result<Answer, Refusal> {
        match self {
            Self::Single(driver) => driver.produce(topic, bodies, expected_offset).await,
            #[cfg(feature = "kafka")]
            Self::Node(cluster) => Box::pin(cluster.produce(topic, bodies, expected_offset)).await,
        }
    }

    /// The first record of a partition whose timestamp is at least `timestamp_ms`: its offset and its timestamp.
    ///
    /// # Errors
    /// If there is no such partition, or it can't be read.
    pub async fn lookup_time(
        &self,
        topic: &TopicName,
        partition: u32,
        timestamp_ms: i64,
    ) -> Result<Option<(Offset, i64)>, Refusal> {
        #[cfg(feature = "kafka")]
        if let Self::Node(cluster) = self {
            Box::pin(cluster.look_at(topic, partition)).await?;
        }
        self.front().lookup_time(topic, partition, timestamp_ms).await
    }

    /// The timestamps of records, each of a partition and an offset; [`None`] for what isn't asked for, can't be read, or
    /// comes after the first 1,000.
    pub async fn timestamps(&self, records: Vec<Option<(TopicName, u32, Offset)>>) -> Vec<Option<i64>> {
        self.front().timestamps(records).await
    }

    /// A poll's answer was handed over. What is here knows of nothing else anyway.
    #[cfg_attr(not(feature = "kafka"), expect(unused_variables))]
    pub fn delivered(&self, request: RequestId, consumer: ConsumerId) {
        match self {
            Self::Single(_) => {}
            #[cfg(feature = "kafka")]
            Self::Node(cluster) => cluster.delivered(request, consumer),
        }
    }

    /// A poll's answer could not be handed over: what it brought goes back.
    pub fn undelivered(&self, request: RequestId, consumer: ConsumerId) {
        match self {
            Self::Single(driver) => driver.undelivered(request, consumer),
            #[cfg(feature = "kafka")]
            Self::Node(cluster) => cluster.undelivered(request, consumer),
        }
    }

    /// Holds the broker as it is at this moment, see [`Driver::hold`].
    ///
    /// # Errors
    /// See [`BackupError`].
    pub async fn hold(&self) -> Result<Backup, BackupError> {
        match self {
            Self::Single(driver) => driver.hold().await,
            #[cfg(feature = "kafka")]
            Self::Node(_) => Err(BackupError::Unsupported),
        }
    }

    /// What the flight recorder has.
    pub fn flight(&self) -> Flight {
        self.front().flight()
    }

    /// Whether the broker is about to stop.
    pub fn is_draining(&self) -> bool {
        self.front().is_draining()
    }

    /// How the broker is.
    pub fn health(&self) -> Health {
        match self {
            Self::Single(driver) => driver.health(),
            #[cfg(feature = "kafka")]
            Self::Node(cluster) => cluster.health(),
        }
    }

    /// Shows the broker's counters, and the engine's, under their names; and whenever somebody looks, how it is.
    pub fn register(&self, registry: &mut Registry) {
        match self {
            Self::Single(driver) => driver.register(registry),
            #[cfg(feature = "kafka")]
            Self::Node(cluster) => cluster.register(registry),
        }
    }
}
