//! A node's part in one cell: it is offered the cell, announces itself, takes in what was before, and owns it until
//! somebody else does.
//!
//! ```text
//!            Offered            announced at E         read up to E
//!   Idle ------------> Announcing -----------> Recovering ---------> Owning
//!    ^                  ^      |                   |                   |
//!    |   step down,     |      | unknown           | journal was cut   | overtaken, unknown outcome
//!    |   still offered -'      '-> announce anew   '-> snapshot anew   |
//!    '------------------------------------ Revoked, or step down ------'
//! ```
//!
//! Who was overtaken and is still offered the cell leaves it to the other for two leases, and then tries again: it may have
//! been somebody who did not know yet that the cell is no longer its own.

use alloc::vec::Vec;

use super::{
    entry::{Announcement, CellOffset, Entry, EntryNumber, NodeId},
    owning::Owning,
    recovering::{Announced, Recovering},
    replay::Replay,
};
use crate::{
    ids::{Boot, FactSeq},
    planted::planted,
    time::{DurationMs, Timestamp},
};

/// Times of a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CellConfig {
    /// For how long an owner may serve after it sent what was acknowledged last; and for how long whoever takes over waits
    /// until it serves, unless those before it resigned. All nodes must have the same.
    pub lease: DurationMs,
    /// After how long without an append an owner shows that it is there; a fraction of the lease.
    pub keep_alive: DurationMs,
    /// A bug that is switched on.
    #[cfg(feature = "planted")]
    pub planted: Option<crate::planted::Bug>,
}

impl CellConfig {
    /// A cell with these times.
    pub fn new(lease: DurationMs, keep_alive: DurationMs) -> Self {
        Self {
            lease,
            keep_alive,
            #[cfg(feature = "planted")]
            planted: None,
        }
    }
}

/// What happens to a node with regard to a cell. `F` is what facts are written as.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CellEvent<F> {
    /// The node is to own the cell.
    Offered,
    /// It is to own it no longer.
    Revoked,
    /// An announcement's append has ended; it lies at an offset, or it isn't known whether it does.
    Announced {
        /// Which of the node's announcements.
        number: u32,
        /// Where it lies.
        at: Option<CellOffset>,
    },
    /// The latest snapshot was read.
    Snapshot {
        /// The first entry that isn't in it.
        next: CellOffset,
        /// Where the replay of all before stands.
        replay: Replay,
    },
    /// Entries were read, in order, of a [`CellCommand::Read`] in parts or as a whole.
    Entries {
        /// The first offset that was looked at.
        from: CellOffset,
        /// Each with its offset.
        entries: Vec<(CellOffset, Entry<F>)>,
        /// The offset after the last that was looked at.
        next: CellOffset,
    },
    /// What was to be read is no longer there.
    Cut,
    /// The core has decided on facts.
    Decided {
        /// The last of them.
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
    /// Append facts. What was given to be appended before must not come to lie behind it.
    Append {
        /// The owner's epoch.
        epoch: CellOffset,
        /// Their place among its entries.
        number: EntryNumber,
        /// The last fact that counts with them.
        through: FactSeq,
        /// The facts, or [`None`] to show that the owner is there.
        facts: Option<F>,
    },
    /// Append a resignation. What comes of it does not matter.
    Resign {
        /// The owner's epoch.
        epoch: CellOffset,
        /// Whether all who owned the cell before it have stopped.
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
    /// The core is to end at once: whoever waits for it is to ask again.
    StepDown(StepDown),
}

/// Why a node no longer owns a cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StepDown {
    /// It was told to.
    Revoked,
    /// Another node has announced itself.
    Overtaken,
    /// It isn't known whether an append was done.
    Unsure,
}

/// A node's part in one cell.
#[derive(Clone, Debug)]
pub struct Owner {
    node: NodeId,
    config: CellConfig,
    now: Timestamp,
    announcements: u32,
    stage: Stage,
}

#[derive(Clone, Debug)]
enum Stage {
    Idle,
    Overtaken { again: Timestamp },
    Announcing { number: u32, sent: Timestamp },
    Recovering(Recovering),
    Owning(Owning),
}

impl Owner {
    /// A node that has no part in the cell yet.
    pub fn new(node: NodeId, config: CellConfig) -> Self {
        Self { node, config, now: Timestamp::default(), announcements: 0, stage: Stage::Idle }
    }

    /// Takes an event, and says what is to be done. Time never runs backwards here.
    pub fn step<F>(&mut self, now: Timestamp, event: CellEvent<F>, commands: &mut Vec<CellCommand<F>>) {
        self.now = self.now.max(now);
        match event {
            CellEvent::Offered => {
                if matches!(self.stage, Stage::Idle) {
                    self.announce(commands);
                }
            }
            CellEvent::Revoked => {
                if matches!(self.stage, Stage::Overtaken { .. }) {
                    self.stage = Stage::Idle;
                } else if !matches!(self.stage, Stage::Idle) {
                    self.step_down(StepDown::Revoked, commands);
                }
            }
            CellEvent::Announced { number, at } => self.announced(number, at, commands),
            CellEvent::Snapshot { next, replay } => {
                if let Stage::Recovering(recovering) = &mut self.stage {
                    recovering.begin(next, replay, commands);
                    self.own_if_recovered(commands);
                }
            }
            CellEvent::Entries { from, entries, next } => self.entries(from, entries, next, commands),
            CellEvent::Cut => match &mut self.stage {
                Stage::Recovering(recovering) => recovering.begin_anew(commands),
                // Only who has taken over cuts away what its owner still has to read.
                Stage::Owning(_) => self.step_down(StepDown::Overtaken, commands),
                Stage::Idle | Stage::Overtaken { .. } | Stage::Announcing { .. } => {}
            },
            CellEvent::Decided { through, facts } => {
                if let Stage::Owning(owning) = &mut self.stage {
                    owning.append(self.now, Some((through, facts)), commands);
                }
            }
            CellEvent::Appended { epoch, number, at } => {
                if let Stage::Owning(owning) = &mut self.stage
                    && owning.epoch() == epoch
                {
                    let outcome = owning.appended(self.now, number, at, commands);
                    self.step_down_if(outcome, commands);
                }
            }
            CellEvent::Tick => {}
        }
        self.go_on(commands);
    }

