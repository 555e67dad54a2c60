//! A stand-in for the driver: a broker of one consumer per group, in memory.
//!
//! It is here so that `http` can be built and tried before the real one is; it promises nothing.

#![allow(clippy::pedantic, clippy::type_complexity, clippy::elidable_lifetime_names)]

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use smallvec::SmallVec;
use takhin_core::{
    BatchId, ConsumerId, ConsumerOptions, FetchId, Generation, GroupName, LogId, Offset, PollLimits, Refusal, Request,
    RequestId, Response, SeekTo, TopicId, TopicName,
    response::{
        Bounds, CommittedPartition, Consumed, ConsumerDescription, DeliveredPart, PartitionStatus, ProducedBatch,
        ReadResult, TopicDescription,
    },
};
use tokio::sync::Notify;

use crate::record::{BatchError, EncodedBatch, RecordRef, records};

/// Why a record could not be read.
pub type RecordError = BatchError;

/// Hands requests to the broker and answers back.
#[derive(Clone, Default)]
pub struct Driver {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    requests: u64,
    topics: BTreeMap<TopicName, Topic>,
    consumers: BTreeMap<ConsumerId, Consumer>,
    parked: usize,
    undelivered: usize,
}

struct Topic {
    id: TopicId,
    logs: Vec<Log>,
}

#[derive(Default)]
struct Log {
    batches: Vec<(Offset, EncodedBatch)>,
    end: u64,
}

struct Consumer {
    group: GroupName,
    options: ConsumerOptions,
    topics: Vec<TopicName>,
    manual: bool,
    positions: BTreeMap<(TopicName, u32), u64>,
    committed: BTreeMap<(TopicName, u32), u64>,
    last: Option<(RequestId, BTreeMap<(TopicName, u32), u64>)>,
    batch: u64,
}

/// What a look at a topic tells.
#[derive(Clone, Debug)]
pub struct TopicView {
    /// Its name.
    pub name: TopicName,
    /// How many partitions it has.
    pub partitions: u32,
}

/// A reply, with the records that it speaks of.
#[derive(Debug)]
pub struct Answer {
    /// Which request it answers.
    pub request: RequestId,
    /// What the core says.
    pub response: Response,
    /// The records of a poll or a read.
    pub records: Option<Fetched>,
}

/// What was read for a reply.
#[derive(Debug, Default)]
pub struct Fetched {
    parts: Vec<(LogId, Vec<u8>)>,
}

impl Fetched {
    /// The records `from <= offset < next` of one log.
    pub fn records<'a>(
        &'a self,
        log: LogId,
        from: Offset,
        next: Offset,
    ) -> impl Iterator<Item = Result<RecordRef<'a>, RecordError>> {
        self.parts
            .iter()
            .filter(move |(id, _)| *id == log)
            .flat_map(|(_, bytes)| records(bytes))
            .filter(move |record| record.as_ref().map_or(true, |r| r.offset >= from && r.offset < next))
    }
}

/// How the broker is.
#[derive(Clone, Debug)]
pub struct Health {
    /// All in one word.
    pub status: Status,
    /// `ok`, or what is wrong with the storage.
    pub storage: String,
    /// Whether the broker is about to stop.
    pub draining: bool,
    /// How many topics there are.
    pub topics: usize,
    /// How many consumers there are.
    pub consumers: usize,
    /// How many polls wait.
    pub parked_polls: usize,
}

/// Whether all is well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It is.
    Ok,
    /// It is not.
    Degraded,
}

impl Driver {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A look at a topic.
    pub fn topic(&self, name: &str) -> Option<TopicView> {
        let state = self.lock();
        let (name, topic) = state.topics.get_key_value(name)?;
        Some(TopicView { name: name.clone(), partitions: u32::try_from(topic.logs.len()).ok()? })
    }

    /// Asks, and waits for the reply. To drop the future is to hang up.
    ///
    /// # Errors
    /// The core's refusal.
    pub async fn ask(&self, request: Request) -> Result<Answer, Refusal> {
        let Request::Consume { consumer, limits, .. } = request else {
            let answer = self.lock().answer(request);
            self.inner.changed.notify_waiters();
            return answer;
        };
        limits.check()?;
        let parked = Parked::new(self);
        let deadline = tokio::time::Instant::now() + Duration::from_millis(limits.timeout_ms.into());
        loop {
            let changed = self.inner.changed.notified();
            let answer = self.lock().consume(consumer, limits)?;
            if answer.records.is_some() || tokio::time::timeout_at(deadline, changed).await.is_err() {
                drop(parked);
                return Ok(answer);
            }
        }
    }

