//! The broker that a server serves: with an engine of its own, or as a node of a cluster.

use std::path::PathBuf;

#[cfg(feature = "kafka")]
use takhin::cluster::Cluster;
use takhin::{
    broker::Broker,
    driver::{Driver, DriverConfig, Started},
    engine::local::{Durability, LocalConfig, RecoveryReport},
};

use super::settings::{EngineKind, Settings};

/// A broker that was started.
pub(super) enum Running {
    /// With all that it has in a data directory.
    Local { driver: Driver, report: RecoveryReport, data_dir: PathBuf, durability: Durability },
    /// With all that it has in Kafka, together with other nodes.
    #[cfg(feature = "kafka")]
    Node { cluster: Cluster, brokers: String, address: String },
}

impl Running {
    /// Starts what the settings say. Waits, and is to be called within a tokio runtime.
    pub(super) fn start(settings: &Settings, engine: LocalConfig) -> Result<Self, String> {
        match settings.cluster.engine {
            EngineKind::Local => Self::local(settings, engine),
            #[cfg(feature = "kafka")]
            EngineKind::Kafka => Self::node(settings, engine.checkpoint_bytes),
            #[cfg(not(feature = "kafka"))]
            EngineKind::Kafka => Err("this program was built without the engine kafka".to_owned()),
        }
    }

    fn local(settings: &Settings, engine: LocalConfig) -> Result<Self, String> {
        let (data_dir, durability) = (engine.data_dir.clone(), engine.durability);
        let config = DriverConfig { core: settings.broker.config(), engine, trace: settings.observing.trace() };
        let Started { driver, report } = Driver::start(config).map_err(|error| error.to_string())?;
        Ok(Self::Local { driver, report, data_dir, durability })
    }

    #[cfg(feature = "kafka")]
    fn node(settings: &Settings, snapshot_bytes: u64) -> Result<Self, String> {
        let wanted = settings.cluster.node_listen;
        let listen = std::net::TcpListener::bind(wanted);
        let listener = listen.map_err(|error| format!("can't listen for other nodes at {wanted}: {error}"))?;
        let listening = listener.local_addr().map_err(|error| error.to_string())?;
        let trace = settings.observing.trace();
        let audit = trace.audit.then(|| settings.storage.data_dir.clone());
        let core = takhin_core::Config { shared_logs: true, ..settings.broker.config() };
        let config = settings.cluster.config(core, listening, snapshot_bytes, trace.flight_steps, audit)?;
        let (brokers, address) = (config.kafka.brokers.clone(), config.address.clone());
        let cluster = Cluster::start(config, listener).map_err(|error| error.to_string())?;
        Ok(Self::Node { cluster, brokers, address })
    }

    pub(super) fn broker(&self) -> Broker {
        match self {
            Self::Local { driver, .. } => driver.clone().into(),
            #[cfg(feature = "kafka")]
            Self::Node { cluster, .. } => cluster.clone().into(),
        }
    }

    /// Ends everything that is parked.
    pub(super) fn drain(&self) {
        match self {
            Self::Local { driver, .. } => driver.drain(),
            #[cfg(feature = "kafka")]
            Self::Node { cluster, .. } => cluster.drain(),
        }
    }

    /// Where everything is after a stop.
    pub(super) fn kept(&self) -> &'static str {
        match self {
            Self::Local { .. } => "everything is on disk",
            #[cfg(feature = "kafka")]
            Self::Node { .. } => "everything is in Kafka",
        }
    }

    /// Ends, with everything kept. Waits.
    pub(super) fn stop(&self) -> Result<(), String> {
        match self {
            Self::Local { driver, .. } => driver.stop(),
            #[cfg(feature = "kafka")]
            Self::Node { cluster, .. } => {
                cluster.stop();
                Ok(())
            }
        }
    }
}
