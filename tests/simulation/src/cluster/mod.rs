//! One cell on several nodes, in a simulated cluster: real cores, real [owners](takhin_core::cell), and a journal whose
//! appends are lost, late, repeated, out of order, or of unknown outcome. Nodes stop for a while and go on as if nothing
//! had happened, die, and are proposed as owners two at a time.
//!
//! ```text
//!   clients ---> any node [ Owner + Core ] ---> Network (late, lost, twice) ---> Journal, snapshots
//!      ^              |  ^                                                          |
//!      '-- answers ---'  '---------------- outcomes, entries, snapshots -----------'
//!                     \                                                            /
//!                      '--> Judge: a replay of its own, and what clients were told
//! ```
//!
//! [`Cluster::run`] is the way in. A seed decides everything.

mod chance;
mod clients;
mod journal;
mod judge;
mod node;
mod sights;
mod world;

pub use self::{
    judge::{Promise, Violation},
    sights::{Sight, Sights},
    world::{Cluster, Report},
};
