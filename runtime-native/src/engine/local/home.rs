//! The data directory as a whole: whose it is, of which format, and how often it was opened.

use std::{
    any::Any,
    io::{self, IoSlice},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use takhin_core::Boot;

use super::{
    disk::{self, Disk},
    layout::Layout,
};

/// The version of everything under the data directory.
const FORMAT: u32 = 2;

/// Why a data directory was not opened. Nothing in it was changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it.
    #[error("{} is in use by another process", .0.display())]
    InUse(PathBuf),
    /// It is of a later format than this program knows.
    #[error("{} is of format {found}, and this version reads formats up to {FORMAT}: use a newer version", path.display())]
    NewerFormat {
        /// The file that says so.
        path: PathBuf,
        /// The format.
        found: u32,
    },
    /// There is data, but not the file that says what it is.
    #[error("{} is missing although there is data beside it: restore it, or use another directory", .0.display())]
    ManifestMissing(PathBuf),
    /// The file that says what the data is can't be read.
    #[error("{} is damaged: {why}", path.display())]
    ManifestDamaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// What the snapshots stand for is lost: none of them is whole, and the journal does not reach back to the
    /// beginning.
    #[error("no snapshot in {} is whole, and the journal does not reach back to the first fact", .0.display())]
    NoSnapshot(PathBuf),
    /// The file system failed.
    #[error("{}: {error}", path.display())]
    Io {
        /// What was worked on.
        path: PathBuf,
        /// What it said.
        error: io::Error,
    },
}

/// Adds the path to an error of the file system.
pub(super) fn at<'a>(path: impl Into<PathBuf> + 'a) -> impl FnOnce(io::Error) -> OpenError + 'a {
    move |error| OpenError::Io { path: path.into(), error }
}

#[derive(Deserialize)]
struct Format {
    format: u32,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Manifest {
    format: u32,
    boot: u32,
}

/// A data directory that this process has for itself until the value is dropped.
#[derive(Debug)]
pub(super) struct Home {
    pub(super) layout: Layout,
    pub(super) boot: Boot,
    _lock: Box<dyn Any + Send + Sync>,
}

impl Home {
    /// Takes the directory, making it if it isn't there, and counts the start durably.
    pub(super) fn open(disk: &dyn Disk, root: PathBuf) -> Result<Self, OpenError> {
        let layout = Layout::new(root);
        make_root(disk, layout.root()).map_err(at(layout.root()))?;
        let lock = disk.lock(&layout.lock()).map_err(at(layout.lock()))?;
        let lock = lock.ok_or_else(|| OpenError::InUse(layout.root().to_owned()))?;

        let path = layout.manifest();
        let boot = match disk::read_file(disk, &path).map_err(at(&path))? {
            Some(bytes) => Boot(read(&bytes, &path)?.boot.saturating_add(1)),
            None => Boot(0),
        };
        let directories = [layout.logs(), layout.journal(), layout.snapshots()];
        if boot == Boot(0) {
            let names = disk.list(layout.root()).map_err(at(layout.root()))?;
            if directories.iter().any(|dir| names.iter().any(|name| dir.ends_with(name))) {
                return Err(OpenError::ManifestMissing(path));
            }
        }
        write_manifest(disk, &layout, boot.0).map_err(at(&path))?;
        for directory in directories {
            disk.create_dir(&directory).map_err(at(&directory))?;
        }
        disk.sync_dir(layout.root()).map_err(at(layout.root()))?;
        Ok(Self { layout, boot, _lock: lock })
    }
}

/// Says durably what the directory is, and that it was started `boot` times before.
pub(super) fn write_manifest(disk: &dyn Disk, layout: &Layout, boot: u32) -> io::Result<()> {
    let manifest = serde_json::to_vec_pretty(&Manifest { format: FORMAT, boot })?;
    disk::replace_file(disk, &layout.manifest(), &mut [IoSlice::new(&manifest)])
}

/// Makes the directory, and those above it, durably.
pub(crate) fn make_root(disk: &dyn Disk, root: &Path) -> io::Result<()> {
    let missing = |path: &&Path| disk.list(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
    let made: Vec<_> = root.ancestors().filter(|path| !path.as_os_str().is_empty()).take_while(missing).collect();
    disk.create_dir(root)?;
    for path in made {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        disk.sync_dir(parent.unwrap_or(Path::new(".")))?;
    }
    Ok(())
}

/// Reads what the manifest says.
pub(super) fn read(bytes: &[u8], path: &Path) -> Result<Manifest, OpenError> {
    let damaged = |error: serde_json::Error| OpenError::ManifestDamaged { path: path.into(), why: error.to_string() };
    let format: Format = serde_json::from_slice(bytes).map_err(damaged)?;
    if format.format > FORMAT {
        return Err(OpenError::NewerFormat { path: path.into(), found: format.format });
    }
    serde_json::from_slice(bytes).map_err(damaged)
}
