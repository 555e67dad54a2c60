//! Commits: how far a group has come, by a member's word or by auto-commit.
//!
//! A committed offset is the next offset to read. A commit is one fact over all its partitions, so it is applied
//! whole or not at all; it never moves a position. What a client wants to remember with an offset stays until the next
//! commit of that partition.

use alloc::{collections::BTreeMap, sync::Arc, vec::Vec};

use super::{Core, Open};
use crate::{
    by_log::ByLog,
    command::Parts,
    config::in_range,
    event::{CommitOffset, MAX_METADATA_BYTES},
    fact::Fact,
    ids::{ConsumerId, FactSeq, Generation, LogId, Offset, RequestId},
    planted::planted,
    refusal::Refusal,
    response::{CommittedPartition, Response},
};

/// What clients want to remember with offsets that they commit.
type Metadata = BTreeMap<LogId, Arc<str>>;

impl Core {
    pub(super) fn commit(
        &mut self,
        request: RequestId,
        consumer: ConsumerId,
        offsets: Option<Vec<CommitOffset>>,
        generation: Option<Generation>,
    ) {
        let stale = if planted!(self, StaleCommitApplied) { offsets.clone() } else { None };
        let (offsets, metadata) = match self.may_commit(consumer, offsets, generation) {
            Ok(valid) => valid,
            Err(refusal) => {
                self.touch(consumer);
                if let (Some(_), Ok((stale, metadata))) = (&stale, self.may_commit(consumer, stale.clone(), None)) {
                    self.apply_commit(consumer, &stale, metadata);
                }
                return self.refuse(request, refusal);
            }
        };
        self.touch(consumer);
        let names = offsets.iter().map(|(log, offset)| CommittedPartition {
            topic: self.topic_name(*log),
            partition: log.partition,
            offset: Some(*offset),
            metadata: metadata.get(log).cloned(),
        });
        let response = Response::Committed(names.collect());
        for (log, offset) in &offsets {
            self.proves_arrival(consumer, *log, *offset);
        }
        self.checkpoint_commit(consumer, &offsets);
        let metadata = if planted!(self, MetadataForgotten) { Metadata::new() } else { metadata };
        let after = self.apply_commit(consumer, &offsets, metadata);
        if planted!(self, CommitAcknowledgedEarly) {
            return self.reply(request, response);
        }
        self.reply_after(request, after, response);
    }

    fn may_commit(
        &self,
        consumer: ConsumerId,
        offsets: Option<Vec<CommitOffset>>,
        generation: Option<Generation>,
    ) -> Result<(ByLog<Offset>, Metadata), Refusal> {
        self.must_know(consumer)?;
        self.may_write()?;
        let session = &self.sessions[&consumer];
        let current = session.generation;
        match generation {
            Some(given) if given < current => return Err(Refusal::StaleGeneration { given, current }),
            Some(given) if given > current => return Err(Refusal::GenerationUnknown { given, current }),
            _ => {}
        }
        let Some(offsets) = offsets else { return Ok((self.handed_out(consumer), Metadata::new())) };
        let (mut valid, mut metadata) = (Parts::new(), Metadata::new());
        for CommitOffset { topic, partition, offset, metadata: text } in offsets {
            let log = self.find_log(&topic, partition)?;
            if !session.knows_that_it_has(log) && !planted!(self, AnybodyCommits) {
                return Err(Refusal::PartitionNotAssigned { topic, partition });
            }
            if planted!(self, CommitBeyondEnd) {
                valid.push((log, Offset(offset.unsigned_abs())));
                continue;
            }
            valid.push((log, self.check_offset(&topic, log, offset, Offset(0))?));
            if let Some(text) = text {
                in_range("metadata", u32::try_from(text.len()).unwrap_or(u32::MAX), 0, MAX_METADATA_BYTES)?;
                metadata.insert(log, text);
            }
        }
        Ok((valid.into(), metadata))
    }

    /// What was delivered and is not committed, without what an answer brings that still waits for a fact: it may never
    /// leave.
    fn handed_out(&self, consumer: ConsumerId) -> ByLog<Offset> {
        let session = &self.sessions[&consumer];
        let open = session.receipts.open.as_ref();
        let held = open.filter(|batch| matches!(self.requests.get(&batch.request), Some(Open::Held(_))));
        let ranges = held.map_or(&[][..], |batch| &batch.ranges);
        let before = |(log, offset)| match ranges.iter().find(|range| range.log == log) {
            Some(range) => Some((log, range.delivered_before?)),
            None => Some((log, offset)),
        };
        session.delivered().filter_map(before).collect()
    }

    /// Records a commit, and lets go of what was only held until it came.
    fn apply_commit(&mut self, consumer: ConsumerId, offsets: &ByLog<Offset>, metadata: Metadata) -> FactSeq {
        let Some(session) = self.sessions.get(&consumer) else { return self.outbox.decided() };
        let group = session.group.clone();
        if offsets.is_empty() {
            return self.groups.get(&group).map_or(FactSeq::default(), |group| group.depends_on);
        }
        let after = self.record(Fact::Committed { group: group.clone(), offsets: offsets.clone(), metadata });
        if let Some(group) = self.groups.get_mut(&group) {
            group.depends_on = after;
        }
        let done = offsets.iter().filter(|(log, offset)| self.committed_to(consumer, *log, *offset));
        let done: Parts<LogId> = done.map(|(log, _)| *log).collect();
        self.release_revoking(consumer, &done);
        after
    }

