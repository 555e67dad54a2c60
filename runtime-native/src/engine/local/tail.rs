//! The open end of one log: where the writer puts batches.

use std::{
    io::{self, IoSlice},
    sync::Arc,
};

use takhin_core::{AppendId, AppendRefusal, LogId, Offset, Producers, producers::Verdict};

use super::{
    checkpoint::Dirty,
    disk::write_all,
    files::Files,
    layout::FileKind,
    log::{Log, Segment},
    producers::wall_clock_ms,
};
use crate::{
    engine::{AppendedAt, StorageError},
    record::{BatchHeader, EncodedBatch},
};

/// Beyond this many offsets a segment takes no more batches: its index has 31 bits for them, and a group of
/// batches has room on top.
const SEGMENT_OFFSETS: u64 = 1 << 30;

/// A log's open end. Nothing in it moves before a group of batches is committed, so giving a group up is
/// cutting the file off at `size`.
#[derive(Debug)]
pub(super) struct Tail {
    pub(super) log: Arc<Log>,
    pub(super) active: Arc<Segment>,
    /// The size of the active segment's file up to the last committed batch.
    pub(super) size: u64,
    pub(super) end: Offset,
    pub(super) producers: Producers,
    /// How much was written since the active segment was last given to be synced.
    pub(super) behind: u64,
}

/// An append on its way.
#[derive(Debug)]
pub(super) struct Append {
    pub(super) id: AppendId,
    pub(super) log: LogId,
    pub(super) batch: EncodedBatch,
    pub(super) expected_offset: Option<Offset>,
    /// Whether it bears an idempotency key that stands for another request.
    pub(super) key_is_anothers: bool,
    /// What comes of it though it isn't written: it is in the log already, or must not be.
    pub(super) settled: Option<Result<AppendedAt, StorageError>>,
    pub(super) placed: Result<Placed, StorageError>,
}

impl Append {
    /// Whether it has not failed in storage so far.
    pub(super) fn is_good(&self) -> bool {
        self.placed.is_ok() || self.settled.is_some()
    }

    /// What was settled may rest on what is now taken back, so that fails too.
    pub(super) fn fail(&mut self, error: StorageError) {
        (self.settled, self.placed) = (None, Err(error));
    }
}

/// Where an append's batch is in the active segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Placed {
    pub(super) header: BatchHeader,
    pub(super) position: u64,
}

impl Placed {
    pub(super) fn appended_at(&self) -> AppendedAt {
        let header = &self.header;
        let (base_offset, end) = (header.base_offset, header.end_offset());
        AppendedAt { base_offset, end, bytes: header.bytes as u64, duplicate: false, readable: true }
    }
}

/// Why batches are not in the file.
#[derive(Debug)]
pub(super) enum PutError {
    /// They could not be written, and nothing is left of them.
    Undone(io::Error),
    /// They could not be written, and something may be left of them.
    Left(io::Error),
}

impl Tail {
    /// A new segment, if the active one is full. The old one's index goes to its files.
    pub(super) fn roll_if_full(&mut self, files: &Files, dirty: &mut Dirty, segment_bytes: u64) -> io::Result<()> {
        let limit = segment_bytes.min(self.log.segment_bytes());
        let full = self.size >= limit || self.end.0 - self.active.base.0 >= SEGMENT_OFFSETS;
        if full && self.size > 0 { self.roll(files, dirty, self.end) } else { Ok(()) }
    }

    /// A new segment that begins at `base`.
    pub(super) fn roll(&mut self, files: &Files, dirty: &mut Dirty, base: Offset) -> io::Result<()> {
        let next = Arc::new(Segment::empty(base));
        let file = files.open(self.log.key(&next, FileKind::Log), &self.log.directory, true)?;
        file.set_len(0)?;
        if let Err(error) = self.active.save_index(&self.log, files, true) {
            tracing::warn!(log = ?self.log.id, %error, "index not saved, kept in memory");
        }
        self.active = next;
        (self.size, self.behind) = (0, 0);
        self.end = base;
        self.log.push_segment(Arc::clone(&self.active));
        dirty.names(&self.log);
        dirty.segment(&self.log, &self.active);
        Ok(())
    }

