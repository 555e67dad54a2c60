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

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn consumer(n: u128) -> ConsumerId {
        ConsumerId(Uuid::from_u128(n))
    }

    #[test]
    fn the_latest_are_remembered_and_no_more_than_that() {
        let mut former = Former::default();
        for n in 1..=5_u8 {
            former.note(consumer(n.into()), BatchId(10 + u64::from(n)), 3);
        }
        assert_eq!((former.highest.len(), former.in_order.len()), (3, 3));
        assert_eq!(former.take(consumer(2)), BatchId::NONE, "forgotten");
        assert_eq!(former.take(consumer(3)), BatchId(13));
        assert_eq!(former.take(consumer(3)), BatchId::NONE, "it lives again");
        assert_eq!((former.highest.len(), former.in_order.len()), (2, 2));
    }

    #[test]
    fn who_was_handed_nothing_and_where_none_are_to_be_remembered_takes_no_room() {
        let mut former = Former::default();
        former.note(consumer(1), BatchId::NONE, 3);
        former.note(consumer(2), BatchId(7), 0);
        assert_eq!((former.highest.len(), former.in_order.len()), (0, 0));
    }
}
