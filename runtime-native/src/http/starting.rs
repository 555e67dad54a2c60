//! What is answered before the broker is there, while it recovers.
//!
//! Every answer ends its connection, so that the next request comes in on one that knows the broker.

use axum::{
    Router,
    http::{HeaderValue, StatusCode, header},
    response::IntoResponse,
    routing::get,
};

use serde_json::json;

use super::{
    error::{ApiError, ApiResult},
    output,
};

/// Says that the process lives, and that nothing else can be had.
pub(super) fn router() -> Router {
    Router::new().route("/api/health/live", get(live)).route("/api/health/ready", get(not_ready)).fallback(starting)
}

async fn live() -> ApiResult {
    let mut answer = output::json(&json!({"status": "ok"}))?;
    answer.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    Ok(answer)
}

async fn starting() -> impl IntoResponse {
    refusal("starting").closing()
}

async fn not_ready() -> impl IntoResponse {
    refusal("not_ready").with("starting", true).closing()
}

fn refusal(code: &'static str) -> ApiError {
    ApiError::new(StatusCode::SERVICE_UNAVAILABLE, code, "the server is starting: it reads what it has on disk")
        .retryable(true)
        .retry_after(1)
}
