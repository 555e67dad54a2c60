//! A file system in memory that can fail, fill up, and lose what was not synced.
//!
//! What it models: bytes survive a crash per 512-byte sector at random unless synced; a directory's names survive
//! as they were last synced or as they are, each directory by itself; nothing happens after the fuse has blown.
//! What it does not: bytes that change by themselves (tests flip them), a disk that lies about a sync.

use std::{
    any::Any,
    collections::BTreeMap,
    fmt,
    io::{self, IoSlice},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard},
};

use crate::engine::local::disk::{Disk, DiskFile, FileId};

const SECTOR: usize = 512;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    /// Asked for every file. It changes nothing by itself, so the fuse doesn't count it.
    Open,
    Create,
    Write,
    SetLen,
    Sync,
    SyncDir,
    Rename,
    Remove,
}

type Fault = Box<dyn FnMut(Op, &Path) -> Option<io::Error> + Send>;

#[derive(Clone, Default)]
pub(super) struct FaultyDisk(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    nodes: Vec<Node>,
    fuse: Option<u64>,
    fault: Option<Fault>,
    capacity: Option<u64>,
    operations: u64,
    reads: u64,
    read_bytes: u64,
    locked: bool,
    cold: bool,
}

#[derive(Clone, Debug)]
enum Node {
    File { now: Vec<u8>, durable: Vec<u8> },
    Dir { now: BTreeMap<String, usize>, durable: BTreeMap<String, usize> },
}

impl fmt::Debug for FaultyDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FaultyDisk")
    }
}

#[derive(Debug)]
struct OpenFile {
    disk: FaultyDisk,
    node: usize,
    path: PathBuf,
}

struct Lock(FaultyDisk);

impl Drop for Lock {
    fn drop(&mut self) {
        self.0.state().locked = false;
    }
}

impl FaultyDisk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// After so many more changes nothing works any more, until [`FaultyDisk::crash`].
    pub(super) fn blow_after(&self, operations: u64) {
        self.state().fuse = Some(operations);
    }

    /// How many changes there were.
    pub(super) fn operations(&self) -> u64 {
        self.state().operations
    }

    /// How often files were read since it was last asked, and how many bytes.
    pub(super) fn take_reads(&self) -> (u64, u64) {
        let state = &mut *self.state();
        (std::mem::take(&mut state.reads), std::mem::take(&mut state.read_bytes))
    }

    /// Asks `fault` before each change.
    pub(super) fn fault(&self, fault: impl FnMut(Op, &Path) -> Option<io::Error> + Send + 'static) {
        self.state().fault = Some(Box::new(fault));
    }

    /// Whether reads that must not wait find anything in memory.
    pub(super) fn set_cold(&self, cold: bool) {
        self.state().cold = cold;
    }

    pub(super) fn heal(&self) {
        self.state().fault = None;
    }

    pub(super) fn set_capacity(&self, bytes: Option<u64>) {
        self.state().capacity = bytes;
    }

    pub(super) fn used(&self) -> u64 {
        self.state().used()
    }

    /// The power fails: what was not synced is there or not, as `random` says.
    pub(super) fn crash(&self, mut random: impl FnMut() -> bool) {
        let state = &mut *self.state();
        (state.fuse, state.fault, state.capacity, state.locked) = (None, None, None, false);
        for node in &mut state.nodes {
            match node {
                Node::Dir { now, durable } => {
                    if random() {
                        durable.clone_from(now);
                    } else {
                        now.clone_from(durable);
                    }
                }
                Node::File { now, durable } => {
                    let length = if random() { now.len() } else { durable.len() };
                    now.resize(length, 0);
                    for (at, sector) in now.chunks_mut(SECTOR).enumerate() {
                        if !random() {
                            for (place, byte) in sector.iter_mut().enumerate() {
                                *byte = durable.get(at * SECTOR + place).copied().unwrap_or(0);
                            }
                        }
                    }
                    durable.clone_from(now);
                }
            }
        }
    }

    /// The process dies: everything written is there.
    pub(super) fn kill(&self) {
        self.crash(|| true);
    }

    /// A copy of the disk as it is, for the test to do something else with.
    pub(super) fn fork(&self) -> Self {
        let nodes = self.state().nodes.clone();
        Self(Arc::new(Mutex::new(State { nodes, ..State::default() })))
    }
}

