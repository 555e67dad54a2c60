//! Under which conditions a request's records are appended: what makes them recognisable when they are sent again, and
//! where the log has to end.

use axum::http::{HeaderMap, HeaderName};
use takhin_core::{Compression, Offset, ProducerId, ProducerStamp};
use uuid::Uuid;

use crate::http::error::ApiError;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// The longest key, in bytes.
pub(crate) const MAX_KEY_BYTES: usize = 255;
/// What keys are hashed under, so that they mean the same in every start. Drawn once.
const KEYS: Uuid = Uuid::from_u128(0x6f0f_1d5c_93f3_4f2e_a6f4_0a5d_2f6b_7c11);
/// The greatest epoch and the greatest sequence: Kafka's format has 16 and 32 bits with a sign for them.
pub(crate) const MAX_EPOCH: i64 = i16::MAX as i64;
pub(crate) const MAX_SEQUENCE: i64 = i32::MAX as i64;

/// A request's `Idempotency-Key`, with what tells the request from another one: a checksum of its body and of where its
/// records go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IdempotencyKey {
    hash: u64,
    checksum: u32,
}

impl IdempotencyKey {
    /// The key of a request, if it has one.
    pub(crate) fn of(headers: &HeaderMap, body: &[u8]) -> Result<Option<Self>, ApiError> {
        let Some(key) = headers.get(IDEMPOTENCY_KEY) else { return Ok(None) };
        if key.is_empty() || key.len() > MAX_KEY_BYTES {
            let message = format!("an idempotency key has 1 to {MAX_KEY_BYTES} bytes");
            return Err(ApiError::unacceptable("invalid_idempotency_key", "Idempotency-Key", message));
        }
        let (hash, _) = Uuid::new_v5(&KEYS, key.as_bytes()).as_u64_pair();
        Ok(Some(Self { hash, checksum: crc32c::crc32c(body) }))
    }

    /// The key of a request whose records go to these partitions, so many to each. A topic that has grown sends them
    /// elsewhere, and then the same body is another request.
    pub(super) fn of_records(self, places: impl Iterator<Item = (u32, u32)>) -> Self {
        let mix = |checksum, (partition, records): (u32, u32)| {
            let checksum = crc32c::crc32c_append(checksum, &partition.to_be_bytes());
            crc32c::crc32c_append(checksum, &records.to_be_bytes())
        };
        Self { checksum: places.fold(self.checksum, mix), ..self }
    }

    /// The partition for records that may go anywhere: the same when the request is sent again.
    pub(crate) fn partition(self, partitions: u32) -> u32 {
        u32::try_from(self.hash.checked_rem(partitions.into()).unwrap_or(0)).unwrap_or(0)
    }

    /// Who counts the records of an upload with this key.
    pub(crate) fn counting_producer(self) -> ProducerId {
        ProducerId::counting(self.hash)
    }

    fn stamp(self) -> ProducerStamp {
        ProducerStamp { producer: ProducerId::keyed(self.hash), epoch: 0, sequence: self.checksum >> 1 }
    }
}

/// What a body says beside its records.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Wishes {
    pub(crate) producer_id: Option<i64>,
    pub(crate) epoch: Option<i64>,
    pub(crate) sequence: Option<i64>,
    pub(crate) expected_offset: Option<i64>,
    pub(crate) compression: Option<Compression>,
}

/// What has to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Conditions {
    pub(crate) producer: Option<ProducerStamp>,
    pub(crate) expected_offset: Option<Offset>,
}

impl Wishes {
    /// Whether they make sense for one partition only.
    pub(super) fn need_one_partition(&self) -> bool {
        self.producer_id.is_some() || self.expected_offset.is_some()
    }

    /// Checks them, and that they go together.
    pub(crate) fn check(&self, key: Option<IdempotencyKey>) -> Result<Conditions, ApiError> {
        let expected_offset = self.expected_offset.map(|offset| in_range("expected_offset", offset, i64::MAX));
        let expected_offset = expected_offset.transpose()?.map(Offset);
        let given = [("epoch", self.epoch), ("sequence", self.sequence), ("producer_id", self.producer_id)];
        let producer = match (self.producer_id, key) {
            (Some(_), Some(_)) => {
                let message = "a request has a producer_id or an Idempotency-Key, not both";
                return Err(ApiError::malformed("conflicting_fields", message).with("field", "producer_id"));
            }
            (Some(producer), None) => Some(self.stamp(producer)?),
            (None, _) if given.iter().any(|(_, value)| value.is_some()) => {
                let message = "epoch and sequence are those of a producer: producer_id is missing";
                return Err(ApiError::malformed("missing_field", message).with("field", "producer_id"));
            }
            (None, key) => key.map(IdempotencyKey::stamp),
        };
        Ok(Conditions { producer, expected_offset })
    }

    fn stamp(&self, producer: i64) -> Result<ProducerStamp, ApiError> {
        let Some(sequence) = self.sequence else {
            let message = "a producer_id goes with the sequence of the first record";
            return Err(ApiError::malformed("missing_field", message).with("field", "sequence"));
        };
        let max = i64::try_from(ProducerId::MAX_CHOSEN).unwrap_or(i64::MAX);
        let producer = ProducerId(in_range("producer_id", producer, max)?);
        let epoch = in_range("epoch", self.epoch.unwrap_or(0), MAX_EPOCH)?;
        let sequence = in_range("sequence", sequence, MAX_SEQUENCE)?;
        Ok(ProducerStamp {
            producer,
            epoch: u16::try_from(epoch).unwrap_or(u16::MAX),
            sequence: u32::try_from(sequence).unwrap_or(u32::MAX),
        })
    }
}

fn in_range(field: &str, value: i64, max: i64) -> Result<u64, ApiError> {
    match u64::try_from(value) {
        Ok(number) if value <= max => Ok(number),
        _ => Err(ApiError::out_of_range(field, value, 0, max)),
    }
}
