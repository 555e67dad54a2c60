//! Putting one segment in the place of several, so that a crash leaves either them or it.
//!
//! ```text
//!   <base>.log.cleaned.tmp   being written; a start removes it
//!   <base>.log.swap          whole and durable: from here on it counts, and a start finishes what is missing
//!   <base>.log               the others are gone, durably, and it has its place
//! ```

use std::{
    io::{self, IoSlice},
    path::{Path, PathBuf},
    sync::Arc,
};

use takhin_core::Offset;

use super::{
    disk::{Disk, DiskFile, TEMPORARY, write_all},
    index::SparseIndex,
    layout::{self, FileKind, segment_file},
    listing::Listing,
    log::{Index, Log, Segment},
    reader::Shared,
    trim::remove_segment,
    walk::Walk,
};
use crate::record::{BatchHeader, HEADER_BYTES};

/// What the name of a segment ends with that is whole and not yet in its place.
const SWAP: &str = ".log.swap";
/// How much is gathered before it is written.
const BUFFER_BYTES: usize = 1 << 20;

/// A segment that is being written to take the place of others.
#[derive(Debug)]
pub(super) struct Replacement {
    base: Offset,
    path: PathBuf,
    file: Arc<dyn DiskFile>,
    index: SparseIndex,
    written: u64,
    buffer: Vec<u8>,
}

impl Replacement {
    /// Begins one that takes the place of the segment at `base`, and maybe of some behind it.
    pub(super) fn begin(disk: &dyn Disk, log: &Log, base: Offset) -> io::Result<Self> {
        let name = format!("{}.log.cleaned{TEMPORARY}", layout::digits(base.0));
        let path = log.directory.join(name);
        let file = disk.open(&path, true)?;
        file.set_len(0)?;
        Ok(Self { base, path, file, index: SparseIndex::default(), written: 0, buffer: Vec::new() })
    }

    /// Appends a whole batch, whose offsets follow those of the one before.
    pub(super) fn append(&mut self, batch: &[u8]) -> io::Result<()> {
        let header = BatchHeader::read(batch).map_err(io::Error::other)?;
        self.index.note(self.base, &header, self.written + self.buffer.len() as u64);
        self.buffer.extend_from_slice(batch);
        if self.buffer.len() >= BUFFER_BYTES { self.flush() } else { Ok(()) }
    }

    /// Takes it back.
    pub(super) fn discard(self, disk: &dyn Disk) -> io::Result<()> {
        disk.remove_file(&self.path)
    }

    /// Puts it in the place of `old`. Who reads those is not disturbed.
    ///
    /// # Errors
    /// Before the swap file is durable nothing has changed. After that the log's files are between the two, and the
    /// next start finishes it.
    pub(super) fn finish(mut self, shared: &Shared, log: &Log, old: &[Arc<Segment>]) -> io::Result<()> {
        self.flush()?;
        self.file.sync_all()?;
        let disk = shared.files.disk();
        let swap = log.directory.join(layout::digits(self.base.0) + SWAP);
        disk.rename(&self.path, &swap)?;
        disk.sync_dir(&log.directory)?;

        let replacing = log.begin_replacing();
        let others: Vec<_> = old.iter().map(|segment| segment.base).collect();
        take_place(disk, &log.directory, self.base, &others, &swap)?;
        let max_timestamp = self.index.max_timestamp().unwrap_or(i64::MIN);
        let generation = old.first().map_or(0, |first| first.generation);
        let segment = Segment::new(self.base, self.written, max_timestamp, Index::Open(self.index));
        let segment = Arc::new(segment.succeeding(generation));
        log.replace(old, &segment);
        drop(replacing);

        for gone in old {
            for kind in FileKind::ALL {
                shared.files.close(log.key(gone, kind));
            }
        }
        segment.save_index(log, &shared.files, true)?;
        for kind in [FileKind::Index, FileKind::TimeIndex] {
            log.open(&shared.files, &segment, kind)?.sync_data()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        write_all(&*self.file, &mut [IoSlice::new(&self.buffer)], self.written)?;
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}

/// Finishes what a crash has interrupted.
pub(super) fn finish(listing: &mut Listing<'_>) -> io::Result<()> {
    let (disk, directory) = (listing.disk, listing.directory);
    let swaps: Vec<_> = listing.names().iter().filter_map(|name| layout::number(name, SWAP)).map(Offset).collect();
    for base in swaps {
        let swap = directory.join(layout::digits(base.0) + SWAP);
        let Some(end) = end_of(&*disk.open(&swap, false)?, base)? else {
            tracing::error!(path = %swap.display(), "a segment that was to replace others is damaged; it stays aside");
            continue;
        };
        let mut others = listing.bases(FileKind::Log);
        others.retain(|other| (base..end).contains(other));
        take_place(disk, directory, base, &others, &swap)?;
        listing.read_again()?;
    }
    Ok(())
}

/// Removes the segments at `others` and puts the swap file in the place of the one at `base`.
fn take_place(disk: &dyn Disk, directory: &Path, base: Offset, others: &[Offset], swap: &Path) -> io::Result<()> {
    for other in others {
        remove_segment(disk, directory, *other)?;
    }
    // First the names that go: else one that comes back would have records that the new one has too.
    disk.sync_dir(directory)?;
    disk.rename(swap, &segment_file(directory, base, FileKind::Log))?;
    disk.sync_dir(directory)
}

/// The offset behind a segment's last batch; `None` if it doesn't end in a batch.
fn end_of(file: &dyn DiskFile, base: Offset) -> io::Result<Option<Offset>> {
    let size = file.byte_len()?;
    let (mut walk, mut position, mut expected) = (Walk::new(file, size), 0, base);
    while position + HEADER_BYTES as u64 <= size {
        let Some(header) = walk.header(position, expected, false)? else { return Ok(None) };
        (position, expected) = (position + header.bytes as u64, header.end_offset());
    }
    Ok((position == size).then_some(expected))
}
