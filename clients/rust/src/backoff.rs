//! How long to wait before a request is sent again: twice as long each time, a random part of it, never shorter than
//! the server asks for.

use std::time::Duration;

use uuid::Uuid;

/// When a request is repeated, and for how long. Only what can be repeated is: reads, and what says again what is
/// known already (an offset, an id, a sequence), so that a second arrival changes nothing.
#[derive(Clone, Copy, Debug)]
pub struct Retry {
    /// For how long a request is repeated while the server can't be reached or asks for patience; 2 minutes.
    /// Zero is one attempt.
    pub give_up_after: Duration,
    /// The longest pause before the second attempt; 50 ms. Each later one is twice as long.
    pub first_pause: Duration,
    /// The longest pause of all; 5 s.
    pub longest_pause: Duration,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            give_up_after: Duration::from_mins(2),
            first_pause: Duration::from_millis(50),
            longest_pause: Duration::from_secs(5),
        }
    }
}

impl Retry {
    /// The pause after attempt number `attempt`, which counts from 1: half of it certain, half of it drawn.
    pub(crate) fn pause(&self, attempt: u32, retry_after: Duration) -> Duration {
        let doubled = self.first_pause.saturating_mul(1 << (attempt - 1).min(20));
        let half = doubled.min(self.longest_pause) / 2;
        (half + half.mul_f64(random_share())).max(retry_after)
    }
}

/// From 0 to 1.
fn random_share() -> f64 {
    f64::from(Uuid::new_v4().as_fields().0) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_bound_and_respect_the_server() {
        let retry = Retry::default();
        for attempt in 1..100 {
            let longest = Duration::from_millis(50 << (attempt - 1).min(7)).min(retry.longest_pause);
            let pause = retry.pause(attempt, Duration::ZERO);
            assert!(longest / 2 <= pause && pause <= longest, "{attempt}: {pause:?}");
        }
        assert_eq!(retry.pause(1, Duration::from_secs(7)), Duration::from_secs(7));
    }
}
