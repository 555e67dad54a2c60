//! Reading records: whole batches from the files into the caller's chunk, and no other copy.
//!
//! A read finds its place through the index and takes one read of the file in most cases. Every batch given is
//! checked against its checksum, its offset against its neighbours'. If anything doesn't fit, the read goes
//! through the segment from its beginning, verifies every batch on the way, and tells precisely what is damaged.

use std::{
    collections::HashMap,
    io,
    sync::{Arc, PoisonError, RwLock},
};

use rustc_hash::FxBuildHasher;
use takhin_core::{LogId, Offset};

use super::{
    collect::{Collector, Step},
    disk::DiskFile,
    files::Files,
    index::{OFFSET_ENTRY, Place, TIME_ENTRY, decode_offset, decode_time},
    layout::{FileKind, segment_file},
    log::{Index, Log, Segment},
    walk::Walk,
};
use crate::engine::{Chunk, ReadError, ReadMode, ReadOutcome, ReadPart};

/// What readers and the writer share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) files: Files,
    pub(super) logs: RwLock<HashMap<LogId, Arc<Log>, FxBuildHasher>>,
}

impl Shared {
    pub(super) fn log(&self, id: LogId) -> Option<Arc<Log>> {
        self.logs.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }
}

/// Reads records. Clones share open files; no reader waits for another or for the writer.
#[derive(Clone, Debug)]
pub struct Reader {
    shared: Arc<Shared>,
}

/// Why a look at a file gave nothing.
#[derive(Debug)]
pub(super) enum Unread {
    /// It would have had to wait.
    WouldBlock,
    /// The bytes don't make sense.
    Inconsistent,
    /// The file system failed.
    Io(io::Error),
}

impl From<io::Error> for Unread {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::WouldBlock { Self::WouldBlock } else { Self::Io(error) }
    }
}

impl Reader {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Reads records from `part.from` on and appends their batches to `out`; [`Chunk::records`] gives them.
    ///
    /// No records and no error: the log ends at or before `part.from`, or nothing was asked for.
    ///
    /// # Errors
    /// See [`ReadError`]; nothing has been appended to `out` then.
    pub fn read(&self, part: &ReadPart, mode: ReadMode, out: &mut Chunk) -> Result<ReadOutcome, ReadError> {
        self.read_as(part, mode, false, out)
    }

    /// The same, of batches as they are stored: whole, compressed if they are, from the one that holds `part.from` to
    /// the one with which a limit is reached. [`Chunk::stored`] gives them.
    ///
    /// # Errors
    /// As for [`Reader::read`].
    pub fn read_stored(&self, part: &ReadPart, mode: ReadMode, out: &mut Chunk) -> Result<ReadOutcome, ReadError> {
        self.read_as(part, mode, true, out)
    }

    fn read_as(
        &self,
        part: &ReadPart,
        mode: ReadMode,
        stored: bool,
        out: &mut Chunk,
    ) -> Result<ReadOutcome, ReadError> {
        let log = self.shared.log(part.log).ok_or(ReadError::Deleted)?;
        let (mut segments, start) = (log.segments(), out.filled());
        loop {
            let error = match self.read_segments(&log, &segments, (part, stored), mode, out) {
                Err(error @ (ReadError::Corrupt { .. } | ReadError::Failed(_))) => error,
                settled => return settled,
            };
            out.truncate(start);
            // What was read may have been replaced or removed in the meantime, and is no longer where it was looked for.
            let now = if mode == ReadMode::NoWait { log.segments() } else { log.settled_segments() };
            match mode {
                _ if Arc::ptr_eq(&now, &segments) => return Err(error),
                ReadMode::NoWait => return Err(ReadError::WouldBlock),
                ReadMode::Blocking => segments = now,
            }
        }
    }

    fn read_segments(
        &self,
        log: &Log,
        segments: &[Arc<Segment>],
        (part, stored): (&ReadPart, bool),
        mode: ReadMode,
        out: &mut Chunk,
    ) -> Result<ReadOutcome, ReadError> {
        let Some(first) = segments.partition_point(|segment| segment.base <= part.from).checked_sub(1) else {
            let start = segments.first().map_or(Offset(0), |segment| segment.base);
            return Err(ReadError::BeforeStart { start });
        };
        let start = out.filled();
        let collector = Collector::new(part, out);
        let mut collector = if stored { collector.of_stored() } else { collector };
        for (at, segment) in segments.iter().enumerate().skip(first) {
            if collector.is_full() {
                break;
            }
            let reached = collector.target(part.from);
            if reached < segment.base.min(part.to) {
                // Offsets are dense, so there were records. Those before them are given first.
                if !collector.is_empty() {
                    break;
                }
                return Err(missing(log, reached, segment.base));
            }
            if segment.base >= part.to {
                break;
            }
            let next_base = segments.get(at + 1).map(|segment| segment.base);
            match self.read_segment(log, segment, next_base, mode, &mut collector) {
                Ok(()) => {}
                // What was read before is given first; the next read meets the error again.
                Err(_) if !collector.is_empty() => break,
                Err(error) => {
                    out.truncate(start);
                    return Err(error);
                }
            }
        }
        Ok(collector.finish())
    }

