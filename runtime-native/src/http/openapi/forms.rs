//! The forms of records that are no JSON: lines, and stored batches.
//!
//! Their parameters are those of a whole operation in the document, which can't say that one goes with one form only: each
//! says so in words.

use schemars::JsonSchema;
use takhin_core::ProducerId;

use super::operation::{Operation, Parameter, number, text, word};
use crate::http::{
    input::conditions::{MAX_EPOCH, MAX_SEQUENCE},
    routes::{BATCH_BYTES, BATCH_LINES, COMPRESSIONS, HEARTBEAT_MS, LINE_FORMATS, LINGER_MS, MAX_SEPARATOR_BYTES},
};

/// The media type of lines.
pub(crate) const LINES: &str = "application/x-ndjson";
/// The media type of stored batches.
pub(crate) const BATCHES: &str = "application/vnd.kafka.record-batches";

/// Lines of JSON, or of whatever `value_format` says.
#[derive(JsonSchema)]
#[schemars(inline, transparent)]
#[allow(dead_code)] // only its schema is of use
pub(crate) struct Lines(String);

/// Kafka's record batches, magic 2, one behind the other.
#[derive(JsonSchema)]
#[schemars(inline, transparent)]
#[allow(dead_code)] // only its schema is of use
pub(crate) struct Batches(#[schemars(extend("format" = "binary"))] String);

/// How keys and values are to be written.
pub(crate) fn format(about: &'static str) -> Parameter {
    word("format", about, &["text", "json", "base64"])
}

/// What a read in lines can be told.
pub(crate) fn reads_lines(operation: Operation) -> Operation {
    let heartbeat = "With lines that follow: after how long without a record to say that the read lives.";
    operation
        .parameter(
            word("follow", "With lines: whether to go on with what comes.", &["true", "false"]).by_default("false"),
        )
        .parameter(number("heartbeat_ms", heartbeat, HEARTBEAT_MS).by_default(15_000))
}

/// What a request with lines or with stored batches can be told.
pub(crate) fn takes_lines_and_batches(operation: Operation) -> Operation {
    let max_producer = i64::try_from(ProducerId::MAX_CHOSEN).unwrap_or(i64::MAX);
    let separator = serde_json::json!({
        "type": "string", "minLength": 1, "maxLength": MAX_SEPARATOR_BYTES, "pattern": "^[^\\n\\r]+$",
    });
    operation
        .parameter(number(
            "partition",
            "With lines: where records go that name none. With batches: where they go; may be left out if there is but one.",
            0..=u32::MAX.into(),
        ))
        .parameter(word("value_format", "With lines: what a line is.", &LINE_FORMATS.map(|(word, _)| word)).by_default("record"))
        .parameter(text(
            "key_separator",
            "With lines of `value_format` `line` or `json`: what stands before its first occurrence in a line is the key.",
            separator,
        ))
        .parameter(number("batch_records", "With lines: how many make a batch.", BATCH_LINES).by_default(10_000))
        .parameter(number("batch_bytes", "With lines: how many bytes make a batch.", BATCH_BYTES).by_default(1 << 20))
        .parameter(number("linger_ms", "With lines: how long a batch waits for more.", LINGER_MS).by_default(100))
        .parameter(word("compression", "With lines: how records are stored, if not as the topic is set.", &COMPRESSIONS.map(|(word, _)| word)))
        .parameter(number("producer_id", "With lines: who counts the records.", 0..=max_producer))
        .parameter(number("epoch", "With lines: how often the producer began anew.", 0..=MAX_EPOCH).by_default(0))
        .parameter(number(
            "sequence",
            "With lines for one partition: the number of the first record.",
            0..=MAX_SEQUENCE,
        ))
        .parameter(
            word("ignore_producer", "With batches: whether to store them without their producer.", &["true", "false"])
                .by_default("false"),
        )
}
