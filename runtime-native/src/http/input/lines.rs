//! A body of any length, taken in line by line and given on in batches.
//!
//! * A batch is given once it has so many bytes or lines, or its first line has waited for so long. The body is read no
//!   further before the batch was asked for, so a client sends no faster than its lines are stored.
//! * What follows the last line break counts as a line only if the body ended as it should.
//! * Nothing is held but one batch and one line, and of these no more than there is room for: a body waits for room.
//! * A body that stays away for as long as an idle connection may is given up. A long line has to keep the pace of
//!   other bodies; for short ones, and between lines, a client may take its time.

use std::time::Duration;

use axum::{body::Body, http::StatusCode};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Instant, sleep, timeout_at},
};

use crate::http::{config::HttpConfig, error::ApiError, room::Room};

/// How long a body waits for room, and how often it looks.
const WAIT_FOR_ROOM: Duration = Duration::from_secs(30);
const LOOK_FOR_ROOM: Duration = Duration::from_millis(20);
/// After how long without a byte it is said that nothing came.
const QUIET: Duration = Duration::from_secs(1);
/// A line that is longer has to keep the pace.
const SHORT_LINE_BYTES: usize = 64 << 10;
/// How much of a body that nobody wants any more is thrown away, and for how long.
const DISCARD_BYTES: usize = 64 << 20;
const DISCARD_TIME: Duration = Duration::from_secs(5);

/// When a batch is given.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BatchLimits {
    /// It has so many lines.
    pub(crate) lines: usize,
    /// It has at least so many bytes.
    pub(crate) bytes: usize,
    /// Its first line came so long ago.
    pub(crate) linger: Duration,
}

/// Whole lines, one behind the other.
#[derive(Debug)]
pub(crate) struct LineBatch {
    /// The number of the first, counted from 1.
    pub(crate) first_line: u64,
    /// How many there are.
    pub(crate) lines: u64,
    /// The lines, each with its end, unless the body ended without one.
    pub(crate) text: Bytes,
}

/// What came.
#[derive(Debug)]
pub(crate) enum Next {
    Batch(LineBatch),
    /// Nothing, for a moment.
    Quiet,
    /// The body's end.
    End,
}

/// See the module.
pub(crate) struct LineReader {
    body: Body,
    config: std::sync::Arc<HttpConfig>,
    limits: BatchLimits,
    room: Room,
    taken: OwnedSemaphorePermit,
    buffer: BytesMut,
    /// Up to where the buffer has been looked through.
    scanned: usize,
    /// Where its last whole line ends, and how many there are.
    whole: usize,
    lines: usize,
    /// When the first whole line was there.
    since: Option<Instant>,
    /// When the line began that isn't whole.
    line_began: Instant,
    last_byte: Instant,
    /// Lines given so far.
    given: u64,
    ended: bool,
}

impl LineReader {
    /// # Errors
    /// 503 `overloaded` if there is no room for another body.
    pub(crate) fn new(
        body: Body,
        config: std::sync::Arc<HttpConfig>,
        limits: BatchLimits,
        room: &Room,
    ) -> Result<Self, ApiError> {
        let now = Instant::now();
        Ok(Self {
            body,
            config,
            limits,
            room: room.clone(),
            taken: room.take(1)?,
            buffer: BytesMut::new(),
            scanned: 0,
            whole: 0,
            lines: 0,
            since: None,
            line_began: now,
            last_byte: now,
            given: 0,
            ended: false,
        })
    }

