//! How the core's refusals are answered.
//!
//! The code is the refusal's own name, and `details` are its fields, except where said here.

use axum::http::StatusCode;
use serde_json::{Map, Value};
use takhin_core::{Applied, Bounded, LeaveReason, NameError, Refusal, StorageError};

use super::error::ApiError;

/// After how many seconds to try again what only a passing shortage has refused.
const SHORTLY: u32 = 1;
/// After how many seconds to try again what somebody has to make room for.
const LATER: u32 = 30;

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        let (status, code) = status_and_code(&refusal);
        let error = Self::new(status, code, refusal.to_string()).with_details(fields(&refusal));
        match refusal {
            Refusal::TooMany { what, .. } => error.retryable(true).retry_after(match what {
                Bounded::ParkedPolls => SHORTLY,
                Bounded::Topics | Bounded::Partitions | Bounded::Consumers | Bounded::Groups | Bounded::Patterns => {
                    LATER
                }
            }),
            Refusal::StorageUnavailable { error: cause, applied } => {
                error.retryable(applied == Applied::Nothing).retry_after(storage_retry_after(&cause))
            }
            Refusal::GroupMoving { applied } => error.retryable(applied == Applied::Nothing).retry_after(SHORTLY),
            Refusal::ShuttingDown => error.retryable(true).retry_after(SHORTLY),
            _ => error,
        }
    }
}

fn status_and_code(refusal: &Refusal) -> (StatusCode, &'static str) {
    match refusal {
        Refusal::TopicNotFound { .. } => (StatusCode::NOT_FOUND, "topic_not_found"),
        Refusal::PartitionNotFound { .. } => (StatusCode::NOT_FOUND, "partition_not_found"),
        Refusal::GroupNotFound { .. } => (StatusCode::NOT_FOUND, "group_not_found"),
        Refusal::ConsumerNotFound { .. } => (StatusCode::NOT_FOUND, "consumer_not_found"),
        Refusal::ConsumerExpired { reason: LeaveReason::Replaced, .. } => (StatusCode::CONFLICT, "consumer_fenced"),
        Refusal::ConsumerGone { reason: LeaveReason::Replaced, .. } => (StatusCode::GONE, "consumer_fenced"),
        Refusal::ConsumerExpired { .. } => (StatusCode::NOT_FOUND, "consumer_expired"),
        Refusal::ConsumerGone { .. } => (StatusCode::GONE, "consumer_expired"),
        Refusal::OffsetTrimmed { .. } => (StatusCode::GONE, "offset_trimmed"),
        Refusal::GroupActive { .. } => (StatusCode::CONFLICT, "group_active"),
        Refusal::TopicExists { .. } => (StatusCode::CONFLICT, "topic_exists"),
        Refusal::ConsumerExists { .. } => (StatusCode::CONFLICT, "consumer_exists"),
        Refusal::ConsumerEnded { .. } => (StatusCode::CONFLICT, "consumer_ended"),
        Refusal::PollSuperseded { .. } => (StatusCode::CONFLICT, "poll_superseded"),
        Refusal::NoCommittedOffset { .. } | Refusal::NothingCommitted { .. } => {
            (StatusCode::CONFLICT, "no_committed_offset")
        }
        Refusal::PartitionNotAssigned { .. } => (StatusCode::CONFLICT, "partition_not_assigned"),
        Refusal::StaleGeneration { .. } => (StatusCode::CONFLICT, "stale_generation"),
        Refusal::GenerationUnknown { .. } => (StatusCode::CONFLICT, "generation_unknown"),
        Refusal::BatchUnknown { .. } => (StatusCode::CONFLICT, "batch_unknown"),
        Refusal::DataCorrupt { .. } => (StatusCode::CONFLICT, "data_corrupt"),
        Refusal::PartitionsCanOnlyGrow { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "partitions_can_only_grow"),
        Refusal::OutOfRange { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "out_of_range"),
        Refusal::InvalidPattern { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "invalid_pattern"),
        Refusal::Empty { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "empty"),
        Refusal::OffsetOutOfRange { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "offset_out_of_range"),
        Refusal::TooMany { what, .. } => match what {
            Bounded::ParkedPolls => (StatusCode::SERVICE_UNAVAILABLE, "too_many"),
            Bounded::Topics | Bounded::Partitions | Bounded::Consumers | Bounded::Groups | Bounded::Patterns => {
                (StatusCode::TOO_MANY_REQUESTS, "too_many")
            }
        },
        Refusal::OffsetMismatch { .. } => (StatusCode::PRECONDITION_FAILED, "offset_mismatch"),
        Refusal::SequenceGap { .. } => (StatusCode::CONFLICT, "sequence_gap"),
        Refusal::ProducerFenced { .. } => (StatusCode::CONFLICT, "producer_fenced"),
        Refusal::IdempotencyKeyReused { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "idempotency_key_reused"),
        Refusal::RecordsRefused { .. } => (StatusCode::UNPROCESSABLE_ENTITY, "records_refused"),
        Refusal::StorageUnavailable { .. } => (StatusCode::SERVICE_UNAVAILABLE, "storage_unavailable"),
        Refusal::GroupMoving { .. } => (StatusCode::SERVICE_UNAVAILABLE, "group_moving"),
        Refusal::Unsupported { .. } => (StatusCode::NOT_IMPLEMENTED, "unsupported"),
        Refusal::ShuttingDown => (StatusCode::SERVICE_UNAVAILABLE, "shutting_down"),
    }
}

