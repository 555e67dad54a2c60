//! How an upload tells its client how far it is.
//!
//! ```text
//!   upload (a task) --- batch applied ---> Board --- when the connection has room ---> client
//!                                            '-- what was not taken yet becomes one line
//! ```
//!
//! Unlike other answers this one does not wait for its client: many clients read nothing before they have sent all. So
//! the upload goes on whether the progress is read or not, and what piles up is one line, however much it stands for.
//! When the connection ends, the upload ends.

use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use axum::http::HeaderValue;
use bytes::Bytes;
use http_body::{Body, Frame};
use serde::Serialize;
use tokio::{sync::Notify, task::AbortHandle};

use super::{error::ApiError, link::Streaming, paced::Cut};

/// Where records of one partition went. Records of others may stand between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Span {
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) records: u64,
}

impl Span {
    fn and(self, other: Self) -> Self {
        Self {
            first: self.first.min(other.first),
            last: self.last.max(other.last),
            records: self.records + other.records,
        }
    }
}

/// One batch that was applied, or several on end.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct BatchLine {
    pub(super) first_line: u64,
    pub(super) last_line: u64,
    /// How many records were stored.
    pub(super) records: u64,
    /// How many were there already.
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) duplicates: u64,
    /// How many batches this stands for, if it is more than one.
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) batches: u64,
    pub(super) offsets: BTreeMap<u32, Span>,
}

/// The sum of an upload.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Sum {
    /// All lines up to this one are stored, or were there, or are empty.
    pub(super) lines: u64,
    pub(super) records: u64,
    pub(super) duplicates: u64,
    pub(super) offsets: BTreeMap<u32, Span>,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // as serde has it
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl BatchLine {
    fn and(mut self, next: &Self) -> Self {
        self.last_line = next.last_line;
        self.records += next.records;
        self.duplicates += next.duplicates;
        self.batches = self.batches.max(1) + next.batches.max(1);
        add_spans(&mut self.offsets, &next.offsets);
        self
    }
}

impl Sum {
    pub(super) fn add(&mut self, batch: &BatchLine) {
        self.records += batch.records;
        self.duplicates += batch.duplicates;
        add_spans(&mut self.offsets, &batch.offsets);
    }
}

fn add_spans(to: &mut BTreeMap<u32, Span>, more: &BTreeMap<u32, Span>) {
    for (partition, span) in more {
        to.entry(*partition).and_modify(|sum| *sum = sum.and(*span)).or_insert(*span);
    }
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Line<'a> {
    Batch(&'a BatchLine),
    End(&'a Sum),
}

/// What is to be told.
#[derive(Default)]
pub(super) struct Board {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    batch: Option<BatchLine>,
    /// The outcome, once there is one.
    outcome: Option<(Sum, Option<ApiError>)>,
    /// Whether the last line is taken.
    told: bool,
    /// Whether the answer may end.
    closed: bool,
    waker: Option<Waker>,
}

impl Board {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        change(&mut state);
        if let Some(waker) = state.waker.take() {
            waker.wake();
        }
        drop(state);
        self.changed.notify_one();
    }

    /// A batch was applied.
    pub(super) fn applied(&self, batch: &BatchLine) {
        self.change(|state| {
            state.batch = Some(match state.batch.take() {
                Some(before) => before.and(batch),
                None => batch.clone(),
            });
        });
    }

    /// The upload has come to its end, or can't go on.
    pub(super) fn ended(&self, sum: Sum, error: Option<ApiError>) {
        self.change(|state| state.outcome = Some((sum, error)));
    }

    /// The answer may end, since nothing more of the request is read.
    pub(super) fn close(&self) {
        self.change(|state| state.closed = true);
    }

    /// Waits until there is something to tell. An error, if nothing was applied before it.
    pub(super) async fn begun(&self) -> Option<ApiError> {
        loop {
            {
                let state = self.lock();
                if state.batch.is_some() {
                    return None;
                }
                if let Some((_, error)) = &state.outcome {
                    return error.clone();
                }
            }
            self.changed.notified().await;
        }
    }
}

/// The answer to an upload.
pub(super) struct ProgressBody {
    board: Arc<Board>,
    request_id: HeaderValue,
    upload: AbortHandle,
    _streaming: Streaming,
}

impl ProgressBody {
    pub(super) fn new(board: Arc<Board>, request_id: HeaderValue, upload: AbortHandle, streaming: Streaming) -> Self {
        Self { board, request_id, upload, _streaming: streaming }
    }
}

impl Drop for ProgressBody {
    fn drop(&mut self) {
        self.upload.abort();
    }
}

impl Body for ProgressBody {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let mut state = self.board.lock();
        let line = if let Some(batch) = state.batch.take() {
            to_line(&Line::Batch(&batch))
        } else if state.told {
            if state.closed {
                return Poll::Ready(None);
            }
            state.waker = Some(cx.waker().clone());
            return Poll::Pending;
        } else if let Some((sum, error)) = &state.outcome {
            let line = match error {
                None => to_line(&Line::End(sum)),
                Some(error) => error_line(error, sum, &self.request_id),
            };
            state.told = true;
            line
        } else {
            state.waker = Some(cx.waker().clone());
            return Poll::Pending;
        };
        Poll::Ready(Some(line.map(Frame::data)))
    }
}

fn to_line(line: &impl Serialize) -> Result<Bytes, Cut> {
    let mut out = serde_json::to_vec(line).map_err(|error| {
        tracing::error!(%error, "a line has no JSON");
        Cut
    })?;
    out.push(b'\n');
    Ok(out.into())
}

fn error_line(error: &ApiError, sum: &Sum, request_id: &HeaderValue) -> Result<Bytes, Cut> {
    let sum = to_line(sum)?;
    let sum = sum.strip_suffix(b"\n").unwrap_or(&sum);
    let error = error.body(request_id.to_str().unwrap_or_default());
    Ok([b"{\"error\":", &error[..], b",\"applied\":", sum, b"}\n"].concat().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch(lines: std::ops::RangeInclusive<u64>, partition: u32, first: u64) -> BatchLine {
        let records = lines.end() - lines.start() + 1;
        let span = Span { first, last: first + records - 1, records };
        BatchLine {
            first_line: *lines.start(),
            last_line: *lines.end(),
            records,
            offsets: BTreeMap::from([(partition, span)]),
            ..BatchLine::default()
        }
    }

    #[test]
    fn what_is_not_read_becomes_one_line() {
        let board = Board::default();
        board.applied(&batch(1..=2, 0, 10));
        board.applied(&batch(3..=5, 0, 20));
        board.applied(&batch(6..=6, 1, 7));
        let line = to_line(&Line::Batch(&board.lock().batch.take().expect("one"))).expect("a line");
        let line: serde_json::Value = serde_json::from_slice(&line).expect("JSON");
        assert_eq!(
            line,
            serde_json::json!({"batch": {
                "first_line": 1, "last_line": 6, "records": 6, "batches": 3,
                "offsets": {"0": {"first": 10, "last": 22, "records": 5}, "1": {"first": 7, "last": 7, "records": 1}},
            }})
        );
    }
}
