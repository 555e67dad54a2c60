//! What outlives the nodes: the cell's journal, its latest snapshot, and what is on its way to and from them.

use takhin_core::{
    Durable, Fact, FactSeq,
    cell::{CellEvent, CellOffset, Entry, Replay},
};

/// Facts as the simulated journal has them.
pub(super) type Facts = Vec<(FactSeq, Fact)>;

/// A state of the cell, and where in the journal it was.
#[derive(Clone, Debug)]
pub(super) struct Snapshot {
    pub(super) next: CellOffset,
    pub(super) replay: Replay,
    pub(super) durable: Durable,
}

/// The journal. All that reaches it is kept, until a snapshot stands for it.
#[derive(Debug)]
pub(super) struct Journal {
    first: CellOffset,
    entries: Vec<Entry<Facts>>,
    pub(super) snapshot: Snapshot,
}

impl Journal {
    pub(super) fn new(durable: Durable, through: FactSeq) -> Self {
        let (first, replay) = (CellOffset::default(), Replay::starting_with(through));
        Self { first, entries: Vec::new(), snapshot: Snapshot { next: first, replay, durable } }
    }

    pub(super) fn append(&mut self, entry: Entry<Facts>) -> CellOffset {
        self.entries.push(entry);
        CellOffset(self.end().0 - 1)
    }

    pub(super) fn end(&self) -> CellOffset {
        CellOffset(self.first.0 + self.entries.len() as u64)
    }

    /// At most `most` entries from an offset on; [`None`] if they were cut away.
    pub(super) fn read(&self, from: CellOffset, to: CellOffset, most: usize) -> Option<CellEvent<Facts>> {
        if from < self.first {
            return None;
        }
        let to = to.min(self.end()).min(CellOffset(from.0 + most as u64)).max(from);
        let at = |offset: CellOffset| usize::try_from(offset.0 - self.first.0).unwrap_or(usize::MAX);
        let entries = self.entries[at(from.min(self.end()))..at(to.min(self.end()))].iter().cloned();
        let entries = (from.0..).map(CellOffset).zip(entries).collect();
        Some(CellEvent::Entries { from, entries, next: to })
    }

    /// Keeps a snapshot unless there is a later one, and cuts away what it stands for.
    pub(super) fn keep(&mut self, snapshot: Snapshot) {
        if snapshot.next <= self.snapshot.next {
            return;
        }
        let cut = usize::try_from(snapshot.next.0.saturating_sub(self.first.0)).unwrap_or(usize::MAX);
        self.entries.drain(..cut.min(self.entries.len()));
        self.first = snapshot.next;
        self.snapshot = snapshot;
    }
}

/// Something on its way. What comes back is meant for one life of a node.
#[derive(Clone, Debug)]
pub(super) enum Message {
    /// An entry, and whom to tell where it lies; nobody, if it is a copy.
    Append { from: Life, entry: Entry<Facts>, tell: bool },
    /// What an append has come to.
    Outcome { to: Life, event: CellEvent<Facts> },
    /// A wish for entries.
    Read { by: Life, from: CellOffset, to: CellOffset },
    /// A wish for the latest snapshot.
    ReadSnapshot { by: Life },
    /// A snapshot to be kept.
    Keep { snapshot: Snapshot },
}

/// A node from its start to its death.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Life {
    pub(super) node: usize,
    pub(super) life: u64,
}
