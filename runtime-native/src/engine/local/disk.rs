//! The few things that the engine asks of a file system, so that tests can put a failing one in its place.
//!
//! What a [`Disk`] promises is what Linux promises, and no more: what was written is seen by every later read in
//! the same life of the machine, but survives its death only after [`DiskFile::sync_data`]; a name survives only
//! after [`Disk::sync_dir`] of its directory.

use std::{
    any::Any,
    fmt,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, IoSlice, IoSliceMut},
    os::unix::fs::{DirBuilderExt as _, FileExt, MetadataExt as _, OpenOptionsExt as _},
    path::Path,
    sync::Arc,
};

use rustix::{
    fs::{FallocateFlags, FlockOperation, OFlags},
    io::{Errno, ReadWriteFlags},
};

/// A file system.
pub trait Disk: Send + Sync + fmt::Debug {
    /// Opens a file for reading and writing.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] if it is not there and `create` is false, and whatever the file system says.
    fn open(&self, path: &Path, create: bool) -> io::Result<Arc<dyn DiskFile>>;
    /// Opens a file that is there for writing past the system's memory. Each write has to begin and end at a multiple of
    /// 4,096 bytes, in the file and in memory.
    ///
    /// # Errors
    /// [`io::ErrorKind::InvalidInput`] or [`io::ErrorKind::Unsupported`] if the file system can't; some say so at the
    /// first write only. And whatever else it says.
    fn open_unbuffered(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>>;
    /// Makes a directory and those above it, for this user alone; one that is there already is fine, and stays as it is.
    ///
    /// # Errors
    /// Whatever the file system says; so below.
    fn create_dir(&self, path: &Path) -> io::Result<()>;
    /// The names in a directory, in no order.
    ///
    /// # Errors
    /// See above.
    fn list(&self, path: &Path) -> io::Result<Vec<String>>;
    /// Gives a file or directory another name, replacing a file that has it.
    ///
    /// # Errors
    /// See above.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Gives a file another name beside the one that it has.
    ///
    /// # Errors
    /// See above.
    fn link(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    ///
    /// # Errors
    /// See above.
    fn remove_file(&self, path: &Path) -> io::Result<()>;
    /// Removes a directory that is empty.
    ///
    /// # Errors
    /// See above.
    fn remove_dir(&self, path: &Path) -> io::Result<()>;
    /// Which file or directory has this name.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`] if none has, and whatever the file system says.
    fn file_id(&self, path: &Path) -> io::Result<FileId>;
    /// Makes the names in a directory durable.
    ///
    /// # Errors
    /// See above.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// Takes an exclusive lock on a file, which is made if need be; `None` if another process has it. The lock
    /// ends with the value.
    ///
    /// # Errors
    /// See above.
    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Any + Send + Sync>>>;
}

/// What tells one file or directory of a machine from all others that there are at the same time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileId {
    /// The file system.
    pub device: u64,
    /// The file in it.
    pub inode: u64,
}

/// An open file.
pub trait DiskFile: Send + Sync + fmt::Debug {
    /// Reads at a position; fewer bytes than asked for at the end of the file.
    ///
    /// # Errors
    /// Whatever the file system says; so below.
    fn read_at(&self, bytes: &mut [u8], position: u64) -> io::Result<usize>;
    /// Like [`DiskFile::read_at`], but only what is in memory.
    ///
    /// # Errors
    /// [`io::ErrorKind::WouldBlock`] if nothing of it is, or if that can't be told.
    fn read_cached_at(&self, bytes: &mut [u8], position: u64) -> io::Result<usize>;
    /// Writes at a position, maybe fewer bytes than given.
    ///
    /// # Errors
    /// See above.
    fn write_at(&self, parts: &[IoSlice<'_>], position: u64) -> io::Result<usize>;
    /// Cuts the file off, or lengthens it with zeros.
    ///
    /// # Errors
    /// See above.
    fn set_len(&self, bytes: u64) -> io::Result<()>;
    /// Sets space aside for the first `bytes` of the file, which is lengthened with zeros to that.
    ///
    /// # Errors
    /// See above.
    fn allocate(&self, bytes: u64) -> io::Result<()>;
    /// Its length.
    ///
    /// # Errors
    /// See above.
    fn byte_len(&self) -> io::Result<u64>;
    /// Makes its bytes, and what is needed to read them, durable.
    ///
    /// # Errors
    /// See above. After an error nothing is known about any byte written since the last success.
    fn sync_data(&self) -> io::Result<()>;
    /// Makes everything about it durable, a shorter length too.
    ///
    /// # Errors
    /// As for [`DiskFile::sync_data`].
    fn sync_all(&self) -> io::Result<()>;
}

/// Writes all of `parts`.
pub(super) fn write_all(file: &dyn DiskFile, parts: &mut [IoSlice<'_>], mut position: u64) -> io::Result<()> {
    /// The most parts that Linux takes in one call.
    const MAX_PARTS: usize = 1024;
    let mut parts = parts;
    IoSlice::advance_slices(&mut parts, 0);
    while !parts.is_empty() {
        let window = parts.len().min(MAX_PARTS);
        match file.write_at(&parts[..window], position) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => {
                position += written as u64;
                IoSlice::advance_slices(&mut parts, written);
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Fills `bytes` as far as the file goes, and says how far that was.
pub(super) fn read_full(file: &dyn DiskFile, bytes: &mut [u8], position: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < bytes.len() {
        match file.read_at(&mut bytes[filled..], position + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Reads a whole file; `None` if it is not there.
pub(crate) fn read_file(disk: &dyn Disk, path: &Path) -> io::Result<Option<Vec<u8>>> {
    let file = match disk.open(path, false) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let length = usize::try_from(file.byte_len()?).map_err(|_| io::ErrorKind::FileTooLarge)?;
    let mut bytes = vec![0; length];
    let read = read_full(&*file, &mut bytes, 0)?;
    bytes.truncate(read);
    Ok(Some(bytes))
}

/// Reads the first `bytes` of a file, or all of a shorter one, without asking for its length; `None` if it is not there.
pub(super) fn read_beginning(disk: &dyn Disk, path: &Path, bytes: usize) -> io::Result<Option<Vec<u8>>> {
    let file = match disk.open(path, false) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let mut beginning = vec![0; bytes];
    let read = loop {
        match file.read_at(&mut beginning, 0) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => break read?,
        }
    };
    beginning.truncate(read);
    Ok(Some(beginning))
}

/// Puts a whole file in the place of another so that, whatever happens, one of the two is there.
pub(crate) fn replace_file(disk: &dyn Disk, path: &Path, parts: &mut [IoSlice<'_>]) -> io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(TEMPORARY);
    let temporary = Path::new(&temporary);
    let file = disk.open(temporary, true)?;
    file.set_len(0)?;
    write_all(&*file, parts, 0)?;
    file.sync_all()?;
    disk.rename(temporary, path)?;
    disk.sync_dir(path.parent().expect("a file has a directory"))
}

/// What the name of a file ends with that is not yet whole.
pub(super) const TEMPORARY: &str = ".tmp";

/// The file system of the machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn open(&self, path: &Path, create: bool) -> io::Result<Arc<dyn DiskFile>> {
        let file = OpenOptions::new().read(true).write(true).create(create).truncate(false).open(path)?;
        Ok(Arc::new(RealFile(file)))
    }

    fn open_unbuffered(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let direct = i32::try_from(OFlags::DIRECT.bits()).map_err(|_| io::ErrorKind::Unsupported)?;
        let file = OpenOptions::new().read(true).write(true).custom_flags(direct).open(path)?;
        Ok(Arc::new(RealFile(file)))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        // Records lie there as they were sent: they are the user's that runs the server, and nobody else's.
        DirBuilder::new().recursive(true).mode(0o700).create(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let names = fs::read_dir(path)?.map(|entry| Ok(entry?.file_name().into_string().ok()));
        // All of the engine's own names are text, so others are not its own.
        names.filter_map(io::Result::transpose).collect()
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::hard_link(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir(path)
    }

    fn file_id(&self, path: &Path) -> io::Result<FileId> {
        let found = fs::metadata(path)?;
        Ok(FileId { device: found.dev(), inode: found.ino() })
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        File::open(path)?.sync_all()
    }

    fn lock(&self, path: &Path) -> io::Result<Option<Box<dyn Any + Send + Sync>>> {
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
        match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Box::new(file))),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

#[derive(Debug)]
struct RealFile(File);

impl DiskFile for RealFile {
    fn read_at(&self, bytes: &mut [u8], position: u64) -> io::Result<usize> {
        self.0.read_at(bytes, position)
    }

    fn read_cached_at(&self, bytes: &mut [u8], position: u64) -> io::Result<usize> {
        let mut parts = [IoSliceMut::new(bytes)];
        match rustix::io::preadv2(&self.0, &mut parts, position, ReadWriteFlags::NOWAIT) {
            Err(Errno::OPNOTSUPP) => Err(io::ErrorKind::WouldBlock.into()),
            read => Ok(read?),
        }
    }

    fn write_at(&self, parts: &[IoSlice<'_>], position: u64) -> io::Result<usize> {
        Ok(rustix::io::pwritev(&self.0, parts, position)?)
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.0.set_len(bytes)
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        match rustix::fs::fallocate(&self.0, FallocateFlags::empty(), 0, bytes) {
            // A file system that can't set space aside gives it when it is written to.
            Err(Errno::OPNOTSUPP) => Ok(()),
            done => Ok(done?),
        }
    }

    fn byte_len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn sync_all(&self) -> io::Result<()> {
        self.0.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn directories_are_for_nobody_else() {
        let dir = tempfile::tempdir().expect("a directory");
        RealDisk.create_dir(&dir.path().join("a/b")).expect("made");
        for made in ["a", "a/b"] {
            let mode = fs::metadata(dir.path().join(made)).expect("it is there").permissions().mode();
            assert_eq!(mode & 0o777, 0o700, "{made}");
        }
    }
}
