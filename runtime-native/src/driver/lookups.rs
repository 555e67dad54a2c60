//! Looking for records by their time, and for the times of records.

use std::sync::Arc;

use takhin_core::{Event, Offset, Refusal, StorageError, TopicName};

use super::{Driver, fetch, state::Lookup};
use crate::engine::ReadError;

impl Driver {
    /// The first record of a partition whose timestamp is at least `timestamp_ms`: its offset and its timestamp.
    ///
    /// # Errors
    /// If there is no such partition, or it can't be read.
    pub async fn lookup_time(
        &self,
        topic: &TopicName,
        partition: u32,
        timestamp_ms: i64,
    ) -> Result<Option<(Offset, i64)>, Refusal> {
        let (log, bounds) = self.lock().core.bounds(topic, partition)?;
        let reader = Arc::clone(&self.shared.reader);
        let looked = tokio::task::spawn_blocking(move || reader.lookup_time(log, timestamp_ms, bounds.end)).await;
        let result = looked.unwrap_or_else(|error| Err(ReadError::Failed(error.to_string())));
        result.map_err(|error| fetch::lookup_refusal(&error, topic))
    }

    /// The timestamps of records, each of a partition and an offset; [`None`] for what isn't asked for, can't be read, or
    /// comes after the first 1,000.
    pub async fn timestamps(&self, records: Vec<Option<(TopicName, u32, Offset)>>) -> Vec<Option<i64>> {
        let wanted = records.len();
        let places: Vec<_> = {
            let state = self.lock();
            let place = |(topic, partition, offset): (TopicName, u32, Offset)| {
                Some((state.core.bounds(&topic, partition).ok()?.0, offset))
            };
            records.into_iter().map(|record| record.and_then(place)).collect()
        };
        if places.iter().all(Option::is_none) {
            return places.iter().map(|_| None).collect();
        }
        let reader = Arc::clone(&self.shared.reader);
        let read = tokio::task::spawn_blocking(move || fetch::timestamps(&*reader, &places)).await;
        read.unwrap_or_else(|_| (0..wanted).map(|_| None).collect())
    }

    pub(super) fn look_up(&self, lookup: &Lookup) {
        let Lookup { consumer, log, at, to } = *lookup;
        let found = self.shared.reader.lookup_time(log, at.0, to);
        let result = found.map(|found| found.map_or(to, |(offset, _)| offset)).map_err(|error| {
            tracing::warn!(%log, %error, "a date can't be looked up; the next poll asks again");
            StorageError::Failed(error.to_string())
        });
        self.bring(Event::LookedUp { consumer, log, at, result });
    }
}
