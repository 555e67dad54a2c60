//! The answers of `/api/topics`.

use std::collections::BTreeSet;

use schemars::{JsonSchema, Schema};
use serde::Serialize;
use serde_json::{Value, json};
use takhin_core::{
    Offset, RecordFormat, TopicConfig, TopicDurability, TopicName,
    response::{Bounds, ProducedBatch, ReadResult, TopicDescription},
};

use super::records::{FRAME_BYTES, write_record};
use crate::{
    driver::Fetched,
    http::{
        error::ApiError,
        input::produce::Place,
        openapi::schema::property,
        refusal::{not_produced, storage_retry_after},
    },
};

/// A topic.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(transform = shown)]
pub(crate) struct Topic<'a> {
    /// Its name.
    name: &'a TopicName,
    /// How many partitions it has.
    partitions: usize,
    /// Where each partition starts and ends.
    offsets: Vec<PartitionBounds>,
    #[serde(flatten)]
    config: TopicConfig,
    /// When an append to it is answered: `fsync`, `os` or `interval:MS`. What the server is set to, unless the topic says
    /// otherwise. Not there in a cluster, where an append is always answered once all replicas in sync have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    durability: Option<&'a str>,
}

/// What is shown of the durability is not what can be set.
fn shown(object: &mut Schema) {
    *property(object, "durability") = serde_json::json!({
        "type": "string", "pattern": "^(?:fsync|os|interval:[0-9]+)$",
        "description": "When an append to it is answered: as it is set, or else as the server is. Not there in a cluster, where \
                        an append is always answered once all replicas in sync have it.",
    });
}

/// Where a partition's log starts and ends.
#[derive(Debug, Serialize, JsonSchema)]
struct PartitionBounds {
    /// The partition.
    partition: usize,
    /// Its first offset.
    start: Offset,
    /// The offset of the record that comes next.
    end: Offset,
    /// Only in a cluster, and true: the partition has no leader now, so nobody says where it starts and ends. What is shown
    /// is what the server heard last; 0 and 0 if it has heard of it at no time since it was started.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    leaderless: bool,
}

impl<'a> Topic<'a> {
    /// A topic of a server that is set to `durability`, if that is the server's to say, some of whose partitions have no
    /// leader.
    pub(crate) fn new(topic: &'a TopicDescription, durability: Option<&'a str>, leaderless: &BTreeSet<u32>) -> Self {
        let bounds = |(partition, bounds): (usize, &Bounds)| {
            let leaderless = u32::try_from(partition).is_ok_and(|number| leaderless.contains(&number));
            PartitionBounds { partition, start: bounds.start, end: bounds.end, leaderless }
        };
        Self {
            name: &topic.name,
            partitions: topic.partitions.len(),
            offsets: topic.partitions.iter().enumerate().map(bounds).collect(),
            config: TopicConfig { durability: TopicDurability::Server, ..topic.config },
            durability: match topic.config.durability {
                TopicDurability::Server => durability,
                TopicDurability::Fsync => Some("fsync"),
                TopicDurability::Os => Some("os"),
            },
        }
    }
}

/// `GET /api/topics`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Topics<'a> {
    topics: Vec<Topic<'a>>,
}

impl<'a> Topics<'a> {
    pub(crate) fn new(topics: Vec<Topic<'a>>) -> Self {
        Self { topics }
    }
}

/// `DELETE /api/topics/{topic}`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct TopicDeleted<'a> {
    pub(crate) name: &'a TopicName,
    pub(crate) message: &'static str,
}

/// What a record takes in [`Produced`], about.
pub(crate) const PLACE_BYTES: usize = 64;

/// Where each record went, in the request's order.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Produced {
    offsets: Vec<RecordPlace>,
    /// Whether an earlier request had appended all of it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    duplicate: bool,
}

/// Where a record is.
#[derive(Debug, Serialize, JsonSchema)]
struct RecordPlace {
    /// The partition.
    partition: u32,
    /// The offset.
    offset: u64,
    /// Its time. Left out where only the earlier request's answer knew it.
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<i64>,
}

