//! The body of `POST /api/topics/{topic}/produce`, straight into batches.
//!
//! The body is parsed once, record by record; each record's bytes go from where they lie into the batch of its
//! partition. Nothing is given to the broker before the last record has been found good. A body that is not good
//! is parsed a second time to learn which field was wrong.
//!
//! * A record goes to its `partition`; else to the partition of its `key`, by Kafka's rule; else to the one
//!   partition that all such records of the request share.
//! * A `value` that is a string is stored as its text, `null` or none as no value at all (a tombstone), any other
//!   JSON as it is written.

use axum::http::StatusCode;
use rustc_hash::FxHashMap;
use serde::de::DeserializeSeed;
use serde_json::value::RawValue;
use serde_path_to_error::Track;
use smallvec::SmallVec;
use takhin_core::{Offset, TopicConfig};

use super::{
    conditions::{Conditions, IdempotencyKey, Wishes},
    explain::{expect_object, explain, utf8},
    produce_body::BodySeed,
    record::{Draft, Named, Scratch, not_base64},
    text::{Encoding, LoneSurrogate, Piece, decode_base64, unescape},
};
use crate::{
    http::{config::HttpConfig, error::ApiError},
    record::{BatchBuilder, EncodedBatch, partition_for_key},
};

/// The latest time that a record may bear: the last millisecond of the year 9999.
pub(crate) const MAX_TIMESTAMP_MS: i64 = 253_402_300_799_999;

/// What a request's records are measured by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules<'c> {
    pub(crate) config: &'c HttpConfig,
    /// How many partitions the topic has, at least one.
    pub(crate) partitions: u32,
    /// Where records without key and partition go.
    pub(crate) sticky_partition: u32,
    /// The time of records that don't bear one.
    pub(crate) now_ms: i64,
    /// How the topic's logs are kept.
    pub(crate) topic: &'c TopicConfig,
    /// The request's idempotency key, if it has one.
    pub(crate) key: Option<IdempotencyKey>,
}

/// A request's records, ready to be appended.
#[derive(Debug, Default)]
pub(crate) struct ParsedRecords {
    /// A batch for each partition touched.
    pub(crate) batches: SmallVec<[(u32, EncodedBatch); 1]>,
    /// Where each record of the request went, in the request's order.
    pub(crate) places: Vec<Place>,
    /// Where the partition's log has to end.
    pub(crate) expected_offset: Option<Offset>,
}

/// Where one record went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Which of the batches.
    pub(crate) batch: u32,
    /// Which record of the batch.
    pub(crate) index: u32,
    /// The record's time.
    pub(crate) timestamp_ms: i64,
    /// Whether the request says so.
    pub(crate) has_own_timestamp: bool,
}

/// Parses and checks a request's records.
pub(crate) fn parse(body: &[u8], rules: Rules<'_>) -> Result<ParsedRecords, ApiError> {
    let text = utf8(body)?;
    expect_object(text)?;
    let mut sink = Sink::new(rules, body.len());
    let mut json = serde_json::Deserializer::from_str(text);
    let result = BodySeed(&mut sink).deserialize(&mut json);
    if let Some(error) = sink.fault {
        return Err(error);
    }
    result.map_err(|error| explain(&locate(text, rules), &error))?;
    json.end().map_err(|error| explain("", &error))?;
    sink.finish()
}

/// The path of the field at which parsing fails.
fn locate(text: &str, rules: Rules<'_>) -> String {
    let mut sink = Sink::new(rules, 0);
    let mut json = serde_json::Deserializer::from_str(text);
    let mut track = Track::new();
    match BodySeed(&mut sink).deserialize(serde_path_to_error::Deserializer::new(&mut json, &mut track)) {
        Ok(()) => String::new(),
        Err(_) => track.path().to_string(),
    }
}

/// Where records go as they are parsed.
pub(super) struct Sink<'c> {
    rules: Rules<'c>,
    body_bytes: usize,
    /// Whether each record stands in a line of its own.
    in_lines: bool,
    pub(super) builders: SmallVec<[(u32, BatchBuilder); 1]>,
    batch_of: FxHashMap<u32, u32>,
    places: Vec<Place>,
    pub(super) wishes: Wishes,
    /// The first record that could have gone to another partition as well.
    anywhere: Option<usize>,
    pub(super) scratch: Scratch,
    /// What ended the parsing, if it was no fault of the JSON's shape.
    pub(super) fault: Option<ApiError>,
}

impl<'c> Sink<'c> {
    fn new(rules: Rules<'c>, body_bytes: usize) -> Self {
        Self {
            rules,
            body_bytes,
            in_lines: false,
            builders: SmallVec::new(),
            batch_of: FxHashMap::default(),
            places: Vec::new(),
            wishes: Wishes::default(),
            anywhere: None,
            scratch: Scratch::new(rules.config.max_headers_per_record),
            fault: None,
        }
    }

