//! A file system in memory that can fail, fill up, and lose what was not synced.
//!
//! What it models: bytes survive a crash per 512-byte sector at random unless synced; each change of a directory's names
//! survives by itself unless synced; writes may be short; bits rot where a test says so; nothing happens after the fuse
//! has blown; writes past the system's memory that do not begin and end where they have to are refused. What it does not: a
//! disk that lies about a sync.

mod calls;
mod state;

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard},
};

use self::state::{Node, State};

const SECTOR: usize = 512;

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

#[derive(Clone, Default)]
pub(super) struct FaultyDisk(Arc<Mutex<State>>);

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

impl fmt::Debug for FaultyDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FaultyDisk")
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

    /// The machine goes off within the next write to a file below `directory`, of which half is done.
    pub(super) fn blow_within_a_write_below(&self, directory: &Path) {
        self.state().last_write = Some(directory.to_owned());
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
        (state.fuse, state.last_write, state.fault, state.capacity) = (None, None, None, None);
        (state.locked, state.short) = (false, false);
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
