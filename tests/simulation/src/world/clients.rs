//! Clients: what each of them asks, by the manners of its group.

use std::sync::Arc;

use takhin_core::{
    Assignor, BatchId, CommitOffset, ConsumerId, ConsumerOptions, Event, Generation, LogId, Offset, OffsetReset,
    PollLimits, Request, RequestId, SeekTo, TopicName,
};
use uuid::Uuid;

use super::{
    World,
    replies::{Ask, Asked},
};
use crate::{coverage::Rare, model::what_is_committed, options::GroupKind, oracle::Violation};

/// How long a client is heard of nothing before its session ends, in its own options.
pub(super) const SESSION_MS: u32 = 4_000;

/// One client. What it knows is only what answers that reached it said.
#[derive(Clone, Debug)]
pub(super) struct Client {
    pub(super) group: usize,
    pub(super) me: Option<ConsumerId>,
    pub(super) auto_commit: bool,
    /// The last batch that it has.
    pub(super) after: BatchId,
    /// The last batch that was lost on its way, and the step in which it was asked for.
    pub(super) lost: Option<(BatchId, u64)>,
    /// How far what it received goes, of each log.
    pub(super) next: Vec<(LogId, TopicName, Offset)>,
    pub(super) generation: Generation,
    /// The poll whose answer it waits for.
    pub(super) poll: Option<RequestId>,
    /// Whether something may have been sent that did not reach it.
    pub(super) is_unsure: bool,
    /// It does nothing before.
    pub(super) asleep_until: u64,
    /// Whether there is no room for it.
    pub(super) is_refused: bool,
    /// What it subscribed with, unless it wants something else since.
    pub(super) subscribed: Option<Request>,
    /// Who it was before.
    pub(super) former: Option<ConsumerId>,
    /// Who it was before, if that said goodbye: its id may be used again by who takes its place.
    awaited: Option<ConsumerId>,
    /// The step in which it paused something.
    pub(super) paused_in: Option<u64>,
}

impl Client {
    pub(super) fn new(group: usize) -> Self {
        Self {
            group,
            me: None,
            auto_commit: false,
            after: BatchId::NONE,
            lost: None,
            next: Vec::new(),
            generation: Generation::default(),
            poll: None,
            is_unsure: false,
            asleep_until: 0,
            is_refused: false,
            subscribed: None,
            former: None,
            awaited: None,
            paused_in: None,
        }
    }

    /// It begins anew, as another consumer.
    pub(super) fn forget(&mut self) {
        let former = self.me.or(self.former);
        *self = Self { former, ..Self::new(self.group) };
    }

    /// It begins anew, and may do so as who it was.
    pub(super) fn said_goodbye(&mut self) {
        self.forget();
        self.awaited = self.former;
    }
}

impl World {
    pub(super) fn kind(&self, at: usize) -> GroupKind {
        self.groups[self.clients[at].group].0
    }

    /// A client that is awake; `wild`: of those that do as they like.
    pub(super) fn some_client(&mut self, wild: bool) -> Option<usize> {
        let first = self.word.index(self.clients.len());
        let mut order = (first..self.clients.len()).chain(0..first);
        order.find(|at| self.clients[*at].asleep_until <= self.now && (!wild || self.kind(*at) == GroupKind::Wild))
    }

    pub(super) fn ask(&mut self, client: Option<usize>, ask: Ask, request: Request) -> Result<RequestId, Violation> {
        let id = self.id_for(&request);
        let consumer = client.and_then(|at| self.clients[at].me);
        self.open.push(Asked { id, client, consumer, ask, step: self.step });
        self.asker = consumer;
        self.event(Event::Request { id, request })?;
        Ok(id)
    }

