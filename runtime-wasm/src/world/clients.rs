//! Clients as one would write them: they ask one thing at a time, try again after a failure, and name the last batch
//! that they have.

use takhin_core::{
    BatchId, ClientId, CommitOffset, ConsumerId, ConsumerOptions, Event, Generation, GroupName, InstanceId,
    OffsetReset, PollLimits, ProduceBatch, ProducerId, ProducerStamp, Refusal, Request, RequestId, Response, TopicName,
    Topics, response::Consumed,
};
use uuid::Uuid;

use super::{Happening, NO_ROW, World, mixed};
use crate::input::{ConsumerPlan, ProducerPlan};

/// How long a client waits for an answer that should come at once.
const PATIENCE_MS: u64 = 2_000;
/// After how long a client tries again what was refused, or could not be asked.
const RETRY_MS: u64 = 500;

/// A client.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) life: Life,
    /// Counts its processes: what was planned for an earlier one is void.
    pub(super) lives: u32,
    /// What it waits for.
    waiting: Option<RequestId>,
    /// What comes while it is frozen.
    missed: Vec<Missed>,
    pub(super) faults: Faults,
}

#[derive(Clone, Debug)]
enum Missed {
    Wish(Wish),
    Answer(RequestId, Box<Result<Response, Refusal>>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Life {
    Running,
    /// Frozen until then.
    Frozen(u64),
    Dead,
    /// It said goodbye, or its last word was refused for good.
    Gone,
}

#[derive(Clone, Debug)]
pub(crate) enum Role {
    Producer(Producer),
    Consumer(Consumer),
}

#[derive(Clone, Debug)]
pub(crate) struct Producer {
    pub(crate) plan: ProducerPlan,
    sequences: std::collections::BTreeMap<u32, u32>,
    turns: u32,
    /// What it sends until it hears that it is there.
    sending: Option<(u32, ProduceBatch)>,
    id: ProducerId,
}

#[derive(Clone, Debug)]
pub(crate) struct Consumer {
    pub(crate) plan: ConsumerPlan,
    pub(crate) id: Option<ConsumerId>,
    pub(crate) processing: u32,
    batch: Option<BatchId>,
    generation: Generation,
    /// What it got last: where to go on after it.
    got: Vec<CommitOffset>,
}

/// What happens to a client's next request or answer.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Faults {
    pub(super) drop: bool,
    pub(super) duplicate: bool,
    pub(super) delay_ms: u64,
    pub(super) lose_answer: bool,
}

/// What a client has in mind.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wish {
    Subscribe,
    Poll,
    Commit,
    Produce { records: Option<u32>, by_itself: bool },
    SendAgain,
    Thaw,
}

/// A request that a client sent.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) client: usize,
    life: u32,
    pub(super) sent_at: u64,
    pub(super) arrived: bool,
    /// Whether its answer was on its way, and got lost.
    lost: bool,
    /// Whether it is a second arrival, which nobody waits for.
    copy: bool,
    /// Where on the agenda it stands that its client gives up.
    gives_up: Option<(u64, u64)>,
}

impl Client {
    pub(super) fn producer(plan: ProducerPlan, nth: usize) -> Self {
        let id = ProducerId(1_000 + nth as u64);
        let producer = Producer { plan, sequences: std::collections::BTreeMap::new(), turns: 0, sending: None, id };
        Self::new(producer.plan.name.clone(), Role::Producer(producer))
    }

    pub(super) fn consumer(plan: ConsumerPlan) -> Self {
        let consumer =
            Consumer { plan, id: None, processing: 0, batch: None, generation: Generation::default(), got: Vec::new() };
        Self::new(consumer.plan.name.clone(), Role::Consumer(consumer))
    }

    fn new(name: String, role: Role) -> Self {
        let faults = Faults::default();
        Self { name, role, life: Life::Running, lives: 0, waiting: None, missed: Vec::new(), faults }
    }

    pub(super) fn first_wish(&self) -> Wish {
        match self.role {
            Role::Producer(_) => Wish::Produce { records: None, by_itself: true },
            Role::Consumer(_) => Wish::Subscribe,
        }
    }

    /// Forgets what a process forgets when it dies.
    pub(super) fn begin_anew(&mut self) {
        self.lives += 1;
        self.life = Life::Running;
        (self.waiting, self.missed) = (None, Vec::new());
        match &mut self.role {
            Role::Producer(producer) => producer.sending = None,
            Role::Consumer(consumer) => {
                (consumer.id, consumer.batch, consumer.processing) = (None, None, 0);
                consumer.got.clear();
            }
        }
    }

