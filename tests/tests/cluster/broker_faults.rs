//! Brokers of the Kafka cluster die and come back, under load.

use std::{env, process::Command};

use crate::{
    load::{CALM, Load},
    nodes::Nodes,
};

/// How often a broker dies.
const ROUNDS: usize = 12;

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
fn brokers_are_killed_and_come_back() {
    let nodes = Nodes::start(2);
    let clients = (0..nodes.nodes.len()).map(|node| nodes.client(node)).collect();
    let load = Load::new(nodes.topic("load"), clients);
    load.run(2, 2, || {
        for round in 0..ROUNDS {
            let broker = 1 + round % 3;
            // With each of them a third of the journals' partitions loses its leader.
            load.suffers("a broker is killed", || {
                kafka("kill", broker);
                let down = Down(broker);
                load.goes_on(CALM);
                drop(down);
            });
        }
        load.goes_on(CALM);
    });
}
