//! What a server can be set to. The command line is the one table of it: what clap knows of a flag (its name, variable,
//! default, bounds and help) is all that the file, the checks and the documentation go by.
//!
//! A flag goes before its variable in the environment, that before the file's key, and that before the default.

mod access;
mod bounds;
mod broker;
mod cluster;
mod file;
mod kafka;
mod kafka_rest;
mod limits;
mod listening;
mod observing;
mod origin;
mod storage;
mod template;

use std::path::PathBuf;

use clap::{Arg, Args, Command};

pub(super) use access::range_u32;
pub(super) use cluster::EngineKind;
pub(super) use file::{Problem, SettingsFile};
#[cfg(feature = "kafka")]
pub(super) use kafka::KafkaSettings;
pub(super) use observing::{LogFormat, Observing};
pub(super) use origin::{Found, found};
pub(super) use template::template;

/// Everything that `takhin serve` can be told, and `takhin config` looked at.
#[derive(Debug, Args)]
pub(super) struct Settings {
    #[command(flatten)]
    pub(super) listening: listening::Listening,
    #[command(flatten)]
    pub(super) storage: storage::Storage,
    #[command(flatten)]
    pub(super) broker: broker::Broker,
    #[command(flatten)]
    pub(super) cluster: cluster::ClusterSettings,
    #[command(flatten)]
    pub(super) access: access::AccessArguments,
    #[command(flatten)]
    pub(super) kafka_rest: kafka_rest::KafkaRest,
    #[command(flatten)]
    pub(super) limits: limits::Limits,
    #[command(flatten)]
    pub(super) observing: Observing,
}

/// Where settings may be written down. It is no setting itself.
#[derive(Debug, Args)]
pub(super) struct ConfigFile {
    /// File with settings, in TOML: each key is the name of a flag. Flags and the environment go before it
    #[arg(long, env = "TAKHIN_CONFIG", value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
}

/// All settings as clap knows them, in the order in which they are shown.
pub(super) fn table() -> Vec<Arg> {
    Settings::augment_args(Command::new("takhin")).get_arguments().cloned().collect()
}

/// Adds the bounds of a number to the help of its flag.
pub(super) fn with_bounds(arg: Arg) -> Arg {
    match (bounds::of(&arg), arg.get_help()) {
        (Some(bounds), Some(help)) => {
            let help = format!("{help} [{} to {}]", bounds.least, bounds.most);
            arg.help(help)
        }
        _ => arg,
    }
}

/// What is wrong with settings that are each in order and don't go together.
pub(super) fn conflicts(settings: &Settings) -> Vec<String> {
    let Settings { listening, broker, cluster, limits, observing, .. } = settings;
    let mut recorded = Vec::new();
    if cluster.engine == EngineKind::Kafka && observing.trace().record.is_some() {
        recorded.push("engine is kafka, and a node has many cores: no recording of all their steps is made".to_owned());
    }
    [
        recorded,
        listening.conflicts(),
        broker.conflicts(),
        cluster.conflicts(),
        limits.conflicts(),
        observing.conflicts(),
    ]
    .concat()
}

#[cfg(test)]
mod tests;
