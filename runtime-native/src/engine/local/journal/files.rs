//! The journal's files: how one is begun, and what becomes of those that are no longer needed.
//!
//! Where what is written is synced at once, a file that is no longer needed is kept to be written over: space that
//! was written before takes a sync half as long as space that was only set aside. It becomes the next file by its name
//! alone, with the frames that it had. Their file number tells them from its own.

use std::{
    io::{self, IoSlice},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    super::{
        disk::{Disk, DiskFile, write_all},
        layout,
    },
    EXTENSION,
    blocks::Blocks,
};

/// What the name of a file ends with that waits to be written over.
pub(in crate::engine::local) const SPARE: &str = ".spare";

/// How many files wait to be written over at most.
const MAX_SPARES: usize = 2;

/// How files are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine::local) enum Way {
    /// Into the system's memory, and synced now and then.
    Buffered,
    /// Past the system's memory, as [`Blocks`] does it, since what is written is synced at once. Where the file system
    /// can't do that it is as with [`Way::Buffered`].
    Direct,
}

/// What the files have in common.
#[derive(Debug)]
pub(in crate::engine::local) struct Files {
    disk: Arc<dyn Disk>,
    directory: PathBuf,
    file_bytes: u64,
    way: Way,
    /// Those that wait to be written over.
    spares: Vec<PathBuf>,
}

/// A file to be written.
#[derive(Debug)]
pub(super) enum OpenFile {
    Buffered(Arc<dyn DiskFile>),
    Direct(Blocks),
}

impl Files {
    /// The files of a directory, each with room for at least `file_bytes`.
    pub(in crate::engine::local) fn new(disk: Arc<dyn Disk>, directory: PathBuf, file_bytes: u64, way: Way) -> Self {
        Self { disk, directory, file_bytes, way, spares: Vec::new() }
    }

    /// The same with the spare files that an earlier life has left. Those that there is no use for are removed.
    pub(in crate::engine::local) fn with_spares(mut self) -> io::Result<Self> {
        let names = self.disk.list(&self.directory)?;
        let spares = names.iter().filter(|name| name.ends_with(SPARE));
        self.spares.extend(spares.map(|name| self.directory.join(name)));
        let kept = if self.way == Way::Direct { MAX_SPARES } else { 0 };
        let needless = self.spares.split_off(kept.min(self.spares.len()));
        needless.iter().try_for_each(|path| self.disk.remove_file(path))?;
        Ok(self)
    }

    pub(super) fn file_bytes(&self) -> u64 {
        self.file_bytes
    }

    /// Makes the file, durably, in the place of one that has its name.
    pub(super) fn create(&mut self, number: u64) -> io::Result<OpenFile> {
        let path = path(&self.directory, number);
        let is_spare = self.take_spare(&path);
        let file = self.disk.open(&path, true)?;
        let filled = if is_spare { file.byte_len()?.min(self.file_bytes) } else { 0 };
        file.set_len(filled)?;
        file.allocate(self.file_bytes)?;
        let blocks = match self.way {
            Way::Direct => Blocks::open(&*self.disk, &path, filled)?,
            Way::Buffered => None,
        };
        let opened = if let Some(blocks) = blocks {
            OpenFile::Direct(blocks)
        } else {
            self.buffer_from_now_on();
            if filled > 0 {
                file.set_len(0)?;
                file.allocate(self.file_bytes)?;
            }
            OpenFile::Buffered(Arc::clone(&file))
        };
        file.sync_all()?;
        self.disk.sync_dir(&self.directory)?;
        Ok(opened)
    }

    /// Keeps a file that is no longer needed as a spare one, or gives its path.
    pub(super) fn retire(&mut self, number: u64) -> Option<PathBuf> {
        let path = path(&self.directory, number);
        if self.way == Way::Buffered || self.spares.len() == MAX_SPARES {
            return Some(path);
        }
        let spare = path.with_extension(&SPARE[1..]);
        if let Err(error) = self.disk.rename(&path, &spare) {
            tracing::warn!(path = %path.display(), %error, "not kept to be written over");
            return Some(path);
        }
        self.spares.push(spare);
        None
    }

    /// Removes the spare files, for their room is wanted.
    pub(super) fn remove_spares(&mut self) {
        for path in self.spares.drain(..) {
            if let Err(error) = self.disk.remove_file(&path) {
                tracing::warn!(path = %path.display(), %error, "not removed");
            }
        }
    }

    /// Gives a spare file this name, if there is one. A new file does as well.
    fn take_spare(&mut self, path: &Path) -> bool {
        let Some(spare) = self.spares.pop() else { return false };
        let renamed = self.disk.rename(&spare, path);
        if let Err(error) = &renamed {
            tracing::warn!(path = %spare.display(), %error, "not written over");
        }
        renamed.is_ok()
    }

    fn buffer_from_now_on(&mut self) {
        if self.way == Way::Direct {
            tracing::info!("the file system takes no direct writes, so the journal is written through its memory");
            self.way = Way::Buffered;
            self.remove_spares();
        }
    }
}

impl OpenFile {
    /// Writes `parts` at the end, `position`, of a file that is meant to have `file_bytes`.
    pub(super) fn append(&mut self, parts: &mut [IoSlice<'_>], position: u64, file_bytes: u64) -> io::Result<()> {
        match self {
            Self::Buffered(file) => write_all(&**file, parts, position),
            Self::Direct(blocks) => blocks.append(parts, position, file_bytes),
        }
    }

    /// Lets the file end at `position`, durably.
    pub(super) fn cut_off(&mut self, position: u64) -> io::Result<()> {
        self.file().set_len(position)?;
        self.file().sync_all()?;
        if let Self::Direct(blocks) = self {
            blocks.was_cut(position);
        }
        Ok(())
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        self.file().sync_data()
    }

    fn file(&self) -> &dyn DiskFile {
        match self {
            Self::Buffered(file) => &**file,
            Self::Direct(blocks) => blocks.file(),
        }
    }
}

/// Where file `number` is.
pub(in crate::engine::local) fn path(directory: &Path, number: u64) -> PathBuf {
    directory.join(layout::digits(number) + EXTENSION)
}
