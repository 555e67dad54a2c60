//! `/metrics`: all figures, as Prometheus reads them.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderValue, header},
    response::IntoResponse,
};

use super::App;
use crate::http::{
    error::{ApiError, ApiResult},
    input::path::NoQuery,
    stats,
};

const OPEN_METRICS: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");

pub(super) async fn metrics(State(app): State<Arc<App>>, _: NoQuery) -> ApiResult {
    let text = stats::encode(&app.registry).map_err(|error| ApiError::bug(error.to_string()))?;
    Ok(([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response())
}
