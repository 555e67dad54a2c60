//! What stands before a batch's records.

use takhin_core::{Offset, ProducerId, ProducerStamp};

/// The bytes before the first record.
pub const HEADER_BYTES: usize = 61;

/// The longest batch that is written or believed, its header included.
pub const MAX_BATCH_BYTES: usize = 256 << 20;

/// Where the bytes that the checksum covers begin.
const CHECKED_FROM: usize = 21;
/// The base offset and the length field itself are not counted by the length field.
const UNCOUNTED: usize = 12;
/// A record has at least its length, attributes, two deltas, two lengths and a header count.
const MIN_RECORD_BYTES: usize = 7;
const MAGIC: i8 = 2;
const COMPRESSION: i16 = 0b111;
const TRANSACTIONAL: i16 = 1 << 4;
const CONTROL: i16 = 1 << 5;

/// What is wrong with a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// The bytes end before the batch does.
    #[error("the batch needs {needed} bytes, there are {have}")]
    Truncated {
        /// How many bytes it takes at least.
        needed: usize,
        /// How many there are.
        have: usize,
    },
    /// It is of another format version.
    #[error("magic {0} instead of 2")]
    Magic(i8),
    /// A field has a value that no batch has.
    #[error("impossible {0}")]
    Field(&'static str),
    /// Bytes were changed.
    #[error("checksum {stored:08x}, the bytes have {computed:08x}")]
    Checksum {
        /// As written in the batch.
        stored: u32,
        /// As its bytes have it.
        computed: u32,
    },
    /// Its records are compressed by this codec, and were to be read as they are.
    #[error("compression codec {0}")]
    Compressed(i16),
    /// Its records do not unpack by this codec, or to too much.
    #[error("records that codec {0} can't unpack")]
    Unpackable(i16),
    /// A record does not decode.
    #[error("record {index} of the batch: impossible {field}")]
    Record {
        /// Its place in the batch, from 0.
        index: u32,
        /// The first field that is wrong.
        field: &'static str,
    },
}

/// A batch's header, checked for what can be checked without the records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchHeader {
    /// The offset of its first record.
    pub base_offset: Offset,
    /// The offset of its last record. There may be fewer records than offsets.
    pub last_offset: Offset,
    /// The whole batch, header included.
    pub bytes: usize,
    /// The epoch of the leader that stored it.
    pub leader_epoch: i32,
    /// How many records it has.
    pub records: u32,
    /// What its records' timestamps count from, in milliseconds since 1970.
    pub base_timestamp: i64,
    /// The greatest timestamp in it.
    pub max_timestamp: i64,
    /// The idempotent producer that wrote it, or -1.
    pub producer_id: i64,
    /// Its epoch, or -1.
    pub producer_epoch: i16,
    /// Its sequence number of the first record, or -1.
    pub base_sequence: i32,
    attributes: i16,
    checksum: u32,
}

