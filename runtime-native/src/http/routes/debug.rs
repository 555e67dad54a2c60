//! `/api/debug`: what is of use when something has gone wrong.

use std::{ops::RangeInclusive, sync::Arc};

use axum::{
    Extension,
    body::Body,
    extract::State,
    http::{HeaderValue, Uri, header},
    response::IntoResponse,
};

use super::App;
use crate::http::{
    delivery::{Receipt, TrackedBody},
    dispatch::Asked,
    error::{ApiError, ApiResult},
    input::query::Query,
};

const JSON_LINES: HeaderValue = HeaderValue::from_static("application/jsonl");
/// How many steps are given to who doesn't say.
pub(in crate::http) const DEFAULT_STEPS: i64 = 1_000;
/// How many steps may be asked for.
pub(in crate::http) const STEPS: RangeInclusive<i64> = 1..=1_000_000;

/// What a step takes as JSON, about.
const STEP_BYTES: usize = 1 << 10;

/// The last steps of the broker's state machine as a trace, which begins with the whole state before them.
pub(super) async fn trace(State(app): State<Arc<App>>, Extension(asked): Extension<Asked>, uri: Uri) -> ApiResult {
    let wanted = Query::parse(&uri, &["steps"])?.get("steps").unwrap_or(DEFAULT_STEPS);
    let steps = usize::try_from(wanted).ok().filter(|_| STEPS.contains(&wanted));
    let steps = steps.ok_or_else(|| ApiError::out_of_range("steps", wanted, *STEPS.start(), *STEPS.end()))?;
    let flight = app.broker.flight();
    let about_bytes = flight.steps().min(steps) * STEP_BYTES;
    let (bytes, room) = app.with_room(about_bytes, || Ok(flight.trace(steps).into_bytes())).await?;
    if bytes.is_empty() {
        return Ok(([(header::CONTENT_TYPE, JSON_LINES)], bytes).into_response());
    }
    let body = Body::new(TrackedBody::new(bytes.into(), Receipt::of_read().keeping(room), asked.link));
    Ok(([(header::CONTENT_TYPE, JSON_LINES)], body).into_response())
}
