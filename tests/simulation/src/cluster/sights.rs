//! What is rare in a cluster and has to be met, or the runs prove nothing.

use std::fmt;

/// Something rare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sight {
    /// A node has taken the cell over from another that still believed to own it.
    TakenOver,
    /// An owner has learned that it no longer is one.
    Overtaken,
    /// An owner has stepped down because it could not know what became of an append.
    Unsure,
    /// Facts of a former owner have reached the journal.
    StaleFacts,
    /// Facts have reached the journal twice.
    RepeatedFacts,
    /// An owner has read what lay between its own entries, and went on.
    GapRead,
    /// What a recovery was to read had been cut away.
    CutWhileRecovering,
    /// A cell was recovered from a snapshot that an owner wrote.
    RecoveredFromSnapshot,
    /// An owner that was overtaken, and did not know it, has delivered records while its lease lasted.
    DeliveredWhileOvertaken,
    /// An answer did not leave since the lease had run out.
    LeaseRanOut,
    /// A client has gone on at another node with what it had.
    WentOnElsewhere,
    /// A node to which the cell was not offered has announced itself, since nobody showed himself.
    StoodIn,
    /// A node that waited for the lease of another one has begun since that one resigned.
    WaitCutShort,
}

impl Sight {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::TakenOver,
        Self::Overtaken,
        Self::Unsure,
        Self::StaleFacts,
        Self::RepeatedFacts,
        Self::GapRead,
        Self::CutWhileRecovering,
        Self::RecoveredFromSnapshot,
        Self::DeliveredWhileOvertaken,
        Self::LeaseRanOut,
        Self::WentOnElsewhere,
        Self::StoodIn,
        Self::WaitCutShort,
    ];

    fn sentence(self) -> &'static str {
        match self {
            Self::TakenOver => "cell taken over from an owner that does not know",
            Self::Overtaken => "owner learns that it was overtaken",
            Self::Unsure => "owner steps down after an unknown outcome",
            Self::StaleFacts => "facts of a former owner in the journal",
            Self::RepeatedFacts => "facts twice in the journal",
            Self::GapRead => "owner reads what lies between its entries",
            Self::CutWhileRecovering => "journal cut during a recovery",
            Self::RecoveredFromSnapshot => "recovery from a snapshot of an owner",
            Self::DeliveredWhileOvertaken => "delivery by an owner that was overtaken",
            Self::LeaseRanOut => "answer held back since the lease ran out",
            Self::WentOnElsewhere => "client goes on at another node",
            Self::StoodIn => "node stands in for an owner that is not seen",
            Self::WaitCutShort => "wait for a lease cut short by a resignation",
        }
    }
}

/// How often each was met.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sights([u64; Sight::ALL.len()]);

impl Sights {
    pub(super) fn see(&mut self, sight: Sight) {
        self.0[sight as usize] += 1;
    }

    /// Takes in what another run met.
    pub fn add(&mut self, other: &Self) {
        for (all, more) in self.0.iter_mut().zip(other.0) {
            *all += more;
        }
    }

    /// How often one was met.
    pub fn of(&self, sight: Sight) -> u64 {
        self.0[sight as usize]
    }
}

impl fmt::Display for Sights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for sight in Sight::ALL {
            writeln!(f, "{:>12}  {}", self.of(sight), sight.sentence())?;
        }
        Ok(())
    }
}
