use serde_json::{Value, json};

use super::*;
use crate::record::records;

const NOW: i64 = 1_704_537_600_000;

/// partition, timestamp, key, value, headers
type Seen = (u32, i64, Option<Vec<u8>>, Option<Vec<u8>>, Vec<(String, Option<Vec<u8>>)>);

fn parse_with(body: &str, config: &HttpConfig) -> Result<ParsedRecords, ApiError> {
    parse_for(body, config, &TopicConfig::default())
}

fn parse_for(body: &str, config: &HttpConfig, topic: &TopicConfig) -> Result<ParsedRecords, ApiError> {
    let rules = Rules { config, partitions: 3, sticky_partition: 2, now_ms: NOW, topic, key: None };
    parse(body.as_bytes(), rules)
}

/// The records in the request's order.
fn seen(body: &str) -> Vec<Seen> {
    let parsed = parse_with(body, &HttpConfig::default()).expect("the body is good");
    let owned = |bytes: &[u8]| bytes.to_vec();
    let read = |place: &Place| {
        let (partition, batch) = &parsed.batches[place.batch as usize];
        let record = records(batch.bytes()).nth(place.index as usize).expect("it is there").expect("it is whole");
        assert_eq!(record.timestamp_ms, place.timestamp_ms);
        let header = |(name, value): (&[u8], Option<&[u8]>)| {
            (String::from_utf8(name.to_vec()).expect("UTF-8"), value.map(owned))
        };
        (
            *partition,
            record.timestamp_ms,
            record.key.map(owned),
            record.value.map(owned),
            record.headers.map(header).collect(),
        )
    };
    parsed.places.iter().map(read).collect()
}

fn fault_with(body: &str, config: &HttpConfig) -> (u16, &'static str, Value) {
    let error = parse_with(body, config).expect_err("the body is wrong");
    (error.status().as_u16(), error.code(), error.details().get("field").cloned().unwrap_or_default())
}

fn fault(body: &str) -> (u16, &'static str, Value) {
    fault_with(body, &HttpConfig::default())
}

#[allow(clippy::unnecessary_wraps)] // a key or a value may be missing
fn bytes(text: &str) -> Option<Vec<u8>> {
    Some(text.as_bytes().to_vec())
}

#[test]
fn records_keep_their_order_and_their_bytes() {
    let body = r#"{"records": [
        {"key": "order-123", "value": "{\"order_id\": \"123\"}", "partition": 0, "timestamp": 5,
         "headers": {"correlation_id": "abc-123", "empty": "", "none": null}},
        {"key": "a\tb", "value": "plain", "partition": 1},
        {"key": "", "value": "", "partition": 0}
    ]}"#;
    assert_eq!(
        seen(body),
        [
            (
                0,
                5,
                bytes("order-123"),
                bytes(r#"{"order_id": "123"}"#),
                vec![("correlation_id".into(), bytes("abc-123")), ("empty".into(), bytes("")), ("none".into(), None)]
            ),
            (1, NOW, bytes("a\tb"), bytes("plain"), vec![]),
            (0, NOW, bytes(""), bytes(""), vec![]),
        ]
    );
}

