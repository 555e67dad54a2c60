//! Backups: a data directory in one archive, taken while it is written to, and made a data directory again.
//!
//! ```text
//!   driver: state, and the wish to hold what there is     in one step
//!   writer: links to all segments, up to their ends       no byte is copied, no write waits for long
//!   archive: state, links ---> tar, zstd                   beside all else
//!   restore: archive ---> checks ---> a new directory
//! ```
//!
//! * What is held is what was acknowledged at one moment, between two groups of writes: no offset in the state is
//!   beyond the records that are held with it.
//! * A link holds a segment whatever retention, compaction or a deletion do to its name meanwhile; what is appended to it
//!   later is behind the length that is held.
//! * An archive ends in the checksums of all that is in it. One that was cut short, or changed, is found out.

mod archive;
mod check;
mod restore;

use std::{io, path::PathBuf, sync::Arc};

use takhin_core::{FactSeq, LogId, Offset, Producers};

pub use archive::{ArchiveError, Sum};
pub use restore::{RestoreError, RestoreOptions, restore};

use super::{
    disk::Disk,
    layout::{FileKind, digits, segment_file},
    tail::Tail,
    writer::Writer,
};

/// Where links are kept while a backup is taken.
const DIRECTORY: &str = "backup";
/// The format of archives.
const FORMAT: u32 = 1;
/// What an archive begins and ends with.
const CONTENTS: &str = "takhin-backup.json";
const CHECKSUMS: &str = "checksums.json";

/// All logs as they were at one moment. Dropped, they are let go.
#[derive(Debug)]
pub struct Held {
    disk: Arc<dyn Disk>,
    directory: PathBuf,
    logs: Vec<HeldLog>,
}

#[derive(Debug)]
struct HeldLog {
    log: LogId,
    /// The name of its directory.
    name: String,
    end: Offset,
    segments: Vec<HeldSegment>,
    producers: Producers,
}

#[derive(Debug)]
struct HeldSegment {
    base: Offset,
    bytes: u64,
    link: PathBuf,
}

/// A state to go with logs that are held.
#[derive(Debug)]
pub struct HeldState {
    /// The last fact in it.
    pub through: FactSeq,
    /// The state.
    pub state: Vec<u8>,
    /// Which start of the broker made it.
    pub boot: u32,
    /// When, in milliseconds since 1970.
    pub taken_at_ms: i64,
}

impl HeldLog {
    fn start(&self) -> Offset {
        self.segments.first().map_or(self.end, |segment| segment.base)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Err(error) = remove(&*self.disk, &self.directory) {
            tracing::warn!(%error, path = %self.directory.display(), "left for the next backup to remove");
        }
    }
}

fn remove(disk: &dyn Disk, directory: &std::path::Path) -> io::Result<()> {
    match super::checkpoint::remove_directory(disk, directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

impl Writer {
    /// Holds all logs as they are now, between two groups of writes.
    pub(super) fn hold(&self) -> io::Result<Held> {
        if let Some(why) = self.failure() {
            return Err(io::Error::other(why));
        }
        let disk = self.shared.files.shared_disk();
        let directory = self.layout.root().join(DIRECTORY);
        remove(&*disk, &directory)?;
        disk.create_dir(&directory)?;
        let mut held = Held { disk, directory, logs: Vec::with_capacity(self.tails.len()) };
        for tail in self.tails.values() {
            let log = held.hold(tail)?;
            held.logs.push(log);
        }
        held.logs.sort_unstable_by_key(|log| log.log);
        Ok(held)
    }
}

impl Held {
    fn hold(&self, tail: &Tail) -> io::Result<HeldLog> {
        // What is no longer written may be replaced or removed beside the writing, but not now.
        let _settled = tail.log.begin_replacing();
        let log = tail.log.id;
        let hold = |segment: &Arc<super::log::Segment>| {
            let is_active = Arc::ptr_eq(segment, &tail.active);
            let name = format!("{:016x}-{}-{}", log.topic.0, log.partition, digits(segment.base.0));
            let link = self.directory.join(name);
            self.disk.link(&segment_file(&tail.log.directory, segment.base, FileKind::Log), &link)?;
            let bytes = if is_active { tail.size } else { segment.size() };
            Ok(HeldSegment { base: segment.base, bytes, link })
        };
        let segments = tail.log.segments().iter().map(hold).collect::<io::Result<_>>()?;
        let name = tail.log.directory.file_name().map(|name| name.to_string_lossy().into_owned());
        let name = name.unwrap_or_default();
        Ok(HeldLog { log, name, end: tail.end, segments, producers: tail.producers.clone() })
    }
}
