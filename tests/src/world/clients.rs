//! The clients of a world: what they do, what they see, and what must hold of it.

use std::collections::BTreeMap;

use takhin_core::{
    BatchId, CommitOffset, ConsumerId, ConsumerOptions, Event, Generation, LogId, Offset, OffsetReset, PollLimits,
    Refusal, Request, RequestId, Response, SeekTo,
    response::{CommittedPartition, Consumed, GroupState},
};

use super::{GROUPS, TOPICS, WILD, World};
use crate::script::{consumer, group, topic};

/// One client of a group. What it knows is only what responses that reached it said.
#[derive(Default)]
pub(super) struct Client {
    pub(super) group: usize,
    pub(super) me: Option<ConsumerId>,
    pub(super) auto_commit: bool,
    /// The last batch that reached it.
    pub(super) after: u64,
    /// How far what it received goes, of each log.
    pub(super) next: BTreeMap<LogId, Offset>,
    pub(super) generation: Generation,
    pub(super) polling: bool,
    /// Whether something may have been sent that did not reach it.
    pub(super) unsure: bool,
}

/// A request that is owed a reply.
pub(super) struct Asked {
    pub(super) client: Option<usize>,
    pub(super) request: Request,
    /// What its group had committed when it was asked.
    pub(super) committed: BTreeMap<LogId, Offset>,
}

impl World {
    pub(super) fn client_acts(&mut self) {
        let at = self.chance.index(self.clients.len());
        let Some(me) = self.clients[at].me else { return self.subscribe(at) };
        match self.chance.below(if self.clients[at].group == WILD { 26 } else { 20 }) {
            0..11 => {
                let timeout_ms = [0, 100, 2_000][self.chance.index(3)];
                self.poll(at, timeout_ms);
            }
            11..15 => self.commit(at),
            15..17 => {
                self.ask(Some(at), Request::Describe { consumer: me });
            }
            // Closing says that all was received.
            17 if !self.clients[at].unsure && self.chance.one_in(6) => {
                self.ask(Some(at), Request::Close { consumer: me });
            }
            18 if self.chance.one_in(6) => {
                self.clients[at].forget();
            }
            17..20 => {
                self.ask(Some(at), Request::Committed { consumer: me });
            }
            n => self.act_wildly(at, me, n),
        }
    }

    pub(super) fn act_wildly(&mut self, at: usize, me: ConsumerId, n: u32) {
        let name = topic(TOPICS[self.chance.index(3)]);
        let (partition, offset) = (self.chance.below(3), i64::from(self.chance.below(20)));
        let request = match n {
            20 => Request::Assign { consumer: me, partitions: vec![(name, partition)] },
            21..24 => Request::Seek { consumer: me, positions: vec![SeekTo { topic: name, partition, offset }] },
            _ => {
                let offsets = Some(vec![CommitOffset { topic: name, partition, offset, metadata: None }]);
                Request::Commit { consumer: me, offsets, generation: None }
            }
        };
        self.ask(Some(at), request);
    }

    pub(super) fn subscribe(&mut self, at: usize) {
        self.consumers += 1;
        let me = consumer(self.consumers);
        let group_of = self.clients[at].group;
        let auto_commit = self.chance.one_in(2);
        let options = ConsumerOptions {
            auto_offset_reset: OffsetReset::Earliest,
            session_timeout_ms: 4_000,
            rebalance_timeout_ms: 2_000,
            auto_commit,
            auto_commit_interval_ms: 200,
            ..ConsumerOptions::default()
        };
        self.clients[at] = Client { group: group_of, me: Some(me), auto_commit, ..Client::default() };
        // The first client of each group wants everything.
        let topics = if at >= GROUPS.len() && self.chance.one_in(3) { &TOPICS[..2] } else { &TOPICS[..] };
        let topics = topics.iter().map(|name| topic(name)).collect();
        let group = group(GROUPS[group_of]);
        self.ask(Some(at), Request::Subscribe { consumer: me, group, topics, options, allow_missing: true });
    }

    pub(super) fn poll(&mut self, at: usize, timeout_ms: u32) {
        let client = &self.clients[at];
        let Some(consumer) = client.me else { return };
        // Without after_batch, only one poll at a time says what was received.
        if client.group == 1 && client.polling {
            return;
        }
        let after_batch = (client.group == 0).then_some(BatchId(client.after));
        let (few, much) = (self.chance.one_in(3), self.chance.one_in(4));
        let limits = PollLimits {
            max_records: if few { 2 } else { 500 },
            min_bytes: if much { 60 } else { 1 },
            timeout_ms,
            ..PollLimits::default()
        };
        self.clients[at].polling = true;
        self.ask(Some(at), Request::Consume { consumer, limits, after_batch });
    }

