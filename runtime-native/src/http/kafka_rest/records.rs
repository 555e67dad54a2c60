//! `GET .../records`: a poll, and its records in the instance's format.
//!
//! v2 can't say which answer arrived, so this is a poll without `after_batch`: it takes the answer before it as received,
//! unless the server saw it break, and then brings those records again.

use std::sync::Arc;

use axum::{
    Extension,
    extract::State,
    http::{StatusCode, Uri},
};
use serde::de::IgnoredAny;
use takhin_core::{PollLimits, Request, Response, TopicName, response::Consumed};

use super::{
    KafkaRest,
    instances::{InstanceName, Manner},
    lifecycle::MAX_TIMEOUT_MS,
    media::{Accepted, Format},
    subscription::{Holds, holds},
    with_type,
};
use crate::{
    driver::Fetched,
    http::{
        dispatch::Asked,
        error::{ApiError, ApiResult},
        guard::Caller,
        output::{
            polled::consumed_bytes,
            records::{write_base64, write_number, write_text},
        },
        routes::{App, mismatch},
    },
    record::{Headers, RecordRef},
};

/// How long a poll waits if nobody says.
const DEFAULT_TIMEOUT_MS: u32 = 1_000;
/// The most that one answer brings.
const MAX_BYTES: u32 = 64 << 20;
const MAX_RECORDS: u32 = 10_000;

pub(super) async fn records(
    State(app): State<Arc<App>>,
    Extension(rest): Extension<Arc<KafkaRest>>,
    Extension(asked): Extension<Asked>,
    Extension(accepted): Extension<Accepted>,
    caller: Caller,
    name: InstanceName,
    uri: Uri,
) -> ApiResult {
    let instance = rest.find(&app, &caller, &name).await?;
    let content_type = accepted.records(instance.manner.format)?;
    let limits = limits(instance.manner, number(&uri, "timeout")?, number(&uri, "max_bytes")?);
    let consumer = instance.consumer;
    let (answer, receipt) =
        app.poll(&caller, consumer, Request::Consume { consumer, limits, after_batch: None }).await?;
    let Response::Consumed(found) = &answer.response else {
        return Err(mismatch(&answer.response));
    };
    if found.positions.is_empty() && holds(&app.describe(consumer).await?) == Holds::Nothing {
        let message = "Illegal state: the consumer is not subscribed to any topics or assigned any partitions";
        return Err(ApiError::new(StatusCode::CONFLICT, "not_subscribed", message));
    }
    // Base64 takes a third more.
    let about_bytes = consumed_bytes(found) / 3 * 4;
    let write = || written(found, answer.records.as_ref(), instance.manner.format, about_bytes);
    Ok(with_type(app.write(about_bytes, receipt, asked.link, write).await?, content_type))
}

/// What a poll may bring and how long it may wait; less than nothing stands for the default.
fn limits(manner: Manner, timeout_ms: Option<i64>, max_bytes: Option<i64>) -> PollLimits {
    let given = |value: Option<i64>| value.filter(|value| *value >= 0);
    let at_most = manner.timeout_ms.unwrap_or(MAX_TIMEOUT_MS);
    let timeout_ms = given(timeout_ms).map(|ms| u32::try_from(ms).unwrap_or(u32::MAX));
    let max_bytes = given(max_bytes).map_or(MAX_BYTES, |bytes| u32::try_from(bytes).unwrap_or(u32::MAX));
    let max_bytes = max_bytes.clamp(1, MAX_BYTES);
    PollLimits {
        max_records: MAX_RECORDS,
        max_bytes,
        min_bytes: manner.min_bytes.min(max_bytes),
        timeout_ms: timeout_ms.or(manner.timeout_ms).unwrap_or(DEFAULT_TIMEOUT_MS).min(at_most),
    }
}

/// A number in the query. Other parameters are for others.
fn number(uri: &Uri, name: &str) -> ApiResult<Option<i64>> {
    let pairs = uri.query().unwrap_or_default().split('&').filter_map(|pair| pair.split_once('='));
    let Some((_, value)) = pairs.into_iter().find(|(key, _)| *key == name) else { return Ok(None) };
    let number = value.parse().map_err(|_| {
        ApiError::malformed("invalid_parameter", format!("query parameter {name:?} is a number, and not {value:?}"))
    });
    number.map(Some)
}

fn written(found: &Consumed, fetched: Option<&Fetched>, format: Format, about_bytes: usize) -> ApiResult<Vec<u8>> {
    let mut out = Vec::with_capacity(about_bytes);
    out.push(b'[');
    for part in &found.parts {
        let fetched = fetched.ok_or_else(|| ApiError::bug("a poll's answer came without its records"))?;
        for record in fetched.records(part.log) {
            if out.len() > 1 {
                out.push(b',');
            }
            write_record(&mut out, &part.topic, part.log.partition, &record, format)?;
        }
    }
    out.push(b']');
    Ok(out)
}

