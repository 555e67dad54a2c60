//! What was found at a start, and what was done about it.

use std::{fmt, ops::Range, path::PathBuf};

use takhin_core::{Boot, FactSeq, LogId, Offset};

use super::aside::MAX_KEPT;

/// What recovery has found. Empty of notes after a clean stop.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecoveryReport {
    /// Which start this is.
    pub boot: Boot,
    /// How many logs there are.
    pub logs: usize,
    /// How many bytes of segments were verified.
    pub verified_bytes: u64,
    /// How many batches the journal supplied that the segments lacked.
    pub reapplied_batches: u64,
    /// How many facts came after the snapshot.
    pub facts: u64,
    /// What was out of order.
    pub notes: Vec<RecoveryNote>,
}

/// One thing that was out of order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RecoveryNote {
    /// A snapshot is damaged; the one before it was used.
    DamagedSnapshot {
        /// Its file.
        path: PathBuf,
    },
    /// Bytes of the journal that were durable don't decode. What they said is lost unless the segments have it.
    DamagedJournal {
        /// The file.
        path: PathBuf,
        /// Which of its bytes.
        bytes: Range<u64>,
    },
    /// A file of the journal is missing that there must have been.
    MissingJournal {
        /// The file.
        path: PathBuf,
    },
    /// The journal ended in something half written, which was never acknowledged.
    TornJournal {
        /// The file.
        path: PathBuf,
        /// Where it was cut off.
        position: u64,
        /// How many bytes were cut off.
        bytes: u64,
    },
    /// Facts are missing between two that are there.
    MissingFacts {
        /// The last before the gap.
        after: FactSeq,
        /// The first behind it.
        before: FactSeq,
    },
    /// A segment did not end in a whole batch.
    TornSegment {
        /// The file.
        path: PathBuf,
        /// Where it was cut off.
        position: u64,
        /// How many bytes were cut off.
        bytes: u64,
        /// What became of them.
        cut_off: CutOff,
    },
    /// A segment is damaged before its tail. It stays as it is; the damaged records are not served.
    DamagedSegment {
        /// The file.
        path: PathBuf,
        /// Where the damage begins.
        position: u64,
    },
    /// Offsets of a log are nowhere to be found.
    MissingRecords {
        /// The log.
        log: LogId,
        /// The first that is missing.
        from: Offset,
        /// The first behind them.
        to: Offset,
    },
    /// The index of a segment was missing or damaged and has been made anew.
    RebuiltIndex {
        /// The segment's file.
        path: PathBuf,
    },
    /// A directory belongs to no topic that is known, and was moved aside.
    Stray {
        /// Where it was.
        from: PathBuf,
        /// Where it is.
        to: PathBuf,
    },
    /// The remains of something unfinished were removed.
    Leftover {
        /// What it was.
        path: PathBuf,
    },
}

/// What became of bytes that were cut off a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CutOff {
    /// They are gone: they were half written and never acknowledged, or came back from the journal.
    Dropped,
    /// They are kept, for some of them may have been acknowledged.
    Kept {
        /// In this file.
        path: PathBuf,
        /// The log that they are of.
        log: LogId,
        /// The offset behind the last of them that can be made out.
        through: Offset,
    },
    /// They are gone, for as many files of that log are kept as may be.
    NotKept,
}

impl RecoveryReport {
    /// Adds what was found elsewhere.
    pub(super) fn add(&mut self, other: Self) {
        let Self { boot: _, logs, verified_bytes, reapplied_batches, facts, notes } = other;
        self.logs += logs;
        self.verified_bytes += verified_bytes;
        self.reapplied_batches += reapplied_batches;
        self.facts += facts;
        self.notes.extend(notes);
    }
}

impl RecoveryNote {
    /// Whether facts may be lost.
    pub(super) fn costs_facts(&self) -> bool {
        matches!(self, Self::MissingFacts { .. } | Self::MissingJournal { .. } | Self::DamagedJournal { .. })
    }
}

impl fmt::Display for RecoveryNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DamagedSnapshot { path } => {
                write!(f, "{} is damaged; the snapshot before it is used", path.display())
            }
            Self::DamagedJournal { path, bytes } => {
                write!(f, "{} is damaged from byte {} to {}", path.display(), bytes.start, bytes.end)
            }
            Self::MissingJournal { path } => write!(f, "{} is missing", path.display()),
            Self::TornJournal { path, position, bytes } => {
                write!(f, "{}: cut off {bytes} half-written bytes at {position}", path.display())
            }
            Self::MissingFacts { after, before } => write!(f, "facts between {} and {} are lost", after.0, before.0),
            Self::TornSegment { path, position, bytes, cut_off } => {
                write!(f, "{}: cut off {bytes} bytes behind the last whole batch at {position}", path.display())?;
                match cut_off {
                    CutOff::Dropped => Ok(()),
                    CutOff::Kept { path, .. } => write!(f, "; kept in {}", path.display()),
                    CutOff::NotKept => write!(f, "; not kept, for there are {MAX_KEPT} such files already"),
                }
            }
            Self::DamagedSegment { path, position } => {
                write!(f, "{} is damaged at byte {position}; those records are not served", path.display())
            }
            Self::MissingRecords { log, from, to } => {
                let LogId { topic, partition } = log;
                write!(f, "records {} to {} of partition {partition} of topic {} are lost", from.0, to.0, topic.0)
            }
            Self::RebuiltIndex { path } => write!(f, "made the index of {} anew", path.display()),
            Self::Stray { from, to } => {
                write!(f, "{} belongs to no known topic; moved to {}", from.display(), to.display())
            }
            Self::Leftover { path } => write!(f, "removed the unfinished {}", path.display()),
        }
    }
}

impl fmt::Display for RecoveryReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { boot, logs, verified_bytes, reapplied_batches, facts, notes } = self;
        write!(
            f,
            "start {}: {logs} logs, {verified_bytes} bytes verified, {reapplied_batches} batches from the journal, \
             {facts} facts",
            boot.0
        )?;
        notes.iter().try_for_each(|note| write!(f, "\n  {note}"))
    }
}
