//! Where a replay stood when facts had just come to apply, kept while a snapshot is wanted.
//!
//! A host's snapshot is of all facts through one that it decided. It belongs to a place in the journal: behind the entry
//! that ends with this fact. Only there it may be used in the entries' stead.

use std::collections::BTreeMap;

use takhin_core::{
    FactSeq,
    cell::{CellOffset, Replay},
};

/// How many are kept. A host that takes longer is asked for another snapshot.
const MAX_BOUNDARIES: usize = 4_096;

/// What is known of the place of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// There it belongs.
    At(Replay, CellOffset),
    /// Its last fact does not apply yet.
    Later,
    /// Nobody knows where the fact lies, or no entry ends with it.
    Unknown,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Boundaries(BTreeMap<FactSeq, (Replay, CellOffset)>);

impl Boundaries {
    /// All facts up to the replay's last apply now, and the next entry is `next`.
    pub(super) fn stands(&mut self, replay: &Replay, next: CellOffset) {
        self.0.insert(replay.through(), (replay.clone(), next));
        if self.0.len() > MAX_BOUNDARIES {
            self.0.pop_first();
        }
    }

    /// Where a snapshot of all facts up to `through` belongs.
    pub(super) fn place(&self, through: FactSeq) -> Place {
        match self.0.get(&through) {
            Some((replay, next)) => Place::At(replay.clone(), *next),
            None if self.0.last_key_value().is_none_or(|(last, _)| *last < through) => Place::Later,
            None => Place::Unknown,
        }
    }
}