    pub(super) fn subscribe(&mut self, at: usize) -> Result<(), Violation> {
        let instance_id = self.instance(at);
        let former = self.clients[at].former;
        let may = self.faults && instance_id.is_some();
        let again = self.clients[at].awaited.filter(|_| may && self.word.one_in(2));
        self.consumers += u128::from(again.is_none());
        let consumer = again.unwrap_or(ConsumerId(Uuid::from_u128(self.consumers)));
        let (group, wild) = (self.clients[at].group, self.kind(at) == GroupKind::Wild);
        let auto_commit = self.kind(at) != GroupKind::ByHand && !self.word.one_in(2);
        // Since before all records is from the earliest on, for who plays by the rules.
        let earliest = [OffsetReset::Earliest, OffsetReset::Earliest, OffsetReset::ByDuration(u64::MAX)];
        let wishes = [OffsetReset::Earliest, OffsetReset::Latest, OffsetReset::None, OffsetReset::ByDuration(1_000)];
        let resets = if wild { &wishes[..] } else { &earliest[..] };
        let must_poll = self.options.must_poll && self.word.one_in(2);
        let options = ConsumerOptions {
            auto_offset_reset: self.word.of(resets).unwrap_or_default(),
            session_timeout_ms: SESSION_MS,
            max_poll_interval_ms: if must_poll { 1_500 } else { 300_000 },
            rebalance_timeout_ms: 2_000,
            auto_commit,
            auto_commit_interval_ms: self.word.of(&[200, 0, 1_000]).unwrap_or_default(),
            assignor: self.word.of(&[Assignor::Uniform, Assignor::Uniform, Assignor::Range]).unwrap_or_default(),
            instance_id,
            ..ConsumerOptions::default()
        };
        let topics = self.wanted_topics(at);
        let name = self.groups[group].1.clone();
        let request = Request::Subscribe { consumer, group: name, topics, options, allow_missing: true };
        let subscribed = Some(request.clone());
        self.clients[at] = Client { me: Some(consumer), auto_commit, subscribed, former, ..Client::new(group) };
        self.ask(Some(at), Ask::Subscribe, request).map(drop)
    }

    pub(super) fn poll(&mut self, at: usize, timeout_ms: u32) -> Result<(), Violation> {
        let Some(consumer) = self.clients[at].me else { return self.subscribe(at) };
        let (kind, client) = (self.kind(at), &self.clients[at]);
        // Without after_batch, only one poll at a time says what was received.
        if kind == GroupKind::Plain && client.poll.is_some() {
            return Ok(());
        }
        if client.poll.is_some() {
            self.cover(Rare::SupersedesPoll);
            if self.is_fetching(at) {
                self.cover(Rare::SupersededDuringFetch);
            }
        }
        let after = self.clients[at].after;
        let after_batch = match kind {
            GroupKind::Exact | GroupKind::ByHand => Some(after),
            GroupKind::Plain => None,
            GroupKind::Wild => [None, Some(after), Some(BatchId(after.0.saturating_sub(1)))][self.word.index(3)],
        };
        // At the end of a run all is to arrive within its rounds, so nobody takes only a little then.
        let few = self.word.one_in(3) && self.faults;
        let much = timeout_ms > 0 && self.word.one_in(4);
        let small = self.word.one_in(6) && self.faults;
        let limits = PollLimits {
            max_records: if few { 2 } else { 500 },
            max_bytes: if small { 15 } else { 1 << 20 },
            min_bytes: if much { 60 } else { 1 },
            timeout_ms,
        };
        let limits = PollLimits { min_bytes: limits.min_bytes.min(limits.max_bytes), ..limits };
        let request = Request::Consume { consumer, limits, after_batch };
        let id = self.next_request();
        self.clients[at].poll = Some(id);
        self.open.push(Asked { id, client: Some(at), consumer: Some(consumer), ask: Ask::Poll, step: self.step });
        self.event(Event::Request { id, request })
    }

    /// The offsets that a client would commit: of all that it has, or of one partition.
    fn pick_commits(&mut self, at: usize) -> Vec<(LogId, TopicName, Offset)> {
        let all = &self.clients[at].next;
        let one = self.word.one_in(2).then(|| self.word.index(all.len()));
        // Of a topic that was made anew under its name a client hears before it commits again.
        let core = &self.core;
        let is_there =
            |(log, name, _): &&(LogId, TopicName, Offset)| core.topic(name).is_some_and(|t| t.id == log.topic);
        match one {
            Some(one) => all.get(one).filter(is_there).cloned().into_iter().collect(),
            None => all.iter().filter(is_there).cloned().collect(),
        }
    }

