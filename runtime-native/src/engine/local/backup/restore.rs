//! Reading an archive: into a directory that is new, or only to see whether it is good.
//!
//! Everything is checked on its way: that the archive is whole and unchanged, and that every batch of every log is. The
//! file that makes the directory one that a server opens is written last, so a restore that failed leaves none.

use std::{
    collections::BTreeMap,
    fmt,
    io::{self, IoSlice, Read},
    path::{Path, PathBuf},
    sync::Arc,
};

use takhin_core::{LogId, Offset};

use super::{
    CHECKSUMS, CONTENTS, FORMAT,
    archive::{Checksum, Checksums, Contents, LogContents, Sum},
    check::SegmentCheck,
};
use crate::engine::local::{
    config::LocalConfig,
    disk::{Disk, DiskFile, RealDisk, write_all},
    home,
    journal::{Files, Journal, Way},
    layout::{self, FileKind, Layout},
    snapshot,
    writer::write_bounds,
};

/// What is to be done with an archive.
#[derive(Clone, Debug, Default)]
pub struct RestoreOptions {
    /// The directory to make; without one the archive is only checked.
    pub data_dir: Option<PathBuf>,
    /// Whether batches that were damaged when the backup was taken are taken along: they can't be read, what stands
    /// around them can.
    pub keep_damaged: bool,
}

/// Why nothing was restored.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// There is something in the directory.
    #[error("{} is not empty: restore into a new directory", .0.display())]
    NotEmpty(PathBuf),
    /// The archive is damaged, or cut short.
    #[error("the archive is damaged: {place}: {why}")]
    Damaged {
        /// Where in it.
        place: String,
        /// What is wrong there.
        why: String,
    },
    /// Batches were damaged before the backup was taken.
    #[error("{place} was damaged when the backup was taken, {why}")]
    DamagedBatch {
        /// The segment.
        place: String,
        /// Where in it, and what is wrong there.
        why: String,
    },
    /// It is of a later format.
    #[error("the archive is of format {0}, and this version reads format {FORMAT}: use a newer version")]
    NewerFormat(u32),
    /// The directory could not be written.
    #[error("{}: {error}", path.display())]
    Io {
        /// What was written.
        path: PathBuf,
        /// What the file system says.
        error: io::Error,
    },
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> RestoreError + '_ {
    |error| RestoreError::Io { path: path.to_owned(), error }
}

fn damaged(place: &str, why: impl fmt::Display) -> RestoreError {
    RestoreError::Damaged { place: place.to_owned(), why: why.to_string() }
}

/// Restores an archive, or checks it. Gives what is in it, and which segments have damaged batches.
///
/// # Errors
/// See [`RestoreError`]; the directory is as it was then.
pub fn restore(archive: impl Read, options: &RestoreOptions) -> Result<(Sum, Vec<String>), RestoreError> {
    let target = options.data_dir.as_deref().map(Target::new).transpose()?;
    let mut reading = Reading {
        target,
        keep_damaged: options.keep_damaged,
        contents: None,
        found: Checksums::default(),
        ends: BTreeMap::new(),
        has_snapshot: false,
        damage: Vec::new(),
    };
    let read = reading.read(archive);
    if read.is_err()
        && let Some(target) = &reading.target
    {
        target.give_up();
    }
    read.map(|sum| (sum, reading.damage))
}

/// The directory that is made.
struct Target {
    disk: Arc<dyn Disk>,
    layout: Layout,
    was_there: bool,
}

