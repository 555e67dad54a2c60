//! The bodies of `/api/topics`, as the core's requests.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;
use takhin_core::{
    Cleanup, Compression, Config, Refusal, Request, TopicConfig, TopicConfigChange, TopicDurability, TopicName,
};

use super::{
    consumers::{as_given, or_default},
    offsets::topic_name,
    one_of::OneOf,
};
use crate::http::{
    error::ApiError,
    openapi::schema::{between, by_default, given, number, property},
};

/// The body of `POST /api/topics`, and without the name that of `PATCH /api/topics/{topic}`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = bounds)]
pub(crate) struct TopicBody {
    /// Its name.
    #[schemars(with = "TopicName")]
    name: Option<String>,
    /// How many partitions it shall have.
    partitions: Option<i64>,
    /// How old records get before they go, a segment at a time; -1 for ever.
    retention_ms: Option<i64>,
    /// How large a partition gets before its oldest segments go; -1 without limit.
    retention_bytes: Option<i64>,
    /// How large a segment gets before the next one begins.
    segment_bytes: Option<i64>,
    /// How long a segment is written to before the next one begins.
    segment_ms: Option<i64>,
    /// The largest record that is taken: key, value and headers together.
    max_message_bytes: Option<i64>,
    /// What becomes of old records.
    cleanup: Option<OneOf<Cleanup>>,
    /// How long a record stays at least before a later one of its key may replace it.
    min_compaction_lag_ms: Option<i64>,
    /// How long a record without a value stays at least in a topic that is compacted.
    delete_retention_ms: Option<i64>,
    /// How records are stored.
    compression: Option<OneOf<Compression>>,
    /// When an append is answered: `fsync` (when it survives the loss of power), `os` (when it survives the death of the
    /// process), or `server` (as the server is set).
    durability: Option<OneOf<TopicDurability>>,
}

fn bounds(object: &mut Schema) {
    let default = TopicConfig::default();
    let impossible = i64::MIN;
    let numbers = [
        (TopicConfig { retention_ms: impossible, ..default }, default.retention_ms),
        (TopicConfig { retention_bytes: impossible, ..default }, default.retention_bytes),
        (TopicConfig { segment_bytes: impossible, ..default }, default.segment_bytes),
        (TopicConfig { segment_ms: impossible, ..default }, default.segment_ms),
        (TopicConfig { max_message_bytes: impossible, ..default }, default.max_message_bytes),
        (TopicConfig { min_compaction_lag_ms: impossible, ..default }, default.min_compaction_lag_ms),
        (TopicConfig { delete_retention_ms: impossible, ..default }, default.delete_retention_ms),
    ];
    for (config, default) in numbers {
        number(object, config.check(), default);
    }
    between(object, "partitions", 1, Config::default().max_partitions_per_topic.into());
}

/// The body of `POST /api/topics` in the description of the API: a [`TopicBody`] with a name.
pub(crate) struct CreateTopic;

impl JsonSchema for CreateTopic {
    fn schema_name() -> Cow<'static, str> {
        "CreateTopic".into()
    }

    fn json_schema(schemas: &mut SchemaGenerator) -> Schema {
        let mut object = TopicBody::json_schema(schemas);
        by_default(&mut object, "partitions", 1);
        object.insert("required".to_owned(), ["name"].into_iter().collect());
        object.insert("description".to_owned(), "A topic to be created.".into());
        object
    }
}

/// The body of `PATCH /api/topics/{topic}` in the description of the API: a [`TopicBody`] without a name, and with
/// something else.
pub(crate) struct AlterTopic;

impl JsonSchema for AlterTopic {
    fn schema_name() -> Cow<'static, str> {
        "AlterTopic".into()
    }

    fn json_schema(schemas: &mut SchemaGenerator) -> Schema {
        let mut object = TopicBody::json_schema(schemas);
        let fields = object.get_mut("properties").and_then(|properties| properties.as_object_mut());
        let fields = fields.expect("an object has fields");
        fields.remove("name");
        let names: Vec<String> = fields.keys().cloned().collect();
        for name in &names {
            // What isn't given stays as it is.
            if let Some(field) = property(&mut object, name).as_object_mut() {
                field.remove("default");
            }
        }
        object.remove("required");
        let something = names.iter().map(|name| given(&[name])).collect();
        object.insert("anyOf".to_owned(), something);
        object.insert("description".to_owned(), "What is to be changed of a topic.".into());
        object
    }
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
            durability: self.durability.map(|word| word.0),
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
        for field in ["cleanup", "compression", "durability"] {
            for value in [json!(1), json!({"none": null}), json!({"compact": null}), json!(["none"])] {
                let body = Value::from_iter([(field, value.clone())]).to_string();
                let error = object::<TopicBody>(body.as_bytes()).expect_err("no string");
                assert_eq!((error.code(), &error.details()["field"]), ("invalid_field", &json!(field)), "{body}");
            }
        }
    }
}