    pub(super) fn commit(&mut self, at: usize, stale: bool) -> Result<(), Violation> {
        let kind = self.kind(at);
        let client = &self.clients[at];
        let (auto_commit, generation) = (client.auto_commit, client.generation);
        let Some(consumer) = client.me.filter(|_| !auto_commit || kind == GroupKind::Wild || stale) else {
            return Ok(());
        };
        let offsets = self.pick_commits(at);
        if offsets.is_empty() {
            return Ok(());
        }
        let older = Generation(generation.0.saturating_sub(1));
        // Who plays by the rules says from which assignment it speaks.
        let generation = if stale { older } else { generation };
        let generation = (kind != GroupKind::Wild || self.word.one_in(2)).then_some(generation);
        if stale && older == self.clients[at].generation {
            return Ok(());
        }
        let group = self.clients[at].group;
        let by_hand = kind == GroupKind::ByHand;
        let note: Option<Arc<str>> = self.word.one_in(3).then(|| Arc::from(format!("{}", 1 + self.word.below(99))));
        let tickets = offsets.iter().filter(|_| by_hand).map(|(log, _, offset)| {
            (*log, self.model.begin_commit(group, *log, what_is_committed(*offset, note.as_deref())))
        });
        let ask = Ask::Commit { tickets: tickets.collect() };
        let entries = offsets.into_iter().map(|(log, topic, offset)| {
            let offset = i64::try_from(offset.0).unwrap_or(i64::MAX);
            CommitOffset { topic, partition: log.partition, offset, metadata: note.clone() }
        });
        let request = Request::Commit { consumer, offsets: Some(entries.collect()), generation };
        self.ask(Some(at), ask, request).map(drop)
    }

    /// Commits what was delivered. Who can't know whether all of it arrived must not.
    pub(super) fn commit_all(&mut self, at: usize) -> Result<(), Violation> {
        let client = &self.clients[at];
        let knows = !client.is_unsure;
        match (client.me, self.kind(at)) {
            (_, GroupKind::ByHand) => Ok(()),
            (Some(consumer), kind) if knows || kind == GroupKind::Wild => {
                let request = Request::Commit { consumer, offsets: None, generation: None };
                self.ask(Some(at), Ask::Commit { tickets: Vec::new() }, request).map(drop)
            }
            _ => Ok(()),
        }
    }

    pub(super) fn commit_anywhere(&mut self, at: usize) -> Result<(), Violation> {
        let (Some(consumer), Some((topic, partition))) = (self.clients[at].me, self.some_partition()) else {
            return Ok(());
        };
        let entry = CommitOffset { topic, partition, offset: i64::from(self.word.below(40)) - 1, metadata: None };
        let request = Request::Commit { consumer, offsets: Some(vec![entry]), generation: None };
        self.ask(Some(at), Ask::Commit { tickets: Vec::new() }, request).map(drop)
    }

    /// A client goes on behind what can't be read.
    pub(super) fn seek_behind(&mut self, at: usize, topic: TopicName, partition: u32, next: Offset) {
        let Some(consumer) = self.clients[at].me else { return };
        let to = SeekTo { topic, partition, offset: i64::try_from(next.0).unwrap_or(i64::MAX) };
        let id = self.next_request();
        self.open.push(Asked { id, client: Some(at), consumer: Some(consumer), ask: Ask::Other, step: self.step });
        self.queue.push_back(Event::Request { id, request: Request::Seek { consumer, positions: vec![to] } });
    }

    pub(super) fn assign(&mut self, at: usize) -> Result<(), Violation> {
        let (Some(consumer), Some(one)) = (self.clients[at].me, self.some_partition()) else { return Ok(()) };
        let partitions = if self.word.one_in(4) { Vec::new() } else { vec![one] };
        self.clients[at].subscribed = None;
        self.ask(Some(at), Ask::Other, Request::Assign { consumer, partitions }).map(drop)
    }