    pub(super) fn die(&mut self) -> Option<RequestId> {
        self.life = Life::Dead;
        self.lives += 1;
        self.missed.clear();
        self.waiting.take()
    }

    /// Whether it waits for an answer.
    pub(crate) fn is_waiting(&self) -> bool {
        self.waiting.is_some()
    }
}

impl World {
    pub(super) fn client_acts(&mut self, at: usize, life: u32, wish: Wish, cause: u32) {
        let client = &mut self.clients[at];
        if client.lives != life {
            return;
        }
        if let (Wish::Thaw, Life::Frozen(until)) = (wish, client.life) {
            if until <= self.now {
                client.life = Life::Running;
                for missed in std::mem::take(&mut client.missed) {
                    match missed {
                        Missed::Wish(wish) => self.client_acts(at, life, wish, cause),
                        Missed::Answer(id, response) => self.hear(at, id, *response, cause),
                    }
                }
            }
            return;
        }
        match client.life {
            Life::Frozen(_) => return client.missed.push(Missed::Wish(wish)),
            Life::Dead | Life::Gone => return,
            Life::Running => {}
        }
        match wish {
            Wish::Thaw => {}
            Wish::Subscribe => self.subscribe(at, cause),
            Wish::Poll => self.poll(at, cause),
            Wish::Commit => self.commit(at, cause),
            Wish::Produce { records, by_itself } => self.produce(at, records, by_itself, cause),
            Wish::SendAgain => self.send_batch(at, cause),
        }
    }

    pub(super) fn wish(&mut self, at: usize, after_ms: u64, wish: Wish, cause: u32) {
        let life = self.clients[at].lives;
        self.plan(self.now + after_ms, Happening::Acts { client: at, life, wish }, cause);
    }

    fn subscribe(&mut self, at: usize, cause: u32) {
        self.consumers += 1;
        let drawn = mixed(self.seed ^ self.consumers << 32);
        let uuid = Uuid::from_u64_pair(drawn & 0xffff_ffff_ffff_0fff | 0x4000, mixed(drawn) >> 2 | 1 << 63);
        let Role::Consumer(consumer) = &mut self.clients[at].role else { return };
        let id = *consumer.id.insert(ConsumerId(uuid));
        (consumer.batch, consumer.processing) = (Some(BatchId::NONE), 0);
        let plan = &consumer.plan;
        let topics: Vec<TopicName> = plan.topics.iter().filter_map(|name| TopicName::new(name).ok()).collect();
        let Ok(group) = GroupName::new(&plan.group) else { return };
        let options = ConsumerOptions {
            auto_offset_reset: if plan.latest { OffsetReset::Latest } else { OffsetReset::Earliest },
            session_timeout_ms: plan.session_ms,
            rebalance_timeout_ms: plan.rebalance_ms,
            auto_commit: !plan.commits,
            auto_commit_interval_ms: 1_000,
            client_id: ClientId::new(&plan.name).ok(),
            instance_id: plan.is_static.then(|| InstanceId::new(&plan.name).ok()).flatten(),
            ..ConsumerOptions::default()
        };
        let topics = Topics::Named(topics);
        self.send(at, Request::Subscribe { consumer: id, group, topics, options, allow_missing: true }, 0, cause);
    }

    fn poll(&mut self, at: usize, cause: u32) {
        let Role::Consumer(consumer) = &mut self.clients[at].role else { return };
        let Some(id) = consumer.id else { return };
        consumer.processing = 0;
        let (timeout_ms, max_records) = (consumer.plan.poll_ms, consumer.plan.max_records);
        let limits = PollLimits { timeout_ms, max_records, ..PollLimits::default() };
        let request = Request::Consume { consumer: id, limits, after_batch: consumer.batch };
        self.send(at, request, timeout_ms.into(), cause);
    }

    fn commit(&mut self, at: usize, cause: u32) {
        let Role::Consumer(consumer) = &mut self.clients[at].role else { return };
        let Some(id) = consumer.id else { return };
        let offsets = (!consumer.got.is_empty()).then(|| consumer.got.clone());
        let request = Request::Commit { consumer: id, offsets, generation: Some(consumer.generation) };
        self.send(at, request, 0, cause);
    }

