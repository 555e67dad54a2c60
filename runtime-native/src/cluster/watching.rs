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
type Watched = FxHashMap<LogId, SmallVec<[Hears; 2]>>;

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
            self.logs().retain(|_, cores| {
                cores.retain(|it| it.core != core);
                !cores.is_empty()
            });
        }
    }

    /// Somebody waits for these in a core.
    pub(super) fn watch(&self, core: usize, logs: &[LogId]) {
        let until = Instant::now() + MEMORY;
        let mut watched = self.logs();
        for log in logs {
            let cores = watched.entry(*log).or_default();
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
            let mut cores = watched.get_mut(&log).into_iter().flatten();
            if let Some(known) = cores.find(|it| it.core == core) {
                known.told = true;
            }
        }
    }

    /// Those of the logs of which a core does not hear by itself.
    pub(super) fn unwatched(&self, core: usize, logs: Vec<LogId>) -> Vec<LogId> {
        let (now, watched) = (Instant::now(), self.logs());
        let hears = |log: &LogId| {
            let mut cores = watched.get(log).into_iter().flatten();
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
                let Some(cores) = watched.get_mut(log) else { continue };
                cores.retain(|it| it.until > now);
                for Hears { core, .. } in cores.iter() {
                    match by_core.iter_mut().find(|(it, _)| it == core) {
                        Some((_, logs)) => logs.push((*log, *bounds)),
                        None => by_core.push((*core, SmallVec::from_iter([(*log, *bounds)]))),
                    }
                }
                if cores.is_empty() {
                    watched.remove(log);
                }
            }
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
