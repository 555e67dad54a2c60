//! The bodies of `/api/topics`, as the core's requests.

use serde::Deserialize;
use takhin_core::{Cleanup, Compression, Refusal, Request, TopicConfig, TopicConfigChange, TopicName};

use super::{
    consumers::{as_given, or_default},
    offsets::topic_name,
    one_of::OneOf,
};
use crate::http::error::ApiError;

/// The body of `POST /api/topics`, and without the name that of `PATCH /api/topics/{topic}`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TopicBody {
    name: Option<String>,
    partitions: Option<i64>,
    retention_ms: Option<i64>,
    retention_bytes: Option<i64>,
    segment_bytes: Option<i64>,
    segment_ms: Option<i64>,
    max_message_bytes: Option<i64>,
    cleanup: Option<OneOf<Cleanup>>,
    min_compaction_lag_ms: Option<i64>,
    delete_retention_ms: Option<i64>,
    compression: Option<OneOf<Compression>>,
}

impl TopicBody {
    /// The creation that it asks for, of one partition unless it says how many.
    pub(crate) fn create(&self) -> Result<Request, ApiError> {
        let Some(name) = &self.name else {
            return Err(ApiError::malformed("missing_field", "a topic needs a name").with("field", "name"));
        };
        let name = topic_name("name", name)?;
        let config = self.change().applied_to(&TopicConfig::default());
        Ok(Request::CreateTopic { name, partitions: or_default(self.partitions, 1), config })
    }

    /// The change that it asks for.
    pub(crate) fn alter(&self, name: TopicName) -> Result<Request, ApiError> {
        if self.name.is_some() {
            let message = "a topic's name can't be changed";
            return Err(ApiError::malformed("unknown_field", message).with("field", "name"));
        }
        let partitions = self.partitions.map(|partitions| or_default(Some(partitions), 1));
        let change = self.change();
        match partitions {
            _ if !change.is_nothing() => Ok(Request::ConfigureTopic { name, change, partitions }),
            Some(partitions) => Ok(Request::AddPartitions { name, partitions }),
            None => {
                let message = "nothing is to be changed: give partitions, or a setting";
                Err(ApiError::malformed("missing_field", message).with("field", "partitions"))
            }
        }
    }

    /// A refusal of it, with the number that it gave.
    pub(crate) fn refused(&self, refusal: Refusal) -> ApiError {
        as_given(refusal, &[("partitions", self.partitions)])
    }

    fn change(&self) -> TopicConfigChange {
        TopicConfigChange {
            retention_ms: self.retention_ms,
            retention_bytes: self.retention_bytes,
            segment_bytes: self.segment_bytes,
            segment_ms: self.segment_ms,
            max_message_bytes: self.max_message_bytes,
            cleanup: self.cleanup.map(|word| word.0),
            min_compaction_lag_ms: self.min_compaction_lag_ms,
            delete_retention_ms: self.delete_retention_ms,
            compression: self.compression.map(|word| word.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::http::input::json::object;

    #[test]
    fn a_word_is_a_string() {
        for field in ["cleanup", "compression"] {
            for value in [json!(1), json!({"none": null}), json!({"compact": null}), json!(["none"])] {
                let body = Value::from_iter([(field, value.clone())]).to_string();
                let error = object::<TopicBody>(body.as_bytes()).expect_err("no string");
                assert_eq!((error.code(), &error.details()["field"]), ("invalid_field", &json!(field)), "{body}");
            }
        }
    }
}