    /// The earliest record before `to` whose timestamp is at least `timestamp_ms`, and its timestamp. May wait
    /// for the disk. Damaged records are passed over.
    ///
    /// # Errors
    /// As for [`Reader::read`], except [`ReadError::WouldBlock`] and [`ReadError::Corrupt`].
    pub fn lookup_time(&self, log: LogId, timestamp_ms: i64, to: Offset) -> Result<Option<(Offset, i64)>, ReadError> {
        let shared = self.shared.log(log).ok_or(ReadError::Deleted)?;
        let Some(mut from) = self.where_time_may_be(&shared, timestamp_ms)? else { return Ok(None) };
        let mut chunk = Chunk::default();
        while from < to {
            let part = ReadPart { log, from, to, max_bytes: 256 << 10, max_records: u32::MAX };
            chunk.clear();
            match self.read(&part, ReadMode::Blocking, &mut chunk) {
                Ok(outcome) if outcome.records == 0 => return Ok(None),
                Ok(outcome) => {
                    if let Some(found) = chunk.records(&outcome).find(|record| record.timestamp_ms >= timestamp_ms) {
                        return Ok(Some((found.offset, found.timestamp_ms)));
                    }
                    from = outcome.next;
                }
                Err(ReadError::Corrupt { next_offset: Some(next), .. } | ReadError::BeforeStart { start: next }) => {
                    from = next;
                }
                Err(ReadError::Corrupt { next_offset: None, .. }) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// An offset before which nothing is as late as a time; [`None`] if nothing at all is.
    fn where_time_may_be(&self, log: &Log, timestamp_ms: i64) -> Result<Option<Offset>, ReadError> {
        let mut segments = log.segments();
        loop {
            let Some(segment) = segments.iter().find(|segment| segment.max_timestamp() >= timestamp_ms) else {
                return Ok(None);
            };
            let floor = self.floor_time(log, segment, timestamp_ms);
            let now = if floor.is_ok() { Arc::clone(&segments) } else { log.settled_segments() };
            if Arc::ptr_eq(&now, &segments) {
                let floor = floor.map_err(|error| failed(log, error))?;
                return Ok(Some(floor.unwrap_or(segment.base)));
            }
            segments = now;
        }
    }

    #[cfg(test)]
    pub(super) fn open_files(&self) -> usize {
        self.shared.files.count()
    }

    fn read_segment(
        &self,
        log: &Log,
        segment: &Segment,
        next_base: Option<Offset>,
        mode: ReadMode,
        collector: &mut Collector<'_>,
    ) -> Result<(), ReadError> {
        let size = segment.size();
        if size == 0 {
            return Ok(());
        }
        let attempt = self.floor(log, segment, collector.target(segment.base), mode).and_then(|place| {
            let file = self.file(log, segment, FileKind::Log, mode)?;
            let start = match place {
                None => Step { position: 0, expected: Some(segment.base), ends_at: None },
                Some(place) => Step { position: place.position, expected: None, ends_at: Some(place.last_offset) },
            };
            collector.collect(&*file, size, start, mode)
        });
        match attempt {
            Ok(()) => Ok(()),
            Err(Unread::Inconsistent) if mode == ReadMode::NoWait => Err(ReadError::WouldBlock),
            Err(Unread::Inconsistent) if !collector.is_empty() => {
                collector.stop();
                Ok(())
            }
            Err(Unread::Inconsistent) => self.read_verified(log, segment, next_base, collector),
            Err(error) => Err(failed(log, error)),
        }
    }

    /// Goes through the segment from its beginning to the first record wanted, and reads from there.
    fn read_verified(
        &self,
        log: &Log,
        segment: &Segment,
        next_base: Option<Offset>,
        collector: &mut Collector<'_>,
    ) -> Result<(), ReadError> {
        let size = segment.size();
        let failed = |error: io::Error| failed(log, error.into());
        let file = log.open(&self.shared.files, segment, FileKind::Log).map_err(failed)?;
        let mut walk = Walk::new(&*file, size);
        let target = collector.target(segment.base);
        let (mut position, mut expected) = (0, segment.base);
        while position < size {
            let mut found = walk.whole(position, expected, false).map_err(failed)?;
            if found.is_none() {
                let next = walk.next_whole(position, expected).map_err(failed)?;
                let next_offset = next.map(|(_, header)| header.base_offset);
                if next_offset.is_none_or(|next| next > target) {
                    return Err(ReadError::Corrupt {
                        place: format!(
                            "{} at byte {position}",
                            segment_file(&log.directory, segment.base, FileKind::Log).display()
                        ),
                        offset: target.max(expected),
                        next_offset: next_offset.or(next_base),
                    });
                }
                if let Some((at, header)) = next {
                    (position, found) = (at, Some(header));
                }
            }
            let Some(header) = found else { break };
            if header.last_offset >= target {
                let start = Step { position, expected: Some(header.base_offset), ends_at: None };
                return match collector.collect(&*file, size, start, ReadMode::Blocking) {
                    Err(Unread::Inconsistent) if !collector.is_empty() => {
                        collector.stop();
                        Ok(())
                    }
                    // The batch was whole a moment ago.
                    Err(Unread::Inconsistent) => Err(ReadError::Failed("the file changes as it is read".to_owned())),
                    Err(Unread::WouldBlock) => Err(ReadError::WouldBlock),
                    Err(Unread::Io(error)) => Err(failed(error)),
                    Ok(()) => Ok(()),
                };
            }
            position += header.bytes as u64;
            expected = header.end_offset();
        }
        Ok(())
    }

    /// The index entry from which to look for `target`; `None` is the segment's beginning.
    fn floor(&self, log: &Log, segment: &Segment, target: Offset, mode: ReadMode) -> Result<Option<Place>, Unread> {
        let sealed = segment.with_index(|index| match index {
            Index::Open(index) => Err(index.floor(segment.base, target)),
            Index::Sealed { offsets, .. } => Ok(*offsets),
        });
        let entries = match sealed {
            Err(found) => return Ok(found),
            Ok(entries) => entries,
        };
        let file = self.file(log, segment, FileKind::Index, mode)?;
        let relative = target.0 - segment.base.0;
        let last =
            search::<OFFSET_ENTRY>(&*file, entries, mode, |entry| u64::from(decode_offset(entry).0) <= relative)?;
        Ok(last.map(decode_offset).map(|(relative, position)| Place {
            last_offset: Offset(segment.base.0 + u64::from(relative)),
            position: u64::from(position),
        }))
    }

    fn floor_time(&self, log: &Log, segment: &Segment, timestamp_ms: i64) -> Result<Option<Offset>, Unread> {
        let sealed = segment.with_index(|index| match index {
            Index::Open(index) => Err(index.floor_time(segment.base, timestamp_ms)),
            Index::Sealed { times, .. } => Ok(*times),
        });
        let entries = match sealed {
            Err(found) => return Ok(found),
            Ok(entries) => entries,
        };
        let mode = ReadMode::Blocking;
        let file = self.file(log, segment, FileKind::TimeIndex, mode)?;
        let last = search::<TIME_ENTRY>(&*file, entries, mode, |entry| decode_time(entry).0 < timestamp_ms)?;
        Ok(last.map(|entry| Offset(segment.base.0 + u64::from(decode_time(entry).1))))
    }

    fn file(&self, log: &Log, segment: &Segment, kind: FileKind, mode: ReadMode) -> Result<Arc<dyn DiskFile>, Unread> {
        match mode {
            ReadMode::NoWait => self.shared.files.get(log.key(segment, kind)).ok_or(Unread::WouldBlock),
            ReadMode::Blocking => Ok(log.open(&self.shared.files, segment, kind)?),
        }
    }
}

fn failed(log: &Log, error: Unread) -> ReadError {
    match error {
        _ if log.is_deleted() => ReadError::Deleted,
        Unread::WouldBlock => ReadError::WouldBlock,
        Unread::Inconsistent => ReadError::Failed("an index is shorter than it was".to_owned()),
        Unread::Io(error) => ReadError::Failed(format!("{}: {error}", log.directory.display())),
    }
}

/// What is told of offsets that were given out and of which no file has the records.
fn missing(log: &Log, from: Offset, to: Offset) -> ReadError {
    let place = format!("{}: records {} to {} are missing", log.directory.display(), from.0, to.0);
    ReadError::Corrupt { place, offset: from, next_offset: Some(to) }
}

/// Fills `bytes`, all of which are within the file.
pub(super) fn read_within(file: &dyn DiskFile, bytes: &mut [u8], position: u64, mode: ReadMode) -> Result<(), Unread> {
    let wanted = bytes.len();
    let read = match mode {
        ReadMode::Blocking => super::disk::read_full(file, bytes, position)?,
        ReadMode::NoWait => file.read_cached_at(bytes, position)?,
    };
    match mode {
        _ if read == wanted => Ok(()),
        ReadMode::NoWait => Err(Unread::WouldBlock),
        ReadMode::Blocking => Err(Unread::Inconsistent),
    }
}

/// The last of `entries` sorted entries for which `before` holds.
fn search<const N: usize>(
    file: &dyn DiskFile,
    entries: u64,
    mode: ReadMode,
    before: impl Fn([u8; N]) -> bool,
) -> Result<Option<[u8; N]>, Unread> {
    let (mut low, mut high, mut last) = (0, entries, None);
    while low < high {
        let middle = low + (high - low) / 2;
        let mut entry = [0; N];
        read_within(file, &mut entry, middle * N as u64, mode)?;
        if before(entry) {
            (low, last) = (middle + 1, Some(entry));
        } else {
            high = middle;
        }
    }
    Ok(last)
}