/// The refusal's fields. It serializes as `{"its_name": {its fields}}`, or as its bare name if it has none.
fn fields(refusal: &Refusal) -> Map<String, Value> {
    let value = serde_json::to_value(refusal).expect("a refusal is plain data");
    match value {
        Value::Object(tagged) => match tagged.into_iter().next() {
            Some((_, Value::Object(fields))) => fields,
            _ => Map::new(),
        },
        _ => Map::new(),
    }
}

/// The answer to a produce request of which nothing was appended.
pub(super) fn not_produced(error: StorageError) -> ApiError {
    Refusal::StorageUnavailable { error, applied: Applied::Nothing }.into()
}

/// How long to leave a storage alone that gave this error.
pub(super) fn storage_retry_after(error: &StorageError) -> u32 {
    match error {
        StorageError::Overloaded => SHORTLY,
        StorageError::Full
        | StorageError::Failed(_)
        | StorageError::Uncertain(_)
        | StorageError::Unacceptable(_)
        | StorageError::Refused(_) => LATER,
    }
}

/// 422 `invalid_name` for a name in the field of that path.
pub(super) fn invalid_name(field: &str, name: &str, error: NameError) -> ApiError {
    /// As much of a bad name as is worth repeating.
    const SHOWN_CHARS: usize = 300;
    let shown: String = name.chars().take(SHOWN_CHARS).collect();
    ApiError::unacceptable("invalid_name", field, format!("{field}: {error}")).with("value", shown)
}

#[cfg(test)]
mod tests {
    use takhin_core::{
        BatchId, ConsumerId, Generation, GroupName, LeaveReason, Offset, ProducerId, TopicName, TopicPattern,
    };
    use uuid::Uuid;

    use super::*;

