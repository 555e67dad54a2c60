//! Keeping the latest record of each key, a segment or a few at a time.
//!
//! ```text
//!   segments   | cleaned before | dirty ...................... | being written |
//!   1. map       the latest offset of each key ->| until the map is full
//!   2. rewrite   what the map has nothing later for stays ---->|
//! ```
//!
//! A pass maps as many keys as its bound allows and then rewrites all segments up to there; the next pass goes on
//! behind. So memory is bounded, and a log of many keys takes several passes. Segments are rewritten oldest first, and
//! each rewriting is durable before the next: a record that goes is never outlived by an older one of its key.
//!
//! Records keep their offsets; where records were, batches without any stand for them. A record without a value says
//! that its key is gone: it goes too, once it has been there for long enough to be seen. Records without a key stay.

use std::{
    collections::HashMap,
    hash::{BuildHasher, RandomState},
    io,
    sync::Arc,
};

use rustc_hash::FxBuildHasher;
use takhin_core::Offset;

use super::{
    layout::FileKind,
    log::{Index, Log, Segment},
    reader::Shared,
    replace::Replacement,
    walk::Walk,
};
use crate::record::{BatchHeader, RecordRef, Retained, filler, records, retain, unpack};

/// Segments that are put together into one at most.
const MAX_GROUP: usize = 16;
/// Offsets that one segment spans at most: its index has 31 bits for them.
const MAX_SPAN: u64 = 1 << 30;

/// One pass over one log.
#[derive(Debug)]
pub(super) struct Pass {
    pub(super) log: Arc<Log>,
    latest: Latest,
    /// Where the mapping has got to. Behind the mapping: the end of what is known.
    mapped: Offset,
    mapping: bool,
    /// The end of what may be cleaned.
    pub(super) end: Offset,
    /// The segment to rewrite next.
    next: Offset,
    /// A record without a value that is older goes.
    pub(super) tombstones_before_ms: i64,
}

/// How far a pass has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// There is more to do.
    More,
    /// It has ended, and everything before this offset is clean.
    CleanTo(Offset),
}

/// Why a pass can't go on.
#[derive(Debug, thiserror::Error)]
pub(super) enum CompactError {
    /// A segment is not as it was written. It stays as it is.
    #[error("the segment at {} is damaged", .0.0)]
    Damaged(Offset),
    /// The disk failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl Pass {
    /// A pass over what lies before `end`, of which everything before `clean_to` was cleaned already.
    pub(super) fn new(
        log: Arc<Log>,
        clean_to: Offset,
        end: Offset,
        tombstones_before_ms: i64,
        max_keys: usize,
    ) -> Self {
        let first = log.segments().first().map_or(end, |segment| segment.base);
        Self {
            log,
            latest: Latest::new(max_keys),
            mapped: clean_to.max(first),
            mapping: true,
            end,
            next: first,
            tombstones_before_ms,
        }
    }

    /// Does a piece of it: maps one segment, or rewrites a few.
    pub(super) fn step(&mut self, shared: &Shared) -> Result<Progress, CompactError> {
        let segments = self.log.segments();
        if self.mapping {
            self.map(shared, &segments)?;
            self.mapping = self.mapped < self.end && !self.latest.is_full();
            return Ok(Progress::More);
        }
        let group = self.group(&segments);
        let Some(behind) = group.last().and_then(|last| behind(&segments, last)) else {
            return Ok(Progress::CleanTo(self.mapped));
        };
        self.rewrite(shared, &group, behind)?;
        self.next = behind;
        Ok(if behind < self.mapped { Progress::More } else { Progress::CleanTo(self.mapped) })
    }

    /// Maps the keys of one segment, or of as much of it as there is room for.
    fn map(&mut self, shared: &Shared, segments: &[Arc<Segment>]) -> Result<(), CompactError> {
        let Some(at) = segments.partition_point(|segment| segment.base <= self.mapped).checked_sub(1) else {
            self.mapped = segments.first().map_or(self.end, |first| first.base.min(self.end));
            return Ok(());
        };
        let (latest, mapped) = (&mut self.latest, &mut self.mapped);
        for_each_batch(shared, &self.log, &segments[at], |header, batch| {
            if header.last_offset < *mapped || latest.is_full() {
                return Ok(());
            }
            let mut unpacked = Vec::new();
            unpack(batch, header, &mut unpacked).map_err(io::Error::other)?;
            for record in records(&unpacked) {
                let record = record.map_err(io::Error::other)?;
                if let Some(key) = record.key {
                    latest.note(key, record.offset);
                }
            }
            *mapped = header.end_offset();
            Ok(())
        })
    }

    /// The segments to rewrite next, as one.
    fn group(&self, segments: &[Arc<Segment>]) -> Vec<Arc<Segment>> {
        let limit = self.log.segment_bytes();
        let (mut group, mut bytes) = (Vec::new(), 0);
        let from = segments.partition_point(|segment| segment.base < self.next);
        for segment in segments[from..].iter().take_while(|segment| segment.base < self.mapped.min(self.end)) {
            bytes += segment.size();
            let span = behind(segments, segment).map_or(u64::MAX, |behind| behind.0 - self.next.0);
            if !group.is_empty() && (bytes > limit || span > MAX_SPAN || group.len() == MAX_GROUP) {
                break;
            }
            group.push(Arc::clone(segment));
        }
        group
    }

