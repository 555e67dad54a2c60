//! `takhin migrate`: moves what a server has to a cluster on Kafka.

mod outcome;
mod progress;

use std::{path::PathBuf, sync::Arc, time::Duration};

use clap::Args;
use takhin::{
    driver::StartError,
    engine::local::OpenError,
    migrate::{MigrateError, MigrateOptions, Report, Watch, migrate},
};

use super::{
    client::{Connection, Failure, OutputOptions, Stop},
    settings::KafkaSettings,
};
use progress::Progress;
use tokio::sync::oneshot;

/// The directory that a migration keeps its own things in, if none is named.
const STATE_DIR: &str = "migration";
/// Nothing is kept in memory to be read again.
const CACHE_BYTES: usize = 1 << 20;
/// Of records more is expected than of other things.
const TIMEOUT_HELP: &str = "How long Kafka may take for an answer. For records it is waited as long as it takes";
/// How often the progress is shown.
const TICK: Duration = Duration::from_millis(100);

#[derive(Debug, Args)]
#[command(mut_arg("brokers", |brokers| brokers.required(true)))]
#[command(mut_arg("kafka_timeout_ms", |timeout| timeout.help(TIMEOUT_HELP)))]
pub(super) struct Migrate {
    /// The data directory to move, of a server that has stopped. It stays as it is
    #[arg(long, value_name = "DIR")]
    data_dir: PathBuf,

    #[command(flatten)]
    kafka: KafkaSettings,

    /// Where to keep what is done so far, and which offset became which; `migration` in the data directory if nothing is said
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,

    /// Move topics and records, and no groups. Without it --server names a node of the cluster, which sets their offsets
    #[arg(long)]
    records_only: bool,

    /// Leave out records that are damaged in the data directory
    #[arg(long)]
    skip_damaged: bool,

    /// Show no progress on a terminal either
    #[arg(short, long)]
    quiet: bool,

    #[command(flatten)]
    connection: Connection,

    #[command(flatten)]
    output: OutputOptions,
}

impl Migrate {
    pub(super) fn run(self) -> Result<(), Failure> {
        if !self.records_only && !self.connection.is_named() {
            let why = "name a node of the cluster with --server, which sets the groups' offsets, or --records-only";
            return Err(Failure::WrongUsage(why.to_owned()));
        }
        let options = self.options()?;
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let result = runtime.block_on(self.moved(options));
        runtime.shutdown_background();
        outcome::tell(&result?, self.output.output)
    }

    fn options(&self) -> Result<MigrateOptions, Failure> {
        if let Some(wrong) = self.kafka.wrong_with_topic_prefix() {
            return Err(Failure::WrongUsage(wrong));
        }
        let kafka = self.kafka.config(String::new(), CACHE_BYTES).map_err(Failure::WrongUsage)?;
        let state_dir = self.state.clone().unwrap_or_else(|| self.data_dir.join(STATE_DIR));
        Ok(MigrateOptions { data_dir: self.data_dir.clone(), state_dir, kafka, skip_damaged: self.skip_damaged })
    }

    async fn moved(&self, options: MigrateOptions) -> Result<Report, Failure> {
        let stop = Stop::at_signals()?;
        let node = if self.records_only { None } else { Some(self.connection.lasting().await?.admin()) };
        let watch = Arc::new(Watch::default());
        let (over, is_over) = oneshot::channel();
        let shown = tokio::spawn(show(Arc::clone(&watch), Progress::new(self.quiet)?, stop, is_over));
        let moved = migrate(&options, node.as_ref(), &watch).await;
        drop(over);
        shown.await.map_err(|error| Failure::new(error.to_string()))?;
        moved.map_err(failure)
    }
}

/// Shows the progress until it is over, and passes on that it shall stop.
async fn show(watch: Arc<Watch>, mut progress: Progress, mut stop: Stop, mut is_over: oneshot::Receiver<()>) {
    let mut tick = tokio::time::interval(TICK);
    loop {
        tokio::select! {
            _ = &mut is_over => break,
            () = stop.wanted() => watch.stop(),
            _ = tick.tick() => progress.show(&watch),
        }
    }
    progress.show(&watch);
    progress.end();
}

fn failure(error: MigrateError) -> Failure {
    let hint = match &error {
        MigrateError::Source(StartError::Open(OpenError::InUse(_))) => {
            "stop the server that has it; or take a backup of it, and move what `takhin restore` makes of that"
        }
        error if error.is_unreachable() => "--brokers or TAKHIN_BROKERS says where Kafka is",
        _ => "",
    };
    match error {
        MigrateError::Node(error) => error.into(),
        MigrateError::Conflicts(lines) => Failure::new(lines.join("\ntakhin: ")),
        error => Failure::Failed { message: error.to_string(), hint: (!hint.is_empty()).then_some(hint) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kafka_is_reached_as_a_node_reaches_it_and_brokers_are_needed() {
        let command = Migrate::augment_args(clap::Command::new("migrate"));
        let option = |name| command.get_arguments().find(|option| option.get_long() == Some(name)).expect("an option");
        for name in ["kafka-properties", "topic-prefix", "replication", "kafka-timeout-ms"] {
            assert!(!option(name).is_required_set(), "{name}");
        }
        assert!(option("brokers").is_required_set());
        assert_eq!(option("kafka-timeout-ms").get_help().map(ToString::to_string).as_deref(), Some(TIMEOUT_HELP));
    }
}
