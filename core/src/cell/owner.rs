//! A node's part in one cell: it is offered the cell, announces itself, takes in what was before, and owns it until
//! somebody else does.
//!
//! ```text
//!            Offered            announced at E         read up to E
//!   Idle ------------> Announcing -----------> Recovering ---------> Owning
//!    ^                  ^      |                   |                   |
//!    |                  |      | unknown           | overtaken, torn   | overtaken, unsure, torn
//!    |                  |      v                   v                   |
//!    |                  '-- Waiting <-----------------------------------
//!    '--- Revoked, whatever the stage
//! ```
//!
//! A node that is not offered the cell may watch its journal. When nobody shows himself there any more, it stands in: it does
//! the same unoffered, until whoever is offered the cell takes it.
//!
//! Whoever was overtaken and is still offered the cell leaves it to the other, for two leases and the time that a recovery
//! takes, and tries again: it may have been somebody who did not know yet that the cell is no longer its own. Each time that
//! it does not keep the cell for as long as it waited for it, it waits twice as long, up to 32 leases; so of two that are
//! both offered a large cell, one has the time to recover it.

use alloc::vec::Vec;

use super::{
    config::CellConfig,
    entry::{Announcement, CellOffset, Entry, OwnerId},
    message::{CellCommand, CellEvent, StepDown},
    owning::Owning,
    recovering::{Announced, Recovering},
    replay::Replay,
    watch::Watch,
};
use crate::{
    planted::planted,
    time::{DurationMs, Timestamp},
};

/// A node's part in one cell.
#[derive(Clone, Debug)]
pub struct Owner {
    id: OwnerId,
    config: CellConfig,
    now: Timestamp,
    announcements: u32,
    /// Announcements in a row of which it isn't known where they lie.
    unheard: u32,
    /// How long it needed to recover the cell the last time, or was at it: another one may need as long.
    recovery: DurationMs,
    /// Times in a row that it lost the cell before it had it for long.
    setbacks: u32,
    /// The cell is to be its own; otherwise it only stands in for somebody.
    offered: bool,
    watch: Watch,
    stage: Stage,
}

#[derive(Clone, Debug)]
enum Stage {
    Idle,
    Waiting { until: Timestamp },
    Announcing { number: u32, sent: Timestamp },
    Recovering(Recovering),
    Owning(Owning),
}

impl Owner {
    /// A node that has no part in the cell yet. Nobody may ever have had the same id.
    pub fn new(id: OwnerId, config: CellConfig) -> Self {
        Self {
            id,
            config,
            now: Timestamp::default(),
            announcements: 0,
            unheard: 0,
            recovery: DurationMs(0),
            setbacks: 0,
            offered: false,
            watch: Watch::default(),
            stage: Stage::Idle,
        }
    }

    /// Takes an event, and says what is to be done.
    ///
    /// `now` is read after whatever the event tells of has happened, from a clock that also counts while the machine sleeps.
    /// It never runs backwards here.
    pub fn step<F>(&mut self, now: Timestamp, event: CellEvent<F>, commands: &mut Vec<CellCommand<F>>) {
        self.now = self.now.max(now);
        let outcome = match event {
            CellEvent::Offered => {
                self.offered = true;
                if matches!(self.stage, Stage::Idle) {
                    self.announce(commands);
                }
                Ok(())
            }
            CellEvent::Revoked => {
                self.offered = false;
                match self.stage {
                    Stage::Idle => Ok(()),
                    _ => Err(StepDown::Revoked),
                }
            }
            CellEvent::Sighted { next, behind } => {
                self.sighted(next, behind, commands);
                Ok(())
            }
            CellEvent::Announced { number, at } => {
                self.announced(number, at, commands);
                Ok(())
            }
            CellEvent::Snapshot { next, replay } => match &mut self.stage {
                Stage::Recovering(recovering) => {
                    recovering.begin(self.now, next, replay, commands);
                    self.own_if_recovered()
                }
                _ => Ok(()),
            },
            CellEvent::Entries { from, entries, next } => self.entries(from, entries, next, commands),
            CellEvent::Cut { from } => match &mut self.stage {
                Stage::Recovering(recovering) => {
                    recovering.cut(self.now, from, commands);
                    Ok(())
                }
                Stage::Owning(owning) => owning.cut(from),
                _ => Ok(()),
            },
            CellEvent::Decided { boot, after, through, facts } => match &mut self.stage {
                Stage::Owning(owning) => owning.decided(self.now, boot, after, through, facts, commands),
                _ => Ok(()),
            },
            CellEvent::Appended { epoch, number, at } => match &mut self.stage {
                Stage::Owning(owning) if owning.epoch() == epoch => owning.appended(self.now, number, at, commands),
                _ => Ok(()),
            },
            CellEvent::Unreadable => match self.stage {
                Stage::Recovering(_) | Stage::Owning(_) => Err(StepDown::Torn),
                _ => Ok(()),
            },
            CellEvent::Tick => Ok(()),
        };
        if let Err(why) = outcome {
            self.step_down(why, commands);
        }
        self.go_on(commands);
    }

    fn announce<F>(&mut self, commands: &mut Vec<CellCommand<F>>) {
        self.announcements += 1;
        self.stage = Stage::Announcing { number: self.announcements, sent: self.now };
        commands.push(CellCommand::Announce(self.announcement(self.announcements)));
    }

    /// Whoever does not show itself can't serve any more: then there is nobody to wait for.
    fn sighted<F>(&mut self, next: CellOffset, behind: u32, commands: &mut Vec<CellCommand<F>>) {
        self.watch.sees(self.now, next, self.config);
        let wanted = self.wants_sightings();
        match &mut self.stage {
            Stage::Idle if self.watch.is_silent(self.now, behind, self.config) => self.announce(commands),
            Stage::Owning(owning) if wanted => owning.sighted(self.now, next, commands),
            _ => {}
        }
    }

