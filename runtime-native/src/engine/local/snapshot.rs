//! Snapshots of the facts' outcome, with how far each log was durable when they were taken.
//!
//! `snapshots/<20 digits>.snap`, numbered from 1, the last two kept:
//!
//! ```text
//!  | magic 8 | crc u32 | through u64 | journal from u64 | n u32 | n * (topic u64, partition u32, end u64) | ...
//!                      '------------------------- covered by the crc, to the end ---------------------- ...
//!  ... | bytes u32 | producers, as JSON | state |
//! ```
//!
//! The first version of it has no producers.

use std::{
    io::{self, IoSlice},
    path::{Path, PathBuf},
};

use takhin_core::{FactSeq, LogId, Offset, Producers};

use super::{
    disk::{self, Disk},
    journal::Bounds,
    layout,
};

pub(super) const MAGIC: &[u8; 8] = b"takhin\x002";
pub(super) const MAGIC_WITHOUT_PRODUCERS: &[u8; 8] = b"takhin\x001";
const EXTENSION: &str = ".snap";
const BOUND_BYTES: usize = 20;

/// A snapshot as it was found.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub(super) number: u64,
    pub(super) through: FactSeq,
    /// The first journal file that holds something which the snapshot does not.
    pub(super) journal_from: u64,
    pub(super) bounds: Vec<(LogId, Offset)>,
    /// What the logs know of producers up to there; logs that know of none are left out.
    pub(super) producers: Vec<(LogId, Producers)>,
    pub(super) state: Vec<u8>,
}

/// Writes a snapshot, durably.
pub(super) fn write(disk: &dyn Disk, directory: &Path, snapshot: &Snapshot) -> io::Result<()> {
    disk::replace_file(disk, &path(directory, snapshot.number), &mut [IoSlice::new(&encode(snapshot)?)])
}

/// A snapshot as it is kept.
pub(super) fn encode(snapshot: &Snapshot) -> io::Result<Vec<u8>> {
    let count = u32::try_from(snapshot.bounds.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let mut head = Vec::with_capacity(MAGIC.len() + 24 + BOUND_BYTES * snapshot.bounds.len());
    head.extend_from_slice(&snapshot.through.0.to_be_bytes());
    head.extend_from_slice(&snapshot.journal_from.to_be_bytes());
    head.extend_from_slice(&count.to_be_bytes());
    Bounds::encode(&mut head, snapshot.bounds.iter().copied());
    let producers = serde_json::to_vec(&snapshot.producers)?;
    head.extend_from_slice(&u32::try_from(producers.len()).map_err(|_| io::ErrorKind::InvalidInput)?.to_be_bytes());
    head.extend_from_slice(&producers);
    let checksum = crc32c::crc32c_append(crc32c::crc32c(&head), &snapshot.state).to_be_bytes();
    Ok([&MAGIC[..], &checksum, &head, &snapshot.state].concat())
}

/// Whether these bytes are a snapshot's, all of them.
pub(super) fn is_whole(bytes: &[u8]) -> bool {
    parse(bytes, 0).is_some()
}

/// Reads a snapshot; `None` if it is damaged.
pub(super) fn read(disk: &dyn Disk, directory: &Path, number: u64) -> io::Result<Option<Snapshot>> {
    let bytes = disk::read_file(disk, &path(directory, number))?;
    Ok(bytes.and_then(|bytes| parse(&bytes, number)))
}

pub(super) fn parse(bytes: &[u8], number: u64) -> Option<Snapshot> {
    let has_producers = bytes.starts_with(MAGIC);
    let magic = if has_producers { MAGIC } else { MAGIC_WITHOUT_PRODUCERS };
    let (checksum, checked) = bytes.strip_prefix(magic)?.split_first_chunk()?;
    if crc32c::crc32c(checked) != u32::from_be_bytes(*checksum) {
        return None;
    }
    let (through, rest) = checked.split_first_chunk()?;
    let (journal_from, rest) = rest.split_first_chunk()?;
    let (count, rest) = rest.split_first_chunk()?;
    let (bounds, rest) = rest.split_at_checked(u32::from_be_bytes(*count) as usize * BOUND_BYTES)?;
    let (producers, state) = if has_producers {
        let (length, rest) = rest.split_first_chunk()?;
        let (producers, state) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)?;
        (serde_json::from_slice(producers).ok()?, state)
    } else {
        (Vec::new(), rest)
    };
    Some(Snapshot {
        number,
        through: FactSeq(u64::from_be_bytes(*through)),
        journal_from: u64::from_be_bytes(*journal_from),
        bounds: Bounds::new(bounds)?.ends().collect(),
        producers,
        state: state.to_vec(),
    })
}

/// The numbers of the snapshots in a directory, oldest first.
pub(super) fn numbers(names: &[String]) -> Vec<u64> {
    let mut numbers: Vec<_> = names.iter().filter_map(|name| layout::number(name, EXTENSION)).collect();
    numbers.sort_unstable();
    numbers
}

pub(super) fn path(directory: &Path, number: u64) -> PathBuf {
    directory.join(layout::digits(number) + EXTENSION)
}
