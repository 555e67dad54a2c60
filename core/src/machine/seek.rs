//! Seeking: positions moved by a consumer's word.

use alloc::collections::BTreeMap;

use super::Core;
use crate::{
    config::OffsetReset,
    event::{Place, SeekTo},
    ids::{ConsumerId, GroupName, LogId, Offset, RequestId, TopicName},
    planted::planted,
    refusal::Refusal,
    response::Response,
    session::{Gathered, Stage},
};

impl Core {
    pub(super) fn seek(&mut self, request: RequestId, consumer: ConsumerId, positions: &[SeekTo]) {
        let targets = self.may_seek(consumer, positions);
        self.move_to(request, consumer, targets);
    }

    pub(super) fn seek_place(
        &mut self,
        request: RequestId,
        consumer: ConsumerId,
        which: Option<&[(TopicName, u32)]>,
        to: Place,
    ) {
        let targets = self.may_seek_place(consumer, which, to);
        self.move_to(request, consumer, targets);
    }

    fn move_to(&mut self, request: RequestId, consumer: ConsumerId, targets: Result<BTreeMap<LogId, Offset>, Refusal>) {
        self.touch(consumer);
        let targets = match targets {
            Ok(targets) => targets,
            Err(refusal) => return self.refuse(request, refusal),
        };
        for (log, offset) in targets {
            let behind = u64::from(planted!(self, SeekLandsBehind));
            let offset = Offset(offset.0 + behind).min(self.logs[&log].bounds.end);
            self.place(consumer, log, Some(offset));
            if let Some(partition) = self.sessions.get_mut(&consumer).and_then(|s| s.partitions.get_mut(&log)) {
                partition.resumed = false;
            }
        }
        let after = self.keep_positions(consumer);
        self.look_again(consumer);
        let description = self.consumer_description(consumer);
        self.reply_after(request, after, Response::Consumer(description));
    }

    fn may_seek(&self, consumer: ConsumerId, positions: &[SeekTo]) -> Result<BTreeMap<LogId, Offset>, Refusal> {
        self.must_know(consumer)?;
        self.may_write()?;
        Self::not_empty("offsets", positions.is_empty())?;
        let session = &self.sessions[&consumer];
        let mut targets = BTreeMap::new();
        for SeekTo { topic, partition, offset } in positions {
            let log = self.find_log(topic, *partition)?;
            if session.partitions.get(&log).is_none_or(|partition| partition.revoking) {
                return Err(Refusal::PartitionNotAssigned { topic: topic.clone(), partition: *partition });
            }
            targets.insert(log, self.check_offset(topic, log, *offset, self.logs[&log].bounds.start)?);
        }
        Ok(targets)
    }

    fn may_seek_place(
        &self,
        consumer: ConsumerId,
        which: Option<&[(TopicName, u32)]>,
        to: Place,
    ) -> Result<BTreeMap<LogId, Offset>, Refusal> {
        self.must_know(consumer)?;
        self.may_write()?;
        let session = &self.sessions[&consumer];
        let offset = |log: LogId| {
            let bounds = self.logs[&log].bounds;
            let offset = match to {
                Place::Beginning => Some(bounds.start),
                Place::End => Some(bounds.end),
                Place::Committed => self.first_position(&session.group, session.options.auto_offset_reset, log),
            };
            let none = || Refusal::NoCommittedOffset { topic: self.topic_name(log), partition: log.partition };
            Ok((log, offset.ok_or_else(none)?))
        };
        self.having(consumer, which)?.into_iter().map(offset).collect()
    }

    /// Puts a consumer at an offset; whatever was in flight for the partition no longer counts.
    pub(super) fn place(&mut self, consumer: ConsumerId, log: LogId, position: Option<Offset>) {
        let Some(session) = self.sessions.get_mut(&consumer) else { return };
        let Some(partition) = session.partitions.get_mut(&log) else { return };
        partition.position = position;
        partition.lookup = None;
        partition.counted = position.unwrap_or_default();
        partition.delivered = None;
        partition.received = None;
        partition.committed = None;
        session.uncommitted.remove(&log);
        session.delivered.remove(&log);
        session.note_moved(log);
        session.take_out_of_batches(log);
        self.file(consumer, log);
    }

    /// A position that no longer exists goes where the reset policy says.
    pub(super) fn reset_position(&mut self, consumer: ConsumerId, log: LogId) {
        let Some(session) = self.sessions.get(&consumer) else { return };
        let Some(bounds) = self.logs.get(&log).map(|log| log.bounds) else { return };
        let lost = session.partitions.get(&log).and_then(|p| p.position).is_some_and(|at| at < bounds.start);
        if lost {
            let position = match session.options.auto_offset_reset {
                OffsetReset::Earliest => Some(bounds.start),
                OffsetReset::Latest => Some(bounds.end),
                OffsetReset::ByDuration(_) | OffsetReset::None => None,
            };
            let lookup = self.date_to_begin_at(session.options.auto_offset_reset);
            self.place(consumer, log, position);
            if let Some(at) = lookup {
                self.look_up(consumer, log, at);
            }
        }
    }

    /// Where a consumer begins in a partition that it is given, unless that is to be looked up.
    pub(super) fn first_position(&self, group: &GroupName, reset: OffsetReset, log: LogId) -> Option<Offset> {
        let bounds = self.logs[&log].bounds;
        let committed = self.durable.committed(group, log);
        committed.filter(|at| (bounds.start..=bounds.end).contains(at)).or(match reset {
            OffsetReset::Earliest => Some(bounds.start),
            OffsetReset::Latest => Some(bounds.end),
            OffsetReset::ByDuration(_) | OffsetReset::None => None,
        })
    }

    /// Something moved under a parked poll: what it had counted is void.
    pub(super) fn look_again(&mut self, consumer: ConsumerId) {
        let Some(session) = self.sessions.get_mut(&consumer) else { return };
        let Some(poll) = &mut session.poll else { return };
        if let Stage::Parked { have } = &mut poll.stage {
            if !session.ready.is_empty() || !poll.counted.is_empty() {
                *have = Gathered::UNKNOWN;
            }
            self.woken.insert(consumer);
        }
    }
}
