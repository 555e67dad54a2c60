//! Opening one log's segments, and cutting off what a crash has left half done.

use std::{
    io,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use takhin_core::{LogId, Offset, Producers};

use super::{
    aside,
    checkpoint::Dirty,
    disk::{self, DiskFile, TEMPORARY, read_full},
    files::Files,
    index::{OFFSET_ENTRY, Place, SparseIndex, TIME_ENTRY, decode_offset, decode_time},
    layout::{self, FileKey, FileKind, segment_file},
    listing::Listing,
    log::{Index, Log, Segment},
    report::{RecoveryNote, RecoveryReport},
    tail::Tail,
    walk::Walk,
};

/// Opens a log that begins at `start` and is durable up to `point`; makes what of it isn't there.
pub(super) fn open_log(
    files: &Files,
    listing: &Listing<'_>,
    id: LogId,
    start: Offset,
    point: Offset,
    dirty: &mut Dirty,
    report: &mut RecoveryReport,
) -> io::Result<Tail> {
    let (directory, bases) = (listing.directory, listing.bases(FileKind::Log));
    remove_leftovers(listing, &bases, report)?;
    let (segments, touched) = (Vec::new(), Vec::new());
    let mut repair = Repair { files, listing, directory, id, point, report, segments, end: start, touched };
    let verify_from = bases.partition_point(|&base| base <= point).saturating_sub(1);
    let made = bases.is_empty();
    for (at, &base) in bases.iter().enumerate() {
        if at < verify_from {
            repair.trust(base)?;
        } else if at == verify_from || base == repair.end {
            repair.verify(base)?;
        } else {
            repair.discard(base)?;
        }
    }
    let end = repair.end;
    let touched = repair.touched;
    let mut segments = repair.segments;
    if segments.is_empty() {
        segments.push(Arc::new(Segment::empty(start)));
    }
    let log = Arc::new(Log::new(id, directory.to_owned(), segments));
    let all = log.segments();
    let active = Arc::clone(&all[all.len() - 1]);
    files.open(log.key(&active, FileKind::Log), directory, true)?;
    for segment in &all[..all.len() - 1] {
        segment.save_index(&log, files, true)?;
    }
    if made {
        dirty.new_log(&log);
        dirty.segment(&log, &active);
    }
    for segment in &touched {
        dirty.segment(&log, segment);
    }
    let mut tail = Tail { log, size: active.size(), active, end, producers: Producers::default(), behind: 0 };
    if end < point {
        report.notes.push(RecoveryNote::MissingRecords { log: id, from: end, to: point });
        tail.roll(files, dirty, point)?;
    }
    Ok(tail)
}

/// Removes files that belong to none of the segments at `bases`.
fn remove_leftovers(listing: &Listing<'_>, bases: &[Offset], report: &mut RecoveryReport) -> io::Result<()> {
    for name in listing.names() {
        let index = [FileKind::Index, FileKind::TimeIndex];
        let index = index.iter().find_map(|kind| layout::number(name, kind.extension()));
        let orphan = index.is_some_and(|base| bases.binary_search(&Offset(base)).is_err());
        if orphan || name.ends_with(TEMPORARY) {
            let path = listing.directory.join(name);
            listing.disk.remove_file(&path)?;
            report.notes.push(RecoveryNote::Leftover { path });
        }
    }
    Ok(())
}

struct Repair<'a> {
    files: &'a Files,
    listing: &'a Listing<'a>,
    directory: &'a Path,
    id: LogId,
    point: Offset,
    report: &'a mut RecoveryReport,
    segments: Vec<Arc<Segment>>,
    /// The offset after the last whole batch.
    end: Offset,
    /// The segments that are not, or not in all of their files, known to be durable.
    touched: Vec<Arc<Segment>>,
}

