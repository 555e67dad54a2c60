//! Pausing: partitions that a consumer keeps and is not delivered.
//!
//! A pause lasts until the consumer ends it or loses the partition, across restarts too, since the consumer itself
//! lives across them. A paused partition is neither among what is ready nor among those who wait on its log, so an
//! append to it wakes nobody.

use alloc::{collections::BTreeSet, vec::Vec};

use super::Core;
use crate::{
    fact::Fact,
    ids::{ConsumerId, FactSeq, LogId, RequestId, TopicName},
    refusal::Refusal,
    response::Response,
};

impl Core {
    pub(super) fn pause(&mut self, request: RequestId, consumer: ConsumerId, which: Option<&[(TopicName, u32)]>) {
        self.set_paused(request, consumer, which, true);
    }

    pub(super) fn resume(&mut self, request: RequestId, consumer: ConsumerId, which: Option<&[(TopicName, u32)]>) {
        self.set_paused(request, consumer, which, false);
    }

    fn set_paused(
        &mut self,
        request: RequestId,
        consumer: ConsumerId,
        which: Option<&[(TopicName, u32)]>,
        paused: bool,
    ) {
        let logs = self.must_know(consumer).and_then(|()| self.may_write()).and_then(|()| match which {
            Some(_) => self.having(consumer, which),
            // What is being given up may be meant for it again before it has let go.
            None => Ok(self.sessions[&consumer].partitions.keys().copied().collect()),
        });
        self.touch(consumer);
        let logs = match logs {
            Ok(logs) => logs,
            Err(refusal) => return self.refuse(request, refusal),
        };
        let partitions = &self.sessions[&consumer].partitions;
        let turned = logs.into_iter().filter(|log| partitions.get(log).is_some_and(|p| p.paused != paused));
        let after = self.turn_paused(consumer, turned.collect(), paused);
        self.look_again(consumer);
        let after = after.max(self.sessions[&consumer].depends_on);
        let description = self.consumer_description(consumer);
        self.reply_after(request, after, Response::Consumer(description));
    }

    /// Pauses or resumes partitions that the consumer has.
    pub(super) fn turn_paused(&mut self, consumer: ConsumerId, logs: BTreeSet<LogId>, paused: bool) -> FactSeq {
        for log in &logs {
            let Some(session) = self.sessions.get_mut(&consumer) else { continue };
            if let Some(partition) = session.partitions.get_mut(log) {
                partition.paused = paused;
            }
            self.file(consumer, *log);
        }
        if logs.is_empty() {
            return FactSeq::default();
        }
        let fact = if paused { Fact::Paused { consumer, logs } } else { Fact::Resumed { consumer, logs } };
        let after = self.record(fact);
        if let Some(session) = self.sessions.get_mut(&consumer) {
            session.depends_on = after;
        }
        after
    }

    /// The partitions named, which must be the consumer's to keep; all of those if none is named.
    pub(super) fn having(
        &self,
        consumer: ConsumerId,
        which: Option<&[(TopicName, u32)]>,
    ) -> Result<BTreeSet<LogId>, Refusal> {
        let partitions = &self.sessions[&consumer].partitions;
        let Some(which) = which else {
            return Ok(partitions.iter().filter(|(_, partition)| !partition.revoking).map(|(log, _)| *log).collect());
        };
        Self::not_empty("partitions", which.is_empty())?;
        let logs: Vec<LogId> = which.iter().map(|(topic, n)| self.find_log(topic, *n)).collect::<Result<_, _>>()?;
        let foreign = logs.iter().position(|log| partitions.get(log).is_none_or(|partition| partition.revoking));
        if let Some((topic, partition)) = foreign.map(|at| which[at].clone()) {
            return Err(Refusal::PartitionNotAssigned { topic, partition });
        }
        Ok(logs.into_iter().collect())
    }
}
