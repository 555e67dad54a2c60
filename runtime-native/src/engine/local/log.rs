//! One log as readers and the writer share it: its segments, and where each of them ends.

use std::{
    io::{self, IoSlice},
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
};

use takhin_core::{LogId, Offset, TopicConfig};

use super::{
    disk::{DiskFile, write_all},
    files::Files,
    index::{OFFSET_ENTRY, SparseIndex, TIME_ENTRY},
    layout::{FileKey, FileKind},
    producers::wall_clock_ms,
};
use crate::record::BatchHeader;

/// A log. Its locks are held for a moment only, never over a call to the disk, but for the one of whoever replaces
/// segments: it is waited for only by a read that has failed.
#[derive(Debug)]
pub(super) struct Log {
    pub(super) id: LogId,
    pub(super) directory: PathBuf,
    segments: RwLock<Arc<[Arc<Segment>]>>,
    config: RwLock<TopicConfig>,
    /// Held while segments are replaced or removed, over calls to the disk.
    replacing: Mutex<()>,
    /// Whether an idempotent producer has written to it.
    stamped: AtomicBool,
    deleted: AtomicBool,
}

impl Log {
    /// A log of at least one segment.
    pub(super) fn new(id: LogId, directory: PathBuf, segments: Vec<Arc<Segment>>) -> Self {
        Self {
            id,
            directory,
            segments: RwLock::new(segments.into()),
            config: RwLock::default(),
            replacing: Mutex::default(),
            stamped: AtomicBool::new(false),
            deleted: AtomicBool::new(false),
        }
    }

    /// How it is kept.
    pub(super) fn config(&self) -> TopicConfig {
        *self.config.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps it in this way from now on.
    pub(super) fn configure(&self, config: TopicConfig) {
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = config;
    }

    /// A segment with at least this size takes no more batches.
    pub(super) fn segment_bytes(&self) -> u64 {
        self.config().segment_bytes.unsigned_abs()
    }

    /// Its segments, oldest first; the last one is being written.
    pub(super) fn segments(&self) -> Arc<[Arc<Segment>]> {
        Arc::clone(&self.segments.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn push_segment(&self, segment: Arc<Segment>) {
        let mut segments = self.segments.write().unwrap_or_else(PoisonError::into_inner);
        *segments = segments.iter().cloned().chain([segment]).collect();
    }

    /// Its segments once no replacement is under way.
    pub(super) fn settled_segments(&self) -> Arc<[Arc<Segment>]> {
        let _settled = self.begin_replacing();
        self.segments()
    }

    /// Until this is dropped, files of segments may be missing that the list still has.
    pub(super) fn begin_replacing(&self) -> MutexGuard<'_, ()> {
        self.replacing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the segments that end at or before `start` out of the list, but for the last one. Gives them.
    pub(super) fn forget_before(&self, start: Offset) -> Vec<Arc<Segment>> {
        let mut segments = self.segments.write().unwrap_or_else(PoisonError::into_inner);
        let count = segments.partition_point(|segment| segment.base <= start).saturating_sub(1);
        let (gone, kept) = segments.split_at(count);
        let (gone, kept) = (gone.to_vec(), kept.into());
        *segments = kept;
        gone
    }

    /// Puts `new` in the place of the segments `old`, which stand one behind the other in the list.
    pub(super) fn replace(&self, old: &[Arc<Segment>], new: &Arc<Segment>) {
        let mut segments = self.segments.write().unwrap_or_else(PoisonError::into_inner);
        let is_old = |segment: &Arc<Segment>| old.iter().any(|other| Arc::ptr_eq(other, segment));
        let kept = segments.iter().filter(|segment| !is_old(segment)).chain([new]);
        let mut kept: Vec<_> = kept.cloned().collect();
        kept.sort_by_key(|segment| segment.base);
        *segments = kept.into();
    }

    /// An idempotent producer has written to it.
    pub(super) fn note_stamped(&self) {
        self.stamped.store(true, Ordering::Relaxed);
    }

    /// Whether headers of its batches may still be needed to know a producer again.
    pub(super) fn is_stamped(&self) -> bool {
        self.stamped.load(Ordering::Relaxed)
    }

    pub(super) fn key(&self, segment: &Segment, kind: FileKind) -> FileKey {
        FileKey { log: self.id, base: segment.base, generation: segment.generation, kind }
    }

    pub(super) fn open(&self, files: &Files, segment: &Segment, kind: FileKind) -> io::Result<Arc<dyn DiskFile>> {
        files.open(self.key(segment, kind), &self.directory, false)
    }

    pub(super) fn mark_deleted(&self) {
        self.deleted.store(true, Ordering::Release);
    }

    pub(super) fn is_deleted(&self) -> bool {
        self.deleted.load(Ordering::Acquire)
    }
}

/// A part of a log: one file of batches with no gap between their offsets, and its two indexes.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) base: Offset,
    /// How often it was replaced.
    pub(super) generation: u32,
    /// When this process began to write it or found it, on the wall clock.
    pub(super) since_ms: i64,
    size: AtomicU64,
    max_timestamp: AtomicI64,
    index: RwLock<Index>,
    /// Held while the index files are written, so that an older state never replaces a newer one. Readers don't
    /// take it.
    saving: Mutex<()>,
    /// Why it could not be synced once. The system tells of that once, and then may know nothing of it.
    unsynced: OnceLock<String>,
}

/// Where a segment's index is.
#[derive(Debug)]
pub(super) enum Index {
    /// In memory, and in the files at most up to the last checkpoint.
    Open(SparseIndex),
    /// In the files, which have so many entries.
    Sealed { offsets: u64, times: u64 },
}

impl Segment {
    /// A segment without a batch.
    pub(super) fn empty(base: Offset) -> Self {
        Self::new(base, 0, i64::MIN, Index::Open(SparseIndex::default()))
    }

    /// A segment as it was found.
    pub(super) fn new(base: Offset, size: u64, max_timestamp: i64, index: Index) -> Self {
        let (size, max_timestamp) = (AtomicU64::new(size), AtomicI64::new(max_timestamp));
        let index = RwLock::new(index);
        let (saving, unsynced) = (Mutex::default(), OnceLock::new());
        Self { base, generation: 0, since_ms: wall_clock_ms(), size, max_timestamp, index, saving, unsynced }
    }

    /// The same in the place of one that had this generation.
    #[must_use]
    pub(super) fn succeeding(self, generation: u32) -> Self {
        Self { generation: generation.wrapping_add(1), ..self }
    }

    /// How many bytes of batches there are.
    pub(super) fn size(&self) -> u64 {
        self.size.load(Ordering::Acquire)
    }

    /// The greatest timestamp, `i64::MIN` if there are no batches.
    pub(super) fn max_timestamp(&self) -> i64 {
        self.max_timestamp.load(Ordering::Acquire)
    }

    /// Takes the batches in that the writer has put at the end, and shows them to readers.
    pub(super) fn commit<'a>(&self, batches: impl Iterator<Item = (&'a BatchHeader, u64)>) {
        let mut size = self.size();
        if let Index::Open(index) = &mut *self.index.write().unwrap_or_else(PoisonError::into_inner) {
            for (header, position) in batches {
                index.note(self.base, header, position);
                size = position + header.bytes as u64;
            }
            self.max_timestamp.store(index.max_timestamp().unwrap_or(i64::MIN), Ordering::Release);
        }
        self.size.store(size, Ordering::Release);
    }

