//! The bodies of `/api/consumer-groups/{group}/offsets`: which partitions, and where to.
//!
//! ```text
//!   where   exactly one of "to" (earliest, latest), "offset", "by", "timestamp_ms", "offsets" (each partition's own)
//!   which   "partitions": {"orders": [0, 1]}, or "topics": ["orders"], or nothing: all that have a committed offset
//! ```

use serde::Deserialize;
use takhin_core::{OffsetTarget, Refusal, SetOffset, TopicName};

use super::offsets::{OffsetEntry, OffsetMap, PartitionMap, topic_names};
use crate::http::error::ApiError;

/// The body of `PUT /{group}/offsets`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Reset {
    to: Option<End>,
    offset: Option<i64>,
    by: Option<i64>,
    timestamp_ms: Option<i64>,
    offsets: Option<OffsetMap>,
    topics: Option<Vec<String>>,
    partitions: Option<PartitionMap>,
    #[serde(default)]
    dry_run: bool,
}

/// The body of `DELETE /{group}/offsets`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Forget {
    topics: Option<Vec<String>>,
    partitions: Option<PartitionMap>,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum End {
    Earliest,
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
            (Some(_), None) => {}
        }
        if let Some(offsets) = self.offsets {
            if let Some(field) = named(self.topics.is_some(), self.partitions.is_some()) {
                return Err(conflict(field, "offsets"));
            }
            let set = |OffsetEntry { topic, partition, offset }| SetOffset {
                topic,
                partition,
                to: OffsetTarget::Offset(offset),
            };
            return Ok((Where::Given(offsets.check("offsets")?.into_iter().map(set).collect()), self.dry_run));
        }
        let which = which(self.topics, self.partitions)?;
        let to = match (self.to, self.offset, self.by, self.timestamp_ms) {
            (Some(End::Earliest), ..) => OffsetTarget::Earliest,
            (Some(End::Latest), ..) => OffsetTarget::Latest,
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
