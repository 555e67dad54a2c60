//! Which polls' answers are on their way, of which nobody knows yet whether they get there.
//!
//! A poll that does not say what arrived takes the answer before it as received. When that answer is still being
//! written, it may be about to break off, and the client may have come back because it did. So such a poll waits for
//! the fate of that answer, for a moment: it comes before the poll then, as it happened before it.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use rustc_hash::FxHashMap;
use takhin_core::{ConsumerId, RequestId};
use tokio::{sync::Notify, time::timeout};

/// How long a poll waits. A client that reads one answer slowly, and polls anew meanwhile, has got it after that.
const PATIENCE: Duration = Duration::from_secs(1);

/// The last answer of each consumer, as long as it is on its way.
#[derive(Clone, Default)]
pub(super) struct InFlight(Arc<Mutex<FxHashMap<ConsumerId, Flight>>>);

struct Flight {
    poll: RequestId,
    /// Made by the first who waits.
    landed: Option<Arc<Notify>>,
}

/// One answer on its way. Dropped, it is known what became of it.
pub(super) struct Departed {
    all: InFlight,
    consumer: ConsumerId,
    poll: RequestId,
}

impl InFlight {
    /// The answer to `poll` is on its way.
    pub(super) fn depart(&self, consumer: ConsumerId, poll: RequestId) -> Departed {
        let before = self.lock().insert(consumer, Flight { poll, landed: None });
        if let Some(Flight { landed: Some(landed), .. }) = before {
            landed.notify_waiters();
        }
        Departed { all: self.clone(), consumer, poll }
    }

    /// Waits until it is known of the consumer's last answer whether it arrived, or for as long as anyone should.
    pub(super) async fn landed(&self, consumer: ConsumerId) {
        if timeout(PATIENCE, self.settled(consumer)).await.is_err() {
            tracing::debug!(%consumer, "an answer is still on its way, and is taken as received");
        }
    }

    /// Waits until it is known of the consumer's last answer whether it arrived, however long that takes.
    pub(super) async fn settled(&self, consumer: ConsumerId) {
        let landed = match self.lock().get_mut(&consumer) {
            None => return,
            Some(flight) => Arc::clone(flight.landed.get_or_insert_default()).notified_owned(),
        };
        landed.await;
    }

    fn lock(&self) -> MutexGuard<'_, FxHashMap<ConsumerId, Flight>> {
        // Nothing is ever half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Departed {
    fn drop(&mut self) {
        let mut all = self.all.lock();
        if all.get(&self.consumer).is_some_and(|flight| flight.poll == self.poll)
            && let Some(Flight { landed: Some(landed), .. }) = all.remove(&self.consumer)
        {
            landed.notify_waiters();
        }
    }
}

impl fmt::Debug for InFlight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("InFlight").field(&self.lock().len()).finish()
    }
}
