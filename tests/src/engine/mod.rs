//! Which engine the servers of this run stand on, and what is only promised on one of them.
//!
//! `TAKHIN_TEST_ENGINE` says it: `local`, which is the default, or `kafka`. Then each server is the one node of a cluster of
//! its own, on the brokers in `TAKHIN_KAFKA_BROKERS`, and what it has there is removed in the end.

mod topics;

use std::{
    env,
    io::{self, Write as _},
    thread,
};

use uuid::Uuid;

use self::topics::Topics;

/// Leaves the test if this run's servers stand on Kafka, and says so with the reason: it is about something that only a
/// server with a data directory promises.
#[macro_export]
macro_rules! local_only {
    ($why:expr) => {
        if $crate::engine::skips($why) {
            return;
        }
    };
}

/// What a server's records are kept in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    /// Files in its data directory.
    Local,
    /// The topics of a Kafka cluster.
    Kafka,
}

impl Engine {
    /// That of this run.
    ///
    /// # Panics
    /// `TAKHIN_TEST_ENGINE` is neither.
    pub fn of_this_run() -> Self {
        match env::var("TAKHIN_TEST_ENGINE").as_deref() {
            Err(_) | Ok("local") => Self::Local,
            Ok("kafka") => Self::Kafka,
            Ok(other) => panic!("TAKHIN_TEST_ENGINE is {other}, and may be local or kafka"),
        }
    }
}

/// Whether the test that runs on this thread is left out, which is printed, even if the test's own output is not.
pub fn skips(why: &str) -> bool {
    let skips = Engine::of_this_run() == Engine::Kafka;
    if skips {
        let thread = thread::current();
        let name = thread.name().unwrap_or("a test");
        // Nothing is lost if nobody reads it.
        let _ = writeln!(io::stderr(), "skipped on Kafka: {name}: {why}");
    }
    skips
}

/// The cluster of which a server is the one node: its topics begin with a name that nobody had before. They are removed when
/// this is dropped.
#[derive(Debug)]
pub(crate) struct OwnCluster {
    brokers: String,
    name: String,
}

impl OwnCluster {
    /// Few, so that they are made quickly; and more than one, so that groups lie in different ones.
    pub(crate) const CELLS: usize = 2;

    /// One for a server of this run, if it needs one.
    ///
    /// # Panics
    /// It does, and nothing says where brokers are.
    pub(crate) fn of_this_run() -> Option<Self> {
        if Engine::of_this_run() == Engine::Local {
            return None;
        }
        let brokers = env::var("TAKHIN_KAFKA_BROKERS").expect("TAKHIN_KAFKA_BROKERS says where Kafka is");
        Some(Self { brokers, name: format!("box-{}.", Uuid::new_v4().simple()) })
    }

    /// What its nodes are started with.
    pub(crate) fn arguments(&self) -> Vec<String> {
        vec![
            "--engine=kafka".to_owned(),
            format!("--brokers={}", self.brokers),
            format!("--cluster-prefix=__{}", self.name),
            format!("--topic-prefix={}", self.name),
            format!("--cells={}", Self::CELLS),
            // What survives the death of a broker is for other tests.
            "--replication=1".to_owned(),
            // A node that was killed is soon missed.
            "--cell-lease-ms=2500".to_owned(),
            "--node-timeout-ms=4000".to_owned(),
        ]
    }

    fn remove(&self) -> io::Result<()> {
        let mut topics = Topics::at(self.brokers.split(',').next().unwrap_or_default())?;
        let mut names = topics.names()?;
        names.retain(|name| name.trim_start_matches("__").starts_with(&self.name));
        match topics.remove(&names)?.first() {
            Some((name, error)) => Err(io::Error::other(format!("{name} could not be removed: error {error}"))),
            None => Ok(()),
        }
    }
}

impl Drop for OwnCluster {
    fn drop(&mut self) {
        if let Err(why) = self.remove() {
            eprintln!("topics that begin with {0} or __{0} are left in Kafka: {why}", self.name);
        }
    }
}
