//! `/api/health`: how the server is, for people, for load balancers and for whoever restarts it.

use std::sync::Arc;

use axum::{extract::State, http::StatusCode};

use super::App;
use crate::http::{
    error::{ApiError, ApiResult},
    input::path::NoQuery,
    output::{
        health::{HealthView, Status, storage},
        json,
    },
};

/// Always 200: it tells, and judges nothing.
pub(super) async fn health(State(app): State<Arc<App>>, _: NoQuery) -> ApiResult {
    json(&HealthView::new(&app.broker.health()))
}

/// 200 if requests are welcome here, 503 `not_ready` if they had better go elsewhere.
pub(super) async fn ready(State(app): State<Arc<App>>, _: NoQuery) -> ApiResult {
    let health = app.broker.health();
    if health.storage.is_ok() && !health.draining {
        return json(&Status::OK);
    }
    let message =
        if health.draining { "the server is stopping".to_owned() } else { format!("storage is {}", storage(&health)) };
    Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "not_ready", message)
        .with("storage", storage(&health))
        .with("draining", health.draining)
        .retryable(true)
        .retry_after(1))
}

/// 200 as long as the process answers at all.
pub(super) async fn live(_: NoQuery) -> ApiResult {
    json(&Status::OK)
}
