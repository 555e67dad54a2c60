//! Nodes die, stand still, and are started anew, under load.

use std::{thread, time::Duration};

use takhin_tests::{broker::Broker, process::Signal};

use crate::{load::Load, nodes::Nodes};

/// Records that are delivered between two faults.
const CALM: usize = 300;

/// Does something to one of three nodes after the other, each twice, while producers and consumers go on.
fn under_load(mut fault: impl FnMut(&mut Broker, &Load)) {
    let mut nodes = Nodes::start(3);
    let clients = (0..nodes.nodes.len()).map(|node| nodes.client(node)).collect();
    let load = Load::new(nodes.topic("load"), clients);
    load.run(2, 3, || {
        for round in 0..6 {
            load.goes_on(CALM);
            fault(&mut nodes.nodes[round % 3], &load);
        }
        load.goes_on(CALM);
    });
}

#[test]
#[ignore = "needs brokers"]
fn a_node_is_killed_again_and_again() {
    under_load(|node, load| {
        node.kill9();
        load.goes_on(CALM);
        node.restart();
    });
}

#[test]
#[ignore = "needs brokers"]
fn a_node_that_stood_still_acknowledges_nothing_that_is_void() {
    under_load(|node, _| {
        node.signal(Signal::STOP);
        // Longer than its lease, and long enough for another one to take over.
        thread::sleep(Duration::from_secs(10));
        node.signal(Signal::CONT);
    });
}

#[test]
#[ignore = "needs brokers"]
fn all_nodes_are_started_anew_one_after_the_other() {
    under_load(|node, _| node.restart());
}
