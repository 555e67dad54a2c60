//! Answers to polls that other nodes asked for, and may not have got: a node whose client hung up says so, by the token
//! that it gave its question. If that comes before the answer is ready, it is remembered until then. And where the last
//! answer of each consumer went, to ask there what became of it.

use std::sync::{Mutex, PoisonError};

use takhin_core::{ConsumerId, RequestId};
use uuid::Uuid;

use super::super::recent::Recent;

/// Polls that are remembered: far more than are on their way at a time.
const MAX_REMEMBERED: usize = 50_000;
/// Consumers of which it is remembered where their last answer went.
const MAX_CONSUMERS: usize = 200_000;

/// A poll that was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cluster) struct Answered {
    pub(in crate::cluster) cell: u32,
    pub(in crate::cluster) poll: RequestId,
    pub(in crate::cluster) consumer: ConsumerId,
}

/// A node that asks for a client, from its start to its end, and where it is reached.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(in crate::cluster) struct Asker {
    pub(in crate::cluster) node: Uuid,
    pub(in crate::cluster) address: String,
}

/// What became of the latest polls.
#[derive(Debug)]
pub(in crate::cluster) struct Polls {
    /// What was answered; [`None`] if nobody wants it any more.
    by_token: Mutex<Recent<Uuid, Option<Answered>>>,
    /// The last poll whose records went to another node; [`None`] if what became of it counts no longer.
    went_to: Mutex<Recent<ConsumerId, Option<(RequestId, Asker)>>>,
}

impl Default for Polls {
    fn default() -> Self {
        let (by_token, went_to) = (Recent::new(MAX_REMEMBERED), Recent::new(MAX_CONSUMERS));
        Self { by_token: Mutex::new(by_token), went_to: Mutex::new(went_to) }
    }
}

impl Polls {
    /// A poll was answered. Whether somebody still wants it.
    pub(in crate::cluster) fn answered(&self, token: Uuid, answered: Answered) -> bool {
        let mut by_token = self.by_token.lock().unwrap_or_else(PoisonError::into_inner);
        if by_token.get(&token).is_some() {
            return false;
        }
        by_token.insert(token, Some(answered));
        true
    }

    /// Nobody wants a poll's answer. Gives it if it was given.
    pub(in crate::cluster) fn hung_up(&self, token: Uuid) -> Option<Answered> {
        let mut by_token = self.by_token.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = by_token.get_mut(&token) {
            return known.take();
        }
        by_token.insert(token, None);
        None
    }

    /// The records of a poll go to another node.
    pub(in crate::cluster) fn goes_to(&self, consumer: ConsumerId, poll: RequestId, asker: Asker) {
        self.went_to.lock().unwrap_or_else(PoisonError::into_inner).insert(consumer, Some((poll, asker)));
    }

    /// A consumer polls anew: the poll before it, and which node its records went to, unless that is settled.
    pub(in crate::cluster) fn went_to(&self, consumer: ConsumerId) -> Option<(RequestId, Asker)> {
        self.went_to.lock().unwrap_or_else(PoisonError::into_inner).get(&consumer)?.clone()
    }

    /// What became of a poll's records counts no longer.
    pub(in crate::cluster) fn settled(&self, consumer: ConsumerId, poll: RequestId) {
        let mut went_to = self.went_to.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = went_to.get_mut(&consumer)
            && last.as_ref().is_some_and(|(last, _)| *last == poll)
        {
            *last = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(number: u64) -> Answered {
        Answered { cell: 3, poll: RequestId(number), consumer: ConsumerId(Uuid::from_u128(1)) }
    }

    #[test]
    fn who_hangs_up_before_and_after_an_answer_gets_it_taken_back_once() {
        let polls = Polls::default();
        let (early, late) = (Uuid::from_u128(7), Uuid::from_u128(8));
        assert_eq!(polls.hung_up(early), None);
        assert!(!polls.answered(early, answered(1)), "nobody wants it");
        assert!(polls.answered(late, answered(2)));
        assert_eq!(polls.hung_up(late), Some(answered(2)));
        assert_eq!(polls.hung_up(late), None);
    }

    #[test]
    fn the_oldest_are_forgotten() {
        let polls = Polls::default();
        for number in 0..=MAX_REMEMBERED as u64 {
            assert!(polls.answered(Uuid::from_u128(number.into()), answered(number)));
        }
        assert_eq!(polls.hung_up(Uuid::from_u128(0)), None);
        // Which made another one the oldest.
        assert_eq!(polls.hung_up(Uuid::from_u128(2)), Some(answered(2)));
    }

    #[test]
    fn where_an_answer_went_is_told_until_it_is_settled() {
        let (polls, consumer) = (Polls::default(), ConsumerId(Uuid::from_u128(1)));
        let asker = Asker { node: Uuid::from_u128(2), address: "http://10.0.0.2:9080".to_owned() };
        assert_eq!(polls.went_to(consumer), None);
        polls.goes_to(consumer, RequestId(1), asker.clone());
        polls.goes_to(consumer, RequestId(2), asker.clone());
        polls.settled(consumer, RequestId(1));
        assert_eq!(polls.went_to(consumer), Some((RequestId(2), asker)));
        polls.settled(consumer, RequestId(2));
        assert_eq!(polls.went_to(consumer), None);
    }
}
