//! What a consumer reads, and how far it is.

use serde_json::json;
use takhin_core::PollLimits;

use crate::http::{
    input::{
        consumers::{Commit, Consume},
        seek::Seek,
    },
    openapi::{
        codes,
        forms::{BATCHES, Batches, LINES, Lines, format},
        operation::{Answer, Operation, header, number},
        schema::poll_limits,
    },
    output::{
        consumers::{CommitDone, Offsets, Sought},
        polled::ConsumedView,
    },
    routes::{DEFAULT_HEARTBEAT_MS, HEARTBEAT_MS},
};

const TAG: &str = "Consumers";

/// The id of an event.
const POSITIONS: &str =
    "^(?:[A-Za-z0-9._-]{1,249}/[0-9]{1,9}:[0-9]{1,18}(?:,[A-Za-z0-9._-]{1,249}/[0-9]{1,9}:[0-9]{1,18})*)?$";

pub(crate) fn consume() -> Operation {
    let found = Answer::json::<ConsumedView>(200, "Records, or none where the time was over.").example(
        "One record",
        json!({
            "records": [{
                "topic": "orders", "partition": 0, "offset": 0, "timestamp": 1_704_537_600_000_i64, "key": "order-1",
                "value": "{\"amount\": 9.5}", "headers": {},
            }],
            "timestamp": 1_704_537_600_500_i64, "batch_id": 1, "generation": 1, "positions": {"orders": {"0": 1}},
            "lag": {"orders": {"0": 0}}, "lag_ms": {"orders": {"0": 0}},
        }),
    );
    let found = found.or::<Lines>(LINES).or::<Batches>(BATCHES);
    Operation::new("consume", TAG, "Poll for records")
        .about(
            "Waits until there is something, for `timeout_ms` at most. A response that got lost loses nothing: name the \
             last `batch_id` that you have in `after_batch`, and you get exactly what you missed. `Accept` asks for lines, or \
             for batches as they are stored.",
        )
        .of_consumer()
        .optional_body::<Consume>(&[
            ("Without waiting", json!({"timeout_ms": 0})),
            ("After the first batch", json!({"after_batch": 1, "max_records": 100, "timeout_ms": 100})),
        ])
        .answer(found)
        .errors(codes::QUERY)
        .errors(&[
            (409, "poll_superseded"),
            (409, "no_committed_offset"),
            (409, "batch_unknown"),
            (409, "data_corrupt"),
            (410, "consumer_expired"),
            (410, "consumer_fenced"),
            (410, "offset_trimmed"),
            (422, "out_of_range"),
            (422, "invalid_value"),
            (503, "storage_unavailable"),
            (503, "too_many"),
        ])
}

pub(crate) fn stream() -> Operation {
    let default = PollLimits::default();
    let [max_records, max_bytes, min_bytes, _] = poll_limits();
    let last_event_id = header(
        "Last-Event-ID",
        "The id of the last event that you have: goes on exactly there. An `EventSource` sends it by itself.",
        json!({"type": "string", "pattern": POSITIONS}),
    );
    let events = Answer::of::<String>(200, "text/event-stream", "Events, without end.").header(
        "Cache-Control",
        "Always `no-store`.",
        &json!({"const": "no-store"}),
    );
    Operation::new("stream", TAG, "Poll without end, as server-sent events")
        .about(
            "`curl -N` or a browser's `EventSource` read it. An event without a name is what `consume` answers, and its id \
             names the next offset of each partition. `rebalance` says what came and what goes. `error` is the last event: \
             an `Error`. A comment comes when there was nothing for `heartbeat_ms`.",
        )
        .of_consumer()
        .parameter(number("max_records", "How many records an event has at most.", max_records).by_default(default.max_records))
        .parameter(number("max_bytes_total", "How many bytes of records at most.", max_bytes).by_default(default.max_bytes))
        .parameter(number("min_bytes", "How many bytes are worth an event.", min_bytes).by_default(default.min_bytes))
        .parameter(
            number("heartbeat_ms", "After how long to say that there is nothing.", HEARTBEAT_MS)
                .by_default(DEFAULT_HEARTBEAT_MS),
        )
        .parameter(format("How keys and values are written, instead of as the consumer's `format` says."))
        .parameter(last_event_id)
        .answer(events)
        .errors(codes::QUERY)
        .errors(&[
            (400, "invalid_last_event_id"),
            (409, "partition_not_assigned"),
            (422, "out_of_range"),
            (422, "offset_out_of_range"),
            (422, "invalid_value"),
            (503, "storage_unavailable"),
        ])
}

pub(crate) fn commit() -> Operation {
    Operation::new("commit", TAG, "Commit offsets")
        .of_consumer()
        .optional_body::<Commit>(&[
            ("All that was delivered", json!({})),
            ("An offset", json!({"offsets": {"orders": {"0": 1}}, "metadata": {"orders": {"0": "invoice 17"}}})),
        ])
        .answer(Answer::json::<CommitDone>(200, "What the group has committed now, durably."))
        .errors(codes::QUERY)
        .errors(codes::WRITES)
        .errors(codes::ASSIGNED)
        .errors(&[
            (409, "stale_generation"),
            (409, "generation_unknown"),
            (422, "invalid_partition"),
            (422, "out_of_range"),
            (422, "offset_out_of_range"),
            (422, "metadata_without_offset"),
        ])
}

pub(crate) fn seek() -> Operation {
    Operation::new("seek", TAG, "Go on somewhere else")
        .about("All partitions move or none.")
        .of_consumer()
        .body::<Seek>(&[
            ("One partition to an offset", json!({"topic": "orders", "partition": 0, "offset": 0})),
            ("All to the end", json!({"to": "end"})),
            ("Some to a time", json!({"timestamp_ms": 1_704_537_600_000_i64, "partitions": {"orders": [0]}})),
        ])
        .answer(Answer::json::<Sought>(200, "Where the consumer is now."))
        .errors(codes::QUERY)
        .errors(codes::WRITES)
        .errors(codes::ASSIGNED)
        .errors(&[
            (400, "missing_field"),
            (400, "conflicting_fields"),
            (409, "no_committed_offset"),
            (422, "empty"),
            (422, "invalid_value"),
            (422, "invalid_partition"),
            (422, "out_of_range"),
            (422, "offset_out_of_range"),
        ])
}

pub(crate) fn position() -> Operation {
    Operation::new("position", TAG, "Where a consumer is")
        .of_consumer()
        .answer(Answer::json::<Offsets>(200, "The next offset of each partition."))
        .errors(codes::QUERY)
}

pub(crate) fn committed() -> Operation {
    Operation::new("committed", TAG, "What a consumer's group has committed")
        .of_consumer()
        .answer(Answer::json::<Offsets>(200, "The committed offset of each of the consumer's partitions."))
        .errors(codes::QUERY)
}
