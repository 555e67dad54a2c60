//! The body of `POST /{id}/seek`: where to, and which partitions.
//!
//! ```text
//!   {"topic", "partition", "offset"}        one partition to an offset
//!   {"offsets": {"orders": {"0": 5}}}       many partitions, each to its offset
//!   {"to": "end", ...}                      to the beginning, the end, or what was committed
//!   {"timestamp_ms": 1704537600000, ...}    to the first record that is not older
//!                 ... nothing: all partitions; "topic" and "partition": one; "partitions": {"orders": [0, 1]}
//! ```

use schemars::{JsonSchema, Schema};
use serde::Deserialize;
use takhin_core::{ConsumerId, Place, Refusal, Request, SeekTo, TopicName};

use super::{
    offsets::{OffsetEntry, OffsetMap, PartitionMap, partition_number, topic_name},
    one_of::OneOf,
};
use crate::http::{
    error::ApiError,
    openapi::schema::{between, one_shape},
};

/// Where to, and which partitions.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = shapes)]
pub(crate) struct Seek {
    /// The topic of one partition.
    #[schemars(with = "Option<TopicName>")]
    topic: Option<String>,
    /// One partition.
    partition: Option<i64>,
    /// The next offset to read of that one partition.
    offset: Option<i64>,
    /// The next offset to read of each partition, as in `{"orders": {"0": 5}}`.
    offsets: Option<OffsetMap>,
    /// A place that goes by a name.
    to: Option<OneOf<Place>>,
    /// The first record that is not older.
    timestamp_ms: Option<i64>,
    /// Partitions, as in `{"orders": [0, 1]}`.
    partitions: Option<PartitionMap>,
}

fn shapes(object: &mut Schema) {
    between(object, "partition", 0, u32::MAX.into());
    one_shape(
        object,
        &[
            &["topic", "partition", "offset"],
            &["offsets"],
            &["to"],
            &["to", "topic", "partition"],
            &["to", "partitions"],
            &["timestamp_ms"],
            &["timestamp_ms", "topic", "partition"],
            &["timestamp_ms", "partitions"],
        ],
    );
}

/// What a seek asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// What the core can do by itself.
    Now(Request),
    /// To the first record that is not older, of the partitions named or else of all that the consumer has.
    Time { timestamp_ms: i64, partitions: Option<Vec<(TopicName, u32)>> },
}

impl Seek {
    /// The seek that it asks for.
    pub(crate) fn check(self, consumer: ConsumerId) -> Result<Wanted, ApiError> {
        let given = [
            ("offset", self.offset.is_some()),
            ("offsets", self.offsets.is_some()),
            ("to", self.to.is_some()),
            ("timestamp_ms", self.timestamp_ms.is_some()),
        ];
        let mut given = given.into_iter().filter(|(_, given)| *given).map(|(field, _)| field);
        let (first, second) = (given.next(), given.next());
        if let (Some(first), Some(second)) = (first, second) {
            return Err(conflict(second, first));
        }
        if let Some(offsets) = self.offsets {
            let named = [("topic", self.topic.is_some()), ("partition", self.partition.is_some())];
            let named = named.into_iter().chain([("partitions", self.partitions.is_some())]);
            if let Some((field, _)) = named.into_iter().find(|(_, given)| *given) {
                return Err(conflict(field, "offsets"));
            }
            return to_offsets(consumer, offsets.check("offsets")?);
        }
        if self.offset.is_some() && self.partitions.is_some() {
            return Err(conflict("partitions", "offset"));
        }
        let whole = self.to.is_some() || self.timestamp_ms.is_some();
        let partitions = match (self.topic, self.partition, self.partitions) {
            (None, None, None) if whole => None,
            (None, None, Some(named)) if whole => Some(named.check("partitions")?),
            (Some(topic), Some(partition), None) => {
                Some(vec![(topic_name("topic", &topic)?, partition_number("partition", partition)?)])
            }
            (Some(_), _, Some(_)) => return Err(conflict("partitions", "topic")),
            (_, Some(_), Some(_)) => return Err(conflict("partitions", "partition")),
            (None, _, _) => return Err(missing("topic")),
            (Some(_), None, None) => return Err(missing("partition")),
        };
        match (partitions, self.offset, self.to, self.timestamp_ms) {
            (partitions, None, Some(OneOf(to)), _) => Ok(Wanted::Now(Request::SeekPlace { consumer, partitions, to })),
            (partitions, None, None, Some(timestamp_ms)) => Ok(Wanted::Time { timestamp_ms, partitions }),
            (Some(named), Some(offset), _, _) => {
                let entry = |(topic, partition)| OffsetEntry { topic, partition, offset };
                to_offsets(consumer, named.into_iter().map(entry).collect())
            }
            _ => Err(missing("offset")),
        }
    }
}

