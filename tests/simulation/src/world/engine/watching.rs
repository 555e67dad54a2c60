//! Who hears how far logs reach: a node follows the logs that somebody waits for, and tells its cores. Of any other they
//! know what they heard last.

use std::collections::BTreeMap;

use takhin_core::{LogId, Offset, response::Bounds};

/// For how long a core hears of a log after somebody waited for it.
const MEMORY_MS: u64 = 60_000;

/// One of a node's cores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Side {
    /// The one that serves a cell: groups, their offsets and consumers.
    Cell,
    /// The one that knows topics alone: appends, and reads without a consumer.
    Front,
}

/// That a core hears of a log.
#[derive(Clone, Copy, Debug, Default)]
struct Hears {
    until: u64,
    /// Whether it knows how far the log reached after it began to hear of it.
    told: bool,
    /// What it heard last.
    heard: Bounds,
}

/// What both cores hear of.
#[derive(Debug, Default)]
pub(crate) struct Watching(BTreeMap<(Side, LogId), Hears>);

impl Watching {
    /// Those of which a core does not hear by itself.
    pub(crate) fn unwatched(&self, side: Side, mut logs: Vec<LogId>, now: u64) -> Vec<LogId> {
        let hears = |log: &LogId| self.0.get(&(side, *log)).is_some_and(|hears| hears.told && hears.until > now);
        logs.retain(|log| !hears(log));
        logs
    }

    /// Somebody waits for these.
    pub(crate) fn watch(&mut self, side: Side, logs: impl IntoIterator<Item = LogId>, now: u64) {
        for log in logs {
            self.0.entry((side, log)).or_default().until = now + MEMORY_MS;
        }
    }

    /// A core was told how far a log reaches.
    pub(crate) fn told(&mut self, side: Side, log: LogId, bounds: Bounds) {
        if let Some(hears) = self.0.get_mut(&(side, log)) {
            hears.told = true;
            hears.hear(bounds);
        }
    }

    /// A core heard how far a log reaches.
    pub(crate) fn heard(&mut self, side: Side, log: LogId, bounds: Bounds) {
        if let Some(hears) = self.0.get_mut(&(side, log)) {
            hears.hear(bounds);
        }
    }

    /// What there is to hear: who, of which log, and how far that was known to reach.
    pub(crate) fn unheard(
        &self,
        now: u64,
        reaches: impl Fn(LogId) -> Option<Bounds>,
    ) -> Vec<(Side, LogId, Offset, Bounds)> {
        let watched = self.0.iter().filter(|(_, hears)| hears.until > now);
        let unheard = watched.filter_map(|((side, log), hears)| {
            let bounds = reaches(*log)?;
            let news = bounds.end > hears.heard.end || bounds.start > hears.heard.start;
            news.then_some((*side, *log, hears.heard.end, bounds))
        });
        unheard.collect()
    }

    /// A core is no more.
    pub(crate) fn forget(&mut self, side: Side) {
        self.0.retain(|(of, _), _| *of != side);
    }

    /// Logs are no more.
    pub(crate) fn keep(&mut self, is_there: impl Fn(&LogId) -> bool) {
        self.0.retain(|(_, log), _| is_there(log));
    }
}

impl Hears {
    fn hear(&mut self, bounds: Bounds) {
        self.heard.end = self.heard.end.max(bounds.end);
        self.heard.start = self.heard.start.max(bounds.start);
    }
}
