//! Maps by topic, as in `{"orders": {"0": 10, "1": 15}}`, and lists by topic, as in `{"orders": [0, 1]}`.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer, ser::SerializeMap};
use takhin_core::TopicName;

use crate::http::openapi::schema::{by_partition, by_topic};

/// `{topic: {"partition": value}}`, by name and number.
#[derive(Debug)]
pub(crate) struct ByTopic<'a, V>(Vec<(&'a TopicName, u32, V)>);

/// `{topic: [partition]}`, by name and number.
#[derive(Debug)]
pub(crate) struct Partitions<'a>(Vec<(&'a TopicName, u32)>);

impl<'a, V> ByTopic<'a, V> {
    pub(crate) fn new(entries: impl Iterator<Item = (&'a TopicName, u32, V)>) -> Self {
        let mut entries: Vec<_> = entries.collect();
        entries.sort_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)));
        Self(entries)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<'a> Partitions<'a> {
    pub(crate) fn new(entries: impl Iterator<Item = (&'a TopicName, u32)>) -> Self {
        let mut entries: Vec<_> = entries.collect();
        entries.sort_unstable();
        Self(entries)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<V: JsonSchema> JsonSchema for ByTopic<'_, V> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("ByTopicOf{}", V::schema_name()).into()
    }

    fn json_schema(schemas: &mut SchemaGenerator) -> Schema {
        by_topic(&by_partition(&schemas.subschema_for::<V>()))
    }
}

impl JsonSchema for Partitions<'_> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Partitions".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        by_topic(&json_schema!({"type": "array", "items": {"type": "integer", "minimum": 0}}))
    }
}

impl<V: Serialize> Serialize for ByTopic<'_, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for run in self.0.chunk_by(|a, b| a.0 == b.0) {
            map.serialize_entry(&**run[0].0, &Run(run))?;
        }
        map.end()
    }
}

struct Run<'r, 'a, V>(&'r [(&'a TopicName, u32, V)]);

impl<V: Serialize> Serialize for Run<'_, '_, V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(_, partition, value)| (partition, value)))
    }
}

impl Serialize for Partitions<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for run in self.0.chunk_by(|a, b| a.0 == b.0) {
            map.serialize_entry(&**run[0].0, &Numbers(run))?;
        }
        map.end()
    }
}

struct Numbers<'r, 'a>(&'r [(&'a TopicName, u32)]);

impl Serialize for Numbers<'_, '_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(|(_, partition)| partition))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_topic_stands_once_whatever_the_order() {
        let [a, b] = ["a", "b"].map(|name| TopicName::new(name).expect("a good name"));
        let map = ByTopic::new([(&b, 10, 1), (&a, 0, 2), (&b, 2, 3)].into_iter());
        assert_eq!(serde_json::to_string(&map).expect("JSON"), r#"{"a":{"0":2},"b":{"2":3,"10":1}}"#);
        let list = Partitions::new([(&b, 10), (&a, 0), (&b, 2)].into_iter());
        assert_eq!(serde_json::to_string(&list).expect("JSON"), r#"{"a":[0],"b":[2,10]}"#);
    }
}
