//! An answer that is written no faster than its client reads it.
//!
//! ```text
//!   future --- Pen::write ---> one piece ---> PacedBody --- when the connection has room ---> client
//!      '------- waits until the piece is taken -------'
//! ```
//!
//! The future is polled by the connection that takes its pieces, and by nobody else: while the client reads nothing,
//! nothing more is made, and when the connection ends the future is dropped with it. If the future gives up, the
//! connection is cut, so that no client takes what it has for the whole.

use std::{
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame};

/// How much is gathered before it is handed to the connection, about.
pub(super) const PIECE_BYTES: usize = 64 << 10;

/// The answer was given up in its midst.
#[derive(Debug, thiserror::Error)]
#[error("the answer was given up")]
pub(super) struct Cut;

/// The piece that is on its way from the future to the connection.
#[derive(Clone, Default)]
struct Slot(Arc<Mutex<Option<Bytes>>>);

impl Slot {
    fn lock(&self) -> MutexGuard<'_, Option<Bytes>> {
        // Nothing is ever half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What an answer is written with.
pub(super) struct Pen(Slot);

impl Pen {
    /// Hands a piece over, and waits until the connection wants more. It must not be empty.
    pub(super) async fn write(&mut self, piece: impl Into<Bytes>) {
        *self.0.lock() = Some(piece.into());
        // The body polls this anew when it is asked for more, so nobody has to be woken.
        std::future::poll_fn(|_| if self.0.lock().is_none() { Poll::Ready(()) } else { Poll::Pending }).await;
    }

    /// Hands what was gathered over once it is worth it.
    pub(super) async fn write_if_much(&mut self, gathered: &mut Vec<u8>) {
        if gathered.len() >= PIECE_BYTES {
            let piece = std::mem::replace(gathered, Vec::with_capacity(PIECE_BYTES + PIECE_BYTES / 4));
            self.write(piece).await;
        }
    }

    /// Hands the last piece over. The future has to end then, without waiting for anything.
    pub(super) fn finish(self, piece: impl Into<Bytes>) {
        *self.0.lock() = Some(piece.into());
    }
}

type Writing = dyn Future<Output = Result<(), Cut>> + Send;

/// See the module.
pub(super) struct PacedBody {
    slot: Slot,
    /// [`None`] once it has ended.
    future: Option<Pin<Box<Writing>>>,
}

impl PacedBody {
    /// A body that `write` writes.
    pub(super) fn new<F>(write: impl FnOnce(Pen) -> F) -> Self
    where
        F: Future<Output = Result<(), Cut>> + Send + 'static,
    {
        let slot = Slot::default();
        Self { future: Some(Box::pin(write(Pen(slot.clone())))), slot }
    }
}

impl Body for PacedBody {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        let Some(future) = &mut self.future else { return Poll::Ready(None) };
        let ended = future.as_mut().poll(cx);
        if let Poll::Ready(result) = &ended {
            self.future = None;
            if result.is_err() {
                return Poll::Ready(Some(Err(Cut)));
            }
        }
        let piece = self.slot.lock().take();
        match piece {
            Some(piece) => Poll::Ready(Some(Ok(Frame::data(piece)))),
            None if ended.is_ready() => Poll::Ready(None),
            None => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.future.is_none()
    }
}

impl fmt::Debug for PacedBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PacedBody").field("ended", &self.future.is_none()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn nothing_is_made_before_what_was_made_is_taken() {
        let made = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&made);
        let mut body = PacedBody::new(|mut pen| async move {
            for piece in ["a", "b"] {
                counter.fetch_add(1, Ordering::Relaxed);
                pen.write(piece).await;
            }
            pen.finish("c");
            Ok(())
        });
        for (piece, count) in [("a", 1), ("b", 2), ("c", 2)] {
            let frame = body.frame().await.expect("a piece").expect("no error");
            assert_eq!(frame.into_data().expect("data"), piece);
            assert_eq!((made.load(Ordering::Relaxed), body.is_end_stream()), (count, piece == "c"));
        }
        assert!(body.frame().await.is_none());
    }

    #[tokio::test]
    async fn who_gives_up_leaves_no_end() {
        let mut body = PacedBody::new(|mut pen| async move {
            pen.write("a").await;
            Err(Cut)
        });
        assert!(body.frame().await.expect("a piece").is_ok());
        assert!(body.frame().await.expect("an error").is_err());
    }
}