fn write_record(
    out: &mut Vec<u8>,
    topic: &TopicName,
    partition: u32,
    record: &RecordRef<'_>,
    format: Format,
) -> ApiResult<()> {
    let not_in_format = |what: &str| {
        let message = format!(
            "The {what} of the record at {topic}/{partition}, offset {}, is not {}. Nothing was passed over: seek beyond \
             it, or read it with another instance",
            record.offset.0,
            format.name()
        );
        ApiError::new(StatusCode::NOT_ACCEPTABLE, "record_not_in_format", message)
    };
    out.extend_from_slice(b"{\"topic\":");
    write_text(out, topic);
    out.extend_from_slice(b",\"key\":");
    write_bytes(out, record.key, format).ok_or_else(|| not_in_format("key"))?;
    out.extend_from_slice(b",\"value\":");
    write_bytes(out, record.value, format).ok_or_else(|| not_in_format("value"))?;
    out.extend_from_slice(b",\"partition\":");
    write_number(out, partition);
    out.extend_from_slice(b",\"offset\":");
    write_number(out, record.offset.0);
    write_headers(out, &record.headers);
    out.push(b'}');
    Ok(())
}

/// Nothing if the bytes are not of that format.
fn write_bytes(out: &mut Vec<u8>, bytes: Option<&[u8]>, format: Format) -> Option<()> {
    match (bytes, format) {
        (None, _) => out.extend_from_slice(b"null"),
        (Some(bytes), Format::Binary) => write_base64(out, bytes),
        (Some(bytes), Format::Text) => write_text(out, std::str::from_utf8(bytes).ok()?),
        (Some(bytes), Format::Json) => {
            serde_json::from_slice::<IgnoredAny>(bytes).ok().filter(|_| std::str::from_utf8(bytes).is_ok())?;
            out.extend_from_slice(bytes);
        }
    }
    Some(())
}

/// Only where there are some, as in Strimzi's bridge; a name that is not UTF-8 is told as far as it is.
fn write_headers(out: &mut Vec<u8>, headers: &Headers<'_>) {
    for (index, (name, value)) in headers.clone().enumerate() {
        out.extend_from_slice(if index == 0 { b",\"headers\":[{\"key\":" } else { b",{\"key\":" });
        write_text(out, &String::from_utf8_lossy(name));
        out.extend_from_slice(b",\"value\":");
        match value {
            Some(value) => write_base64(out, value),
            None => out.extend_from_slice(b"null"),
        }
        out.push(b'}');
    }
    if headers.clone().next().is_some() {
        out.push(b']');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_instance_bounds_how_long_a_poll_waits() {
        let wait = |instance: Option<u32>, asked| {
            let manner = Manner { format: Format::Json, min_bytes: 1, timeout_ms: instance };
            limits(manner, asked, None).timeout_ms
        };
        assert_eq!(wait(None, None), 1_000);
        assert_eq!(wait(None, Some(-1)), 1_000);
        assert_eq!(wait(None, Some(20_000)), 20_000);
        assert_eq!(wait(None, Some(i64::MAX)), 300_000);
        assert_eq!(wait(Some(3_000), None), 3_000);
        assert_eq!(wait(Some(3_000), Some(20_000)), 3_000);
        assert_eq!(wait(Some(3_000), Some(0)), 0);
    }

    #[test]
    fn limits_are_ones_that_the_broker_takes() {
        for (min_bytes, max_bytes) in [(1, None), (10_000_000, Some(0)), (10_000_000, Some(5)), (0, Some(i64::MAX))] {
            let manner = Manner { format: Format::Json, min_bytes, timeout_ms: None };
            assert_eq!(limits(manner, None, max_bytes).check(), Ok(()));
        }
    }

    #[test]
    fn bytes_are_written_in_their_format_or_not_at_all() {
        let write = |bytes: Option<&[u8]>, format| {
            let mut out = Vec::new();
            write_bytes(&mut out, bytes, format).map(|()| String::from_utf8(out).expect("JSON"))
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(write(Some(b"a\xff"), Format::Binary), some("\"Yf8=\""));
        assert_eq!(write(Some(b"{\"a\": 1.50}"), Format::Json), some("{\"a\": 1.50}"));
        assert_eq!(write(Some(b"\"a\nb\""), Format::Text), some("\"\\\"a\\nb\\\"\""));
        for format in [Format::Binary, Format::Json, Format::Text] {
            assert_eq!(write(None, format), some("null"));
        }
        for not_json in [b"hello".as_slice(), b"", b"{} {}", b"\"\xff\""] {
            assert_eq!(write(Some(not_json), Format::Json), None);
        }
        assert_eq!(write(Some(b"\xff"), Format::Text), None);
    }
}