    /// Appends.
    ///
    /// # Errors
    /// The core's refusal.
    #[allow(clippy::unused_async)]
    pub async fn produce(
        &self,
        topic: TopicName,
        batches: SmallVec<[(u32, EncodedBatch); 1]>,
    ) -> Result<Answer, Refusal> {
        let answer = self.lock().produce(&topic, batches);
        self.inner.changed.notify_waiters();
        answer
    }

    /// The first record whose timestamp is at least `timestamp_ms`, with that timestamp.
    ///
    /// # Errors
    /// The core's refusal.
    #[allow(clippy::unused_async)]
    pub async fn lookup_time(
        &self,
        log: &TopicName,
        partition: u32,
        timestamp_ms: i64,
    ) -> Result<Option<(Offset, i64)>, Refusal> {
        let state = self.lock();
        let (_, log) = state.log(log, partition)?;
        let all = log.batches.iter().flat_map(|(_, batch)| records(batch.bytes()));
        Ok(all.flatten().find(|r| r.timestamp_ms >= timestamp_ms).map(|r| (r.offset, r.timestamp_ms)))
    }

    /// The answer to a poll could not be handed over.
    pub fn undelivered(&self, request: RequestId, consumer: ConsumerId) {
        let mut state = self.lock();
        state.undelivered += 1;
        if let Some(consumer) = state.consumers.get_mut(&consumer)
            && let Some((last, positions)) = consumer.last.take_if(|(last, _)| *last == request)
        {
            debug_assert_eq!(last, request);
            consumer.positions = positions;
        }
        drop(state);
        self.inner.changed.notify_waiters();
    }

    /// How the broker is.
    pub fn health(&self) -> Health {
        let state = self.lock();
        Health {
            status: Status::Ok,
            storage: "ok".to_owned(),
            draining: false,
            topics: state.topics.len(),
            consumers: state.consumers.len(),
            parked_polls: state.parked,
        }
    }
}

struct Parked<'a>(&'a Driver);

impl<'a> Parked<'a> {
    fn new(driver: &'a Driver) -> Self {
        driver.lock().parked += 1;
        Self(driver)
    }
}

impl Drop for Parked<'_> {
    fn drop(&mut self) {
        self.0.lock().parked -= 1;
    }
}

impl State {
    fn next_request(&mut self) -> RequestId {
        self.requests += 1;
        RequestId(self.requests)
    }

    fn log(&self, topic: &TopicName, partition: u32) -> Result<(LogId, &Log), Refusal> {
        let found = self.topics.get(topic).ok_or_else(|| Refusal::TopicNotFound { topic: topic.clone() })?;
        let log = found.logs.get(partition as usize).ok_or_else(|| Refusal::PartitionNotFound {
            topic: topic.clone(),
            partition,
            partitions: u32::try_from(found.logs.len()).unwrap_or(u32::MAX),
        })?;
        Ok((LogId { topic: found.id, partition }, log))
    }

    fn consumer(&mut self, consumer: ConsumerId) -> Result<&mut Consumer, Refusal> {
        self.consumers.get_mut(&consumer).ok_or(Refusal::ConsumerNotFound { consumer })
    }

