//! A batch that a client made: whether it can be stored as it came.
//!
//! What it claims in its header has to be so, since readers go by it without looking at the records. Its records have
//! to be numbered without a gap, and everything that only a broker may say must be left out.

use takhin_core::{Offset, ProducerId};

use super::{
    builder::EncodedBatch,
    compression::unpack,
    header::{self, BatchError, BatchHeader, HEADER_BYTES},
    reader::{RecordRef, records},
};

/// Why a batch is not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotTaken {
    /// It is no batch, or a damaged one.
    #[error(transparent)]
    Batch(#[from] BatchError),
    /// Its header says something that is not so, or not for a client to say.
    #[error("{0}")]
    Header(&'static str),
    /// It is a batch, and one of its records is not taken.
    #[error("record {index} of the batch: {why}")]
    Record {
        /// Which, from 0.
        index: u32,
        /// Why.
        why: String,
    },
}

impl EncodedBatch {
    /// Takes the batch at the front of `bytes` as it is; without what a producer is recognised by, if `keep_producer`
    /// doesn't say that it is to be kept. `check` may refuse single records. Gives how many bytes of `bytes` it takes, too.
    ///
    /// # Errors
    /// [`NotTaken`]
    pub fn from_client(
        bytes: &[u8],
        keep_producer: bool,
        mut check: impl FnMut(&RecordRef<'_>) -> Result<(), String>,
    ) -> Result<(Self, usize), NotTaken> {
        let header = BatchHeader::read(bytes)?;
        header.verify(bytes)?;
        let batch = &bytes[..header.bytes];
        if header.is_control() || header.is_transactional() {
            return Err(NotTaken::Header("transactions are not supported"));
        }
        if header.has_other_attributes() {
            return Err(NotTaken::Header("the attributes may name a compression and nothing else"));
        }
        if header.records == 0 || header.records != header.offsets() {
            return Err(NotTaken::Header("the number of records must be the last offset's delta and one"));
        }
        let is_stamped = header.producer_id != -1;
        if keep_producer
            && is_stamped
            && header.producer().is_none_or(|stamp| stamp.producer.0 > ProducerId::MAX_CHOSEN)
        {
            return Err(NotTaken::Header("the producer's id, epoch or sequence is impossible"));
        }
        let mut unpacked = Vec::new();
        let plain = if header.compression() == 0 {
            batch
        } else {
            unpack(batch, &header, &mut unpacked)?;
            &unpacked
        };
        let mut max_timestamp = i64::MIN;
        let mut expected = header.base_offset;
        let mut index = 0;
        for record in records(plain) {
            let record = record?;
            if record.offset != expected {
                return Err(NotTaken::Record { index, why: "its offset does not follow the one before".to_owned() });
            }
            check(&record).map_err(|why| NotTaken::Record { index, why })?;
            max_timestamp = max_timestamp.max(record.timestamp_ms);
            (index, expected) = (index + 1, Offset(expected.0 + 1));
        }
        if max_timestamp != header.max_timestamp {
            return Err(NotTaken::Header("the greatest timestamp is not that of any record"));
        }
        let mut stored = batch.to_vec();
        // Neither is covered by the checksum: a broker writes both.
        stored[..8].copy_from_slice(&0u64.to_be_bytes());
        stored[12..16].copy_from_slice(&0i32.to_be_bytes());
        let producer = header.producer().filter(|_| keep_producer);
        if is_stamped && !keep_producer {
            header::write_no_producer(&mut stored);
        }
        let unpacked_bytes = if unpacked.is_empty() { stored.len() } else { unpacked.len() };
        debug_assert!(stored.len() > HEADER_BYTES, "it has records");
        let batch = Self::of(stored, header.records, max_timestamp, producer, unpacked_bytes);
        Ok((batch, header.bytes))
    }
}
