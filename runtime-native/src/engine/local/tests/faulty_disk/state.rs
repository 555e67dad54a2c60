//! What is on the disk, and what of it would outlast the power.

use std::{
    collections::BTreeMap,
    io,
    path::{Path, PathBuf},
};

use super::{Op, Unbuffered};

type Fault = Box<dyn FnMut(Op, &Path) -> Option<io::Error> + Send>;

#[derive(Default)]
pub(super) struct State {
    pub(super) nodes: Vec<Node>,
    pub(super) fuse: Option<u64>,
    /// The first write to a file below it is the last change.
    pub(super) last_write: Option<PathBuf>,
    pub(super) fault: Option<Fault>,
    pub(super) capacity: Option<u64>,
    pub(super) operations: u64,
    pub(super) reads: u64,
    pub(super) read_bytes: u64,
    pub(super) locked: bool,
    pub(super) cold: bool,
    /// Whether writes take only some of what they are given, by turns.
    pub(super) short: bool,
    pub(super) unbuffered: Unbuffered,
}

#[derive(Clone, Debug)]
pub(super) enum Node {
    File { now: Vec<u8>, durable: Vec<u8> },
    Dir { now: Names, durable: Names, since: Vec<Change> },
}

/// What each name of a directory stands for.
pub(super) type Names = BTreeMap<String, usize>;

/// A change of a directory's names that is not durable.
#[derive(Clone, Debug)]
pub(super) enum Change {
    Put(String, usize),
    Remove(String),
    Rename(String, String, usize),
}

impl Change {
    pub(super) fn apply(self, names: &mut Names) {
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

pub(super) fn directory() -> Node {
    Node::Dir { now: Names::new(), durable: Names::new(), since: Vec::new() }
}

pub(super) fn split(path: &Path) -> (&Path, String) {
    (path.parent().unwrap(), path.file_name().unwrap().to_str().unwrap().to_owned())
}

impl State {
    pub(super) fn used(&self) -> u64 {
        self.nodes.iter().map(|node| if let Node::File { now, .. } = node { now.len() as u64 } else { 0 }).sum()
    }

    pub(super) fn find(&mut self, path: &Path) -> io::Result<usize> {
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

    pub(super) fn names(&mut self, path: &Path) -> io::Result<&mut Names> {
        let node = self.find(path)?;
        match &mut self.nodes[node] {
            Node::Dir { now, .. } => Ok(now),
            Node::File { .. } => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    /// Changes the names of a directory.
    pub(super) fn rename_in(&mut self, directory: &Path, change: Change) -> io::Result<()> {
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
    pub(super) fn add(&mut self, path: &Path, node: Node) -> io::Result<usize> {
        let at = self.nodes.len();
        let (directory, name) = split(path);
        self.rename_in(directory, Change::Put(name, at))?;
        self.nodes.push(node);
        Ok(at)
    }

    pub(super) fn check(&mut self) -> io::Result<()> {
        if self.fuse == Some(0) { Err(io::Error::other("the machine is off")) } else { Ok(()) }
    }

    /// Whether the operation may happen. The last one before the end happens in half, where it can.
    pub(super) fn change(&mut self, op: Op, path: &Path) -> io::Result<bool> {
        self.check()?;
        self.operations += 1;
        if let Some(error) = self.fault.as_mut().and_then(|fault| fault(op, path)) {
            return Err(error);
        }
        if op == Op::Write && self.last_write.as_ref().is_some_and(|below| path.starts_with(below)) {
            self.fuse = Some(1);
        }
        if let Some(fuse) = &mut self.fuse {
            *fuse -= 1;
            return Ok(*fuse > 0);
        }
        Ok(true)
    }

    pub(super) fn file(&mut self, node: usize) -> (&mut Vec<u8>, &mut Vec<u8>) {
        match &mut self.nodes[node] {
            Node::File { now, durable } => (now, durable),
            Node::Dir { .. } => unreachable!("opened as a file"),
        }
    }
}