    fn answer(&mut self, request: Request) -> Result<Answer, Refusal> {
        let id = self.next_request();
        let response = match request {
            Request::CreateTopic { name, partitions } => {
                if self.topics.contains_key(&name) {
                    return Err(Refusal::TopicExists { topic: name });
                }
                let logs = (0..partitions).map(|_| Log::default()).collect();
                self.topics.insert(name.clone(), Topic { id: id.into(), logs });
                self.describe_topic(&name)?
            }
            Request::AddPartitions { name, partitions } => {
                let topic = self.topics.get_mut(&name).ok_or(Refusal::TopicNotFound { topic: name.clone() })?;
                topic.logs.resize_with(partitions as usize, Log::default);
                self.describe_topic(&name)?
            }
            Request::DeleteTopic { name } => {
                self.topics.remove(&name).ok_or(Refusal::TopicNotFound { topic: name.clone() })?;
                Response::TopicDeleted { name }
            }
            Request::ListTopics => {
                let names: Vec<_> = self.topics.keys().cloned().collect();
                let all = names.iter().map(|name| self.describe_topic(name)).collect::<Result<Vec<_>, _>>()?;
                Response::Topics(
                    all.into_iter().filter_map(|r| if let Response::Topic(t) = r { Some(t) } else { None }).collect(),
                )
            }
            Request::DescribeTopic { name } => self.describe_topic(&name)?,
            Request::Read { topic, partition, offset, limits } => {
                return self.read(id, &topic, partition, offset, limits);
            }
            Request::Subscribe { consumer, group, topics, options, allow_missing } => {
                options.check()?;
                if let Some(missing) = topics.iter().find(|t| !self.topics.contains_key(*t))
                    && !allow_missing
                {
                    return Err(Refusal::TopicNotFound { topic: missing.clone() });
                }
                let positions = topics
                    .iter()
                    .filter_map(|name| Some((name, self.topics.get(name)?)))
                    .flat_map(|(name, topic)| (0u32..).zip(&topic.logs).map(move |(p, _)| ((name.clone(), p), 0)))
                    .collect();
                self.consumers.insert(
                    consumer,
                    Consumer {
                        group,
                        options,
                        topics,
                        manual: false,
                        positions,
                        committed: BTreeMap::new(),
                        last: None,
                        batch: 0,
                    },
                );
                self.describe(consumer)?
            }
            Request::Commit { consumer, offsets, .. } => {
                let consumer = self.consumer(consumer)?;
                let offsets = match offsets {
                    None => consumer.positions.clone(),
                    Some(offsets) => offsets
                        .into_iter()
                        .map(|o| ((o.topic, o.partition), u64::try_from(o.offset).unwrap_or(0)))
                        .collect(),
                };
                consumer.committed.extend(offsets.clone());
                committed(offsets.into_iter().map(|(key, offset)| (key, Some(offset))))
            }
            Request::Seek { consumer, positions } => {
                let state = self.consumer(consumer)?;
                for SeekTo { topic, partition, offset } in positions {
                    let position = state
                        .positions
                        .get_mut(&(topic.clone(), partition))
                        .ok_or(Refusal::PartitionNotAssigned { topic, partition })?;
                    *position = u64::try_from(offset).unwrap_or(0);
                }
                self.describe(consumer)?
            }
            Request::Assign { consumer, partitions } => {
                let state = self.consumer(consumer)?;
                state.manual = true;
                state.positions = partitions.into_iter().map(|key| (key, 0)).collect();
                self.describe(consumer)?
            }
            Request::Describe { consumer } => self.describe(consumer)?,
            Request::Committed { consumer } => {
                let consumer = self.consumer(consumer)?;
                let all = consumer.positions.keys().map(|key| (key.clone(), consumer.committed.get(key).copied()));
                committed(all)
            }
            Request::Close { consumer } => {
                self.consumer(consumer)?;
                self.consumers.remove(&consumer);
                Response::Closed { consumer }
            }
            Request::ListGroups => Response::Groups(Vec::new()),
            Request::DescribeGroup { group } => return Err(Refusal::GroupNotFound { group }),
            Request::Produce { .. } | Request::Consume { .. } => return Err(Refusal::ShuttingDown),
        };
        Ok(Answer { request: id, response, records: None })
    }

    fn describe_topic(&self, name: &TopicName) -> Result<Response, Refusal> {
        let topic = self.topics.get(name).ok_or_else(|| Refusal::TopicNotFound { topic: name.clone() })?;
        let bounds = |log: &Log| Bounds { start: Offset(0), end: Offset(log.end) };
        Ok(Response::Topic(TopicDescription {
            id: topic.id,
            name: name.clone(),
            partitions: topic.logs.iter().map(bounds).collect(),
        }))
    }

    fn describe(&self, consumer: ConsumerId) -> Result<Response, Refusal> {
        let state = self.consumers.get(&consumer).ok_or(Refusal::ConsumerNotFound { consumer })?;
        Ok(Response::Consumer(ConsumerDescription {
            consumer,
            group: state.group.clone(),
            topics: state.topics.iter().cloned().collect(),
            manual: state.manual,
            options: state.options,
            generation: Generation(1),
            partitions: self.statuses(state),
        }))
    }

