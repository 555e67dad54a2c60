//! Time as data: the core has no clock, it is told what time it is.

use core::ops::Add;

use serde::{Deserialize, Serialize};

/// A moment on the runtime's monotonic clock, in milliseconds since some fixed moment of its own choosing.
///
/// Deadlines are counted in it. `Core::step` clamps it, so it never runs backwards.
/// It is not a [`Date`]: that can be set back. The dates of records are the runtime's affair and never reach the core.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub u64);

impl Add<DurationMs> for Timestamp {
    type Output = Self;

    fn add(self, span: DurationMs) -> Self {
        Self(self.0.saturating_add(u64::from(span.0)))
    }
}

/// A span of time in milliseconds, at most some 49 days.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct DurationMs(pub u32);

/// A moment as calendars have it: milliseconds since 1970, in UTC. Clocks that tell it can be set, so nothing is due by
/// it that could do harm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Date(pub i64);

impl Date {
    /// The moment that lies so much later.
    #[must_use]
    pub fn after(self, span: DurationMs) -> Self {
        Self(self.0.saturating_add(i64::from(span.0)))
    }
}
