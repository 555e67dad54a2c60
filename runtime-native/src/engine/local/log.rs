//! One log as readers and the writer share it: its segments, and where each of them ends.

use std::{
    io::{self, IoSlice},
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering},
    },
};

use takhin_core::{LogId, Offset, TopicConfig};

use super::{
    disk::{DiskFile, write_all},
    files::Files,
    index::{OFFSET_ENTRY, SparseIndex, TIME_ENTRY},
    layout::{FileKey, FileKind},
};
use crate::record::BatchHeader;

/// A log. Its locks are held for a moment only, never over a call to the disk.
#[derive(Debug)]
pub(super) struct Log {
    pub(super) id: LogId,
    pub(super) directory: PathBuf,
    segments: RwLock<Arc<[Arc<Segment>]>>,
    config: RwLock<TopicConfig>,
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

    pub(super) fn key(&self, base: Offset, kind: FileKind) -> FileKey {
        FileKey { log: self.id, base, kind }
    }

    pub(super) fn open(&self, files: &Files, base: Offset, kind: FileKind) -> io::Result<Arc<dyn DiskFile>> {
        files.open(self.key(base, kind), &self.directory, false)
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
    size: AtomicU64,
    max_timestamp: AtomicI64,
    index: RwLock<Index>,
    /// Held while the index files are written, so that an older state never replaces a newer one. Readers don't
    /// take it.
    saving: Mutex<()>,
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
        Self { base, size, max_timestamp, index: RwLock::new(index), saving: Mutex::new(()) }
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

    /// Writes the index to its files. `seal` also takes it out of memory, once the segment is full.
    /// After an error the index stays in memory, and nothing is lost.
    pub(super) fn save_index(&self, log: &Log, files: &Files, seal: bool) -> io::Result<()> {
        let _saving = self.saving.lock().unwrap_or_else(PoisonError::into_inner);
        let encoded = match &mut *self.index.write().unwrap_or_else(PoisonError::into_inner) {
            Index::Open(index) => index.encode(seal),
            Index::Sealed { .. } => return Ok(()),
        };
        for (kind, bytes) in [(FileKind::Index, &encoded.0), (FileKind::TimeIndex, &encoded.1)] {
            let file = files.open(log.key(self.base, kind), &log.directory, true)?;
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
