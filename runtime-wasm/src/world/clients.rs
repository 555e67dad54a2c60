//! Clients as one would write them: they ask one thing at a time, try again after a failure, and name the last batch
//! that they have.

use takhin_core::{
    BatchId, ClientId, CommitOffset, ConsumerId, ConsumerOptions, Generation, GroupName, InstanceId, OffsetReset,
    PollLimits, ProduceBatch, ProducerId, ProducerStamp, Refusal, Request, RequestId, Response, TopicName, Topics,
    response::Consumed,
};
use uuid::Uuid;

use super::{Happening, NO_ROW, World, mixed};
use crate::input::{ConsumerPlan, ProducerPlan};

/// After how long a client tries again what was refused, or could not be asked.
pub(super) const RETRY_MS: u64 = 500;

/// A client.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) life: Life,
    /// Counts its processes: what was planned for an earlier one is void.
    pub(super) lives: u32,
    /// What it waits for.
    pub(super) waiting: Option<RequestId>,
    /// What comes while it is frozen.
    pub(super) missed: Vec<Missed>,
    pub(super) faults: Faults,
}

#[derive(Clone, Debug)]
pub(super) enum Missed {
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
    pub(super) batch: Option<BatchId>,
    generation: Generation,
    /// What it got last: where to go on after it.
    pub(super) got: Vec<CommitOffset>,
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

    pub(super) fn hear(&mut self, at: usize, id: RequestId, response: Result<Response, Refusal>, cause: u32) {
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
