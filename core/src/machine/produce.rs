//! Producing: one append for each partition of a request, one reply when all have ended.

use serde::{Deserialize, Serialize};

use super::{Core, Open};
use crate::{
    command::{AppendedAt, Command, Parts, StorageError},
    event::ProduceBatch,
    ids::{AppendId, LogId, Offset, RequestId, TopicId, TopicName},
    log::Waiter,
    planted::planted,
    producers::{AppendRefusal, ProducerStamp},
    refusal::{Applied, Refusal},
    response::{ProducedBatch, Response},
    session::Gathered,
};

/// A produce request under way.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Produce {
    topic: TopicId,
    batches: Parts<(ProduceBatch, Option<Result<AppendedAt, StorageError>>)>,
}

impl Core {
    pub(super) fn produce(&mut self, request: RequestId, topic: &TopicName, batches: &[ProduceBatch]) {
        let id = match self.may_produce(topic, batches) {
            Ok(id) => id,
            Err(refusal) => return self.refuse(request, refusal),
        };
        for batch in batches {
            let log = LogId { topic: id, partition: batch.partition };
            let append = AppendId { request, partition: batch.partition };
            let ProduceBatch { records, bytes, expected_offset, producer, .. } = *batch;
            let expected_offset = expected_offset.filter(|_| !planted!(self, ExpectationIgnored));
            let producer = producer.filter(|_| !planted!(self, StampDropped));
            self.outbox.send(Command::Append { id: append, log, records, bytes, expected_offset, producer });
            if planted!(self, ShownBeforeDurable) {
                self.log_moved(log, Offset(0), Offset(self.logs[&log].bounds.end.0 + u64::from(records)));
            }
        }
        let batches = batches.iter().map(|batch| (*batch, None)).collect();
        self.requests.insert(request, Open::Produce(Produce { topic: id, batches }));
    }

    fn may_produce(&self, topic: &TopicName, batches: &[ProduceBatch]) -> Result<TopicId, Refusal> {
        Self::not_empty("records", batches.is_empty())?;
        if self.draining {
            return Err(Refusal::ShuttingDown);
        }
        let found = self.usable_topic(topic)?;
        for batch in batches {
            self.find_log(topic, batch.partition)?;
            Self::not_empty("records", batch.records == 0)?;
        }
        if let crate::StorageState::Failed(error) = &self.storage {
            return Err(Refusal::StorageUnavailable { error: error.clone(), applied: Applied::Nothing });
        }
        Ok(found.id)
    }

    pub(super) fn appended(&mut self, id: AppendId, log: LogId, result: &Result<AppendedAt, StorageError>) {
        let mut more = Gathered::UNKNOWN;
        let mut ended = false;
        if let Some(Open::Produce(produce)) = self.requests.get_mut(&id.request) {
            let mut batches = produce.batches.iter_mut();
            if let Some((batch, outcome)) = batches.find(|(batch, o)| batch.partition == id.partition && o.is_none()) {
                more = Gathered { bytes: batch.bytes.into(), records: batch.records.into() };
                *outcome = Some(result.clone());
            }
            ended = produce.batches.iter().all(|(_, outcome)| outcome.is_some());
        }
        if ended {
            self.produced(id.request);
        }
        if let Ok(at) = result
            && let Some(entry) = self.logs.get_mut(&log)
        {
            let waiting = entry.extend(at.end);
            self.wake(log, waiting, more);
        }
    }

    fn produced(&mut self, request: RequestId) {
        let Some(Open::Produce(produce)) = self.requests.remove(&request) else { return };
        if planted!(self, RepeatedCompletionAnswered) {
            self.requests.insert(request, Open::Produce(produce.clone()));
        }
        let (mut failed, mut appended, mut applied) = (None, false, Applied::Nothing);
        let results = produce.batches.into_iter().filter_map(|(batch, outcome)| {
            let ProduceBatch { partition, records, .. } = batch;
            let outcome = outcome?;
            let duplicate = outcome.as_ref().is_ok_and(|at| at.duplicate);
            let told = |at: AppendedAt| if planted!(self, EndToldAsOffset) { at.end } else { at.base_offset };
            let result = outcome.map(told).inspect_err(|error| {
                if let StorageError::Uncertain(_) = error
                    && !planted!(self, UnknownToldAsNothing)
                {
                    applied = Applied::Unknown;
                }
                failed = Some((batch, error.clone()));
            });
            appended |= result.is_ok();
            Some(ProducedBatch { partition, records, result, duplicate, scattered: alloc::vec::Vec::new() })
        });
        let results = results.collect();
        match failed {
            Some((batch, error)) if !appended => {
                let refusal = self.append_refusal(produce.topic, batch, error, applied);
                self.refuse(request, refusal);
            }
            _ if planted!(self, ProducersWaitForFacts) => {
                self.reply_after(request, self.outbox.decided(), Response::Produced(results));
            }
            _ => self.reply(request, Response::Produced(results)),
        }
    }

    /// How an append that was not done is told to a client.
    fn append_refusal(&self, topic: TopicId, batch: ProduceBatch, error: StorageError, applied: Applied) -> Refusal {
        let ProduceBatch { partition, expected_offset, producer, .. } = batch;
        let Some(topic) = self.durable.topics.get(&topic).map(|record| record.name.clone()) else {
            return Refusal::StorageUnavailable { error, applied };
        };
        let refused = match error {
            StorageError::Refused(refused) => refused,
            // Of a part it may not be known.
            StorageError::Unacceptable(reason) if applied == Applied::Nothing => {
                return Refusal::RecordsRefused { topic, partition, reason };
            }
            error => return Refusal::StorageUnavailable { error, applied },
        };
        match (refused, producer) {
            (AppendRefusal::OffsetMismatch { end }, _) => {
                Refusal::OffsetMismatch { topic, partition, expected: expected_offset.unwrap_or_default(), end }
            }
            (AppendRefusal::SequenceGap { expected }, Some(stamp)) => {
                let ProducerStamp { producer: producer_id, sequence: given, .. } = stamp;
                Refusal::SequenceGap { topic, partition, producer_id, given, expected }
            }
            (AppendRefusal::ProducerFenced { current }, Some(stamp)) => {
                let ProducerStamp { producer: producer_id, epoch: given, .. } = stamp;
                Refusal::ProducerFenced { topic, partition, producer_id, given, current }
            }
            (AppendRefusal::KeyReused, _) => Refusal::IdempotencyKeyReused { topic, partition },
            (AppendRefusal::SequenceGap { .. } | AppendRefusal::ProducerFenced { .. }, None) => {
                Refusal::StorageUnavailable { error, applied }
            }
        }
    }

    /// A log has more: whoever had seen all of it is told.
    pub(super) fn wake(&mut self, log: LogId, waiting: Parts<Waiter>, more: Gathered) {
        for waiter in waiting {
            match waiter {
                Waiter::Consumer(consumer) => self.partition_grew(consumer, log, more),
                Waiter::Read(_) if planted!(self, ReadersNotWoken) => {}
                Waiter::Read(request) => self.read_grew(request),
            }
        }
    }
}
