//! Record batches in, stored as they came.
//!
//! All of them are found good before the first is appended. They are appended in their order, each by itself: as with
//! any request, a part may be stored and another not, and then the answer says which.

use axum::http::StatusCode;
use serde::Serialize;
use serde_json::json;
use takhin_core::{Refusal, Response, TopicConfig, TopicName};

use super::{App, mismatch};
use crate::{
    driver::Bodies,
    http::{
        error::{ApiError, ApiResult},
        guard::Caller,
        input::{body::Received, produce::MAX_TIMESTAMP_MS, query::Query},
        output::json as answer_json,
        refusal::not_produced,
    },
    record::{BatchError, EncodedBatch, NotTaken, RecordRef},
};

/// Where one batch went.
#[derive(Serialize)]
struct Stored {
    partition: u32,
    offset: u64,
    records: u32,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    duplicate: bool,
}

#[derive(Serialize)]
struct AllStored {
    batches: Vec<Stored>,
}

impl App {
    /// Stores a body of batches in one partition.
    pub(super) async fn produce_batches(
        &self,
        caller: &Caller,
        topic: TopicName,
        query: &Query,
        body: Received,
    ) -> ApiResult {
        let found = self.broker.topic(&topic).await?;
        let missing = found.is_none();
        let made = || Some((topic.clone(), self.config.auto_create_partitions?, TopicConfig::default()));
        let found = found.map(|view| (view.name, view.partitions, view.config));
        let (name, partitions, config) =
            found.or_else(made).ok_or_else(|| Refusal::TopicNotFound { topic: topic.clone() })?;
        let partition = which_partition(query, partitions)?;
        let ignore = query.one_of("ignore_producer", &[("true", true), ("false", false)])?;
        let keep_producer = !ignore.unwrap_or(false);
        let max_headers = self.config.max_headers_per_record;
        let batches = self.read(&body, |bytes| parse(bytes, keep_producer, &config, max_headers)).await?;
        let _room = body.without_bytes();
        if missing {
            self.ensure_topics(caller, std::slice::from_ref(&name)).await?;
        }
        let mut stored = Vec::new();
        for batch in batches {
            let recognised = batch.producer().is_some();
            match self.store(&name, partition, batch).await {
                Ok(place) => stored.push(place),
                Err(error) if stored.is_empty() => {
                    return Err(if recognised { error.repeatable() } else { error });
                }
                Err(error) => {
                    let message = format!("some batches could not be stored: {error}");
                    return Err(ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "partly_produced", message)
                        .with("batches", json!(stored))
                        .with("cause", error.code())
                        .retry_after(1));
                }
            }
        }
        answer_json(&AllStored { batches: stored })
    }

    async fn store(&self, topic: &TopicName, partition: u32, batch: EncodedBatch) -> Result<Stored, ApiError> {
        let records = batch.records();
        let bodies = Bodies::from_iter([(partition, batch)]);
        match self.broker.produce(topic.clone(), bodies, None).await?.response {
            Response::Produced(results) => {
                let result = results.into_iter().next().ok_or_else(|| ApiError::bug("a batch has no result"))?;
                let base = result.result.map_err(not_produced)?;
                Ok(Stored { partition, offset: base.0, records, duplicate: result.duplicate })
            }
            other => Err(mismatch(&other)),
        }
    }
}

fn which_partition(query: &Query, partitions: u32) -> Result<u32, ApiError> {
    match query.get("partition") {
        Some(given) => {
            let found = u32::try_from(given).ok().filter(|partition| *partition < partitions);
            found.ok_or_else(|| {
                let message = format!("partition is {given}, and the topic has {partitions} partitions, from 0");
                ApiError::new(StatusCode::NOT_FOUND, "partition_not_found", message)
                    .with("partition", given)
                    .with("partitions", partitions)
            })
        }
        None if partitions == 1 => Ok(0),
        None => {
            let message = format!("the topic has {partitions} partitions: name one");
            Err(ApiError::malformed("missing_parameter", message).with("parameter", "partition"))
        }
    }
}

fn parse(
    mut bytes: &[u8],
    keep_producer: bool,
    config: &TopicConfig,
    max_headers: usize,
) -> Result<Vec<EncodedBatch>, ApiError> {
    let check = |record: &RecordRef<'_>| check(record, config, max_headers);
    let mut batches = Vec::new();
    while !bytes.is_empty() {
        let (batch, taken) =
            EncodedBatch::from_client(bytes, keep_producer, check).map_err(|error| refused(batches.len(), &error))?;
        batches.push(batch);
        bytes = &bytes[taken..];
    }
    if batches.is_empty() {
        return Err(ApiError::unacceptable("empty", "batches", "the body must have a batch"));
    }
    Ok(batches)
}

fn check(record: &RecordRef<'_>, config: &TopicConfig, max_headers: usize) -> Result<(), String> {
    let max_bytes = usize::try_from(config.max_message_bytes).unwrap_or(usize::MAX);
    let headers = record.headers.clone().map(|(name, value)| name.len() + value.map_or(0, <[u8]>::len));
    let bytes = record.key.map_or(0, <[u8]>::len) + record.value.map_or(0, <[u8]>::len) + headers.sum::<usize>();
    if bytes > max_bytes {
        return Err(format!("it has {bytes} bytes, and a record may have at most {max_bytes}"));
    }
    if record.headers.len() > max_headers {
        return Err(format!("it has {} headers, and a record may have at most {max_headers}", record.headers.len()));
    }
    if !(0..=MAX_TIMESTAMP_MS).contains(&record.timestamp_ms) {
        return Err(format!("its timestamp is {}, and must be from 0 to {MAX_TIMESTAMP_MS}", record.timestamp_ms));
    }
    if record.key.is_none() && config.cleanup.compacts() {
        return Err("it needs a key: the topic keeps the latest record of each key".to_owned());
    }
    Ok(())
}

fn refused(index: usize, error: &NotTaken) -> ApiError {
    let damaged = matches!(error, NotTaken::Batch(BatchError::Checksum { .. } | BatchError::Truncated { .. }));
    let code = if damaged { "damaged_batch" } else { "invalid_batch" };
    let field = format!("batches[{index}]");
    let refused = ApiError::unacceptable(code, &field, format!("{field}: {error}"));
    match error {
        NotTaken::Record { index, .. } => refused.with("record", *index),
        _ => refused,
    }
}
