//! A run at a given rate: when each batch is due, however long those before it took.
//!
//! Without a rate a connection that waits for an answer sends nothing, and what would have been slow meanwhile isn't
//! counted. With one, a batch that is late because the one before it was counts from when it was due.

use std::time::{Duration, Instant};

use tokio::time::sleep_until;

/// When one connection sends its batches.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    next: Instant,
    every: Duration,
}

impl Pace {
    /// That of the connection with number `index` of so many, which together send `records_per_second` from `begin` on,
    /// in batches of so many, one connection after the other.
    pub(super) fn new(begin: Instant, records_per_second: f64, batch: u64, index: usize, connections: usize) -> Self {
        #[allow(clippy::cast_precision_loss)] // Far below 2^52.
        let apart = Duration::from_secs_f64(batch as f64 / records_per_second);
        let times = |count: usize| apart.saturating_mul(u32::try_from(count).unwrap_or(u32::MAX));
        Self { next: begin + times(index), every: times(connections) }
    }

    /// Waits until the next batch is due, and says from when on its time counts: if it is late already, from when it was
    /// due; else from now, for the timer's ticks are no fault of the server's.
    pub(super) async fn wait(&mut self) -> Instant {
        let due = self.next;
        self.next += self.every;
        if Instant::now() >= due {
            return due;
        }
        sleep_until(due.into()).await;
        Instant::now()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_is_late_counts_from_when_it_was_due() {
        // In the past, so that nobody waits.
        let begin = Instant::now().checked_sub(Duration::from_mins(1)).expect("the machine runs for longer");
        let mut pace = Pace::new(begin, 1_000.0, 100, 1, 2);
        let counted = [pace.wait().await, pace.wait().await].map(|from| (from - begin).as_millis());
        assert_eq!(counted, [100, 300]);
    }

    #[tokio::test]
    async fn who_is_in_time_counts_from_its_sending() {
        let begin = Instant::now();
        let mut pace = Pace::new(begin, 100.0, 1, 1, 1);
        assert!(pace.wait().await >= begin + Duration::from_millis(10));
    }
}
