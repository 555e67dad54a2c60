//! What a journal means: which of its entries apply.
//!
//! This is the only place that decides it. An owner asks it about its own entries before it says that they are done, a
//! new owner about all that it starts from, a standby about what it follows; since all of them see the same order, all
//! of them come to the same.

use serde::{Deserialize, Serialize};

use super::entry::{Announcement, CellOffset, Entry, EntryNumber};
use crate::ids::{Boot, FactSeq};

/// Where a replay of a journal stands. What it says of an entry depends on the entries before it alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replay {
    owner: Option<(CellOffset, Announcement)>,
    owners: u32,
    next: EntryNumber,
    through: FactSeq,
    /// Whether whoever owned the cell has stopped, and all before; and how that was when the latest owner came.
    vacant: bool,
    was_vacant: bool,
}

/// What an entry means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A new owner: what comes of those before it counts no longer.
    Owned,
    /// Facts that count.
    Applies,
    /// An announcement or facts that stood there already, and were appended twice.
    Repeated,
    /// Facts of somebody who was an owner once, or whom nobody knows.
    Stale,
    /// Facts before which others of the same owner are missing.
    BehindGap,
    /// The owner has stopped.
    Vacated,
}

impl Replay {
    /// A replay whose first entries are replaced by what they made up: all facts up to `through`.
    pub fn starting_with(through: FactSeq) -> Self {
        Self { through, vacant: true, ..Self::default() }
    }

    /// Takes the next entry.
    pub fn take<F>(&mut self, at: CellOffset, entry: &Entry<F>) -> Verdict {
        match entry {
            Entry::Announced(announcement) => self.take_announcement(at, *announcement),
            Entry::Facts { epoch, number, through, .. } => self.take_facts(*epoch, *number, *through),
            Entry::Resigned { epoch, .. } if self.epoch() != Some(*epoch) => Verdict::Stale,
            Entry::Resigned { alone, .. } => {
                self.vacant = *alone;
                Verdict::Vacated
            }
        }
    }

    fn take_announcement(&mut self, at: CellOffset, announcement: Announcement) -> Verdict {
        if self.owner.is_some_and(|(_, known)| known == announcement) {
            return Verdict::Repeated;
        }
        self.owner = Some((at, announcement));
        self.was_vacant = core::mem::take(&mut self.vacant);
        self.owners = self.owners.saturating_add(1);
        self.next = EntryNumber::default();
        Verdict::Owned
    }

    pub(super) fn take_facts(&mut self, epoch: CellOffset, number: EntryNumber, through: FactSeq) -> Verdict {
        if self.epoch() != Some(epoch) {
            return Verdict::Stale;
        }
        if number < self.next {
            return Verdict::Repeated;
        }
        if number > self.next {
            return Verdict::BehindGap;
        }
        self.next = number.next();
        self.through = through;
        Verdict::Applies
    }

    /// The offset of the announcement of whoever owns the cell.
    pub fn epoch(&self) -> Option<CellOffset> {
        self.owner.map(|(epoch, _)| epoch)
    }

    /// The announcement of whoever owns the cell.
    pub fn announcement(&self) -> Option<Announcement> {
        self.owner.map(|(_, announcement)| announcement)
    }

    /// How often the cell was taken over: a number for the core that begins there, which none before it had.
    pub fn boot(&self) -> Boot {
        Boot(self.owners)
    }

    /// Whether nobody could serve any longer when the latest owner announced itself.
    pub fn was_vacant(&self) -> bool {
        self.was_vacant
    }

    /// The last fact that applies.
    pub fn through(&self) -> FactSeq {
        self.through
    }
}
