//! `POST /topics/{topic}` and `POST /topics/{topic}/partitions/{partition}`.
//!
//! The body is put in the words of `/api/topics/{topic}/produce`, which at most doubles it, and goes that way: the same bounds,
//! the same partitions, all records or none. Where the storage took some partitions' records and not others', each
//! record says so by itself, as v2 has it.

use std::sync::Arc;

use axum::{extract::State, http::HeaderMap};
use serde::{Deserialize, Serialize, de::IgnoredAny};
use serde_json::value::RawValue;
use takhin_core::{StorageError, response::ProducedBatch};

use super::{
    errors,
    media::{Format, RecordsBody},
};
use crate::http::{
    error::{ApiError, ApiResult},
    guard::Caller,
    input::{
        json::object,
        path::{PartitionPath, TopicPath},
        produce::Place,
    },
    output::{
        json,
        records::{write_number, write_text},
    },
    routes::{App, Appended},
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body<'b> {
    #[serde(borrow)]
    records: Vec<Record<'b>>,
    /// What clients of a schema registry say is nothing to records without one.
    #[serde(rename = "key_schema", default)]
    _key_schema: IgnoredAny,
    #[serde(rename = "key_schema_id", default)]
    _key_schema_id: IgnoredAny,
    #[serde(rename = "value_schema", default)]
    _value_schema: IgnoredAny,
    #[serde(rename = "value_schema_id", default)]
    _value_schema_id: IgnoredAny,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Record<'b> {
    #[serde(borrow, default)]
    key: Option<&'b RawValue>,
    #[serde(borrow, default)]
    value: Option<&'b RawValue>,
    #[serde(default)]
    partition: Option<i64>,
    #[serde(default)]
    timestamp: Option<i64>,
    #[serde(borrow, default)]
    headers: Option<Vec<Header<'b>>>,
}

/// Its value is in base64, whatever the records' format.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Header<'b> {
    #[serde(borrow)]
    key: &'b RawValue,
    #[serde(borrow, default)]
    value: Option<&'b RawValue>,
}

#[derive(Serialize)]
struct Produced {
    offsets: Vec<PartitionOffset>,
    key_schema_id: Option<u32>,
    value_schema_id: Option<u32>,
}

#[derive(Default, Serialize)]
struct PartitionOffset {
    partition: Option<u32>,
    offset: Option<u64>,
    error_code: Option<u32>,
    error: Option<String>,
}

pub(super) async fn to_topic(
    State(app): State<Arc<App>>,
    caller: Caller,
    topic: TopicPath,
    headers: HeaderMap,
    body: RecordsBody,
) -> ApiResult {
    app.produce_v2(&caller, topic, None, &headers, body).await
}

pub(super) async fn to_partition(
    State(app): State<Arc<App>>,
    caller: Caller,
    PartitionPath(topic, partition): PartitionPath,
    headers: HeaderMap,
    body: RecordsBody,
) -> ApiResult {
    app.broker.bounds(&topic, partition).await?;
    app.produce_v2(&caller, TopicPath(topic), Some(partition), &headers, body).await
}

impl App {
    async fn produce_v2(
        &self,
        caller: &Caller,
        TopicPath(topic): TopicPath,
        partition: Option<u32>,
        headers: &HeaderMap,
        RecordsBody(mut body, format): RecordsBody,
    ) -> ApiResult {
        body.bytes = self.read(&body, |json| translated(json, format, partition)).await?.into();
        let Appended { places, batches, .. } = self.append(caller, topic, headers, body).await?;
        let offsets = places.iter().map(|place| of_record(place, &batches)).collect::<Result<_, _>>()?;
        json(&Produced { offsets, key_schema_id: None, value_schema_id: None })
    }
}

/// The body as `/api/topics/{topic}/produce` takes it. Records keep their order, so what is said of one of them there is
/// right here.
fn translated(body: &[u8], format: Format, partition: Option<u32>) -> ApiResult<Vec<u8>> {
    let records = object::<Body<'_>>(body)?.records;
    let mut out = Vec::with_capacity(body.len() + body.len() / 4);
    out.extend_from_slice(b"{\"records\":[");
    for (index, record) in records.iter().enumerate() {
        out.extend_from_slice(if index == 0 { b"{" } else { b",{" });
        write_field(&mut out, "key", record.key, format);
        write_field(&mut out, "value", record.value, format);
        let encoding = if format == Format::Binary { "base64" } else { "text" };
        for field in ["key_encoding", "value_encoding"] {
            out.extend_from_slice(format!("\"{field}\":\"{encoding}\",").as_bytes());
        }
        write_headers(&mut out, record.headers.as_deref().unwrap_or_default());
        if let Some(timestamp) = record.timestamp {
            out.extend_from_slice(b"\"timestamp\":");
            write_number(&mut out, timestamp);
            out.push(b',');
        }
        out.extend_from_slice(b"\"partition\":");
        match record.partition.or(partition.map(i64::from)) {
            Some(partition) => write_number(&mut out, partition),
            None => out.extend_from_slice(b"null"),
        }
        out.push(b'}');
    }
    out.extend_from_slice(b"]}");
    Ok(out)
}

