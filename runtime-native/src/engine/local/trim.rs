//! Removing the oldest segments of a log, so that its start never goes back.
//!
//! The new start is noted beside the log, durably, before anything is removed or anybody is told of it. A crash in
//! between leaves segments behind that lie before the start; the next opening of the log removes them.

use std::{
    io::{self, IoSlice},
    path::{Path, PathBuf},
};

use takhin_core::Offset;

use super::{
    disk::{self, Disk},
    layout::{FileKind, segment_file},
    listing::Listing,
    log::Log,
    reader::Shared,
};

const START: &str = "start: ";
const START_FILE: &str = "log-start";

/// What says where a log begins.
pub(super) fn start_text(start: Offset) -> String {
    format!("version: 0\n{START}{}\n", start.0)
}

fn start_file(directory: &Path) -> PathBuf {
    directory.join(START_FILE)
}

/// Removes the segments of a log that lie before `start`, which is where one of its segments begins. Who reads them is
/// not disturbed, and who comes later is told the new start.
///
/// # Errors
/// The start could not be noted, and nothing was removed. Files that could not be removed are left to the next start.
pub(super) fn trim(shared: &Shared, log: &Log, start: Offset) -> io::Result<()> {
    let disk = shared.files.disk();
    let text = start_text(start);
    disk::replace_file(disk, &start_file(&log.directory), &mut [IoSlice::new(text.as_bytes())])?;
    let _replacing = log.begin_replacing();
    for segment in log.forget_before(start) {
        for kind in FileKind::ALL {
            shared.files.close(log.key(&segment, kind));
        }
        if let Err(error) = remove_segment(disk, &log.directory, segment.base)
            && !log.is_deleted()
        {
            tracing::warn!(log = ?log.id, base = segment.base.0, %error, "a segment is left for the next start to remove");
        }
    }
    Ok(())
}

/// Where a log begins, as far as that was ever noted. Removes what a crash has left before it.
pub(super) fn finish(listing: &mut Listing<'_>) -> io::Result<Offset> {
    if !listing.has(START_FILE) {
        return Ok(Offset(0));
    }
    let (disk, directory) = (listing.disk, listing.directory);
    let noted = disk::read_file(disk, &start_file(directory))?.unwrap_or_default();
    let noted = String::from_utf8(noted).unwrap_or_default();
    let start = noted.lines().find_map(|line| line.strip_prefix(START)).and_then(|start| start.parse().ok());
    let Some(start) = start.map(Offset) else { return Ok(Offset(0)) };
    let mut gone = listing.bases(FileKind::Log);
    gone.retain(|base| *base < start);
    for base in &gone {
        remove_segment(disk, directory, *base)?;
    }
    if !gone.is_empty() {
        listing.read_again()?;
    }
    Ok(start)
}

/// Removes a segment's files, the records last: without them the indexes are nobody's.
pub(super) fn remove_segment(disk: &dyn Disk, directory: &Path, base: Offset) -> io::Result<()> {
    for kind in [FileKind::Index, FileKind::TimeIndex, FileKind::Log] {
        match disk.remove_file(&segment_file(directory, base, kind)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}
