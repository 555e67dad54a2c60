//! How much there is left to do, which all connections of a run share.

use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::watch;

/// So many records, until it is said to be over.
pub(super) struct Budget {
    left: AtomicU64,
    over: watch::Sender<bool>,
}

impl Budget {
    /// Without a number there is no end but the one that is said.
    pub(super) fn new(records: Option<u64>) -> Self {
        Self { left: AtomicU64::new(records.unwrap_or(u64::MAX)), over: watch::Sender::new(false) }
    }

    /// Up to so many records to do; none if it is over.
    pub(super) fn take(&self, at_most: u64) -> u64 {
        if *self.over.borrow() {
            return 0;
        }
        let less = |left: u64| Some(left - left.min(at_most));
        let before = self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).unwrap_or_else(|left| left);
        before.min(at_most)
    }

    /// Takes what was done already, and ends it with the last of them.
    pub(super) fn note(&self, records: u64) {
        if self.take(records) < records || self.left.load(Ordering::Relaxed) == 0 {
            self.end();
        }
    }

    pub(super) fn end(&self) {
        self.over.send_replace(true);
    }

    /// Returns once it is over.
    pub(super) async fn ended(&self) {
        // It can't be closed as long as `self` is there.
        let _ = self.over.subscribe().wait_for(|over| *over).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_share_is_what_is_left() {
        let budget = Budget::new(Some(25));
        assert_eq!([10, 10, 10, 10].map(|share| budget.take(share)), [10, 10, 5, 0]);
        let endless = Budget::new(None);
        assert_eq!(endless.take(10), 10);
        endless.end();
        assert_eq!(endless.take(10), 0);
    }

    #[test]
    fn what_was_done_beyond_it_ends_it() {
        let budget = Budget::new(Some(25));
        budget.note(20);
        assert!(!*budget.over.borrow());
        budget.note(20);
        assert!(*budget.over.borrow());
    }
}
