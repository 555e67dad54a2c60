//! The clock of leases, and until when each cell is served by it.
//!
//! It counts while the machine sleeps, so that a node which wakes does not take its lease for one that still lasts.

use std::sync::atomic::{AtomicU64, Ordering};

use rustix::time::{ClockId, clock_gettime};
use takhin_core::Timestamp;

/// Linux's monotonic clock stands still while the machine sleeps. That of macOS does not, and has no other name.
#[cfg(target_os = "linux")]
const CLOCK: ClockId = ClockId::Boottime;
#[cfg(not(target_os = "linux"))]
const CLOCK: ClockId = ClockId::Monotonic;

/// Milliseconds since the machine was started.
pub(super) fn now() -> Timestamp {
    let time = clock_gettime(CLOCK);
    let (seconds, nanoseconds) = (u64::try_from(time.tv_sec), u64::try_from(time.tv_nsec));
    Timestamp(seconds.unwrap_or(0) * 1_000 + nanoseconds.unwrap_or(0) / 1_000_000)
}

/// Until when each cell is served here: written by who steps the owners, read by anybody.
#[derive(Debug)]
pub(super) struct Leases(Vec<AtomicU64>);

impl Leases {
    pub(super) fn new(cells: u32) -> Self {
        Self((0..cells).map(|_| AtomicU64::new(0)).collect())
    }

    pub(super) fn set(&self, cell: u32, until: Option<Timestamp>) {
        self.0[cell as usize].store(until.map_or(0, |until| until.0), Ordering::Release);
    }

    /// Whether an answer of the cell may leave now. No cell, no answer.
    pub(super) fn lasts(&self, cell: u32, now: Timestamp) -> bool {
        self.0.get(cell as usize).is_some_and(|until| now.0 < until.load(Ordering::Acquire))
    }

    pub(super) fn count(&self) -> u32 {
        u32::try_from(self.0.len()).unwrap_or(u32::MAX)
    }
}
