//! Room: how much memory all requests, or all answers, may take together.

use std::sync::Arc;

use axum::http::StatusCode;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::error::ApiError;

/// So many bytes, given out as long as there are some. Room that was taken is given back when its permit is dropped.
#[derive(Clone, Debug)]
pub(super) struct Room {
    units: Arc<Semaphore>,
    max_bytes: usize,
}

impl Room {
    /// In what steps room is given out.
    const UNIT_BYTES: usize = 1 << 10;

    /// Room for so many bytes.
    pub(super) fn new(max_bytes: usize) -> Self {
        let units = max_bytes.div_ceil(Self::UNIT_BYTES).min(Semaphore::MAX_PERMITS);
        Self { units: Arc::new(Semaphore::new(units)), max_bytes }
    }

    /// Takes room for so many bytes.
    ///
    /// # Errors
    /// 503 `overloaded` if there is not that much left.
    pub(super) fn take(&self, bytes: usize) -> Result<OwnedSemaphorePermit, ApiError> {
        let units = u32::try_from(bytes.div_ceil(Self::UNIT_BYTES)).ok();
        let permit = units.and_then(|units| Arc::clone(&self.units).try_acquire_many_owned(units).ok());
        permit.ok_or_else(|| {
            let message = "the server is working on as many requests as it has room for";
            ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "overloaded", message)
                .with("max_bytes", self.max_bytes)
                .retryable(true)
                .retry_after(1)
        })
    }

    /// How many bytes are taken, in steps of a kilobyte.
    pub(super) fn taken_bytes(&self) -> usize {
        let units = self.max_bytes.div_ceil(Self::UNIT_BYTES).min(Semaphore::MAX_PERMITS);
        (units - self.units.available_permits()) * Self::UNIT_BYTES
    }

    /// Makes room that was taken fit so many bytes.
    ///
    /// # Errors
    /// As [`Room::take`].
    pub(super) fn grow(&self, permit: &mut OwnedSemaphorePermit, bytes: usize) -> Result<(), ApiError> {
        let more = bytes.saturating_sub(permit.num_permits() * Self::UNIT_BYTES);
        if more > 0 {
            permit.merge(self.take(more)?);
        }
        Ok(())
    }
}
