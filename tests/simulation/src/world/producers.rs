//! Producers that can be recognized: some number their records, some name an idempotency key, and some say where the log
//! has to end. All of them send again what they do not know to have arrived.

use std::collections::{BTreeMap, VecDeque};

use takhin_core::{
    LogId, Offset, ProduceBatch, ProducerId, ProducerStamp, Refusal, Request, RequestId, Response, TopicName,
    response::ProducedBatch,
};

use super::World;
use crate::{
    coverage::Rare,
    oracle::{Violation, must},
};

/// Producers that there are.
pub(super) const PRODUCERS: u32 = 3;
/// Batches of which a log knows where they are.
const REMEMBERED: usize = 5;
/// Idempotency keys that may come again.
const KEYS: usize = 4;

/// A producer that numbers its records.
#[derive(Debug, Default)]
pub(super) struct Producer {
    epoch: u16,
    logs: BTreeMap<LogId, Sent>,
}

/// What a producer sent to a log.
#[derive(Debug, Default)]
struct Sent {
    epoch: u16,
    /// The number of its next record.
    next: u32,
    /// Of which it doesn't know what became: the first record's number, and how many.
    pending: Option<(u32, u32)>,
    /// What it knows to have arrived, and where, the latest last.
    arrived: VecDeque<(u32, Offset)>,
    /// The boot in which it sent last.
    boot: u32,
}

/// An idempotency key in use.
#[derive(Debug)]
pub(super) struct Key {
    stamp: ProducerStamp,
    topic: TopicName,
    log: LogId,
    records: u32,
    arrived: Option<Offset>,
}

/// What is to be said of a request's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    /// Nothing more than of any.
    None,
    /// A producer's next records, or those again.
    Numbered(u32),
    /// They must be refused, for what was sent before.
    Refused,
    /// With a key.
    Keyed(ProducerId),
}

impl World {
    pub(super) fn produce_numbered(&mut self) -> Result<(), Violation> {
        let Some((topic, log)) = self.some_known_log() else { return Ok(()) };
        let which = self.word.below(PRODUCERS);
        let records = 1 + self.word.below(self.options.records.max(1).into());
        let boot = self.boot.0;
        let producer = &mut self.producers[which as usize];
        let epoch = producer.epoch;
        let sent = producer.logs.entry(log).or_default();
        if sent.epoch != epoch {
            *sent = Sent { epoch, ..Sent::default() };
        }
        let again = sent.pending.is_some();
        let crashed = again && sent.boot != boot;
        sent.boot = boot;
        let (sequence, records) = *sent.pending.get_or_insert((sent.next, records));
        if crashed {
            self.resent_across_crash = Some((which, log));
        }
        let stamp = ProducerStamp { producer: numbered(which), epoch, sequence };
        self.send(topic, log, records, Some(stamp), None, Claim::Numbered(which)).map(drop)
    }

    /// Records whose numbers come after ones that were never sent.
    pub(super) fn produce_out_of_order(&mut self) -> Result<(), Violation> {
        let Some((topic, log)) = self.some_known_log() else { return Ok(()) };
        let which = self.word.below(PRODUCERS);
        let Some(sent) = self.producers[which as usize].logs.get(&log) else { return Ok(()) };
        let stamp = ProducerStamp { producer: numbered(which), epoch: sent.epoch, sequence: sent.next + 1_000 };
        self.send(topic, log, 1, Some(stamp), None, Claim::Refused).map(drop)
    }

    /// Records of an epoch after which the log has taken some of a newer one.
    pub(super) fn produce_fenced(&mut self) -> Result<(), Violation> {
        let Some((topic, log)) = self.some_known_log() else { return Ok(()) };
        let which = self.word.below(PRODUCERS);
        let Some(sent) = self.producers[which as usize].logs.get(&log) else { return Ok(()) };
        let sequence = sent.next;
        let Some(epoch) = sent.epoch.checked_sub(1).filter(|_| !sent.arrived.is_empty()) else { return Ok(()) };
        let stamp = ProducerStamp { producer: numbered(which), epoch, sequence };
        self.send(topic, log, 1, Some(stamp), None, Claim::Refused).map(drop)
    }