    fn announce<F>(&mut self, commands: &mut Vec<CellCommand<F>>) {
        self.announcements += 1;
        self.stage = Stage::Announcing { number: self.announcements, sent: self.now };
        commands.push(CellCommand::Announce(self.announcement(self.announcements)));
    }

    fn announcement(&self, number: u32) -> Announcement {
        Announcement { node: self.node, number }
    }

    fn announced<F>(&mut self, which: u32, at: Option<CellOffset>, commands: &mut Vec<CellCommand<F>>) {
        let Stage::Announcing { number, sent } = self.stage else { return };
        if number != which {
            return;
        }
        let Some(at) = at else { return self.announce(commands) };
        let announced = Announced { announcement: self.announcement(number), at, sent, known: self.now };
        self.stage = Stage::Recovering(Recovering::new(self.config, announced));
        commands.push(CellCommand::ReadSnapshot);
    }

    fn entries<F>(
        &mut self,
        from: CellOffset,
        entries: Vec<(CellOffset, Entry<F>)>,
        next: CellOffset,
        commands: &mut Vec<CellCommand<F>>,
    ) {
        match &mut self.stage {
            Stage::Recovering(recovering) => {
                recovering.entries(from, entries, next, commands);
                self.own_if_recovered(commands);
            }
            Stage::Owning(owning) => {
                let outcome = owning.entries(from, &entries, next, commands);
                self.step_down_if(outcome, commands);
            }
            Stage::Idle | Stage::Overtaken { .. } | Stage::Announcing { .. } => {}
        }
    }

    fn own_if_recovered<F>(&mut self, commands: &mut Vec<CellCommand<F>>) {
        let Stage::Recovering(recovering) = &self.stage else { return };
        match recovering.outcome() {
            None => {}
            Some(Err(why)) => self.step_down(why, commands),
            Some(Ok(owning)) => self.stage = Stage::Owning(owning),
        }
    }

    fn step_down_if<F>(&mut self, outcome: Result<(), StepDown>, commands: &mut Vec<CellCommand<F>>) {
        if let Err(why) = outcome {
            self.step_down(why, commands);
        }
    }

    fn step_down<F>(&mut self, why: StepDown, commands: &mut Vec<CellCommand<F>>) {
        if let (Stage::Owning(owning), true) = (&self.stage, why != StepDown::Overtaken) {
            commands.push(CellCommand::Resign { epoch: owning.epoch(), alone: owning.is_alone(self.now) });
        }
        self.stage = Stage::Idle;
        commands.push(CellCommand::StepDown(why));
        match why {
            StepDown::Revoked => {}
            StepDown::Unsure => self.announce(commands),
            StepDown::Overtaken => {
                let lease = self.config.lease;
                self.stage = Stage::Overtaken { again: self.now + lease + lease };
            }
        }
    }

    /// An owner begins once it is alone, and shows that it is there.
    fn go_on<F>(&mut self, commands: &mut Vec<CellCommand<F>>) {
        match &mut self.stage {
            Stage::Overtaken { again } if self.now >= *again => self.announce(commands),
            Stage::Owning(owning) => {
                owning.begin(self.now, commands);
                if self.now >= owning.shown() + self.config.keep_alive {
                    owning.append(self.now, None, commands);
                }
            }
            _ => {}
        }
    }

    /// When it wants to be called with [`CellEvent::Tick`].
    pub fn next_deadline(&self) -> Option<Timestamp> {
        match &self.stage {
            Stage::Owning(owning) => {
                let shows = owning.shown() + self.config.keep_alive;
                Some(owning.begins_at().map_or(shows, |begins| begins.min(shows)))
            }
            Stage::Overtaken { again } => Some(*again),
            Stage::Idle | Stage::Announcing { .. } | Stage::Recovering(_) => None,
        }
    }

    /// Whether, at this moment, an answer may leave: nobody else can have begun to serve.
    pub fn serves(&self, now: Timestamp) -> bool {
        match &self.stage {
            Stage::Owning(owning) if owning.begins_at().is_none() => {
                now < owning.proven() + self.config.lease || planted!(self.config, LeaseForgotten)
            }
            _ => false,
        }
    }

    /// Where the replay stands up to which the owner knows the journal, and the offset after that; for a snapshot.
    pub fn replay(&self) -> Option<(&Replay, CellOffset)> {
        match &self.stage {
            Stage::Owning(owning) => Some((owning.replay(), owning.cursor())),
            _ => None,
        }
    }
}