    /// Gives the batches their offsets and writes them behind the last committed one, but for those that are settled
    /// without. They are not seen before [`Tail::commit`].
    pub(super) fn put(&mut self, files: &Files, appends: &mut [Append]) -> Result<(), PutError> {
        let (mut position, mut base) = (self.size, self.end);
        for append in &mut *appends {
            append.batch.set_base_offset(base);
            let header = BatchHeader::read(append.batch.bytes()).expect("an encoded batch has a good header");
            append.settled = if append.key_is_anothers {
                Some(Err(StorageError::Refused(AppendRefusal::KeyReused)))
            } else {
                self.settle(&header, append.expected_offset)
            };
            if append.settled.is_some() {
                continue;
            }
            append.placed = Ok(Placed { header, position });
            position += header.bytes as u64;
            base = header.end_offset();
        }
        let file = self.log.open(files, &self.active, FileKind::Log).map_err(PutError::Undone)?;
        let written = appends.iter().filter(|append| append.settled.is_none());
        let mut parts: Vec<_> = written.map(|append| IoSlice::new(append.batch.bytes())).collect();
        write_all(&*file, &mut parts, self.size).map_err(|error| match self.undo(files) {
            Ok(()) => PutError::Undone(error),
            Err(_) => PutError::Left(error),
        })
    }

    /// Appends a batch that has its offsets already, which follow the last ones.
    pub(super) fn restore(&mut self, files: &Files, batch: &[u8], header: BatchHeader) -> io::Result<()> {
        let file = self.log.open(files, &self.active, FileKind::Log)?;
        write_all(&*file, &mut [IoSlice::new(batch)], self.size)?;
        self.commit([Placed { header, position: self.size }].iter());
        Ok(())
    }

    /// Removes what was put since the last commit, durably, so that it can never come back.
    pub(super) fn undo(&self, files: &Files) -> io::Result<()> {
        let file = self.log.open(files, &self.active, FileKind::Log)?;
        file.set_len(self.size)?;
        file.sync_all()
    }

    /// Makes batches that were put part of the log.
    pub(super) fn commit<'a>(&mut self, batches: impl Iterator<Item = &'a Placed> + Clone) {
        if let Some(last) = batches.clone().last() {
            self.size = last.position + last.header.bytes as u64;
            self.end = last.header.end_offset();
        }
        self.active.commit(batches.map(|placed| (&placed.header, placed.position)));
        self.producers.commit();
    }

    /// What comes of a batch that isn't to be written here. One that is, is noted.
    fn settle(&mut self, header: &BatchHeader, expected: Option<Offset>) -> Option<Result<AppendedAt, StorageError>> {
        let refused = |refusal| Some(Err(StorageError::Refused(refusal)));
        let base = header.base_offset;
        let stamp = header.producer();
        // Only who has a stamp needs to know the time.
        let now_ms = stamp.map_or(0, |_| wall_clock_ms());
        match stamp.map(|stamp| self.producers.check(stamp, header.offsets(), now_ms)) {
            Some(Ok(Verdict::Duplicate { base_offset })) => {
                let end = Offset(base_offset.0 + u64::from(header.offsets()));
                return Some(Ok(AppendedAt {
                    base_offset,
                    end,
                    bytes: header.bytes as u64,
                    duplicate: true,
                    readable: true,
                }));
            }
            Some(Err(refusal)) => return refused(refusal),
            Some(Ok(Verdict::Append)) | None => {}
        }
        if expected.is_some_and(|expected| expected != base) {
            return refused(AppendRefusal::OffsetMismatch { end: base });
        }
        if let Some(stamp) = stamp {
            self.producers.note(stamp, header.offsets(), base, now_ms);
            self.log.note_stamped();
        }
        None
    }
}
