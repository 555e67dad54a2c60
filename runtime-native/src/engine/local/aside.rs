//! What a start cuts off a log and can't give back, kept in a file beside it.
//!
//! Behind the last whole batch of a log there may be bytes that were acknowledged all the same: where a byte in
//! the middle has changed, whole batches follow it, and with [`Durability::Os`](super::Durability::Os) no journal
//! has them. The log can't go on behind a gap, so they leave it; but they are not thrown away. A batch that is merely
//! half written is, for nobody was ever told of it.
//!
//! A file is whole and durable before its bytes leave the log, and takes nobody's place. What the journal gives back
//! needs no file, so that one is removed again.

use std::{
    io::{self, IoSlice},
    ops::Range,
    path::{Path, PathBuf},
};

use takhin_core::{LogId, Offset};

use super::{
    disk::{Disk, DiskFile, TEMPORARY, read_full, write_all},
    report::{CutOff, RecoveryNote, RecoveryReport},
    walk::Walk,
};

/// Files kept of one log at most, none of them larger than a segment.
pub(super) const MAX_KEPT: usize = 16;

/// What stands in the name of each between the segment's name and the position.
const CUT: &str = ".cut-";

/// Keeps the bytes `cut` of a segment, if there is more to them than a batch that ends too early. `expected` is the
/// offset of the first batch cut off.
pub(super) fn keep(
    disk: &dyn Disk,
    log: LogId,
    segment: &Path,
    file: &dyn DiskFile,
    cut: Range<u64>,
    expected: Offset,
) -> io::Result<CutOff> {
    let Some(through) = end_of_readable(file, &cut, expected)? else { return Ok(CutOff::Dropped) };
    let directory = segment.parent().expect("a segment has a directory");
    let taken = disk.list(directory)?;
    if taken.iter().filter(|name| name.contains(CUT) && !name.ends_with(TEMPORARY)).count() >= MAX_KEPT {
        return Ok(CutOff::NotKept);
    }
    let name = segment.file_name().and_then(|name| name.to_str()).expect("a segment's name is text");
    let name = format!("{name}{CUT}{}", cut.start);
    let again = (2..).map(|number| format!("{name}-{number}"));
    let free = std::iter::once(name.clone()).chain(again).find(|name| !taken.contains(name));
    let path = directory.join(free.unwrap_or(name));
    copy(disk, file, cut, &path)?;
    Ok(CutOff::Kept { path, log, through })
}

/// Removes the files of which the journal has given everything back: `end` is where a log now ends.
pub(super) fn remove_needless(
    disk: &dyn Disk,
    report: &mut RecoveryReport,
    end: impl Fn(LogId) -> Option<Offset>,
) -> io::Result<()> {
    for note in &mut report.notes {
        if let RecoveryNote::TornSegment { cut_off, .. } = note
            && let CutOff::Kept { path, log, through } = &*cut_off
            && end(*log).is_some_and(|end| end >= *through)
        {
            disk.remove_file(path)?;
            *cut_off = CutOff::Dropped;
        }
        if let RecoveryNote::TornSegment { cut_off: CutOff::Kept { .. } | CutOff::NotKept, .. } = note {
            tracing::warn!("records that were acknowledged may have left their log: {note}");
        }
    }
    Ok(())
}

/// The offset behind the last batch that can be made out; `None` if there is none. The first may be damaged, if
/// it is as long as its header says.
fn end_of_readable(file: &dyn DiskFile, cut: &Range<u64>, expected: Offset) -> io::Result<Option<Offset>> {
    let mut walk = Walk::new(file, cut.end);
    let first = walk.header(cut.start, expected, true)?;
    let mut end = first.map(|header| header.end_offset());
    let mut position = cut.start;
    while let Some((at, header)) = walk.next_whole(position, expected)? {
        end = end.max(Some(header.end_offset()));
        // The next is looked for behind this position.
        position = at + header.bytes as u64 - 1;
    }
    Ok(end)
}

fn copy(disk: &dyn Disk, from: &dyn DiskFile, bytes: Range<u64>, to: &Path) -> io::Result<()> {
    const STEP_BYTES: u64 = 1 << 20;
    let mut temporary = to.as_os_str().to_owned();
    temporary.push(TEMPORARY);
    let temporary = PathBuf::from(temporary);
    let file = disk.open(&temporary, true)?;
    file.set_len(0)?;
    let mut position = bytes.start;
    let mut buffer = Vec::new();
    while position < bytes.end {
        let step = STEP_BYTES.min(bytes.end - position);
        buffer.resize(usize::try_from(step).expect("a step fits memory"), 0);
        if read_full(from, &mut buffer, position)? < buffer.len() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        write_all(&*file, &mut [IoSlice::new(&buffer)], position - bytes.start)?;
        position += step;
    }
    file.sync_all()?;
    disk.rename(&temporary, to)?;
    disk.sync_dir(to.parent().expect("a file has a directory"))
}