    /// Looks at the index; `look` must not call the disk.
    pub(super) fn with_index<T>(&self, look: impl FnOnce(&Index) -> T) -> T {
        look(&self.index.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Makes its batches durable. After an error no further try succeeds.
    pub(super) fn sync(&self, log: &Log, files: &Files) -> io::Result<()> {
        if let Some(why) = self.unsynced.get() {
            return Err(io::Error::other(why.clone()));
        }
        let file = log.open(files, self, FileKind::Log)?;
        file.sync_data().inspect_err(|error| {
            // Whoever was first has said why.
            let _ = self.unsynced.set(error.to_string());
        })
    }

    /// Writes the index to its files. `seal` also takes it out of memory, once the segment is full.
    /// After an error the index stays in memory, and nothing is lost.
    pub(super) fn save_index(&self, log: &Log, files: &Files, seal: bool) -> io::Result<()> {
        let _saving = self.saving.lock().unwrap_or_else(PoisonError::into_inner);
        let encoded = match &mut *self.index.write().unwrap_or_else(PoisonError::into_inner) {
            Index::Open(index) => index.encode(seal),
            Index::Sealed { .. } => return Ok(()),
        };
        for (kind, bytes) in [(FileKind::Index, &encoded.0), (FileKind::TimeIndex, &encoded.1)] {
            let file = files.open(log.key(self, kind), &log.directory, true)?;
            file.set_len(bytes.len() as u64)?;
            write_all(&*file, &mut [IoSlice::new(bytes)], 0)?;
        }
        if seal {
            let offsets = (encoded.0.len() / OFFSET_ENTRY) as u64;
            let times = (encoded.1.len() / TIME_ENTRY) as u64;
            *self.index.write().unwrap_or_else(PoisonError::into_inner) = Index::Sealed { offsets, times };
        }
        Ok(())
    }
}
