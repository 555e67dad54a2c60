//! Records in and out of a topic, without a consumer.

use serde_json::json;
use takhin_core::{PollLimits, TopicName};

use crate::http::{
    input::conditions::MAX_KEY_BYTES,
    openapi::{
        codes,
        forms::{BATCHES, Batches, LINES, Lines, format, reads_lines, takes_lines_and_batches},
        operation::{Answer, Operation, header, number},
        records::{Produce, Record},
        schema::poll_limits,
    },
    output::topics::{PartitionOffsets, Produced},
};

const TAG: &str = "Topics";

pub(crate) fn produce() -> Operation {
    let key = json!({"type": "string", "minLength": 1, "maxLength": MAX_KEY_BYTES});
    let key = header(
        "Idempotency-Key",
        "Makes the request safe to repeat: the same key with the same body is appended once.",
        key,
    );
    let produced = Answer::json::<Produced>(200, "Where each record is, all durable.")
        .example("One record", json!({"offsets": [{"partition": 0, "offset": 0, "timestamp": 1_704_537_600_000_i64}]}))
        .or::<Lines>(LINES);
    let operation = Operation::new("produce", TAG, "Append records")
        .about(
            "Answered when all records are durable. If one is wrong, none is written, and the error names it, as in \
             `records[3].partition`. With a sequence or an expected offset all records go to one partition. Where the \
             topic is missing it is created, if the server is set to do so. As `application/x-ndjson` records come one a \
             line, for as long as they come, and as `application/vnd.kafka.record-batches` in Kafka's batches: query \
             parameters are for these, JSON says all in its body.",
        )
        .of_topic()
        .parameter(key)
        .body::<Produce>(&[
            ("A record", json!({"records": [{"key": "order-1", "value": {"amount": 9.5}}]})),
            (
                "All of a record",
                json!({"records": [{
                    "key": "order-1", "value": "AAECAw==", "value_encoding": "base64", "headers": {"trace": "abc"},
                    "partition": 0, "timestamp": 1_704_537_600_000_i64,
                }]}),
            ),
            (
                "An idempotent producer",
                json!({
                    "producer_id": 7, "sequence": 0, "records": [{"partition": 0, "value": "once"}],
                }),
            ),
        ])
        .with_body::<Lines>(true, LINES, &[])
        .with_body::<Batches>(true, BATCHES, &[])
        .answer(produced)
        .errors(codes::QUERY)
        .errors(codes::WRITES)
        .errors(&[
            (400, "missing_field"),
            (400, "conflicting_fields"),
            (404, "partition_not_found"),
            (409, "sequence_gap"),
            (409, "producer_fenced"),
            (412, "offset_mismatch"),
            (413, "too_many_records"),
            (413, "record_too_large"),
            (413, "batch_too_large"),
            (413, "line_too_long"),
            (422, "empty"),
            (422, "out_of_range"),
            (422, "invalid_value"),
            (422, "invalid_base64"),
            (422, "key_needed"),
            (422, "partition_needed"),
            (422, "several_partitions"),
            (422, "damaged_batch"),
            (422, "invalid_batch"),
            (422, "invalid_idempotency_key"),
            (422, "idempotency_key_reused"),
            (422, "records_refused"),
            (429, "too_many"),
            (400, "missing_parameter"),
            (503, "partly_produced"),
        ]);
    takes_lines_and_batches(operation)
}

pub(crate) fn read() -> Operation {
    let default = PollLimits::default();
    let [max_records, max_bytes, _, timeout_ms] = poll_limits();
    let offset = json!({"type": "integer", "format": "int64", "minimum": 0});
    let records = Answer::json::<Vec<Record>>(200, "The records.")
        .or::<Lines>(LINES)
        .or::<Batches>(BATCHES)
        .header_at_times("X-Next-Offset", "The offset to go on from. Lines say it in the last one.", &offset)
        .header_at_times("X-From-Offset", "With batches: the offset of the first record that was asked for.", &offset)
        .header_at_times("X-Log-Start-Offset", "With batches: where the log starts.", &offset)
        .header_at_times("X-Log-End-Offset", "With batches: where the log ends.", &offset);
    let operation = Operation::new("readMessages", TAG, "Read a partition without a consumer")
        .about(
            "At most `max_bytes` of records, but one record always. With `Accept: application/x-ndjson` one record a line, \
             as many as there are, and with `follow=true` those that come; with \
             `Accept: application/vnd.kafka.record-batches` Kafka's batches as they are stored.",
        )
        .of_topic()
        .parameter(number("partition", "The partition. May be left out if there is but one.", 0..=u32::MAX.into()))
        .parameter(number(
            "offset",
            "Where to begin. Else at the log's start. Not beside `timestamp_ms`.",
            0..=i64::MAX,
        ))
        .parameter(number("timestamp_ms", "Begin at the first record that is not older.", i64::MIN..=i64::MAX))
        .parameter(number("limit", "How many records at most.", max_records).by_default(default.max_records))
        .parameter(number("max_bytes", "How many bytes of records at most.", max_bytes).by_default(default.max_bytes))
        .parameter(number("wait_ms", "How long to wait at the log's end.", timeout_ms).by_default(0))
        .parameter(format("How keys and values are written.").by_default("text"))
        .answer(records)
        .errors(codes::QUERY)
        .errors(&[
            (400, "missing_parameter"),
            (400, "conflicting_parameters"),
            (404, "partition_not_found"),
            (409, "data_corrupt"),
            (410, "offset_trimmed"),
            (422, "out_of_range"),
            (422, "offset_out_of_range"),
            (422, "invalid_value"),
            (503, "storage_unavailable"),
            (503, "overloaded"),
            (503, "too_many"),
        ]);
    reads_lines(operation)
}

pub(crate) fn offsets() -> Operation {
    Operation::new("partitionOffsets", TAG, "Where a partition's log starts and ends")
        .path::<TopicName>("topic", "The topic's name.", "orders")
        .path::<PartitionNumber>("partition", "The partition.", "0")
        .parameter(number("timestamp_ms", "Find the first record that is not older, too.", i64::MIN..=i64::MAX))
        .answer(Answer::json::<PartitionOffsets>(200, "Where it starts and ends."))
        .errors(codes::QUERY)
        .errors(&[
            (400, "invalid_partition"),
            (404, "topic_not_found"),
            (404, "partition_not_found"),
            (422, "invalid_name"),
            (503, "storage_unavailable"),
        ])
}

/// A partition in a path.
#[derive(schemars::JsonSchema)]
#[schemars(inline, transparent)]
#[allow(dead_code)] // only its schema is of use
struct PartitionNumber(#[schemars(range(max = 4_294_967_295_u32))] u32);
