//! The times of a cell.

use crate::time::DurationMs;

/// The times of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CellConfig {
    /// For how long an owner may serve after it sent what was acknowledged last. Whoever takes over from it waits as long,
    /// and an eighth more for clocks that do not run at the same speed.
    pub lease: DurationMs,
    /// After how long without an append an owner shows that it is there.
    pub keep_alive: DurationMs,
    /// A bug that is switched on.
    #[cfg(feature = "planted")]
    pub planted: Option<crate::planted::Bug>,
}

/// Times that do not go together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a cell's owner shows itself after 1 ms at least, and twice in a lease of {lease} ms, not after {keep_alive} ms"
)]
pub struct CellConfigError {
    lease: u32,
    keep_alive: u32,
}

impl CellConfig {
    /// A cell with these times.
    ///
    /// # Errors
    /// If `keep_alive` is 0, or more than half of the lease.
    pub fn new(lease: DurationMs, keep_alive: DurationMs) -> Result<Self, CellConfigError> {
        if keep_alive.0 == 0 || keep_alive.0 > lease.0 / 2 {
            return Err(CellConfigError { lease: lease.0, keep_alive: keep_alive.0 });
        }
        Ok(Self {
            lease,
            keep_alive,
            #[cfg(feature = "planted")]
            planted: None,
        })
    }

    /// How long to wait for somebody's lease to be over, on a clock that may be quicker than theirs.
    pub(super) fn wait_for(lease: DurationMs) -> DurationMs {
        DurationMs(lease.0.saturating_add(lease.0 / 8))
    }

    /// A span that doubles with each attempt, up to a point.
    pub(super) fn doubled(span: DurationMs, attempts: u32) -> DurationMs {
        DurationMs(span.0.saturating_mul(1 << attempts.min(16)))
    }
}
