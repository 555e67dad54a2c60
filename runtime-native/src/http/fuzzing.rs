//! What takes records in and gives them out as JSON, given any bytes: for fuzzers, for the tests beside them, and for
//! measuring.

use takhin_core::{RecordFormat, TopicConfig, TopicName};

use super::{
    config::HttpConfig,
    input::produce::{Rules, parse},
    output::records::write_record,
};
use crate::record::{EncodedBatch, records};

/// How many partitions the topic has.
const PARTITIONS: u32 = 3;

/// The body of a produce request. It panics if what is taken can't be given out again.
pub fn produce(bytes: &[u8]) {
    let mut out = Vec::new();
    for batch in records_in(bytes).unwrap_or_default() {
        for format in [RecordFormat::Text, RecordFormat::Base64, RecordFormat::Json] {
            out.clear();
            records_out(&batch, format, &mut out);
            let all: serde_json::Value = serde_json::from_slice(&out).expect("what is given out is JSON");
            assert_eq!(all.as_array().map(Vec::len), usize::try_from(batch.records()).ok());
        }
    }
}

/// The batches that a produce request's body makes, one for each partition; [`None`] if it is refused.
#[must_use]
pub fn records_in(body: &[u8]) -> Option<Vec<EncodedBatch>> {
    let (config, topic) = (HttpConfig::default(), TopicConfig::default());
    let rules =
        Rules { config: &config, partitions: PARTITIONS, sticky_partition: 0, now_ms: 0, topic: &topic, key: None };
    let parsed = parse(body, rules).ok()?;
    Some(parsed.batches.into_iter().map(|(_, batch)| batch).collect())
}

/// Writes a batch's records, which are not compressed, as a JSON array.
///
/// # Panics
///
/// If the batch is damaged or compressed.
pub fn records_out(batch: &EncodedBatch, format: RecordFormat, out: &mut Vec<u8>) {
    let topic = TopicName::new("orders").expect("a good name");
    out.push(b'[');
    for (index, record) in records(batch.bytes()).enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_record(out, &topic, 0, &record.expect("a record that was just written"), format);
    }
    out.push(b']');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::near_misses::{changes, found_by_fuzzers, nearly};

    const BODY: &str = r#"{"records": [
        {"key": "order-1", "value": {"total": 1.50, "é": ["\u00e9", null]}, "timestamp": 5, "headers": {"a": "b", "n": null}},
        {"key": "/wA=", "key_encoding": "base64", "value": "/w==", "value_encoding": "base64", "partition": 2},
        {"headers_list": [{"key": "h", "value": "/w==", "encoding": "base64"}, {"key": "h", "value": "\"\\x"}]}
    ]}"#;

    #[test]
    fn what_fuzzers_found_is_taken_or_refused() {
        for bytes in found_by_fuzzers("produce") {
            produce(&bytes);
        }
    }

    #[test]
    fn right_records_are_taken() {
        produce(BODY.as_bytes());
        let batches = records_in(BODY.as_bytes()).expect("they are right");
        assert_eq!(batches.iter().map(EncodedBatch::records).sum::<u32>(), 3);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_bytes_are_taken_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            produce(&bytes);
        }

        #[test]
        fn records_that_are_nearly_right_are_taken_or_refused(changes in changes(), cut in 0_usize..9) {
            produce(&nearly(BODY.as_bytes().to_vec(), &changes, cut));
        }
    }
}