    fn produce(&mut self, at: usize, records: Option<u32>, by_itself: bool, cause: u32) {
        let Role::Producer(producer) = &mut self.clients[at].role else { return };
        let (every, busy) = (producer.plan.every_ms, producer.sending.is_some());
        if by_itself && every == 0 {
            return;
        }
        if by_itself {
            self.wish(at, every.into(), Wish::Produce { records: None, by_itself: true }, NO_ROW);
        }
        if busy {
            return;
        }
        let partitions = {
            let Role::Producer(producer) = &self.clients[at].role else { return };
            self.core.topic(&producer.plan.topic).map_or(1, |topic| topic.partitions)
        };
        let Role::Producer(producer) = &mut self.clients[at].role else { return };
        let partition = producer.plan.partition.unwrap_or(producer.turns % partitions.max(1));
        producer.turns = producer.turns.wrapping_add(1);
        let records = records.unwrap_or(producer.plan.records).clamp(1, 10_000);
        let sequence = producer.sequences.entry(partition).or_default();
        let stamp = ProducerStamp { producer: producer.id, epoch: 0, sequence: *sequence };
        *sequence += records;
        let bytes = records.saturating_mul(producer.plan.bytes.clamp(1, 1 << 20));
        let producer_stamp = producer.plan.idempotent.then_some(stamp);
        let batch = ProduceBatch { partition, records, bytes, expected_offset: None, producer: producer_stamp };
        producer.sending = Some((partition, batch));
        self.send_batch(at, cause);
    }

    fn send_batch(&mut self, at: usize, cause: u32) {
        let Role::Producer(producer) = &self.clients[at].role else { return };
        let (Some((_, batch)), Ok(topic)) = (producer.sending, TopicName::new(&producer.plan.topic)) else { return };
        self.send(at, Request::Produce { topic, batches: [batch].into_iter().collect() }, 0, cause);
    }

    /// Sends a request, and gives up on its answer some time after it may take `takes_ms` to come.
    fn send(&mut self, at: usize, request: Request, takes_ms: u64, cause: u32) {
        let faults = self.clients[at].faults;
        self.clients[at].faults = Faults { lose_answer: faults.lose_answer, ..Faults::default() };
        let id = self.new_request(at, false);
        self.clients[at].waiting = Some(id);
        let latency = self.latency(2, 8) + faults.delay_ms;
        let gives_up =
            self.plan(self.now + takes_ms + PATIENCE_MS + faults.delay_ms, Happening::GivesUp { id }, NO_ROW);
        if let Some(asked) = self.asked.get_mut(&id) {
            asked.gives_up = Some(gives_up);
        }
        if faults.duplicate {
            let copy = self.new_request(at, true);
            let later = latency + self.latency(10, 30);
            self.plan(self.now + later, Happening::Arrives { id: copy, request: request.clone() }, cause);
        }
        if !faults.drop {
            self.plan(self.now + latency, Happening::Arrives { id, request }, cause);
        }
    }

    /// A request of nobody in particular.
    pub(super) fn administer(&mut self, request: Request, cause: u32) {
        let id = self.new_request(usize::MAX, true);
        let latency = self.latency(2, 8);
        self.plan(self.now + latency, Happening::Arrives { id, request }, cause);
    }

    fn new_request(&mut self, client: usize, copy: bool) -> RequestId {
        self.requests += 1;
        let id = RequestId::new(self.boot, self.requests);
        let life = self.clients.get(client).map_or(0, |client| client.lives);
        self.asked
            .insert(id, Asked { client, life, sent_at: self.now, arrived: false, lost: false, copy, gives_up: None });
        id
    }

    /// Nobody answered the connection: the client tries again, be it for the same or from the start.
    pub(super) fn refused_connection(&mut self, id: RequestId, cause: u32) {
        if let Some(asked) = self.asked.remove(&id).filter(|asked| !asked.copy) {
            self.try_again(asked.client, asked.life, id, cause);
        }
    }

    pub(super) fn give_up(&mut self, id: RequestId, cause: u32) {
        if let Some(asked) = self.asked.get(&id).cloned() {
            if asked.arrived && !asked.lost && !self.down && self.clients[asked.client].waiting == Some(id) {
                // Who gives up closes the connection, and the broker sees it.
                self.plan(self.now + 1, Happening::Tells(Event::Disconnected { request: id }), cause);
            }
            self.asked.remove(&id);
            self.try_again(asked.client, asked.life, id, cause);
        }
    }

    fn try_again(&mut self, at: usize, life: u32, id: RequestId, cause: u32) {
        let Some(client) = self.clients.get_mut(at) else { return };
        if client.lives != life || client.waiting != Some(id) {
            return;
        }
        client.waiting = None;
        let wish = match &client.role {
            Role::Producer(_) => Wish::SendAgain,
            Role::Consumer(consumer) if consumer.batch == Some(BatchId::NONE) && consumer.got.is_empty() => {
                Wish::Subscribe
            }
            Role::Consumer(_) => Wish::Poll,
        };
        self.wish(at, RETRY_MS, wish, cause);
    }

