//! Which stream is a consumer's: the one that was opened last.
//!
//! A client comes back because its connection broke, which the server may not have noticed yet. The stream on that
//! connection would poll on, and what it is given would be missing in the new one. So it ends before the new one finds
//! out where it stands.

use std::{
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rustc_hash::FxHashMap;
use takhin_core::ConsumerId;
use tokio::sync::{Mutex as AsyncMutex, watch};

/// The stream of each consumer that has one.
#[derive(Clone, Default)]
pub(super) struct Streams(Arc<Mutex<FxHashMap<ConsumerId, Arc<Turn>>>>);

/// One stream's time.
struct Turn {
    over: watch::Sender<bool>,
    /// Held while the stream polls.
    polling: AsyncMutex<()>,
}

/// What a stream holds as long as it lives.
pub(super) struct Place {
    all: Streams,
    consumer: ConsumerId,
    turn: Arc<Turn>,
}

/// Another stream has taken the place.
pub(super) struct Replaced;

impl Streams {
    /// Ends the consumer's stream, if it has one, and then is its stream.
    pub(super) async fn take_place(&self, consumer: ConsumerId) -> Place {
        let turn = Arc::new(Turn { over: watch::Sender::new(false), polling: AsyncMutex::new(()) });
        let before = self.lock().insert(consumer, Arc::clone(&turn));
        let place = Place { all: self.clone(), consumer, turn };
        if let Some(before) = before {
            before.over.send_replace(true);
            drop(before.polling.lock().await);
        }
        place
    }

    fn lock(&self) -> MutexGuard<'_, FxHashMap<ConsumerId, Arc<Turn>>> {
        // Nothing is ever half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Polls, unless the place is taken; a poll that waits ends then.
    pub(super) async fn poll<T>(&self, poll: impl Future<Output = T>) -> Result<T, Replaced> {
        let _polling = self.turn.polling.lock().await;
        let mut over = self.turn.over.subscribe();
        tokio::select! {
            biased;
            _ = over.wait_for(|over| *over) => Err(Replaced),
            answer = poll => Ok(answer),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut all = self.all.lock();
        if all.get(&self.consumer).is_some_and(|turn| Arc::ptr_eq(turn, &self.turn)) {
            all.remove(&self.consumer);
        }
    }
}
