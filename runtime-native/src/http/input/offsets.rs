//! The maps `{topic: {"0": offset}}` and `{topic: [0]}` of commits, seeks and whatever else names partitions.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    fmt,
    marker::PhantomData,
    sync::Arc,
};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};
use takhin_core::{MAX_METADATA_BYTES, TopicName};

use super::explain::duplicate_key;
use crate::http::{
    error::ApiError,
    openapi::schema::{by_partition, by_topic},
    refusal::invalid_name,
};

/// A JSON object in its order, each key once. (A map would silently keep the last of two.)
#[derive(Debug)]
pub(crate) struct Entries<V>(pub(crate) Vec<(String, V)>);

impl<V> Default for Entries<V> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

/// Offsets as a request gives them.
pub(crate) type OffsetMap = Entries<Entries<i64>>;

/// What a request says of partitions: `{topic: {"0": "text"}}`.
pub(crate) type TextMap = Entries<Entries<String>>;

/// How many partitions one request may name: more than anybody has, and few enough to be worked on in a moment. So a
/// body can't be made to cost more than its length by naming one of them again and again.
const MAX_NAMED: usize = 100_000;

impl TextMap {
    /// The entries, with names and numbers checked; `field` is where the map stands.
    pub(crate) fn check(self, field: &str) -> Result<BTreeMap<(TopicName, u32), String>, ApiError> {
        bounded(field, self.0.iter().map(|(_, partitions)| partitions.0.len()).sum())?;
        let mut entries = BTreeMap::new();
        for (topic, partitions) in self.0 {
            let name = topic_name(field, &topic)?;
            for (partition, text) in partitions.0 {
                entries.insert((name.clone(), partition_key(field, &topic, &partition)?), text);
            }
        }
        Ok(entries)
    }
}

/// Partitions as a request names them: `{topic: [0, 1]}`.
pub(crate) type PartitionMap = Entries<Vec<i64>>;

/// One entry of an [`OffsetMap`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct OffsetEntry {
    pub(crate) topic: TopicName,
    pub(crate) partition: u32,
    pub(crate) offset: i64,
}

impl OffsetMap {
    /// The entries, with names and numbers checked; `field` is where the map stands.
    pub(crate) fn check(self, field: &str) -> Result<Vec<OffsetEntry>, ApiError> {
        bounded(field, self.0.iter().map(|(_, partitions)| partitions.0.len()).sum())?;
        let mut entries = Vec::new();
        for (topic, partitions) in self.0 {
            let name = topic_name(field, &topic)?;
            for (partition, offset) in partitions.0 {
                entries.push(OffsetEntry {
                    topic: name.clone(),
                    partition: partition_key(field, &topic, &partition)?,
                    offset,
                });
            }
        }
        Ok(entries)
    }
}

/// An offset, and what is to be remembered with it.
pub(crate) type Noted = (OffsetEntry, Option<Arc<str>>);

/// Offsets, and what is to be remembered with some of them; `metadata` is the field where that stands.
pub(crate) fn with_metadata(offsets: OffsetMap, metadata: TextMap) -> Result<Vec<Noted>, ApiError> {
    let mut metadata = metadata.check("metadata")?;
    let mut entries = Vec::new();
    for entry in offsets.check("offsets")? {
        let text = metadata.remove(&(entry.topic.clone(), entry.partition));
        if let Some(bytes) = text.as_ref().map(String::len).filter(|bytes| *bytes > MAX_METADATA_BYTES as usize) {
            let field = format!("metadata.{}.{}", entry.topic, entry.partition);
            let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
            return Err(ApiError::out_of_range(&field, bytes, 0, MAX_METADATA_BYTES.into()));
        }
        entries.push((entry, text.map(Into::into)));
    }
    if let Some((topic, partition)) = metadata.into_keys().next() {
        let field = format!("metadata.{topic}.{partition}");
        let message = format!("{field}: there is no offset of that partition to go with it");
        return Err(ApiError::unacceptable("metadata_without_offset", &field, message));
    }
    Ok(entries)
}

impl PartitionMap {
    /// The partitions, each once, with names and numbers checked; `field` is where the map stands.
    pub(crate) fn check(self, field: &str) -> Result<Vec<(TopicName, u32)>, ApiError> {
        bounded(field, self.0.iter().map(|(_, numbers)| numbers.len()).sum())?;
        let mut partitions = Vec::new();
        for (topic, numbers) in self.0 {
            let name = topic_name(field, &topic)?;
            let mut seen = BTreeSet::new();
            for (index, number) in numbers.into_iter().enumerate() {
                let number = partition_number(&format!("{field}.{topic}[{index}]"), number)?;
                if seen.insert(number) {
                    partitions.push((name.clone(), number));
                }
            }
        }
        Ok(partitions)
    }
}

/// Refuses more partitions than one request may name.
pub(crate) fn bounded(field: &str, named: usize) -> Result<(), ApiError> {
    if named <= MAX_NAMED {
        return Ok(());
    }
    let bound = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
    Err(ApiError::out_of_range(field, bound(named), 0, bound(MAX_NAMED)))
}

/// Names of topics as a list, as many as one consumer may subscribe to. They are counted as they are given, since to find
/// out that a million are the same one takes as long as if they were not.
pub(crate) fn topic_names(field: &str, names: &[String]) -> Result<Vec<TopicName>, ApiError> {
    const MAX_NAMES: usize = 10_000;
    if names.len() > MAX_NAMES {
        let bound = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        return Err(ApiError::out_of_range(field, bound(names.len()), 1, bound(MAX_NAMES)));
    }
    let name = |(index, name): (usize, &String)| topic_name(&format!("{field}[{index}]"), name);
    names.iter().enumerate().map(name).collect()
}

