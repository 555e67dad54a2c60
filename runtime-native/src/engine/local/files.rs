//! The files of segments that are open, of which there are never more than a set number (and those in use).

use std::{
    collections::HashMap,
    io,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use rustc_hash::FxBuildHasher;
use rustix::io::Errno;
use takhin_core::LogId;

use super::{
    disk::{Disk, DiskFile},
    layout::{FileKey, segment_file},
};

/// Opens files and keeps the ones last used open. Its lock is never held over a call to the disk.
#[derive(Debug)]
pub(super) struct Files {
    disk: Arc<dyn Disk>,
    limit: usize,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    files: HashMap<FileKey, (Arc<dyn DiskFile>, u64), FxBuildHasher>,
    uses: u64,
}

impl Files {
    /// At most `limit` files, of which at least 8.
    pub(super) fn new(disk: Arc<dyn Disk>, limit: usize) -> Self {
        Self { disk, limit: limit.max(8), open: Mutex::default() }
    }

    pub(super) fn shared_disk(&self) -> Arc<dyn Disk> {
        Arc::clone(&self.disk)
    }

    pub(super) fn disk(&self) -> &dyn Disk {
        &*self.disk
    }

    /// The file, if it is open.
    pub(super) fn get(&self, key: FileKey) -> Option<Arc<dyn DiskFile>> {
        let mut open = self.lock();
        open.uses += 1;
        let now = open.uses;
        let (file, used) = open.files.get_mut(&key)?;
        *used = now;
        Some(Arc::clone(file))
    }

    /// The file, opened if need be.
    pub(super) fn open(&self, key: FileKey, log_dir: &Path, create: bool) -> io::Result<Arc<dyn DiskFile>> {
        if let Some(file) = self.get(key) {
            return Ok(file);
        }
        let path = segment_file(log_dir, key.base, key.kind);
        let file = match self.disk.open(&path, create) {
            // The limit is more than the system allows, or others have the rest: make room, and try once more.
            Err(error) if too_many_are_open(&error) => {
                self.close_half();
                self.disk.open(&path, create)?
            }
            opened => opened?,
        };
        let mut open = self.lock();
        if open.files.len() >= self.limit {
            open.close_oldest(self.limit / 8);
        }
        let now = open.uses;
        open.files.insert(key, (Arc::clone(&file), now));
        Ok(file)
    }

    /// Closes all files of a log.
    pub(super) fn close_log(&self, log: LogId) {
        self.lock().files.retain(|key, _| key.log != log);
    }

    /// Closes one file.
    pub(super) fn close(&self, key: FileKey) {
        self.lock().files.remove(&key);
    }

    fn close_half(&self) {
        let mut open = self.lock();
        let half = open.files.len().div_ceil(2);
        if half > 0 {
            open.close_oldest(half);
        }
    }

    #[cfg(test)]
    pub(super) fn count(&self) -> usize {
        self.lock().files.len()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Open> {
        // Every change to the map is one call, so a panic elsewhere can't have left it half done.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn too_many_are_open(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE))
}

impl Open {
    /// Closing an eighth at a time makes the search for the oldest cheap per file.
    fn close_oldest(&mut self, count: usize) {
        let mut uses: Vec<_> = self.files.values().map(|&(_, used)| used).collect();
        let count = count.min(uses.len().saturating_sub(1));
        let (_, &mut limit, _) = uses.select_nth_unstable(count);
        self.files.retain(|_, (_, used)| *used > limit);
    }
}
