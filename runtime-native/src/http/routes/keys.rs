//! `/api/keys`: making keys, and revoking them.
//!
//! Only a server that requires keys has any: otherwise whoever comes first could make one for the day on which it does.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderValue, StatusCode, header},
};

use super::App;
use crate::{
    http::{
        error::{ApiError, ApiResult},
        guard::Caller,
        input::{
            body::Received,
            json::object,
            keys::NewKey,
            path::{KeyPath, NoQuery},
        },
        output::{
            json,
            keys::{KeyMade, KeyRevoked, Keys},
            now_ms,
        },
    },
    keys::{KeyRing, KeysError, MAX_KEYS},
};

pub(super) async fn list(State(app): State<Arc<App>>, _: NoQuery) -> ApiResult {
    let keys = app.required_keys()?.all();
    json(&Keys::new(&keys, now_ms()))
}

pub(super) async fn create(State(app): State<Arc<App>>, caller: Caller, _: NoQuery, body: Received) -> ApiResult {
    let keys = app.required_keys()?;
    let now = now_ms();
    let wish = object::<NewKey>(&body.bytes)?.check(now)?;
    let (secret, record) =
        tokio::task::block_in_place(|| keys.create(&wish, now)).map_err(|error| not_changed(&error))?;
    tracing::info!(id = %record.id, name = record.name, by = %caller, "a key was made");
    let mut response = json(&KeyMade::new(&secret, &record, now))?;
    *response.status_mut() = StatusCode::CREATED;
    let headers = response.headers_mut();
    let place =
        HeaderValue::try_from(format!("/api/keys/{}", record.id)).map_err(|error| ApiError::bug(error.to_string()))?;
    headers.insert(header::LOCATION, place);
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

pub(super) async fn revoke(State(app): State<Arc<App>>, caller: Caller, KeyPath(id): KeyPath, _: NoQuery) -> ApiResult {
    let keys = app.required_keys()?;
    let revoked = tokio::task::block_in_place(|| keys.revoke(id)).map_err(|error| not_changed(&error))?;
    let record = revoked.ok_or_else(|| {
        ApiError::new(StatusCode::NOT_FOUND, "key_not_found", format!("there is no key {id}"))
            .with("id", id.to_string())
    })?;
    tracing::info!(%id, name = record.name, by = %caller, "a key was revoked");
    json(&KeyRevoked { id, message: "key revoked" })
}

impl App {
    fn required_keys(&self) -> ApiResult<&KeyRing> {
        self.guard.keys().map(Arc::as_ref).ok_or_else(|| {
            let message = "this server requires no keys, so it has none: start it with --require-keys";
            ApiError::new(StatusCode::CONFLICT, "keys_not_required", message)
        })
    }
}

fn not_changed(error: &KeysError) -> ApiError {
    match error {
        KeysError::TooMany => ApiError::new(StatusCode::TOO_MANY_REQUESTS, "too_many", error.to_string())
            .with("what", "keys")
            .with("limit", MAX_KEYS)
            .retryable(true)
            .retry_after(30),
        KeysError::Io { .. }
        | KeysError::Damaged { .. }
        | KeysError::NewerFormat { .. }
        | KeysError::NoRandomness(_) => {
            tracing::error!(%error, "the keys could not be changed");
            let message = "the keys could not be changed; the server's log says why";
            ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "keys_unavailable", message).retryable(true).retry_after(30)
        }
    }
}
