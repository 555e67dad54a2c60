//! Records in and out of a topic, without a consumer.

use std::sync::Arc;

use axum::{
    Extension,
    extract::{Request as HttpRequest, State},
    http::{HeaderMap, HeaderName, HeaderValue, Uri, request::Parts as HttpParts},
};
use takhin_core::{
    Offset, Parts, PollLimits, Refusal, Request, Response, TopicConfig, TopicName,
    response::{Bounds, ProducedBatch},
};

use super::{App, lines::LongRead, mismatch};
use crate::{
    driver::TopicView,
    http::{
        delivery::Receipt,
        dispatch::Asked,
        error::{ApiError, ApiResult},
        guard::Caller,
        input::{
            body::Received,
            conditions::IdempotencyKey,
            consumers::{as_given, or_default},
            media::{Accepted, Form},
            offsets::partition_number,
            path::{PartitionPath, TopicPath},
            produce::{Place, Rules, parse},
            query::Query,
        },
        long_work::LONG_TO_WRITE_BYTES,
        output::{
            json, now_ms,
            topics::{AtTime, PLACE_BYTES, PartitionOffsets, Produced, messages, messages_bytes},
        },
    },
};

/// The offset to read from next.
pub(super) const X_NEXT_OFFSET: HeaderName = HeaderName::from_static("x-next-offset");

/// Records in, in whatever form they come.
pub(super) async fn produce(
    State(app): State<Arc<App>>,
    Extension(asked): Extension<Asked>,
    caller: Caller,
    TopicPath(topic): TopicPath,
    request: HttpRequest,
) -> ApiResult {
    let (parts, body) = request.into_parts();
    let HttpParts { uri, headers, .. } = &parts;
    match Form::sent(headers) {
        // In places of their own, so that no request that is one of JSON has the room that these need.
        Form::Lines => Box::pin(app.upload(caller, topic, asked, uri, headers, body)).await,
        Form::Batches => {
            let query = Query::parse_with(uri, &["partition"], &["ignore_producer"])?;
            let body = app.receive(&caller, headers, body).await?;
            Box::pin(app.produce_batches(&caller, topic, &query, body)).await
        }
        Form::Json => {
            Query::parse(uri, &[])?;
            let body = app.receive(&caller, headers, body).await?;
            produce_json(app, &caller, topic, headers, body).await
        }
    }
}

async fn produce_json(
    app: Arc<App>,
    caller: &Caller,
    topic: TopicName,
    headers: &HeaderMap,
    body: Received,
) -> ApiResult {
    let Appended { places, batches, recognised } = app.append(caller, topic, headers, body).await?;
    let again = |error: ApiError| if recognised { error.repeatable() } else { error };
    let long = places.len() * PLACE_BYTES >= LONG_TO_WRITE_BYTES;
    app.long_work.run(long, || json(&Produced::new(&places, &batches).map_err(again)?)).await
}

/// What became of a request's records.
pub(in crate::http) struct Appended {
    /// Where each record went, in the request's order.
    pub(in crate::http) places: Vec<Place>,
    /// What became of each batch.
    pub(in crate::http) batches: Parts<ProducedBatch>,
    /// Whether the same request is recognised when it comes again.
    recognised: bool,
}

