//! Idempotency keys across the logs of a topic.
//!
//! A key stands for one request, which may touch several logs, and each log knows of its own part. So before a batch with
//! a key is put into its log, all logs of the topic are asked whether the key came with another request; if it did, the
//! batch is refused, and so is every other batch of its request: nothing of a request is stored whose key is taken.
//!
//! The logs are asked once for each request of a group of writes, not once for each of its batches: a topic may have
//! thousands of logs, and a request may touch all of them. What holds of a request's first batch holds of the others, as
//! nothing of another request with that key is taken once this one's was. Where a write fails that no longer holds, and
//! they are asked again.

use std::collections::HashMap;

use rustc_hash::FxBuildHasher;
use takhin_core::{AppendRefusal, LogId, ProducerStamp, RequestId};

use super::{
    producers::wall_clock_ms,
    tail::{Append, Tail},
};
use crate::engine::StorageError;

type Tails = HashMap<LogId, Tail, FxBuildHasher>;

/// The requests with keys of one group of writes: whether their keys stand for others.
#[derive(Debug, Default)]
pub(super) struct KeyedRequests {
    taken: HashMap<RequestId, bool, FxBuildHasher>,
}

impl KeyedRequests {
    /// Marks those of one log's batches that are to be refused.
    pub(super) fn mark(&mut self, run: &mut [Append], tails: &Tails) {
        for append in run {
            let Some(stamp) = append.batch.producer().filter(|stamp| stamp.producer.is_keyed()) else { continue };
            let taken = self.taken.entry(append.id.request);
            append.key_is_anothers = *taken.or_insert_with(|| key_is_anothers(append.log, stamp, tails));
        }
    }

    /// The log itself may have refused some of the batches: their requests' others are to be refused as well.
    pub(super) fn settled(&mut self, run: &[Append]) {
        let reused = StorageError::Refused(AppendRefusal::KeyReused);
        for append in run.iter().filter(|append| matches!(&append.settled, Some(Err(error)) if *error == reused)) {
            self.taken.insert(append.id.request, true);
        }
    }

    /// A write failed: what was noted of its keys was taken back.
    pub(super) fn forget(&mut self) {
        self.taken.clear();
    }
}

fn key_is_anothers(log: LogId, stamp: ProducerStamp, tails: &Tails) -> bool {
    let now_ms = wall_clock_ms();
    let mut of_topic = (0..).map_while(|partition| tails.get(&LogId { partition, ..log }));
    of_topic.any(|tail| tail.producers.know_another(stamp, now_ms))
}
