//! The buffer into which records are read, and walking over them.

use std::{mem, ops::Range};

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use takhin_core::Offset;

use super::buffers;
use crate::record::{RecordRef, Records, records};

/// Whole batches as they are stored, from one or several reads. Clear and reuse it: it keeps its memory. When it ends, the
/// next one gets that.
#[derive(Debug, Default)]
pub struct Chunk {
    bytes: Vec<u8>,
    filled: usize,
}

/// What a read has put into a [`Chunk`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadOutcome {
    /// How many records.
    pub records: u32,
    /// What they take encoded, together.
    pub bytes: usize,
    /// Where the next read goes on: after the last record given, or behind offsets found to be empty.
    pub next: Offset,
    from: Offset,
    span: Range<usize>,
}

impl Chunk {
    /// What was read elsewhere.
    #[cfg(feature = "kafka")]
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let mut chunk = Self::default();
        chunk.room(bytes.len()).copy_from_slice(bytes);
        chunk.keep(bytes.len());
        chunk
    }

    /// Forgets what was read.
    pub fn clear(&mut self) {
        self.filled = 0;
    }

    /// The records of one read into this chunk since it was last cleared.
    pub fn records(&self, outcome: &ReadOutcome) -> ChunkRecords<'_> {
        let bytes = self.bytes[..self.filled].get(outcome.span.clone()).unwrap_or_default();
        ChunkRecords { records: records(bytes), from: outcome.from, left: outcome.records }
    }

    /// The whole batches of a [stored read](super::local::Reader::read_stored), as a place in [`Chunk::into_bytes`].
    pub fn stored(&self, outcome: &ReadOutcome) -> Range<usize> {
        let end = outcome.span.end.min(self.filled);
        outcome.span.start.min(end)..end
    }

    /// All that it holds, without a copy.
    pub fn into_bytes(self) -> Bytes {
        if self.filled == 0 { Bytes::new() } else { Bytes::from_owner(self) }
    }

    /// How many bytes it holds.
    pub fn filled(&self) -> usize {
        self.filled
    }

    /// Room for `bytes` more, to be kept by [`Chunk::keep`].
    pub(super) fn room(&mut self, bytes: usize) -> &mut [u8] {
        let end = self.filled + bytes;
        if self.bytes.len() < end {
            self.bytes = buffers::grown(mem::take(&mut self.bytes), self.filled, end);
        }
        &mut self.bytes[self.filled..end]
    }

    /// Keeps the first `bytes` of the room last asked for.
    pub(super) fn keep(&mut self, bytes: usize) {
        self.filled = (self.filled + bytes).min(self.bytes.len());
    }

    /// Gives up all from `at` on.
    pub(super) fn truncate(&mut self, at: usize) {
        self.filled = self.filled.min(at);
    }

    /// All that it holds.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.filled]
    }
}

impl AsRef<[u8]> for Chunk {
    fn as_ref(&self) -> &[u8] {
        self.bytes()
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        buffers::give_back(mem::take(&mut self.bytes));
    }
}

impl ReadOutcome {
    /// A read that has given nothing.
    pub(super) fn nothing(from: Offset, at: usize) -> Self {
        Self { records: 0, bytes: 0, next: from, from, span: at..at }
    }

    /// Says which bytes of the chunk hold the records.
    pub(super) fn set_span(&mut self, span: Range<usize>) {
        self.span = span;
    }
}

/// Exactly the records of one [`ReadOutcome`], in order.
#[derive(Clone, Debug)]
pub struct ChunkRecords<'a> {
    records: Records<'a>,
    from: Offset,
    left: u32,
}

impl<'a> Iterator for ChunkRecords<'a> {
    type Item = RecordRef<'a>;

    fn next(&mut self) -> Option<RecordRef<'a>> {
        self.left = self.left.checked_sub(1)?;
        // Their batches' checksums were verified when they were read, and the records counted, so all decode.
        self.records.by_ref().flatten().find(|record| record.offset >= self.from)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.left as usize))
    }
}
