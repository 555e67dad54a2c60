//! A file system in memory that can fail, fill up, and lose what was not synced.
//!
//! What it models: bytes survive a crash per 512-byte sector at random unless synced; each change of a directory's names
//! survives by itself unless synced; writes may be short; bits rot where a test says so; nothing happens after the fuse
//! has blown. What it does not: a disk that lies about a sync.

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
/// What writes past the system's memory begin and end at a multiple of.
const BLOCK: u64 = 4096;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    /// Asked for every file. It changes nothing by itself, so the fuse doesn't count it.
    Open,
    /// Asked for every listing of a directory, which changes nothing either.
    List,
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
    /// Whether writes take only some of what they are given, by turns.
    short: bool,
    unbuffered: Unbuffered,
}

/// What the file system says to writes past its memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Unbuffered {
    #[default]
    Taken,
    /// Files can't be opened for them.
    NotOpened,
    /// Files can be opened, and not be written to.
    NotWritten,
}

#[derive(Clone, Debug)]
enum Node {
    File { now: Vec<u8>, durable: Vec<u8> },
    Dir { now: Names, durable: Names, since: Vec<Change> },
}

/// What each name of a directory stands for.
type Names = BTreeMap<String, usize>;

/// A change of a directory's names that is not durable.
#[derive(Clone, Debug)]
enum Change {
    Put(String, usize),
    Remove(String),
    Rename(String, String, usize),
}

impl Change {
    fn apply(self, names: &mut Names) {
        match self {
            Self::Put(name, node) => {
                names.insert(name, node);
            }
            Self::Remove(name) => {
                names.remove(&name);
            }
            Self::Rename(from, to, node) => {
                names.remove(&from);
                names.insert(to, node);
            }
        }
    }
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
    unbuffered: bool,
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

    /// Whether writes take only some of what they are given, by turns.
    pub(super) fn set_short(&self, short: bool) {
        self.state().short = short;
    }

    pub(super) fn set_unbuffered(&self, unbuffered: Unbuffered) {
        self.state().unbuffered = unbuffered;
    }

    /// Turns a bit in one of the files whose path `wanted` wants. Which file, if there was one with a byte.
    pub(super) fn rot(&self, mut random: impl FnMut(u64) -> u64, wanted: impl Fn(&Path) -> bool) -> Option<PathBuf> {
        let mut files = Vec::new();
        self.walk(Path::new("/"), &mut files);
        files.retain(|path| wanted(path));
        let path = files.get(usize::try_from(random(files.len().max(1) as u64)).unwrap())?.clone();
        let state = &mut *self.state();
        let node = state.find(&path).ok()?;
        let (now, durable) = state.file(node);
        let at = usize::try_from(random(now.len().max(1) as u64)).unwrap();
        let bit = 1 << random(8);
        *now.get_mut(at)? ^= bit;
        durable.get_mut(at).into_iter().for_each(|byte| *byte ^= bit);
        Some(path)
    }

    fn walk(&self, directory: &Path, files: &mut Vec<PathBuf>) {
        let names = self.state().names(directory).map(|names| names.clone()).unwrap_or_default();
        for (name, node) in names {
            let path = directory.join(name);
            let is_file = matches!(self.state().nodes[node], Node::File { .. });
            if is_file { files.push(path) } else { self.walk(&path, files) }
        }
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
        (state.fuse, state.fault, state.capacity, state.locked, state.short) = (None, None, None, false, false);
        for node in &mut state.nodes {
            match node {
                Node::Dir { now, durable, since } => {
                    for change in since.drain(..).filter(|_| random()) {
                        change.apply(durable);
                    }
                    now.clone_from(durable);
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

fn directory() -> Node {
    Node::Dir { now: Names::new(), durable: Names::new(), since: Vec::new() }
}

fn split(path: &Path) -> (&Path, String) {
    (path.parent().unwrap(), path.file_name().unwrap().to_str().unwrap().to_owned())
}

impl State {
    fn used(&self) -> u64 {
        self.nodes.iter().map(|node| if let Node::File { now, .. } = node { now.len() as u64 } else { 0 }).sum()
    }

    fn find(&mut self, path: &Path) -> io::Result<usize> {
        if self.nodes.is_empty() {
            self.nodes.push(directory());
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

    fn names(&mut self, path: &Path) -> io::Result<&mut Names> {
        let node = self.find(path)?;
        match &mut self.nodes[node] {
            Node::Dir { now, .. } => Ok(now),
            Node::File { .. } => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    /// Changes the names of a directory.
    fn rename_in(&mut self, directory: &Path, change: Change) -> io::Result<()> {
        let node = self.find(directory)?;
        match &mut self.nodes[node] {
            Node::Dir { now, since, .. } => {
                change.clone().apply(now);
                since.push(change);
                Ok(())
            }
            Node::File { .. } => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    /// A new file or directory.
    fn add(&mut self, path: &Path, node: Node) -> io::Result<usize> {
        let at = self.nodes.len();
        let (directory, name) = split(path);
        self.rename_in(directory, Change::Put(name, at))?;
        self.nodes.push(node);
        Ok(at)
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
