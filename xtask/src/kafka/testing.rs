//! `cargo xtask test --kafka`: what needs a real Kafka cluster. A share of it, which one broker is enough for and which is
//! quick, is part of `cargo xtask test`.
//!
//! It uses the cluster that runs, and leaves it; or it starts one, and removes it in the end.

use std::{
    env, io,
    path::Path,
    process::{Command, ExitCode},
};

use super::{configuration::Cluster, down, lock, up};
use crate::{
    place::{cargo, server, target},
    step::{self, Step},
};

/// The brokers that a cluster for the tests has: what is kept on three of them goes on without one.
const BROKERS: u8 = 3;

/// One at a time: they share the brokers, and some of them stop one.
const ALONE: &str = "--ignored --test-threads=1 --skip measure";
/// The task that runs the share.
const SHARE: &str = "test-a-share-on-kafka";

/// What `cargo xtask test` does on Kafka.
pub(crate) fn share() -> Vec<Step> {
    let mut share = cargo("run --quiet --package xtask --");
    share.arg(SHARE);
    vec![Step::new("kafka", share)]
}

/// Runs the share.
pub(crate) fn test_share() -> ExitCode {
    run(1, |brokers| {
        // Of all packages, as they were built for the other tests.
        let tests = "test --workspace --all-features --test cluster";
        vec![Step::new("nodes", on(brokers, &format!("{tests} -- {ALONE} first_steps lost_answers")))]
    })
}

/// Runs all tests.
pub(crate) fn test() -> ExitCode {
    run(BROKERS, steps)
}

fn run(brokers: u8, steps: fn(&str) -> Vec<Step>) -> ExitCode {
    let home = &target().join("kafka");
    let mine = match provide(home, brokers) {
        Ok(mine) => mine,
        Err(error) => {
            eprintln!("cargo xtask test --kafka: {error}");
            return ExitCode::FAILURE;
        }
    };
    let outcome = match bootstrap(home) {
        Ok(brokers) => step::run_all(steps(&brokers)),
        Err(error) => {
            eprintln!("cargo xtask test --kafka: {error}");
            ExitCode::FAILURE
        }
    };
    if mine && let Err(error) = lock(home).and_then(|_lock| down(home, false)) {
        eprintln!("cargo xtask test --kafka: the brokers could not be stopped: {error}");
        return ExitCode::FAILURE;
    }
    outcome
}

/// Sees to it that brokers run, so many if there is no cluster. Whether they were started here.
fn provide(home: &Path, brokers: u8) -> io::Result<bool> {
    let _lock = lock(home)?;
    let mine = Cluster::read(home)?.is_none();
    up(home, mine.then_some(brokers))?;
    Ok(mine)
}

fn bootstrap(home: &Path) -> io::Result<String> {
    let cluster = Cluster::read(home)?.ok_or_else(super::no_cluster)?;
    Ok(cluster.bootstrap())
}

/// A command for tests that find the brokers, the server and this program.
fn on(brokers: &str, words: &str) -> Command {
    let mut command = cargo(words);
    command.env("TAKHIN_KAFKA_BROKERS", brokers).env("TAKHIN_BIN", server());
    if let Ok(xtask) = env::current_exe() {
        command.env("TAKHIN_XTASK", xtask);
    }
    command
}

fn steps(brokers: &str) -> Vec<Step> {
    // Each server is the one node of a cluster of its own. Most of a test is waiting, so more run at a time than there are
    // processors. What is left out says so, with the reason.
    let mut black_box = on(brokers, "test -p takhin-tests --test black_box -- --test-threads=6");
    black_box.env("TAKHIN_TEST_ENGINE", "kafka");
    vec![
        Step::new("server", cargo("build --release -p takhin")),
        Step::new("records", on(brokers, &format!("test -p takhin --lib engine::kafka -- {ALONE}"))),
        Step::new("cells", on(brokers, &format!("test -p takhin --lib cluster::cells -- {ALONE}"))),
        Step::new("black box", black_box),
        // With what it says of how long nothing was delivered.
        Step::new("nodes", on(brokers, &format!("test -p takhin-tests --test cluster -- {ALONE} --nocapture"))),
    ]
}
