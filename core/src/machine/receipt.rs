//! Which responses arrived. A response that was lost loses nothing.
//!
//! ```text
//!   batch n handed out (open) --- poll, after_batch n ------> received: committed if due, revocations done
//!                             --- poll, no after_batch -----> presumed received
//!                             --- poll, after_batch n - 1 --> handed out again, exactly
//!                             --- Undelivered --------------> as if never handed out
//!                             --- crash --------------------> unsure: a poll that does not say gets it again
//! ```

use alloc::{
    boxed::Box,
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};

use super::Core;
use crate::{
    by_log::ByLog,
    fact::{Fact, OpenBatch},
    ids::{BatchId, ConsumerId, LogId, Offset, RequestId},
    planted::planted,
    refusal::Refusal,
    session::{Batch, Range, Session},
};

impl Core {
    /// Takes a poll's word on what arrived. Gives the batch that is to be handed out again, if it is to be.
    pub(super) fn acknowledge(
        &mut self,
        consumer: ConsumerId,
        after: Option<BatchId>,
    ) -> Result<Option<Box<Batch>>, Refusal> {
        let Some(session) = self.sessions.get_mut(&consumer) else { return Ok(None) };
        let (last, previous) = (session.receipts.last(), session.receipts.received);
        let open = session.receipts.open.take();
        match (open, after) {
            (None, None) => Ok(None),
            (None, Some(given)) if given == previous => Ok(None),
            (Some(batch), None) if !batch.counted_as_delivered => {
                session.receipts.received = batch.id;
                session.news.put_back(batch.news);
                self.tell_of_revoking(consumer);
                Ok(None)
            }
            (Some(batch), None) => {
                self.received(consumer, &batch);
                if let Some(session) = self.sessions.get_mut(&consumer) {
                    session.presume(batch);
                }
                Ok(None)
            }
            (Some(batch), Some(given)) if given == batch.id => {
                self.received(consumer, &batch);
                Ok(None)
            }
            (Some(batch), Some(given)) if given == previous => Ok(Some(Box::new(batch))),
            (open, Some(given)) => {
                session.receipts.open = open;
                Err(Refusal::BatchUnknown { given, last, previous })
            }
        }
    }

    fn received(&mut self, consumer: ConsumerId, batch: &Batch) {
        let Some(session) = self.sessions.get_mut(&consumer) else { return };
        session.receipts.received = batch.id;
        let mut placed = Vec::new();
        for range in &batch.ranges {
            let Some(partition) = session.partitions.get_mut(&range.log) else { continue };
            if !batch.counted_as_delivered && partition.position == Some(range.from) {
                partition.position = Some(range.next);
                partition.counted = range.next;
                partition.delivered = Some(range.next);
                session.delivered.insert(range.log);
                placed.push(range.log);
            }
            if partition.position == Some(range.next) {
                partition.received = Some(range.next);
                session.uncommitted.insert(range.log);
            }
        }
        for log in placed {
            self.file(consumer, log);
        }
        let revoking = self.sessions[&consumer].is_revoking();
        self.auto_commit(consumer, revoking);
        if batch.news.is_empty() {
            return;
        }
        let untold = &self.sessions[&consumer].news.revoked;
        let told: Vec<LogId> = batch.news.revoked.keys().copied().filter(|log| !untold.contains_key(log)).collect();
        self.release_revoking(consumer, &told);
        let news = &self.sessions[&consumer].news;
        let told = batch.news.assigned.keys().chain(batch.news.revoked.keys()).copied();
        let told = told.filter(|log| !news.assigned.contains_key(log) && !news.revoked.contains_key(log));
        self.note_told(consumer, told.collect());
    }

    /// A consumer knows of its partitions what there is to know, and need not be told again after a crash.
    pub(super) fn note_told(&mut self, consumer: ConsumerId, logs: BTreeSet<LogId>) {
        if !logs.is_empty() {
            self.record(Fact::Told { consumer, logs });
        }
    }

    /// A batch could not be handed over: everything is as before it, unless something newer went out since.
    pub(super) fn undelivered(&mut self, request: RequestId, consumer: ConsumerId) {
        if planted!(self, LossIgnored) {
            return;
        }
        let Some(session) = self.sessions.get_mut(&consumer) else { return };
        let receipts = &mut session.receipts;
        if receipts.open.as_ref().is_some_and(|batch| batch.request == request && batch.handed_out_before) {
            return self.repeat_undelivered(consumer);
        }
        let lost = receipts.open.take_if(|batch| batch.request == request);
        let Some(batch) = lost.or_else(|| receipts.presumed.take_if(|batch| batch.request == request)) else { return };
        session.generation = session.generation.min(batch.generation);
        session.news.put_back(batch.news);
        self.take_back(consumer, &batch.ranges);
        self.tell_of_revoking(consumer);
        self.woken.insert(consumer);
        self.look_again(consumer);
    }

