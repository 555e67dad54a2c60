//! Taking records from a place in a segment on until a read has what it wants.

use takhin_core::Offset;

use super::{
    disk::DiskFile,
    reader::{Unread, read_within},
};
use crate::{
    engine::{Chunk, ReadMode, ReadOutcome, ReadPart},
    record::{BatchHeader, HEADER_BYTES, records, unpack},
};

/// How much is read beyond what is wanted, since the index doesn't lead to the very batch.
const SLACK_BYTES: usize = 8 << 10;
/// What a read takes of the file at first, since it may end long before its limit of bytes. Each further one of
/// its looks at the file takes twice as much as the one before, up to [`MAX_WINDOW_BYTES`].
const FIRST_WINDOW_BYTES: usize = 64 << 10;
const MAX_WINDOW_BYTES: usize = 1 << 20;

/// One read in progress.
#[derive(Debug)]
pub(super) struct Collector<'a> {
    part: &'a ReadPart,
    /// Whether batches are taken whole and as they are stored.
    stored: bool,
    chunk: &'a mut Chunk,
    outcome: ReadOutcome,
    /// Where the first batch wanted begins in the chunk.
    first: Option<usize>,
    /// How much the next look at the file takes, unless less is wanted or a batch is larger.
    window: usize,
    full: bool,
}

/// What comes next in a segment.
enum Next {
    /// A batch of which something is wanted, all of it at hand.
    Take(BatchHeader),
    /// A batch of which nothing is wanted.
    Pass(BatchHeader),
    /// More bytes are needed to tell, this many in all.
    More(usize),
    /// A batch behind all that is wanted, or that is too much.
    Beyond,
    /// No batch, or not the one that must be there.
    Damaged,
}

/// Where a batch begins, and what is known of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    pub(super) position: u64,
    /// Its first offset, where it is known.
    pub(super) expected: Option<Offset>,
    /// Its last offset, where it is known.
    pub(super) ends_at: Option<Offset>,
}

impl<'a> Collector<'a> {
    pub(super) fn new(part: &'a ReadPart, chunk: &'a mut Chunk) -> Self {
        let outcome = ReadOutcome::nothing(part.from, chunk.filled());
        let full = part.max_records == 0;
        Self { part, stored: false, chunk, outcome, first: None, window: FIRST_WINDOW_BYTES, full }
    }

    /// Takes batches whole and as they are stored.
    #[must_use]
    pub(super) fn of_stored(self) -> Self {
        Self { stored: true, ..self }
    }

    /// Whether nothing more is wanted.
    pub(super) fn is_full(&self) -> bool {
        self.full
    }

    /// Whether nothing has been taken yet.
    pub(super) fn is_empty(&self) -> bool {
        self.outcome.records == 0
    }

    /// Wants nothing more.
    pub(super) fn stop(&mut self) {
        self.full = true;
    }

    /// The first offset wanted of a segment that begins at `base`.
    pub(super) fn target(&self, base: Offset) -> Offset {
        self.outcome.next.max(base)
    }

    pub(super) fn finish(mut self) -> ReadOutcome {
        let first = self.first.unwrap_or(self.chunk.filled());
        self.outcome.set_span(first..self.chunk.filled());
        self.outcome
    }

    /// Takes batches from `step` on, until the segment's end at `size` or until nothing more is wanted.
    /// What was taken before an error stays taken.
    pub(super) fn collect(
        &mut self,
        file: &dyn DiskFile,
        size: u64,
        mut step: Step,
        mode: ReadMode,
    ) -> Result<(), Unread> {
        let mut least = HEADER_BYTES;
        while !self.full && step.position < size {
            let left = usize::try_from(size - step.position).unwrap_or(usize::MAX);
            if left < least {
                return Err(Unread::Inconsistent);
            }
            let wanted = self.part.max_bytes.saturating_sub(self.outcome.bytes).saturating_add(SLACK_BYTES);
            let window = wanted.min(self.window).max(least).min(left);
            self.window = (self.window * 2).min(MAX_WINDOW_BYTES);
            let start = self.chunk.filled();
            read_within(file, self.chunk.room(window), step.position, mode)?;
            self.chunk.keep(window);
            let taken = self.take_window(start, size, &mut step);
            // Bytes of batches that were not wanted, or are not whole, must not stand between those that are.
            let keep = *taken.as_ref().map_or(&start, |(end, _)| end);
            self.chunk.truncate(if self.first.is_some() { keep } else { start });
            (_, least) = taken?;
        }
        Ok(())
    }