#[test]
fn a_value_is_any_json_and_null_is_a_tombstone() {
    let value = |json: &str| seen(&format!(r#"{{"records": [{{"key": "k", "value": {json}}}]}}"#))[0].3.clone();
    assert_eq!(value(r#""text""#), bytes("text"));
    assert_eq!(value("null"), None);
    assert_eq!(value(r#"{"b": 1,  "a": [1.50, "\u00e9"]}"#), bytes(r#"{"b": 1,  "a": [1.50, "\u00e9"]}"#));
    assert_eq!(value("12345678901234567890.10"), bytes("12345678901234567890.10"));
    assert_eq!(value("true"), bytes("true"));
    assert_eq!(seen(r#"{"records": [{"key": "k"}]}"#)[0].3, None);
}

#[test]
fn bytes_that_are_no_text_come_as_base64() {
    let body = r#"{"records": [{"key": "/wA=", "key_encoding": "base64", "value": "/w\u003d\u003d",
        "value_encoding": "base64",
        "headers_list": [{"key": "h", "value": "/w==", "encoding": "base64"}, {"key": "h", "value": "x"}]}]}"#;
    let (_, _, key, value, headers) = seen(body).remove(0);
    assert_eq!((key, value), (Some(vec![255, 0]), Some(vec![255])));
    assert_eq!(headers, [("h".into(), Some(vec![255])), ("h".into(), bytes("x"))]);
}

#[test]
fn a_record_goes_to_its_partition_or_by_its_key_or_with_the_others() {
    let body = r#"{"records": [{"value": "a"}, {"key": "21", "value": "b"}, {"key": "21", "partition": 0}, {"value": "c"},
        {"key": null, "partition": null}]}"#;
    let by_key = partition_for_key(b"21", 3);
    let partitions: Vec<_> = seen(body).into_iter().map(|record| record.0).collect();
    assert_eq!(partitions, [2, by_key, 0, 2, 2]);
}

#[test]
fn a_wrong_field_is_named_by_its_path() {
    let with = |record: &str| fault(&format!(r#"{{"records": [{{}}, {{}}, {{}}, {record}]}}"#));
    let expect = |status, code, field: &str| (status, code, json!(field));
    assert_eq!(with(r#"{"partition": "0"}"#), expect(400, "invalid_field", "records[3].partition"));
    assert_eq!(with(r#"{"partition": 3}"#), expect(404, "partition_not_found", "records[3].partition"));
    assert_eq!(with(r#"{"partition": -1}"#), expect(422, "out_of_range", "records[3].partition"));
    assert_eq!(with(r#"{"timestamp": -1}"#), expect(422, "out_of_range", "records[3].timestamp"));
    assert_eq!(with(r#"{"timestamp": 1.5}"#), expect(400, "invalid_field", "records[3].timestamp"));
    assert_eq!(with(r#"{"key": 5}"#), expect(400, "invalid_field", "records[3].key"));
    assert_eq!(with(r#"{"vlaue": 5}"#), expect(400, "unknown_field", "records[3].vlaue"));
    assert_eq!(with(r#"{"headers": {"h": 5}}"#), expect(400, "invalid_field", "records[3].headers.h"));
    assert_eq!(with(r#"{"headers": []}"#), expect(400, "invalid_field", "records[3].headers"));
    assert_eq!(with(r#"{"value": "\ud800"}"#), expect(400, "invalid_field", "records[3].value"));
    assert_eq!(
        with(r#"{"value": "?", "value_encoding": "base64"}"#),
        expect(422, "invalid_base64", "records[3].value")
    );
    assert_eq!(with(r#"{"value": 5, "value_encoding": "base64"}"#), expect(400, "invalid_field", "records[3].value"));
    assert_eq!(with(r#"{"key_encoding": "hex"}"#), expect(422, "invalid_value", "records[3].key_encoding"));
    assert_eq!(with(r#"{"key_encoding": 1}"#), expect(400, "invalid_field", "records[3].key_encoding"));
    assert_eq!(with(r#"{"value_encoding": null}"#), expect(400, "invalid_field", "records[3].value_encoding"));
    assert_eq!(with(r#"{"value_encoding": {"text": 1}}"#), expect(400, "invalid_field", "records[3].value_encoding"));
    assert_eq!(with("[]"), expect(400, "invalid_field", "records[3]"));
    assert_eq!(
        with(r#"{"headers": {}, "headers_list": []}"#),
        expect(400, "conflicting_fields", "records[3].headers_list")
    );
    assert_eq!(with("{]").1, "malformed_json");
}

#[test]
fn a_wrong_header_is_named_by_its_path() {
    let with = |list: &str| fault(&format!(r#"{{"records": [{{}}, {{"headers_list": [{{"key": "a"}}, {list}]}}]}}"#));
    let expect = |status, code, field: &str| (status, code, json!(format!("records[1].headers_list[1]{field}")));
    assert_eq!(with(r#"{"key": "h", "value": "?", "encoding": "base64"}"#), expect(422, "invalid_base64", ".value"));
    assert_eq!(with(r#"{"key": "h", "encoding": "hex"}"#), expect(422, "invalid_value", ".encoding"));
    assert_eq!(with(r#"{"key": "h", "encoding": 64}"#), expect(400, "invalid_field", ".encoding"));
    assert_eq!(with(r#"{"key": 1}"#), expect(400, "invalid_field", ".key"));
    assert_eq!(with(r#"{"value": ""}"#), expect(400, "missing_field", ".key"));
    assert_eq!(with("[]"), expect(400, "invalid_field", ""));
}

#[test]
fn a_key_given_twice_is_named() {
    let twice = |body: &str, field: &str| assert_eq!(fault(body), (400, "invalid_field", json!(field)), "{body}");
    twice(r#"{"records": [{}], "records": [{}]}"#, "records");
    twice(r#"{"records": [{}, {"key": "a", "key": "b"}]}"#, "records[1].key");
    twice(r#"{"records": [{"headers": {"h": "1", "h": "2"}}]}"#, "records[0].headers.h");
    twice(r#"{"records": [{"headers": {"a`b": "1", "a`b": "2"}}]}"#, "records[0].headers.a`b");
    twice(r#"{"records": [{"headers_list": [{"key": "h", "key": "h"}]}]}"#, "records[0].headers_list[0].key");
}

#[test]
fn a_wrong_body_is_named() {
    assert_eq!(fault("{}"), (400, "missing_field", json!("records")));
    assert_eq!(fault(r#"{"records": []}"#), (422, "empty", json!("records")));
    assert_eq!(fault(r#"{"records": {}}"#), (400, "invalid_field", json!("records")));
    assert_eq!(fault(r#"{"record": []}"#), (400, "unknown_field", json!("record")));
    assert_eq!(fault(r#"{"records": [{}]} x"#).1, "malformed_json");
    assert_eq!(fault("[]").1, "not_an_object");
    let deep = format!(r#"{{"records": [{{"value": {}}}]}}"#, "[".repeat(1_000));
    assert_eq!(fault(&deep).1, "malformed_json");
}

#[test]
fn bounds_are_told() {
    let config = HttpConfig { max_records_per_request: 2, max_headers_per_record: 1, ..HttpConfig::default() };
    assert_eq!(fault_with(r#"{"records": [{}, {}, {}]}"#, &config), (413, "too_many_records", json!("records")));
    let topic = TopicConfig { max_message_bytes: 8, ..TopicConfig::default() };
    let error = parse_for(r#"{"records": [{}, {"key": "1234", "value": "12345"}]}"#, &config, &topic);
    let error = error.expect_err("nine bytes");
    assert_eq!((error.status().as_u16(), error.code()), (413, "record_too_large"));
    assert_eq!(json!(error.details()), json!({"field": "records[1]", "bytes": 9, "max_bytes": 8}));
    for (field, headers) in
        [("headers", r#"{"a": "", "b": "", "c": ""}"#), ("headers_list", r#"[{"key": "a"}, {}, 5]"#)]
    {
        let body = format!(r#"{{"records": [{{}}, {{"{field}": {headers}}}]}}"#);
        let error = parse_with(&body, &config).expect_err("too many headers");
        let details = json!({"field": format!("records[1].{field}"), "value": 3, "min": 0, "max": 1});
        assert_eq!((error.status().as_u16(), error.code()), (422, "out_of_range"));
        assert_eq!(Value::from(error.details().clone()), details);
    }
}

#[test]
fn a_topic_that_keeps_the_latest_of_each_key_needs_keys() {
    let topic = TopicConfig { cleanup: takhin_core::Cleanup::Compact, ..TopicConfig::default() };
    let body = r#"{"records": [{"key": "a"}, {"value": "b"}]}"#;
    let error = parse_for(body, &HttpConfig::default(), &topic).expect_err("no key");
    assert_eq!((error.status().as_u16(), error.code()), (422, "key_needed"));
    assert_eq!(error.details()["field"], "records[1].key");
}

#[test]
fn a_stamp_is_that_of_one_partition_and_stands_in_the_batch() {
    let body = r#"{"records": [{"partition": 1}, {"partition": 1}], "producer_id": 7, "epoch": 2, "sequence": 40}"#;
    let parsed = parse_with(body, &HttpConfig::default()).expect("good");
    let header = crate::record::BatchHeader::read(parsed.batches[0].1.bytes()).expect("a batch");
    assert_eq!((header.producer_id, header.producer_epoch, header.base_sequence), (7, 2, 40));
    assert_eq!(header.producer(), parsed.batches[0].1.producer());
    let wrong = |more: &str, records: &str| fault(&format!(r#"{{"records": {records}, {more}}}"#));
    let one = r#"[{"partition": 0}]"#;
    let stamp = r#""producer_id": 7, "sequence": 0"#;
    assert_eq!(wrong(stamp, r#"[{"partition": 0}, {"partition": 1}]"#), (422, "several_partitions", json!("records")));
    assert_eq!(wrong(stamp, r#"[{"key": "a"}, {}]"#), (422, "partition_needed", json!("records[1].partition")));
    assert_eq!(wrong(r#""expected_offset": 0"#, "[{}]"), (422, "partition_needed", json!("records[0].partition")));
    assert_eq!(wrong(r#""producer_id": 7"#, one), (400, "missing_field", json!("sequence")));
    assert_eq!(wrong(r#""sequence": 7"#, one), (400, "missing_field", json!("producer_id")));
    assert_eq!(wrong(r#""producer_id": -1, "sequence": 0"#, one), (422, "out_of_range", json!("producer_id")));
    assert_eq!(wrong(r#""producer_id": 1, "sequence": -1"#, one), (422, "out_of_range", json!("sequence")));
    let epoch = r#""producer_id": 1, "sequence": 0, "epoch": 32768"#;
    assert_eq!(wrong(epoch, one), (422, "out_of_range", json!("epoch")));
    assert_eq!(wrong(r#""expected_offset": -1"#, one), (422, "out_of_range", json!("expected_offset")));
    assert_eq!(wrong(r#""sequence": 0, "sequence": 0"#, one).1, "invalid_field");
}

#[test]
fn a_compression_is_a_word() {
    assert_eq!(
        fault(r#"{"compression": {"none": null}, "records": [{}]}"#),
        (400, "invalid_field", json!("compression"))
    );
    assert_eq!(fault(r#"{"compression": 1, "records": [{}]}"#), (400, "invalid_field", json!("compression")));
    assert_eq!(fault(r#"{"compression": "rar", "records": [{}]}"#), (422, "invalid_value", json!("compression")));
}