impl Produced {
    /// The answer, if every batch was appended.
    ///
    /// # Errors
    /// 503: `storage_unavailable` if no batch was, `partly_produced` if some were. The latter's
    /// `details.offsets` has null for each record that was not appended, and is not to be repeated as a whole.
    pub(crate) fn new(places: &[Place], batches: &[ProducedBatch]) -> Result<Self, ApiError> {
        let failed = batches.iter().filter_map(|batch| batch.result.as_ref().err());
        if let Some(error) = failed.clone().next() {
            if failed.count() == batches.len() {
                return Err(not_produced(error.clone()));
            }
            let offsets = places.iter().map(|place| Ok(place_of(place, batches)?.map(|at| json!(at))));
            let offsets = offsets.collect::<Result<Vec<_>, ApiError>>()?;
            let message = format!("some partitions could not take their records: {error}");
            let details = Value::from(offsets.into_iter().map(Option::unwrap_or_default).collect::<Vec<_>>());
            return Err(ApiError::new(axum::http::StatusCode::SERVICE_UNAVAILABLE, "partly_produced", message)
                .with("offsets", details)
                .retry_after(storage_retry_after(error)));
        }
        let place = |place| place_of(place, batches)?.ok_or_else(|| ApiError::bug("a batch has no offset"));
        let duplicate = batches.iter().all(|batch| batch.duplicate);
        Ok(Self { offsets: places.iter().map(place).collect::<Result<_, _>>()?, duplicate })
    }
}

/// Where one record is; [`None`] if its batch was not appended.
fn place_of(place: &Place, batches: &[ProducedBatch]) -> Result<Option<RecordPlace>, ApiError> {
    let batch = batches
        .get(place.batch as usize)
        .ok_or_else(|| ApiError::bug("the answer to a produce request leaves a batch out"))?;
    Ok(batch.result.as_ref().ok().map(|base| RecordPlace {
        partition: batch.partition,
        offset: match batch.scattered.get(place.index as usize) {
            Some(offset) => offset.0,
            None => base.0 + u64::from(place.index),
        },
        timestamp: (!batch.duplicate || place.has_own_timestamp).then_some(place.timestamp_ms),
    }))
}

/// A guess at the length of [`messages`], as for the answer to a poll.
pub(crate) fn messages_bytes(topic: &TopicName, read: &ReadResult, fetched: Option<&Fetched>) -> usize {
    let records = usize::try_from(read.next.0.saturating_sub(read.from.0)).unwrap_or(usize::MAX).min(10_000);
    let bytes = fetched.map_or(0, Fetched::bytes);
    2 + bytes + bytes / 8 + records * (FRAME_BYTES + topic.len())
}

/// `GET /{topic}/messages`: the records, in an array.
pub(crate) fn messages(
    topic: &TopicName,
    read: &ReadResult,
    fetched: Option<&Fetched>,
    format: RecordFormat,
) -> Vec<u8> {
    let mut out = Vec::with_capacity(messages_bytes(topic, read, fetched));
    out.push(b'[');
    if let Some(fetched) = fetched {
        for record in fetched.records(read.log) {
            let partition = read.log.partition;
            if out.len() > 1 {
                out.push(b',');
            }
            write_record(&mut out, topic, partition, &record, format);
        }
    }
    out.push(b']');
    out
}

/// Where a partition's log starts and ends, and where a time is in it.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct PartitionOffsets<'a> {
    /// The topic.
    pub(crate) topic: &'a TopicName,
    /// The partition.
    pub(crate) partition: u32,
    /// Its first offset.
    pub(crate) start: Offset,
    /// The offset of the record that comes next.
    pub(crate) end: Offset,
    /// Only if a time was asked for.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub(crate) at: Option<AtTime>,
}

/// The first record that is not older than a time; null where all are older.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct AtTime {
    /// The time that was asked for.
    pub(crate) timestamp_ms: i64,
    /// The first record that is not older; null if there is none.
    pub(crate) offset: Option<Offset>,
    /// Its time.
    pub(crate) timestamp: Option<i64>,
}

