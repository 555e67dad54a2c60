//! Records as JSON, written straight from their bytes into one buffer.
//!
//! ```json
//! {"topic": "orders", "partition": 0, "offset": 0, "timestamp": 1704537600000, "key": "k", "value": "v", "headers": {}}
//! ```
//!
//! * A key or value that is not UTF-8 is written in base64, and `key_encoding` or `value_encoding` says so. In the format
//!   `base64` all are. In the format `json` a value that is JSON is written as it is, and `value_encoding` says so.
//! * `headers` has the headers whose value is text or null, the last one of each name. Where that is not all of
//!   them, `headers_list` has all, in order, as `{"key", "value"}`, with `"encoding": "base64"` where need be.

use base64::{Engine, prelude::BASE64_STANDARD};
use takhin_core::{RecordFormat, TopicName};

use super::embedded_json::write_embedded;
use crate::record::{Headers, RecordRef};

/// What a record takes in JSON beside its topic, key, value and headers, about.
pub(crate) const FRAME_BYTES: usize = 128;

/// Writes one record.
pub(crate) fn write_record(
    out: &mut Vec<u8>,
    topic: &TopicName,
    partition: u32,
    record: &RecordRef<'_>,
    format: RecordFormat,
) {
    out.extend_from_slice(b"{\"topic\":");
    write_text(out, topic);
    out.extend_from_slice(b",\"partition\":");
    write_number(out, partition);
    out.extend_from_slice(b",\"offset\":");
    write_number(out, record.offset.0);
    out.extend_from_slice(b",\"timestamp\":");
    write_number(out, record.timestamp_ms);
    out.extend_from_slice(b",\"key\":");
    if write_piece(out, record.key, format) == Written::Base64 {
        out.extend_from_slice(b",\"key_encoding\":\"base64\"");
    }
    out.extend_from_slice(b",\"value\":");
    let embedded = format == RecordFormat::Json && record.value.is_some_and(|value| write_embedded(out, value));
    if embedded {
        out.extend_from_slice(b",\"value_encoding\":\"json\"");
    } else if write_piece(out, record.value, format) == Written::Base64 {
        out.extend_from_slice(b",\"value_encoding\":\"base64\"");
    }
    out.extend_from_slice(b",\"headers\":{");
    let all = write_header_map(out, &record.headers);
    out.push(b'}');
    if !all {
        out.extend_from_slice(b",\"headers_list\":[");
        write_header_list(out, &record.headers);
        out.push(b']');
    }
    out.push(b'}');
}

/// Writes a string with its quotes.
pub(crate) fn write_text(out: &mut Vec<u8>, text: &str) {
    json_escape_simd::escape_into(text, out);
}

