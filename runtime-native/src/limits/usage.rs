//! What one client has used up of its limits.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use super::{Limits, Rate};

/// One client's counters. Clones are the same client's.
#[derive(Clone, Debug)]
pub struct Usage(Arc<Counters>);

#[derive(Debug)]
struct Counters {
    requests: Option<Rate>,
    ingress_bytes: Option<Rate>,
    concurrent_limit: Option<u32>,
    concurrent: AtomicU32,
}

/// Which limit is exceeded, and when to come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Excess {
    /// The limit's name, as in [`Limits`].
    pub limit: &'static str,
    /// What it is set to.
    pub value: u64,
    /// How long to wait.
    pub wait: Duration,
}

/// One request under way. Dropped, it is over.
#[derive(Debug, Default)]
pub struct Place(Option<Arc<Counters>>);

impl Usage {
    /// Of a client that is held to these limits, and has used up nothing.
    pub fn new(limits: Limits) -> Self {
        Self(Arc::new(Counters {
            requests: limits.requests_per_second.map(|rate| Rate::new(rate.into())),
            ingress_bytes: limits.ingress_bytes_per_second.map(Rate::new),
            concurrent_limit: limits.concurrent_requests,
            concurrent: AtomicU32::new(0),
        }))
    }

    /// A request comes, with a body of so many bytes, if that is known.
    ///
    /// # Errors
    /// If that is too much; it counts for nothing then.
    pub fn begin(&self, now: u64, body_bytes: Option<u64>) -> Result<Place, Excess> {
        let place = self.place()?;
        let Counters { requests, ingress_bytes, .. } = &*self.0;
        if body_bytes != Some(0) {
            // Nothing is taken yet, as it could not be given back if the other refused.
            take(ingress_bytes.as_ref(), "ingress_bytes_per_second", now, 0)?;
        }
        take(requests.as_ref(), "requests_per_second", now, 1)?;
        if let Some(bytes) = body_bytes {
            self.received(now, bytes);
        }
        Ok(place)
    }

    /// Bytes of a body came whose length was not known before.
    pub fn received(&self, now: u64, bytes: u64) {
        if let Some(rate) = &self.0.ingress_bytes {
            rate.charge(now, bytes);
        }
    }

    /// Whether bodies are limited, so that [`Usage::received`] has to be told.
    pub fn counts_bytes(&self) -> bool {
        self.0.ingress_bytes.is_some()
    }

    /// Whether it is as if this client had never come.
    pub fn is_untouched(&self, now: u64) -> bool {
        let untouched = |rate: &Option<Rate>| rate.as_ref().is_none_or(|rate| rate.is_untouched(now));
        self.0.concurrent.load(Ordering::Relaxed) == 0
            && untouched(&self.0.requests)
            && untouched(&self.0.ingress_bytes)
    }

    fn place(&self) -> Result<Place, Excess> {
        let Some(limit) = self.0.concurrent_limit else { return Ok(Place(None)) };
        let one_more = |taken: u32| (taken < limit).then_some(taken + 1);
        let taken = self.0.concurrent.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more);
        let excess = Excess { limit: "concurrent_requests", value: limit.into(), wait: Duration::from_secs(1) };
        taken.map(|_| Place(Some(Arc::clone(&self.0)))).map_err(|_| excess)
    }
}

fn take(rate: Option<&Rate>, limit: &'static str, now: u64, units: u64) -> Result<(), Excess> {
    let Some(rate) = rate else { return Ok(()) };
    rate.take(now, units).map_err(|wait| Excess { limit, value: rate.units_per_second(), wait })
}

impl Place {
    /// Whether it is to be kept until the answer is written.
    pub fn counts(&self) -> bool {
        self.0.is_some()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(counters) = &self.0 {
            counters.concurrent.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Limits =
        Limits { requests_per_second: None, ingress_bytes_per_second: None, concurrent_requests: None };

    #[test]
    fn without_limits_nothing_is_refused_and_nothing_counted() {
        let usage = Usage::new(NONE);
        let places: Vec<_> = (0..100).map(|_| usage.begin(0, Some(1 << 40)).expect("no limit")).collect();
        assert!(places.iter().all(|place| !place.counts()) && usage.is_untouched(0) && !usage.counts_bytes());
    }

    #[test]
    fn a_place_is_free_again_when_its_request_is_over() {
        let usage = Usage::new(Limits { concurrent_requests: Some(2), ..NONE });
        let (first, _second) = (usage.begin(0, Some(0)).expect("free"), usage.begin(0, Some(0)).expect("free"));
        let excess = usage.begin(0, Some(0)).expect_err("both are taken");
        assert_eq!((excess.limit, excess.value), ("concurrent_requests", 2));
        drop(first);
        let third = usage.begin(0, Some(0)).expect("free again");
        assert!(third.counts() && !usage.is_untouched(0));
    }

    #[test]
    fn what_is_refused_counts_for_nothing() {
        let limits = Limits { requests_per_second: Some(5), ingress_bytes_per_second: Some(1_024), ..NONE };
        let usage = Usage::new(limits);
        usage.begin(0, Some(4_096)).expect("the first passes, however large");
        assert_eq!(usage.begin(0, Some(1)).expect_err("too much").limit, "ingress_bytes_per_second");
        for _ in 0..4 {
            usage.begin(0, Some(0)).expect("four are left, since the refused one took none");
        }
        assert_eq!(usage.begin(0, Some(0)).expect_err("too many").limit, "requests_per_second");
    }

    #[test]
    fn bytes_that_were_not_announced_count_when_they_come() {
        let usage = Usage::new(Limits { ingress_bytes_per_second: Some(1_024), ..NONE });
        usage.begin(0, None).expect("nothing is known of its body");
        usage.received(0, 10_240);
        assert!(usage.begin(0, None).is_err(), "nor is one that may have a body");
        let excess = usage.begin(0, Some(1)).expect_err("ten seconds are owed");
        assert!((8..=10).contains(&excess.wait.as_secs()), "{excess:?}");
        assert!(usage.begin(0, Some(0)).is_ok(), "without a body it passes");
    }
}