    /// A batch that was handed out again could not be handed over. The first time it may well have arrived, so it stays
    /// what it is, and unsure: a commit, or a poll that names it, may still say so.
    fn repeat_undelivered(&mut self, consumer: ConsumerId) {
        let Some(session) = self.sessions.get_mut(&consumer) else { return };
        let Some(batch) = &mut session.receipts.open else { return };
        let lost = batch.ranges.clone();
        batch.request = RequestId::default();
        batch.counted_as_delivered = false;
        batch.ranges.retain(|range| {
            let partition = session.partitions.get(&range.log).filter(|p| p.position == Some(range.next));
            range.from = partition.map_or(range.next, |partition| partition.unproven(range));
            range.from < range.next
        });
        self.take_back(consumer, &lost);
        self.look_again(consumer);
    }

    /// What was handed out did not arrive: positions go back to before it, the durable ones too. What is being given
    /// up is held by it no longer.
    pub(super) fn take_back(&mut self, consumer: ConsumerId, ranges: &[Range]) {
        let Some(session) = self.sessions.get_mut(&consumer).filter(|_| !ranges.is_empty()) else { return };
        let mut moved = Vec::new();
        for range in ranges {
            let Some(partition) = session.partitions.get_mut(&range.log) else { continue };
            if partition.position == Some(range.next) {
                let from = partition.unproven(range);
                partition.position = Some(from);
                partition.counted = from;
                partition.delivered = range.delivered_before.filter(|before| Some(*before) > partition.committed);
                partition.received = partition.received.filter(|received| *received <= from);
                if partition.delivered.is_none() {
                    session.delivered.remove(&range.log);
                }
                session.note_moved(range.log);
                moved.push(range.log);
            }
        }
        for log in &moved {
            self.file(consumer, *log);
        }
        let (held, session) = (&self.durable.consumers[&consumer].held, &self.sessions[&consumer]);
        if moved.iter().any(|log| held.get(log).copied().flatten() > session.partitions[log].position) {
            self.keep_positions(consumer);
        }
        moved.retain(|log| self.has_nothing_uncommitted(consumer, *log));
        self.release_revoking(consumer, &moved);
    }

    /// Makes positions durable, if it is time to. Nobody waits for it.
    pub(super) fn checkpoint_positions(&mut self, consumer: ConsumerId) {
        let Some(session) = self.sessions.get(&consumer) else { return };
        let writes = self.storage.refusal().is_none();
        if writes && session.moved && self.now >= session.checkpointed_at + self.config.position_checkpoint {
            self.keep_positions(consumer);
        }
    }

    /// Makes positions durable, those that are not as they would be now, with the batch whose receipt isn't known apart.
    pub(super) fn keep_positions(&mut self, consumer: ConsumerId) -> crate::FactSeq {
        let (now, kept_as_open) = (self.now, planted!(self, BatchKeptAsOpen));
        let Some(session) = self.sessions.get_mut(&consumer) else { return self.outbox.decided() };
        let (positions, open) = session.to_keep(session.outdated.iter().copied());
        session.moved = false;
        session.checkpointed_at = now;
        // One by one, so that what moves next finds the set's memory there.
        while let Some(log) = session.outdated.first().copied() {
            session.outdated.remove(&log);
        }
        if !kept_as_open {
            session.note_unsettled();
        }
        let batch = session.receipts.received;
        self.record(Fact::Positioned { consumer, batch, positions, open })
    }
}

impl Session {
    /// Keeps a batch that was taken as received, without what was given up with that.
    fn presume(&mut self, mut batch: Batch) {
        let before = batch.ranges.len();
        batch.ranges.retain(|range| self.partitions.contains_key(&range.log));
        batch.lessened |= batch.ranges.len() < before;
        self.receipts.presumed = Some(batch);
    }

    /// The batch handed out of which it isn't known whether it arrived.
    fn unsettled(&self) -> Option<&Batch> {
        self.receipts.open.as_ref().or(self.poll.as_ref().and_then(|poll| poll.replay.as_deref()))
    }

    /// What that batch has is made durable anew once it is known.
    pub(super) fn note_unsettled(&mut self) {
        let replay = self.poll.as_ref().and_then(|poll| poll.replay.as_deref());
        if let Some(batch) = self.receipts.open.as_ref().or(replay) {
            self.outdated.extend(batch.ranges.iter().map(|range| range.log));
        }
    }

    /// Where it stands in `logs` before the batch whose receipt isn't known, and what that batch has.
    pub(super) fn to_keep(&self, logs: impl Iterator<Item = LogId>) -> (ByLog<Offset>, Option<OpenBatch>) {
        let mut positions: ByLog<_> =
            logs.filter_map(|log| Some((log, self.partitions.get(&log)?.position?))).collect();
        let open = self.unsettled().map(|batch| {
            let mut ranges = BTreeMap::new();
            for range in &batch.ranges {
                let expected = if batch.counted_as_delivered { range.next } else { range.from };
                let Some(partition) = self.partitions.get(&range.log) else { continue };
                if partition.position == Some(expected) {
                    let from = partition.unproven(range);
                    if let Some(position) = positions.get_mut(range.log) {
                        *position = from;
                    }
                    if from < range.next {
                        ranges.insert(range.log, (from, range.next));
                    }
                }
            }
            OpenBatch { batch: batch.id, ranges }
        });
        (positions, open)
    }
}
