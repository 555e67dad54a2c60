//! Writing a batch.

use takhin_core::{Compression, Offset, ProducerStamp};

use super::{
    compression,
    header::{self, Contents, HEADER_BYTES, MAX_BATCH_BYTES},
    varint,
};

/// The batch would exceed [`MAX_BATCH_BYTES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the records of one request to one partition take more than {MAX_BATCH_BYTES} bytes")]
pub struct BatchTooLarge;

/// Writes records one after the other into one growing buffer; no allocation per record.
#[derive(Debug)]
pub struct BatchBuilder {
    bytes: Vec<u8>,
    records: u32,
    /// The next record's offset, counted from the batch's first.
    next_delta: u32,
    base_timestamp: i64,
    max_timestamp: i64,
    producer: Option<ProducerStamp>,
    compression: Compression,
}

impl Default for BatchBuilder {
    fn default() -> Self {
        Self::with_capacity(0)
    }
}

impl BatchBuilder {
    /// An empty batch with room for records of `record_bytes` in all.
    pub fn with_capacity(record_bytes: usize) -> Self {
        let mut bytes = Vec::with_capacity(HEADER_BYTES + record_bytes.min(MAX_BATCH_BYTES));
        bytes.resize(HEADER_BYTES, 0);
        let compression = Compression::None;
        let max_timestamp = i64::MIN;
        Self { bytes, records: 0, next_delta: 0, base_timestamp: 0, max_timestamp, producer: None, compression }
    }

    /// Makes the batch recognisable, if it is sent again.
    pub fn stamp(&mut self, producer: ProducerStamp) {
        self.producer = Some(producer);
    }

    /// Has the records compressed in the end, if that makes them smaller and they are not too many to be unpacked.
    pub fn compress(&mut self, compression: Compression) {
        self.compression = compression;
    }

    /// How many records have been pushed.
    pub fn records(&self) -> u32 {
        self.records
    }

    /// What the records pushed take, before they are compressed.
    pub fn record_bytes(&self) -> usize {
        self.bytes.len() - HEADER_BYTES
    }

    /// Leaves a gap: the next record's offset is `offsets` greater than it would be. Before the first record there is
    /// nothing to be apart from, and it has no effect.
    ///
    /// # Errors
    /// [`BatchTooLarge`] if the batch would take more than 2^31 offsets; it stays as it was.
    pub fn skip(&mut self, offsets: u64) -> Result<(), BatchTooLarge> {
        if self.records > 0 {
            let next = u64::from(self.next_delta).saturating_add(offsets);
            let within = u32::try_from(next).ok().filter(|&next| i32::try_from(next).is_ok());
            self.next_delta = within.ok_or(BatchTooLarge)?;
        }
        Ok(())
    }

