//! Reading records where they lie.

use takhin_core::Offset;

use super::{
    header::{BatchError, BatchHeader, HEADER_BYTES},
    varint,
};

/// The records of the batches that stand one after the other in `bytes`, the last of which may be cut off.
///
/// Checksums are not verified: [`BatchHeader::verify`] does that, once, when bytes come from a disk or a wire.
/// Control batches are passed over. After an error the iterator is at its end, since what follows a broken
/// length can't be told.
pub fn records(bytes: &[u8]) -> Records<'_> {
    Records { rest: bytes, batch: None }
}

/// See [`records`].
#[derive(Clone, Debug)]
pub struct Records<'a> {
    rest: &'a [u8],
    batch: Option<OpenBatch<'a>>,
}

#[derive(Clone, Debug)]
struct OpenBatch<'a> {
    header: BatchHeader,
    rest: &'a [u8],
    next: u32,
}

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordRef<'a> {
    /// Its place in the log.
    pub offset: Offset,
    /// Milliseconds since 1970.
    pub timestamp_ms: i64,
    /// Its key.
    pub key: Option<&'a [u8]>,
    /// Its value.
    pub value: Option<&'a [u8]>,
    /// Its headers.
    pub headers: Headers<'a>,
    /// What it takes encoded, with its length field.
    pub bytes: usize,
}

/// A record's headers in their order. Names may repeat; Kafka means them to be UTF-8 and doesn't check.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Headers<'a> {
    count: usize,
    rest: &'a [u8],
}

impl<'a> Iterator for Headers<'a> {
    type Item = (&'a [u8], Option<&'a [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        self.count = self.count.checked_sub(1)?;
        take_header(&mut self.rest)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.count, Some(self.count))
    }
}

impl ExactSizeIterator for Headers<'_> {}

impl<'a> Iterator for Records<'a> {
    type Item = Result<RecordRef<'a>, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        let result = self.step();
        if result.is_err() {
            *self = records(&[]);
        }
        result.transpose()
    }
}

impl<'a> Records<'a> {
    fn step(&mut self) -> Result<Option<RecordRef<'a>>, BatchError> {
        loop {
            if let Some(batch) = &mut self.batch {
                if batch.next < batch.header.records {
                    return batch.take_record().map(Some);
                }
                if !batch.rest.is_empty() {
                    return Err(BatchError::Field("bytes after the last record"));
                }
                self.batch = None;
            }
            if self.rest.is_empty() {
                return Ok(None);
            }
            let header = BatchHeader::read(self.rest)?;
            let (batch, rest) = self
                .rest
                .split_at_checked(header.bytes)
                .ok_or(BatchError::Truncated { needed: header.bytes, have: self.rest.len() })?;
            self.rest = rest;
            if header.is_control() {
                continue;
            }
            if header.compression() != 0 {
                return Err(BatchError::Compressed(header.compression()));
            }
            self.batch = Some(OpenBatch { header, rest: &batch[HEADER_BYTES..], next: 0 });
        }
    }
}

impl<'a> OpenBatch<'a> {
    fn take_record(&mut self) -> Result<RecordRef<'a>, BatchError> {
        let index = self.next;
        let before = self.rest.len();
        let wrong = |field| BatchError::Record { index, field };
        let length = varint::take_i32(&mut self.rest).and_then(|length| usize::try_from(length).ok());
        let (mut body, rest) = length.and_then(|length| self.rest.split_at_checked(length)).ok_or(wrong("length"))?;
        self.rest = rest;
        self.next += 1;

        let body = &mut body;
        body.split_off_first().ok_or(wrong("attributes"))?;
        let timestamp_delta = varint::take_i64(body).ok_or(wrong("timestamp"))?;
        let span = self.header.last_offset.0 - self.header.base_offset.0;
        let offset_delta = varint::take_i32(body)
            .and_then(|delta| u64::try_from(delta).ok())
            .filter(|&delta| delta <= span)
            .ok_or(wrong("offset"))?;
        let key = take_sized(body).ok_or(wrong("key"))?;
        let value = take_sized(body).ok_or(wrong("value"))?;
        let count =
            varint::take_i32(body).and_then(|count| usize::try_from(count).ok()).ok_or(wrong("header count"))?;
        let headers = Headers { count, rest: body };
        for _ in 0..count {
            take_header(body).ok_or(wrong("header"))?;
        }
        if !body.is_empty() {
            return Err(wrong("bytes after the headers"));
        }
        Ok(RecordRef {
            offset: Offset(self.header.base_offset.0 + offset_delta),
            timestamp_ms: self.header.base_timestamp.wrapping_add(timestamp_delta),
            key,
            value,
            headers,
            bytes: before - self.rest.len(),
        })
    }
}

fn take_header<'a>(bytes: &mut &'a [u8]) -> Option<(&'a [u8], Option<&'a [u8]>)> {
    Some((take_sized(bytes)??, take_sized(bytes)?))
}

/// Takes a field with its length before it; the inner `None` is a missing field, the outer one an impossible one.
#[allow(clippy::option_option)]
fn take_sized<'a>(bytes: &mut &'a [u8]) -> Option<Option<&'a [u8]>> {
    let length = varint::take_i32(bytes)?;
    if length == -1 {
        return Some(None);
    }
    let (field, rest) = bytes.split_at_checked(usize::try_from(length).ok()?)?;
    *bytes = rest;
    Some(Some(field))
}
