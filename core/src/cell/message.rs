//! What an owner is told, and what it wants done.

use alloc::vec::Vec;

use super::{
    entry::{Announcement, CellOffset, Entry, EntryNumber},
    replay::Replay,
};
use crate::ids::{Boot, FactSeq};

/// What happens to a node with regard to a cell. `F` is what facts are written as.
///
/// Every [`Announce`](CellCommand::Announce) and every [`Append`](CellCommand::Append) is answered in the end; reads may
/// be lost, and are asked for again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CellEvent<F> {
    /// The node is to own the cell.
    Offered,
    /// It is to own it no longer.
    Revoked,
    /// The journal was seen to have entries up to an offset. A node that is told so at least once in each
    /// [`keep_alive`](super::CellConfig::keep_alive), and not offered the cell, stands in for an owner that does not show
    /// itself any more.
    Sighted {
        /// The offset after the last entry.
        next: CellOffset,
        /// How many other nodes stand in before this one does. For each it waits a `keep_alive` longer.
        behind: u32,
    },
    /// An announcement's append has ended; it lies at an offset, or it isn't known whether it does.
    Announced {
        /// Which of the owner's announcements.
        number: u32,
        /// Where it lies.
        at: Option<CellOffset>,
    },
    /// The latest snapshot was read: of all that are there, the one with the highest `next`.
    Snapshot {
        /// The first entry that isn't in it.
        next: CellOffset,
        /// Where the replay of all before stands.
        replay: Replay,
    },
    /// Entries were read, in order, of a [`CellCommand::Read`] in parts or as a whole. Nothing that is there may be left out.
    Entries {
        /// The first offset that was looked at.
        from: CellOffset,
        /// Each with its offset.
        entries: Vec<(CellOffset, Entry<F>)>,
        /// The offset after the last that was looked at.
        next: CellOffset,
    },
    /// Entries that were to be read are no longer there. A journal is cut only up to the `next` of a snapshot that can be
    /// read.
    Cut {
        /// From where on they were to be read.
        from: CellOffset,
    },
    /// Something that was read makes no sense: it isn't an entry, or offsets are missing, or its facts can't be applied.
    Unreadable,
    /// The core has decided on facts.
    Decided {
        /// The core, by the number of its start.
        boot: Boot,
        /// The last fact before these.
        after: FactSeq,
        /// The last of these.
        through: FactSeq,
        /// In order.
        facts: F,
    },
    /// An append of facts has ended; they lie at an offset, or it isn't known whether they do.
    Appended {
        /// Which, by the epoch in which they were appended.
        epoch: CellOffset,
        /// And by their number in it.
        number: EntryNumber,
        /// Where they lie.
        at: Option<CellOffset>,
    },
    /// Time has passed.
    Tick,
}

/// What a node is to do for a cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CellCommand<F> {
    /// Append an announcement.
    Announce(Announcement),
    /// Append facts. What was given to be appended before should not come to lie behind it.
    Append {
        /// The owner's epoch.
        epoch: CellOffset,
        /// Their place among its entries.
        number: EntryNumber,
        /// The last fact before these.
        after: FactSeq,
        /// The last fact that counts with them.
        through: FactSeq,
        /// The facts, or [`None`] to show that the owner is there.
        facts: Option<F>,
    },
    /// Append a resignation. What comes of it does not matter.
    Resign {
        /// The owner's epoch.
        epoch: CellOffset,
        /// Whether all who owned the cell before it can serve no longer.
        alone: bool,
    },
    /// Read the latest snapshot.
    ReadSnapshot,
    /// Begin the recovery with the snapshot that was just told of.
    Begin,
    /// Read the journal from an offset up to another, which is not to be read.
    Read {
        /// The first offset.
        from: CellOffset,
        /// The offset after the last.
        to: CellOffset,
    },
    /// The next facts of the recovery.
    Apply(F),
    /// All was taken in, and nobody else serves: a core is to begin with it.
    Own {
        /// The number of this start.
        boot: Boot,
        /// The last fact that was applied.
        through: FactSeq,
    },
    /// Facts are kept, and nothing can undo that.
    Persisted {
        /// The last of them.
        through: FactSeq,
        /// The offset after the entry that they end with.
        next: CellOffset,
    },
    /// The lease has run out: whoever waits for an answer is to ask again, here or elsewhere. The core stays, and serves
    /// again if an append comes to apply.
    Lapsed,
    /// The core is to end at once: whoever waits for it is to ask again.
    StepDown(StepDown),
}

/// Why a node no longer owns a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepDown {
    /// It was told to.
    Revoked,
    /// Another owner has announced itself.
    Overtaken,
    /// It isn't known whether an append was done, or one came to lie before what it has to follow.
    Unsure,
    /// Facts do not follow those before: the journal lacks something, or was written to by somebody who must not. A defect,
    /// to be told to whoever runs the node.
    Torn,
}
