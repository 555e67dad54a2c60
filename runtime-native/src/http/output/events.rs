//! Server-sent events.
//!
//! ```text
//! id: orders/0:2
//! data: {"records": [...], "timestamp": ..., "batch_id": 1, ...}
//!
//! event: rebalance
//! data: {"generation": 2, "assigned": {}, "revoked": {"orders": [1]}}
//!
//! : heartbeat
//! ```

use serde::Serialize;
use takhin_core::{RecordFormat, response::Consumed};

use super::{
    by_topic::Partitions,
    polled::{consumed_bytes, write_consumed},
};
use crate::{
    driver::Fetched,
    http::{error::ApiError, resume::token},
};

/// How long a client is to wait before it comes back.
pub(crate) const RETRY: &[u8] = b"retry: 1000\n\n";

/// Something to send while there is nothing to say, so that all between here and there see that the stream lives.
pub(crate) const HEARTBEAT: &[u8] = b": heartbeat\n\n";

#[derive(Serialize)]
struct Rebalance<'a> {
    generation: u64,
    assigned: Partitions<'a>,
    revoked: Partitions<'a>,
}

/// The events of one answer to a poll: a change of the assignment, then the records.
pub(crate) fn events(
    consumed: &Consumed,
    fetched: Option<&Fetched>,
    now_ms: i64,
    format: RecordFormat,
) -> Result<Vec<u8>, ApiError> {
    let mut out = Vec::new();
    if let Some(change) = &consumed.rebalance {
        let rebalance = Rebalance {
            generation: consumed.generation.0,
            assigned: Partitions::new(change.assigned.iter().map(|(topic, partition)| (topic, *partition))),
            revoked: Partitions::new(change.revoked.iter().map(|(topic, partition)| (topic, *partition))),
        };
        out.extend_from_slice(b"event: rebalance\ndata: ");
        serde_json::to_writer(&mut out, &rebalance).map_err(|error| ApiError::bug(error.to_string()))?;
        out.extend_from_slice(b"\n\n");
    }
    if !consumed.parts.is_empty() {
        out.reserve(consumed_bytes(consumed));
        out.extend_from_slice(b"id: ");
        out.extend_from_slice(token(&consumed.positions).as_bytes());
        out.extend_from_slice(b"\ndata: ");
        write_consumed(&mut out, consumed, fetched, now_ms, format)?;
        out.extend_from_slice(b"\n\n");
    }
    Ok(out)
}

/// The last event of a stream that can't go on.
pub(crate) fn error(error: &ApiError, request_id: &str) -> Vec<u8> {
    [b"event: error\ndata: ".as_slice(), &error.body(request_id), b"\n\n"].concat()
}
