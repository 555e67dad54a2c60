//! What stands in a cell's journal.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::ids::FactSeq;

/// A place in a cell's journal. The offset of an announcement is the epoch of whom it announces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CellOffset(pub u64);

impl CellOffset {
    /// The place after it.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// A node, from its start to its end: started anew, it is another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeId(pub Uuid);

/// How many entries with facts an owner appended before this one, in the same epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EntryNumber(pub u64);

impl EntryNumber {
    /// The number after it.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// A node's word that it takes a cell over. Each is made once; it may be appended more than once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Announcement {
    /// Who.
    pub node: NodeId,
    /// Which of its announcements for this cell.
    pub number: u32,
}

/// One entry of a cell's journal; `F` is what facts are written as.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entry<F> {
    /// A node takes the cell over.
    Announced(Announcement),
    /// What an owner decided. Without any facts it only shows that the owner still is one.
    Facts {
        /// Whose they are: the offset of its announcement.
        epoch: CellOffset,
        /// Their place among its entries.
        number: EntryNumber,
        /// The last fact of these, or of those before if there are none.
        through: FactSeq,
        /// In order, each after all that were appended before.
        facts: F,
    },
    /// An owner has stopped, and will not serve again in this epoch.
    Resigned {
        /// Who: the offset of its announcement.
        epoch: CellOffset,
        /// Whether all who owned the cell before it had stopped, too.
        alone: bool,
    },
}