/// A topic's name as a key of the map `field`.
pub(crate) fn topic_name(field: &str, topic: &str) -> Result<TopicName, ApiError> {
    TopicName::new(topic).map_err(|error| invalid_name(field, topic, error))
}

/// A partition's number as a key: decimal, without sign or leading zeros, so that no two keys mean the same.
fn partition_key(field: &str, topic: &str, key: &str) -> Result<u32, ApiError> {
    let number = key.parse::<u32>().ok().filter(|number| number.to_string() == key);
    number.ok_or_else(|| {
        let field = format!("{field}.{topic}");
        let message = format!("{field}: a partition is a number from 0, and not {key:?}");
        ApiError::unacceptable("invalid_partition", &field, message).with("value", key)
    })
}

/// A partition's number where it is a number.
pub(crate) fn partition_number(field: &str, partition: i64) -> Result<u32, ApiError> {
    u32::try_from(partition).map_err(|_| ApiError::out_of_range(field, partition, 0, u32::MAX.into()))
}

macro_rules! map_schema {
    ($map:ident, $value:expr) => {
        impl JsonSchema for $map {
            fn schema_name() -> Cow<'static, str> {
                stringify!($map).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                by_topic(&$value)
            }
        }
    };
}

map_schema!(OffsetMap, by_partition(&json_schema!({"type": "integer", "format": "int64"})));
map_schema!(TextMap, by_partition(&json_schema!({"type": "string", "maxLength": MAX_METADATA_BYTES})));
map_schema!(
    PartitionMap,
    json_schema!({"type": "array", "items": {"type": "integer", "minimum": 0, "maximum": u32::MAX}})
);

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Entries<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder<V>(PhantomData<V>);

        impl<'de, V: Deserialize<'de>> Visitor<'de> for InOrder<V> {
            type Value = Entries<V>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Entries<V>, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry::<String, V>()? {
                    entries.push(entry);
                }
                let mut keys: Vec<&str> = entries.iter().map(|(key, _)| key.as_str()).collect();
                keys.sort_unstable();
                match keys.windows(2).find(|pair| pair[0] == pair[1]) {
                    Some(twice) => Err(duplicate_key(twice[0])),
                    None => Ok(Entries(entries)),
                }
            }
        }

        deserializer.deserialize_map(InOrder(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(json: &str) -> Result<Vec<OffsetEntry>, ApiError> {
        serde_json::from_str::<OffsetMap>(json).expect("well-formed").check("offsets")
    }

    #[test]
    fn partitions_are_numbers_in_strings() {
        let orders = TopicName::new("orders").expect("a good name");
        let entry = |partition, offset| OffsetEntry { topic: orders.clone(), partition, offset };
        assert_eq!(check(r#"{"orders": {"0": 10, "11": -1}}"#).expect("good"), [entry(0, 10), entry(11, -1)]);
        for key in ["-1", "+1", "01", "", "x", "4294967296", " 1", "1.0"] {
            let error = check(&format!(r#"{{"orders": {{"{key}": 1}}}}"#)).expect_err("no number");
            assert_eq!((error.status().as_u16(), error.code()), (422, "invalid_partition"), "{key}");
            assert_eq!(error.details()["field"], "offsets.orders");
            assert_eq!(error.details()["value"], key);
        }
    }

    #[test]
    fn a_topic_that_cannot_be_is_named() {
        let error = check(r#"{"a b": {"0": 1}}"#).expect_err("a bad name");
        assert_eq!((error.status().as_u16(), error.code()), (422, "invalid_name"));
        assert_eq!(error.details()["value"], "a b");
    }

    #[test]
    fn a_partition_named_again_and_again_is_one_and_too_many_are_refused() {
        let partitions = |json: String| serde_json::from_str::<PartitionMap>(&json).expect("good").check("partitions");
        let orders = TopicName::new("orders").expect("a good name");
        let found = partitions(r#"{"orders": [1, 0, 1, 1]}"#.to_owned()).expect("good");
        assert_eq!(found, [(orders.clone(), 1), (orders, 0)]);
        let zeros = "0,".repeat(100_000);
        for more in [format!(r#"{{"orders": [{zeros}0]}}"#), format!(r#"{{"a": [{zeros}0], "b": []}}"#)] {
            let error = partitions(more).expect_err("too many");
            assert_eq!((error.code(), &error.details()["value"]), ("out_of_range", &100_001.into()));
        }
        let offsets: Vec<_> = (0..=100_000).map(|number| format!("\"{number}\": 1")).collect();
        let error = check(&format!(r#"{{"orders": {{{}}}}}"#, offsets.join(","))).expect_err("too many");
        assert_eq!((error.code(), &error.details()["field"]), ("out_of_range", &"offsets".into()));
        let names = vec!["a".to_owned(); 10_001];
        assert!(topic_names("topics", &names[1..]).is_ok());
        assert_eq!(topic_names("topics", &names).expect_err("too many").code(), "out_of_range");
    }

    #[test]
    fn a_key_given_twice_is_refused() {
        let error = serde_json::from_str::<OffsetMap>(r#"{"orders": {"0": 1, "0": 2}}"#).expect_err("twice");
        assert!(error.to_string().starts_with("duplicate field `0`"), "{error}");
    }
}