    /// The same for records each of which stands in a line of its own.
    pub(super) fn of_lines(rules: Rules<'c>, bytes: usize) -> Self {
        Self { in_lines: true, ..Self::new(rules, bytes) }
    }

    /// How errors call the next record.
    pub(super) fn named(&self) -> Named {
        if self.in_lines { Named::InLine } else { Named::At(self.places.len()) }
    }

    fn finish(mut self) -> Result<ParsedRecords, ApiError> {
        if self.places.is_empty() {
            return Err(ApiError::unacceptable("empty", "records", "records must not be empty"));
        }
        let places = self.builders.iter().map(|(partition, builder)| (*partition, builder.records()));
        let key = self.rules.key.map(|key| key.of_records(places));
        let Conditions { producer, expected_offset } = self.wishes.check(key)?;
        if self.wishes.need_one_partition() {
            self.one_partition()?;
        }
        if let Some(stamp) = producer {
            self.builders.iter_mut().for_each(|(_, builder)| builder.stamp(stamp));
        }
        let compression = self.wishes.compression.unwrap_or(self.rules.topic.compression);
        let finish = |(partition, mut builder): (u32, BatchBuilder)| {
            builder.compress(compression);
            Some((partition, builder.finish()?))
        };
        let batches = self.builders.into_iter().filter_map(finish).collect();
        Ok(ParsedRecords { batches, places: self.places, expected_offset })
    }

    /// Refuses records for several partitions, and records of which only chance says where they go.
    fn one_partition(&self) -> Result<(), ApiError> {
        if let Some(index) = self.anywhere {
            let field = Named::At(index).field("partition");
            let message = format!("{field} is needed: with a sequence or an expected_offset no record may go anywhere");
            return Err(ApiError::unacceptable("partition_needed", &field, message));
        }
        if self.builders.len() > 1 {
            let message = "a sequence or an expected_offset is that of one partition, and the records go to several";
            return Err(ApiError::unacceptable("several_partitions", "records", message)
                .with("partitions", self.builders.iter().map(|(partition, _)| *partition).collect::<Vec<_>>()));
        }
        Ok(())
    }

