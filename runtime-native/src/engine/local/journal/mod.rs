//! The write-ahead log: one for all logs and for the facts, so that one sync covers everything that waits.
//!
//! A file `journal/<20 digits>.wal` is a row of frames, and behind them zeros, or what an earlier file left there:
//!
//! ```text
//!  | length u32 | crc u32 | file number u64 | synced to u32 | kind u8 | payload |
//!                         '------------- length bytes, covered by the crc -----'
//! ```
//!
//! *File number* tells a frame from those of the file that it is written over ([`Files`]). *Synced to* is how much of this file was durable
//! when the frame was written. It tells damage from a torn tail: bytes that don't decode are damage if a later
//! frame knows them to have been durable, or if there is a later file (a file is synced before the next is
//! made); else they were never acknowledged, and the file ends where they begin.

mod blocks;
mod files;
mod frame;
mod scan;
mod writer;

pub(super) use files::{Files, Way, path};
pub(super) use frame::{Bounds, Frame};
pub(super) use scan::scan;
pub(super) use writer::{Journal, SyncFailed};

/// What a journal file's name ends with.
pub(super) const EXTENSION: &str = ".wal";
