//! Taking records out of a batch, and standing in for batches that are gone.
//!
//! A batch keeps its offsets whatever is taken out of it, and a gap between batches is filled by a batch of no records.
//! So the offsets of a segment's batches follow each other without a gap, however few records are left of them.

use takhin_core::Offset;

use super::{
    compression,
    header::{self, BatchError, BatchHeader, HEADER_BYTES},
    reader::{RecordRef, records},
};

/// What is left of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retained {
    /// All of it.
    All,
    /// Some of its records.
    Some,
    /// Nothing.
    Nothing,
}

/// Appends to `out` what is left of `batch`, whose header is `header`, once only the records are in it that `keep` says;
/// nothing, if that is none. A batch that was compressed is compressed again.
///
/// # Errors
/// What is wrong with the batch; `out` is as it was then.
pub fn retain(
    batch: &[u8],
    header: &BatchHeader,
    mut keep: impl FnMut(&RecordRef<'_>) -> bool,
    out: &mut Vec<u8>,
) -> Result<Retained, BatchError> {
    let mut unpacked = Vec::new();
    let plain = if header.compression() == 0 {
        let truncated = BatchError::Truncated { needed: header.bytes, have: batch.len() };
        batch.get(..header.bytes).ok_or(truncated)?
    } else {
        compression::unpack(batch, header, &mut unpacked)?;
        &unpacked
    };
    let (mut kept, mut count, mut position) = (Vec::new(), 0, HEADER_BYTES);
    for record in records(plain) {
        let record = record?;
        let bytes = position..position + record.bytes;
        position = bytes.end;
        if keep(&record) {
            kept.extend_from_slice(&plain[bytes]);
            count += 1;
        }
    }
    if count == header.records {
        out.extend_from_slice(&batch[..header.bytes]);
        return Ok(Retained::All);
    }
    if count == 0 {
        return Ok(Retained::Nothing);
    }
    let start = out.len();
    out.extend_from_slice(&batch[..HEADER_BYTES]);
    let compression = compression::append_packed(header.compression(), &kept, out);
    header::write_retained(&mut out[start..], count, compression);
    Ok(Retained::Some)
}

/// A batch of no records that stands for the offsets `first` to `last`, at most 2^31 of them.
pub fn filler(first: Offset, last: Offset) -> [u8; HEADER_BYTES] {
    let mut batch = [0; HEADER_BYTES];
    header::write_filler(&mut batch, first, last);
    batch
}
