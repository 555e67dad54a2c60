//! One core on many nodes: who owns a cell, decided by the order of a journal that all of them can write to.
//!
//! Groups are spread over cells. A cell is one [`Core`](crate::Core), run by one node at a time; its facts are appended
//! to a journal that outlives every node, a partition of a log that is replicated. Anybody may propose an owner, two at a
//! time even, and a node that was thought to be dead may wake and go on. So what is proposed decides nothing:
//!
//! ```text
//!   journal   | A announced | A: facts 0 | A: facts 1 | B announced | A: facts 2 | B: facts 0 | ...
//!   offset    |      7      |     8      |     9      |     10      |     11     |     12     |
//!                epoch 7      applies      applies       epoch 10      stale        applies
//! ```
//!
//! * A node that would own a cell appends an [announcement](Entry::Announced). The offset at which it lies is the node's
//!   epoch. All that stands before it is the state that the node starts from.
//! * Facts carry the epoch of whom they are of, and a sequence number. [`Replay`] says of each entry whether it
//!   [applies](Verdict::Applies): those of the latest epoch do, in the order of their numbers, each once.
//! * An [`Owner`] puts its own entries through the same replay, at the offsets at which they came to lie, and reads what
//!   lies between them. It says that facts are persisted when they apply, for itself as for whoever will ever replay the
//!   journal; so who was overtaken acknowledges nothing that is not kept.
//! * A node that [watches](CellEvent::Sighted) a journal knows when its last entry can have been sent at the latest, and need
//!   not wait longer than that. If nobody shows himself, it stands in, without being offered the cell.
//! * An append of which the outcome isn't known is never taken for one that was done: the owner steps down, and
//!   announces itself anew.
//! * Answers leave only while a lease lasts. It runs from the moment in which the last append that applies was sent: then
//!   nobody had taken over yet. Whoever takes over waits for the longest lease of those before it, and an eighth more,
//!   unless all of them have said that they stopped. So no two nodes serve a cell at once, as long as their clocks differ in
//!   speed by less than an eighth, and count while a machine sleeps.
//! * Facts say which fact they follow. Where the journal lacks something that was acknowledged, nobody goes on.
//!
//! Like the core this has no clock, no threads and no IO: [`Owner::step`] takes events and gives commands.

mod config;
mod entry;
mod message;
mod owner;
mod owning;
mod recovering;
mod replay;
#[cfg(test)]
mod tests;
mod watch;

pub use self::{
    config::{CellConfig, CellConfigError},
    entry::{Announcement, CellOffset, Entry, EntryNumber, OwnerId},
    message::{CellCommand, CellEvent, StepDown},
    owner::Owner,
    replay::{Replay, Verdict},
};