    /// Appends a record. `headers` is walked twice: a record's length stands before it.
    ///
    /// # Errors
    /// [`BatchTooLarge`], and the batch stays as it was.
    pub fn push<'a>(
        &mut self,
        timestamp_ms: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: impl Iterator<Item = (&'a str, Option<&'a [u8]>)> + Clone,
    ) -> Result<(), BatchTooLarge> {
        self.push_as_is(timestamp_ms, key, value, headers.map(|(name, value)| (name.as_bytes(), value)))
    }

    /// The same with headers whose names may be any bytes, as other writers may have them.
    ///
    /// # Errors
    /// As for [`BatchBuilder::push`].
    pub fn push_as_is<'a>(
        &mut self,
        timestamp_ms: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)> + Clone,
    ) -> Result<(), BatchTooLarge> {
        let base_timestamp = if self.records == 0 { timestamp_ms } else { self.base_timestamp };
        let timestamp_delta = timestamp_ms.wrapping_sub(base_timestamp);
        let offset_delta = i64::from(self.next_delta);
        let mut header_count = 0i64;
        let mut header_bytes = 0usize;
        for (name, value) in headers.clone() {
            header_count += 1;
            header_bytes = header_bytes.saturating_add(sized(Some(name))).saturating_add(sized(value));
        }
        let body = (1 + varint::size(timestamp_delta) + varint::size(offset_delta) + varint::size(header_count))
            .saturating_add(sized(key))
            .saturating_add(sized(value))
            .saturating_add(header_bytes);
        let length = i64::try_from(body).map_err(|_| BatchTooLarge)?;
        let room = MAX_BATCH_BYTES - self.bytes.len();
        if varint::size(length).saturating_add(body) > room {
            return Err(BatchTooLarge);
        }
        let out = &mut self.bytes;
        varint::put(out, length);
        out.push(0);
        varint::put(out, timestamp_delta);
        varint::put(out, offset_delta);
        put_sized(out, key);
        put_sized(out, value);
        varint::put(out, header_count);
        for (name, value) in headers {
            put_sized(out, Some(name));
            put_sized(out, value);
        }
        self.base_timestamp = base_timestamp;
        self.max_timestamp = self.max_timestamp.max(timestamp_ms);
        self.records += 1;
        self.next_delta += 1;
        Ok(())
    }

    /// Writes the header and gives the batch; `None` if it has no records, since an empty batch has no place in
    /// a log.
    pub fn finish(mut self) -> Option<EncodedBatch> {
        if self.records == 0 {
            return None;
        }
        let unpacked_bytes = self.bytes.len();
        let compression = self.pack();
        let Self { records, next_delta, base_timestamp, max_timestamp, producer, .. } = self;
        let contents = Contents { records, offsets: next_delta, base_timestamp, max_timestamp, producer, compression };
        header::write(&mut self.bytes, contents);
        Some(EncodedBatch { bytes: self.bytes, records, max_timestamp, producer, unpacked_bytes })
    }

    /// Compresses the records as wished. The number of the codec that they are compressed with then.
    fn pack(&mut self) -> i16 {
        if self.compression == Compression::None {
            return 0;
        }
        let records = &self.bytes[HEADER_BYTES..];
        let mut packed = Vec::with_capacity(HEADER_BYTES + records.len() / 2);
        packed.resize(HEADER_BYTES, 0);
        let number = compression::append_packed(compression::number(self.compression), records, &mut packed);
        if number != 0 {
            self.bytes = packed;
        }
        number
    }
}

/// The encoded bytes of an optional field with its length before it; a missing one has length -1.
fn sized(field: Option<&[u8]>) -> usize {
    field.map_or(1, |bytes| {
        let length = i64::try_from(bytes.len()).unwrap_or(i64::MAX);
        varint::size(length).saturating_add(bytes.len())
    })
}

fn put_sized(out: &mut Vec<u8>, field: Option<&[u8]>) {
    match field {
        None => varint::put(out, -1),
        Some(bytes) => {
            varint::put(out, i64::try_from(bytes.len()).expect("bounded by the batch's length"));
            out.extend_from_slice(bytes);
        }
    }
}

/// A whole batch of at least one record, with its checksum; its base offset is 0 until it has been given a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EncodedBatch {
    bytes: Vec<u8>,
    records: u32,
    max_timestamp: i64,
    producer: Option<ProducerStamp>,
    unpacked_bytes: usize,
}

impl EncodedBatch {
    /// A batch of these bytes, of which the rest is known to be so.
    pub(super) fn of(
        bytes: Vec<u8>,
        records: u32,
        max_timestamp: i64,
        producer: Option<ProducerStamp>,
        unpacked_bytes: usize,
    ) -> Self {
        Self { bytes, records, max_timestamp, producer, unpacked_bytes }
    }

    /// The batch as it is stored and sent.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The same without a copy.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// How many records it has, at least one.
    pub fn records(&self) -> u32 {
        self.records
    }

    /// The greatest timestamp in it, in milliseconds since 1970.
    pub fn max_timestamp(&self) -> i64 {
        self.max_timestamp
    }

    /// What it takes once its records are not compressed, which is how it is read.
    pub fn unpacked_bytes(&self) -> usize {
        self.unpacked_bytes
    }

    /// What it is recognised by, if it comes again.
    pub fn producer(&self) -> Option<ProducerStamp> {
        self.producer
    }

    /// Gives the batch its place in a log. The checksum does not cover it.
    pub fn set_base_offset(&mut self, base: Offset) {
        self.bytes[..8].copy_from_slice(&base.0.to_be_bytes());
    }
}
