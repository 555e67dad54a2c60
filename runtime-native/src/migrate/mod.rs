//! Moving what one server has, in a data directory, to a cluster on Kafka: topics and their records, groups and their offsets.
//!
//! ```text
//!   data directory ---> records ----------------------------> topics in Kafka
//!    (read alone)  |      '--- what is copied, and where it lies --> a directory of the migration's own
//!                  '--> groups' offsets, in the offsets of Kafka ---> a node of the cluster, over HTTP
//! ```
//!
//! * Each record comes to Kafka once, in the order of its partition, with its key, value, headers and time; however often a run
//!   is ended, in whatever way, and begun again.
//! * A group goes on behind the last record that it had committed.
//! * Nothing that somebody else has is touched: a topic with records of others, a group that was used meanwhile. What can't be
//!   gone on with is said, all of it, before anything is written.
//! * The source stays as it is, as a start of a server would leave it.
//!
//! What a run leaves is enough for the next one to go on with, also with a source that has grown since: so most of the
//! records can be copied from a backup, while the server goes on, and the rest from its directory, once it has stopped.

mod copying;
mod error;
mod groups;
mod mapping;
mod report;
mod source;
mod state;
mod tail;
mod topics;
mod watch;

use std::{
    path::PathBuf,
    sync::{Mutex, PoisonError},
    time::{SystemTime, UNIX_EPOCH},
};

use takhin_client::Admin;

use self::{
    copying::Part,
    source::{Found, Source},
    state::{Directory, State},
};
pub use self::{
    error::MigrateError,
    groups::{Became, GroupReport, Place},
    report::{PartitionReport, Report, TopicReport},
    watch::{Phase, Seen, Watch},
};
use crate::engine::{
    Chunk,
    kafka::{KafkaConfig, KafkaError, Records},
};

/// What is moved, and where to.
#[derive(Clone, Debug)]
pub struct MigrateOptions {
    /// The data directory of a server that has stopped.
    pub data_dir: PathBuf,
    /// Where the migration keeps what it knows of itself. Made if it isn't there.
    pub state_dir: PathBuf,
    /// The Kafka cluster.
    pub kafka: KafkaConfig,
    /// Whether records that are damaged in the source are left out; else they end the run.
    pub skip_damaged: bool,
}

/// One run.
struct Migration<'a> {
    options: &'a MigrateOptions,
    source: Source,
    records: Records,
    directory: Directory,
    state: Mutex<State>,
    /// Held while the state is written, so that an older one never replaces a newer one.
    saving: Mutex<()>,
    watch: &'a Watch,
}

/// Moves everything, or what earlier runs have left of it, and says what was done. Without a node of the cluster, topics and
/// records alone. To be called within a tokio runtime of several threads.
///
/// # Errors
/// See [`MigrateError`]. What was done is kept, and the next run goes on with it. A group that was refused is no error here: the
/// report says so.
pub async fn migrate(options: &MigrateOptions, node: Option<&Admin>, watch: &Watch) -> Result<Report, MigrateError> {
    let source = tokio::task::block_in_place(|| Source::open(&options.data_dir))?;
    source.notes.iter().for_each(|note| watch.note(format!("found: {note}")));
    if let Some(node) = node {
        node.health().await?;
    }
    let records = tokio::task::block_in_place(|| Records::connect(&options.kafka))?;
    let cluster = records.cluster_id().await?;
    let directory = Directory::open(&options.state_dir)?;
    let state = directory.load()?.unwrap_or_else(|| State::new(cluster.clone()));
    if state.cluster != cluster {
        let (path, was) = (options.state_dir.display(), &state.cluster);
        return Err(MigrateError::conflict(format!(
            "{path} is of a migration to the Kafka cluster {was}, and this is {cluster}: name another directory"
        )));
    }
    let (state, saving) = (Mutex::new(state), Mutex::default());
    Migration { options, source, records, directory, state, saving, watch }.run(node).await
}

impl Migration<'_> {
    async fn run(&self, node: Option<&Admin>) -> Result<Report, MigrateError> {
        let is_settled = self.with_state(|state| !state.under_way);
        let parts = self.prepare_topics().await?;
        self.take_in(&parts, is_settled).await?;
        self.with_state(|state| state.under_way = true);
        self.save()?;
        tokio::task::block_in_place(|| self.copy(parts))?;
        self.with_state(|state| {
            let mut partitions = state.topics.iter().flat_map(|(name, topic)| {
                topic.partitions.iter().enumerate().map(move |(number, partition)| (name, number, partition))
            });
            partitions.try_for_each(|(name, number, partition)| self.directory.complete(name, number, partition))
        })?;
        // Before the topics forget what they are set to forget, so that no group's place is gone.
        let groups = match node {
            Some(node) => {
                let starts = self.starts_at(node).await?;
                Some(self.move_groups(node, &starts).await?)
            }
            None => None,
        };
        self.set_topics().await?;
        let report = self.report(groups, now_ms());
        self.directory.write("report.json", &report)?;
        Ok(report)
    }

    fn with_state<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Writes down what is known.
    fn save(&self) -> Result<(), MigrateError> {
        let _saving = self.saving.lock().unwrap_or_else(PoisonError::into_inner);
        let saving = self.with_state(|state| self.directory.saving(state))?;
        self.directory.save(&saving)
    }

    /// Reads on in the source. What is nothing, or damaged and to be left out, is passed over and written down.
    fn read_source(&self, part: &Part, from: u64, chunk: &mut Chunk) -> Result<Found, MigrateError> {
        let (topic, number) = (&part.topic, part.number());
        let unread = |why: String| MigrateError::conflict(format!("{topic}/{number}: {why}"));
        let found = self.source.read(part.source, from, chunk).map_err(|error| unread(error.to_string()))?;
        let next = match &found {
            Found::Records(_) => return Ok(found),
            Found::Nothing { next } => *next,
            Found::Damage { next, why } if self.options.skip_damaged => {
                self.watch.note(format!("{topic}/{number}: {why}; offsets {from} to {} are left out", next - 1));
                *next
            }
            Found::Damage { why, .. } => {
                return Err(unread(format!("{why}. --skip-damaged leaves out what can't be read")));
            }
        };
        self.with_state(|state| {
            let partition = &mut state.topics.get_mut(topic).expect("it was there").partitions[number];
            partition.next = next;
            if matches!(found, Found::Damage { .. }) {
                partition.damaged.push((from, next));
            }
        });
        self.watch.advance(next - from, 0);
        Ok(found)
    }
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

impl MigrateError {
    /// Whether somebody who is needed can't be reached.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Kafka(KafkaError::NoBroker { .. }) | Self::Node(takhin_client::Error::Connection { .. }))
    }
}
