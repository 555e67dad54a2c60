//! `GET /api/consumers/{id}/stream`: polls without end, their answers as server-sent events.
//!
//! ```text
//!   client asks for more -> poll -> event -> all of it is with the operating system -> poll, which says so -> ...
//! ```
//!
//! The next poll is made when the event before it was written, and says that it was. So a client that reads slowly
//! keeps its position and none of our memory, and what breaks off half written goes back as with any poll. What was
//! written and not read, the client gets again when it comes back with `Last-Event-ID`.

use std::{convert::Infallible, ops::RangeInclusive, sync::Arc};

use axum::{
    Extension,
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderValue, Uri, header},
    response::IntoResponse,
};
use bytes::Bytes;
use futures_util::stream;
use takhin_core::{BatchId, ConsumerId, PollLimits, RecordFormat, Refusal, Request, Response, SeekTo};

use super::{App, mismatch};
use crate::http::{
    delivery::Receipt,
    dispatch::Asked,
    error::{ApiError, ApiResult},
    guard::Caller,
    input::{
        consumers::{as_given, or_default},
        path::ConsumerPath,
        query::Query,
    },
    link::Streaming,
    output::{
        events::{self, HEARTBEAT, RETRY},
        now_ms,
        polled::consumed_bytes,
    },
    resume,
    streams::{Place, Replaced},
};

const EVENT_STREAM: HeaderValue = HeaderValue::from_static("text/event-stream");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");
const LAST_EVENT_ID: &str = "last-event-id";
/// How often a client that doesn't say is told that there is nothing.
pub(in crate::http) const DEFAULT_HEARTBEAT_MS: i64 = 15_000;
/// How often that may be asked for.
pub(in crate::http) const HEARTBEAT_MS: RangeInclusive<i64> = 1_000..=300_000;

pub(super) async fn stream(
    State(app): State<Arc<App>>,
    Extension(asked): Extension<Asked>,
    caller: Caller,
    ConsumerPath(consumer): ConsumerPath,
    uri: Uri,
    headers: HeaderMap,
) -> ApiResult {
    let query = Query::parse_with(&uri, &["max_records", "max_bytes_total", "min_bytes", "heartbeat_ms"], &["format"])?;
    let (limits, format) = (limits(&query)?, query.record_format()?);
    let place = app.streams.take_place(consumer).await;
    app.resume(consumer, headers.get(LAST_EVENT_ID)).await?;
    let streaming = asked.link.streaming();
    let (after, said) = (None, Said::Nothing);
    let first = Stream { app, caller, consumer, limits, format, after, place, streaming, id: asked.id, said };
    let chunks = stream::unfold(first, |stream| async {
        let (bytes, stream) = stream.next().await?;
        Some((Ok::<_, Infallible>(bytes), stream))
    });
    let headers = [(header::CONTENT_TYPE, EVENT_STREAM), (header::CACHE_CONTROL, NO_STORE)];
    Ok((headers, Body::from_stream(chunks)).into_response())
}

fn limits(query: &Query) -> Result<PollLimits, ApiError> {
    let default = PollLimits::default();
    let heartbeat_ms = query.get("heartbeat_ms").unwrap_or(DEFAULT_HEARTBEAT_MS);
    if !HEARTBEAT_MS.contains(&heartbeat_ms) {
        return Err(ApiError::out_of_range("heartbeat_ms", heartbeat_ms, *HEARTBEAT_MS.start(), *HEARTBEAT_MS.end()));
    }
    let limits = PollLimits {
        max_records: or_default(query.get("max_records"), default.max_records),
        max_bytes: or_default(query.get("max_bytes_total"), default.max_bytes),
        min_bytes: or_default(query.get("min_bytes"), default.min_bytes).max(1),
        timeout_ms: or_default(Some(heartbeat_ms), default.timeout_ms),
    };
    let given = ["max_records", "max_bytes_total", "min_bytes"].map(|name| (name, query.get(name)));
    limits.check().map_err(|refusal| as_given(refusal, &given))?;
    Ok(limits)
}

