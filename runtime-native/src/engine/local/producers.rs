//! Knowing idempotent producers again after a start.
//!
//! A snapshot has the producers of each log as they were when it was taken, and up to which offset. What was appended
//! behind that bears its producer in its batches' headers, so that a walk over those brings the table up to date. It is
//! as long as what was written since the snapshot.

use std::{
    collections::HashMap,
    io,
    time::{SystemTime, UNIX_EPOCH},
};

use rustc_hash::FxBuildHasher;
use takhin_core::{LogId, Offset, Producers};

use super::{
    files::Files,
    layout::FileKind,
    log::{Index, Log, Segment},
    tail::Tail,
    walk::Walk,
};
use crate::record::BatchHeader;

/// What an operator's clock says, in milliseconds since 1970.
pub(super) fn wall_clock_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Gives each log its producers: those that were `known` up to an offset, and those who wrote behind that.
pub(super) fn recover(
    files: &Files,
    tails: &mut HashMap<LogId, Tail, FxBuildHasher>,
    mut known: HashMap<LogId, (Offset, Producers)>,
) -> io::Result<()> {
    let now_ms = wall_clock_ms();
    for tail in tails.values_mut() {
        let (from, producers) = known.remove(&tail.log.id).unwrap_or_default();
        tail.producers = producers;
        let segments = tail.log.segments();
        let first = segments.partition_point(|segment| segment.base <= from).saturating_sub(1);
        for segment in segments.iter().skip(first).filter(|_| from < tail.end) {
            for_each_header(files, &tail.log, segment, from, |header| {
                if let Some(stamp) = header.producer() {
                    tail.producers.note(stamp, header.offsets(), header.base_offset, now_ms);
                    tail.producers.commit();
                    tail.log.note_stamped();
                }
            })?;
        }
    }
    Ok(())
}

/// Looks at the headers of a segment's batches that begin at or behind `from`. Damage ends it: what lies behind damage
/// is not known to belong there.
fn for_each_header(
    files: &Files,
    log: &Log,
    segment: &Segment,
    from: Offset,
    mut look: impl FnMut(&BatchHeader),
) -> io::Result<()> {
    let file = log.open(files, segment, FileKind::Log)?;
    let size = segment.size();
    let mut walk = Walk::new(&*file, size);
    let place = segment.with_index(|index| match index {
        Index::Open(index) => index.floor(segment.base, from),
        Index::Sealed { .. } => None,
    });
    let mut position = place.map_or(0, |place| place.position);
    let mut expected = segment.base;
    while position < size {
        let Some(header) = walk.header(position, expected, true)? else { return Ok(()) };
        if header.base_offset >= from {
            look(&header);
        }
        position += header.bytes as u64;
        expected = header.end_offset();
    }
    Ok(())
}