/// Writes a whole number.
pub(crate) fn write_number(out: &mut Vec<u8>, number: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Written {
    TextOrNull,
    Base64,
}

/// Writes a key or a value.
fn write_piece(out: &mut Vec<u8>, bytes: Option<&[u8]>, format: RecordFormat) -> Written {
    match (bytes, format) {
        (Some(bytes), RecordFormat::Base64) => {
            write_base64(out, bytes);
            Written::Base64
        }
        (bytes, _) => write_bytes(out, bytes),
    }
}

fn write_bytes(out: &mut Vec<u8>, bytes: Option<&[u8]>) -> Written {
    let Some(bytes) = bytes else {
        out.extend_from_slice(b"null");
        return Written::TextOrNull;
    };
    if let Ok(text) = std::str::from_utf8(bytes) {
        write_text(out, text);
        Written::TextOrNull
    } else {
        write_base64(out, bytes);
        Written::Base64
    }
}

/// Writes bytes in base64, with quotes.
pub(crate) fn write_base64(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    let start = out.len();
    let length = base64::encoded_len(bytes.len(), true).expect("a record is far smaller than memory");
    out.resize(start + length, 0);
    let written = BASE64_STANDARD.encode_slice(bytes, &mut out[start..]).expect("there is room for it");
    debug_assert_eq!(written, length, "the length was foretold");
    out.push(b'"');
}

/// Writes the map's entries; says whether they are all there is.
fn write_header_map(out: &mut Vec<u8>, headers: &Headers<'_>) -> bool {
    let mut all = true;
    let mut first = true;
    for (index, (name, value)) in headers.clone().enumerate() {
        let repeated = headers.clone().skip(index + 1).any(|(later, _)| later == name);
        let text = value.map(std::str::from_utf8).transpose();
        let (Ok(name), Ok(text), false) = (std::str::from_utf8(name), text, repeated) else {
            all = false;
            continue;
        };
        if !first {
            out.push(b',');
        }
        first = false;
        write_text(out, name);
        out.push(b':');
        match text {
            Some(text) => write_text(out, text),
            None => out.extend_from_slice(b"null"),
        }
    }
    all
}

fn write_header_list(out: &mut Vec<u8>, headers: &Headers<'_>) {
    for (index, (name, value)) in headers.clone().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        out.extend_from_slice(b"{\"key\":");
        if write_bytes(out, Some(name)) == Written::Base64 {
            out.extend_from_slice(b",\"key_encoding\":\"base64\"");
        }
        out.extend_from_slice(b",\"value\":");
        if write_bytes(out, value) == Written::Base64 {
            out.extend_from_slice(b",\"encoding\":\"base64\"");
        }
        out.push(b'}');
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;
    use crate::{
        http::{
            HttpConfig,
            input::produce::{Rules, parse},
        },
        record::{BatchBuilder, records},
    };

    type Header = (String, Option<Vec<u8>>);

    fn written(key: Option<&[u8]>, value: Option<&[u8]>, headers: &[Header]) -> Value {
        written_as(RecordFormat::Text, key, value, headers)
    }

    fn written_as(format: RecordFormat, key: Option<&[u8]>, value: Option<&[u8]>, headers: &[Header]) -> Value {
        let mut batch = BatchBuilder::default();
        let headers = headers.iter().map(|(name, value)| (name.as_str(), value.as_deref()));
        batch.push(7, key, value, headers).expect("it fits");
        let batch = batch.finish().expect("one record");
        let record = records(batch.bytes()).next().expect("one record").expect("whole");
        let mut out = Vec::new();
        write_record(&mut out, &TopicName::new("orders").expect("a good name"), 3, &record, format);
        assert!(!out.contains(&b'\n'), "a record is one line");
        serde_json::from_slice(&out).expect("JSON")
    }

    #[test]
    fn a_format_says_how_bytes_are_written() {
        let shown = |format, key: Option<&[u8]>, value: Option<&[u8]>| {
            let record = written_as(format, key, value, &[]);
            let field = |name: &str| record.get(name).cloned();
            (field("key"), field("key_encoding"), field("value"), field("value_encoding"))
        };
        let (text, null) = (|text: &str| Some(json!(text)), || Some(Value::Null));
        for value in [&b"{\"a\": [1,\n 2.50]}"[..], b" null ", b"\"text\"", b"17"] {
            let parsed: Value = serde_json::from_slice(value).expect("JSON");
            let seen = shown(RecordFormat::Json, Some(b"17"), Some(value));
            assert_eq!(seen, (text("17"), None, Some(parsed), text("json")));
        }
        for no_json in
            ["", "text", "{", "1 2", "\"\\ud800\"", "1e999", "[01]", &format!("{}{}", "[".repeat(101), "]".repeat(101))]
        {
            let seen = shown(RecordFormat::Json, None, Some(no_json.as_bytes()));
            assert_eq!(seen, (null(), None, text(no_json), None));
        }
        assert_eq!(shown(RecordFormat::Json, None, None), (null(), None, null(), None));
        let binary = shown(RecordFormat::Json, Some(&[255]), Some(&[255]));
        assert_eq!(binary, (text("/w=="), text("base64"), text("/w=="), text("base64")));
        let base64 = shown(RecordFormat::Base64, Some(b"a"), Some(b"17"));
        assert_eq!(base64, (text("YQ=="), text("base64"), text("MTc="), text("base64")));
        assert_eq!(shown(RecordFormat::Base64, None, None), (null(), None, null(), None));
    }

    #[test]
    fn a_text_record_looks_as_documented() {
        let headers = [("correlation_id".to_owned(), Some(b"abc-123".to_vec())), ("none".to_owned(), None)];
        assert_eq!(
            written(Some(b"order-123"), Some(b"{\"a\": \"\x01\"}"), &headers),
            json!({
                "topic": "orders", "partition": 3, "offset": 0, "timestamp": 7,
                "key": "order-123", "value": "{\"a\": \"\u{1}\"}",
                "headers": {"correlation_id": "abc-123", "none": null},
            })
        );
    }

    #[test]
    fn what_a_map_cannot_hold_is_listed() {
        let headers = [
            ("a".to_owned(), Some(b"1".to_vec())),
            ("b".to_owned(), Some(vec![255])),
            ("a".to_owned(), Some(b"2".to_vec())),
        ];
        assert_eq!(
            written(None, Some(b""), &headers),
            json!({
                "topic": "orders", "partition": 3, "offset": 0, "timestamp": 7, "key": null, "value": "",
                "headers": {"a": "2"},
                "headers_list": [
                    {"key": "a", "value": "1"},
                    {"key": "b", "value": "/w==", "encoding": "base64"},
                    {"key": "a", "value": "2"},
                ],
            })
        );
    }

    #[test]
    fn every_character_is_escaped_as_json_wants_it() {
        for text in (0..=0x0010_ffff).filter_map(char::from_u32).map(String::from) {
            let mut out = Vec::new();
            write_text(&mut out, &text);
            assert_eq!(String::from_utf8(out).expect("text"), json!(text).to_string());
        }
    }

    proptest! {
        #[test]
        fn text_is_escaped_wherever_that_is_needed(text in "([a-z]{0,70}[\"\\\\\\n\\x01é]?){0,5}") {
            let mut out = Vec::new();
            write_text(&mut out, &text);
            prop_assert_eq!(String::from_utf8(out).expect("text"), json!(text).to_string());
        }

        /// What is read can be produced again, field by field, and is then the same bytes.
        #[test]
        fn any_bytes_survive_the_round_trip(
            key in any::<Option<Vec<u8>>>(),
            value in any::<Option<Vec<u8>>>(),
            headers in proptest::collection::vec(("[a-c\"\\\\é]{0,2}", any::<Option<Vec<u8>>>()), 0..4),
        ) {
            let mut json = written(key.as_deref(), value.as_deref(), &headers);
            let record = json.as_object_mut().expect("an object");
            for given in ["topic", "partition", "offset"] {
                record.remove(given);
            }
            if record.contains_key("headers_list") {
                record.remove("headers");
            }
            let body = json!({"records": [json]}).to_string();
            let config = HttpConfig::default();
            let topic = takhin_core::TopicConfig::default();
            let rules = Rules { config: &config, partitions: 1, sticky_partition: 0, now_ms: 0, topic: &topic, key: None };
            let parsed = parse(body.as_bytes(), rules).expect("it is a good request");
            let record = records(parsed.batches[0].1.bytes()).next().expect("one record").expect("whole");
            prop_assert_eq!(record.key, key.as_deref());
            prop_assert_eq!(record.value, value.as_deref());
            let again: Vec<Header> = record
                .headers
                .map(|(name, value)| (String::from_utf8_lossy(name).into_owned(), value.map(<[u8]>::to_vec)))
                .collect();
            if again.iter().zip(&headers).all(|(a, b)| a == b) {
                prop_assert_eq!(again.len(), headers.len());
            } else {
                // A map has no order, so only headers in one can come back in another.
                let sorted = |mut headers: Vec<Header>| { headers.sort(); headers };
                prop_assert_eq!(sorted(again), sorted(headers));
            }
        }
    }
}