/// `partition` may be left out where the topic has but one. Reading begins at `offset`, or at the first record not
/// older than `timestamp_ms`, or else at the log's start. It gives at most `limit` records and `max_bytes`, but one record
/// always, and waits `wait_ms` for the first if the log has none yet. In lines it is bounded by `limit` alone.
pub(super) async fn read(
    State(app): State<Arc<App>>,
    Extension(asked): Extension<Asked>,
    caller: Caller,
    TopicPath(topic): TopicPath,
    uri: Uri,
    Accepted(form): Accepted,
) -> ApiResult {
    let query = if form == Form::Lines {
        Query::parse_with(
            &uri,
            &["partition", "offset", "timestamp_ms", "limit", "wait_ms", "heartbeat_ms"],
            &["follow", "format"],
        )
    } else {
        Query::parse_with(&uri, &["partition", "offset", "timestamp_ms", "limit", "max_bytes", "wait_ms"], &["format"])
    }?;
    let format = query.record_format()?.unwrap_or_default();
    if form == Form::Lines {
        let read = app.long_read(topic, &query).await?;
        return Box::pin(app.read_in_lines(caller, read, asked)).await;
    }
    let limits = limits(&query)?;
    let (view, partition) = app.which_log(topic, &query).await?;
    let offset = app.where_to_begin(&view, partition, &query).await?;
    let topic = view.name;
    let read = Request::Read { topic: topic.clone(), partition, offset, limits };
    if form == Form::Batches {
        return Box::pin(app.read_in_batches(&caller, read, asked)).await;
    }
    let answer = caller.while_known(app.broker.ask(read)).await??;
    let Response::Read(found) = &answer.response else {
        return Err(mismatch(&answer.response));
    };
    let records = answer.records.as_ref();
    let write = || Ok(messages(&topic, found, records, format));
    let mut response = app.write(messages_bytes(&topic, found, records), Receipt::of_read(), asked.link, write).await?;
    response.headers_mut().insert(X_NEXT_OFFSET, HeaderValue::from(found.next.0));
    Ok(response)
}

fn limits(query: &Query) -> Result<PollLimits, ApiError> {
    let given = ["limit", "max_bytes", "wait_ms"].map(|name| (name, query.get(name)));
    let [(_, limit), (_, max_bytes), (_, wait_ms)] = given;
    let limits = PollLimits {
        max_records: or_default(limit, PollLimits::default().max_records),
        max_bytes: or_default(max_bytes, PollLimits::default().max_bytes),
        timeout_ms: or_default(wait_ms, 0),
        ..PollLimits::default()
    };
    limits.check().map_err(|refusal| as_given(in_words_of_the_query(refusal), &given))?;
    Ok(limits)
}

pub(super) async fn offsets(
    State(app): State<Arc<App>>,
    PartitionPath(topic, partition): PartitionPath,
    uri: Uri,
) -> ApiResult {
    let query = Query::parse(&uri, &["timestamp_ms"])?;
    let Bounds { start, end } = app.broker.bounds(&topic, partition).await?;
    let at = match query.get("timestamp_ms") {
        None => None,
        Some(timestamp_ms) => {
            let found = app.broker.lookup_time(&topic, partition, timestamp_ms).await?;
            Some(AtTime {
                timestamp_ms,
                offset: found.map(|(offset, _)| offset),
                timestamp: found.map(|(_, timestamp)| timestamp),
            })
        }
    };
    json(&PartitionOffsets { topic: &topic, partition, start, end, at })
}

