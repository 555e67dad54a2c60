//! Which node owns which cell: journals in Kafka, and the owners of this node.
//!
//! ```text
//!    host (core)  host (core)        the directory: a watch      may an answer leave? an atomic
//!        ^ |          ^ |                    ^                          ^
//!        | v Decide   | v                    |                          |
//!    cells: one thread steps all owners -----|--------------------------'
//!      ^  |            |          |          |
//!      |  v            v          v          |
//!    member  outbox    reader     keeper     follower watcher     each with a thread, and a client of Kafka
//!      |       |         |          |           |        |
//!    group   journal   journal,   snapshots   cluster  journal    topics; of journals and snapshots a partition for each cell
//!                      snapshots
//! ```
//!
//! [`Owner`](takhin_core::cell::Owner) decides and this carries out: what a broker acknowledges is told to it, with the
//! offset; what fails or takes too long is told to it as unknown. The group only proposes who is to own a cell, and the
//! directory only says where to ask; an error of either costs time and nothing else. The group takes its time until it takes a
//! node for dead, so another node watches the journal of each cell, and stands in when its owner shows itself no longer.

mod boundary;
mod cell;
mod chunk;
mod clock;
mod config;
mod directory;
mod follow;
mod host;
mod keeper;
mod logged;
mod member;
mod message;
mod outbox;
mod reader;
mod run;
mod start;
mod stats;
#[cfg(test)]
mod tests;
mod topics;
mod watcher;
mod wire;

pub use self::{
    config::{CellsConfig, CellsError, MAX_ENTRY_BYTES},
    directory::{CellPlace, Directory, Node},
    host::{CellHost, Decide},
    start::Cells,
    stats::{CellsCounts, CellsStats},
};
