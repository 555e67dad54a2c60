//! Making segments and a snapshot durable, and removing what is no longer needed, beside the writing.

use std::{
    collections::HashMap,
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        mpsc::{Receiver, RecvTimeoutError},
    },
};

use takhin_core::{LogId, Offset};

use super::{
    cleaner::Cleaner,
    disk::Disk,
    layout::{FileKind, Layout, metadata_file, segment_file},
    log::{Index, Log, Segment},
    parts::by_parts,
    queue::Queue,
    reader::Shared,
    snapshot::{self, Snapshot},
};

/// What has been written to since it was last made durable.
#[derive(Debug, Default)]
pub(super) struct Dirty {
    logs: HashMap<LogId, DirtyLog>,
}

#[derive(Debug)]
struct DirtyLog {
    log: Arc<Log>,
    segments: HashMap<Offset, Arc<Segment>>,
    /// Whether it has new files.
    names: bool,
    /// Whether the log itself is new.
    new: bool,
}

impl Dirty {
    pub(super) fn segment(&mut self, log: &Arc<Log>, segment: &Arc<Segment>) {
        let segments = &mut self.log(log).segments;
        segments.entry(segment.base).or_insert_with(|| Arc::clone(segment));
    }

    /// A new segment has been made.
    pub(super) fn names(&mut self, log: &Arc<Log>) {
        self.log(log).names = true;
    }

    /// A new log has been made.
    pub(super) fn new_log(&mut self, log: &Arc<Log>) {
        let dirty = self.log(log);
        (dirty.new, dirty.names) = (true, true);
    }

    pub(super) fn forget(&mut self, log: LogId) {
        self.logs.remove(&log);
    }

    /// Takes in what another one has, as when that could not be made durable.
    pub(super) fn merge(&mut self, other: Self) {
        for (id, other) in other.logs {
            match self.logs.entry(id) {
                std::collections::hash_map::Entry::Vacant(entry) => {
                    entry.insert(other);
                }
                std::collections::hash_map::Entry::Occupied(mut entry) => {
                    let dirty = entry.get_mut();
                    dirty.segments.extend(other.segments);
                    dirty.names |= other.names;
                    dirty.new |= other.new;
                }
            }
        }
    }

    fn log(&mut self, log: &Arc<Log>) -> &mut DirtyLog {
        self.logs.entry(log.id).or_insert_with(|| DirtyLog {
            log: Arc::clone(log),
            segments: HashMap::new(),
            names: false,
            new: false,
        })
    }

    /// Writes all indexes, and makes all of it durable, one log after the other: others have the disk meanwhile.
    pub(super) fn sync(&self, shared: &Shared, layout: &Layout) -> io::Result<()> {
        for dirty in self.logs.values() {
            dirty.save_indexes(shared);
        }
        self.logs.values().try_for_each(|dirty| dirty.sync_unless_deleted(shared))?;
        self.sync_names(shared, layout)
    }

    /// The same with several logs at a time, for when nobody else wants the disk.
    pub(super) fn sync_by_parts(&self, shared: &Shared, layout: &Layout) -> io::Result<()> {
        let logs: Vec<_> = self.logs.values().collect();
        let synced = by_parts(&logs, |part| {
            for dirty in part {
                dirty.save_indexes(shared);
            }
            part.iter().try_for_each(|dirty| dirty.sync_unless_deleted(shared))
        });
        synced.into_iter().collect::<io::Result<()>>()?;
        self.sync_names(shared, layout)
    }

    fn sync_names(&self, shared: &Shared, layout: &Layout) -> io::Result<()> {
        if self.logs.values().any(|dirty| dirty.new) {
            shared.files.disk().sync_dir(&layout.logs())?;
        }
        Ok(())
    }
}

impl DirtyLog {
    /// Writes the indexes. They can be made anew, so an error here does no harm.
    fn save_indexes(&self, shared: &Shared) {
        let live = self.log.segments();
        for segment in self.segments.values().filter(|segment| is_among(segment, &live)) {
            if let Err(error) = segment.save_index(&self.log, &shared.files, false)
                && !self.log.is_deleted()
            {
                let path = segment_file(&self.log.directory, segment.base, FileKind::Index);
                tracing::warn!(path = %path.display(), %error, "index not saved");
            }
        }
    }

    fn sync_unless_deleted(&self, shared: &Shared) -> io::Result<()> {
        match self.sync(shared) {
            Err(_) if self.log.is_deleted() => Ok(()),
            synced => synced,
        }
    }

    fn sync(&self, shared: &Shared) -> io::Result<()> {
        let live = self.log.segments();
        // One that was replaced or removed is no longer this one's affair.
        for segment in self.segments.values().filter(|segment| is_among(segment, &live)) {
            segment.sync(&self.log, &shared.files)?;
            if segment.with_index(|index| matches!(index, Index::Sealed { .. })) {
                // Not needed to recover, but making a full segment's index anew takes a while.
                for kind in [FileKind::Index, FileKind::TimeIndex] {
                    self.log.open(&shared.files, segment, kind)?.sync_data()?;
                }
            }
        }
        let disk = shared.files.disk();
        if self.new {
            disk.open(&metadata_file(&self.log.directory), false)?.sync_data()?;
        }
        if self.names {
            disk.sync_dir(&self.log.directory)?;
        }
        Ok(())
    }
}

