//! So many units a second: a bucket that fills with time, as one number.
//!
//! It is the moment at which all that was taken will have been paid for. Who comes while less than a second's worth is
//! owed may take what he likes, and whoever comes after him waits for it: so a body that is larger than a second's
//! worth is possible, and the rate holds over time all the same.
//!
//! ```text
//!   owed:  0 ....... < 1 s ....... more
//!          take any amount       | come back once less than 1 s is owed
//! ```

use std::{
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

const SECOND: u64 = 1_000_000_000;

/// Units a second.
#[derive(Debug)]
pub struct Rate {
    units_per_second: u64,
    /// In nanoseconds, as [`Rate::now`] counts.
    paid_at: AtomicU64,
}

impl Rate {
    /// So many units a second, at least one.
    pub fn new(units_per_second: u64) -> Self {
        Self { units_per_second: units_per_second.max(1), paid_at: AtomicU64::new(0) }
    }

    /// What is allowed in a second.
    pub fn units_per_second(&self) -> u64 {
        self.units_per_second
    }

    /// Now, in nanoseconds since the first who asked.
    pub fn now() -> u64 {
        static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);
        u64::try_from(BEGAN.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// Takes so many units.
    ///
    /// # Errors
    /// If too much is owed: how long to wait. Nothing was taken.
    pub fn take(&self, now: u64, units: u64) -> Result<(), Duration> {
        let price = self.price(units);
        let pay = |paid_at: u64| {
            let owed_since = paid_at.max(now);
            (owed_since - now < SECOND).then(|| owed_since.saturating_add(price))
        };
        match self.paid_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, pay) {
            Ok(_) => Ok(()),
            Err(paid_at) => Err(Duration::from_nanos((paid_at - now).saturating_sub(SECOND) + 1)),
        }
    }

    /// Takes so many units, whatever is owed: they are there already.
    pub fn charge(&self, now: u64, units: u64) {
        let price = self.price(units);
        let pay = |paid_at: u64| Some(paid_at.max(now).saturating_add(price));
        // It never refuses.
        let _ = self.paid_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, pay);
    }

    /// Whether nothing is owed, as if nobody had ever taken anything.
    pub fn is_untouched(&self, now: u64) -> bool {
        self.paid_at.load(Ordering::Relaxed) <= now
    }

    fn price(&self, units: u64) -> u64 {
        let price = u128::from(units) * u128::from(SECOND) / u128::from(self.units_per_second);
        u64::try_from(price).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_seconds_worth_may_come_at_once_and_then_one_after_the_other() {
        let rate = Rate::new(10);
        assert_eq!((0..20).filter(|_| rate.take(0, 1).is_ok()).count(), 10);
        let wait = rate.take(0, 1).expect_err("too many");
        assert!(wait <= Duration::from_nanos(1), "{wait:?}: the bucket is just full");
        assert!(rate.take(1, 1).is_ok());
        let wait = rate.take(1, 1).expect_err("too many again");
        assert!((90_000_000..=100_000_001).contains(&wait.as_nanos()), "{wait:?} is a tenth of a second");
        assert!(!rate.is_untouched(SECOND) && rate.is_untouched(2 * SECOND));
    }

    #[test]
    fn what_is_larger_than_a_seconds_worth_passes_and_is_paid_for_afterwards() {
        let rate = Rate::new(1_000);
        assert!(rate.take(0, 60_000).is_ok());
        let wait = rate.take(0, 1).expect_err("a minute is owed");
        assert!((58..=60).contains(&wait.as_secs()), "{wait:?}");
        assert!(rate.take(59 * SECOND + 1, 1).is_ok());
    }

    #[test]
    fn no_number_is_too_large() {
        let rate = Rate::new(1);
        assert!(rate.take(0, u64::MAX).is_ok());
        assert!(rate.take(SECOND, 1).is_err());
        rate.charge(u64::MAX, u64::MAX);
        assert!(rate.take(u64::MAX, 1).is_ok(), "nothing is owed at the end of time");
    }

    proptest! {
        /// Over any span no more is given than the rate, and what may come at once.
        #[test]
        fn the_rate_holds_over_time(
            per_second in 1_u64..10_000,
            steps in proptest::collection::vec(0_u64..300_000_000, 1..200),
        ) {
            let rate = Rate::new(per_second);
            let (mut now, mut given) = (0, 0_u64);
            for step in steps {
                now += step;
                while given < 100_000 && rate.take(now, 1).is_ok() {
                    given += 1;
                }
                let most = u128::from(per_second) * u128::from(now) / u128::from(SECOND) + u128::from(per_second) + 1;
                prop_assert!(u128::from(given) <= most, "{given} in {now} ns at {per_second}/s");
            }
        }
    }
}