    /// A commit reached an offset. Says whether nothing of the partition is delivered and uncommitted any more.
    fn committed_to(&mut self, consumer: ConsumerId, log: LogId, offset: Offset) -> bool {
        let Some(session) = self.sessions.get_mut(&consumer) else { return true };
        let Some(partition) = session.partitions.get_mut(&log) else { return true };
        partition.delivered = partition.delivered.filter(|delivered| *delivered > offset);
        let nothing_left = partition.delivered.is_none();
        if nothing_left {
            session.delivered.remove(&log);
        }
        if partition.received.is_none_or(|received| received <= offset) {
            session.uncommitted.remove(&log);
        }
        nothing_left
    }

    /// What a consumer commits by its own word has arrived. Where the reset policy `none` left it without a place, it
    /// says where to begin. What it commits is not handed out again, be it of a batch whose receipt isn't known; after a
    /// crash that is news, of such a batch and of batches that were forgotten.
    fn proves_arrival(&mut self, consumer: ConsumerId, log: LogId, offset: Offset) {
        let Some(session) = self.sessions.get_mut(&consumer) else { return };
        let Some(partition) = session.partitions.get_mut(&log) else { return };
        if partition.position.is_none() && self.logs.get(&log).is_some_and(|log| offset >= log.bounds.start) {
            return self.place(consumer, log, Some(offset));
        }
        partition.committed = Some(offset);
        let stood = partition.position;
        let replay = session.poll.as_mut().and_then(|poll| poll.replay.as_deref_mut());
        let open = [session.receipts.open.as_mut(), replay].into_iter().flatten();
        for batch in open {
            for range in batch.ranges.iter_mut().filter(|range| range.log == log) {
                let from = partition.unproven(range);
                if batch.counted_as_delivered {
                    range.from = from;
                } else if partition.position == Some(range.from) && from > range.from {
                    (range.from, partition.position, partition.counted) = (from, Some(from), from);
                }
            }
            batch.ranges.retain(|range| range.from < range.next);
        }
        if partition.resumed && partition.position.is_some_and(|position| position < offset) {
            (partition.position, partition.counted) = (Some(offset), offset);
        }
        if partition.position != stood {
            session.note_moved(log);
            self.file(consumer, log);
            self.look_again(consumer);
        }
    }

    /// Makes positions durable if a commit goes beyond them, and before it: so what is known to have arrived is not
    /// delivered again after a crash.
    fn checkpoint_commit(&mut self, consumer: ConsumerId, offsets: &ByLog<Offset>) {
        let (Some(session), Some(record)) = (self.sessions.get(&consumer), self.durable.consumers.get(&consumer))
        else {
            return;
        };
        let behind = offsets.iter().any(|(log, offset)| {
            let position = session.partitions.get(log).and_then(|partition| partition.position);
            record.held.get(log).is_some_and(|held| *held < position.map(|position| position.min(*offset)))
        });
        if behind {
            self.keep_positions(consumer);
        }
    }

    pub(super) fn has_nothing_uncommitted(&self, consumer: ConsumerId, log: LogId) -> bool {
        let partition = self.sessions.get(&consumer).and_then(|session| session.partitions.get(&log));
        partition.is_none_or(|partition| partition.delivered.is_none())
    }

    /// Commits what was received, if the consumer wants that and it is time to; `now` if it must not wait.
    pub(super) fn auto_commit(&mut self, consumer: ConsumerId, at_once: bool) {
        let now = self.now;
        if self.storage.refusal().is_some() {
            return;
        }
        let Some(session) = self.sessions.get_mut(&consumer) else { return };
        let due = session.auto_committed_at + crate::DurationMs(session.options.auto_commit_interval_ms);
        if !session.options.auto_commit || session.uncommitted.is_empty() || !(at_once || now >= due) {
            return;
        }
        session.auto_committed_at = now;
        let logs = core::mem::take(&mut session.uncommitted);
        let offsets = logs.iter().filter_map(|log| Some((*log, session.partitions.get(log)?.received?)));
        let offsets = offsets.collect();
        self.checkpoint_commit(consumer, &offsets);
        self.apply_commit(consumer, &offsets, Metadata::new());
    }

    /// Commits all that was delivered, for a consumer with auto-commit that says goodbye.
    pub(super) fn commit_delivered(&mut self, consumer: ConsumerId) {
        let Some(session) = self.sessions.get(&consumer) else { return };
        if session.options.auto_commit {
            let mut offsets = Parts::new();
            for log in &session.uncommitted {
                if let Some(received) = session.partitions.get(log).and_then(|partition| partition.received) {
                    offsets.push((*log, received));
                }
            }
            for delivered in &self.handed_out(consumer) {
                offsets.push(*delivered);
            }
            let offsets = ByLog::from(offsets);
            for (log, offset) in &offsets {
                self.proves_arrival(consumer, *log, *offset);
            }
            self.checkpoint_commit(consumer, &offsets);
            self.apply_commit(consumer, &offsets, Metadata::new());
        }
    }
}
