//! What a request with lines says beside them: in its query, and in its headers.

use std::{ops::RangeInclusive, time::Duration};

use axum::http::{HeaderMap, Uri};
use takhin_core::{Compression, ProducerStamp};

use crate::http::{
    error::ApiError,
    input::{
        conditions::{IdempotencyKey, Wishes},
        lines::BatchLimits,
        produce_lines::{LineFormat, LineRules},
        query::Query,
    },
};

pub(in crate::http) const COMPRESSIONS: [(&str, Compression); 5] = [
    ("none", Compression::None),
    ("gzip", Compression::Gzip),
    ("snappy", Compression::Snappy),
    ("lz4", Compression::Lz4),
    ("zstd", Compression::Zstd),
];
pub(in crate::http) const LINE_FORMATS: [(&str, LineFormat); 3] =
    [("record", LineFormat::Record), ("line", LineFormat::Text), ("json", LineFormat::Json)];
/// The longest that may stand between key and value.
pub(in crate::http) const MAX_SEPARATOR_BYTES: usize = 16;
/// How many lines make a batch, how many bytes, and how long it waits for more.
pub(in crate::http) const BATCH_LINES: RangeInclusive<i64> = 1..=100_000;
pub(in crate::http) const BATCH_BYTES: RangeInclusive<i64> = 1..=16 << 20;
pub(in crate::http) const LINGER_MS: RangeInclusive<i64> = 0..=60_000;

/// What a request for an upload says beside its lines.
pub(super) struct Wanted {
    pub(super) limits: BatchLimits,
    pub(super) lines: LineRules,
    /// Who counts its records.
    pub(super) producer: Option<ProducerStamp>,
    /// Whether the count does not begin at 0.
    pub(super) goes_on: bool,
}

/// Reads the query and the headers.
pub(super) fn wanted(uri: &Uri, headers: &HeaderMap) -> Result<Wanted, ApiError> {
    let numbers = ["partition", "batch_records", "batch_bytes", "linger_ms", "producer_id", "epoch", "sequence"];
    let query = Query::parse_with(uri, &numbers, &["value_format", "key_separator", "compression"])?;
    let in_range = |name: &'static str, default: i64, bounds: RangeInclusive<i64>| {
        let value = query.get(name).unwrap_or(default);
        let number = usize::try_from(value).ok().filter(|_| bounds.contains(&value));
        number.ok_or_else(|| ApiError::out_of_range(name, value, *bounds.start(), *bounds.end()))
    };
    let limits = BatchLimits {
        lines: in_range("batch_records", 10_000, BATCH_LINES)?,
        bytes: in_range("batch_bytes", 1 << 20, BATCH_BYTES)?,
        linger: Duration::from_millis(in_range("linger_ms", 100, LINGER_MS)? as u64),
    };
    let format = query.one_of("value_format", &LINE_FORMATS)?.unwrap_or(LineFormat::Record);
    let key_separator = query.text("key_separator").map(ToOwned::to_owned);
    if let Some(separator) = &key_separator {
        let wrong =
            |message: String| ApiError::malformed("invalid_parameter", message).with("parameter", "key_separator");
        if format == LineFormat::Record {
            return Err(wrong("key_separator goes with value_format=line or value_format=json".to_owned()));
        }
        if separator.is_empty() || separator.len() > MAX_SEPARATOR_BYTES || separator.contains(['\n', '\r']) {
            return Err(wrong(format!("key_separator has 1 to {MAX_SEPARATOR_BYTES} bytes, and no line break")));
        }
    }
    let compression = query.one_of("compression", &COMPRESSIONS)?;
    let sequence = query.get("sequence");
    let wishes = Wishes {
        producer_id: query.get("producer_id"),
        epoch: query.get("epoch"),
        sequence: sequence.or(query.get("producer_id").map(|_| 0)),
        ..Wishes::default()
    };
    let key = IdempotencyKey::of(headers, b"")?;
    let stamp = wishes.check(key)?.producer;
    let counting = |key: IdempotencyKey| ProducerStamp { producer: key.counting_producer(), epoch: 0, sequence: 0 };
    let producer = key.map(counting).or(stamp);
    let lines = LineRules { format, key_separator, partition: query.get("partition"), compression };
    Ok(Wanted { limits, lines, producer, goes_on: sequence.is_some_and(|sequence| sequence > 0) })
}