#[cfg(test)]
mod tests {
    use takhin_core::StorageError;

    use super::*;

    #[test]
    fn a_topic_of_a_cluster_says_nothing_of_durability_and_which_partitions_have_no_leader() {
        let topic = TopicDescription {
            id: takhin_core::TopicId(1),
            name: TopicName::new("orders").expect("a good name"),
            partitions: vec![Bounds { start: Offset(2), end: Offset(5) }, Bounds::default()],
            config: TopicConfig::default(),
        };
        let shown = json!(Topic::new(&topic, None, &[1].into()));
        assert_eq!(shown.get("durability"), None);
        let offsets =
            json!([{"partition": 0, "start": 2, "end": 5}, {"partition": 1, "start": 0, "end": 0, "leaderless": true}]);
        assert_eq!(shown["offsets"], offsets);
        assert_eq!(json!(Topic::new(&topic, Some("os"), &BTreeSet::new()))["durability"], "os");
    }

    const PLACES: [Place; 3] = [
        Place { batch: 0, index: 0, timestamp_ms: 5, has_own_timestamp: true },
        Place { batch: 1, index: 0, timestamp_ms: 6, has_own_timestamp: true },
        Place { batch: 0, index: 1, timestamp_ms: 7, has_own_timestamp: false },
    ];

    fn batch(partition: u32, result: Result<Offset, StorageError>) -> ProducedBatch {
        ProducedBatch { partition, records: 2, result, duplicate: false, scattered: Vec::new() }
    }

    #[test]
    fn every_record_is_told_its_place() {
        let batches = [batch(4, Ok(Offset(10))), batch(2, Ok(Offset(7)))];
        let produced = Produced::new(&PLACES, &batches).expect("all went well");
        assert_eq!(
            json!(produced),
            json!({"offsets": [
                {"partition": 4, "offset": 10, "timestamp": 5},
                {"partition": 2, "offset": 7, "timestamp": 6},
                {"partition": 4, "offset": 11, "timestamp": 7},
            ]})
        );
    }

    #[test]
    fn a_duplicate_has_the_original_offsets_and_no_time_that_may_not_be_the_original() {
        let duplicate = |partition, base| ProducedBatch { duplicate: true, ..batch(partition, Ok(Offset(base))) };
        let produced = Produced::new(&PLACES, &[duplicate(4, 10), duplicate(2, 7)]).expect("all went well");
        assert_eq!(
            json!(produced),
            json!({"duplicate": true, "offsets": [
                {"partition": 4, "offset": 10, "timestamp": 5},
                {"partition": 2, "offset": 7, "timestamp": 6},
                {"partition": 4, "offset": 11},
            ]})
        );
        let produced = Produced::new(&PLACES, &[duplicate(4, 10), batch(2, Ok(Offset(7)))]).expect("all went well");
        assert_eq!(json!(produced)["duplicate"], Value::Null, "a part of it is new");
    }

    #[test]
    fn a_part_that_failed_is_told_from_one_that_did_not() {
        let batches = [batch(4, Ok(Offset(10))), batch(2, Err(StorageError::Full))];
        let error = Produced::new(&PLACES, &batches).expect_err("a part failed");
        assert_eq!((error.status().as_u16(), error.code(), error.is_retryable()), (503, "partly_produced", false));
        assert_eq!(
            error.details()["offsets"],
            json!([
                {"partition": 4, "offset": 10, "timestamp": 5},
                null,
                {"partition": 4, "offset": 11, "timestamp": 7},
            ])
        );
    }

    #[test]
    fn a_request_that_failed_as_a_whole_may_be_repeated() {
        let batches = [batch(4, Err(StorageError::Full)), batch(2, Err(StorageError::Full))];
        let error = Produced::new(&PLACES, &batches).expect_err("all failed");
        assert_eq!((error.status().as_u16(), error.code(), error.is_retryable()), (503, "storage_unavailable", true));
    }
}
