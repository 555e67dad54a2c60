//! One frame of the journal.

use takhin_core::{FactSeq, LogId, Offset, TopicId};

use crate::record::MAX_BATCH_BYTES;

/// Length and checksum.
pub(super) const UNCOUNTED: usize = 8;
/// File number, synced to, kind.
const PREFIX: usize = 13;
/// A frame longer than this is none.
const MAX_BODY: usize = PREFIX + MAX_BATCH_BYTES + 64;
const LOG_ID: usize = 12;

const RECORDS: u8 = 1;
const FACT: u8 = 2;
const BOUNDS: u8 = 3;

/// What a frame says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine::local) enum Frame<'a> {
    /// A batch with its final base offset.
    Records { log: LogId, batch: &'a [u8] },
    /// A fact.
    Fact { seq: FactSeq, fact: &'a [u8] },
    /// How far each log is known to be whole and durable: recovery need not look at what comes before.
    Bounds(Bounds<'a>),
}

/// Ends of logs, encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::engine::local) struct Bounds<'a>(&'a [u8]);

impl<'a> Bounds<'a> {
    const ENTRY: usize = LOG_ID + 8;

    pub(in crate::engine::local) fn encode(out: &mut Vec<u8>, ends: impl Iterator<Item = (LogId, Offset)>) {
        for (log, end) in ends {
            put_log(out, log);
            out.extend_from_slice(&end.0.to_be_bytes());
        }
    }

    /// Takes bytes written by [`Bounds::encode`].
    pub(in crate::engine::local) fn new(bytes: &'a [u8]) -> Option<Self> {
        bytes.len().is_multiple_of(Self::ENTRY).then_some(Self(bytes))
    }

    pub(in crate::engine::local) fn ends(self) -> impl Iterator<Item = (LogId, Offset)> + 'a {
        self.0.chunks_exact(Self::ENTRY).filter_map(|entry| {
            let (log, end) = take_log(entry)?;
            Some((log, Offset(u64::from_be_bytes(*end.first_chunk()?))))
        })
    }
}

impl<'a> Frame<'a> {
    /// The part that stands as it is at the frame's end.
    pub(in crate::engine::local) fn tail(self) -> &'a [u8] {
        match self {
            Self::Records { batch, .. } => batch,
            Self::Fact { fact, .. } => fact,
            Self::Bounds(bounds) => bounds.0,
        }
    }

    /// Appends all of the frame that comes before its tail.
    pub(in crate::engine::local) fn put_head(self, out: &mut Vec<u8>, file: u64, synced_to: u32) {
        let start = out.len();
        out.extend_from_slice(&[0; UNCOUNTED]);
        out.extend_from_slice(&file.to_be_bytes());
        out.extend_from_slice(&synced_to.to_be_bytes());
        match self {
            Self::Records { log, .. } => {
                out.push(RECORDS);
                put_log(out, log);
            }
            Self::Fact { seq, .. } => {
                out.push(FACT);
                out.extend_from_slice(&seq.0.to_be_bytes());
            }
            Self::Bounds(_) => out.push(BOUNDS),
        }
        let counted = &out[start + UNCOUNTED..];
        let length = u32::try_from(counted.len() + self.tail().len()).expect("a frame is far shorter than 4 GiB");
        let checksum = crc32c::crc32c_append(crc32c::crc32c(counted), self.tail());
        out[start..start + 4].copy_from_slice(&length.to_be_bytes());
        out[start + 4..start + UNCOUNTED].copy_from_slice(&checksum.to_be_bytes());
    }

    /// Where the frame at `at` would end, of which perhaps no more than the head is there; `None` if that is not the head
    /// of a frame of this file.
    pub(super) fn begins(bytes: &[u8], at: usize, file: u64) -> Option<usize> {
        let rest = bytes.get(at..)?;
        let length = u32::from_be_bytes(*rest.first_chunk()?) as usize;
        let number = rest.get(UNCOUNTED..)?.first_chunk()?;
        let is_head = (PREFIX..=MAX_BODY).contains(&length) && u64::from_be_bytes(*number) == file;
        is_head.then_some(at + UNCOUNTED + length)
    }

    /// The frame at `at`, how much of the file was durable before it, and where it ends; `None` if there is no
    /// whole frame of this file.
    pub(super) fn read(bytes: &'a [u8], at: usize, file: u64) -> Option<(Self, usize, usize)> {
        let rest = bytes.get(at..)?;
        let length = u32::from_be_bytes(*rest.first_chunk()?) as usize;
        if !(PREFIX..=MAX_BODY).contains(&length) {
            return None;
        }
        let checksum = u32::from_be_bytes(*rest.get(4..)?.first_chunk()?);
        let counted = rest.get(UNCOUNTED..UNCOUNTED + length)?;
        let (number, after) = counted.split_first_chunk()?;
        let (synced_to, after) = after.split_first_chunk()?;
        let synced_to = u32::from_be_bytes(*synced_to) as usize;
        if u64::from_be_bytes(*number) != file || synced_to > at || crc32c::crc32c(counted) != checksum {
            return None;
        }
        let (&kind, payload) = after.split_first()?;
        let frame = match kind {
            RECORDS => {
                let (log, batch) = take_log(payload)?;
                Self::Records { log, batch }
            }
            FACT => {
                let (seq, fact) = payload.split_first_chunk()?;
                Self::Fact { seq: FactSeq(u64::from_be_bytes(*seq)), fact }
            }
            BOUNDS => Self::Bounds(Bounds::new(payload)?),
            _ => return None,
        };
        Some((frame, synced_to, at + UNCOUNTED + length))
    }
}

fn put_log(out: &mut Vec<u8>, log: LogId) {
    out.extend_from_slice(&log.topic.0.to_be_bytes());
    out.extend_from_slice(&log.partition.to_be_bytes());
}

fn take_log(bytes: &[u8]) -> Option<(LogId, &[u8])> {
    let (topic, rest) = bytes.split_first_chunk()?;
    let (partition, rest) = rest.split_first_chunk()?;
    let topic = TopicId(u64::from_be_bytes(*topic));
    Some((LogId { topic, partition: u32::from_be_bytes(*partition) }, rest))
}
