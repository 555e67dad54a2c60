//! Records out, one in a line: the answer to a poll, and a read of any length.
//!
//! ```text
//!   {"topic":"orders","partition":0,"offset":0, ...}       a record, as it is in JSON
//!   {"topic":"orders","partition":0,"offset":1, ...}
//!   {"end":{"batch_id":1,"positions":{...}, ...}}          the last line, and nothing else is the last line
//! ```
//!
//! Lines are made as the client takes them. Who has not got the last line has not got the answer: for a poll, it alone
//! has the batch's id, and it is the one whose way out is followed, so a poll that is cut short was not delivered. A
//! read that can't go on says so in its last line, `{"error":{...},"next_offset":n}`.

use std::sync::Arc;

use axum::{
    body::Body,
    http::{HeaderValue, header},
    response::IntoResponse,
};
use serde::Serialize;
use takhin_core::{
    ConsumerId, Offset, PollLimits, RecordFormat, Refusal, Request, Response, TopicName,
    response::{Consumed, ReadResult},
};
use tokio::sync::OwnedSemaphorePermit;

use super::{App, mismatch};
use crate::{
    driver::{Answer, Fetched},
    http::{
        delivery::Receipt,
        dispatch::Asked,
        error::{ApiError, ApiResult},
        guard::Caller,
        input::media::LINES,
        link::Streaming,
        output::{
            now_ms,
            polled::{AfterRecords, LastTimestamps},
            records::write_record,
        },
        paced::{Cut, PIECE_BYTES, PacedBody, Pen},
    },
};

const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// What one look at the log takes of a long read.
const LOOK: PollLimits = PollLimits { max_records: 10_000, max_bytes: 1 << 20, min_bytes: 1, timeout_ms: 0 };

/// The last line of an answer to a poll.
#[derive(Serialize)]
struct PollEnd<'a> {
    end: AfterRecords<'a>,
}

/// The last line of a read.
#[derive(Serialize)]
struct ReadEnd {
    end: ReadSum,
}

#[derive(Serialize)]
struct ReadSum {
    next_offset: i64,
    records: u64,
}

/// A line of a read that waits for more.
#[derive(Serialize)]
struct WaitingLine {
    waiting: NextOffset,
}

#[derive(Serialize)]
struct NextOffset {
    next_offset: i64,
}

pub(super) fn append_line(out: &mut Vec<u8>, line: &impl Serialize) -> Result<(), Cut> {
    serde_json::to_writer(&mut *out, line).map_err(|error| {
        tracing::error!(%error, "a line has no JSON");
        Cut
    })?;
    out.push(b'\n');
    Ok(())
}

/// The last line of an answer that can't go on.
pub(super) fn append_error(out: &mut Vec<u8>, error: &ApiError, asked: &HeaderValue, rest: &str) {
    out.extend_from_slice(b"{\"error\":");
    out.extend_from_slice(&error.body(asked.to_str().unwrap_or_default()));
    out.extend_from_slice(rest.as_bytes());
    out.extend_from_slice(b"}\n");
}

impl App {
    /// Answers a poll in lines.
    pub(super) async fn consume_in_lines(
        &self,
        caller: &Caller,
        consumer: ConsumerId,
        poll: Request,
        format: Option<RecordFormat>,
        asked: Asked,
    ) -> ApiResult {
        let (answer, receipt) = self.poll(caller, consumer, poll).await?;
        let Answer { response: Response::Consumed(found), records, .. } = answer else {
            return Err(mismatch(&answer.response));
        };
        let receipt = receipt.keeping(self.answers.take(held_bytes(records.as_ref()))?);
        let streaming = asked.link.streaming();
        let found = Consumed { format: format.unwrap_or(found.format), ..found };
        let body = PacedBody::new(|pen| write_poll(pen, found, records, receipt, streaming));
        Ok((headers(), Body::new(body)).into_response())
    }
}

fn headers() -> [(header::HeaderName, HeaderValue); 2] {
    [(header::CONTENT_TYPE, LINES), (header::CACHE_CONTROL, NO_STORE)]
}

/// What an answer takes of memory while it is written.
fn held_bytes(records: Option<&Fetched>) -> usize {
    records.map_or(0, Fetched::bytes) + 2 * PIECE_BYTES
}

async fn write_poll(
    mut pen: Pen,
    found: Consumed,
    records: Option<Fetched>,
    receipt: Receipt,
    streaming: Streaming,
) -> Result<(), Cut> {
    let mut out = Vec::with_capacity(PIECE_BYTES);
    let mut last_timestamps = LastTimestamps::new();
    for part in &found.parts {
        let Some(records) = &records else { return Err(Cut) };
        for record in records.records(part.log) {
            write_record(&mut out, &part.topic, part.log.partition, &record, found.format);
            out.push(b'\n');
            last_timestamps.insert((&part.topic, part.log.partition), record.timestamp_ms);
            pen.write_if_much(&mut out).await;
        }
    }
    append_line(&mut out, &PollEnd { end: AfterRecords::new(&found, &last_timestamps, now_ms()) })?;
    streaming.hand_over(receipt);
    drop(streaming);
    pen.finish(out);
    Ok(())
}