/// A key or a value, and a comma. What is JSON to v2 is the text of that JSON to us.
fn write_field(out: &mut Vec<u8>, name: &str, json: Option<&RawValue>, format: Format) {
    let Some(json) = json.map(RawValue::get) else { return };
    write_text(out, name);
    out.push(b':');
    if format == Format::Json {
        write_text(out, json);
    } else {
        out.extend_from_slice(json.as_bytes());
    }
    out.push(b',');
}

fn write_headers(out: &mut Vec<u8>, headers: &[Header<'_>]) {
    if headers.is_empty() {
        return;
    }
    out.extend_from_slice(b"\"headers_list\":[");
    for (index, header) in headers.iter().enumerate() {
        out.extend_from_slice(if index == 0 { b"{\"key\":" } else { b",{\"key\":" });
        out.extend_from_slice(header.key.get().as_bytes());
        out.extend_from_slice(b",\"encoding\":\"base64\",\"value\":");
        out.extend_from_slice(header.value.map_or("null", RawValue::get).as_bytes());
        out.push(b'}');
    }
    out.extend_from_slice(b"],");
}

fn of_record(place: &Place, batches: &[ProducedBatch]) -> ApiResult<PartitionOffset> {
    let left_out = || ApiError::bug("the answer to a produce request leaves a batch out");
    let batch = batches.get(place.batch as usize).ok_or_else(left_out)?;
    Ok(match &batch.result {
        Ok(base) => PartitionOffset {
            partition: Some(batch.partition),
            offset: Some(base.0 + u64::from(place.index)),
            ..PartitionOffset::default()
        },
        Err(error) => PartitionOffset {
            error_code: Some(match error {
                StorageError::Overloaded | StorageError::Full => errors::RETRIABLE,
                StorageError::Failed(_)
                | StorageError::Uncertain(_)
                | StorageError::Unacceptable(_)
                | StorageError::Refused(_) => errors::KAFKA_ERROR,
            }),
            error: Some(error.to_string()),
            ..PartitionOffset::default()
        },
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use takhin_core::Offset;

    use super::*;

    fn of(body: &str, format: Format, partition: Option<u32>) -> Value {
        let json = translated(body.as_bytes(), format, partition).expect("good");
        serde_json::from_slice::<Value>(&json).expect("JSON")["records"].clone()
    }

    #[test]
    fn records_are_put_in_our_words() {
        assert_eq!(
            of(
                r#"{"records": [{"key": "a2V5", "value": "dmFsdWU="}, {"value": null, "partition": 3}]}"#,
                Format::Binary,
                None
            ),
            json!([
                {"key": "a2V5", "key_encoding": "base64", "value": "dmFsdWU=", "value_encoding": "base64", "partition": null},
                {"key_encoding": "base64", "value_encoding": "base64", "partition": 3},
            ])
        );
        assert_eq!(
            of(r#"{"value_schema": null, "records": [{"key": {"a" : "b\n"}, "value": "v"}]}"#, Format::Json, Some(2)),
            json!([{
                "key": "{\"a\" : \"b\\n\"}", "key_encoding": "text", "value": "\"v\"", "value_encoding": "text", "partition": 2,
            }])
        );
        assert_eq!(
            of(
                r#"{"records": [{"value": "v\u00e9", "timestamp": 7, "headers": [{"key": "h", "value": "dg=="}]}]}"#,
                Format::Text,
                None
            ),
            json!([{
                "value": "vé", "key_encoding": "text", "value_encoding": "text", "partition": null, "timestamp": 7,
                "headers_list": [{"key": "h", "value": "dg==", "encoding": "base64"}],
            }])
        );
    }

    #[test]
    fn each_record_says_what_became_of_it() {
        let batch = |partition, result| ProducedBatch {
            partition,
            records: 2,
            result,
            duplicate: false,
            scattered: Vec::new(),
        };
        let batches = [batch(4, Ok(Offset(10))), batch(2, Err(StorageError::Full))];
        let place = |batch, index| Place { batch, index, timestamp_ms: 0, has_own_timestamp: false };
        let said = |place| json!(of_record(&place, &batches).expect("a batch"));
        assert_eq!(said(place(0, 1)), json!({"partition": 4, "offset": 11, "error_code": null, "error": null}));
        let failed = said(place(1, 0));
        assert_eq!((&failed["error_code"], &failed["offset"]), (&json!(50_003), &Value::Null));
    }
}
