//! The bodies of `/api/consumer-groups/{group}/offsets`: which partitions, and where to.
//!
//! ```text
//!   where   exactly one of "to" (earliest, latest), "offset", "by", "timestamp_ms", "offsets" (each partition's own)
//!   which   "partitions": {"orders": [0, 1]}, or "topics": ["orders"], or nothing: all that have a committed offset
//! ```

use schemars::{JsonSchema, Schema};
use serde::Deserialize;
use takhin_core::{OffsetTarget, Refusal, SetOffset, TopicName};

use super::{
    offsets::{OffsetEntry, OffsetMap, PartitionMap, TextMap, topic_names, with_metadata},
    one_of::OneOf,
};
use crate::http::{
    error::ApiError,
    openapi::schema::{by_default, one_shape, property},
};

/// Where a group's offsets are to be put, and of which partitions.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = reset_shapes)]
pub(crate) struct Reset {
    /// An end of the log.
    to: Option<OneOf<End>>,
    /// An offset.
    offset: Option<i64>,
    /// So many records from the committed offset, as in -10; stays within the log.
    by: Option<i64>,
    /// The first record that is not older.
    timestamp_ms: Option<i64>,
    /// Each partition's own offset, as in `{"orders": {"0": 5}}`.
    offsets: Option<OffsetMap>,
    /// What to remember with some of `offsets`, as in `{"orders": {"0": "text"}}`, at most 4,096 bytes each.
    metadata: Option<TextMap>,
    /// All partitions of these topics. Without it, and without `partitions`, all that have a committed offset.
    #[schemars(with = "Option<Vec<TopicName>>")]
    topics: Option<Vec<String>>,
    /// These partitions, as in `{"orders": [0, 1]}`.
    partitions: Option<PartitionMap>,
    /// Whether only to say what would be.
    #[serde(default)]
    dry_run: bool,
}

fn reset_shapes(object: &mut Schema) {
    by_default(object, "dry_run", false);
    property(object, "topics")["minItems"] = 1.into();
    let mut shapes: Vec<Vec<&str>> = vec![vec!["offsets"], vec!["offsets", "metadata"]];
    for place in ["to", "offset", "by", "timestamp_ms"] {
        shapes.extend([vec![place], vec![place, "topics"], vec![place, "partitions"]]);
    }
    one_shape(object, &shapes.iter().map(Vec::as_slice).collect::<Vec<_>>());
}

/// Which of a group's offsets are to be forgotten.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(transform = forget_shapes)]
pub(crate) struct Forget {
    /// All partitions of these topics. Without it, and without `partitions`, all that have a committed offset.
    #[schemars(with = "Option<Vec<TopicName>>")]
    topics: Option<Vec<String>>,
    /// These partitions, as in `{"orders": [0, 1]}`.
    partitions: Option<PartitionMap>,
}

fn forget_shapes(object: &mut Schema) {
    property(object, "topics")["minItems"] = 1.into();
    one_shape(object, &[&[], &["topics"], &["partitions"]]);
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum End {
    /// The first record that there is.
    Earliest,
    /// After the last one.
    Latest,
}

/// Which of a group's partitions.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Which {
    Committed,
    Topics(Vec<TopicName>),
    Partitions(Vec<(TopicName, u32)>),
}

/// Where to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Where {
    /// The same for all.
    Each(Which, OffsetTarget),
    /// To the first record that is not older.
    Time(Which, i64),
    /// As said for each.
    Given(Vec<SetOffset>),
}

