//! All that the cells' thread is told: by the hosts, by Kafka, and by the threads that wait for Kafka.

use std::sync::mpsc::SyncSender;

use takhin_core::{
    Boot, FactSeq,
    cell::{CellOffset, Entry},
};

use super::{chunk::Found, directory::Notice, outbox::Sent, watcher::Sighting, wire::Facts};

/// What the cells' thread is told.
#[derive(Debug)]
pub(super) enum Message {
    /// The node is to own these cells.
    Offered(Vec<u32>),
    /// It is to own them no longer. `done` is told when that stands in their journals, or never will.
    Revoked { cells: Vec<u32>, done: SyncSender<()> },
    /// The journals of these cells were seen to reach so far.
    Sighted(Vec<Sighting>),
    /// A core decided on facts.
    Decided { cell: u32, boot: Boot, after: FactSeq, through: FactSeq, facts: Vec<u8> },
    /// A host has a snapshot.
    SnapshotTaken { cell: u32, boot: Boot, through: FactSeq, state: Vec<u8> },
    /// What was sent lies at an offset, or it isn't known whether it does.
    Delivered { sent: Sent, at: Option<CellOffset> },
    /// Something is wrong with the producer: it may be that it can go on no longer.
    ProducerTroubled,
    /// Part of a journal was read, or what there is instead.
    Read { cell: u32, generation: u64, outcome: ReadOutcome },
    /// A cell's snapshots were read.
    SnapshotsRead { cell: u32, found: Found },
    /// A snapshot was written and read back, or was not.
    SnapshotKept { cell: u32, next: CellOffset, kept: Result<(), String> },
    /// Records for the cluster's topic.
    Notices(Vec<Notice>),
    /// All cells are to be given up, and the node to be gone from the directory. `done` is told when that is so.
    Stop { done: SyncSender<()> },
    /// All is to end as if the node had died.
    Vanish,
}

/// What a read of a journal came to.
#[derive(Debug)]
pub(super) enum ReadOutcome {
    /// These are all entries of a range.
    Entries { from: CellOffset, entries: Vec<(CellOffset, Entry<Facts>)>, next: CellOffset, bytes: usize },
    /// What was to be read from there on is no longer there.
    Cut { from: CellOffset },
    /// What lies there is no entry, or nothing lies there although something must.
    Unreadable { at: CellOffset, why: String },
}
