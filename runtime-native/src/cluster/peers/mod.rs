//! What nodes ask each other: what a core decides, with the records that its answer speaks of.
//!
//! They speak HTTP at an address of their own, and know each other by a secret that the cluster has in Kafka. What a client
//! may do was decided where it asked. A node passes on what it was asked by a client, and nothing that it was asked by
//! another node; so no request goes further than one hop.

mod client;
mod listener;
mod polls;
mod server;
mod wire;

pub(super) use self::{
    client::Peers,
    polls::{Asker, Polls},
    server::serve,
};
