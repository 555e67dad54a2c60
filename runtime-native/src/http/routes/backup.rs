//! `GET /api/backup`: all that there is, in one archive, while everything goes on.

use std::{
    io::{self, Write},
    sync::Arc,
};

use axum::{
    Extension,
    body::Body,
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::IntoResponse,
};
use bytes::Bytes;
use takhin_core::Refusal;
use tokio::sync::mpsc;

use super::App;
use crate::driver::BackupError;
use crate::http::{
    dispatch::Asked,
    error::{ApiError, ApiResult},
    guard::Caller,
    input::path::NoQuery,
    output::now_ms,
    paced::{Cut, PIECE_BYTES, PacedBody},
};

const ARCHIVE: HeaderValue = HeaderValue::from_static("application/zstd");
const DISPOSITION: HeaderValue = HeaderValue::from_static("attachment; filename=\"takhin-backup.tar.zst\"");
/// Pieces that wait for the client at most.
const AHEAD: usize = 8;

/// One at a time. An archive that breaks off is cut, and has no end.
pub(super) async fn backup(
    State(app): State<Arc<App>>,
    Extension(asked): Extension<Asked>,
    caller: Caller,
    _: NoQuery,
) -> ApiResult {
    let Ok(turn) = Arc::clone(&app.backup).try_acquire_owned() else {
        let message = "another backup is being taken";
        return Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "backup_running", message)
            .retryable(true)
            .retry_after(5));
    };
    let backup = app.broker.hold().await.map_err(|error| match error {
        BackupError::Unsupported => Refusal::Unsupported { what: "a backup".to_owned() }.into(),
        BackupError::Stopping | BackupError::Hold(_) => {
            ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "backup_failed", error.to_string()).retry_after(5)
        }
    })?;
    let (pieces, mut written) = mpsc::channel::<Bytes>(AHEAD);
    let task = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        let mut to = Pieces { to: pieces, gathered: Vec::with_capacity(PIECE_BYTES) };
        let result = backup.write(now_ms(), &mut to);
        if let Err(error) = &result {
            tracing::warn!(%error, "a backup broke off");
        }
        result.is_ok()
    });
    let streaming = asked.link.streaming();
    let body = PacedBody::new(|mut pen| async move {
        while let Some(piece) = written.recv().await {
            if caller.is_still_known().is_err() {
                return Err(Cut);
            }
            pen.write(piece).await;
        }
        let whole = task.await.unwrap_or(false);
        drop(streaming);
        if whole { Ok(()) } else { Err(Cut) }
    });
    let headers = [(header::CONTENT_TYPE, ARCHIVE), (header::CONTENT_DISPOSITION, DISPOSITION)];
    Ok((headers, Body::new(body)).into_response())
}

/// Takes bytes on the writing side, and waits where the client doesn't read.
struct Pieces {
    to: mpsc::Sender<Bytes>,
    gathered: Vec<u8>,
}

impl Write for Pieces {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.gathered.extend_from_slice(bytes);
        if self.gathered.len() >= PIECE_BYTES {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.gathered.is_empty() {
            return Ok(());
        }
        let piece = std::mem::replace(&mut self.gathered, Vec::with_capacity(PIECE_BYTES));
        self.to.blocking_send(piece.into()).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }
}
