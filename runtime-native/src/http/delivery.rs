//! Whether an answer with records got away.
//!
//! ```text
//!   handler            TrackedBody              Link                   Socket
//!     |--- Receipt ------->|                      |                       |
//!     |                    |-- last bytes taken ->|                       |
//!     |                    |                      |<--- all written ------|   confirmed
//! ```
//!
//! A poll's [`Receipt`] that is dropped anywhere on that way tells the driver that the answer was lost, so nothing has to
//! be done for it where a connection breaks, a timeout ends it or the server stops. "All written" means that
//! the operating system has taken every byte, and that the client had not closed its end before the first of them.
//! What is lost after that only the client can know; it repeats `after_batch`.

use std::{
    convert::Infallible,
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use takhin_core::{ConsumerId, RequestId};
use tokio::sync::OwnedSemaphorePermit;

use super::{
    in_flight::{Departed, InFlight},
    link::Link,
};
use crate::broker::Broker;

/// Stands for one answer until it got away.
pub(super) struct Receipt {
    poll: Option<PollAnswered>,
    /// What the answer takes of the room for all answers.
    room: Option<OwnedSemaphorePermit>,
}

/// Who is told that the answer to a poll was lost.
struct PollAnswered {
    broker: Broker,
    request: RequestId,
    consumer: ConsumerId,
    /// Dropped after the driver was told.
    _departed: Departed,
}

impl Receipt {
    /// For the answer to the poll `request` of `consumer`.
    pub(super) fn of_poll(broker: Broker, request: RequestId, consumer: ConsumerId, in_flight: &InFlight) -> Self {
        let departed = in_flight.depart(consumer, request);
        Self { poll: Some(PollAnswered { broker, request, consumer, _departed: departed }), room: None }
    }

    /// For an answer of which nobody has to know whether it was lost.
    pub(super) fn of_read() -> Self {
        Self { poll: None, room: None }
    }

    /// Keeps the answer's room taken until it got away or was lost.
    pub(super) fn keeping(mut self, room: OwnedSemaphorePermit) -> Self {
        self.room = Some(room);
        self
    }

    /// The answer got away.
    pub(super) fn confirm(mut self) {
        if let Some(poll) = self.poll.take() {
            poll.broker.delivered(poll.request, poll.consumer);
        }
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        if let Some(poll) = self.poll.take() {
            tracing::debug!(consumer = %poll.consumer, "a poll's answer could not be delivered");
            poll.broker.undelivered(poll.request, poll.consumer);
        }
    }
}

impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let poll = self.poll.as_ref().map(|poll| (poll.request, poll.consumer));
        f.debug_struct("Receipt").field("poll", &poll).finish_non_exhaustive()
    }
}

/// A body of one piece that passes its receipt on to the connection when that takes the piece.
#[derive(Debug)]
pub(super) struct TrackedBody {
    bytes: Bytes,
    receipt: Option<Receipt>,
    link: Arc<Link>,
}

impl TrackedBody {
    /// `bytes` must not be empty, or nobody would take them.
    pub(super) fn new(bytes: Bytes, receipt: Receipt, link: Arc<Link>) -> Self {
        debug_assert!(!bytes.is_empty(), "an answer is never empty");
        Self { bytes, receipt: Some(receipt), link }
    }
}

impl Body for TrackedBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(receipt) = self.receipt.take() else {
            return Poll::Ready(None);
        };
        self.link.hand_over(receipt);
        Poll::Ready(Some(Ok(Frame::data(std::mem::take(&mut self.bytes)))))
    }

    fn is_end_stream(&self) -> bool {
        self.receipt.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.len() as u64)
    }
}