fn is_among(segment: &Arc<Segment>, segments: &[Arc<Segment>]) -> bool {
    segments.iter().any(|other| Arc::ptr_eq(other, segment))
}

/// What the background thread is asked to do.
#[derive(Debug)]
pub(super) enum Job {
    /// Make these durable, then the snapshot.
    Checkpoint { dirty: Dirty, snapshot: Snapshot },
    /// Make what was written of a segment durable, so that the next checkpoint finds less to do.
    SyncBehind { log: Arc<Log>, segment: Arc<Segment> },
    /// Remove files.
    RemoveFiles(Vec<PathBuf>),
    /// Remove directories of files, which have just got the names that they have.
    RemoveDirectories(Vec<PathBuf>),
}

/// How a checkpoint has ended.
#[derive(Debug)]
pub(super) struct CheckpointEnd {
    pub(super) through: takhin_core::FactSeq,
    pub(super) journal_from: u64,
    pub(super) result: Result<(), CheckpointError>,
    /// What is not known to be durable.
    pub(super) dirty: Dirty,
}

#[derive(Debug)]
pub(super) enum CheckpointError {
    /// Segments could not be made durable, so nothing is known about them.
    Segments(io::Error),
    /// The snapshot could not be written; the segments are durable.
    Snapshot(io::Error),
}

/// The background thread: does one job after the other until there will be no more, and cleans logs in between.
pub(super) fn run(jobs: &Receiver<Job>, shared: &Shared, layout: &Layout, queue: &Queue, mut cleaner: Cleaner) {
    loop {
        let job = match jobs.recv_timeout(cleaner.rests_for()) {
            Ok(job) => job,
            Err(RecvTimeoutError::Timeout) => {
                cleaner.work(shared, queue);
                continue;
            }
            Err(RecvTimeoutError::Disconnected) => return,
        };
        match job {
            Job::Checkpoint { dirty, snapshot } => {
                let result = checkpoint(&dirty, &snapshot, shared, layout);
                if result.is_ok() {
                    cleaner.checkpointed(&snapshot.bounds);
                }
                let dirty = if result.is_ok() { Dirty::default() } else { dirty };
                let Snapshot { through, journal_from, .. } = snapshot;
                queue.checkpoint_ended(CheckpointEnd { through, journal_from, result, dirty });
            }
            Job::SyncBehind { log, segment } => {
                if is_among(&segment, &log.segments())
                    && let Err(error) = segment.sync(&log, &shared.files)
                    && !log.is_deleted()
                {
                    // The next checkpoint meets the same error, or can do better.
                    tracing::warn!(log = ?log.id, %error, "a segment could not be synced");
                }
            }
            Job::RemoveFiles(paths) => {
                for path in &paths {
                    warn(path, shared.files.disk().remove_file(path));
                }
            }
            Job::RemoveDirectories(paths) => {
                // First the names, so that none comes back as a log of which a part is gone. And a checkpoint
                // behind this one, which may forget that the topic was deleted, comes after it.
                if let Err(error) = shared.files.disk().sync_dir(&layout.logs()) {
                    warn(&layout.logs(), Err(error));
                    continue;
                }
                for path in &paths {
                    warn(path, remove_directory(shared.files.disk(), path));
                }
            }
        }
    }
}

fn checkpoint(dirty: &Dirty, snapshot: &Snapshot, shared: &Shared, layout: &Layout) -> Result<(), CheckpointError> {
    dirty.sync(shared, layout).map_err(CheckpointError::Segments)?;
    let (disk, directory) = (shared.files.disk(), layout.snapshots());
    snapshot::write(disk, &directory, snapshot).map_err(CheckpointError::Snapshot)?;
    let names = disk.list(&directory).map_err(CheckpointError::Snapshot)?;
    // By place and not by number: a damaged snapshot at the start may have left a gap.
    for number in snapshot::numbers(&names).into_iter().rev().skip(2) {
        let path = snapshot::path(&directory, number);
        warn(&path, disk.remove_file(&path));
    }
    Ok(())
}

/// Removes a directory and the files in it.
pub(super) fn remove_directory(disk: &dyn Disk, path: &Path) -> io::Result<()> {
    for name in disk.list(path)? {
        disk.remove_file(&path.join(name))?;
    }
    disk.remove_dir(path)
}

/// What could not be removed is found again at the next start.
fn warn(path: &Path, removed: io::Result<()>) {
    if let Err(error) = removed {
        tracing::warn!(path = %path.display(), %error, "not removed");
    }
}
