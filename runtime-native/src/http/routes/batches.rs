//! Record batches out, as they are stored.
//!
//! A read of one partition is answered with the batches alone, one behind the other. A poll's answer has sections, each
//! of a line of JSON and as many bytes of batches as it says:
//!
//! ```text
//!   {"topic":"orders","partition":0,"from":40,"next":50,"bytes":1234}\n
//!   ...1234 bytes...{"topic":"orders","partition":3,"from":7,"next":9,"bytes":300}\n
//!   ...300 bytes...{"end":{"batch_id":1,"positions":{...}, ...}}\n
//! ```
//!
//! Batches are whole and never written anew, so the first may begin before `from` and the last may end behind `next`:
//! what is delivered are the records from the one offset to before the other. As with lines, the last line alone has
//! the batch's id.

use axum::{
    body::Body,
    http::{HeaderName, HeaderValue, header},
    response::IntoResponse,
};
use bytes::Bytes;
use serde::Serialize;
use takhin_core::{
    ConsumerId, LogId, Request, Response,
    response::{Consumed, ReadResult},
};

use super::{App, lines::append_line, messages::X_NEXT_OFFSET, mismatch};
use crate::{
    driver::{Answer, Fetched},
    http::{
        delivery::{Receipt, TrackedBody},
        dispatch::Asked,
        error::{ApiError, ApiResult},
        guard::Caller,
        input::media::BATCHES,
        link::Streaming,
        output::{
            now_ms,
            polled::{AfterRecords, LastTimestamps},
        },
        paced::{Cut, PIECE_BYTES, PacedBody, Pen},
    },
};

/// The first offset that was asked for.
const X_FROM_OFFSET: HeaderName = HeaderName::from_static("x-from-offset");
const X_LOG_START: HeaderName = HeaderName::from_static("x-log-start-offset");
const X_LOG_END: HeaderName = HeaderName::from_static("x-log-end-offset");

/// What stands before the batches of one partition.
#[derive(Serialize)]
struct Section<'a> {
    topic: &'a str,
    partition: u32,
    from: u64,
    next: u64,
    bytes: usize,
}

#[derive(Serialize)]
struct PollEnd<'a> {
    end: AfterRecords<'a>,
}

impl App {
    /// Answers a poll with batches.
    pub(super) async fn consume_in_batches(
        &self,
        caller: &Caller,
        consumer: ConsumerId,
        poll: Request,
        asked: Asked,
    ) -> ApiResult {
        let (answer, receipt) = self.poll_stored(caller, consumer, poll).await?;
        let Answer { response: Response::Consumed(found), records, .. } = answer else {
            return Err(mismatch(&answer.response));
        };
        let (bytes, spans) = records.map(Fetched::into_stored).unwrap_or_default();
        let receipt = receipt.keeping(self.answers.take(bytes.len() + PIECE_BYTES)?);
        let sections = sections(&found, &bytes, &spans)?;
        let streaming = asked.link.streaming();
        let body = PacedBody::new(|pen| write_poll(pen, found, sections, receipt, streaming));
        Ok(([(header::CONTENT_TYPE, BATCHES)], Body::new(body)).into_response())
    }

    /// Answers a read of one partition with batches.
    pub(super) async fn read_in_batches(&self, caller: &Caller, read: Request, asked: Asked) -> ApiResult {
        let answer = caller.while_known(self.broker.ask_stored(read)).await??;
        let Response::Read(ReadResult { log, from, next, bounds, .. }) = answer.response else {
            return Err(mismatch(&answer.response));
        };
        let (bytes, spans) = answer.records.map(Fetched::into_stored).unwrap_or_default();
        let bytes = spans.iter().find(|(of, _)| *of == log).map(|(_, span)| bytes.slice(span.clone()));
        let body = match bytes.filter(|bytes| !bytes.is_empty()) {
            None => Body::empty(),
            Some(bytes) => {
                let receipt = Receipt::of_read().keeping(self.answers.take(bytes.len())?);
                Body::new(TrackedBody::new(bytes, receipt, asked.link))
            }
        };
        let offsets =
            [(X_FROM_OFFSET, from), (X_NEXT_OFFSET, next), (X_LOG_START, bounds.start), (X_LOG_END, bounds.end)];
        let offsets = offsets.map(|(name, offset)| (name, HeaderValue::from(offset.0)));
        Ok(([(header::CONTENT_TYPE, BATCHES)], offsets, body).into_response())
    }
}

/// The sections of an answer, each with its bytes.
fn sections(
    found: &Consumed,
    bytes: &Bytes,
    spans: &[(LogId, std::ops::Range<usize>)],
) -> ApiResult<Vec<(Vec<u8>, Bytes)>> {
    let section = |part: &takhin_core::response::DeliveredPart| {
        let span = spans.iter().find(|(log, _)| *log == part.log).map(|(_, span)| span.clone());
        let batches = bytes.slice(span.ok_or_else(|| ApiError::bug("a poll's answer came without its batches"))?);
        let head = Section {
            topic: &part.topic,
            partition: part.log.partition,
            from: part.from.0,
            next: part.next.0,
            bytes: batches.len(),
        };
        let mut line = Vec::new();
        append_line(&mut line, &head).map_err(|Cut| ApiError::bug("a section's head has no JSON"))?;
        Ok((line, batches))
    };
    found.parts.iter().map(section).collect()
}

async fn write_poll(
    mut pen: Pen,
    found: Consumed,
    sections: Vec<(Vec<u8>, Bytes)>,
    receipt: Receipt,
    streaming: Streaming,
) -> Result<(), Cut> {
    for (head, batches) in sections {
        pen.write(head).await;
        if !batches.is_empty() {
            pen.write(batches).await;
        }
    }
    let mut line = Vec::new();
    append_line(&mut line, &PollEnd { end: AfterRecords::new(&found, &LastTimestamps::new(), now_ms()) })?;
    streaming.hand_over(receipt);
    drop(streaming);
    pen.finish(line);
    Ok(())
}
