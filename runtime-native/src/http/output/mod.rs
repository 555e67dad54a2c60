//! Answers out: from the core's vocabulary to JSON.

pub(super) mod by_topic;
pub(super) mod consumers;
mod embedded_json;
pub(super) mod events;
pub(super) mod groups;
pub(super) mod health;
pub(super) mod keys;
pub(super) mod polled;
pub(super) mod records;
pub(super) mod topics;

use std::time::{SystemTime, UNIX_EPOCH};

use axum::{
    http::{HeaderValue, header},
    response::IntoResponse,
};
use serde::Serialize;

use super::error::{ApiError, ApiResult};

/// 200 with a JSON body.
pub(super) fn json<T: Serialize>(value: &T) -> ApiResult {
    let mut bytes = Vec::with_capacity(MOST_ANSWERS_BYTES);
    serde_json::to_writer(&mut bytes, value)
        .map_err(|error| ApiError::bug(format!("an answer has no JSON: {error}")))?;
    Ok(([(header::CONTENT_TYPE, JSON)], bytes).into_response())
}

/// What most answers without records fit in.
const MOST_ANSWERS_BYTES: usize = 256;

/// The content type of all answers.
pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Now, in milliseconds since 1970.
pub(super) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