    /// What comes next.
    ///
    /// # Errors
    /// 400 `incomplete_body`, 408 `body_too_slow`, 413 `line_too_long`, 503 `overloaded`.
    pub(crate) async fn next(&mut self) -> Result<Next, ApiError> {
        loop {
            if self.is_enough() {
                return Ok(Next::Batch(self.cut()));
            }
            if self.ended {
                return Ok(self.rest());
            }
            if self.buffer.len() - self.whole > self.config.max_body_bytes {
                return if self.lines > 0 { Ok(Next::Batch(self.cut())) } else { Err(self.too_long()) };
            }
            let deadline = self.since.map_or_else(|| Instant::now() + QUIET, |since| since + self.limits.linger);
            match timeout_at(deadline, self.body.frame()).await {
                Err(_) if self.lines > 0 => return Ok(Next::Batch(self.cut())),
                Err(_) => {
                    self.check_pace()?;
                    return Ok(Next::Quiet);
                }
                Ok(None) => self.ended = true,
                Ok(Some(Ok(frame))) => {
                    if let Ok(bytes) = frame.into_data() {
                        self.check_pace()?;
                        self.take(&bytes).await?;
                    }
                }
                Ok(Some(Err(error))) => {
                    let message = format!("the body could not be read to its end: {error}");
                    return Err(ApiError::malformed("incomplete_body", message).closing());
                }
            }
        }
    }

    /// Throws away what a client still sends, for a while, so that it comes to read the answer.
    pub(crate) async fn discard(&mut self) {
        let until = Instant::now() + DISCARD_TIME;
        let mut left = DISCARD_BYTES;
        self.buffer = BytesMut::new();
        while !self.ended
            && let Ok(Some(Ok(frame))) = timeout_at(until, self.body.frame()).await
        {
            left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
            if left == 0 {
                return;
            }
        }
    }

    async fn take(&mut self, bytes: &Bytes) -> Result<(), ApiError> {
        // What is being taken apart and appended takes about as much once more.
        let wanted = (self.buffer.len() + bytes.len()) * 2;
        let until = Instant::now() + WAIT_FOR_ROOM;
        while let Err(error) = self.room.grow(&mut self.taken, wanted) {
            if Instant::now() >= until {
                return Err(error);
            }
            sleep(LOOK_FOR_ROOM).await;
        }
        self.last_byte = Instant::now();
        if self.buffer.len() == self.whole {
            self.line_began = self.last_byte;
        }
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    /// Looks for line ends until there are enough.
    fn is_enough(&mut self) -> bool {
        loop {
            if self.lines >= self.limits.lines || self.lines > 0 && self.whole >= self.limits.bytes {
                return true;
            }
            let Some(at) = memchr::memchr(b'\n', &self.buffer[self.scanned..]) else {
                self.scanned = self.buffer.len();
                return false;
            };
            self.scanned += at + 1;
            self.whole = self.scanned;
            self.lines += 1;
            self.since.get_or_insert(self.last_byte);
            self.line_began = self.last_byte;
        }
    }

    fn cut(&mut self) -> LineBatch {
        let text = self.buffer.split_to(self.whole).freeze();
        let lines = self.lines as u64;
        let batch = LineBatch { first_line: self.given + 1, lines, text };
        self.given += lines;
        self.scanned -= self.whole;
        (self.whole, self.lines, self.since) = (0, 0, None);
        batch
    }

    /// What is left at the body's end.
    fn rest(&mut self) -> Next {
        if self.buffer.len() > self.whole {
            self.whole = self.buffer.len();
            self.scanned = self.whole;
            self.lines += 1;
        }
        if self.lines > 0 { Next::Batch(self.cut()) } else { Next::End }
    }

    fn check_pace(&self) -> Result<(), ApiError> {
        let begun = self.buffer.len() - self.whole;
        let earned = Duration::from_secs((begun / self.config.body_bytes_per_second.max(1)) as u64);
        let lags = begun > SHORT_LINE_BYTES && self.line_began.elapsed() > self.config.body_timeout + earned;
        if !lags && self.last_byte.elapsed() < self.config.idle_timeout {
            return Ok(());
        }
        let message = "the body came too slowly";
        Err(ApiError::new(StatusCode::REQUEST_TIMEOUT, "body_too_slow", message)
            .with("least_bytes_per_second", self.config.body_bytes_per_second)
            .with("idle_timeout_ms", u64::try_from(self.config.idle_timeout.as_millis()).unwrap_or(u64::MAX))
            .retryable(true)
            .closing())
    }

    fn too_long(&self) -> ApiError {
        let max = self.config.max_body_bytes;
        let message = format!("a line may have at most {max} bytes");
        let error = ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "line_too_long", message).with("max_bytes", max);
        error.in_line(self.given + 1).closing()
    }
}