impl BatchHeader {
    /// Reads the header at the front of `bytes`, which may end before the batch does.
    ///
    /// # Errors
    /// [`BatchError::Truncated`] with fewer than [`HEADER_BYTES`]; otherwise what no batch can have.
    pub fn read(bytes: &[u8]) -> Result<Self, BatchError> {
        let truncated = BatchError::Truncated { needed: HEADER_BYTES, have: bytes.len() };
        let head: &[u8; HEADER_BYTES] = bytes.first_chunk().ok_or(truncated)?;
        let magic = i8::from_be_bytes(field(head, 16));
        if magic != MAGIC {
            return Err(BatchError::Magic(magic));
        }
        let base = u64::try_from(i64::from_be_bytes(field(head, 0))).map_err(|_| BatchError::Field("base offset"))?;
        let length = usize::try_from(i32::from_be_bytes(field(head, 8))).map_err(|_| BatchError::Field("length"))?;
        let total = length + UNCOUNTED;
        if !(HEADER_BYTES..=MAX_BATCH_BYTES).contains(&total) {
            return Err(BatchError::Field("length"));
        }
        let last_delta =
            u32::try_from(i32::from_be_bytes(field(head, 23))).map_err(|_| BatchError::Field("last offset delta"))?;
        let records =
            u32::try_from(i32::from_be_bytes(field(head, 57))).map_err(|_| BatchError::Field("record count"))?;
        // A batch whose records were all compacted away keeps its offsets, so zero records are possible.
        if records > last_delta.saturating_add(1) {
            return Err(BatchError::Field("record count"));
        }
        let last = base + u64::from(last_delta);
        if last >= i64::MAX.cast_unsigned() {
            return Err(BatchError::Field("base offset"));
        }
        let attributes = i16::from_be_bytes(field(head, 21));
        if attributes & COMPRESSION == 0 && records as usize > (total - HEADER_BYTES) / MIN_RECORD_BYTES {
            return Err(BatchError::Field("record count"));
        }
        Ok(Self {
            base_offset: Offset(base),
            last_offset: Offset(last),
            bytes: total,
            leader_epoch: i32::from_be_bytes(field(head, 12)),
            records,
            base_timestamp: i64::from_be_bytes(field(head, 27)),
            max_timestamp: i64::from_be_bytes(field(head, 35)),
            producer_id: i64::from_be_bytes(field(head, 43)),
            producer_epoch: i16::from_be_bytes(field(head, 51)),
            base_sequence: i32::from_be_bytes(field(head, 53)),
            attributes,
            checksum: u32::from_be_bytes(field(head, 17)),
        })
    }

    /// The offset after its last.
    pub fn end_offset(&self) -> Offset {
        Offset(self.last_offset.0 + 1)
    }

    /// What its records take together, encoded.
    pub fn record_bytes(&self) -> usize {
        self.bytes - HEADER_BYTES
    }

    /// How many offsets it takes, which is at least as many as it has records.
    pub fn offsets(&self) -> u32 {
        u32::try_from(self.last_offset.0 - self.base_offset.0 + 1).unwrap_or(u32::MAX)
    }

    /// What it is recognised by, if a producer has given it that.
    pub fn producer(&self) -> Option<ProducerStamp> {
        Some(ProducerStamp {
            producer: ProducerId(u64::try_from(self.producer_id).ok()?),
            epoch: u16::try_from(self.producer_epoch).ok()?,
            sequence: u32::try_from(self.base_sequence).ok()?,
        })
    }

    /// Whether it holds a transaction's markers instead of records for readers.
    pub fn is_control(&self) -> bool {
        self.attributes & CONTROL != 0
    }

    /// Whether it is part of a transaction.
    pub fn is_transactional(&self) -> bool {
        self.attributes & TRANSACTIONAL != 0
    }

    /// Whether its attributes say anything but a compression.
    pub fn has_other_attributes(&self) -> bool {
        self.attributes & !COMPRESSION != 0
    }

    /// The codec that its records are compressed with, 0 for none.
    pub fn compression(&self) -> i16 {
        self.attributes & COMPRESSION
    }

    /// Checks the bytes of this batch, at the front of `bytes`, against its checksum.
    ///
    /// # Errors
    /// [`BatchError::Truncated`] or [`BatchError::Checksum`].
    pub fn verify(&self, bytes: &[u8]) -> Result<(), BatchError> {
        let checked = bytes
            .get(CHECKED_FROM..self.bytes)
            .ok_or(BatchError::Truncated { needed: self.bytes, have: bytes.len() })?;
        let computed = crc32c::crc32c(checked);
        if computed == self.checksum { Ok(()) } else { Err(BatchError::Checksum { stored: self.checksum, computed }) }
    }
}

/// What a header says beside what the bytes behind it say.
#[derive(Clone, Copy, Debug)]
pub(super) struct Contents {
    /// How many records there are.
    pub(super) records: u32,
    /// How many offsets they take, at least one.
    pub(super) offsets: u32,
    pub(super) base_timestamp: i64,
    pub(super) max_timestamp: i64,
    /// What it is recognised by, if it comes again.
    pub(super) producer: Option<ProducerStamp>,
    /// The codec that the records are compressed with, 0 for none.
    pub(super) compression: i16,
}

