//! Answers to polls that other nodes asked for, and may not have got: a node whose client hung up says so, by the token
//! that it gave its question. If that comes before the answer is ready, it is remembered until then.

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

use rustc_hash::FxHashMap;
use takhin_core::{ConsumerId, RequestId};
use uuid::Uuid;

/// Polls that are remembered: far more than are on their way at a time.
const MAX_REMEMBERED: usize = 50_000;

/// A poll that was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cluster) struct Answered {
    pub(in crate::cluster) cell: u32,
    pub(in crate::cluster) poll: RequestId,
    pub(in crate::cluster) consumer: ConsumerId,
}

/// What became of the latest polls.
#[derive(Debug, Default)]
pub(in crate::cluster) struct Polls(Mutex<Remembered>);

#[derive(Debug, Default)]
struct Remembered {
    /// What was answered; [`None`] if nobody wants it any more.
    by_token: FxHashMap<Uuid, Option<Answered>>,
    order: VecDeque<Uuid>,
}

impl Polls {
    /// A poll was answered. Whether somebody still wants it.
    pub(in crate::cluster) fn answered(&self, token: Uuid, answered: Answered) -> bool {
        let mut remembered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if remembered.by_token.contains_key(&token) {
            return false;
        }
        remembered.keep(token, Some(answered));
        true
    }

    /// Nobody wants a poll's answer. Gives it if it was given.
    pub(in crate::cluster) fn hung_up(&self, token: Uuid) -> Option<Answered> {
        let mut remembered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = remembered.by_token.get_mut(&token) {
            return known.take();
        }
        remembered.keep(token, None);
        None
    }
}

impl Remembered {
    fn keep(&mut self, token: Uuid, answered: Option<Answered>) {
        if self.order.len() >= MAX_REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.by_token.remove(&oldest);
        }
        self.by_token.insert(token, answered);
        self.order.push_back(token);
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
}
