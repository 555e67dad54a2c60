//! What all cores of a node share.

use std::{collections::BTreeMap, io, sync::Arc};

use takhin_core::{Boot, FactSeq, Recovery, durable::Durable};
use tokio::runtime::Handle;

use super::{
    config::ClusterConfig,
    engine::{Facts, NodeEngine},
    own_topics::OwnTopics,
    places::Places,
    watching::Watching,
};
use crate::{
    driver::{Driver, clock::Clock, life::Life, stats::DriverStats},
    engine::kafka::Records,
};

/// The front's core is the first of a node's.
pub(super) const FRONT: usize = 0;

pub(super) struct Home {
    pub(super) config: ClusterConfig,
    pub(super) records: Records,
    pub(super) places: Places,
    pub(super) watching: Arc<Watching>,
    /// The core that knows topics alone.
    pub(super) front: Driver,
    pub(super) front_engine: NodeEngine,
    pub(super) own_topics: OwnTopics,
    pub(super) stats: Arc<DriverStats>,
    pub(super) runtime: Handle,
}

impl Home {
    /// To be called within a tokio runtime.
    pub(super) fn new(config: ClusterConfig, records: Records) -> io::Result<Self> {
        let (watching, stats) = (Arc::new(Watching::default()), Arc::<DriverStats>::default());
        let engine = NodeEngine::new(records.clone(), Facts::Nowhere, Arc::clone(&watching), FRONT);
        let clock = Clock::start();
        let nothing = Recovery::new(config.core.clone(), Durable::default(), FactSeq(0));
        let life = Life {
            core: nothing.finish(Boot(0), clock.now(), &BTreeMap::new()),
            engine: engine.parts(),
            clock,
            stats: Arc::clone(&stats),
            flight_steps: config.flight_steps,
            recording: None,
            audit: None,
        };
        let front = Driver::live(life)?;
        watching.set(FRONT, Some(engine.clone()));
        let (places, runtime) = (Places::default(), Handle::current());
        let own_topics = OwnTopics::new(config.cells().topics());
        Ok(Self { config, records, places, watching, front, front_engine: engine, own_topics, stats, runtime })
    }
}