    /// Takes the whole batches in the chunk from `at` on. Gives where they end, and how many bytes the next one
    /// needs at least.
    fn take_window(&mut self, mut at: usize, size: u64, step: &mut Step) -> Result<(usize, usize), Unread> {
        loop {
            let rest = &self.chunk.bytes()[at..];
            match self.look(rest, size, step) {
                Next::Damaged => return self.after_damage(at),
                Next::Beyond => {
                    self.full = true;
                    return Ok((at, HEADER_BYTES));
                }
                Next::More(least) => return Ok((at, least)),
                Next::Pass(header) => {
                    // Not wanted: the rest of it need not be read.
                    let whole = rest.len() >= header.bytes;
                    step.pass(&header);
                    if !whole {
                        return Ok((at, HEADER_BYTES));
                    }
                    at += header.bytes;
                }
                Next::Take(header) if self.stored => {
                    if header.verify(rest).is_err() {
                        return self.after_damage(at);
                    }
                    self.take_stored(at, &header);
                    step.pass(&header);
                    at += header.bytes;
                    if self.full {
                        return Ok((at, HEADER_BYTES));
                    }
                }
                Next::Take(header) if header.compression() != 0 => return self.unpack_window(at, size, step),
                Next::Take(header) => {
                    if header.verify(rest).is_err() || !self.take(at, &header) {
                        return self.after_damage(at);
                    }
                    if self.full {
                        return Ok((at + if self.first.is_some() { header.bytes } else { 0 }, HEADER_BYTES));
                    }
                    step.pass(&header);
                    at += header.bytes;
                }
            }
        }
    }

    /// The same where batches are compressed: what stands in the chunk from `at` on is taken out of it, and comes back
    /// batch by batch as it is read.
    fn unpack_window(&mut self, at: usize, size: u64, step: &mut Step) -> Result<(usize, usize), Unread> {
        let stored = self.chunk.bytes()[at..].to_vec();
        self.chunk.truncate(at);
        let (mut rest, mut unpacked) = (&stored[..], Vec::new());
        loop {
            let at = self.chunk.filled();
            match self.look(rest, size, step) {
                Next::Damaged => return self.after_damage(at),
                Next::Beyond => {
                    self.full = true;
                    return Ok((at, HEADER_BYTES));
                }
                Next::More(least) => return Ok((at, least)),
                Next::Pass(header) => {
                    step.pass(&header);
                    let Some(behind) = rest.get(header.bytes..) else { return Ok((at, HEADER_BYTES)) };
                    rest = behind;
                }
                Next::Take(header) => {
                    unpacked.clear();
                    let whole = header.verify(rest).and_then(|()| unpack(rest, &header, &mut unpacked));
                    let Ok(as_read) = whole.and_then(|()| BatchHeader::read(&unpacked)) else {
                        return self.after_damage(at);
                    };
                    self.chunk.room(unpacked.len()).copy_from_slice(&unpacked);
                    self.chunk.keep(unpacked.len());
                    if !self.take(at, &as_read) {
                        return self.after_damage(at);
                    }
                    if self.full {
                        return Ok((self.chunk.filled(), HEADER_BYTES));
                    }
                    if self.first.is_none() {
                        self.chunk.truncate(at);
                    }
                    step.pass(&header);
                    rest = &rest[header.bytes..];
                }
            }
        }
    }