    fn every_refusal() -> Vec<(Refusal, u16, &'static str, bool, Option<u32>)> {
        let topic = TopicName::new("orders").expect("a good name");
        let group = GroupName::new("g").expect("a good name");
        let consumer = ConsumerId(Uuid::nil());
        let reason = LeaveReason::SessionTimeout;
        let (partition, limit) = (3, 7);
        let (start, producer_id) = (Offset(5), ProducerId(8));
        let too_many = |what| Refusal::TooMany { what, limit };
        let storage = |error, applied| Refusal::StorageUnavailable { error, applied };
        let t = || topic.clone();
        let no = |refusal, status, code| (refusal, status, code, false, None);
        vec![
            no(Refusal::TopicNotFound { topic: t() }, 404, "topic_not_found"),
            no(Refusal::TopicExists { topic: t() }, 409, "topic_exists"),
            no(Refusal::PartitionNotFound { topic: t(), partition, partitions: 1 }, 404, "partition_not_found"),
            no(Refusal::PartitionsCanOnlyGrow { topic: t(), partitions: 3, asked: 2 }, 422, "partitions_can_only_grow"),
            (too_many(Bounded::ParkedPolls), 503, "too_many", true, Some(SHORTLY)),
            (too_many(Bounded::Topics), 429, "too_many", true, Some(LATER)),
            (too_many(Bounded::Partitions), 429, "too_many", true, Some(LATER)),
            (too_many(Bounded::Consumers), 429, "too_many", true, Some(LATER)),
            (too_many(Bounded::Patterns), 429, "too_many", true, Some(LATER)),
            (too_many(Bounded::Groups), 429, "too_many", true, Some(LATER)),
            no(Refusal::OutOfRange { field: "max_records".into(), value: 0, min: 1, max: 10 }, 422, "out_of_range"),
            no(
                Refusal::InvalidPattern { pattern: TopicPattern::new("("), problem: "unclosed group".into() },
                422,
                "invalid_pattern",
            ),
            no(Refusal::Empty { field: "topics".into() }, 422, "empty"),
            no(Refusal::GroupActive { group: group.clone(), consumers: 2 }, 409, "group_active"),
            no(Refusal::NothingCommitted { topic: t(), partition }, 409, "no_committed_offset"),
            no(Refusal::GroupNotFound { group }, 404, "group_not_found"),
            no(Refusal::ConsumerNotFound { consumer }, 404, "consumer_not_found"),
            no(Refusal::ConsumerExists { consumer }, 409, "consumer_exists"),
            no(Refusal::ConsumerEnded { consumer, reason }, 409, "consumer_ended"),
            no(Refusal::ConsumerExpired { consumer, reason }, 404, "consumer_expired"),
            no(Refusal::ConsumerGone { consumer, reason }, 410, "consumer_expired"),
            no(Refusal::ConsumerExpired { consumer, reason: LeaveReason::Replaced }, 409, "consumer_fenced"),
            no(Refusal::ConsumerGone { consumer, reason: LeaveReason::Replaced }, 410, "consumer_fenced"),
            no(Refusal::PollSuperseded { consumer }, 409, "poll_superseded"),
            no(Refusal::NoCommittedOffset { topic: t(), partition }, 409, "no_committed_offset"),
            no(Refusal::PartitionNotAssigned { topic: t(), partition }, 409, "partition_not_assigned"),
            no(Refusal::StaleGeneration { given: Generation(1), current: Generation(2) }, 409, "stale_generation"),
            no(Refusal::GenerationUnknown { given: Generation(3), current: Generation(2) }, 409, "generation_unknown"),
            no(
                Refusal::OffsetOutOfRange { topic: t(), partition, offset: -1, start, end: Offset(9) },
                422,
                "offset_out_of_range",
            ),
            no(Refusal::OffsetTrimmed { topic: t(), partition, offset: 1, earliest: start }, 410, "offset_trimmed"),
            no(
                Refusal::BatchUnknown { given: BatchId(9), last: BatchId(2), previous: BatchId(1) },
                409,
                "batch_unknown",
            ),
            no(
                Refusal::OffsetMismatch { topic: t(), partition, expected: Offset(3), end: start },
                412,
                "offset_mismatch",
            ),
            no(Refusal::SequenceGap { topic: t(), partition, producer_id, given: 9, expected: 5 }, 409, "sequence_gap"),
            no(
                Refusal::ProducerFenced { topic: t(), partition, producer_id, given: 1, current: 2 },
                409,
                "producer_fenced",
            ),
            no(Refusal::IdempotencyKeyReused { topic: t(), partition }, 422, "idempotency_key_reused"),
            no(Refusal::DataCorrupt { topic: t(), partition, offset: start, next: Offset(6) }, 409, "data_corrupt"),
            no(Refusal::RecordsRefused { topic: t(), partition, reason: "too late".into() }, 422, "records_refused"),
            (storage(StorageError::Overloaded, Applied::Nothing), 503, "storage_unavailable", true, Some(SHORTLY)),
            (storage(StorageError::Full, Applied::Nothing), 503, "storage_unavailable", true, Some(LATER)),
            (
                storage(StorageError::Failed("gone".into()), Applied::Unknown),
                503,
                "storage_unavailable",
                false,
                Some(LATER),
            ),
            (Refusal::GroupMoving { applied: Applied::Nothing }, 503, "group_moving", true, Some(SHORTLY)),
            (Refusal::GroupMoving { applied: Applied::Unknown }, 503, "group_moving", false, Some(SHORTLY)),
            (Refusal::Unsupported { what: "a backup".into() }, 501, "unsupported", false, None),
            (Refusal::ShuttingDown, 503, "shutting_down", true, Some(SHORTLY)),
        ]
    }

    #[test]
    fn every_refusal_has_its_status_and_code() {
        for (refusal, status, code, retryable, retry_after) in every_refusal() {
            let error = ApiError::from(refusal.clone());
            let seen = (error.status().as_u16(), error.code(), error.is_retryable(), error.retry_after_secs());
            assert_eq!(seen, (status, code, retryable, retry_after), "{refusal:?}");
        }
    }

    #[test]
    fn a_trimmed_offset_tells_the_earliest() {
        let refusal = Refusal::OffsetTrimmed {
            topic: TopicName::new("orders").expect("a good name"),
            partition: 3,
            offset: 1,
            earliest: Offset(5),
        };
        let error = ApiError::from(refusal);
        let body: Value = serde_json::from_slice(&error.body("r-1")).expect("a body is JSON");
        assert_eq!(
            body,
            serde_json::json!({
                "error": "offset 1 of orders/3 was trimmed: the earliest is 5",
                "code": "offset_trimmed",
                "retryable": false,
                "details": {"topic": "orders", "partition": 3, "offset": 1, "earliest": 5},
                "request_id": "r-1",
            })
        );
    }
}