impl Reset {
    /// What is to be set to what, and whether only to say so.
    pub(crate) fn check(self) -> Result<(Where, bool), ApiError> {
        let given = [
            ("to", self.to.is_some()),
            ("offset", self.offset.is_some()),
            ("by", self.by.is_some()),
            ("timestamp_ms", self.timestamp_ms.is_some()),
            ("offsets", self.offsets.is_some()),
        ];
        let mut given = given.into_iter().filter(|(_, given)| *given).map(|(field, _)| field);
        match (given.next(), given.next()) {
            (None, _) => {
                let message = "missing field `to`: say to, offset, by, timestamp_ms or offsets";
                return Err(ApiError::malformed("missing_field", message).with("field", "to"));
            }
            (Some(first), Some(second)) => return Err(conflict(second, first)),
            (Some(first), None) if first != "offsets" && self.metadata.is_some() => {
                return Err(conflict("metadata", first));
            }
            (Some(_), None) => {}
        }
        if let Some(offsets) = self.offsets {
            if let Some(field) = named(self.topics.is_some(), self.partitions.is_some()) {
                return Err(conflict(field, "offsets"));
            }
            let set = |(OffsetEntry { topic, partition, offset }, metadata)| SetOffset {
                topic,
                partition,
                to: OffsetTarget::Offset(offset),
                metadata,
            };
            let entries = with_metadata(offsets, self.metadata.unwrap_or_default())?;
            return Ok((Where::Given(entries.into_iter().map(set).collect()), self.dry_run));
        }
        let which = which(self.topics, self.partitions)?;
        let to = match (self.to, self.offset, self.by, self.timestamp_ms) {
            (Some(OneOf(End::Earliest)), ..) => OffsetTarget::Earliest,
            (Some(OneOf(End::Latest)), ..) => OffsetTarget::Latest,
            (_, Some(offset), ..) => OffsetTarget::Offset(offset),
            (_, _, by, None) => OffsetTarget::By(by.unwrap_or_default()),
            (_, _, _, Some(timestamp_ms)) => return Ok((Where::Time(which, timestamp_ms), self.dry_run)),
        };
        Ok((Where::Each(which, to), self.dry_run))
    }
}

impl Forget {
    /// What is to be forgotten.
    pub(crate) fn check(self) -> Result<Which, ApiError> {
        which(self.topics, self.partitions)
    }
}

fn which(topics: Option<Vec<String>>, partitions: Option<PartitionMap>) -> Result<Which, ApiError> {
    match (topics, partitions) {
        (None, None) => Ok(Which::Committed),
        (Some(_), Some(_)) => Err(conflict("partitions", "topics")),
        (None, Some(partitions)) => Ok(Which::Partitions(partitions.check("partitions")?)),
        (Some(names), None) if names.is_empty() => Err(Refusal::Empty { field: "topics".to_owned() }.into()),
        (Some(names), None) => Ok(Which::Topics(topic_names("topics", &names)?)),
    }
}

fn named(topics: bool, partitions: bool) -> Option<&'static str> {
    [("topics", topics), ("partitions", partitions)].into_iter().find(|(_, given)| *given).map(|(field, _)| field)
}

fn conflict(field: &str, with: &str) -> ApiError {
    let message = format!("{with} or {field}, and not both");
    ApiError::malformed("conflicting_fields", message).with("field", field)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::http::input::json::object;

    #[test]
    fn where_to_is_a_string() {
        for value in [json!(1), json!({"earliest": null})] {
            let error = object::<Reset>(json!({"to": value}).to_string().as_bytes()).expect_err("no string");
            assert_eq!((error.code(), &error.details()["field"]), ("invalid_field", &json!("to")), "{value}");
        }
    }

    #[test]
    fn metadata_goes_with_offsets_of_their_own_alone() {
        let refused = |body: serde_json::Value| {
            let reset = object::<Reset>(body.to_string().as_bytes()).expect("it has the right form");
            reset.check().expect_err("it is refused").code().to_owned()
        };
        let metadata = json!({"orders": {"1": "invoice 17"}});
        assert_eq!(refused(json!({"to": "earliest", "metadata": metadata})), "conflicting_fields");
        let offsets = json!({"orders": {"0": 5}});
        assert_eq!(refused(json!({"offsets": offsets, "metadata": metadata})), "metadata_without_offset");
    }
}