impl App {
    /// A read in lines, which is as long as it is asked for.
    async fn long_read(&self, topic: TopicName, query: &Query) -> Result<LongRead, ApiError> {
        let in_range = |name: &'static str, default: i64, min: i64, max: i64| {
            let value = query.get(name).unwrap_or(default);
            if (min..=max).contains(&value) { Ok(value) } else { Err(ApiError::out_of_range(name, value, min, max)) }
        };
        let limit = in_range("limit", i64::MAX, 1, i64::MAX)?;
        let wait_ms = in_range("wait_ms", 0, 0, 300_000)?;
        let heartbeat_ms = in_range("heartbeat_ms", 15_000, 1_000, 300_000)?;
        let follow = query.one_of("follow", &[("true", true), ("false", false)])?.unwrap_or(false);
        let (view, partition) = self.which_log(topic, query).await?;
        let until = self.broker.bounds(&view.name, partition).await?.end;
        Ok(LongRead {
            next: self.where_to_begin(&view, partition, query).await?,
            topic: view.name,
            partition,
            left: limit.unsigned_abs(),
            until,
            wait_ms: u32::try_from(wait_ms).unwrap_or_default(),
            format: query.record_format()?.unwrap_or_default(),
            follow: follow.then(|| u32::try_from(heartbeat_ms).unwrap_or_default()),
        })
    }

    async fn which_log(&self, topic: TopicName, query: &Query) -> Result<(TopicView, u32), ApiError> {
        let view = self.look_up(topic).await?;
        let partition = match query.get("partition") {
            Some(given) => partition_number("partition", given)?,
            None if view.partitions == 1 => 0,
            None => {
                let message = format!("topic {:?} has {} partitions: name one", view.name, view.partitions);
                return Err(ApiError::malformed("missing_parameter", message).with("parameter", "partition"));
            }
        };
        Ok((view, partition))
    }

    /// Appends the records of a body. Holds the body's room until then, so that what waits for the disk is bounded too.
    pub(in crate::http) async fn append(
        &self,
        caller: &Caller,
        topic: TopicName,
        headers: &HeaderMap,
        body: Received,
    ) -> ApiResult<Appended> {
        let key = IdempotencyKey::of(headers, &body.bytes)?;
        // A topic that is missing is made once the records are known to be good.
        let found = self.broker.topic(&topic).await?;
        let missing = found.is_none();
        let will_have = found.map(|view| (view.name, view.partitions, view.config));
        let made = || Some((topic.clone(), self.config.auto_create_partitions?, TopicConfig::default()));
        let (name, partitions, kept) = will_have.or_else(made).ok_or(Refusal::TopicNotFound { topic })?;
        let rules = Rules {
            config: &self.config,
            partitions,
            sticky_partition: match key {
                Some(key) => key.partition(partitions),
                None => self.sticky.next(&name, partitions),
            },
            now_ms: now_ms(),
            topic: &kept,
            key,
        };
        let parsed = self.read(&body, |json| parse(json, rules)).await?;
        let _room = body.without_bytes();
        if missing {
            self.ensure_topics(caller, std::slice::from_ref(&name)).await?;
        }
        // What is recognised when it comes again can be sent again.
        let recognised = parsed.batches.iter().all(|(_, batch)| batch.producer().is_some());
        let answer = self.broker.produce(name, parsed.batches, parsed.expected_offset).await;
        let again = |error: ApiError| if recognised { error.repeatable() } else { error };
        match answer.map_err(|refusal| again(refusal.into()))?.response {
            Response::Produced(batches) => Ok(Appended { places: parsed.places, batches, recognised }),
            other => Err(mismatch(&other)),
        }
    }

    async fn look_up(&self, topic: TopicName) -> Result<TopicView, Refusal> {
        self.broker.topic(&topic).await?.ok_or(Refusal::TopicNotFound { topic })
    }

    async fn where_to_begin(&self, view: &TopicView, partition: u32, query: &Query) -> Result<i64, ApiError> {
        let place = match (query.get("offset"), query.get("timestamp_ms")) {
            (Some(_), Some(_)) => {
                let message = "a read begins at an offset or at a timestamp_ms, not both";
                return Err(ApiError::malformed("conflicting_parameters", message).with("parameter", "timestamp_ms"));
            }
            (Some(offset), None) => return Ok(offset),
            (None, None) => self.broker.bounds(&view.name, partition).await?.start,
            (None, Some(timestamp_ms)) => return self.offset_at(&view.name, partition, timestamp_ms).await,
        };
        as_signed(place)
    }

    /// Where the first record stands that is not older; the log's end as it was before the search if there is none, so
    /// that what came meanwhile isn't passed over.
    pub(super) async fn offset_at(
        &self,
        topic: &TopicName,
        partition: u32,
        timestamp_ms: i64,
    ) -> Result<i64, ApiError> {
        let end = self.broker.bounds(topic, partition).await?.end;
        let found = self.broker.lookup_time(topic, partition, timestamp_ms).await?;
        as_signed(found.map_or(end, |(offset, _)| offset))
    }
}

pub(super) fn as_signed(offset: Offset) -> Result<i64, ApiError> {
    i64::try_from(offset.0).map_err(|_| ApiError::bug(format!("offset {} is impossible", offset.0)))
}

/// The core names limits as a poll does.
fn in_words_of_the_query(refusal: Refusal) -> Refusal {
    match refusal {
        Refusal::OutOfRange { field, value, min, max } => {
            let field = match field.as_str() {
                "max_records" => "limit".to_owned(),
                "max_bytes_total" => "max_bytes".to_owned(),
                "timeout_ms" => "wait_ms".to_owned(),
                _ => field,
            };
            Refusal::OutOfRange { field, value, min, max }
        }
        other => other,
    }
}
