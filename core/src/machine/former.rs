//! Consumers that were here: where their batches ended, for who begins anew under the same id. So that a poll of the
//! former life that comes late is not taken for one of this.

use alloc::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ids::{BatchId, ConsumerId};

/// The last batches of consumers that ended since the start, of the latest ones.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Former {
    ended: u64,
    highest: BTreeMap<ConsumerId, (u64, BatchId)>,
    in_order: BTreeMap<u64, ConsumerId>,
}

impl Former {
    /// Remembers a consumer that ends, and as many as `most` in all.
    pub(super) fn note(&mut self, consumer: ConsumerId, highest: BatchId, most: u32) {
        if highest == BatchId::NONE {
            return;
        }
        self.ended += 1;
        self.highest.insert(consumer, (self.ended, highest));
        self.in_order.insert(self.ended, consumer);
        while self.in_order.len() > usize::try_from(most).unwrap_or(usize::MAX) {
            if let Some((_, oldest)) = self.in_order.pop_first() {
                self.highest.remove(&oldest);
            }
        }
    }

    /// Where the batches of a consumer ended that begins anew.
    pub(super) fn take(&mut self, consumer: ConsumerId) -> BatchId {
        let Some((ended, highest)) = self.highest.remove(&consumer) else { return BatchId::NONE };
        self.in_order.remove(&ended);
        highest
    }
}