impl App {
    /// Refuses a consumer that is none, and puts it where its client says that it stands.
    async fn resume(&self, consumer: ConsumerId, last_event_id: Option<&HeaderValue>) -> Result<(), ApiError> {
        // A poll that waits on a dead connection is answered by the seek, and its records come again by the next.
        for _ in 0..2 {
            self.in_flight.landed(consumer).await;
            let description = self.describe(consumer).await?;
            let Some(token) = last_event_id else { return Ok(()) };
            let mut positions = Vec::new();
            for to in resume::seeks(&String::from_utf8_lossy(token.as_bytes()), &description)? {
                if self.has_offset(&to).await? {
                    positions.push(to);
                }
            }
            if positions.is_empty() {
                return Ok(());
            }
            self.consumer(Request::Seek { consumer, positions }).await?;
        }
        Ok(())
    }

    /// Whether a log has the offset that is sought, or ends there. One that is gone meanwhile has none.
    async fn has_offset(&self, to: &SeekTo) -> Result<bool, ApiError> {
        match self.broker.bounds(&to.topic, to.partition).await {
            Ok(log) => Ok(resume::is_within(to, log)),
            Err(Refusal::TopicNotFound { .. } | Refusal::PartitionNotFound { .. }) => Ok(false),
            Err(refusal) => Err(refusal.into()),
        }
    }
}

/// A stream between two events.
struct Stream {
    app: Arc<App>,
    caller: Caller,
    consumer: ConsumerId,
    limits: PollLimits,
    /// How its records are written, if not as the consumer wants them.
    format: Option<RecordFormat>,
    /// The last batch that was written.
    after: Option<BatchId>,
    place: Place,
    streaming: Streaming,
    /// The request's.
    id: HeaderValue,
    said: Said,
}

/// How far a stream is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Said {
    Nothing,
    Something,
    Goodbye,
}

impl Stream {
    /// What is sent next, and the stream after that.
    async fn next(mut self) -> Option<(Bytes, Self)> {
        match self.said {
            Said::Nothing => {
                self.said = Said::Something;
                Some((Bytes::from_static(RETRY), self))
            }
            Said::Goodbye => None,
            Said::Something => {
                let bytes = match self.poll().await {
                    Ok(bytes) => bytes,
                    Err(error) => {
                        self.said = Said::Goodbye;
                        events::error(&error, self.id.to_str().unwrap_or_default()).into()
                    }
                };
                Some((bytes, self))
            }
        }
    }

    /// The next event, once it is known what became of the one before it.
    async fn poll(&mut self) -> Result<Bytes, ApiError> {
        let Self { app, caller, consumer, limits, format, after, place, streaming, .. } = self;
        let poll = async {
            app.in_flight.settled(*consumer).await;
            caller.may_use(app, *consumer).await?;
            app.event(caller, *consumer, (*limits, *format), after, streaming).await
        };
        place.poll(poll).await.unwrap_or_else(|Replaced| Err(Refusal::PollSuperseded { consumer: *consumer }.into()))
    }
}

impl App {
    /// The next event of a stream, which has its place.
    async fn event(
        &self,
        caller: &Caller,
        consumer: ConsumerId,
        (limits, format): (PollLimits, Option<RecordFormat>),
        after: &mut Option<BatchId>,
        streaming: &Streaming,
    ) -> Result<Bytes, ApiError> {
        let poll = Request::Consume { consumer, limits, after_batch: *after };
        let answer = caller.while_known(self.broker.ask(poll)).await??;
        let receipt = Receipt::of_poll(self.broker.clone(), answer.request, consumer, &self.in_flight);
        let Response::Consumed(found) = &answer.response else {
            return Err(mismatch(&answer.response));
        };
        caller.may_have(found)?;
        let (records, now_ms) = (answer.records.as_ref(), now_ms());
        let write = || events::events(found, records, now_ms, format.unwrap_or(found.format));
        let (bytes, room) = self.with_room(consumed_bytes(found), write).await?;
        *after = Some(found.batch);
        if bytes.is_empty() {
            if self.broker.is_draining() {
                return Err(Refusal::ShuttingDown.into());
            }
            receipt.confirm();
            return Ok(Bytes::from_static(HEARTBEAT));
        }
        streaming.hand_over(receipt.keeping(room));
        Ok(bytes.into())
    }
}
