//! What is said again and again is said once in a while.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Of one kind of message, one is told in this time: a client whose brokers are gone repeats itself.
const QUIET: Duration = Duration::from_secs(10);
/// Kinds of messages that are told apart; then all are forgotten.
const MAX_KINDS: usize = 1_000;

/// When each kind of message was told last.
#[derive(Debug, Default)]
pub(crate) struct Repetition {
    told: Mutex<HashMap<String, Told>>,
}

#[derive(Debug)]
struct Told {
    at: Instant,
    since: u64,
}

impl Repetition {
    /// How many messages of this kind were kept back before this one, if it is to be told.
    pub(crate) fn admit(&self, kind: &str) -> Option<u64> {
        self.admit_at(Instant::now(), kind)
    }

    fn admit_at(&self, now: Instant, kind: &str) -> Option<u64> {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(last) = told.get_mut(kind) {
            if now.duration_since(last.at) < QUIET {
                last.since += 1;
                return None;
            }
            let since = last.since;
            *last = Told { at: now, since: 0 };
            return Some(since);
        }
        if told.len() >= MAX_KINDS {
            told.clear();
        }
        told.insert(kind.to_owned(), Told { at: now, since: 0 });
        Some(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_told_at_once_and_then_once_in_a_while() {
        let (repetition, now) = (Repetition::default(), Instant::now());
        let admit = |after, kind| repetition.admit_at(now + after, kind);
        assert_eq!([admit(Duration::ZERO, "a"), admit(Duration::ZERO, "b")], [Some(0), Some(0)]);
        assert_eq!([admit(QUIET / 2, "a"), admit(QUIET / 2, "a")], [None, None]);
        assert_eq!([admit(QUIET, "a"), admit(QUIET, "b"), admit(QUIET, "a")], [Some(2), Some(0), None]);
    }
}
