//! A node that has announced itself takes in what was before: the latest snapshot, and the entries between that and
//! its announcement.

use alloc::vec::Vec;

use super::{
    entry::{Announcement, CellOffset, Entry},
    owner::{CellCommand, CellConfig, StepDown},
    owning::Owning,
    replay::{Replay, Verdict},
};
use crate::{planted::planted, time::Timestamp};

/// An announcement that is there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Announced {
    pub(super) announcement: Announcement,
    /// Where it lies, as its append said.
    pub(super) at: CellOffset,
    pub(super) sent: Timestamp,
    /// When the node heard that it lies there.
    pub(super) known: Timestamp,
}

#[derive(Clone, Debug)]
pub(super) struct Recovering {
    config: CellConfig,
    announced: Announced,
    /// Where the replay stands and what comes next; [`None`] until there is a snapshot.
    replayed: Option<(Replay, CellOffset)>,
}

impl Recovering {
    pub(super) fn new(config: CellConfig, announced: Announced) -> Self {
        Self { config, announced, replayed: None }
    }

    pub(super) fn begin<F>(&mut self, next: CellOffset, replay: Replay, commands: &mut Vec<CellCommand<F>>) {
        if self.replayed.is_none() {
            commands.push(CellCommand::Begin);
            if next <= self.announced.at {
                commands.push(CellCommand::Read { from: next, to: self.announced.at.next() });
            }
            self.replayed = Some((replay, next));
        }
    }

    /// Entries after the snapshot were cut away meanwhile: there is a later one.
    pub(super) fn begin_anew<F>(&mut self, commands: &mut Vec<CellCommand<F>>) {
        self.replayed = None;
        commands.push(CellCommand::ReadSnapshot);
    }

    pub(super) fn entries<F>(
        &mut self,
        from: CellOffset,
        entries: Vec<(CellOffset, Entry<F>)>,
        upto: CellOffset,
        commands: &mut Vec<CellCommand<F>>,
    ) {
        // What was asked for by a recovery before this one may come late.
        let Some((replay, next)) = self.replayed.as_mut().filter(|(_, next)| from <= *next) else { return };
        for (at, entry) in entries {
            if at < *next || at > self.announced.at {
                continue;
            }
            *next = at.next();
            let verdict = replay.take(at, &entry);
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