    fn statuses(&self, consumer: &Consumer) -> Vec<PartitionStatus> {
        let status = |((topic, partition), position): (&(TopicName, u32), &u64)| PartitionStatus {
            topic: topic.clone(),
            partition: *partition,
            position: Some(Offset(*position)),
            end: Offset(self.log(topic, *partition).map_or(0, |(_, log)| log.end)),
            revoking: false,
        };
        consumer.positions.iter().map(status).collect()
    }

    fn consume(&mut self, id: ConsumerId, limits: PollLimits) -> Result<Answer, Refusal> {
        let request = self.next_request();
        let before = self.consumer(id)?.positions.clone();
        let mut after = before.clone();
        let mut fetched = Fetched::default();
        let mut parts = SmallVec::new();
        let mut left = u64::from(limits.max_records);
        for ((topic, partition), from) in &before {
            let (log_id, log) = self.log(topic, *partition)?;
            let next = log.end.min(from + left);
            if next <= *from {
                continue;
            }
            left -= next - from;
            after.insert((topic.clone(), *partition), next);
            fetched.parts.push((log_id, log.bytes()));
            parts.push(DeliveredPart {
                log: log_id,
                topic: topic.clone(),
                from: Offset(*from),
                next: Offset(next),
                records: u32::try_from(next - from).unwrap_or(u32::MAX),
                bytes: u32::try_from(log.bytes().len()).unwrap_or(u32::MAX),
            });
        }
        let consumer = self.consumer(id)?;
        let found = !parts.is_empty();
        if found {
            consumer.positions = after;
            consumer.last = Some((request, before));
            consumer.batch += 1;
        }
        let batch = BatchId(consumer.batch);
        let positions = self.statuses(&self.consumers[&id]);
        Ok(Answer {
            request,
            response: Response::Consumed(Consumed {
                consumer: id,
                batch,
                generation: Generation(1),
                fetch: found.then_some(FetchId { request, attempt: 0 }),
                parts,
                rebalance: None,
                positions,
            }),
            records: found.then_some(fetched),
        })
    }

    fn read(
        &mut self,
        request: RequestId,
        topic: &TopicName,
        partition: u32,
        offset: i64,
        limits: PollLimits,
    ) -> Result<Answer, Refusal> {
        limits.check()?;
        let (log_id, log) = self.log(topic, partition)?;
        let from = u64::try_from(offset).unwrap_or(u64::MAX);
        if from > log.end {
            return Err(Refusal::OffsetOutOfRange {
                topic: topic.clone(),
                partition,
                offset,
                start: Offset(0),
                end: Offset(log.end),
            });
        }
        let next = log.end.min(from + u64::from(limits.max_records));
        Ok(Answer {
            request,
            response: Response::Read(ReadResult {
                log: log_id,
                fetch: Some(FetchId { request, attempt: 0 }),
                from: Offset(from),
                next: Offset(next),
                bounds: Bounds { start: Offset(0), end: Offset(log.end) },
            }),
            records: Some(Fetched { parts: vec![(log_id, log.bytes())] }),
        })
    }

    fn produce(&mut self, topic: &TopicName, batches: SmallVec<[(u32, EncodedBatch); 1]>) -> Result<Answer, Refusal> {
        let request = self.next_request();
        for (partition, _) in &batches {
            self.log(topic, *partition)?;
        }
        let logs = &mut self.topics.get_mut(topic).ok_or_else(|| Refusal::TopicNotFound { topic: topic.clone() })?.logs;
        let mut produced = SmallVec::new();
        for (partition, mut batch) in batches {
            let log = &mut logs[partition as usize];
            let base = Offset(log.end);
            batch.set_base_offset(base);
            log.end += u64::from(batch.records());
            produced.push(ProducedBatch { partition, records: batch.records(), result: Ok(base) });
            log.batches.push((base, batch));
        }
        Ok(Answer { request, response: Response::Produced(produced), records: None })
    }
}

impl Log {
    fn bytes(&self) -> Vec<u8> {
        self.batches.iter().flat_map(|(_, batch)| batch.bytes()).copied().collect()
    }
}

fn committed(offsets: impl Iterator<Item = ((TopicName, u32), Option<u64>)>) -> Response {
    Response::Committed(
        offsets
            .map(|((topic, partition), offset)| CommittedPartition { topic, partition, offset: offset.map(Offset) })
            .collect(),
    )
}
