//! What a node that may have to stand in for a cell's owner sees of the journal from outside: how far it reaches, and since
//! when.
//!
//! ```text
//!   seen at    10:00:00   10:00:01   10:00:02   ...   10:00:04
//!   up to         812        813        813              813     the last entry was sent before 10:00:01;
//!                                                                nobody has shown himself for 3 s
//! ```
//!
//! Whatever lay there at a moment had been sent before it. So a node that saw the journal's end as it was when it announced
//! itself knows since when the leases of those before it run, and need not count them from its announcement on.

use super::{config::CellConfig, entry::CellOffset};
use crate::time::{DurationMs, Timestamp};

/// How far a journal was seen to reach.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Watch(Option<Seen>);

#[derive(Clone, Copy, Debug)]
struct Seen {
    /// The offset after the last entry.
    next: CellOffset,
    /// When it was first seen to reach so far.
    since: Timestamp,
    /// From when on it was looked at often enough to say that nothing came.
    quiet_from: Timestamp,
    /// When it was last looked at.
    last: Timestamp,
}

impl Watch {
    /// The journal was seen, before `now`, to have entries up to `next`.
    pub(super) fn sees(&mut self, now: Timestamp, next: CellOffset, config: CellConfig) {
        match &mut self.0 {
            // Who leads a log anew may know less of its end for a moment.
            Some(seen) if next <= seen.next => {
                if now >= seen.last + config.keep_alive {
                    seen.quiet_from = now;
                }
                seen.last = now;
            }
            seen => *seen = Some(Seen { next, since: now, quiet_from: now, last: now }),
        }
    }

    /// Whether somebody has owned the cell, and none has shown himself for as long as his lease can last, nor for as long as
    /// so many others need to stand in.
    pub(super) fn is_silent(&self, now: Timestamp, behind: u32, config: CellConfig) -> bool {
        let owned = self.0.filter(|seen| seen.next > CellOffset::default());
        let others = DurationMs(config.keep_alive.0.saturating_mul(behind));
        owned.is_some_and(|seen| now >= seen.quiet_from + CellConfig::wait_for(config.lease) + others)
    }

    /// A moment before which all that lies before `at` had been sent, if that was seen.
    pub(super) fn sent_before(&self, at: CellOffset) -> Option<Timestamp> {
        self.0.filter(|seen| at <= seen.next).map(|seen| seen.since)
    }
}
