//! Whether the data directory is still where it was found.
//!
//! Open files outlive their names: a directory that is removed, or renamed and put back from a copy, takes whatever
//! is written afterwards with it, and no write ever fails. So the names are looked at now and then. Nor does the lock
//! keep another process out once its file has lost its name.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::{
    disk::{Disk, FileId},
    layout::Layout,
};

/// The names without which nothing written would be found again, and what they stood for at the start.
#[derive(Debug)]
pub(super) struct Anchors(Vec<(PathBuf, FileId)>);

impl Anchors {
    pub(super) fn of(disk: &dyn Disk, layout: &Layout) -> io::Result<Self> {
        let names = [layout.lock(), layout.logs(), layout.journal(), layout.snapshots()];
        let with_id = |path: PathBuf| disk.file_id(&path).map(|id| (path, id));
        names.into_iter().map(with_id).collect::<io::Result<_>>().map(Self)
    }

    /// A name that is gone, or that now is something else's. Of one that can't be looked at nothing is known.
    pub(super) fn lost(&self, disk: &dyn Disk) -> Option<&Path> {
        let is_lost = |(path, id): &&(PathBuf, FileId)| match disk.file_id(path) {
            Ok(now) => now != *id,
            Err(error) => matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory),
        };
        self.0.iter().find(is_lost).map(|(path, _)| path.as_path())
    }
}
