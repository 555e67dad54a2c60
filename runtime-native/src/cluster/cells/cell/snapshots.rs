//! When a snapshot of a cell is wanted, and where in the journal the one that its host made belongs.

use std::sync::Arc;

use takhin_core::{Boot, FactSeq, cell::CellOffset};

use super::{
    super::{
        boundary::{Boundaries, Place},
        chunk::Snapshot,
        keeper::Keep,
    },
    Around, Cell,
};

/// A snapshot that is wanted.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    boundaries: Boundaries,
    /// The host's, of facts that do not all apply yet.
    taken: Option<(FactSeq, Vec<u8>)>,
    /// It is being written: the first entry that isn't in it.
    keeping: Option<CellOffset>,
}

impl Cell {
    pub(super) fn want_snapshot_if_due(&mut self, around: &Around) {
        if self.wanted.is_some() || self.boot.is_none() || self.journaled < around.snapshot_bytes {
            return;
        }
        self.wanted = Some(Wanted::default());
        self.see_boundary();
        self.host.snapshot_wanted();
    }

    pub(super) fn see_boundary(&mut self) {
        if let (Some(wanted), Some((replay, next))) = (&mut self.wanted, self.owner.replay()) {
            wanted.boundaries.stands(replay, next);
        }
    }

    /// The host has a snapshot of all facts up to `through`.
    pub(in super::super) fn snapshot_taken(
        &mut self,
        boot: Boot,
        through: FactSeq,
        state: Vec<u8>,
        around: &mut Around,
    ) {
        self.flush(around);
        match &mut self.wanted {
            Some(wanted) if self.boot == Some(boot) && wanted.keeping.is_none() => {
                wanted.taken = Some((through, state));
            }
            _ => return tracing::debug!(cell = self.number, "a snapshot that nobody wants"),
        }
        self.keep_if_placed(around);
    }

    /// Has a snapshot kept as soon as all of its facts apply.
    pub(super) fn keep_if_placed(&mut self, around: &Around) {
        let Some(wanted) = &mut self.wanted else { return };
        let Some((through, state)) = wanted.taken.take() else { return };
        match wanted.boundaries.place(through) {
            Place::Later => wanted.taken = Some((through, state)),
            Place::At(replay, next) => {
                wanted.keeping = Some(next);
                wanted.boundaries = Boundaries::default();
                self.journaled = 0;
                let snapshot = Snapshot { next, replay, state: Arc::new(state) };
                if around.keeper.send(Keep { cell: self.number, snapshot }).is_err() {
                    tracing::error!(cell = self.number, "the thread that keeps snapshots has ended");
                }
            }
            Place::Unknown => {
                tracing::info!(
                    cell = self.number,
                    through = through.0,
                    "no entry ends where a snapshot does: another one"
                );
                self.host.snapshot_wanted();
            }
        }
    }

    /// A snapshot was written and read back, or was not.
    pub(in super::super) fn snapshot_kept(&mut self, next: CellOffset, kept: &Result<(), String>, around: &Around) {
        match kept {
            Ok(()) => around.stats.snapshots.inc(),
            Err(_) => around.stats.snapshot_failures.inc(),
        };
        if self.wanted.as_ref().is_some_and(|wanted| wanted.keeping == Some(next)) {
            self.wanted = None;
            if kept.is_err() {
                // Another try with the next facts.
                self.journaled = self.journaled.max(around.snapshot_bytes);
            }
        }
    }
}