    pub(super) fn begin_epoch(&mut self) {
        let which = self.word.below(PRODUCERS);
        self.producers[which as usize].epoch += 1;
    }

    pub(super) fn produce_keyed(&mut self) -> Result<(), Violation> {
        let again = self.word.index(KEYS + 2);
        // A topic that was made anew under its name knows no keys.
        let core = &self.core;
        self.keys.retain(|key| core.bounds(&key.topic, key.log.partition).is_ok_and(|(log, _)| log == key.log));
        if let Some(Key { stamp, topic, log, records, arrived }) = self.keys.get(again) {
            let (topic, mut log, records) = (topic.clone(), *log, *records);
            let (mut stamp, mut claim) = (*stamp, Claim::Keyed(stamp.producer));
            if arrived.is_some() && self.word.one_in(3) {
                (stamp.sequence, claim) = (stamp.sequence + 1, Claim::Refused);
                // For whatever partition of the topic it is.
                let partition = self.word.below(u32::from(self.options.partitions.max(1)));
                log = self.core.bounds(&topic, partition).map_or(log, |(other, _)| other);
            }
            return self.send(topic, log, records, Some(stamp), None, claim).map(drop);
        }
        let Some((topic, log)) = self.some_known_log() else { return Ok(()) };
        let records = 1 + self.word.below(self.options.records.max(1).into());
        let producer = ProducerId::keyed(1_000 + self.requests + (u64::from(self.boot.0) << 32));
        let stamp = ProducerStamp { producer, epoch: 0, sequence: self.word.below(1_000) };
        if self.keys.len() == KEYS {
            self.keys.pop_front();
        }
        self.keys.push_back(Key { stamp, topic: topic.clone(), log, records, arrived: None });
        self.send(topic, log, records, Some(stamp), None, Claim::Keyed(producer)).map(drop)
    }

    pub(super) fn produce_expecting(&mut self) -> Result<(), Violation> {
        let Some((topic, log)) = self.some_known_log() else { return Ok(()) };
        let end = self.core.bounds(&topic, log.partition).map(|(_, bounds)| bounds.end).unwrap_or_default();
        let expected = Offset(end.0 + u64::from(self.word.one_in(4)));
        let records = 1 + self.word.below(self.options.records.max(1).into());
        self.send(topic, log, records, None, Some(expected), Claim::None).map(drop)
    }

    fn send(
        &mut self,
        topic: TopicName,
        log: LogId,
        records: u32,
        producer: Option<ProducerStamp>,
        expected_offset: Option<Offset>,
        claim: Claim,
    ) -> Result<RequestId, Violation> {
        if let Some(stamp) = producer {
            self.model.sends(stamp, records);
        }
        let batch = ProduceBatch { partition: log.partition, records, bytes: records * 10, expected_offset, producer };
        self.produce_request(Request::Produce { topic, batches: [batch].into_iter().collect() }, claim)
    }

    /// A partition that can be produced to.
    fn some_known_log(&mut self) -> Option<(TopicName, LogId)> {
        let (topic, partition) = self.some_partition()?;
        let log = self.core.bounds(&topic, partition).ok()?.0;
        Some((topic, log))
    }

