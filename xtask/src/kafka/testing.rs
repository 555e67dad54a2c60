//! `cargo xtask test --kafka`: what needs a real Kafka cluster.
//!
//! It uses the cluster that runs, and leaves it; or it starts one, and removes it in the end.

use std::{env, io, path::Path, process::ExitCode};

use super::{configuration::Cluster, down, lock, up};
use crate::{
    place::{cargo, server, target},
    step::{self, Step},
};

/// The brokers that a cluster for the tests has: what is kept on three of them goes on without one.
const BROKERS: u8 = 3;

/// Runs the tests.
pub(crate) fn test() -> ExitCode {
    let home = &target().join("kafka");
    let mine = match provide(home) {
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

/// Sees to it that brokers run. Whether they were started here.
fn provide(home: &Path) -> io::Result<bool> {
    let _lock = lock(home)?;
    let mine = Cluster::read(home)?.is_none();
    up(home, mine.then_some(BROKERS))?;
    Ok(mine)
}

fn bootstrap(home: &Path) -> io::Result<String> {
    let cluster = Cluster::read(home)?.ok_or_else(super::no_cluster)?;
    Ok(cluster.bootstrap())
}

fn steps(brokers: &str) -> Vec<Step> {
    let with_brokers = |words: &str| {
        let mut command = cargo(words);
        command.env("TAKHIN_KAFKA_BROKERS", brokers).env("TAKHIN_BIN", server());
        if let Ok(xtask) = env::current_exe() {
            command.env("TAKHIN_XTASK", xtask);
        }
        command
    };
    // Each server is the one node of a cluster of its own. Most of a test is waiting, so more run at a time than there are
    // processors. What is left out says so, with the reason.
    let mut black_box = with_brokers("test -p takhin-tests --test black_box -- --test-threads=6");
    black_box.env("TAKHIN_TEST_ENGINE", "kafka");
    // One at a time: they share the brokers, and some of them stop one.
    let alone = "--ignored --test-threads=1 --skip measure";
    vec![
        Step::new("server", cargo("build --release -p takhin")),
        Step::new("records", with_brokers(&format!("test -p takhin --lib engine::kafka -- {alone}"))),
        Step::new("cells", with_brokers(&format!("test -p takhin --lib cluster::cells -- {alone}"))),
        Step::new("black box", black_box),
        Step::new("nodes", with_brokers(&format!("test -p takhin-tests --test cluster -- {alone}"))),
    ]
}