    pub(super) fn commit(&mut self, at: usize) {
        let client = &self.clients[at];
        let Some(consumer) = client.me.filter(|_| !client.auto_commit || client.group == WILD) else { return };
        let names = self.core.snapshot();
        let entries = client.next.iter().filter_map(|(log, offset)| {
            let topic = names.topics.get(&log.topic)?.name.clone();
            Some(CommitOffset {
                topic,
                partition: log.partition,
                offset: i64::try_from(offset.0).ok()?,
                metadata: None,
            })
        });
        let entries: Vec<CommitOffset> = entries.collect();
        if !entries.is_empty() {
            let one = entries[self.chance.index(entries.len())].clone();
            let offsets = Some(if self.chance.one_in(2) { entries } else { vec![one] });
            self.ask(Some(at), Request::Commit { consumer, offsets, generation: None });
        }
    }

    pub(super) fn replied(&mut self, id: RequestId, response: Result<Response, Refusal>) {
        self.must(self.open.contains_key(&id), "one reply per request, and none after it went");
        let Some(asked) = self.open.remove(&id) else { return };
        if let Ok(Response::Consumed(Consumed { fetch: Some(fetch), .. })) = &response {
            let kept = self.buffers.remove(fetch);
            self.must(kept, "an answer's records are at hand");
        }
        if let Ok(Response::Groups(groups)) = &response
            && !self.faults
        {
            let settled = groups.iter().all(|group| group.state != GroupState::Reconciling);
            self.must(settled, "every group becomes stable");
        }
        let Some(at) = asked.client else { return };
        let poll = matches!(asked.request, Request::Consume { .. });
        let same = asked.request_consumer() == self.clients[at].me;
        let lost = self.faults && self.chance.one_in(8);
        if poll && same {
            self.clients[at].polling = false;
        }
        if poll && same {
            self.clients[at].unsure = lost;
        }
        if lost || !same {
            if let (true, Some(consumer)) = (poll && response.is_ok(), asked.request_consumer())
                && (self.clients[at].group == 1 || self.chance.one_in(2))
            {
                self.event(Event::Undelivered { request: id, consumer });
            }
            return;
        }
        match response {
            Ok(Response::Consumed(consumed)) => self.received(at, &asked, &consumed),
            Ok(Response::Committed(offsets)) if matches!(asked.request, Request::Commit { .. }) => {
                self.must_be_durable(at, &offsets);
            }
            Ok(Response::Closed { .. })
            | Err(Refusal::ConsumerExpired { .. } | Refusal::ConsumerNotFound { .. } | Refusal::ConsumerGone { .. }) => {
                self.clients[at].forget();
            }
            Err(Refusal::BatchUnknown { previous, .. }) => self.clients[at].after = previous.0,
            Err(Refusal::PartitionNotAssigned { .. }) => self.clients[at].next.clear(),
            _ => {}
        }
    }

    pub(super) fn received(&mut self, at: usize, asked: &Asked, consumed: &Consumed) {
        let group = self.clients[at].group;
        let told = self.told.entry(group).or_default();
        *told = consumed.generation.max(*told);
        let grew = consumed.generation >= self.clients[at].generation;
        self.must(grew, "the generation told to a member never goes back");
        self.clients[at].generation = consumed.generation;
        self.clients[at].after = consumed.batch.0;
        for (name, partition) in consumed.rebalance.iter().flat_map(|change| change.assigned.union(&change.revoked)) {
            let names = self.core.snapshot().topics;
            let of = |log: &LogId| names.get(&log.topic).is_none_or(|topic| topic.name == *name);
            self.clients[at].next.retain(|log, _| !(log.partition == *partition && of(log)));
        }
        for part in &consumed.parts {
            let committed = asked.committed.get(&part.log).copied().unwrap_or_default();
            self.must(group == WILD || part.from >= committed, "what was committed is not delivered again");
            let records = self.received.entry((group, part.log)).or_default();
            let known = part.from.0 == 0 || records.contains(&(part.from.0 - 1));
            records.extend(part.from.0..part.next.0);
            self.must(group == WILD || known, "no record is skipped");
            self.clients[at].next.insert(part.log, part.next);
        }
    }

    pub(super) fn must_be_durable(&mut self, at: usize, offsets: &[CommittedPartition]) {
        let group_of = self.clients[at].group;
        let durable = self.engine.fold(self.config.max_ended_remembered);
        let ids: BTreeMap<_, _> = durable.topics.iter().map(|(id, topic)| (topic.name.clone(), *id)).collect();
        for entry in offsets {
            let (Some(id), Some(offset)) = (ids.get(&entry.topic), entry.offset) else { continue };
            let log = LogId { topic: *id, partition: entry.partition };
            let stored = durable.committed(GROUPS[group_of], log);
            self.must(group_of == WILD || stored >= Some(offset), "a commit is durable before it is acknowledged");
            self.acknowledged.insert((group_of, log), offset);
        }
    }
}

impl Client {
    pub(super) fn forget(&mut self) {
        *self = Self { group: self.group, ..Self::default() };
    }
}

impl Asked {
    pub(super) fn request_consumer(&self) -> Option<ConsumerId> {
        match &self.request {
            Request::Subscribe { consumer, .. }
            | Request::Consume { consumer, .. }
            | Request::Commit { consumer, .. }
            | Request::Seek { consumer, .. }
            | Request::Assign { consumer, .. }
            | Request::Describe { consumer }
            | Request::Committed { consumer }
            | Request::Close { consumer } => Some(*consumer),
            _ => None,
        }
    }
}
