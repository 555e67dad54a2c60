//! Run until: what to stop at.

use serde::Deserialize;

use crate::{
    filter::Filter,
    observer::{Observer, flag},
};

/// What to stop at. Each holds in the row in which it comes true.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Stop {
    /// A consumer is removed.
    Expired,
    /// A group is assigned anew.
    Rebalanced,
    /// A promise is broken, or a trace differs.
    Violation,
    /// A poll that waited is answered with something.
    Woke,
    /// So many records are not committed, and before there were not that many.
    LagAbove(u32),
    /// A row that a filter finds.
    Matches(String),
}

impl Stop {
    /// Whether to stop at this row, which is the last one.
    pub(crate) fn is_met(&self, observer: &Observer, row: u32) -> bool {
        let flags = observer.flags(row);
        match self {
            Self::Expired => flags & flag::EXPIRED != 0,
            Self::Rebalanced => flags & flag::REBALANCED != 0,
            Self::Violation => flags & (flag::VIOLATED | flag::DIVERGED) != 0,
            Self::Woke => flags & flag::WOKE != 0,
            Self::LagAbove(lag) => {
                let before = row.checked_sub(1).map_or(0, |before| observer.lag(before));
                observer.lag(row) > *lag && before <= *lag
            }
            Self::Matches(filter) => Filter::new(filter).finds(observer, row),
        }
    }
}
