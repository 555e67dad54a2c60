//! What a journal means: which of its entries apply.
//!
//! This is the only place that decides it. An owner asks it about its own entries before it says that they are done, a
//! new owner about all that it starts from, a standby about what it follows; since all of them see the same order, all
//! of them come to the same.

use serde::{Deserialize, Serialize};

use super::entry::{Announcement, CellOffset, Entry, EntryNumber};
use crate::{
    ids::{Boot, FactSeq},
    time::DurationMs,
};

/// Where a replay of a journal stands. What it says of an entry depends on the entries before it alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replay {
    owner: Option<(CellOffset, Announcement)>,
    owners: u32,
    next: EntryNumber,
    through: FactSeq,
    /// The longest lease of those who may still serve.
    leases: Option<DurationMs>,
    /// The same before the latest owner came.
    leases_before: Option<DurationMs>,
    /// Who owned the cell before the latest owner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    owner_before: Option<CellOffset>,
}

/// What an entry means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A new owner: what comes of those before it counts no longer.
    Owned,
    /// Facts that count.
    Applies,
    /// An announcement or facts that stood there already, or an announcement that the owner had given up for lost.
    Repeated,
    /// Something of whoever is the owner no longer, or never was.
    Stale,
    /// Facts before which others of the same owner are missing.
    BehindGap,
    /// Facts in their turn that do not follow those before: something is missing here, or the owner numbered them wrongly.
    Torn,
    /// The owner has stopped.
    Vacated,
    /// The one before the owner has stopped, and so nobody but the owner can serve.
    Left,
}

impl Replay {
    /// A replay whose first entries are replaced by what they made up: all facts up to `through`.
    pub fn starting_with(through: FactSeq) -> Self {
        Self { through, ..Self::default() }
    }

    /// Takes the next entry.
    pub fn take<F>(&mut self, at: CellOffset, entry: &Entry<F>) -> Verdict {
        match entry {
            Entry::Announced(announcement) => self.take_announcement(at, *announcement),
            Entry::Facts { epoch, number, after, through, .. } => self.take_facts(*epoch, *number, *after, *through),
            Entry::Resigned { epoch, alone } => self.take_resignation(*epoch, *alone),
        }
    }

    fn take_resignation(&mut self, epoch: CellOffset, alone: bool) -> Verdict {
        if self.epoch() == Some(epoch) {
            if alone {
                self.leases = None;
            }
            return Verdict::Vacated;
        }
        if self.owner_before != Some(epoch) || !alone {
            return Verdict::Stale;
        }
        self.leases_before = None;
        self.leases = self.owner.map(|(_, announcement)| announcement.lease);
        Verdict::Left
    }

    fn take_announcement(&mut self, at: CellOffset, announcement: Announcement) -> Verdict {
        let Announcement { owner, number, lease } = announcement;
        let repeated = self.owner.is_some_and(|(_, known)| known.owner == owner && number <= known.number);
        let before = self.leases;
        self.leases = Some(before.unwrap_or_default().max(lease));
        if repeated {
            return Verdict::Repeated;
        }
        self.leases_before = before;
        self.owner_before = self.epoch();
        self.owner = Some((at, announcement));
        self.owners = self.owners.saturating_add(1);
        self.next = EntryNumber::default();
        Verdict::Owned
    }

    pub(super) fn take_facts(
        &mut self,
        epoch: CellOffset,
        number: EntryNumber,
        after: FactSeq,
        through: FactSeq,
    ) -> Verdict {
        if self.epoch() != Some(epoch) {
            return Verdict::Stale;
        }
        if number < self.next {
            return Verdict::Repeated;
        }
        if number > self.next {
            return Verdict::BehindGap;
        }
        if after != self.through || through < after {
            return Verdict::Torn;
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

    /// The longest lease of those who may still have served when the latest owner announced itself.
    pub fn leases_before(&self) -> Option<DurationMs> {
        self.leases_before
    }

    /// The last fact that applies.
    pub fn through(&self) -> FactSeq {
        self.through
    }
}
