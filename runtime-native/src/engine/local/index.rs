//! Where batches lie in a segment, about one entry for every 4096 bytes, in Kafka's own file formats.
//!
//! `.index`: (relative offset i32, position i32), the last offset of a batch and where the batch begins.
//! `.timeindex`: (timestamp i64, relative offset i32), the greatest timestamp so far and the last offset of the
//! batch that brought it. The last entry of a sealed segment has the greatest timestamp of all.

use takhin_core::Offset;

use crate::record::BatchHeader;

/// How many bytes of batches there are between two entries, at least.
const INTERVAL_BYTES: u64 = 4096;
pub(super) const OFFSET_ENTRY: usize = 8;
pub(super) const TIME_ENTRY: usize = 12;

/// An entry of the offset index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The last offset of the batch.
    pub(super) last_offset: Offset,
    /// Where the batch begins.
    pub(super) position: u64,
}

/// The index of a segment that is being written.
#[derive(Clone, Debug, Default)]
pub(super) struct SparseIndex {
    offsets: Vec<(u32, u32)>,
    times: Vec<(i64, u32)>,
    since_entry: u64,
    latest: Option<(i64, u32)>,
}

impl SparseIndex {
    /// Takes note of the batch that has been appended at `position`.
    pub(super) fn note(&mut self, base: Offset, header: &BatchHeader, position: u64) {
        let relative = relative(base, header.last_offset);
        if self.latest.is_none_or(|(latest, _)| header.max_timestamp > latest) {
            self.latest = Some((header.max_timestamp, relative));
        }
        if self.since_entry >= INTERVAL_BYTES {
            self.since_entry = 0;
            self.offsets.push((relative, u32::try_from(position).unwrap_or(u32::MAX)));
            self.note_time();
        }
        self.since_entry += header.bytes as u64;
    }

    /// The last entry at or before `target`; none before the segment's base, whatever a damaged file says.
    pub(super) fn floor(&self, base: Offset, target: Offset) -> Option<Place> {
        if target < base {
            return None;
        }
        let relative = relative(base, target);
        let after = self.offsets.partition_point(|&(last, _)| last <= relative);
        let (last, position) = *self.offsets.get(after.checked_sub(1)?)?;
        Some(Place { last_offset: Offset(base.0 + u64::from(last)), position: u64::from(position) })
    }

    /// The offset of the last time entry before `timestamp_ms`: nothing before that offset is as late.
    pub(super) fn floor_time(&self, base: Offset, timestamp_ms: i64) -> Option<Offset> {
        let after = self.times.partition_point(|&(time, _)| time < timestamp_ms);
        let (_, relative) = *self.times.get(after.checked_sub(1)?)?;
        Some(Offset(base.0 + u64::from(relative)))
    }

    /// The greatest timestamp of the segment.
    pub(super) fn max_timestamp(&self) -> Option<i64> {
        self.latest.map(|(time, _)| time)
    }

    /// The two files' bytes. `sealed` adds the last time entry.
    pub(super) fn encode(&mut self, sealed: bool) -> (Vec<u8>, Vec<u8>) {
        if sealed {
            self.note_time();
        }
        let offsets = self.offsets.iter().flat_map(|&(relative, position)| {
            let [a, b] = [relative, position].map(u32::to_be_bytes);
            a.into_iter().chain(b)
        });
        let times = self
            .times
            .iter()
            .flat_map(|&(time, relative)| time.to_be_bytes().into_iter().chain(relative.to_be_bytes()));
        (offsets.collect(), times.collect())
    }

    /// How many entries a segment of so many bytes can have at most.
    pub(super) fn most_entries(segment_bytes: u64) -> usize {
        usize::try_from(segment_bytes / INTERVAL_BYTES).unwrap_or(usize::MAX)
    }

    /// Reads the two files' bytes, as far as they make sense and speak of the part of the segment before
    /// `position` and `offset`.
    pub(super) fn decode(offsets: &[u8], times: &[u8], base: Offset, before: Place) -> Self {
        let mut index = Self::default();
        let limit = relative(base, before.last_offset);
        let mut last = None;
        for entry in offsets.as_chunks::<OFFSET_ENTRY>().0 {
            let (relative, position) = decode_offset(*entry);
            let grows = last.is_none_or(|(offset, at)| relative > offset && position > at);
            if !grows || relative >= limit || u64::from(position) >= before.position {
                break;
            }
            last = Some((relative, position));
            index.offsets.push((relative, position));
        }
        // Times are only of use up to the last offset that the walk over the segment will not see again.
        let limit = last.map_or(0, |(relative, _)| relative);
        let mut last = None;
        for entry in times.as_chunks::<TIME_ENTRY>().0 {
            let (time, relative) = decode_time(*entry);
            let grows = last.is_none_or(|(before, offset)| time > before && relative > offset);
            if !grows || relative >= limit {
                break;
            }
            last = Some((time, relative));
            index.times.push((time, relative));
        }
        index.latest = last;
        index
    }

    /// The last entry.
    pub(super) fn last(&self, base: Offset) -> Option<Place> {
        self.floor(base, Offset(u64::MAX))
    }

    /// Takes the last entry off again, for whoever walks on from there.
    pub(super) fn reopen_last(&mut self, base: Offset) -> Option<Place> {
        let last = self.last(base)?;
        self.offsets.pop();
        self.since_entry = INTERVAL_BYTES;
        Some(last)
    }

    fn note_time(&mut self) {
        if let Some(latest) = self.latest
            && self.times.last().is_none_or(|&(last, _)| latest.0 > last)
        {
            self.times.push(latest);
        }
    }
}

pub(super) fn decode_offset(entry: [u8; OFFSET_ENTRY]) -> (u32, u32) {
    let (relative, position) = entry.split_at(4);
    (be_u32(relative), be_u32(position))
}

pub(super) fn decode_time(entry: [u8; TIME_ENTRY]) -> (i64, u32) {
    let (time, relative) = entry.split_at(8);
    let mut bytes = [0; 8];
    bytes.copy_from_slice(time);
    (i64::from_be_bytes(bytes), be_u32(relative))
}

fn be_u32(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |value, &byte| value << 8 | u32::from(byte))
}

fn relative(base: Offset, offset: Offset) -> u32 {
    u32::try_from(offset.0.saturating_sub(base.0)).unwrap_or(u32::MAX)
}