impl Target {
    fn new(root: &Path) -> Result<Self, RestoreError> {
        let was_there = match std::fs::read_dir(root) {
            Ok(mut names) => {
                if names.next().is_some() {
                    return Err(RestoreError::NotEmpty(root.to_owned()));
                }
                true
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(at(root)(error)),
        };
        let (disk, layout) = (Arc::new(RealDisk), Layout::new(root.to_owned()));
        for directory in [layout.logs(), layout.journal(), layout.snapshots()] {
            disk.create_dir(&directory).map_err(at(&directory))?;
        }
        Ok(Self { disk, layout, was_there })
    }

    fn create(&self, path: &str) -> Result<(Arc<dyn DiskFile>, PathBuf), RestoreError> {
        let path = self.layout.root().join(path);
        if let Some(parent) = path.parent() {
            self.disk.create_dir(parent).map_err(at(parent))?;
        }
        let file = self.disk.open(&path, true).map_err(at(&path))?;
        Ok((file, path))
    }

    /// Makes it a data directory.
    fn finish(&self, contents: &Contents) -> Result<(), RestoreError> {
        let (root, journal) = (self.layout.root(), self.layout.journal());
        let ends: Vec<_> = contents.logs.iter().map(|log| (log.id(), log.end)).collect();
        let file_bytes = LocalConfig::new(root).journal_file_bytes;
        let files = Files::new(Arc::clone(&self.disk), journal.clone(), file_bytes, Way::Buffered);
        let made = Journal::create(files, 1, [].into());
        made.and_then(|mut journal| {
            write_bounds(&mut journal, &ends)?;
            journal.cut_off()
        })
        .map_err(at(&journal))?;
        for log in &contents.logs {
            let directory = self.layout.logs().join(&log.name);
            self.disk.sync_dir(&directory).map_err(at(&directory))?;
        }
        for directory in [self.layout.logs(), self.layout.snapshots(), journal.clone(), root.to_owned()] {
            self.disk.sync_dir(&directory).map_err(at(&directory))?;
        }
        home::write_manifest(&*self.disk, &self.layout, contents.boot).map_err(at(root))
    }

    /// Removes what was written. The directory was empty before.
    fn give_up(&self) {
        let root = self.layout.root();
        let removed = std::fs::remove_dir_all(root);
        let again = if self.was_there { std::fs::create_dir(root) } else { Ok(()) };
        if let Err(error) = removed.and(again) {
            tracing::warn!(%error, path = %root.display(), "what was restored so far could not be removed");
        }
    }
}

impl LogContents {
    fn id(&self) -> LogId {
        LogId { topic: self.topic, partition: self.partition }
    }
}

/// What an entry of an archive is.
enum Entry {
    Contents,
    Checksums,
    Snapshot,
    LogFile,
    Segment { log: String, base: Offset },
}

/// Names that are not an archive's are refused, so that no name leads out of the directory.
fn entry(path: &str) -> Option<Entry> {
    let parts: Vec<&str> = path.split('/').collect();
    match parts.as_slice() {
        [CONTENTS] => Some(Entry::Contents),
        [CHECKSUMS] => Some(Entry::Checksums),
        ["snapshots", name] => layout::number(name, ".snap").filter(|number| *number == 1).map(|_| Entry::Snapshot),
        ["logs", log, name] if is_log_name(log) => match *name {
            "partition.metadata" | "log-start" => Some(Entry::LogFile),
            name => {
                let base = Offset(layout::number(name, FileKind::Log.extension())?);
                Some(Entry::Segment { log: (*log).to_owned(), base })
            }
        },
        _ => None,
    }
}

fn is_log_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    !name.is_empty() && name != "." && name != ".." && name.bytes().all(allowed)
}

/// An archive that is being read.
struct Reading {
    target: Option<Target>,
    keep_damaged: bool,
    contents: Option<Contents>,
    found: Checksums,
    /// Where each log ends, as far as its segments say.
    ends: BTreeMap<String, Offset>,
    has_snapshot: bool,
    damage: Vec<String>,
}

impl Reading {
    fn read(&mut self, archive: impl Read) -> Result<Sum, RestoreError> {
        let (stored, mut rest) = self.read_entries(archive)?;
        // The packing has a checksum of its own, behind everything.
        io::copy(&mut rest, &mut io::sink()).map_err(|error| damaged(&format!("behind {CHECKSUMS}"), error))?;
        self.finish(&stored)
    }

    /// Reads everything up to the checksums. Gives those, and what stands behind them.
    fn read_entries<R: Read>(&mut self, archive: R) -> Result<(Checksums, impl Read + use<R>), RestoreError> {
        let unpacked = zstd::stream::read::Decoder::new(archive).map_err(|error| damaged("its beginning", error))?;
        let mut tar = tar::Archive::new(unpacked);
        let mut last = "its beginning".to_owned();
        for next in tar.entries().map_err(|error| damaged(&last, error))? {
            let mut next = next.map_err(|error| damaged(&format!("behind {last}"), error))?;
            let path = String::from_utf8_lossy(&next.path_bytes()).into_owned();
            last.clone_from(&path);
            match entry(&path).ok_or_else(|| damaged(&path, "no backup has such an entry"))? {
                Entry::Checksums => {
                    let stored = parse(&path, &whole(&path, &mut next)?)?;
                    return Ok((stored, tar.into_inner()));
                }
                Entry::Contents => {
                    let bytes = whole(&path, &mut next)?;
                    let contents: Contents = parse(&path, &bytes)?;
                    if contents.format > FORMAT {
                        return Err(RestoreError::NewerFormat(contents.format));
                    }
                    self.note(&path, &bytes);
                    self.contents = Some(contents);
                }
                _ if self.contents.is_none() => return Err(damaged(&path, "it does not begin with its contents")),
                Entry::Snapshot => {
                    let bytes = whole(&path, &mut next)?;
                    if !snapshot::is_whole(&bytes) {
                        return Err(damaged(&path, "the snapshot is damaged"));
                    }
                    self.has_snapshot = true;
                    self.keep(&path, &bytes)?;
                }
                Entry::LogFile => {
                    let bytes = whole(&path, &mut next)?;
                    self.keep(&path, &bytes)?;
                }
                Entry::Segment { log, base } => self.segment(&path, log, base, &mut next)?,
            }
        }
        Err(damaged(&format!("behind {last}"), "it ends too early"))
    }