    fn rewrite(&self, shared: &Shared, group: &[Arc<Segment>], behind: Offset) -> Result<(), CompactError> {
        let Some(first) = group.first() else { return Ok(()) };
        let mut rewriting = Rewriting {
            out: Replacement::begin(shared.files.disk(), &self.log, first.base)?,
            covered: first.base,
            changed: group.len() > 1,
        };
        let mut result = Ok(());
        for segment in group {
            let each = |header: &BatchHeader, batch: &[u8]| rewriting.take(header, batch, |record| self.keeps(record));
            result = result.and_then(|()| for_each_batch(shared, &self.log, segment, each));
        }
        let result = result.and_then(|()| Ok(rewriting.fill_to(behind)?));
        if result.is_err() || !rewriting.changed {
            rewriting.out.discard(shared.files.disk())?;
            return result;
        }
        Ok(rewriting.out.finish(shared, &self.log, group)?)
    }

    fn keeps(&self, record: &RecordRef<'_>) -> bool {
        let Some(key) = record.key else { return true };
        let replaced = self.latest.of(key).is_some_and(|latest| latest > record.offset);
        let forgotten =
            record.value.is_none() && record.offset < self.mapped && record.timestamp_ms <= self.tombstones_before_ms;
        !replaced && !forgotten
    }
}

/// A segment on its way into another form.
#[derive(Debug)]
struct Rewriting {
    out: Replacement,
    /// The offset behind the last one that is written or stood for.
    covered: Offset,
    /// Whether anything is different from what it was.
    changed: bool,
}

impl Rewriting {
    fn take(&mut self, header: &BatchHeader, batch: &[u8], keep: impl FnMut(&RecordRef<'_>) -> bool) -> io::Result<()> {
        let mut left = Vec::new();
        let retained = retain(batch, header, keep, &mut left).map_err(io::Error::other)?;
        self.changed |= retained != Retained::All;
        // A batch without records stood for others, and is put together with what is now gone beside it.
        if retained == Retained::Nothing || header.records == 0 {
            return Ok(());
        }
        self.fill_to(header.base_offset)?;
        self.out.append(&left)?;
        self.covered = header.end_offset();
        Ok(())
    }

    /// Stands for all offsets up to there.
    fn fill_to(&mut self, offset: Offset) -> io::Result<()> {
        if self.covered < offset {
            self.out.append(&filler(self.covered, Offset(offset.0 - 1)))?;
            self.covered = offset;
        }
        Ok(())
    }
}

/// Where what follows a segment begins; `None` for the last one.
fn behind(segments: &[Arc<Segment>], segment: &Segment) -> Option<Offset> {
    let at = segments.partition_point(|other| other.base <= segment.base);
    segments.get(at).map(|next| next.base)
}

/// The end of what may be cleaned: segments that are no longer written, whose records are all old enough.
pub(super) fn cleanable_end(segments: &[Arc<Segment>], before_ms: i64) -> Offset {
    let sealed = |segment: &Segment| segment.with_index(|index| matches!(index, Index::Sealed { .. }));
    let full = segments.split_last().map_or(&[][..], |(_, full)| full);
    let count = full.iter().take_while(|segment| sealed(segment) && segment.max_timestamp() <= before_ms).count();
    segments.get(count).map_or(Offset(0), |segment| segment.base)
}

/// Looks at every batch of a segment, all of which must be whole.
fn for_each_batch(
    shared: &Shared,
    log: &Log,
    segment: &Segment,
    mut look: impl FnMut(&BatchHeader, &[u8]) -> io::Result<()>,
) -> Result<(), CompactError> {
    let damaged = || CompactError::Damaged(segment.base);
    let file = log.open(&shared.files, segment, FileKind::Log)?;
    let size = segment.size();
    let (mut walk, mut position, mut expected) = (Walk::new(&*file, size), 0, segment.base);
    while position < size {
        let header = walk.whole(position, expected, false)?.ok_or_else(damaged)?;
        let batch = walk.batch(position, &header)?.ok_or_else(damaged)?;
        look(&header, batch)?;
        (position, expected) = (position + header.bytes as u64, header.end_offset());
    }
    // Where records are missing, nothing may stand for them as if they had been taken out.
    match behind(&log.segments(), segment) {
        Some(next) if next != expected => Err(damaged()),
        _ => Ok(()),
    }
}

/// The latest offset of each key, by a hash of 128 bits that nobody outside can foretell.
struct Latest {
    hashers: [RandomState; 2],
    offsets: HashMap<u128, Offset, FxBuildHasher>,
    max_keys: usize,
}

impl Latest {
    fn new(max_keys: usize) -> Self {
        Self { hashers: [RandomState::new(), RandomState::new()], offsets: HashMap::default(), max_keys }
    }

    fn is_full(&self) -> bool {
        self.offsets.len() >= self.max_keys
    }

    fn note(&mut self, key: &[u8], offset: Offset) {
        self.offsets.insert(self.hash(key), offset);
    }

    fn of(&self, key: &[u8]) -> Option<Offset> {
        self.offsets.get(&self.hash(key)).copied()
    }

    fn hash(&self, key: &[u8]) -> u128 {
        let [high, low] = self.hashers.each_ref().map(|hasher| u128::from(hasher.hash_one(key)));
        high << 64 | low
    }
}

impl std::fmt::Debug for Latest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Latest").field("keys", &self.offsets.len()).finish_non_exhaustive()
    }
}
