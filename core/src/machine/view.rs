//! What one sees who looks into a broker from outside: each consumer as it is at this moment.
//!
//! For consoles and simulators. Nothing here is an answer to a client: it may be ahead of what is durable.

use alloc::vec::Vec;

use super::{Core, Open};
use crate::{
    config::ConsumerOptions,
    durable::{ConsumerRecord, Durable},
    ids::{ConsumerId, Generation, GroupName, LogId, RequestId},
    response::{Bounds, PartitionStatus},
    session::Stage,
    time::Timestamp,
};

/// A consumer at this moment.
#[derive(Clone, Debug)]
pub struct ConsumerView<'a> {
    /// Its id.
    pub consumer: ConsumerId,
    /// Its group.
    pub group: &'a GroupName,
    /// How it is treated.
    pub options: &'a ConsumerOptions,
    /// The generation it was last told.
    pub generation: Generation,
    /// Whether it said goodbye, and only its place is kept.
    pub away: bool,
    /// When it is removed if nothing is heard of it; its clock does not run while a poll of it is under way.
    pub ends_at: Timestamp,
    /// Its poll under way.
    pub poll: Option<PollView>,
    /// Where it stands in each of its partitions.
    pub partitions: Vec<PartitionStatus>,
}

/// A poll under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PollView {
    /// The request.
    pub request: RequestId,
    /// When it ends at the latest.
    pub deadline: Timestamp,
    /// Whether it waits for records, rather than for the engine.
    pub parked: bool,
}

impl Core {
    /// All consumers, in order of their ids.
    pub fn consumer_views(&self) -> impl Iterator<Item = ConsumerView<'_>> {
        self.sessions.iter().map(|(consumer, session)| ConsumerView {
            consumer: *consumer,
            group: &session.group,
            options: &session.options,
            generation: session.generation,
            away: session.away,
            ends_at: session.ends_at(),
            poll: self.poll_view(*consumer),
            partitions: self.positions(*consumer).into_vec(),
        })
    }

    /// The poll of a consumer that is under way.
    pub fn poll_view(&self, consumer: ConsumerId) -> Option<PollView> {
        let poll = self.sessions.get(&consumer)?.poll.as_ref()?;
        let parked = matches!(poll.stage, Stage::Parked { .. });
        Some(PollView { request: poll.request, deadline: poll.deadline, parked })
    }

    /// What would outlive a crash if all that was decided were durable.
    pub fn durable(&self) -> &Durable {
        &self.durable
    }

    /// Whether a request is a poll that waits for records.
    pub fn is_parked(&self, request: RequestId) -> bool {
        match self.requests.get(&request) {
            Some(Open::Poll(consumer)) => self.poll_view(*consumer).is_some_and(|poll| poll.parked),
            _ => false,
        }
    }

    /// What time it is for it.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// How many records of the partitions that consumers hold are not committed, over all groups. Where nothing was
    /// committed, how many are not delivered.
    pub fn lag(&self) -> u64 {
        let behind = |(consumer, record): (&ConsumerId, &ConsumerRecord), log: &LogId| {
            let Bounds { start, end } = self.logs.get(log).map(|log| log.bounds).unwrap_or_default();
            let partition = self.sessions.get(consumer).and_then(|session| session.partitions.get(log));
            let position = partition.and_then(|partition| partition.position);
            let done = self.durable.committed(&record.group, *log).or(position).unwrap_or(start);
            end.0.saturating_sub(done.0)
        };
        let consumers = self.durable.consumers.iter();
        consumers.flat_map(|(id, record)| record.held.keys().map(move |log| behind((id, record), log))).sum()
    }
}