impl State {
    fn used(&self) -> u64 {
        self.nodes.iter().map(|node| if let Node::File { now, .. } = node { now.len() as u64 } else { 0 }).sum()
    }

    fn find(&mut self, path: &Path) -> io::Result<usize> {
        if self.nodes.is_empty() {
            self.nodes.push(Node::Dir { now: BTreeMap::new(), durable: BTreeMap::new() });
        }
        let mut node = 0;
        for name in path.iter().filter(|name| *name != "/") {
            let Node::Dir { now, .. } = &self.nodes[node] else {
                return Err(io::ErrorKind::NotADirectory.into());
            };
            node = *now.get(name.to_str().unwrap()).ok_or(io::ErrorKind::NotFound)?;
        }
        Ok(node)
    }

    fn names(&mut self, path: &Path) -> io::Result<&mut BTreeMap<String, usize>> {
        let node = self.find(path)?;
        match &mut self.nodes[node] {
            Node::Dir { now, .. } => Ok(now),
            Node::File { .. } => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    fn parent(&mut self, path: &Path) -> io::Result<(&mut BTreeMap<String, usize>, String)> {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        Ok((self.names(path.parent().unwrap())?, name))
    }

    fn check(&mut self) -> io::Result<()> {
        if self.fuse == Some(0) { Err(io::Error::other("the machine is off")) } else { Ok(()) }
    }

    /// Whether the operation may happen. The last one before the end happens in half, where it can.
    fn change(&mut self, op: Op, path: &Path) -> io::Result<bool> {
        self.check()?;
        self.operations += 1;
        if let Some(error) = self.fault.as_mut().and_then(|fault| fault(op, path)) {
            return Err(error);
        }
        if let Some(fuse) = &mut self.fuse {
            *fuse -= 1;
            return Ok(*fuse > 0);
        }
        Ok(true)
    }

    fn file(&mut self, node: usize) -> (&mut Vec<u8>, &mut Vec<u8>) {
        match &mut self.nodes[node] {
            Node::File { now, durable } => (now, durable),
            Node::Dir { .. } => unreachable!("opened as a file"),
        }
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
                let node = state.nodes.len();
                let (names, name) = state.parent(path)?;
                names.insert(name, node);
                state.nodes.push(Node::File { now: Vec::new(), durable: Vec::new() });
                node
            }
            found => found?,
        };
        Ok(Arc::new(OpenFile { disk: self.clone(), node, path: path.to_owned() }))
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
        let node = state.nodes.len();
        let (names, name) = state.parent(path)?;
        names.insert(name, node);
        state.nodes.push(Node::Dir { now: BTreeMap::new(), durable: BTreeMap::new() });
        Ok(())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let mut state = self.state();
        state.check()?;
        Ok(state.names(path)?.keys().cloned().collect())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.change(Op::Rename, from)?;
        let (names, name) = state.parent(from)?;
        let node = names.remove(&name).ok_or(io::ErrorKind::NotFound)?;
        let (names, name) = state.parent(to)?;
        names.insert(name, node);
        Ok(())
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.change(Op::Create, to)?;
        let (names, name) = state.parent(from)?;
        let node = *names.get(&name).ok_or(io::ErrorKind::NotFound)?;
        let (names, name) = state.parent(to)?;
        names.insert(name, node);
        Ok(())
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        let mut state = self.state();
        state.change(Op::Remove, path)?;
        let (names, name) = state.parent(path)?;
        names.remove(&name).map(|_| ()).ok_or(io::ErrorKind::NotFound.into())
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
        if whole && let Node::Dir { now, durable } = &mut state.nodes[node] {
            durable.clone_from(now);
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
        let whole = state.change(Op::Write, &self.path)?;
        let mut bytes = parts.iter().flat_map(|part| part.iter().copied()).collect::<Vec<_>>();
        if !whole {
            bytes.truncate(bytes.len() / 2);
        }
        let at = usize::try_from(position).unwrap();
        if let Some(capacity) = state.capacity {
            let room = usize::try_from(capacity.saturating_sub(state.used())).unwrap();
            let inside = state.file(self.node).0.len().saturating_sub(at);
            bytes.truncate(inside + room);
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