    fn note(&mut self, path: &str, bytes: &[u8]) {
        let checksum = Checksum { bytes: bytes.len() as u64, crc32c: crc32c::crc32c(bytes) };
        self.found.files.insert(path.to_owned(), checksum);
    }

    fn keep(&mut self, path: &str, bytes: &[u8]) -> Result<(), RestoreError> {
        self.note(path, bytes);
        let Some(target) = &self.target else { return Ok(()) };
        let (file, to) = target.create(path)?;
        write_all(&*file, &mut [IoSlice::new(bytes)], 0).and_then(|()| file.sync_all()).map_err(at(&to))
    }

    fn segment(&mut self, path: &str, log: String, base: Offset, from: &mut impl Read) -> Result<(), RestoreError> {
        let file = self.target.as_ref().map(|target| target.create(path)).transpose()?;
        let mut check = SegmentCheck::new(base);
        let mut checksum = Checksum { bytes: 0, crc32c: 0 };
        let mut piece = vec![0; 256 << 10];
        loop {
            let read = match from.read(&mut piece) {
                Ok(0) => break,
                Ok(read) => read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(damaged(&format!("{path} behind byte {}", checksum.bytes), error)),
            };
            let bytes = &piece[..read];
            check.take(bytes);
            checksum.crc32c = crc32c::crc32c_append(checksum.crc32c, bytes);
            if let Some((file, to)) = &file {
                write_all(&**file, &mut [IoSlice::new(bytes)], checksum.bytes).map_err(at(to))?;
            }
            checksum.bytes += read as u64;
        }
        if let Some((file, to)) = &file {
            file.sync_all().map_err(at(to))?;
        }
        self.found.files.insert(path.to_owned(), checksum);
        match check.finish() {
            Ok(end) => {
                self.ends.insert(log, end);
            }
            Err(why) if self.keep_damaged => {
                self.ends.remove(&log);
                self.damage.push(format!("{path} {why}"));
            }
            // Whether the archive or what it was made from is damaged, its checksums will tell.
            Err(why) => self.damage.push(format!("{path} {why}")),
        }
        Ok(())
    }

    fn finish(&mut self, stored: &Checksums) -> Result<Sum, RestoreError> {
        for (path, checksum) in &stored.files {
            match self.found.files.get(path) {
                None => return Err(damaged(path, "it is missing")),
                Some(found) if found != checksum => {
                    let why = format!("it has {found:?}, and had {checksum:?}");
                    return Err(damaged(path, why));
                }
                Some(_) => {}
            }
        }
        if let Some(path) = self.found.files.keys().find(|path| !stored.files.contains_key(*path)) {
            return Err(damaged(path, "it has no checksum"));
        }
        if let Some(damage) = self.damage.first().filter(|_| !self.keep_damaged) {
            let (place, why) = damage.split_once(' ').unwrap_or((damage, ""));
            return Err(RestoreError::DamagedBatch { place: place.to_owned(), why: why.to_owned() });
        }
        let contents = self.contents.take().ok_or_else(|| damaged(CONTENTS, "it is missing"))?;
        if !self.has_snapshot {
            return Err(damaged("snapshots", "the state is missing"));
        }
        let mut sum = Sum { logs: contents.logs.len(), ..Sum::default() };
        for log in &contents.logs {
            if let Some(end) = self.ends.get(&log.name).filter(|end| **end != log.end) {
                let why = format!("its records end at offset {}, and ended at {}", end.0, log.end.0);
                return Err(damaged(&format!("logs/{}", log.name), why));
            }
            sum.bytes += log.bytes;
            sum.offsets += log.end.0.saturating_sub(log.start.0);
        }
        if let Some(target) = &self.target {
            target.finish(&contents)?;
        }
        Ok(sum)
    }
}

fn whole(path: &str, from: &mut impl Read) -> Result<Vec<u8>, RestoreError> {
    let mut bytes = Vec::new();
    from.read_to_end(&mut bytes).map_err(|error| damaged(path, error))?;
    Ok(bytes)
}

fn parse<T: serde::de::DeserializeOwned>(path: &str, bytes: &[u8]) -> Result<T, RestoreError> {
    serde_json::from_slice(bytes).map_err(|error| damaged(path, error))
}
