//! What became of answers that this node took from other nodes to clients.
//!
//! ```text
//!   client        node A            node B, which serves the cell        node C
//!     |-- poll ---->|------- poll ------->|                                |
//!     |             |<-- answer to poll 7-|                                |
//!     |<-- answer --|  leaves, arrived                                     |
//!     |------------------------- poll ------------------------------------>|
//!     |                                   |<------------- poll ------------|
//!     |             |<- what became of 7? |
//!     |             |-- arrived --------->|-- answer to poll 9 ----------->|
//! ```
//!
//! A poll that does not say what arrived takes the answer before it as received. If that one went by the same node, the
//! node knows better, and says so with the poll. If it went by another one, that one is asked: whoever does not answer, for
//! it has died or stands still, may have taken the answer along, which is then given again.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use takhin_core::{ConsumerId, RequestId};
use tokio::{sync::Notify, time::timeout};
use uuid::Uuid;

use super::recent::Recent;

/// Consumers of which it is remembered.
const MAX_CONSUMERS: usize = 200_000;
/// For how long somebody who asks waits for an answer that is still leaving. A client that reads it more slowly gets it twice.
const PATIENCE: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Leaving,
    Arrived,
    Lost,
}

/// What has to be known of a consumer's polls before the next one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Before {
    /// The last poll whose answer was here, if it was lost.
    pub(super) lost: Option<RequestId>,
    /// The last poll that was given up here before there was an answer, by its token.
    pub(super) given_up: Option<Uuid>,
}

/// What became of the last answer to each consumer.
#[derive(Debug)]
pub(super) struct Fates {
    last: Mutex<Recent<ConsumerId, (RequestId, Fate)>>,
    given_up: Mutex<Recent<ConsumerId, Uuid>>,
    changed: Notify,
}

impl Default for Fates {
    fn default() -> Self {
        let (last, given_up) = (Recent::new(MAX_CONSUMERS), Recent::new(MAX_CONSUMERS));
        Self { last: Mutex::new(last), given_up: Mutex::new(given_up), changed: Notify::new() }
    }
}

impl Fates {
    fn lock(&self) -> MutexGuard<'_, Recent<ConsumerId, (RequestId, Fate)>> {
        // Nothing is ever half changed.
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The answer to a poll is here, and about to leave.
    pub(super) fn leaves(&self, consumer: ConsumerId, poll: RequestId) {
        self.lock().insert(consumer, (poll, Fate::Leaving));
    }

    /// It got to the client, or did not.
    pub(super) fn ends(&self, consumer: ConsumerId, poll: RequestId, arrived: bool) {
        if let Some((last, fate)) = self.lock().get_mut(&consumer)
            && *last == poll
        {
            *fate = if arrived { Fate::Arrived } else { Fate::Lost };
            self.changed.notify_waiters();
        }
    }

    /// A poll that another node was asked for is given up, and no answer has come.
    pub(super) fn gives_up(&self, consumer: ConsumerId, token: Uuid) {
        self.given_up.lock().unwrap_or_else(PoisonError::into_inner).insert(consumer, token);
    }

    /// What is to be told with a consumer's next poll.
    pub(super) fn before(&self, consumer: ConsumerId) -> Before {
        let lost = self.lock().get(&consumer).and_then(|(poll, fate)| (*fate == Fate::Lost).then_some(*poll));
        let given_up = self.given_up.lock().unwrap_or_else(PoisonError::into_inner).get(&consumer).copied();
        Before { lost, given_up }
    }

    /// Whether the answer to a poll arrived, as far as is known in a moment.
    pub(super) async fn has_arrived(&self, consumer: ConsumerId, poll: RequestId) -> bool {
        let known = async {
            loop {
                let mut changed = std::pin::pin!(self.changed.notified());
                changed.as_mut().enable();
                match self.lock().get(&consumer) {
                    Some((last, Fate::Leaving)) if *last == poll => {}
                    Some((last, fate)) if *last == poll => return *fate == Fate::Arrived,
                    _ => return false,
                }
                changed.await;
            }
        };
        timeout(PATIENCE, known).await.unwrap_or(false)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    const CONSUMER: ConsumerId = ConsumerId(Uuid::from_u128(7));

    #[tokio::test]
    async fn an_answer_counts_as_arrived_only_once_it_is_known_to_be() {
        let fates = Fates::default();
        assert!(!fates.has_arrived(CONSUMER, RequestId(1)).await, "of which nothing is known");
        fates.leaves(CONSUMER, RequestId(1));
        assert!(!fates.has_arrived(CONSUMER, RequestId(1)).await, "that leaves for too long");
        let asked = fates.has_arrived(CONSUMER, RequestId(1));
        let ends = async {
            tokio::task::yield_now().await;
            fates.ends(CONSUMER, RequestId(1), true);
        };
        assert!(tokio::join!(asked, ends).0);
        assert_eq!(fates.before(CONSUMER), Before::default());
        assert!(!fates.has_arrived(CONSUMER, RequestId(2)).await, "another one");
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_still_leaving_is_waited_for_as_long_as_said() {
        let (fates, began) = (Fates::default(), Instant::now());
        fates.leaves(CONSUMER, RequestId(1));
        assert!(!fates.has_arrived(CONSUMER, RequestId(1)).await);
        assert_eq!(began.elapsed(), PATIENCE);
    }

    #[tokio::test]
    async fn an_answer_that_was_lost_is_told_until_there_is_another() {
        let fates = Fates::default();
        fates.leaves(CONSUMER, RequestId(1));
        fates.ends(CONSUMER, RequestId(1), false);
        assert!(!fates.has_arrived(CONSUMER, RequestId(1)).await);
        assert_eq!(fates.before(CONSUMER).lost, Some(RequestId(1)));
        fates.leaves(CONSUMER, RequestId(2));
        fates.ends(CONSUMER, RequestId(1), false);
        assert_eq!(fates.before(CONSUMER).lost, None, "the one before");
        fates.gives_up(CONSUMER, Uuid::from_u128(9));
        assert_eq!(fates.before(CONSUMER).given_up, Some(Uuid::from_u128(9)));
    }
}
