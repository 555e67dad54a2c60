//! Taking a request's body in, within bounds of size, time and memory.
//!
//! * Longer than `max_body_bytes`: 413. Where the length is announced that is known before a byte of it is taken,
//!   and a client that waits for `100 Continue` never sends it. Otherwise what comes is thrown away for a while,
//!   since a client that still sends would not read the answer.
//! * Slower than the configured pace: 408, and the connection ends.
//! * More than `max_bodies_bytes` of all requests together: 503 `overloaded`. What counts is what came, not what was
//!   announced, so a client that sends nothing takes nobody's room.
//!
//! A body that comes in one piece is not copied.

use std::time::Duration;

use axum::{
    body::{Body, HttpBody},
    http::{HeaderMap, StatusCode, header},
};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Instant, timeout, timeout_at},
};

use crate::http::{config::HttpConfig, error::ApiError, room::Room};

/// How much of a body that is too long is thrown away before the connection is cut, and for how long.
const DISCARD_BYTES: usize = 64 << 20;
const DISCARD_TIME: Duration = Duration::from_secs(5);

/// With how much room a body's buffer begins at most, whatever length was announced.
const FIRST_BUFFER_BYTES: usize = 256 << 10;

/// A whole body. It takes its room for as long as it lives.
#[derive(Debug)]
pub(crate) struct Received {
    /// Its bytes.
    pub(crate) bytes: Bytes,
    room: Option<OwnedSemaphorePermit>,
}

impl Received {
    /// Keeps the room and lets go of the bytes, which hold the whole buffer that they were read into.
    pub(crate) fn without_bytes(self) -> Option<OwnedSemaphorePermit> {
        self.room
    }
}

/// Takes a body in.
pub(crate) async fn receive(
    config: &HttpConfig,
    room: &Room,
    headers: &HeaderMap,
    body: Body,
) -> Result<Received, ApiError> {
    let mut intake = Intake::new(config, body);
    let announced = intake.body.size_hint().exact();
    if announced == Some(0) {
        return Ok(Received { bytes: Bytes::new(), room: None });
    }
    if announced.is_some_and(|bytes| bytes > config.max_body_bytes as u64) {
        let waits = headers.contains_key(header::EXPECT);
        return Err(intake.refuse_as_too_long(announced, !waits).await);
    }
    let mut taken = room.take(1)?;
    let mut whole = Bytes::new();
    let mut pieces = BytesMut::new();
    while let Some(bytes) = intake.next().await? {
        if intake.received > config.max_body_bytes {
            drop(taken);
            return Err(intake.refuse_as_too_long(announced, true).await);
        }
        room.grow(&mut taken, intake.received)?;
        if pieces.is_empty() && intake.body.is_end_stream() {
            whole = bytes;
            break;
        }
        if pieces.is_empty() {
            let expected = announced.and_then(|bytes| usize::try_from(bytes).ok()).unwrap_or_default();
            pieces.reserve(expected.clamp(bytes.len(), FIRST_BUFFER_BYTES.max(bytes.len())));
        }
        pieces.extend_from_slice(&bytes);
    }
    let bytes = if pieces.is_empty() { whole } else { pieces.freeze() };
    Ok(Received { bytes, room: Some(taken) })
}

/// Throws a body away as it comes, for a while. Gives whether that was all of it.
pub(crate) async fn discard(config: &HttpConfig, body: Body) -> bool {
    let mut intake = Intake::new(config, body);
    matches!(timeout(DISCARD_TIME, intake.discard()).await, Ok(true))
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
            let frame = timeout_at(self.deadline(), self.body.frame()).await.map_err(|_| self.too_slow())?;
            match frame {
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
        if discard {
            // However it ends, the answer is the same.
            let _ = timeout(DISCARD_TIME, self.discard()).await;
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

    /// Gives whether that was all of it.
    async fn discard(&mut self) -> bool {
        while self.received < DISCARD_BYTES {
            match self.next().await {
                Ok(Some(_)) => {}
                ended => return ended.is_ok(),
            }
        }
        false
    }
}
