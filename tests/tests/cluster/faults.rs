//! Nodes die, stand still, and are started anew, under load.

use std::{thread, time::Duration};

use takhin_tests::process::Signal;

use crate::{load::Load, nodes::Nodes};

/// Records that are delivered between two faults.
const CALM: usize = 300;

fn load_of(nodes: &Nodes) -> Load {
    let clients = (0..nodes.nodes.len()).map(|node| nodes.client(node)).collect();
    Load::new(nodes.topic("load"), clients)
}

#[test]
#[ignore = "needs brokers"]
fn a_node_is_killed_again_and_again() {
    let mut nodes = Nodes::start(3);
    let load = load_of(&nodes);
    load.run(2, 3, || {
        for round in 0..6 {
            load.goes_on(CALM);
            let node = &mut nodes.nodes[round % 3];
            node.kill9();
            load.goes_on(CALM);
            node.restart();
        }
        load.goes_on(CALM);
    });
}

#[test]
#[ignore = "needs brokers"]
fn a_node_that_stood_still_acknowledges_nothing_that_is_void() {
    let mut nodes = Nodes::start(3);
    let load = load_of(&nodes);
    load.run(2, 3, || {
        for round in 0..6 {
            load.goes_on(CALM);
            let node = &mut nodes.nodes[round % 3];
            node.signal(Signal::STOP);
            // Longer than its lease, and long enough for another one to take over.
            thread::sleep(Duration::from_secs(10));
            node.signal(Signal::CONT);
        }
        load.goes_on(CALM);
    });
}

#[test]
#[ignore = "needs brokers"]
fn all_nodes_are_started_anew_one_after_the_other() {
    let mut nodes = Nodes::start(3);
    let load = load_of(&nodes);
    load.run(2, 3, || {
        for round in 0..6 {
            load.goes_on(CALM);
            nodes.nodes[round % 3].restart();
        }
        load.goes_on(CALM);
    });
}