impl Repair<'_> {
    /// Opens a full segment that was durable. Only its index is looked at.
    fn trust(&mut self, base: Offset) -> io::Result<()> {
        self.note_missing(base);
        let file = self.open(base)?;
        let size = file.byte_len()?;
        if size == 0 {
            // Where records went missing before.
            self.end = base;
            self.push(Segment::empty(base), false);
            return Ok(());
        }
        if let Some((index, max_timestamp, end)) = self.sealed_index(base, &*file, size)? {
            self.end = end;
            self.push(Segment::new(base, size, max_timestamp, index), false);
            return Ok(());
        }
        let mut walk = Walk::new(&*file, size);
        let (index, size, end) = self.walk(base, &mut walk, SparseIndex::default(), None)?;
        self.report.notes.push(RecoveryNote::RebuiltIndex { path: self.path(base) });
        self.end = end;
        let max_timestamp = index.max_timestamp().unwrap_or(i64::MIN);
        self.push(Segment::new(base, size, max_timestamp, Index::Open(index)), true);
        Ok(())
    }

    /// Opens a segment that may end in anything: verifies what lies behind the point.
    fn verify(&mut self, base: Offset) -> io::Result<()> {
        self.note_missing(base);
        let file = self.open(base)?;
        let size = file.byte_len()?;
        let mut index = self.saved_index(base, size)?;
        let mut place = index.reopen_last(base);
        let (mut walk, mut rebuilt) = (Walk::new(&*file, size), false);
        if let Some(found) = place {
            let header = walk.header(found.position, base, true)?;
            if header.is_none_or(|header| header.last_offset != found.last_offset) {
                self.report.notes.push(RecoveryNote::RebuiltIndex { path: self.path(base) });
                (index, place, rebuilt) = (SparseIndex::default(), None, true);
            }
        }
        let (index, kept, end) = self.walk(base, &mut walk, index, place)?;
        if kept < size {
            self.keep_aside(base, &*file, kept..size, end)?;
            file.set_len(kept)?;
            file.sync_all()?;
        }
        self.end = end;
        let indexed = [FileKind::Index, FileKind::TimeIndex];
        let indexed = indexed.iter().all(|kind| self.listing.has_segment_file(base, *kind));
        let touched = kept < size || end > self.point || kept > 0 && (!indexed || rebuilt);
        let max_timestamp = index.max_timestamp().unwrap_or(i64::MIN);
        self.push(Segment::new(base, kept, max_timestamp, Index::Open(index)), touched);
        Ok(())
    }

    /// What the index files of a segment of so many bytes say of the part before the point.
    fn saved_index(&self, base: Offset, size: u64) -> io::Result<SparseIndex> {
        let read = |kind, entries: usize, entry_bytes: usize| -> io::Result<Vec<u8>> {
            // A file that can have nothing to say need not be opened.
            if entries == 0 || !self.listing.has_segment_file(base, kind) {
                return Ok(Vec::new());
            }
            let path = segment_file(self.directory, base, kind);
            let file = disk::read_beginning(self.files.disk(), &path, entries.saturating_mul(entry_bytes))?;
            Ok(file.unwrap_or_default())
        };
        let offsets = read(FileKind::Index, SparseIndex::most_entries(size), OFFSET_ENTRY)?;
        // A time is of use only where an offset's entry is.
        let times = read(FileKind::TimeIndex, offsets.len() / OFFSET_ENTRY, TIME_ENTRY)?;
        let before = Place { last_offset: self.point, position: size };
        Ok(SparseIndex::decode(&offsets, &times, base, before))
    }

    /// Tells of records that no segment before the one at `base` has.
    fn note_missing(&mut self, base: Offset) {
        if self.end < base {
            self.report.notes.push(RecoveryNote::MissingRecords { log: self.id, from: self.end, to: base });
        }
    }

    fn push(&mut self, segment: Segment, touched: bool) {
        let segment = Arc::new(segment);
        if touched {
            self.touched.push(Arc::clone(&segment));
        }
        self.segments.push(segment);
    }

    /// Removes a segment that doesn't follow the one before it.
    fn discard(&mut self, base: Offset) -> io::Result<()> {
        let path = self.path(base);
        let file = self.open(base)?;
        self.keep_aside(base, &*file, 0..file.byte_len()?, base)?;
        drop(file);
        self.files.close(FileKey { log: self.id, base, generation: 0, kind: FileKind::Log });
        self.files.disk().remove_file(&path)?;
        for kind in [FileKind::Index, FileKind::TimeIndex] {
            match self.files.disk().remove_file(&segment_file(self.directory, base, kind)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    /// Keeps what is going to be cut off a segment, as far as it is worth that.
    fn keep_aside(&mut self, base: Offset, file: &dyn DiskFile, cut: Range<u64>, expected: Offset) -> io::Result<()> {
        let path = self.path(base);
        let (position, bytes) = (cut.start, cut.end - cut.start);
        let cut_off = aside::keep(self.files.disk(), self.id, &path, file, cut, expected)?;
        self.report.notes.push(RecoveryNote::TornSegment { path, position, bytes, cut_off });
        Ok(())
    }

    /// Goes through a segment from `place` on. Gives the index, where the last whole batch ends, and the offset
    /// behind it. Damage before the point is passed over.
    fn walk(
        &mut self,
        base: Offset,
        walk: &mut Walk<'_>,
        mut index: SparseIndex,
        place: Option<Place>,
    ) -> io::Result<(SparseIndex, u64, Offset)> {
        let (size, mut position, mut expected) = (walk.end(), 0, base);
        if let Some(place) = place
            && let Some(header) = walk.header(place.position, base, true)?
        {
            (position, expected) = (place.position, header.base_offset);
        }
        while position < size {
            let durable = expected < self.point;
            let header = match walk.whole(position, expected, false)? {
                Some(header) => header,
                None if !durable => break,
                None => {
                    let path = self.path(base);
                    self.report.notes.push(RecoveryNote::DamagedSegment { path, position });
                    match walk.next_whole(position, expected)? {
                        Some((next, header)) => {
                            position = next;
                            header
                        }
                        None => return Ok((index, size, expected)),
                    }
                }
            };
            if !durable {
                self.report.verified_bytes += header.bytes as u64;
            }
            index.note(base, &header, position);
            position += header.bytes as u64;
            expected = header.end_offset();
        }
        Ok((index, position, expected))
    }

    /// A full segment's index files, if they look whole, its greatest timestamp, and the offset behind it. A wrong
    /// entry in the middle is met by whoever reads through it.
    fn sealed_index(&self, base: Offset, file: &dyn DiskFile, size: u64) -> io::Result<Option<(Index, i64, Offset)>> {
        let disk = self.files.disk();
        let last = |kind, entry: usize| -> io::Result<Option<(u64, Vec<u8>)>> {
            let index = match disk.open(&segment_file(self.directory, base, kind), false) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                opened => opened?,
            };
            let (length, entry) = (index.byte_len()?, entry as u64);
            if !length.is_multiple_of(entry) {
                return Ok(None);
            }
            let mut bytes = vec![0; usize::try_from(entry.min(length)).unwrap_or_default()];
            read_full(&*index, &mut bytes, length.saturating_sub(entry))?;
            Ok(Some((length / entry, bytes)))
        };
        let Some((offsets, offset_bytes)) = last(FileKind::Index, OFFSET_ENTRY)? else {
            return Ok(None);
        };
        let Some((times, time_bytes)) = last(FileKind::TimeIndex, TIME_ENTRY)? else {
            return Ok(None);
        };
        let last_place = offset_bytes.first_chunk().map(|&entry| {
            let (relative, position) = decode_offset(entry);
            Place { last_offset: Offset(base.0 + u64::from(relative)), position: u64::from(position) }
        });
        let (Some(end), Some(&entry)) = (end_behind(last_place, base, file, size)?, time_bytes.first_chunk()) else {
            return Ok(None);
        };
        Ok(Some((Index::Sealed { offsets, times }, decode_time(entry).0, end)))
    }

    fn open(&self, base: Offset) -> io::Result<Arc<dyn DiskFile>> {
        let key = FileKey { log: self.id, base, generation: 0, kind: FileKind::Log };
        self.files.open(key, self.directory, false)
    }

    fn path(&self, base: Offset) -> PathBuf {
        segment_file(self.directory, base, FileKind::Log)
    }
}

/// The offset behind a full segment, by the headers from its last index entry on; `None` if they don't fit.
fn end_behind(last: Option<Place>, base: Offset, file: &dyn DiskFile, size: u64) -> io::Result<Option<Offset>> {
    let mut walk = Walk::new(file, size);
    let (mut position, mut expected) = (0, base);
    if let Some(last) = last {
        let header = walk.header(last.position, base, true)?;
        let Some(header) = header.filter(|header| header.last_offset == last.last_offset) else {
            return Ok(None);
        };
        (position, expected) = (last.position + header.bytes as u64, header.end_offset());
    }
    while position < size {
        let Some(header) = walk.header(position, expected, false)? else {
            return Ok(None);
        };
        (position, expected) = (position + header.bytes as u64, header.end_offset());
    }
    Ok(Some(expected))
}
