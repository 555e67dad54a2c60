//! In which cell a consumer is whose id does not say it: clients choose ids, too.

use std::sync::PoisonError;

use futures_util::future::join_all;
use takhin_core::{Applied, ConsumerId, GroupName, Refusal, TopicName};

use super::{Cluster, Node, naming::named_by, routing::Server};
use crate::driver::Driver;

/// Consumers of which it is remembered where they were found.
const MAX_FOUND: usize = 100_000;

/// What a consumer can reach.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct Reach {
    pub(crate) group: GroupName,
    pub(crate) topics: Vec<TopicName>,
}

/// What one node knows of a consumer.
#[derive(Clone, Debug, Default, serde::Serialize, serde::Deserialize)]
pub(super) struct Search {
    /// The cell in which it is.
    pub(super) found: Option<u32>,
    /// The cells that were looked at.
    pub(super) looked: Vec<u32>,
}

impl Cluster {
    /// What a consumer can reach, if there is one. It is looked for as a request for it is, so what holds of the one holds of
    /// the other.
    pub(crate) async fn reach(&self, consumer: ConsumerId) -> Result<Option<Reach>, Refusal> {
        let known = self.node.cell_of_consumer(consumer);
        if let Some(cell) = known
            && let Some(reach) = self.reach_in(cell, consumer).await?
        {
            return Ok(Some(reach));
        }
        match self.find(consumer).await? {
            Some(cell) if Some(cell) != known => {
                self.node.remember(consumer, cell);
                self.reach_in(cell, consumer).await
            }
            _ => Ok(None),
        }
    }

    async fn reach_in(&self, cell: u32, consumer: ConsumerId) -> Result<Option<Reach>, Refusal> {
        match self.node.server(cell) {
            Server::Here(driver) => Ok(reach_of(&driver, consumer)),
            Server::There(address) => self.node.peers.reach(&address, cell, consumer).await,
            Server::Nobody => Err(Refusal::GroupMoving { applied: Applied::Nothing }),
        }
    }

    /// The cell in which a consumer is; [`None`] only if all cells were looked at.
    ///
    /// # Errors
    /// If it wasn't found, and some cell is served by nobody who answers.
    pub(super) async fn find(&self, consumer: ConsumerId) -> Result<Option<u32>, Refusal> {
        let here = self.node.search(consumer);
        let mut looked: Vec<bool> = vec![false; self.node.cell_count as usize];
        let others = self.node.others();
        let asked = others.iter().map(|address| self.node.peers.find(address, consumer));
        let answers = std::iter::once(here).chain(join_all(asked).await.into_iter().flatten());
        for Search { found, looked: cells } in answers {
            if found.is_some() {
                return Ok(found);
            }
            for cell in cells {
                if let Some(place) = looked.get_mut(cell as usize) {
                    *place = true;
                }
            }
        }
        if looked.into_iter().all(|looked| looked) {
            return Ok(None);
        }
        Err(Refusal::GroupMoving { applied: Applied::Nothing })
    }
}

impl Node {
    /// The cell that a consumer is in, as far as its id or an earlier search says.
    pub(super) fn cell_of_consumer(&self, consumer: ConsumerId) -> Option<u32> {
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.get(&consumer).copied().or_else(|| named_by(consumer, self.cell_count))
    }

    pub(super) fn remember(&self, consumer: ConsumerId, cell: u32) {
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        if found.len() >= MAX_FOUND {
            // They are found again.
            found.clear();
        }
        found.insert(consumer, cell);
    }

    /// Looks for a consumer in the cells that this node answers for.
    pub(super) fn search(&self, consumer: ConsumerId) -> Search {
        let mut search = Search::default();
        for (cell, driver) in self.home.places.all() {
            let is_there = driver.reach(consumer, |_| {}).is_some();
            if self.serves(cell) {
                search.looked.push(cell);
                search.found = search.found.or(is_there.then_some(cell));
            }
        }
        search
    }

    pub(super) fn reach_here(&self, cell: u32, consumer: ConsumerId) -> Result<Option<Reach>, Refusal> {
        match self.server(cell) {
            Server::Here(driver) => Ok(reach_of(&driver, consumer)),
            Server::There(_) | Server::Nobody => Err(Refusal::GroupMoving { applied: Applied::Nothing }),
        }
    }
}

fn reach_of(driver: &Driver, consumer: ConsumerId) -> Option<Reach> {
    let mut topics = Vec::new();
    let group = driver.reach(consumer, |topic| topics.push(topic.clone()))?;
    Some(Reach { group, topics })
}
