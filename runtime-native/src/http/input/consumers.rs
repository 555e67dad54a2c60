//! The bodies of `/api/consumers/{id}` and what stands below it, as the core's requests.

use schemars::{JsonSchema, Schema};
use serde::Deserialize;
use takhin_core::{
    BatchId, CommitOffset, ConsumerId, Generation, PollLimits, RecordFormat, Refusal, Request, TopicName,
};
use uuid::Uuid;

use super::{
    offsets::{OffsetEntry, OffsetMap, PartitionMap, TextMap, with_metadata},
    one_of::OneOf,
};
use crate::http::{
    error::ApiError,
    openapi::schema::{number, property},
};

/// A poll.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(transform = consume_bounds)]
pub(crate) struct Consume {
    /// How many records at most.
    max_records: Option<i64>,
    /// How long to wait for records; 0 never waits.
    timeout_ms: Option<i64>,
    /// How many bytes of records at most; one record always fits.
    max_bytes_total: Option<i64>,
    /// How many bytes are worth an answer before the timeout; 0 never waits. At most `max_bytes_total`.
    min_bytes: Option<i64>,
    /// The last `batch_id` that you have, 0 for none: what came after it and got lost is sent again.
    after_batch: Option<u64>,
    /// How keys and values are written, instead of as the consumer's `format` says.
    format: Option<OneOf<RecordFormat>>,
}

fn consume_bounds(object: &mut Schema) {
    let default = PollLimits::default();
    let impossible = u32::MAX;
    let numbers = [
        (PollLimits { max_records: impossible, ..default }, default.max_records),
        (PollLimits { max_bytes: impossible, ..default }, default.max_bytes),
        (PollLimits { timeout_ms: impossible, ..default }, default.timeout_ms),
        (PollLimits { min_bytes: impossible, max_bytes: PollLimits::MAX_BYTES, ..default }, default.min_bytes),
    ];
    for (limits, default) in numbers {
        number(object, limits.check(), default);
    }
    property(object, "after_batch")["maximum"] = u64::MAX.into();
}

impl Consume {
    /// How its records are to be written, if it says so.
    pub(crate) fn format(&self) -> Option<RecordFormat> {
        self.format.map(|word| word.0)
    }

    /// The poll that it asks for.
    pub(crate) fn check(self, consumer: ConsumerId) -> Result<Request, ApiError> {
        let default = PollLimits::default();
        let limits = PollLimits {
            max_records: or_default(self.max_records, default.max_records),
            max_bytes: or_default(self.max_bytes_total, default.max_bytes),
            min_bytes: or_default(self.min_bytes, default.min_bytes),
            timeout_ms: or_default(self.timeout_ms, default.timeout_ms),
        };
        limits.check().map_err(|refusal| {
            as_given(
                refusal,
                &[
                    ("max_records", self.max_records),
                    ("max_bytes_total", self.max_bytes_total),
                    ("min_bytes", self.min_bytes),
                    ("timeout_ms", self.timeout_ms),
                ],
            )
        })?;
        Ok(Request::Consume { consumer, limits, after_batch: self.after_batch.map(BatchId) })
    }
}

/// What is to be committed.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(transform = commit_bounds)]
pub(crate) struct Commit {
    /// The next offset to read of each partition, as in `{"orders": {"0": 10}}`. Without it, all that was delivered.
    offsets: Option<OffsetMap>,
    /// What to remember with some of those offsets, as in `{"orders": {"0": "text"}}`, at most 4,096 bytes each.
    metadata: Option<TextMap>,
    /// Refuse unless it is the consumer's.
    generation: Option<u64>,
}

fn commit_bounds(object: &mut Schema) {
    property(object, "generation")["maximum"] = u64::MAX.into();
}

impl Commit {
    /// The commit that it asks for. No offsets at all is what was delivered.
    pub(crate) fn check(self, consumer: ConsumerId) -> Result<Request, ApiError> {
        let entries = with_metadata(self.offsets.unwrap_or_default(), self.metadata.unwrap_or_default())?;
        let offset =
            |(OffsetEntry { topic, partition, offset }, metadata)| CommitOffset { topic, partition, offset, metadata };
        let offsets: Vec<CommitOffset> = entries.into_iter().map(offset).collect();
        Ok(Request::Commit {
            consumer,
            offsets: (!offsets.is_empty()).then_some(offsets),
            generation: self.generation.map(Generation),
        })
    }
}