    /// The broker died: all that was asked is over.
    pub(super) fn connections_break(&mut self, cause: u32) {
        for (id, asked) in std::mem::take(&mut self.asked) {
            if !asked.copy && asked.arrived {
                self.try_again(asked.client, asked.life, id, cause);
            } else {
                self.asked.insert(id, asked);
            }
        }
    }

    pub(super) fn answered(&mut self, id: RequestId, response: Result<Response, Refusal>, cause: u32) {
        let Some(asked) = self.asked.get_mut(&id).filter(|asked| !asked.copy) else {
            self.asked.remove(&id);
            return;
        };
        let (at, life) = (asked.client, asked.life);
        let client = &mut self.clients[at];
        if std::mem::take(&mut client.faults.lose_answer) {
            asked.lost = true;
            return;
        }
        // It is answered: nothing on the agenda that is void by now, since every key frame has a copy of that.
        if let Some(place) = asked.gives_up.take() {
            self.agenda.remove(&place);
        }
        let polled = matches!(response, Ok(Response::Consumed(_)));
        if client.lives != life {
            self.asked.remove(&id);
            if let (true, Ok(Response::Consumed(Consumed { consumer, .. }))) = (polled, response) {
                self.plan(self.now + 1, Happening::Tells(Event::Undelivered { request: id, consumer }), cause);
            }
            return;
        }
        self.asked.remove(&id);
        if let Life::Frozen(_) = client.life {
            return client.missed.push(Missed::Answer(id, Box::new(response)));
        }
        self.hear(at, id, response, cause);
    }

    fn hear(&mut self, at: usize, id: RequestId, response: Result<Response, Refusal>, cause: u32) {
        let client = &mut self.clients[at];
        if client.waiting != Some(id) {
            return;
        }
        client.waiting = None;
        match (&mut client.role, response) {
            (Role::Producer(producer), Ok(_)) => producer.sending = None,
            (Role::Consumer(consumer), Ok(Response::Consumed(brought))) => {
                let takes = consumer.take(&brought);
                let next = if consumer.plan.commits && takes > 0 { Wish::Commit } else { Wish::Poll };
                self.wish(at, takes, next, cause);
            }
            (Role::Consumer(consumer), Ok(Response::Consumer(told))) => {
                consumer.generation = told.generation;
                self.wish(at, 1, Wish::Poll, cause);
            }
            (Role::Consumer(_), Ok(_)) => self.wish(at, 1, Wish::Poll, cause),
            (Role::Producer(_), Err(_)) => self.wish(at, RETRY_MS, Wish::SendAgain, cause),
            (Role::Consumer(_), Err(refusal)) => self.refused(at, &refusal, cause),
        }
    }

    fn refused(&mut self, at: usize, refusal: &Refusal, cause: u32) {
        let Role::Consumer(consumer) = &mut self.clients[at].role else { return };
        match refusal {
            Refusal::ConsumerExpired { reason: takhin_core::LeaveReason::Replaced, .. }
            | Refusal::ConsumerGone { reason: takhin_core::LeaveReason::Replaced, .. } => {
                self.clients[at].life = Life::Gone;
            }
            Refusal::ConsumerNotFound { .. } | Refusal::ConsumerExpired { .. } | Refusal::ConsumerGone { .. } => {
                consumer.got.clear();
                self.wish(at, RETRY_MS, Wish::Subscribe, cause);
            }
            Refusal::PollSuperseded { .. } => {}
            Refusal::BatchUnknown { .. } => {
                consumer.batch = None;
                self.wish(at, 1, Wish::Poll, cause);
            }
            Refusal::PartitionNotAssigned { .. } | Refusal::StaleGeneration { .. } => {
                consumer.got.clear();
                self.wish(at, 1, Wish::Poll, cause);
            }
            _ => self.wish(at, RETRY_MS, Wish::Poll, cause),
        }
    }
}

impl Consumer {
    /// Takes an answer in, and says for how long it will be at it.
    fn take(&mut self, consumed: &Consumed) -> u64 {
        self.batch = Some(consumed.batch);
        self.generation = consumed.generation;
        let records: u32 = consumed.parts.iter().map(|part| part.records).sum();
        self.processing = records;
        if records > 0 {
            let next = |part: &takhin_core::response::DeliveredPart| CommitOffset {
                topic: part.topic.clone(),
                partition: part.log.partition,
                offset: i64::try_from(part.next.0).unwrap_or(i64::MAX),
                metadata: None,
            };
            self.got = consumed.parts.iter().map(next).collect();
        }
        u64::from(records) * u64::from(self.plan.process_ms) + 1
    }
}
