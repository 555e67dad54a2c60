//! The schemas of records, which are parsed and written by hand: the fields here are those of `input/produce.rs`,
//! `input/record.rs`, `input/headers.rs` and `output/records.rs`. Tests hold them against what those do.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use takhin_core::{Compression, Offset, ProducerId, TopicName};

use super::schema::{between, by_default, one_shape, property};
use crate::http::{
    config::HttpConfig,
    input::{
        conditions::{MAX_EPOCH, MAX_SEQUENCE},
        produce::MAX_TIMESTAMP_MS,
        text::Encoding,
    },
};

/// Records to be appended, and under which conditions.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = produce_bounds)]
#[allow(dead_code)] // it is parsed by hand
pub(crate) struct Produce {
    /// The records. If one is wrong, none is written.
    records: Vec<NewRecord>,
    /// An idempotent producer: a number of your choice.
    producer_id: Option<i64>,
    /// The producer's epoch: a higher one begins at sequence 0 again, and fences the lower ones.
    epoch: Option<i64>,
    /// The number of the first record, counted by the producer for each partition from 0.
    sequence: Option<i64>,
    /// Append only if the partition's log ends there.
    expected_offset: Option<i64>,
    /// How the records are stored, instead of as the topic is set.
    compression: Option<Compression>,
}

fn produce_bounds(object: &mut Schema) {
    let records = property(object, "records");
    records["minItems"] = 1.into();
    between(object, "producer_id", 0, i64::try_from(ProducerId::MAX_CHOSEN).unwrap_or(i64::MAX));
    between(object, "epoch", 0, MAX_EPOCH);
    by_default(object, "epoch", 0);
    between(object, "sequence", 0, MAX_SEQUENCE);
    between(object, "expected_offset", 0, i64::MAX);
    // A producer goes with a sequence, and neither a sequence nor an epoch without a producer.
    one_shape(object, &[&[], &["producer_id", "sequence"], &["producer_id", "sequence", "epoch"]]);
}

/// Writes the bounds that a server is set to into the schemas of this module.
pub(super) fn write_set_bounds(schemas: &mut Map<String, Value>, config: &HttpConfig) {
    for (schema, field, bound, value) in [
        ("Produce", "records", "maxItems", config.max_records_per_request),
        ("NewRecord", "headers", "maxProperties", config.max_headers_per_record),
        ("NewRecord", "headers_list", "maxItems", config.max_headers_per_record),
    ] {
        let field = schemas.get_mut(schema).and_then(|schema| schema.pointer_mut(&format!("/properties/{field}")));
        field.expect("a field of a schema above")[bound] = value.into();
    }
}

/// A record to be appended. All fields may be left out.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = record_bounds)]
#[allow(dead_code)] // it is parsed by hand
pub(crate) struct NewRecord {
    /// Its key: text, or base64 if `key_encoding` says so.
    key: Option<String>,
    /// A string is stored as its text, or as its bytes if `value_encoding` is `base64`; null as no value (a tombstone);
    /// any other JSON as it is written.
    #[serde(default)]
    value: Value,
    /// The partition. Else the key decides, else the request's records without a key share one.
    partition: Option<i64>,
    /// Headers by name, each once. Not beside `headers_list`.
    #[serde(default)]
    headers: BTreeMap<String, Option<String>>,
    /// Headers in order, where names repeat or values are bytes.
    #[serde(default)]
    headers_list: Vec<NewHeader>,
    /// Its time. Else now.
    timestamp: Option<i64>,
    /// How `key` is written.
    #[serde(default)]
    key_encoding: Encoding,
    /// How `value` is written.
    #[serde(default)]
    value_encoding: Encoding,
}

fn record_bounds(object: &mut Schema) {
    between(object, "partition", 0, u32::MAX.into());
    between(object, "timestamp", 0, MAX_TIMESTAMP_MS);
    for field in ["headers", "headers_list", "value"] {
        if let Some(field) = property(object, field).as_object_mut() {
            field.remove("default");
        }
    }
    let not_both = json!({"required": ["headers", "headers_list"]});
    object.insert("not".to_owned(), not_both);
    // What is in base64 is a string.
    let text = json!({"properties": {"value_encoding": {"const": "text"}}});
    let string = json!({"properties": {"value": {"type": ["string", "null"]}}});
    object.insert("anyOf".to_owned(), [text, string].into_iter().collect());
}