/// Partitions that a consumer takes by hand.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Assign {
    /// As in `{"orders": [0, 1]}`.
    topics: PartitionMap,
}

impl Assign {
    /// The assignment that it asks for.
    pub(crate) fn check(self, consumer: ConsumerId) -> Result<Request, ApiError> {
        Ok(Request::Assign { consumer, partitions: self.topics.check("topics")? })
    }
}

/// Which partitions to pause, or to resume.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Which {
    /// As in `{"orders": [0, 1]}`; without it, all that the consumer has.
    partitions: Option<PartitionMap>,
}

impl Which {
    /// The partitions that it names; [`None`] stands for all that the consumer has.
    pub(crate) fn check(self) -> Result<Option<Vec<(TopicName, u32)>>, ApiError> {
        self.partitions.map(|named| named.check("partitions")).transpose()
    }
}

/// Nothing.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Nothing {}

/// A consumer's id as text.
pub(crate) fn consumer_id(text: &str) -> Option<ConsumerId> {
    Uuid::try_parse(text).ok().map(ConsumerId)
}

/// A number as the core takes it. One that it can't take becomes one that none of its bounds allows.
pub(crate) fn or_default(given: Option<i64>, default: u32) -> u32 {
    given.map_or(default, |value| u32::try_from(value).unwrap_or(u32::MAX))
}

/// Puts the value that was really given into a refusal of the number that [`or_default`] made of it.
pub(crate) fn as_given(refusal: Refusal, given: &[(&str, Option<i64>)]) -> ApiError {
    match refusal {
        Refusal::OutOfRange { field, value, min, max } => {
            let original = given.iter().find(|(name, _)| *name == field).and_then(|(_, value)| *value);
            ApiError::out_of_range(&field, original.unwrap_or(value), min, max)
        }
        other => other.into(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::http::input::json;

    const ID: ConsumerId = ConsumerId(Uuid::nil());

    fn fault<T: std::fmt::Debug>(result: Result<T, ApiError>) -> (u16, &'static str, Value) {
        let error = result.expect_err("the request is wrong");
        (error.status().as_u16(), error.code(), error.details().get("field").cloned().unwrap_or_default())
    }

    #[test]
    fn a_key_given_twice_is_named() {
        let commit = |body: &str| fault(json::object::<Commit>(body.as_bytes()));
        let twice = |field: &str| (400, "invalid_field", json!(field));
        assert_eq!(commit(r#"{"generation": 1, "generation": 1}"#), twice("generation"));
        assert_eq!(commit(r#"{"offsets": {"t": {}, "t": {}}}"#), twice("offsets.t"));
        assert_eq!(commit(r#"{"offsets": {"t": {"0": 1, "0": 1}}}"#), twice("offsets.t.0"));
        assert_eq!(commit(r#"{"offsets": {"0": {"0": 1, "0": 1}}}"#), twice("offsets.0.0"));
    }

    #[test]
    fn a_number_out_of_range_is_told_as_it_was_given() {
        let body = br#"{"timeout_ms": -5}"#;
        let error = json::object::<Consume>(body).expect("well-formed").check(ID).expect_err("negative");
        assert_eq!(
            Value::from(error.details().clone()),
            json!({"field": "timeout_ms", "value": -5, "min": 0, "max": 300_000})
        );
    }

    #[test]
    fn an_empty_commit_is_of_what_was_delivered() {
        for body in ["", "{}", r#"{"offsets": {}}"#, r#"{"offsets": null}"#] {
            let commit: Commit = json::object_or_nothing(body.as_bytes()).expect("well-formed");
            assert_eq!(
                commit.check(ID).expect("good"),
                Request::Commit { consumer: ID, offsets: None, generation: None },
                "{body}"
            );
        }
    }
}
