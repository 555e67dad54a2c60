//! What one connection's parts know of each other: what it waits for, until when, and which answers are under way.
//!
//! ```text
//!   socket: bytes came ---------> received          idle -> head        by then: header_timeout
//!   dispatch: a request is whole -> request_began   head -> busy        no deadline: handlers have their own
//!   dispatch: an answer is there -> answer_ready
//!   socket: all is written ------> flushed          busy -> idle        by then: idle_timeout
//!   wire: the client won't read -> write_blocked                        by then: write_stall_timeout
//! ```
//!
//! One task polls all of them, so the lock is never contended.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::{config::HttpConfig, delivery::Receipt};

/// One connection.
#[derive(Debug)]
pub(super) struct Link {
    header_timeout: Duration,
    idle_timeout: Duration,
    write_stall_timeout: Duration,
    /// Whether the server has too many connections to serve this one.
    pub(super) refused: bool,
    /// Whether it is encrypted.
    pub(super) over_tls: bool,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    read_deadline: Option<Instant>,
    write_deadline: Option<Instant>,
    answer_ready: bool,
    goes_on: GoesOn,
    /// Of the answers that were handed to the connection and are not wholly written.
    receipts: Vec<Receipt>,
    /// Whether any of them was handed over since the socket last looked whether the client is there.
    unwatched: bool,
}

/// What goes on for as long as it likes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum GoesOn {
    Nothing,
    Answer,
    /// The request as well: then a client may leave the answer unread as long as it sends.
    Both,
}

/// What the connection waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Its first byte.
    Fresh,
    /// The next request.
    Idle,
    /// The rest of a request's head.
    Head,
    /// A request to be answered.
    Busy,
}

impl Link {
    /// A connection that was just accepted.
    pub(super) fn new(config: &HttpConfig, refused: bool, over_tls: bool) -> Self {
        Self {
            header_timeout: config.header_timeout,
            idle_timeout: config.idle_timeout,
            write_stall_timeout: config.write_stall_timeout,
            refused,
            over_tls,
            state: Mutex::new(State {
                phase: Phase::Fresh,
                read_deadline: Some(Instant::now() + config.header_timeout),
                write_deadline: None,
                answer_ready: false,
                goes_on: GoesOn::Nothing,
                receipts: Vec::new(),
                unwatched: false,
            }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When to give the client up, if nothing happens before.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let state = self.state();
        match (state.read_deadline, state.write_deadline) {
            (Some(read), Some(write)) => Some(read.min(write)),
            (read, write) => read.or(write),
        }
    }

    /// Whether not a single byte has come.
    pub(super) fn is_fresh(&self) -> bool {
        self.state().phase == Phase::Fresh
    }

    /// The connection is ready to be spoken on: from now on a request is waited for.
    pub(super) fn connected(&self) {
        let mut state = self.state();
        state.read_deadline = Some(Instant::now() + self.header_timeout);
        state.write_deadline = None;
    }

    /// Bytes came.
    pub(super) fn received(&self) {
        let mut state = self.state();
        if matches!(state.phase, Phase::Fresh | Phase::Idle) {
            state.phase = Phase::Head;
            state.read_deadline = Some(Instant::now() + self.header_timeout);
        }
        if state.goes_on == GoesOn::Both && state.write_deadline.is_some() {
            state.write_deadline = Some(Instant::now() + self.write_stall_timeout);
        }
    }

    /// A request's head is whole.
    pub(super) fn request_began(&self) {
        let mut state = self.state();
        state.phase = Phase::Busy;
        state.read_deadline = None;
        state.answer_ready = false;
    }

    /// Whether a request was read to whose answer, or a part of it, the operating system was not given yet.
    pub(super) fn owes_an_answer(&self) -> bool {
        self.state().phase == Phase::Busy
    }

    /// The request has its answer, which now has to be written.
    pub(super) fn answer_ready(&self) {
        self.state().answer_ready = true;
    }

    /// The request's answer goes on until what this gives is dropped.
    pub(super) fn streaming(self: &Arc<Self>) -> Streaming {
        self.state().goes_on = GoesOn::Answer;
        Streaming(Arc::clone(self))
    }

    /// The same where the request goes on as well.
    pub(super) fn uploading(self: &Arc<Self>) -> Streaming {
        self.state().goes_on = GoesOn::Both;
        Streaming(Arc::clone(self))
    }

    /// An answer that wants to know whether it arrives is now in the connection's hands.
    pub(super) fn hand_over(&self, receipt: Receipt) {
        let mut state = self.state();
        state.receipts.push(receipt);
        state.unwatched = true;
    }

    /// Whether what is written next begins an answer that wants to know whether it arrives. Says so once.
    pub(super) fn begins_tracked_answer(&self) -> bool {
        std::mem::take(&mut self.state().unwatched)
    }

    /// The client had closed its end before it was sent what was handed over.
    pub(super) fn peer_left(&self) {
        let lost = std::mem::take(&mut self.state().receipts);
        drop(lost);
    }

    /// The client takes nothing.
    pub(super) fn write_blocked(&self) {
        let mut state = self.state();
        if state.write_deadline.is_none() {
            state.write_deadline = Some(Instant::now() + self.write_stall_timeout);
        }
    }

    /// The client took something.
    pub(super) fn write_progressed(&self) {
        self.state().write_deadline = None;
    }

    /// All that was handed over is with the operating system.
    pub(super) fn flushed(&self) {
        let mut state = self.state();
        state.write_deadline = None;
        if state.answer_ready && state.goes_on == GoesOn::Nothing && state.phase == Phase::Busy {
            state.phase = Phase::Idle;
            state.read_deadline = Some(Instant::now() + self.idle_timeout);
        }
        let receipts = std::mem::take(&mut state.receipts);
        drop(state);
        receipts.into_iter().for_each(Receipt::confirm);
    }
}

/// An answer that goes on. While it does, the connection is not idle.
#[derive(Debug)]
pub(super) struct Streaming(Arc<Link>);

impl Streaming {
    /// The next piece, of which it is to be known whether it arrives, is in the connection's hands.
    pub(super) fn hand_over(&self, receipt: Receipt) {
        self.0.hand_over(receipt);
    }
}

impl Drop for Streaming {
    fn drop(&mut self) {
        self.0.state().goes_on = GoesOn::Nothing;
    }
}