/// A header to be appended.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[allow(dead_code)] // it is parsed by hand
pub(crate) struct NewHeader {
    /// Its name.
    key: String,
    /// Its value, if it has one.
    value: Option<String>,
    /// How `value` is written.
    #[serde(default)]
    encoding: Encoding,
}

/// A record.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Record {
    /// The topic.
    topic: TopicName,
    /// The partition.
    partition: u32,
    /// The offset.
    offset: Offset,
    /// Its time.
    timestamp: i64,
    /// Its key, in base64 if `key_encoding` says so. Null differs from "".
    key: Option<String>,
    /// There where the key is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    key_encoding: Option<Base64>,
    /// Its value: a string or null, in base64 if `value_encoding` says so; or any JSON if it says that. Null differs from "".
    value: Value,
    /// There where the value is not UTF-8, or another format than `text` was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    value_encoding: Option<ValueEncoding>,
    /// Its headers whose value is text or null, the last one of each name.
    headers: BTreeMap<String, Option<String>>,
    /// There where `headers` can't tell all: all headers, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    headers_list: Vec<Header>,
}

/// A record's header.
#[derive(Serialize, JsonSchema)]
pub(crate) struct Header {
    /// Its name, in base64 if `key_encoding` says so.
    key: String,
    /// There where the name is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    key_encoding: Option<Base64>,
    /// Its value, in base64 if `encoding` says so.
    value: Option<String>,
    /// There where the value is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    encoding: Option<Base64>,
}

/// How a value is written, if not as its text.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
#[allow(dead_code)] // it is written by hand
pub(crate) enum ValueEncoding {
    /// RFC 4648, section 4, with padding.
    Base64,
    /// As the JSON that it is.
    Json,
}

/// Base64, RFC 4648, section 4, with padding.
#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
#[allow(dead_code)] // it is written by hand
pub(crate) enum Base64 {
    /// RFC 4648, section 4, with padding.
    Base64,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use schemars::schema_for;
    use takhin_core::{RecordFormat, TopicConfig};

    use super::*;
    use crate::{
        http::{
            input::produce::{Rules, parse},
            output::records::write_record,
        },
        record::{BatchBuilder, records},
    };

    fn fields<T: JsonSchema>() -> BTreeSet<String> {
        let schema = schema_for!(T);
        let fields = schema.get("properties").and_then(Value::as_object).expect("an object");
        fields.keys().cloned().collect()
    }

    /// The fields that the parser names when it is given another one.
    fn known(body: &Value) -> BTreeSet<String> {
        let (config, topic) = (HttpConfig::default(), TopicConfig::default());
        let rules = Rules { config: &config, partitions: 1, sticky_partition: 0, now_ms: 0, topic: &topic, key: None };
        let error = parse(body.to_string().as_bytes(), rules).expect_err("there is no such field").to_string();
        let (_, names) = error.split_once("expected one of ").expect("the error names what there is");
        names.split('`').skip(1).step_by(2).map(str::to_owned).collect()
    }

    #[test]
    fn the_parser_knows_exactly_the_fields_described() {
        assert_eq!(known(&json!({"?": 1})), fields::<Produce>());
        assert_eq!(known(&json!({"records": [{"?": 1}]})), fields::<NewRecord>());
        assert_eq!(known(&json!({"records": [{"headers_list": [{"?": 1}]}]})), fields::<NewHeader>());
    }

    #[test]
    fn the_writer_writes_exactly_the_fields_described() {
        let mut batch = BatchBuilder::default();
        let bytes = [0xff].as_slice();
        batch.push(7, Some(bytes), Some(bytes), [("a", Some(bytes))].into_iter()).expect("it fits");
        let batch = batch.finish().expect("one record");
        let record = records(batch.bytes()).next().expect("one record").expect("whole");
        let mut out = Vec::new();
        write_record(&mut out, &TopicName::new("orders").expect("a name"), 3, &record, RecordFormat::Text);
        let written: Value = serde_json::from_slice(&out).expect("JSON");
        let names = |value: &Value| value.as_object().expect("an object").keys().cloned().collect::<BTreeSet<_>>();
        assert_eq!(names(&written), fields::<Record>());
        let header = names(&written["headers_list"][0]);
        assert_eq!(header, fields::<Header>().into_iter().filter(|name| name != "key_encoding").collect());
    }
}
