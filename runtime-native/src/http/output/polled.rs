//! What a poll brought, in JSON: the records, and behind them where the consumer stands.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Serialize;
use takhin_core::{RecordFormat, TopicName, response::Consumed};

use super::{
    by_topic::{ByTopic, Partitions},
    consumers::{lag, positions},
    records::{FRAME_BYTES, write_record},
};
use crate::{
    driver::Fetched,
    http::{error::ApiError, openapi::records::Record},
};

/// What a poll's answer says after its records.
#[derive(Serialize, JsonSchema)]
pub(crate) struct AfterRecords<'a> {
    /// When this was answered.
    timestamp: i64,
    /// What to give as `after_batch` with the next poll.
    batch_id: u64,
    /// In which generation of its group the consumer's partitions last changed.
    generation: u64,
    /// What came and what goes, if anything does.
    #[serde(skip_serializing_if = "Option::is_none")]
    rebalance: Option<Rebalance<'a>>,
    /// The next offset of each partition.
    positions: ByTopic<'a, Option<u64>>,
    /// How many records come after that.
    lag: ByTopic<'a, Option<u64>>,
    /// The age of the last record of each partition in this answer; 0 where there is nothing more, null where it has none.
    lag_ms: ByTopic<'a, Option<u64>>,
}

/// What came and what goes.
#[derive(Serialize, JsonSchema)]
struct Rebalance<'a> {
    assigned: Partitions<'a>,
    revoked: Partitions<'a>,
}

/// What a poll brought: the schema of what [`consumed`] writes.
#[derive(JsonSchema)]
#[schemars(rename = "Consumed")]
pub(crate) struct ConsumedView {
    /// The records, of each partition in order.
    #[allow(dead_code)] // it is written by hand
    records: Vec<Record>,
    #[serde(flatten)]
    #[allow(dead_code)] // it is written behind the records
    after: AfterRecords<'static>,
}

/// `POST /{id}/consume`, in one buffer.
pub(crate) fn consumed(
    consumed: &Consumed,
    fetched: Option<&Fetched>,
    now_ms: i64,
    format: RecordFormat,
) -> Result<Vec<u8>, ApiError> {
    let mut out = Vec::with_capacity(consumed_bytes(consumed));
    write_consumed(&mut out, consumed, fetched, now_ms, format)?;
    Ok(out)
}

/// Writes the answer to a poll behind what stands there already.
pub(crate) fn write_consumed(
    out: &mut Vec<u8>,
    consumed: &Consumed,
    fetched: Option<&Fetched>,
    now_ms: i64,
    format: RecordFormat,
) -> Result<(), ApiError> {
    out.extend_from_slice(b"{\"records\":[");
    let mut first = true;
    let mut last_timestamps = LastTimestamps::new();
    for part in &consumed.parts {
        let Some(fetched) = fetched else {
            return Err(ApiError::bug("a poll's answer came without its records"));
        };
        let mut last_timestamp = None;
        for record in fetched.records(part.log) {
            if !first {
                out.push(b',');
            }
            first = false;
            write_record(out, &part.topic, part.log.partition, &record, format);
            last_timestamp = Some(record.timestamp_ms);
        }
        last_timestamps.extend(last_timestamp.map(|timestamp| ((&part.topic, part.log.partition), timestamp)));
    }
    out.extend_from_slice(b"],");
    append_fields(out, &AfterRecords::new(consumed, &last_timestamps, now_ms))
}

/// When the last record of each partition in an answer is of.
pub(crate) type LastTimestamps<'a> = BTreeMap<(&'a TopicName, u32), i64>;

impl<'a> AfterRecords<'a> {
    pub(crate) fn new(consumed: &'a Consumed, last_timestamps: &LastTimestamps<'_>, now_ms: i64) -> Self {
        let rebalance = consumed.rebalance.as_ref().map(|change| Rebalance {
            assigned: Partitions::new(change.assigned.iter().map(|(topic, partition)| (topic, *partition))),
            revoked: Partitions::new(change.revoked.iter().map(|(topic, partition)| (topic, *partition))),
        });
        let lag_ms = consumed.positions.iter().map(|status| {
            let last = || last_timestamps.get(&(&status.topic, status.partition)).copied();
            let behind = if status.position == Some(status.end) { Some(0) } else { last().map(|at| age(at, now_ms)) };
            (&status.topic, status.partition, behind)
        });
        Self {
            timestamp: now_ms,
            batch_id: consumed.batch.0,
            generation: consumed.generation.0,
            rebalance,
            positions: positions(&consumed.positions),
            lag: lag(&consumed.positions),
            lag_ms: ByTopic::new(lag_ms),
        }
    }
}

/// How old something is; 0 if it is of the future.
pub(crate) fn age(timestamp_ms: i64, now_ms: i64) -> u64 {
    u64::try_from(now_ms.saturating_sub(timestamp_ms)).unwrap_or_default()
}

/// Writes an object's fields and its closing brace behind fields that stand already.
fn append_fields(out: &mut Vec<u8>, fields: &impl Serialize) -> Result<(), ApiError> {
    let brace = out.len();
    serde_json::to_writer(&mut *out, fields)
        .map_err(|error| ApiError::bug(format!("an answer has no JSON: {error}")))?;
    out.remove(brace);
    Ok(())
}

/// A guess at the length of the answer to a poll: an escaped character more for each eight stored bytes, and the frames.
pub(crate) fn consumed_bytes(consumed: &Consumed) -> usize {
    const PER_POSITION: usize = 64;
    let records = consumed.parts.iter().map(|part| {
        let bytes = part.bytes as usize;
        bytes + bytes / 8 + part.records as usize * (FRAME_BYTES + part.topic.len())
    });
    256 + records.sum::<usize>() + consumed.positions.len() * PER_POSITION
}