    /// What is to be done with the batch at the front of `rest`.
    fn look(&self, rest: &[u8], size: u64, step: &Step) -> Next {
        if rest.len() < HEADER_BYTES {
            return Next::More(HEADER_BYTES);
        }
        let Ok(header) = BatchHeader::read(rest) else { return Next::Damaged };
        let fits = step.expected.is_none_or(|expected| header.base_offset == expected)
            && step.ends_at.is_none_or(|last| header.last_offset == last)
            && header.leader_epoch == 0
            && step.position + header.bytes as u64 <= size;
        if !fits {
            return Next::Damaged;
        }
        if header.base_offset >= self.part.to {
            return Next::Beyond;
        }
        if header.last_offset < self.outcome.next {
            return Next::Pass(header);
        }
        let too_much = || self.outcome.bytes.saturating_add(header.bytes) > self.part.max_bytes;
        if self.stored && self.first.is_some() && too_much() {
            return Next::Beyond;
        }
        if rest.len() < header.bytes { Next::More(header.bytes) } else { Next::Take(header) }
    }

    /// Ends before a batch that doesn't fit: with what there is, else with an error.
    fn after_damage(&mut self, at: usize) -> Result<(usize, usize), Unread> {
        if self.is_empty() {
            return Err(Unread::Inconsistent);
        }
        self.full = true;
        Ok((at, HEADER_BYTES))
    }

    /// Takes the batch at `at` as it is. Its records are counted by their offsets.
    fn take_stored(&mut self, at: usize, header: &BatchHeader) {
        let part = self.part;
        let (from, next) = (header.base_offset.max(self.outcome.next), header.end_offset().min(part.to));
        let offsets = u32::try_from(next.0.saturating_sub(from.0)).unwrap_or(u32::MAX);
        self.first.get_or_insert(at);
        self.outcome.records = self.outcome.records.saturating_add(header.records.min(offsets));
        self.outcome.bytes += header.bytes;
        self.outcome.next = next;
        self.full = self.outcome.records >= part.max_records || self.outcome.bytes >= part.max_bytes;
    }

    /// Takes what is wanted of the batch at `at`, which is whole and not compressed; false if it is damaged.
    fn take(&mut self, at: usize, header: &BatchHeader) -> bool {
        let batch = &self.chunk.bytes()[at..at + header.bytes];
        let part = self.part;
        let all_wanted = header.base_offset >= self.outcome.next
            && header.last_offset < part.to
            && header.records <= part.max_records - self.outcome.records
            && self.outcome.bytes.saturating_add(header.record_bytes()) <= part.max_bytes;
        if all_wanted {
            self.outcome.records += header.records;
            self.outcome.bytes += header.record_bytes();
            self.outcome.next = header.end_offset();
            self.first.get_or_insert(at);
            self.full = self.outcome.records == part.max_records;
            return true;
        }
        for record in records(batch) {
            let Ok(record) = record else { return false };
            if record.offset < self.outcome.next {
                continue;
            }
            let fits = self.outcome.records == 0 || self.outcome.bytes.saturating_add(record.bytes) <= part.max_bytes;
            if record.offset >= part.to || self.outcome.records == part.max_records || !fits {
                self.full = true;
                return true;
            }
            self.first.get_or_insert(at);
            self.outcome.records += 1;
            self.outcome.bytes += record.bytes;
            self.outcome.next = Offset(record.offset.0 + 1);
        }
        self.outcome.next = header.end_offset().min(part.to);
        self.full = self.outcome.records == part.max_records || self.outcome.bytes >= part.max_bytes;
        true
    }
}

impl Step {
    fn pass(&mut self, header: &BatchHeader) {
        self.position += header.bytes as u64;
        self.expected = Some(header.end_offset());
        self.ends_at = None;
    }
}
