//! What became of a poll's answer: told to the core that made it, before the consumer's next poll is answered.

use std::sync::Arc;

use takhin_core::{ConsumerId, Request, RequestId};
use uuid::Uuid;

use super::{Cluster, Node, fates::Before, routing::Server};

impl Cluster {
    /// A poll's answer was handed over.
    pub(crate) fn delivered(&self, request: RequestId, consumer: ConsumerId) {
        self.node.fates.ends(consumer, request, true);
    }

    /// A poll's answer could not be handed over: what it brought goes back.
    pub(crate) fn undelivered(&self, request: RequestId, consumer: ConsumerId) {
        self.node.fates.ends(consumer, request, false);
        let Some(cell) = self.node.cell_of_consumer(consumer) else { return };
        match self.node.server(cell) {
            Server::Here(driver) => driver.undelivered(request, consumer),
            Server::There(address) => {
                let node = self.clone();
                self.node.home.runtime.spawn(async move {
                    node.node.peers.undelivered(&address, cell, request, consumer).await;
                });
            }
            // Its batch is open and unsure there, wherever it begins again.
            Server::Nobody => {}
        }
    }
}

impl Node {
    /// A poll that does not say what arrived takes the answer before it as received. So before it is asked, it is looked at
    /// what became of that answer, if it went by another node than this poll comes from. That goes on if nobody waits for the
    /// poll any more, or a client that waits for less long than it takes would never get its answer.
    pub(super) async fn settle_before(self: &Arc<Self>, cell: u32, request: &Request, from: Uuid, before: Before) {
        let Request::Consume { consumer, after_batch, .. } = *request else { return };
        let went_to = self.polls.went_to(consumer);
        if let Some(given_up) = before.given_up.and_then(|token| self.polls.hung_up(token)) {
            self.undelivered_here(given_up.cell, given_up.poll, given_up.consumer);
        }
        if let (Some(lost), None) = (before.lost, after_batch) {
            self.undelivered_here(cell, lost, consumer);
        }
        let Some((poll, by)) = went_to else { return };
        if after_batch.is_some() || by.node == from {
            return self.polls.settled(consumer, poll);
        }
        let node = Arc::clone(self);
        let settles = self.home.runtime.spawn(async move {
            if !node.peers.has_arrived(&by, consumer, poll).await {
                tracing::info!(%consumer, by = by.address, "a poll's answer was lost with another node, and is given again");
                node.undelivered_here(cell, poll, consumer);
            }
            node.polls.settled(consumer, poll);
        });
        // It ends early only with the node.
        let _ = settles.await;
    }

    pub(super) fn undelivered_here(&self, cell: u32, request: RequestId, consumer: ConsumerId) {
        if let Some(driver) = self.home.places.driver(cell) {
            driver.undelivered(request, consumer);
        }
    }
}
