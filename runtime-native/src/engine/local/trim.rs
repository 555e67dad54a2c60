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
    layout::{self, FileKind, segment_file},
    log::Log,
    reader::Shared,
};

const START: &str = "start: ";

/// What says where a log begins.
pub(super) fn start_text(start: Offset) -> String {
    format!("version: 0\n{START}{}\n", start.0)
}

fn start_file(directory: &Path) -> PathBuf {
    directory.join("log-start")
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
pub(super) fn finish(disk: &dyn Disk, directory: &Path) -> io::Result<Offset> {
    let noted = disk::read_file(disk, &start_file(directory))?.unwrap_or_default();
    let noted = String::from_utf8(noted).unwrap_or_default();
    let start = noted.lines().find_map(|line| line.strip_prefix(START)).and_then(|start| start.parse().ok());
    let Some(start) = start.map(Offset) else { return Ok(Offset(0)) };
    for base in bases(disk, directory)?.into_iter().filter(|base| *base < start) {
        remove_segment(disk, directory, base)?;
    }
    Ok(start)
}

/// Where the segments in a directory begin, in order.
pub(super) fn bases(disk: &dyn Disk, directory: &Path) -> io::Result<Vec<Offset>> {
    let names = disk.list(directory)?;
    let base = |name: &String| layout::number(name, FileKind::Log.extension()).map(Offset);
    let mut bases: Vec<_> = names.iter().filter_map(base).collect();
    bases.sort_unstable();
    Ok(bases)
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
