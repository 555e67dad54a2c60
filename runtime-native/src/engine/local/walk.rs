//! Going through a segment batch by batch, from the disk, in few reads.

use std::io;

use takhin_core::Offset;

use super::disk::{DiskFile, read_full};
use crate::record::{BatchHeader, HEADER_BYTES};

const WINDOW_BYTES: usize = 256 << 10;

/// A window onto a part of a file, moved as needed.
#[derive(Debug)]
pub(super) struct Walk<'a> {
    file: &'a dyn DiskFile,
    /// Nothing at or behind it is looked at.
    end: u64,
    window: Vec<u8>,
    start: u64,
}

impl<'a> Walk<'a> {
    pub(super) fn new(file: &'a dyn DiskFile, end: u64) -> Self {
        Self { file, end, window: Vec::new(), start: 0 }
    }

    /// Where it ends.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// The header of the batch at `position`, if there is one that begins at `expected` (or, if `gap`, at any
    /// offset from there on) and that ends within the segment.
    pub(super) fn header(&mut self, position: u64, expected: Offset, gap: bool) -> io::Result<Option<BatchHeader>> {
        let end = self.end;
        let header = self.bytes(position, HEADER_BYTES)?.and_then(|bytes| BatchHeader::read(bytes).ok());
        Ok(header.filter(|header| {
            let offset_fits = header.base_offset == expected || gap && header.base_offset > expected;
            offset_fits && header.leader_epoch == 0 && position + header.bytes as u64 <= end
        }))
    }

    /// Like [`Walk::header`], with the checksum verified: the batch is whole.
    pub(super) fn whole(&mut self, position: u64, expected: Offset, gap: bool) -> io::Result<Option<BatchHeader>> {
        let Some(header) = self.header(position, expected, gap)? else {
            return Ok(None);
        };
        let bytes = self.bytes(position, header.bytes)?;
        Ok(bytes.is_some_and(|bytes| header.verify(bytes).is_ok()).then_some(header))
    }

    /// The bytes of the batch at `position`.
    pub(super) fn batch(&mut self, position: u64, header: &BatchHeader) -> io::Result<Option<&[u8]>> {
        self.bytes(position, header.bytes)
    }

    /// The first whole batch behind `position`, wherever it begins, whose offset is at least `expected`.
    pub(super) fn next_whole(&mut self, position: u64, expected: Offset) -> io::Result<Option<(u64, BatchHeader)>> {
        /// Where the format's version stands, the same in every batch.
        const MAGIC_AT: usize = 16;
        let mut position = position + 1;
        while position + HEADER_BYTES as u64 <= self.end {
            if self.bytes(position, HEADER_BYTES)?.is_some_and(|bytes| bytes[MAGIC_AT] == 2)
                && let Some(header) = self.whole(position, expected, true)?
            {
                return Ok(Some((position, header)));
            }
            position += 1;
        }
        Ok(None)
    }

    fn bytes(&mut self, position: u64, count: usize) -> io::Result<Option<&[u8]>> {
        if position + count as u64 > self.end {
            return Ok(None);
        }
        let have = self.start..self.start + self.window.len() as u64;
        if position < have.start || position + count as u64 > have.end {
            let left = usize::try_from(self.end - position).unwrap_or(usize::MAX);
            self.window.resize(count.max(WINDOW_BYTES).min(left), 0);
            let read = read_full(self.file, &mut self.window, position)?;
            self.window.truncate(read);
            self.start = position;
        }
        let from = usize::try_from(position - self.start).unwrap_or(usize::MAX);
        Ok(self.window.get(from..from + count))
    }
}
