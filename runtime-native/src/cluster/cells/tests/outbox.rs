//! What becomes of what is sent.

use std::sync::mpsc::channel;

use rdkafka::ClientConfig;

use super::super::{
    config::Names,
    message::Message,
    outbox::{Outbox, What},
};

#[test]
fn a_producer_that_can_go_on_no_longer_is_made_anew_and_what_was_under_way_is_unknown() {
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", "127.0.0.1:1").set("enable.idempotence", "true");
    let [journal, snapshots, cluster, group] = ["journal", "snapshots", "cluster", "cells"].map(str::to_owned);
    let (queue, messages) = channel();
    let names = Names { journal, snapshots, cluster, group };
    let mut outbox = Outbox::start(client, &names, queue).expect("a producer needs no broker to begin with");
    let announced = |number| What::Announcement { cell: 0, number };
    outbox.append(0, announced(1), b"one".to_vec());
    outbox.append(0, announced(2), b"two".to_vec());
    outbox.fail();
    let mut unknown = Vec::new();
    while unknown.len() < 2 {
        match messages.recv().expect("it tells what becomes of what was sent") {
            Message::ProducerTroubled => outbox.renew_if_failed(),
            Message::Delivered { sent, at } => {
                assert_eq!(at, None);
                outbox.delivered(false);
                unknown.push(sent.what);
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(unknown, [announced(1), announced(2)]);
    assert_eq!((outbox.unanswered, outbox.has_failed()), (0, false));
    outbox.append(0, announced(3), b"three".to_vec());
    assert_eq!(outbox.unanswered, 1, "it waits for brokers");
}