    fn announcement(&self, number: u32) -> Announcement {
        Announcement { owner: self.id, number, lease: self.config.lease }
    }

    fn announced<F>(&mut self, which: u32, at: Option<CellOffset>, commands: &mut Vec<CellCommand<F>>) {
        let Stage::Announcing { number, sent } = self.stage else { return };
        if number != which {
            return;
        }
        let Some(at) = at else {
            let pause = CellConfig::doubled(self.config.keep_alive, self.unheard).min(self.config.lease);
            self.unheard = self.unheard.saturating_add(1);
            return self.wait_if_offered(pause);
        };
        self.unheard = 0;
        // What the others appended last, they sent before it was known that they are overtaken.
        let upto = if planted!(self.config, SightingOutlived) { CellOffset::default() } else { at };
        let sent_before = self.watch.sent_before(upto).unwrap_or(self.now);
        let announced = Announced { announcement: self.announcement(number), at, sent, sent_before };
        self.stage = Stage::Recovering(Recovering::new(self.config, announced, self.now, commands));
    }

    /// Whoever only stands in waits until it sees again that nobody shows himself.
    fn wait_if_offered(&mut self, pause: DurationMs) {
        self.watch = Watch::default();
        self.stage = if self.offered { Stage::Waiting { until: self.now + pause } } else { Stage::Idle };
    }

    fn entries<F>(
        &mut self,
        from: CellOffset,
        entries: Vec<(CellOffset, Entry<F>)>,
        next: CellOffset,
        commands: &mut Vec<CellCommand<F>>,
    ) -> Result<(), StepDown> {
        match &mut self.stage {
            Stage::Recovering(recovering) => {
                recovering.entries(self.now, from, entries, next, commands);
                self.own_if_recovered()
            }
            Stage::Owning(owning) => owning.entries(self.now, from, &entries, next, commands),
            _ => Ok(()),
        }
    }

    fn own_if_recovered(&mut self) -> Result<(), StepDown> {
        if let Stage::Recovering(recovering) = &self.stage
            && let Some(outcome) = recovering.outcome()
        {
            self.recovery = recovering.lasts(self.now);
            self.stage = Stage::Owning(outcome?);
        }
        Ok(())
    }

    fn step_down<F>(&mut self, why: StepDown, commands: &mut Vec<CellCommand<F>>) {
        if let Stage::Recovering(recovering) = &self.stage {
            self.recovery = recovering.lasts(self.now);
        }
        let two_leases = CellConfig::doubled(self.config.lease, 1);
        let least = DurationMs(two_leases.0.saturating_add(self.recovery.0));
        let most = CellConfig::doubled(self.config.lease, 5);
        let mut pause = CellConfig::doubled(least, self.setbacks.min(3)).min(most);
        self.setbacks = self.setbacks.saturating_add(1);
        if let Stage::Owning(owning) = &self.stage {
            if owning.has_served_for(pause, self.now) {
                self.setbacks = 0;
                pause = least.min(most);
            }
            commands.push(CellCommand::Resign { epoch: owning.epoch(), alone: owning.is_alone(self.now) });
        }
        commands.push(CellCommand::StepDown(why));
        match why {
            StepDown::Revoked => {
                self.stage = Stage::Idle;
                self.setbacks = 0;
            }
            StepDown::Unsure => self.announce(commands),
            StepDown::Overtaken | StepDown::Torn => self.wait_if_offered(pause),
        }
    }

    /// Does what is due.
    fn go_on<F>(&mut self, commands: &mut Vec<CellCommand<F>>) {
        let now = self.now;
        match &mut self.stage {
            Stage::Waiting { until } if now >= *until => self.announce(commands),
            Stage::Recovering(recovering) => recovering.ask_if_due(now, commands),
            Stage::Owning(owning) => owning.go_on(now, commands),
            _ => {}
        }
    }

    /// When it wants to be called with [`CellEvent::Tick`].
    pub fn next_deadline(&self) -> Option<Timestamp> {
        match &self.stage {
            Stage::Waiting { until } => Some(*until),
            Stage::Recovering(recovering) => Some(recovering.asks_at()),
            Stage::Owning(owning) => Some(owning.next_deadline()),
            Stage::Idle | Stage::Announcing { .. } => None,
        }
    }

    /// Whether an answer may leave that is sent before `now` is over: nobody else can have begun to serve. An answer that
    /// is on its way then may still arrive later.
    pub fn serves(&self, now: Timestamp) -> bool {
        self.serves_until().is_some_and(|until| now < until)
    }

    /// Whether it would hear sooner of what it waits for by [`CellEvent::Sighted`]: that the one before it resigns, or that
    /// another one takes over from it, which only stands in.
    pub fn wants_sightings(&self) -> bool {
        match &self.stage {
            Stage::Owning(owning) => !self.offered || owning.serves_until().is_none(),
            _ => false,
        }
    }

    /// Up to which moment [`serves`](Self::serves) says so, as long as no other event comes; [`None`] if it doesn't at all.
    pub fn serves_until(&self) -> Option<Timestamp> {
        match &self.stage {
            Stage::Owning(owning) => owning.serves_until(),
            _ => None,
        }
    }

    /// Where the replay stands up to which an owner knows the journal, and the offset after that; for a snapshot.
    pub fn replay(&self) -> Option<(&Replay, CellOffset)> {
        match &self.stage {
            Stage::Owning(owning) => Some(owning.replay()),
            _ => None,
        }
    }
}
