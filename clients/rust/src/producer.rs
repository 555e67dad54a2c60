//! A producer: takes records, sends them in batches, and tells each record's offset once it is durable. Every request is
//! numbered, so a repeated one doubles nothing.

use std::{
    collections::HashMap,
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use tokio::{
    sync::{Mutex, Semaphore, mpsc, oneshot},
    time::Instant,
};
use uuid::Uuid;

use crate::{
    Compression, Error, Record, Result, Stored, TopicPartition,
    http::{Call, Http},
    partition_queue::{Order, Outgoing, PartitionQueue, QueueOptions},
    partitioner::partition_of,
};

/// How long the number of a topic's partitions is believed.
const BELIEVED_FOR: Duration = Duration::from_mins(1);
/// And of one that is not there, which may be made at any time.
const MISSING_FOR: Duration = Duration::from_secs(1);

/// Makes a [`Producer`].
#[derive(Clone)]
#[must_use = "`build` makes the producer"]
pub struct ProducerBuilder {
    http: Arc<Http>,
    queues: QueueOptions,
    max_buffered_bytes: usize,
}

/// Takes records and sends them in batches, one request at a time for each partition. Records of one partition are
/// stored in the order of the calls of [`send`](Self::send).
///
/// If a producer is dropped, what it took is still sent, as long as its runtime lives; [`close`](Self::close) waits for
/// it.
pub struct Producer {
    http: Arc<Http>,
    queue_options: QueueOptions,
    max_buffered_bytes: usize,
    room: Arc<Semaphore>,
    /// Held while a record is placed, so that records are in the order of the calls.
    topics: Mutex<HashMap<String, Topic>>,
}

/// The fate of a record, to be awaited: its place once it is durable. It need not be.
#[must_use = "it says whether the record was stored"]
pub struct Pending(oneshot::Receiver<Result<Stored>>);

struct Topic {
    name: Arc<str>,
    partitions: u32,
    believed_until: Instant,
    /// Whose turn it is among the partitions, for records without a key, and until when.
    turn: u32,
    turn_ends: Instant,
    queues: HashMap<u32, mpsc::UnboundedSender<Order>>,
}

#[derive(Deserialize)]
struct Described {
    partitions: u32,
}

impl ProducerBuilder {
    pub(crate) fn new(http: Arc<Http>) -> Self {
        let queues = QueueOptions {
            linger: Duration::from_millis(2),
            max_batch_bytes: 1 << 20,
            max_batch_records: 10_000,
            delivery_timeout: Duration::from_mins(2),
            compression: None,
        };
        Self { http, queues, max_buffered_bytes: 64 << 20 }
    }

    /// How long a record waits for others of its partition; 2 ms.
    pub fn linger(mut self, linger: Duration) -> Self {
        self.queues.linger = linger;
        self
    }

    /// How many bytes of JSON are a full batch; 1 MiB. The server takes 16 MiB at most.
    pub fn max_batch_bytes(mut self, bytes: usize) -> Self {
        self.queues.max_batch_bytes = bytes;
        self
    }

    /// How many records are a full batch; 10,000. The server takes 100,000 at most.
    pub fn max_batch_records(mut self, records: usize) -> Self {
        self.queues.max_batch_records = records;
        self
    }

    /// For how long a batch is tried; 2 minutes.
    pub fn delivery_timeout(mut self, timeout: Duration) -> Self {
        self.queues.delivery_timeout = timeout;
        self
    }

    /// How many bytes of JSON may wait to be sent; 64 MiB, and at most 1 GiB. [`Producer::send`] waits while they do.
    pub fn max_buffered_bytes(mut self, bytes: usize) -> Self {
        self.max_buffered_bytes = bytes.clamp(1, 1 << 30);
        self
    }

    /// How the server stores the records, instead of as the topic is set.
    pub fn compression(mut self, compression: Compression) -> Self {
        self.queues.compression = Some(compression);
        self
    }

    /// Makes the producer.
    pub fn build(self) -> Producer {
        Producer {
            http: self.http,
            queue_options: self.queues,
            max_buffered_bytes: self.max_buffered_bytes,
            room: Arc::new(Semaphore::new(self.max_buffered_bytes)),
            topics: Mutex::default(),
        }
    }
}

impl Producer {
    /// Takes a record, as soon as there is room for it. What comes of it is the [`Pending`]'s to say.
    ///
    /// If the future is dropped, the record was not taken.
    ///
    /// # Errors
    ///
    /// [`Error::Api`] or [`Error::Connection`] if nothing can be learnt of its topic. The record was not taken.
    pub async fn send(&self, record: Record) -> Result<Pending> {
        let fields = record.encoded();
        // One that is larger than all that may wait goes when nothing else does.
        let bytes = u32::try_from(fields.len().clamp(1, self.max_buffered_bytes)).unwrap_or(u32::MAX);
        let permit = self.room.clone().acquire_many_owned(bytes).await.map_err(|_| Error::Closed)?;
        let (fate, told) = oneshot::channel();
        let mut known = self.topics.lock().await;
        let topic = self.topic(&mut known, &record.topic).await?;
        let partition = topic.partition(&record, self.queue_options.linger);
        let place = TopicPartition::new(topic.name.clone(), partition);
        let queue = topic.queues.entry(partition).or_insert_with(|| self.queue(place));
        queue.send(Order::Send(Outgoing { fields, fate, room: permit })).map_err(|_| Error::Closed)?;
        Ok(Pending(told))
    }

    /// Sends all that was taken without lingering, and waits until the fate of each record is known, by its own
    /// [`Pending`].
    pub async fn flush(&self) {
        let mut waiting = Vec::new();
        for queue in self.topics.lock().await.values().flat_map(|topic| topic.queues.values()) {
            let (done, all_done) = oneshot::channel();
            if queue.send(Order::Flush(done)).is_ok() {
                waiting.push(all_done);
            }
        }
        for all_done in waiting {
            // It is dropped, and not sent, once all is done.
            let _ = all_done.await;
        }
    }

    /// Flushes, and takes no more.
    pub async fn close(self) {
        self.flush().await;
    }

    async fn topic<'a>(&self, topics: &'a mut HashMap<String, Topic>, name: &str) -> Result<&'a mut Topic> {
        let now = Instant::now();
        if topics.get(name).is_none_or(|topic| topic.believed_until <= now) {
            let (partitions, believed_for) = self.describe(name).await?;
            let believed_until = now + believed_for;
            match topics.get_mut(name) {
                Some(topic) => (topic.partitions, topic.believed_until) = (partitions, believed_until),
                None => drop(topics.insert(name.to_owned(), Topic::new(name, partitions, believed_until))),
            }
        }
        Ok(topics.get_mut(name).expect("it was put there if it was missing"))
    }

    async fn describe(&self, name: &str) -> Result<(u32, Duration)> {
        let path = format!("/api/topics/{}", utf8_percent_encode(name, NON_ALPHANUMERIC));
        let call = Call::get(path).give_up_after(Some(self.queue_options.delivery_timeout));
        match self.http.send(call).await {
            Ok(answer) => Ok((answer.json::<Described>()?.partitions.max(1), BELIEVED_FOR)),
            // A server that makes topics as they are written to makes this one with the records; they go to its first
            // partition, and the next ones to where they belong.
            Err(error) if error.is_api("topic_not_found") => Ok((1, MISSING_FOR)),
            Err(error) => Err(error),
        }
    }

    fn queue(&self, place: TopicPartition) -> mpsc::UnboundedSender<Order> {
        // As much as there is room for.
        let (orders, told) = mpsc::unbounded_channel();
        tokio::spawn(PartitionQueue::new(self.http.clone(), self.queue_options, place).run(told));
        orders
    }
}

impl Topic {
    fn new(name: &str, partitions: u32, believed_until: Instant) -> Self {
        let (name, turn) = (name.into(), Uuid::new_v4().as_fields().0 % partitions);
        Self { name, partitions, believed_until, turn, turn_ends: Instant::now(), queues: HashMap::new() }
    }

    fn partition(&mut self, record: &Record, linger: Duration) -> u32 {
        if let Some(partition) = record.partition {
            return partition;
        }
        if let Some(key) = &record.key {
            return partition_of(key, self.partitions);
        }
        let now = Instant::now();
        if now >= self.turn_ends {
            self.turn = (self.turn + 1) % self.partitions;
            self.turn_ends = now + linger.max(Duration::from_millis(1));
        }
        self.turn
    }
}

impl Future for Pending {
    type Output = Result<Stored>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let fate = std::task::ready!(Pin::new(&mut self.0).poll(context));
        // Without a word only if the runtime has ended.
        Poll::Ready(fate.unwrap_or(Err(Error::Closed)))
    }
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pending")
    }
}