/// Writes the header of a batch into the room left for it at the front of `batch`.
///
/// The caller has bounded `batch` by [`MAX_BATCH_BYTES`] and has put at least one record into it.
pub(super) fn write(batch: &mut [u8], contents: Contents) {
    let Contents { records, offsets, base_timestamp, max_timestamp, producer, compression } = contents;
    let length = i32::try_from(batch.len() - UNCOUNTED).expect("a batch is shorter than 2 GiB");
    let count = i32::try_from(records).expect("a record has several bytes, so there are fewer than 2^31");
    let mut put = |at: usize, bytes: &[u8]| batch[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &0i64.to_be_bytes());
    put(8, &length.to_be_bytes());
    put(12, &0i32.to_be_bytes());
    put(16, &MAGIC.to_be_bytes());
    put(21, &compression.to_be_bytes());
    put(23, &(offsets - 1).to_be_bytes());
    put(27, &base_timestamp.to_be_bytes());
    put(35, &max_timestamp.to_be_bytes());
    put(43, &producer.map_or(-1, |stamp| stamp.producer.0.cast_signed()).to_be_bytes());
    put(51, &producer.map_or(-1, |stamp| stamp.epoch.cast_signed()).to_be_bytes());
    put(53, &producer.map_or(-1, |stamp| stamp.sequence.cast_signed()).to_be_bytes());
    put(57, &count.to_be_bytes());
    write_checksum(batch);
}

/// Makes the header at the front of `batch` that of records which are no longer compressed.
pub(super) fn write_unpacked(batch: &mut [u8]) {
    let length = i32::try_from(batch.len() - UNCOUNTED).expect("a batch is shorter than 2 GiB");
    let attributes = i16::from_be_bytes([batch[21], batch[22]]) & !COMPRESSION;
    batch[8..12].copy_from_slice(&length.to_be_bytes());
    batch[21..23].copy_from_slice(&attributes.to_be_bytes());
}

/// Makes the header at the front of `batch` that of fewer records, which follow it compressed as said.
pub(super) fn write_retained(batch: &mut [u8], records: u32, compression: i16) {
    let length = i32::try_from(batch.len() - UNCOUNTED).expect("a batch is shorter than 2 GiB");
    let attributes = i16::from_be_bytes([batch[21], batch[22]]) & !COMPRESSION | compression;
    batch[8..12].copy_from_slice(&length.to_be_bytes());
    batch[21..23].copy_from_slice(&attributes.to_be_bytes());
    batch[57..61].copy_from_slice(&records.to_be_bytes());
    write_checksum(batch);
}

/// Takes out of the header at the front of `batch` what a producer is recognised by.
pub(super) fn write_no_producer(batch: &mut [u8]) {
    batch[43..57].fill(0xff);
    write_checksum(batch);
}

/// Writes the header of a batch without records for the offsets `first` to `last`.
pub(super) fn write_filler(batch: &mut [u8; HEADER_BYTES], first: Offset, last: Offset) {
    let delta = i32::try_from(last.0 - first.0).expect("a segment has fewer than 2^31 offsets");
    let offsets = delta.cast_unsigned() + 1;
    let (base_timestamp, max_timestamp) = (-1, -1);
    let contents = Contents { records: 1, offsets, base_timestamp, max_timestamp, producer: None, compression: 0 };
    write(batch, contents);
    batch[..8].copy_from_slice(&first.0.to_be_bytes());
    batch[57..61].copy_from_slice(&0i32.to_be_bytes());
    write_checksum(batch);
}

fn write_checksum(batch: &mut [u8]) {
    let checksum = crc32c::crc32c(&batch[CHECKED_FROM..]);
    batch[17..CHECKED_FROM].copy_from_slice(&checksum.to_be_bytes());
}

fn field<const N: usize>(head: &[u8; HEADER_BYTES], at: usize) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(&head[at..at + N]);
    bytes
}
