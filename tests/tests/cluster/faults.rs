//! Nodes die, stand still, are cut off, and are started anew, under load.

use std::{thread, time::Duration};

use takhin_tests::{broker::Broker, client::Client, process::Signal};

use crate::{
    door::Door,
    load::{CALM, Load},
    nodes::Nodes,
};

/// How often each fault happens.
const ROUNDS: usize = 12;
/// Longer than a lease, and than Kafka needs to miss a node.
const ABSENT: Duration = Duration::from_secs(8);

/// Records that are delivered while a node is cut off, and clients wait in vain for it in each third request.
const CALM_BESIDE_IT: usize = 30;

/// Who hears nothing from a node asks another one, and does not wait until the end.
fn impatient(node: &Broker) -> Client {
    Client::with_timeout(&node.url(""), Duration::from_secs(1))
}

/// Does something to one of three nodes after the other while producers and consumers go on.
fn under_load(what: &str, mut fault: impl FnMut(&mut Broker, &Load)) {
    let mut nodes = Nodes::start(3);
    let load = Load::new(nodes.topic("load"), nodes.nodes.iter().map(impatient).collect());
    load.run(2, 2, || {
        for round in 0..ROUNDS {
            load.suffers(what, || fault(&mut nodes.nodes[round % 3], &load));
        }
        load.goes_on(CALM);
    });
}

#[test]
#[ignore = "needs brokers"]
fn a_node_is_killed_again_and_again() {
    under_load("a node is killed", |node, load| {
        node.kill9();
        load.goes_on(CALM);
        node.restart();
    });
}

#[test]
#[ignore = "needs brokers"]
fn a_node_that_stood_still_acknowledges_nothing_that_is_void() {
    under_load("a node stands still", |node, _| {
        node.signal(Signal::STOP);
        thread::sleep(ABSENT);
        node.signal(Signal::CONT);
    });
}

#[test]
#[ignore = "needs brokers"]
fn all_nodes_are_started_anew_one_after_the_other() {
    under_load("a node is started anew", |node, _| node.restart());
}

#[test]
#[ignore = "needs brokers"]
fn a_node_that_was_cut_off_acknowledges_nothing_that_is_void() {
    let door = Door::new();
    let nodes = Nodes::start_behind(&door, 3);
    let load = Load::new(nodes.topic("load"), nodes.nodes.iter().map(impatient).collect());
    load.run(2, 2, || {
        for _ in 0..ROUNDS {
            load.suffers("a node is cut off", || {
                door.shut();
                thread::sleep(ABSENT);
                load.goes_on(CALM_BESIDE_IT);
                door.open();
            });
        }
        load.goes_on(CALM);
    });
}
