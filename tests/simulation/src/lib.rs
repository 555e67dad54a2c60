//! Takhin's core in a simulated world: clients with lives of their own, an engine with faults, a broker that crashes,
//! and oracles that judge every step. One thread, one virtual clock, and nothing but a seed to decide.
//!
//! ```text
//!    seed --> Options (which operations and faults there are, how often, how many of everything)
//!         --> Tape    (one word for each step)
//!                |
//!                v
//!    +--------- World ----------------------------------------------------+
//!    |  clients --- requests, hang-ups, lost answers ---> Core            |
//!    |     ^  answers                                      |  ^           |
//!    |     +-----------------------------------------------+  |           |
//!    |  Engine: late, reordered, failing, crashing <----------+           |
//!    +---------------------------------------------------------------------+
//!         events and commands --> Auditor       what clients saw --> Model, histories
//!                                      \                            /
//!                                       +----- Violation ----------+--> shrink --> trace
//! ```
//!
//! The engine behaves as one server's own storage does, or as a Kafka cluster ([`EngineKind`]).
//!
//! [`Simulation::run`] is the way in. The crate needs no threads, clock or files, so that it runs in a browser too.

pub mod auditor;
pub mod cluster;
mod coverage;
mod engine_kind;
mod history;
mod model;
mod operation;
mod options;
mod oracle;
mod replay;
mod shrink;
mod simulation;
mod tape;
mod world;

pub use crate::{
    coverage::{Coverage, Rare},
    engine_kind::EngineKind,
    operation::{Fault, Operation},
    options::Options,
    oracle::{Oracle, Violation},
    replay::{ReplayError, record_again, replay},
    shrink::shrink,
    simulation::{Found, MAX_FUZZED_WORDS, Report, Simulation},
    tape::Tape,
};
