//! Taking a request's body in, within bounds of size, time and number.
//!
//! * Longer than `max_body_bytes`: 413. Where the length is announced that is known before a byte of it is taken,
//!   and a client that waits for `100 Continue` never sends it. Otherwise what comes is thrown away for a while,
//!   since a client that still sends would not read the answer.
//! * Slower than the configured pace: 408, and the connection ends.
//! * More than `max_bodies` at once: 503 `overloaded`.
//!
//! A body that comes in one piece is not copied.

use std::{sync::Arc, time::Duration};

use axum::{
    body::{Body, HttpBody},
    http::{HeaderMap, StatusCode, header},
};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout_at},
};

use crate::http::{config::HttpConfig, error::ApiError};

/// How much of a body that is too long is thrown away before the connection is cut.
const DISCARD_BYTES: usize = 64 << 20;

/// A whole body. It counts as one of `max_bodies` for as long as it lives.
#[derive(Debug)]
pub(crate) struct Received {
    /// Its bytes.
    pub(crate) bytes: Bytes,
    place: OwnedSemaphorePermit,
}

impl Received {
    /// Keeps the place and lets go of the bytes, which hold the whole buffer that they were read into.
    pub(crate) fn without_bytes(self) -> OwnedSemaphorePermit {
        self.place
    }
}

/// Takes a body in.
pub(crate) async fn receive(
    config: &HttpConfig,
    places: &Arc<Semaphore>,
    headers: &HeaderMap,
    body: Body,
) -> Result<Received, ApiError> {
    let place = Arc::clone(places).try_acquire_owned().map_err(|_| overloaded(config))?;
    let mut intake = Intake::new(config, body);
    let announced = intake.body.size_hint().exact();
    if announced.is_some_and(|bytes| bytes > config.max_body_bytes as u64) {
        let waits = headers.contains_key(header::EXPECT);
        return Err(intake.refuse_as_too_long(announced, !waits).await);
    }
    let Some(first) = intake.next().await? else {
        return Ok(Received { bytes: Bytes::new(), place });
    };
    let bytes = if intake.body.is_end_stream() && first.len() <= config.max_body_bytes {
        first
    } else {
        let room = announced.and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or(first.len());
        let mut whole = BytesMut::with_capacity(room);
        let mut piece = Some(first);
        while let Some(bytes) = piece {
            if whole.len() + bytes.len() > config.max_body_bytes {
                return Err(intake.refuse_as_too_long(announced, true).await);
            }
            whole.extend_from_slice(&bytes);
            piece = intake.next().await?;
        }
        whole.freeze()
    };
    Ok(Received { bytes, place })
}

fn overloaded(config: &HttpConfig) -> ApiError {
    let message = "the server is working on as many requests as it may";
    ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", message)
        .with("limit", config.max_bodies)
        .retryable(true)
        .retry_after(1)
}

struct Intake<'a> {
    config: &'a HttpConfig,
    body: Body,
    began: Instant,
    received: usize,
}

impl<'a> Intake<'a> {
    fn new(config: &'a HttpConfig, body: Body) -> Self {
        Self { config, body, began: Instant::now(), received: 0 }
    }

    fn deadline(&self) -> Instant {
        let earned = self.received / self.config.body_bytes_per_second.max(1);
        self.began + self.config.body_timeout + Duration::from_secs(earned as u64)
    }

    /// The next bytes; `None` at the end.
    async fn next(&mut self) -> Result<Option<Bytes>, ApiError> {
        loop {
            let deadline = self.deadline();
            match timeout_at(deadline, self.body.frame()).await.map_err(|_| self.too_slow())? {
                None => return Ok(None),
                Some(Ok(frame)) => {
                    if let Ok(bytes) = frame.into_data() {
                        self.received += bytes.len();
                        return Ok(Some(bytes));
                    }
                }
                Some(Err(error)) => {
                    let message = format!("the body could not be read to its end: {error}");
                    return Err(ApiError::malformed("incomplete_body", message).closing());
                }
            }
        }
    }

    fn too_slow(&self) -> ApiError {
        let message = "the body came too slowly";
        ApiError::new(StatusCode::REQUEST_TIMEOUT, "body_too_slow", message)
            .with("received_bytes", self.received)
            .with("least_bytes_per_second", self.config.body_bytes_per_second)
            .retryable(true)
            .closing()
    }

    async fn refuse_as_too_long(mut self, announced: Option<u64>, discard: bool) -> ApiError {
        let mut discarded = 0;
        while discard && discarded < DISCARD_BYTES {
            match self.next().await {
                Ok(Some(bytes)) => discarded += bytes.len(),
                Ok(None) | Err(_) => break,
            }
        }
        let max = self.config.max_body_bytes;
        let message = format!("a body may have at most {max} bytes");
        let error = ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", message).with("max_bytes", max);
        let error = match announced {
            Some(bytes) => error.with("bytes", bytes),
            None => error,
        };
        error.closing()
    }
}
