//! The calls of the engine.

use std::{
    any::Any,
    io::{self, IoSlice},
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{
    FaultyDisk, Op, SECTOR, Unbuffered,
    state::{Change, Node, directory, split},
};
use crate::engine::local::disk::{Disk, DiskFile, FileId};

/// What writes past the system's memory begin and end at a multiple of.
const BLOCK: u64 = 4096;

#[derive(Debug)]
struct OpenFile {
    disk: FaultyDisk,
    node: usize,
    path: PathBuf,
    unbuffered: bool,
}

struct Lock(FaultyDisk);

impl Drop for Lock {
    fn drop(&mut self) {
        self.0.state().locked = false;
    }
}

impl Disk for FaultyDisk {
    fn open(&self, path: &Path, create: bool) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.state();
        state.check()?;
        if let Some(error) = state.fault.as_mut().and_then(|fault| fault(Op::Open, path)) {
            return Err(error);
        }
        let node = match state.find(path) {
            Err(error) if create && error.kind() == io::ErrorKind::NotFound => {
                state.change(Op::Create, path)?;
                state.add(path, Node::File { now: Vec::new(), durable: Vec::new() })?
            }
            found => found?,
        };
        Ok(Arc::new(OpenFile { disk: self.clone(), node, path: path.to_owned(), unbuffered: false }))
    }

    fn open_unbuffered(&self, path: &Path) -> io::Result<Arc<dyn DiskFile>> {
        let mut state = self.state();
        state.check()?;
        if state.unbuffered == Unbuffered::NotOpened {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let node = state.find(path)?;
        Ok(Arc::new(OpenFile { disk: self.clone(), node, path: path.to_owned(), unbuffered: true }))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        if let Some(parent) = path.parent()
            && self.state().find(parent).is_err()
        {
            self.create_dir(parent)?;
        }
        let mut state = self.state();
        if state.find(path).is_ok() {
            return Ok(());
        }
        state.change(Op::Create, path)?;
        state.add(path, directory()).map(|_| ())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let mut state = self.state();
        state.check()?;
        if let Some(error) = state.fault.as_mut().and_then(|fault| fault(Op::List, path)) {
            return Err(error);
        }
        Ok(state.names(path)?.keys().cloned().collect())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.change(Op::Rename, from)?;
        let node = state.find(from)?;
        let ((from, before), (to, after)) = (split(from), split(to));
        if from == to {
            return state.rename_in(from, Change::Rename(before, after, node));
        }
        state.rename_in(to, Change::Put(after, node))?;
        state.rename_in(from, Change::Remove(before))
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.change(Op::Create, to)?;
        let node = state.find(from)?;
        let (directory, name) = split(to);
        state.rename_in(directory, Change::Put(name, node))
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.change(Op::Remove, path)?;
        state.find(path)?;
        let (directory, name) = split(path);
        state.rename_in(directory, Change::Remove(name))
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        if !self.state().names(path)?.is_empty() {
            return Err(io::ErrorKind::DirectoryNotEmpty.into());
        }
        self.remove_file(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        let whole = state.change(Op::SyncDir, path)?;
        let node = state.find(path)?;
        if whole && let Node::Dir { now, durable, since } = &mut state.nodes[node] {
            durable.clone_from(now);
            since.clear();
        }
        if whole { Ok(()) } else { Err(io::Error::other("the machine is off")) }
    }

    fn file_id(&self, path: &Path) -> io::Result<FileId> {
        // A lock here is no file.
        let inode = if path.ends_with("lock") { u64::MAX } else { self.state().find(path)? as u64 };
        Ok(FileId { device: 0, inode })
    }

    fn lock(&self, _path: &Path) -> io::Result<Option<Box<dyn Any + Send + Sync>>> {
        let was = std::mem::replace(&mut self.state().locked, true);
        Ok(if was { None } else { Some(Box::new(Lock(self.clone()))) })
    }
}

impl DiskFile for OpenFile {
    fn read_at(&self, bytes: &mut [u8], position: u64) -> io::Result<usize> {
        let mut state = self.disk.state();
        state.check()?;
        let (now, _) = state.file(self.node);
        let rest = now.get(usize::try_from(position).unwrap()..).unwrap_or_default();
        let count = rest.len().min(bytes.len());
        bytes[..count].copy_from_slice(&rest[..count]);
        state.reads += 1;
        state.read_bytes += count as u64;
        Ok(count)
    }

    fn read_cached_at(&self, bytes: &mut [u8], position: u64) -> io::Result<usize> {
        if self.disk.state().cold {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.read_at(bytes, position)
    }

    fn write_at(&self, parts: &[IoSlice<'_>], position: u64) -> io::Result<usize> {
        let mut state = self.disk.state();
        let unit = if self.unbuffered { SECTOR } else { 1 };
        if self.unbuffered {
            let is_whole = |place: u64| place.is_multiple_of(BLOCK);
            let aligned = parts.iter().all(|part| is_whole(part.as_ptr().addr() as u64) && is_whole(part.len() as u64));
            if state.unbuffered != Unbuffered::Taken || !aligned || !is_whole(position) {
                return Err(io::ErrorKind::InvalidInput.into());
            }
        }
        let whole = state.change(Op::Write, &self.path)?;
        let mut bytes = parts.iter().flat_map(|part| part.iter().copied()).collect::<Vec<_>>();
        if !whole {
            bytes.truncate(bytes.len() / 2);
        } else if state.short && state.operations.is_multiple_of(3) {
            bytes.truncate(bytes.len().div_ceil(2).next_multiple_of(unit));
        }
        let at = usize::try_from(position).unwrap();
        if let Some(capacity) = state.capacity {
            let room = usize::try_from(capacity.saturating_sub(state.used())).unwrap();
            let inside = state.file(self.node).0.len().saturating_sub(at);
            bytes.truncate((inside + room) / unit * unit);
            if bytes.is_empty() {
                return Err(io::ErrorKind::StorageFull.into());
            }
        }
        let (now, _) = state.file(self.node);
        if now.len() < at + bytes.len() {
            now.resize(at + bytes.len(), 0);
        }
        now[at..at + bytes.len()].copy_from_slice(&bytes);
        if whole { Ok(bytes.len()) } else { Err(io::Error::other("the machine is off")) }
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        state.change(Op::SetLen, &self.path)?;
        state.file(self.node).0.resize(usize::try_from(bytes).unwrap(), 0);
        Ok(())
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        let more = bytes.saturating_sub(state.file(self.node).0.len() as u64);
        if state.capacity.is_some_and(|capacity| state.used() + more > capacity) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        drop(state);
        self.set_len(bytes)
    }

    fn byte_len(&self) -> io::Result<u64> {
        let mut state = self.disk.state();
        state.check()?;
        Ok(state.file(self.node).0.len() as u64)
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.disk.state();
        let whole = state.change(Op::Sync, &self.path)?;
        let (now, durable) = state.file(self.node);
        if whole {
            durable.clone_from(now);
        }
        if whole { Ok(()) } else { Err(io::Error::other("the machine is off")) }
    }

    fn sync_all(&self) -> io::Result<()> {
        self.sync_data()
    }
}