    pub(super) fn describe(&mut self, at: usize) -> Result<(), Violation> {
        let Some(consumer) = self.clients[at].me else { return Ok(()) };
        self.ask(Some(at), Ask::Other, Request::Describe { consumer }).map(drop)
    }

    pub(super) fn ask_committed(&mut self, at: usize) -> Result<(), Violation> {
        let Some(consumer) = self.clients[at].me else { return Ok(()) };
        let (group, mut tickets) = (self.clients[at].group, Vec::new());
        if self.kind(at) == GroupKind::ByHand {
            let names = &self.core;
            let known = self.clients[at]
                .next
                .iter()
                .filter(|(log, name, _)| names.topic(name).is_some_and(|topic| topic.id == log.topic));
            let known = known.map(|(log, name, _)| (*log, name.clone()));
            tickets.extend(known.map(|(log, name)| (log, name, self.model.begin_committed(group, log))));
        }
        self.ask(Some(at), Ask::Committed { tickets }, Request::Committed { consumer }).map(drop)
    }

    /// Says goodbye; with auto-commit that says that all arrived, so who can't know that must not.
    pub(super) fn close(&mut self, at: usize) -> Result<(), Violation> {
        let client = &self.clients[at];
        let Some(consumer) = client.me else { return Ok(()) };
        let unsure = client.is_unsure || client.poll.is_some();
        if unsure && client.auto_commit && self.kind(at) != GroupKind::Wild {
            return Ok(());
        }
        self.clients[at].subscribed = None;
        self.ask(Some(at), Ask::Close, Request::Close { consumer }).map(drop)
    }

    /// A client is silent for longer than its session lasts, and comes back as who it was.
    pub(super) fn sleep(&mut self, at: usize) {
        self.clients[at].asleep_until = self.now + u64::from(SESSION_MS) + 1_000;
    }

    pub(super) fn pause(&mut self, at: usize) {
        self.clients[at].asleep_until = self.now + u64::from(self.word.below(1_500));
    }

    pub(super) fn hang_up(&mut self) -> Result<(), Violation> {
        if self.open.is_empty() {
            return Ok(());
        }
        let at = self.word.index(self.open.len());
        let asked = self.open.remove(at);
        if self.core.waits_for_facts(asked.id) {
            self.cover(Rare::HangsUpOnHeldAnswer);
        }
        self.gave_up(&asked)?;
        self.event(Event::Disconnected { request: asked.id })
    }

    /// Nobody will know what came of a request.
    pub(super) fn gave_up(&mut self, asked: &Asked) -> Result<(), Violation> {
        if let Some(at) = asked.client
            && self.clients[at].me == asked.consumer
            && self.clients[at].poll == Some(asked.id)
        {
            self.clients[at].poll = None;
            self.clients[at].is_unsure = true;
        }
        let group = asked.client.map_or(0, |at| self.clients[at].group);
        match &asked.ask {
            Ask::Read { log: Some((log, ticket)), .. } => self.model.end_told(*log, *ticket, None, &self.engine),
            Ask::Committed { tickets } => {
                tickets.iter().try_for_each(|(log, _, ticket)| self.model.committed_told((group, *log), *ticket, None))
            }
            _ => Ok(()),
        }
    }

    /// Whether the engine reads for a client's poll.
    pub(super) fn is_fetching(&self, at: usize) -> bool {
        self.clients[at].poll.is_some_and(|poll| self.engine.is_fetching(poll))
    }

    /// A partition that is there, or might be.
    pub(super) fn some_partition(&mut self) -> Option<(TopicName, u32)> {
        let topic = self.topics.get(self.word.index(self.topics.len()))?.clone();
        Some((topic, self.word.below(u32::from(self.options.partitions.max(1)))))
    }

    pub(super) fn poll_timeout(&mut self) -> u32 {
        self.word.of(&[100, 2_000, 20]).unwrap_or_default()
    }
}
