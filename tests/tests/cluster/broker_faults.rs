//! Brokers of the Kafka cluster die and come back, under load.

use std::{env, process::Command};

use crate::{load::Load, nodes::Nodes};

/// Records that are delivered between two faults.
const CALM: usize = 300;

/// What `cargo xtask kafka` does with a broker.
fn kafka(task: &str, broker: usize) {
    let xtask = env::var_os("TAKHIN_XTASK").expect("TAKHIN_XTASK is the program that stops brokers");
    let done = Command::new(xtask).args(["kafka", task, &broker.to_string()]).status();
    assert!(done.expect("it can be run").success(), "{task} {broker}");
}

/// Starts the broker again, whatever the test came to.
struct Down(usize);

impl Drop for Down {
    fn drop(&mut self) {
        kafka("start", self.0);
    }
}

#[test]
#[ignore = "needs brokers"]
fn each_broker_is_killed_and_comes_back() {
    let nodes = Nodes::start(2);
    let clients = (0..nodes.nodes.len()).map(|node| nodes.client(node)).collect();
    let load = Load::new(nodes.topic("load"), clients);
    load.run(2, 2, || {
        for broker in 1..=3 {
            load.goes_on(CALM);
            kafka("kill", broker);
            let down = Down(broker);
            load.goes_on(CALM);
            drop(down);
        }
        load.goes_on(CALM);
    });
}