    /// What an answer says of records that can be recognized.
    pub(super) fn recognized(
        &mut self,
        (batch, log, claim): (&ProduceBatch, LogId, Claim),
        response: &Result<Response, Refusal>,
    ) -> Result<(), Violation> {
        self.cover_refusal(response);
        let told = match response {
            Ok(Response::Produced(told)) => told.first(),
            _ => None,
        };
        let Some(stamp) = batch.producer else {
            return expectation_met(batch, log, told, response);
        };
        // A topic that was made anew under its name knows nobody.
        let is_there = self.engine.has(log) && self.auditor.has_topic(log.topic);
        match (told, response) {
            (Some(ProducedBatch { result: Ok(at), duplicate, .. }), _) => {
                self.numbered_arrived((batch, stamp, log, claim), *at, *duplicate)
            }
            (
                _,
                Err(
                    Refusal::SequenceGap { .. } | Refusal::ProducerFenced { .. } | Refusal::IdempotencyKeyReused { .. },
                ),
            ) => {
                let may = claim == Claim::Refused || !is_there;
                must!(may, RetriesRecognized, "{log}: {batch:?} is refused, {response:?}");
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn numbered_arrived(
        &mut self,
        (batch, stamp, log, claim): (&ProduceBatch, ProducerStamp, LogId, Claim),
        at: Offset,
        duplicate: bool,
    ) -> Result<(), Violation> {
        if duplicate {
            self.cover(Rare::DuplicateRecognized);
        }
        match claim {
            Claim::None => Ok(()),
            Claim::Refused => {
                Err(Violation::new(crate::oracle::Oracle::RetriesRecognized, format!("{log}: {batch:?} is taken")))
            }
            Claim::Keyed(producer) => {
                let Some(key) = self.keys.iter_mut().find(|key| key.stamp.producer == producer) else { return Ok(()) };
                let before = key.arrived.replace(at);
                let same = before.is_none_or(|before| before == at && duplicate);
                must!(same, RetriesRecognized, "{log}: {batch:?} was at {before:?}, and now is at {at:?}");
                Ok(())
            }
            Claim::Numbered(which) => {
                if duplicate && self.resent_across_crash.take() == Some((which, log)) {
                    self.cover(Rare::DuplicateAcrossCrash);
                }
                let Some(sent) = self.producers[which as usize].logs.get_mut(&log) else { return Ok(()) };
                if sent.epoch != stamp.epoch {
                    return Ok(());
                }
                let before = sent.arrived.iter().find(|(sequence, _)| *sequence == stamp.sequence).map(|(_, at)| *at);
                let same = before.is_none_or(|before| before == at && duplicate);
                must!(same, RetriesRecognized, "{log}: {batch:?} was at {before:?}, and now is at {at:?}");
                if sent.pending == Some((stamp.sequence, batch.records)) {
                    sent.pending = None;
                    sent.next = stamp.sequence + batch.records;
                    if sent.arrived.len() == REMEMBERED {
                        sent.arrived.pop_front();
                    }
                    sent.arrived.push_back((stamp.sequence, at));
                }
                Ok(())
            }
        }
    }

    fn cover_refusal(&mut self, response: &Result<Response, Refusal>) {
        match response {
            Err(Refusal::SequenceGap { .. }) => self.cover(Rare::GapRefused),
            Err(Refusal::ProducerFenced { .. }) => self.cover(Rare::ProducerFenced),
            Err(Refusal::IdempotencyKeyReused { .. }) => self.cover(Rare::KeyReused),
            Err(Refusal::OffsetMismatch { .. }) => self.cover(Rare::ExpectationFails),
            _ => {}
        }
    }
}

/// Records that want the log to end somewhere are there, or it ends elsewhere.
fn expectation_met(
    batch: &ProduceBatch,
    log: LogId,
    told: Option<&ProducedBatch>,
    response: &Result<Response, Refusal>,
) -> Result<(), Violation> {
    let Some(expected) = batch.expected_offset else { return Ok(()) };
    let met = match (told, response) {
        (Some(ProducedBatch { result: Ok(at), .. }), _) => *at == expected,
        (_, Err(Refusal::OffsetMismatch { end, .. })) => *end != expected,
        _ => true,
    };
    must!(met, Linearizable, "{log} was to end at {expected:?}, and the answer is {response:?}");
    Ok(())
}

fn numbered(which: u32) -> ProducerId {
    ProducerId(u64::from(which) + 1)
}
