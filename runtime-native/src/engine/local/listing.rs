//! The names in a log's directory, read once for all who want to know of them at a start.

use std::{io, path::Path};

use takhin_core::Offset;

use super::{
    disk::Disk,
    layout::{self, FileKind},
};

/// The names in one directory, as they were when they were last read.
#[derive(Debug)]
pub(super) struct Listing<'a> {
    pub(super) disk: &'a dyn Disk,
    pub(super) directory: &'a Path,
    names: Vec<String>,
}

impl<'a> Listing<'a> {
    /// Reads them; `None` if there is no such directory.
    pub(super) fn read(disk: &'a dyn Disk, directory: &'a Path) -> io::Result<Option<Self>> {
        match disk.list(directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            names => Ok(Some(Self { disk, directory, names: names? })),
        }
    }

    /// The names of a directory that has just been made.
    pub(super) fn of_new(disk: &'a dyn Disk, directory: &'a Path) -> Self {
        Self { disk, directory, names: Vec::new() }
    }

    /// Reads them anew, for who has changed them.
    pub(super) fn read_again(&mut self) -> io::Result<()> {
        self.names = self.disk.list(self.directory)?;
        Ok(())
    }

    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.names.iter().any(|other| other == name)
    }

    /// Where the segments begin that have a file of this kind, in order.
    pub(super) fn bases(&self, kind: FileKind) -> Vec<Offset> {
        let numbers = self.names.iter().filter_map(|name| layout::number(name, kind.extension()));
        let mut bases: Vec<_> = numbers.map(Offset).collect();
        bases.sort_unstable();
        bases
    }

    /// Whether the segment that begins at `base` has a file of this kind.
    pub(super) fn has_segment_file(&self, base: Offset, kind: FileKind) -> bool {
        self.has(&layout::segment_file_name(base, kind))
    }
}
