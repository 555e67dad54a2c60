//! What storage says: facts became durable, or storage fails; and the end of service.

use alloc::vec::Vec;

use super::{Core, Open};
use crate::{
    command::StorageError,
    event::StorageState,
    ids::{ConsumerId, FactSeq, RequestId},
    outbox::{Held, undecided},
    refusal::{Applied, Refusal},
};

/// Facts that may wait to become durable before new decisions are refused.
const MAX_PENDING_FACTS: u64 = 100_000;

impl Core {
    pub(super) fn persisted(&mut self, through: FactSeq) {
        while let Some(held) = self.outbox.release(through) {
            if let Held::Reply(request) = held {
                self.requests.remove(&request);
            }
        }
        self.topics_persisted();
    }

    /// Storage takes no facts: whoever waits for some is refused. What they decided stands, and outlives a restart
    /// only if storage comes back before.
    pub(super) fn storage_changed(&mut self, state: StorageState) {
        self.storage = state;
        self.refuse_held();
        self.refuse_topics();
    }

    /// Refuses whoever waits for a fact, if storage takes none.
    pub(super) fn refuse_held(&mut self) {
        let Some(error) = self.storage.refusal().cloned() else { return };
        while let Some((after, request)) = self.outbox.next_held_reply() {
            self.withdraw(request, after);
            self.refuse(request, undecided(error.clone()));
        }
    }

    /// Refuses whoever waits for a topic, if storage takes no facts.
    fn refuse_topics(&mut self) {
        let Some(error) = self.storage.refusal().cloned() else { return };
        let topics = self.requests.iter().filter(|(_, open)| matches!(open, Open::Topic));
        let topics: Vec<RequestId> = topics.map(|(request, _)| *request).collect();
        for request in topics {
            self.requests.remove(&request);
            self.refuse(request, undecided(error.clone()));
        }
    }

    /// Whether a decision can be made durable at all.
    pub(super) fn may_write(&self) -> Result<(), Refusal> {
        let pending = self.outbox.decided().0 - self.outbox.persisted().0;
        let error = match &self.storage {
            StorageState::Ok if pending < MAX_PENDING_FACTS => return Ok(()),
            StorageState::Ok => StorageError::Overloaded,
            StorageState::Stalled(error) | StorageState::Failed(error) => error.clone(),
        };
        Err(Refusal::StorageUnavailable { error, applied: Applied::Nothing })
    }

    /// The server is about to stop: everything parked ends with what it has, and positions are kept.
    pub(super) fn drain(&mut self) {
        self.draining = true;
        let consumers: Vec<ConsumerId> = self.sessions.keys().copied().collect();
        for consumer in &consumers {
            if self.sessions[consumer].moved {
                self.keep_positions(*consumer);
            }
        }
        self.woken.extend(consumers);
        let reads = self.requests.iter().filter(|(_, open)| matches!(open, Open::Read(_)));
        let reads: Vec<RequestId> = reads.map(|(request, _)| *request).collect();
        for request in reads {
            self.end_read(request, Ok(()));
        }
    }
}