/// A read of one partition in lines.
pub(super) struct LongRead {
    pub(super) topic: TopicName,
    pub(super) partition: u32,
    /// Where it stands.
    pub(super) next: i64,
    /// How many records it may still give.
    pub(super) left: u64,
    /// Where the log ended when it began: it ends there, unless it follows.
    pub(super) until: Offset,
    /// How its records are written.
    pub(super) format: RecordFormat,
    /// How long it waits for a first record.
    pub(super) wait_ms: u32,
    /// Whether it goes on for ever, and after how long without a record it says that it lives.
    pub(super) follow: Option<u32>,
}

impl LongRead {
    fn request(&self, timeout_ms: u32) -> Request {
        let max_records = u32::try_from(self.left).unwrap_or(u32::MAX).min(LOOK.max_records);
        let limits = PollLimits { max_records, timeout_ms, ..LOOK };
        Request::Read { topic: self.topic.clone(), partition: self.partition, offset: self.next, limits }
    }

    fn is_done(&self) -> bool {
        self.left == 0 || self.follow.is_none() && u64::try_from(self.next).is_ok_and(|next| next >= self.until.0)
    }
}

/// What one look found, and the room that it takes.
struct Look {
    found: ReadResult,
    records: Option<Fetched>,
    room: OwnedSemaphorePermit,
}

impl App {
    async fn look(&self, caller: &Caller, read: &LongRead, timeout_ms: u32) -> Result<Look, ApiError> {
        // Taken before, so that what is read has a place to be.
        let room = self.answers.take(LOOK.max_bytes as usize + 2 * PIECE_BYTES)?;
        let answer = caller.while_known(self.broker.ask(read.request(timeout_ms))).await??;
        match answer.response {
            Response::Read(found) => Ok(Look { found, records: answer.records, room }),
            other => Err(mismatch(&other)),
        }
    }

    /// Reads in lines. What is wrong at once is an error as of any request.
    pub(super) async fn read_in_lines(self: Arc<Self>, caller: Caller, mut read: LongRead, asked: Asked) -> ApiResult {
        let timeout_ms = if read.follow.is_some() { 0 } else { read.wait_ms };
        let first = self.look(&caller, &read, timeout_ms).await?;
        let streaming = asked.link.streaming();
        let body = PacedBody::new(|mut pen| async move {
            let mut out = Vec::with_capacity(PIECE_BYTES);
            let mut sum = 0;
            let ended = self.write_long_read(&caller, &mut pen, &mut out, &mut read, (first, &mut sum)).await;
            let next_offset = read.next;
            match ended {
                Ok(()) => append_line(&mut out, &ReadEnd { end: ReadSum { next_offset, records: sum } })?,
                Err(error) => append_error(&mut out, &error, &asked.id, &format!(",\"next_offset\":{next_offset}")),
            }
            drop(streaming);
            pen.finish(out);
            Ok(())
        });
        Ok((headers(), Body::new(body)).into_response())
    }

    async fn write_long_read(
        &self,
        caller: &Caller,
        pen: &mut Pen,
        out: &mut Vec<u8>,
        read: &mut LongRead,
        (first, sum): (Look, &mut u64),
    ) -> Result<(), ApiError> {
        let mut look = first;
        loop {
            let Look { found, records, room } = look;
            if let Some(records) = &records {
                for record in records.records(found.log) {
                    write_record(out, &read.topic, read.partition, &record, read.format);
                    out.push(b'\n');
                    read.left = read.left.saturating_sub(1);
                    *sum += 1;
                    pen.write_if_much(out).await;
                }
            }
            drop(records);
            drop(room);
            let nothing_new = u64::try_from(read.next).is_ok_and(|next| next == found.next.0);
            read.next = super::messages::as_signed(found.next)?;
            if read.is_done() || nothing_new && read.follow.is_none() {
                return Ok(());
            }
            if self.broker.is_draining() {
                return Err(Refusal::ShuttingDown.into());
            }
            if read.follow.is_some() && found.next >= found.bounds.end {
                if nothing_new {
                    let waiting = NextOffset { next_offset: read.next };
                    append_line(out, &WaitingLine { waiting }).map_err(|Cut| ApiError::bug("no JSON"))?;
                }
                if !out.is_empty() {
                    pen.write(std::mem::take(out)).await;
                }
            }
            look = self.look(caller, read, read.follow.unwrap_or(0)).await?;
        }
    }
}
