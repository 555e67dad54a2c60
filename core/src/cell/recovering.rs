//! A node that has announced itself takes in what was before: the latest snapshot, and the entries between that and
//! its announcement.

use alloc::vec::Vec;

use super::{
    config::CellConfig,
    entry::{Announcement, CellOffset, Entry},
    message::{CellCommand, StepDown},
    owning::Owning,
    replay::{Replay, Verdict},
};
use crate::{
    planted::planted,
    time::{DurationMs, Timestamp},
};

/// An announcement that is there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Announced {
    pub(super) announcement: Announcement,
    /// Where it lies, as its append said.
    pub(super) at: CellOffset,
    pub(super) sent: Timestamp,
    /// When all that lies before it had been sent, at the latest.
    pub(super) sent_before: Timestamp,
}

#[derive(Clone, Debug)]
pub(super) struct Recovering {
    config: CellConfig,
    announced: Announced,
    /// Where the replay stands and what comes next; [`None`] until there is a snapshot.
    replayed: Option<(Replay, CellOffset)>,
    torn: bool,
    /// When it last asked for something, or had something of it.
    asked: Timestamp,
}

impl Recovering {
    pub(super) fn new<F>(
        config: CellConfig,
        announced: Announced,
        now: Timestamp,
        commands: &mut Vec<CellCommand<F>>,
    ) -> Self {
        commands.push(CellCommand::ReadSnapshot);
        Self { config, announced, replayed: None, torn: false, asked: now }
    }

    /// How long it has been at it.
    pub(super) fn lasts(&self, now: Timestamp) -> DurationMs {
        DurationMs(u32::try_from(now.0.saturating_sub(self.announced.sent.0)).unwrap_or(u32::MAX))
    }

    pub(super) fn begin<F>(
        &mut self,
        now: Timestamp,
        next: CellOffset,
        replay: Replay,
        commands: &mut Vec<CellCommand<F>>,
    ) {
        if self.replayed.is_none() {
            commands.push(CellCommand::Begin);
            self.replayed = Some((replay, next));
            self.ask(now, commands);
        }
    }

    /// What it waits for did not come: it asks again.
    pub(super) fn ask_if_due<F>(&mut self, now: Timestamp, commands: &mut Vec<CellCommand<F>>) {
        if now >= self.asks_at() {
            self.ask(now, commands);
        }
    }

    pub(super) fn asks_at(&self) -> Timestamp {
        self.asked + self.config.lease
    }

    fn ask<F>(&mut self, now: Timestamp, commands: &mut Vec<CellCommand<F>>) {
        self.asked = now;
        match &self.replayed {
            None => commands.push(CellCommand::ReadSnapshot),
            Some((_, next)) if *next <= self.announced.at => {
                commands.push(CellCommand::Read { from: *next, to: self.announced.at.next() });
            }
            Some(_) => {}
        }
    }

    /// Entries were cut away: if they are those that come next, there is a later snapshot.
    pub(super) fn cut<F>(&mut self, now: Timestamp, from: CellOffset, commands: &mut Vec<CellCommand<F>>) {
        if self.replayed.as_ref().is_some_and(|(_, next)| *next == from) {
            self.replayed = None;
            self.ask(now, commands);
        }
    }

    pub(super) fn entries<F>(
        &mut self,
        now: Timestamp,
        from: CellOffset,
        entries: Vec<(CellOffset, Entry<F>)>,
        upto: CellOffset,
        commands: &mut Vec<CellCommand<F>>,
    ) {
        // What was asked for by a recovery before this one may come late.
        let Some((replay, next)) = self.replayed.as_mut().filter(|(_, next)| from <= *next) else { return };
        self.asked = now;
        for (at, entry) in entries {
            if at < *next || at > self.announced.at {
                continue;
            }
            *next = at.next();
            let verdict = replay.take(at, &entry);
            self.torn |= verdict == Verdict::Torn;
            let applies = verdict == Verdict::Applies
                || verdict == Verdict::Stale && planted!(self.config, StaleFactsApplied)
                || verdict == Verdict::BehindGap && planted!(self.config, FactsBehindGapApplied);
            if let (true, Entry::Facts { facts, .. }) = (applies, entry) {
                commands.push(CellCommand::Apply(facts));
            }
        }
        *next = upto.min(self.announced.at.next()).max(*next);
    }

    /// What came of it, once all was taken in.
    pub(super) fn outcome(&self) -> Option<Result<Owning, StepDown>> {
        if self.torn {
            return Some(Err(StepDown::Torn));
        }
        let (replay, next) = self.replayed.as_ref()?;
        if *next <= self.announced.at {
            return None;
        }
        // It was appended more than once if it applies from an earlier offset on. A snapshot that goes beyond it is of
        // who came after.
        let mine = replay.announcement() == Some(self.announced.announcement) && *next == self.announced.at.next();
        let epoch = replay.epoch().filter(|_| mine);
        let owning = epoch.map(|epoch| Owning::new(self.config, epoch, &self.announced, replay.clone(), *next));
        Some(owning.ok_or(StepDown::Overtaken))
    }
}