fn to_offsets(consumer: ConsumerId, entries: Vec<OffsetEntry>) -> Result<Wanted, ApiError> {
    if entries.is_empty() {
        return Err(Refusal::Empty { field: "offsets".to_owned() }.into());
    }
    let to = |OffsetEntry { topic, partition, offset }| SeekTo { topic, partition, offset };
    Ok(Wanted::Now(Request::Seek { consumer, positions: entries.into_iter().map(to).collect() }))
}

fn conflict(field: &str, with: &str) -> ApiError {
    let message = format!("a seek has {with} or {field}, and not both");
    ApiError::malformed("conflicting_fields", message).with("field", field)
}

fn missing(field: &str) -> ApiError {
    let message = format!(
        "missing field `{field}`: a seek names topic, partition and offset, or offsets, or where `to`, or timestamp_ms"
    );
    ApiError::malformed("missing_field", message).with("field", field)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use uuid::Uuid;

    use super::*;
    use crate::http::input::json;

    const ID: ConsumerId = ConsumerId(Uuid::nil());

    fn seek(body: &Value) -> Result<Wanted, ApiError> {
        json::object::<Seek>(body.to_string().as_bytes())?.check(ID)
    }

    fn fault(body: &Value) -> (u16, &'static str, Value) {
        let error = seek(body).expect_err("the request is wrong");
        (error.status().as_u16(), error.code(), error.details().get("field").cloned().unwrap_or_default())
    }

    fn orders() -> TopicName {
        TopicName::new("orders").expect("a good name")
    }

    #[test]
    fn a_seek_is_of_one_partition_or_of_many() {
        let positions = vec![SeekTo { topic: orders(), partition: 0, offset: 5 }];
        let expected = || Wanted::Now(Request::Seek { consumer: ID, positions: positions.clone() });
        assert_eq!(seek(&json!({"topic": "orders", "partition": 0, "offset": 5})).expect("good"), expected());
        assert_eq!(seek(&json!({"offsets": {"orders": {"0": 5}}})).expect("good"), expected());
    }

    #[test]
    fn a_seek_to_a_place_or_a_time_is_of_one_of_some_or_of_all() {
        let place = |partitions| Wanted::Now(Request::SeekPlace { consumer: ID, partitions, to: Place::End });
        let one = || Some(vec![(orders(), 1)]);
        assert_eq!(seek(&json!({"to": "end"})).expect("good"), place(None));
        assert_eq!(seek(&json!({"to": "end", "topic": "orders", "partition": 1})).expect("good"), place(one()));
        assert_eq!(seek(&json!({"to": "end", "partitions": {"orders": [1]}})).expect("good"), place(one()));
        let time = |partitions| Wanted::Time { timestamp_ms: 9, partitions };
        assert_eq!(seek(&json!({"timestamp_ms": 9})).expect("good"), time(None));
        assert_eq!(seek(&json!({"timestamp_ms": 9, "partitions": {"orders": [1]}})).expect("good"), time(one()));
    }

    #[test]
    fn what_a_seek_lacks_or_has_twice_is_named() {
        for (body, status, code, field) in [
            (json!({}), 400, "missing_field", "topic"),
            (json!({"topic": "orders", "offset": 5}), 400, "missing_field", "partition"),
            (json!({"topic": "orders", "partition": 0}), 400, "missing_field", "offset"),
            (json!({"topic": "orders", "to": "end"}), 400, "missing_field", "partition"),
            (json!({"topic": "orders", "offsets": {}}), 400, "conflicting_fields", "topic"),
            (json!({"to": "end", "timestamp_ms": 1}), 400, "conflicting_fields", "timestamp_ms"),
            (json!({"to": "end", "offset": 1}), 400, "conflicting_fields", "to"),
            (json!({"offset": 1, "partitions": {}}), 400, "conflicting_fields", "partitions"),
            (json!({"to": "end", "topic": "orders", "partitions": {}}), 400, "conflicting_fields", "partitions"),
            (json!({"to": "start"}), 422, "invalid_value", "to"),
            (json!({"to": {"end": null}}), 400, "invalid_field", "to"),
            (json!({"topic": "orders", "partition": -1, "offset": 5}), 422, "out_of_range", "partition"),
            (json!({"to": "end", "partitions": {"orders": [0, -1]}}), 422, "out_of_range", "partitions.orders[1]"),
            (json!({"offsets": {}}), 422, "empty", "offsets"),
        ] {
            assert_eq!(fault(&body), (status, code, json!(field)), "{body}");
        }
    }
}
