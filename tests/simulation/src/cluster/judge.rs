//! Judges what the cluster does: with a replay of its own, made from the order in which entries reached the journal, and
//! with what clients were told.

use std::{collections::BTreeMap, fmt};

use takhin_core::{
    Durable, Fact, FactSeq,
    cell::{Announcement, CellOffset, Entry, EntryNumber},
};

use super::journal::Facts;

/// Announcements of which it is remembered what stood there: whoever takes that long to recover isn't judged.
const MAX_TAKEN_OVER: usize = 64;

/// What must hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Promise {
    /// A fact that is said to be persisted is part of what every later owner starts from.
    PersistedIsKept,
    /// Every fact applies once, in order.
    AppliedOnce,
    /// Whoever takes over starts from exactly what was there.
    RecoveredEqual,
    /// No former owner answers anybody once a later one has.
    OneOwnerServes,
    /// When faults stop, a cell is served.
    Served,
}

impl fmt::Display for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PersistedIsKept => "persisted is kept",
            Self::AppliedOnce => "applied once",
            Self::RecoveredEqual => "recovered equal",
            Self::OneOwnerServes => "one owner serves",
            Self::Served => "served",
        })
    }
}

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{promise}: {detail}")]
pub struct Violation {
    /// Which.
    pub promise: Promise,
    /// What was seen.
    pub detail: String,
}

pub(super) fn broken(promise: Promise, detail: String) -> Result<(), Violation> {
    Err(Violation { promise, detail })
}

/// What the journal means, and what clients know.
#[derive(Debug)]
pub(super) struct Judge {
    owner: Option<(CellOffset, Announcement)>,
    number: u64,
    before: FactSeq,
    facts: Vec<Fact>,
    durable: Durable,
    /// What stood at each announcement.
    taken_over: BTreeMap<CellOffset, Durable>,
    /// The latest epoch of which an answer left.
    answered: CellOffset,
    ended_remembered: u32,
}

impl Judge {
    pub(super) fn new(durable: Durable, before: FactSeq, ended_remembered: u32) -> Self {
        Self {
            owner: None,
            number: 0,
            before,
            facts: Vec::new(),
            durable,
            taken_over: BTreeMap::new(),
            answered: CellOffset::default(),
            ended_remembered,
        }
    }

    /// An entry has reached the journal. Says whether it counts.
    pub(super) fn reached(&mut self, at: CellOffset, entry: &Entry<Facts>) -> Result<bool, Violation> {
        match entry {
            Entry::Announced(announcement) => {
                if self.owner.is_some_and(|(_, known)| known == *announcement) {
                    return Ok(false);
                }
                self.owner = Some((at, *announcement));
                self.number = 0;
                self.taken_over.insert(at, self.durable.clone());
                if self.taken_over.len() > MAX_TAKEN_OVER {
                    self.taken_over.pop_first();
                }
                Ok(true)
            }
            Entry::Facts { epoch, number, facts, .. } => {
                let is_next = *number == EntryNumber(self.number);
                if self.owner.map(|(owner, _)| owner) != Some(*epoch) || !is_next {
                    return Ok(false);
                }
                self.number += 1;
                for (seq, fact) in facts {
                    self.apply(*seq, fact)?;
                }
                Ok(true)
            }
            Entry::Resigned { .. } => Ok(true),
        }
    }

    fn apply(&mut self, seq: FactSeq, fact: &Fact) -> Result<(), Violation> {
        if seq != self.through().next() {
            return broken(Promise::AppliedOnce, format!("fact {} comes after {}", seq.0, self.through().0));
        }
        self.durable.apply(fact, self.ended_remembered);
        self.facts.push(fact.clone());
        Ok(())
    }

    fn through(&self) -> FactSeq {
        FactSeq(self.before.0 + self.facts.len() as u64)
    }

    /// A node has told its core that a fact is persisted.
    pub(super) fn persisted(&self, seq: FactSeq, fact: &Fact) -> Result<(), Violation> {
        let at = usize::try_from(seq.0 - self.before.0 - 1).unwrap_or(usize::MAX);
        if self.facts.get(at) == Some(fact) {
            return Ok(());
        }
        broken(Promise::PersistedIsKept, format!("fact {} is said to be persisted, and {fact:?} does not apply", seq.0))
    }

    /// What whoever takes the cell over at an announcement has to start from.
    pub(super) fn at(&self, epoch: CellOffset) -> Option<&Durable> {
        self.taken_over.get(&epoch)
    }

    /// Whose the cell is.
    pub(super) fn epoch(&self) -> Option<CellOffset> {
        self.owner.map(|(epoch, _)| epoch)
    }

    /// An answer of the owner with this epoch leaves.
    pub(super) fn answers(&mut self, epoch: CellOffset) -> Result<(), Violation> {
        if epoch < self.answered {
            let (of, after) = (epoch.0, self.answered.0);
            return broken(Promise::OneOwnerServes, format!("epoch {of} answers, after epoch {after} did"));
        }
        self.answered = epoch;
        Ok(())
    }
}