    /// Takes the next record, whose headers are in the scratch.
    pub(super) fn take(&mut self, draft: Draft<'_>) -> Result<(), ApiError> {
        let index = self.places.len();
        if index == self.rules.config.max_records_per_request {
            let message = format!("a request may have at most {index} records");
            return Err(ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "too_many_records", message)
                .with("field", "records")
                .with("max", index));
        }
        let parts = self.parts(draft)?;
        if parts.goes_anywhere && self.rules.partitions > 1 {
            self.anywhere.get_or_insert(index);
        }
        self.put(&parts)
    }

    /// Checks a record whose headers are in the scratch, and says what it is to be stored as.
    pub(super) fn parts<'b>(&mut self, draft: Draft<'b>) -> Result<RecordParts<'b>, ApiError> {
        let key = self.key(draft.key, draft.key_encoding)?;
        let value = self.value(draft.value, draft.value_encoding)?;
        self.check(key, value, draft.partition, draft.timestamp)
    }

    /// The same where key and value are at hand.
    pub(super) fn check<'b>(
        &mut self,
        key: Option<Piece<'b>>,
        value: Option<Piece<'b>>,
        partition: Option<i64>,
        timestamp: Option<i64>,
    ) -> Result<RecordParts<'b>, ApiError> {
        let Rules { now_ms, topic, .. } = self.rules;
        let timestamp_ms = timestamp.unwrap_or(now_ms);
        if !(0..=MAX_TIMESTAMP_MS).contains(&timestamp_ms) {
            let field = self.named().field("timestamp");
            return Err(ApiError::out_of_range(&field, timestamp_ms, 0, MAX_TIMESTAMP_MS));
        }
        if key.is_none() && topic.cleanup.compacts() {
            let field = self.named().field("key");
            let message = format!("{field} is needed: the topic keeps the latest record of each key");
            return Err(ApiError::unacceptable("key_needed", &field, message));
        }
        let goes_anywhere = partition.is_none() && key.is_none();
        let partition = self.partition(partition, key.as_ref())?;
        let has_own_timestamp = timestamp.is_some();
        Ok(RecordParts { key, value, partition, goes_anywhere, timestamp_ms, has_own_timestamp })
    }

    /// Puts a record into the batch of its partition.
    pub(super) fn put(&mut self, parts: &RecordParts<'_>) -> Result<(), ApiError> {
        let RecordParts { partition, timestamp_ms, has_own_timestamp, .. } = *parts;
        let (named, topic) = (self.named(), self.rules.topic);
        let batch = self.batch(partition);
        let scratch = &self.scratch;
        let key = parts.key.as_ref().map(|piece| piece.bytes(&scratch.bytes));
        let value = parts.value.as_ref().map(|piece| piece.bytes(&scratch.bytes));
        let headers = scratch.headers();
        let header_bytes = headers.clone().map(|(name, value)| name.len() + value.map_or(0, <[u8]>::len));
        let bytes = key.map_or(0, <[u8]>::len) + value.map_or(0, <[u8]>::len) + header_bytes.sum::<usize>();
        let max_bytes = usize::try_from(topic.max_message_bytes).unwrap_or(usize::MAX);
        if bytes > max_bytes {
            return Err(too_large(named, bytes, max_bytes));
        }
        let builder = &mut self.builders[batch as usize].1;
        if !self.in_lines {
            self.places.push(Place { batch, index: builder.records(), timestamp_ms, has_own_timestamp });
        }
        builder.push(timestamp_ms, key, value, headers).map_err(|error| {
            ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "batch_too_large", error.to_string())
                .with("field", named.to_string())
        })
    }

    fn key<'b>(&mut self, key: Option<Piece<'b>>, encoding: Encoding) -> Result<Option<Piece<'b>>, ApiError> {
        match (key, encoding) {
            (Some(key), Encoding::Base64) => self.decode("key", &key).map(Some),
            (key, _) => Ok(key),
        }
    }

    fn value<'b>(&mut self, value: Option<&'b RawValue>, encoding: Encoding) -> Result<Option<Piece<'b>>, ApiError> {
        let Some(json) = value.map(RawValue::get) else {
            return Ok(None);
        };
        let string = json.strip_prefix('"').and_then(|json| json.strip_suffix('"'));
        match (string, encoding) {
            (None, Encoding::Text) => Ok(Some(Piece::Body(json.as_bytes()))),
            (None, Encoding::Base64) => {
                let field = self.named().field("value");
                let message = format!("{field} must be a string, since value_encoding is base64");
                Err(ApiError::malformed("invalid_field", message).with("field", field))
            }
            (Some(raw), _) => {
                let piece = unescape(raw, &mut self.scratch.bytes).map_err(|LoneSurrogate| {
                    let field = self.named().field("value");
                    let message = format!("{field}: {LoneSurrogate}");
                    ApiError::malformed("invalid_field", message).with("field", field)
                })?;
                if encoding == Encoding::Base64 {
                    return self.decode("value", &piece).map(Some);
                }
                Ok(Some(piece))
            }
        }
    }

    fn decode<'b>(&mut self, name: &str, text: &Piece<'b>) -> Result<Piece<'b>, ApiError> {
        let field = self.named().field(name);
        decode_base64(text, &mut self.scratch.bytes).map_err(|error| not_base64(&field, &error))
    }

    fn partition(&self, given: Option<i64>, key: Option<&Piece<'_>>) -> Result<u32, ApiError> {
        let Rules { partitions, sticky_partition, .. } = self.rules;
        let Some(given) = given else {
            let by_key = |key: &Piece<'_>| partition_for_key(key.bytes(&self.scratch.bytes), partitions);
            return Ok(key.map_or(sticky_partition, by_key));
        };
        match u32::try_from(given) {
            Ok(partition) if partition < partitions => Ok(partition),
            Ok(_) => {
                let field = self.named().field("partition");
                let message = format!("{field} is {given}, and the topic has {partitions} partitions, from 0");
                Err(ApiError::new(StatusCode::NOT_FOUND, "partition_not_found", message)
                    .with("field", field)
                    .with("partition", given)
                    .with("partitions", partitions))
            }
            Err(_) => {
                let max = i64::from(partitions) - 1;
                Err(ApiError::out_of_range(&self.named().field("partition"), given, 0, max))
            }
        }
    }

    /// The batch of a partition, begun if need be. The first one gets room for all, since most requests touch but
    /// one partition.
    fn batch(&mut self, partition: u32) -> u32 {
        let next = u32::try_from(self.builders.len()).expect("fewer batches than records");
        *self.batch_of.entry(partition).or_insert_with(|| {
            let room = if next == 0 { self.body_bytes } else { 0 };
            self.builders.push((partition, BatchBuilder::with_capacity(room)));
            next
        })
    }
}

fn too_large(record: Named, bytes: usize, max: usize) -> ApiError {
    let message = format!("{record} has {bytes} bytes, and a record may have at most {max}");
    ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "record_too_large", message)
        .with("field", record.to_string())
        .with("bytes", bytes)
        .with("max_bytes", max)
}

/// A record that was found good, and where it goes.
#[derive(Debug)]
pub(super) struct RecordParts<'b> {
    key: Option<Piece<'b>>,
    value: Option<Piece<'b>>,
    pub(super) partition: u32,
    /// Whether neither its key nor itself says where it goes.
    goes_anywhere: bool,
    timestamp_ms: i64,
    has_own_timestamp: bool,
}

#[cfg(test)]
#[path = "produce_tests.rs"]
mod tests;
