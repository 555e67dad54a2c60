//! One cell on this node: its core is recovered from what the cell's journal says, and runs here for as long as the cell is
//! the node's.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use takhin_core::{Boot, FactSeq, LogId, Recovery, cell::StepDown, durable::Durable, response::Bounds};
use takhin_simulation::auditor::NewLife;

use super::{
    cells::{CellHost, Decide},
    engine::{Facts, NodeEngine},
    home::Home,
};
use crate::{
    driver::{Driver, audit::Audit, clock::Clock, life::Life, node::fact_lines, snapshot},
    engine::kafka::KafkaError,
};

/// How long a core waits before it asks once more how far logs reach.
const ASK_AGAIN: Duration = Duration::from_millis(500);

/// The host of one cell's core.
pub(super) struct Seat {
    cell: u32,
    home: Arc<Home>,
    recovery: Option<Recovery>,
    engine: Option<NodeEngine>,
    life: Arc<Mutex<CellLife>>,
}

/// The core that runs, or is about to.
#[derive(Debug, Default)]
struct CellLife {
    /// Counts up with each core that begins or ends here, so that one that begins late knows that it is none any more.
    number: u64,
    driver: Option<Driver>,
}

fn lock(life: &Mutex<CellLife>) -> MutexGuard<'_, CellLife> {
    // Nothing is ever half changed.
    life.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Seat {
    pub(super) fn new(cell: u32, home: Arc<Home>) -> Self {
        Self { cell, home, recovery: None, engine: None, life: Arc::default() }
    }

    fn end(&mut self) {
        self.recovery = None;
        self.engine = None;
        let driver = {
            let mut life = lock(&self.life);
            life.number += 1;
            self.home.watching.set(core_number(self.cell), None);
            self.home.places.clear(self.cell);
            life.driver.take()
        };
        if let Some(driver) = driver {
            driver.abandon();
        }
    }
}

/// A node's cores are numbered from the one that knows topics alone.
pub(super) fn core_number(cell: u32) -> usize {
    cell as usize + 1
}

impl CellHost for Seat {
    fn begin(&mut self, snapshot: Option<&[u8]>) -> Result<(), String> {
        self.end();
        let (state, through) = match snapshot {
            None => (Durable::default(), FactSeq(0)),
            Some(bytes) => snapshot::decode(bytes).map_err(|error| error.to_string())?,
        };
        self.recovery = Some(Recovery::new(self.home.config.core.clone(), state, through));
        Ok(())
    }

    fn apply(&mut self, first: FactSeq, facts: &[u8]) -> Result<(), String> {
        let recovery = self.recovery.as_mut().ok_or("facts without a recovery")?;
        for (seq, fact) in (first.0..).zip(fact_lines(facts)) {
            let fact = fact.map_err(|error| format!("fact {seq} can't be read by this version: {error}"))?;
            recovery.apply(FactSeq(seq), &fact);
        }
        Ok(())
    }

    fn own(&mut self, boot: Boot, through: FactSeq, decide: Decide) -> Result<(), String> {
        let recovery = self.recovery.take().ok_or("a cell that was not recovered")?;
        let recovered = recovery.through();
        if recovered != through {
            return Err(format!("facts are missing: fact {} is the last, and not {}", recovered.0, through.0));
        }
        let facts = Facts::Journal(decide);
        let (records, watching) = (self.home.records.clone(), Arc::clone(&self.home.watching));
        let engine = NodeEngine::new(records, facts, watching, core_number(self.cell));
        self.engine = Some(engine.clone());
        let mine = {
            let mut life = lock(&self.life);
            life.number += 1;
            life.number
        };
        let beginning = Beginning { cell: self.cell, boot, recovery, engine, mine, life: Arc::clone(&self.life) };
        self.home.runtime.spawn(beginning.run(Arc::clone(&self.home)));
        Ok(())
    }

    fn persisted(&mut self, through: FactSeq) {
        if let Some(engine) = &self.engine {
            engine.persisted(through);
        }
    }

    fn snapshot_wanted(&mut self) {
        if let Some(engine) = &self.engine {
            engine.checkpoint_wanted();
        }
    }

    fn serves(&mut self, serves: bool) {
        let driver = self.home.places.driver(self.cell);
        if let Some(driver) = driver.filter(|_| !serves) {
            driver.turn_away();
        }
    }

    fn step_down(&mut self, why: StepDown) {
        tracing::info!(cell = self.cell, ?why, "a cell is given up");
        self.end();
    }
}

/// A core that is about to run.
struct Beginning {
    cell: u32,
    boot: Boot,
    recovery: Recovery,
    engine: NodeEngine,
    mine: u64,
    life: Arc<Mutex<CellLife>>,
}

impl Beginning {
    async fn run(self, home: Arc<Home>) {
        let Some(bounds) = self.bounds(&home).await else { return };
        let Self { cell, boot, recovery, engine, mine, life } = self;
        let clock = Clock::start();
        let at = clock.now();
        let audit = home.config.audit.as_ref().map(|directory| {
            let (durable, through) = (recovery.durable(), recovery.through());
            let life = NewLife { boot, at, durable: &durable, through, bounds: &bounds };
            Audit::start(home.config.core.clone(), life, directory)
        });
        let begun = Life {
            core: recovery.finish(boot, at, &bounds),
            engine: engine.parts(),
            clock,
            stats: Arc::clone(&home.stats),
            flight_steps: home.config.flight_steps,
            recording: None,
            audit,
        };
        let driver = match Driver::live(begun) {
            Ok(driver) => driver,
            Err(error) => return tracing::error!(cell, %error, "a cell's core can't begin"),
        };
        {
            let mut life = lock(&life);
            if life.number != mine {
                drop(life);
                return driver.abandon();
            }
            life.driver = Some(driver.clone());
            home.watching.set(core_number(cell), Some(engine));
        }
        home.teach(&driver).await;
        {
            let life = lock(&life);
            if life.number != mine {
                return;
            }
            home.places.set(cell, driver.clone());
        }
        // What has changed meanwhile.
        home.teach(&driver).await;
        tracing::info!(cell, boot = boot.0, "a cell is served here");
    }

    /// How far the logs reach in which groups stand; [`None`] if the core is none any more.
    async fn bounds(&self, home: &Home) -> Option<BTreeMap<LogId, Bounds>> {
        let durable = self.recovery.durable();
        while lock(&self.life).number == self.mine {
            let asked = async {
                let catalogue = home.records.refresh().await?;
                let is_there = |log: &LogId| {
                    let mut topics = catalogue.topics.values();
                    topics.any(|topic| topic.id == log.topic && log.partition < topic.partitions)
                };
                let logs: Vec<LogId> = durable.logs_needed().into_iter().filter(is_there).collect();
                let bounds: BTreeMap<LogId, Bounds> = home.records.bounds(&logs).await?.into_iter().collect();
                Ok::<_, KafkaError>(Some(bounds).filter(|bounds| bounds.len() == logs.len()))
            };
            match asked.await {
                Ok(Some(bounds)) => return Some(bounds),
                // An offset must not be measured against a log of which nobody says how far it reaches.
                Ok(None) => tracing::warn!(cell = self.cell, "a cell waits for partitions that have no leader"),
                Err(error) => tracing::warn!(cell = self.cell, %error, "a cell waits for how far its logs reach"),
            }
            tokio::time::sleep(ASK_AGAIN).await;
        }
        None
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.end();
    }
}
