//! Which of the node's cores are to hear how far a log reaches: those in which somebody waits for it.

use std::{
    sync::{Mutex, MutexGuard, PoisonError, RwLock},
    time::{Duration, Instant},
};

use rustc_hash::FxHashMap;
use smallvec::SmallVec;
use takhin_core::{LogId, response::Bounds};

use super::engine::NodeEngine;

/// For how long a core hears of a log after somebody waited for it.
const MEMORY: Duration = Duration::from_mins(1);

/// Which cores hear of each log, and until when.
#[derive(Debug, Default)]
struct Watched {
    by_log: FxHashMap<LogId, SmallVec<[Hears; 2]>>,
    /// When all of them were last looked at.
    swept: Option<Instant>,
}

impl Watched {
    /// Forgets, once in a while, what nobody hears of any more: a log that is gone, or never grows, says nothing by itself.
    fn sweep(&mut self, now: Instant) {
        if self.swept.is_some_and(|swept| now.duration_since(swept) < MEMORY) {
            return;
        }
        self.swept = Some(now);
        self.retain(|it| it.until > now);
    }

    fn of_core(&mut self, log: &LogId, core: usize) -> Option<&mut Hears> {
        self.by_log.get_mut(log)?.iter_mut().find(|it| it.core == core)
    }

    fn retain(&mut self, keep: impl Fn(&Hears) -> bool) {
        self.by_log.retain(|_, cores| {
            cores.retain(|it| keep(it));
            !cores.is_empty()
        });
    }
}

/// That a core hears of a log.
#[derive(Clone, Copy, Debug)]
struct Hears {
    core: usize,
    until: Instant,
    /// Whether it knows how far the log reached after it began to hear of it: only then it misses nothing.
    told: bool,
}

/// What one core is to hear.
type Told = (usize, SmallVec<[(LogId, Bounds); 4]>);

/// The node's cores, by number, and what they wait for.
#[derive(Debug, Default)]
pub(super) struct Watching {
    engines: RwLock<Vec<Option<NodeEngine>>>,
    logs: Mutex<Watched>,
}

impl Watching {
    /// The core of this number runs on that engine from now on, or on none.
    pub(super) fn set(&self, core: usize, engine: Option<NodeEngine>) {
        let mut engines = self.engines.write().unwrap_or_else(PoisonError::into_inner);
        if engines.len() <= core {
            engines.resize(core + 1, None);
        }
        let is_gone = engine.is_none();
        engines[core] = engine;
        drop(engines);
        if is_gone {
            // Whoever is this core next knows nothing of what was heard.
            self.logs().retain(|it| it.core != core);
        }
    }

    /// Somebody waits for these in a core.
    pub(super) fn watch(&self, core: usize, logs: &[LogId]) {
        self.watch_from(Instant::now(), core, logs);
    }

    fn watch_from(&self, now: Instant, core: usize, logs: &[LogId]) {
        let until = now + MEMORY;
        let mut watched = self.logs();
        watched.sweep(now);
        for log in logs {
            let cores = watched.by_log.entry(*log).or_default();
            match cores.iter_mut().find(|it| it.core == core) {
                Some(known) => known.until = until,
                None => cores.push(Hears { core, until, told: false }),
            }
        }
    }

    /// A core that watches these was told how far they reach.
    pub(super) fn told(&self, core: usize, logs: impl Iterator<Item = LogId>) {
        let mut watched = self.logs();
        for log in logs {
            if let Some(known) = watched.of_core(&log, core) {
                known.told = true;
            }
        }
    }

    /// A core may know of more in this log than can be read yet: it is told anew before it is asked.
    pub(super) fn unsure(&self, core: usize, log: LogId) {
        if let Some(known) = self.logs().of_core(&log, core) {
            known.told = false;
        }
    }

    /// Those of the logs of which a core does not hear by itself.
    pub(super) fn unwatched(&self, core: usize, logs: Vec<LogId>) -> Vec<LogId> {
        let (now, watched) = (Instant::now(), self.logs());
        let hears = |log: &LogId| {
            let mut cores = watched.by_log.get(log).into_iter().flatten();
            cores.any(|it| it.core == core && it.told && it.until > now)
        };
        logs.into_iter().filter(|log| !hears(log)).collect()
    }

    /// Logs reach from here to there now.
    pub(super) fn moved(&self, moved: &[(LogId, Bounds)]) {
        let now = Instant::now();
        let mut by_core: SmallVec<[Told; 2]> = SmallVec::new();
        {
            let mut watched = self.logs();
            for (log, bounds) in moved {
                let Some(cores) = watched.by_log.get_mut(log) else { continue };
                cores.retain(|it| it.until > now);
                for Hears { core, .. } in cores.iter() {
                    match by_core.iter_mut().find(|(it, _)| it == core) {
                        Some((_, logs)) => logs.push((*log, *bounds)),
                        None => by_core.push((*core, SmallVec::from_iter([(*log, *bounds)]))),
                    }
                }
                if cores.is_empty() {
                    watched.by_log.remove(log);
                }
            }
            watched.sweep(now);
        }
        for (core, logs) in by_core {
            self.tell(core, &logs);
        }
    }

    /// Lets one core know how far logs reach.
    fn tell(&self, core: usize, logs: &[(LogId, Bounds)]) {
        let engine = self.engines.read().unwrap_or_else(PoisonError::into_inner).get(core).cloned().flatten();
        if let Some(engine) = engine {
            engine.moved(logs.iter().copied());
        }
    }

    fn logs(&self) -> MutexGuard<'_, Watched> {
        self.logs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use takhin_core::TopicId;

    use super::*;

    fn log(topic: u64) -> LogId {
        LogId { topic: TopicId(topic), partition: 0 }
    }

    fn known(watching: &Watching) -> Vec<LogId> {
        let mut known: Vec<LogId> = watching.logs().by_log.keys().copied().collect();
        known.sort_unstable();
        known
    }

    #[test]
    fn what_nobody_waits_for_any_more_is_forgotten_though_it_never_moves() {
        let (watching, now) = (Watching::default(), Instant::now());
        watching.watch_from(now, 1, &[log(1), log(2)]);
        watching.watch_from(now + MEMORY / 2, 1, &[log(2)]);
        assert_eq!(known(&watching), [log(1), log(2)]);
        watching.watch_from(now + MEMORY, 2, &[log(3)]);
        assert_eq!(known(&watching), [log(2), log(3)]);
    }

    #[test]
    fn a_core_that_is_unsure_of_a_log_is_told_anew() {
        let watching = Watching::default();
        watching.watch(1, &[log(1)]);
        assert_eq!(watching.unwatched(1, vec![log(1)]), [log(1)], "it was not told yet");
        watching.told(1, [log(1)].into_iter());
        assert_eq!(watching.unwatched(1, vec![log(1), log(2)]), [log(2)]);
        watching.unsure(1, log(1));
        assert_eq!(watching.unwatched(1, vec![log(1)]), [log(1)]);
    }
}
