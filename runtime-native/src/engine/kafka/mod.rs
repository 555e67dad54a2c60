//! Records in the topics of a Kafka cluster, one to one.
//!
//! ```text
//!   append ---> producer ------------------------------> brokers
//!                  | what is acknowledged                   |
//!                  v                                        |
//!   read -----> tails: the ends of logs, in memory <--- follower: one client, for all that is waited for
//!     '-------> cold: a few clients, moved to where somebody reads -'
//! ```
//!
//! One [`Records`] serves all of a node's cores. It knows bytes and logs, and nothing of groups. Others write to the same
//! topics at the same time, and what they write is seen like our own: in the order of offsets, once it is stable. Records
//! of open transactions are waited for, those of aborted ones are never seen, and offsets may have gaps.
//!
//! * An append is answered once all replicas in sync have it.
//! * [`Records::watch`] says where somebody waits. Such a log is followed from its end on; what comes is told to those who
//!   [listen](Records::on_moved) and can be read from memory.
//! * A topic has the id that the cluster gives it, hashed to 63 bits. Between the moment at which a topic is deleted and
//!   made anew and the next look at the catalogue, at most a second later, its name stands for both.
//! * Brokers may all be gone for a while. Reads and appends fail in their time, and it goes on when they are back.

mod account;
mod bounds;
mod catalogue;
mod client;
mod cold;
mod copying;
mod error;
mod follower;
mod names;
mod native;
mod outgoing;
mod producer;
mod repetition;
mod run;
mod settings;
mod stats;
mod tails;
#[cfg(test)]
mod tests;
mod topics;

use std::{
    sync::{Arc, mpsc},
    time::Duration,
};

use rdkafka::{ClientConfig, admin::AdminClient, consumer::BaseConsumer};
use takhin_core::{LogId, Offset, response::Bounds};
use tokio::sync::watch;

use self::{
    catalogue::Cataloguer,
    client::Context,
    cold::{Pool, Wanted},
    follower::Follower,
    names::{KafkaName, Names},
    native::Stream,
    producer::{Appender, Target},
    tails::{Tails, Task},
};
use super::{AppendedAt, Chunk, ReadError, ReadMode, ReadOutcome, ReadPart, StorageError};
use crate::record::EncodedBatch;

pub(crate) use self::repetition::Repetition;
pub use self::{
    catalogue::{Catalogue, CatalogueTopic},
    copying::{Copier, CopyError, Flight},
    error::{KafkaError, TopicError},
    stats::{RecordsCounts, RecordsStats},
};

/// How long a read at the end of a log waits for the thread that follows before it asks for itself.
const WAIT_FOR_FOLLOWER: Duration = Duration::from_millis(300);
/// What a look for a time reads at once.
const LOOKUP_BYTES: usize = 256 << 10;

/// Where the cluster is, and how to use it.
#[derive(Clone, Debug)]
pub struct KafkaConfig {
    /// Addresses of some of its brokers, with commas between.
    pub brokers: String,
    /// What is passed on to the client as it is: `security.protocol`, `sasl.mechanism`, `ssl.ca.location` and so on.
    pub properties: Vec<(String, String)>,
    /// What is put before the names of topics in Kafka. Only topics that begin with it are seen, and without it. Nothing: all
    /// are seen, under their names.
    pub topic_prefix: String,
    /// What the names of topics begin with that are our own, and are not shown. Nothing: there are none.
    pub own_topics: String,
    /// How much of the ends of logs is kept in memory.
    pub cache_bytes: usize,
    /// How many replicas a topic gets that is made here. [`None`]: as the brokers are set.
    pub replication: Option<u16>,
    /// How long brokers may take for a request, and for an append in all.
    pub timeout: Duration,
}

/// What became of an append.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Appended {
    /// Where the records are.
    pub at: AppendedAt,
    /// Each record's offset, if they did not come to lie one behind the other.
    pub scattered: Option<Box<[Offset]>>,
}

/// Records in a cluster. Clones share everything; with the last one its threads end.
#[derive(Clone, Debug)]
pub struct Records {
    inner: Arc<Inner>,
}

struct Inner {
    config: KafkaConfig,
    names: Names,
    admin: Arc<AdminClient<Context>>,
    catalogue: Cataloguer,
    appender: Appender,
    tails: Arc<Tails>,
    /// The client that follows.
    stream: Arc<Stream>,
    /// A client that fetches nothing: a broker answers one request of a connection after the other, so a question would wait
    /// behind a fetch that waits for records.
    questions: Arc<BaseConsumer<Context>>,
    cold: Arc<Pool>,
    stats: Arc<RecordsStats>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Records").field("brokers", &self.config.brokers).finish_non_exhaustive()
    }
}

impl Inner {
    /// What the log's topic is called, and what it takes.
    fn target(&self, log: LogId) -> Option<Target> {
        let catalogue = self.catalogue.now();
        let (_, topic) = catalogue.topic(log.topic)?;
        let CatalogueTopic { in_kafka, config, times, .. } = topic;
        let target = || Target { name: in_kafka.clone(), batch_bytes: config.max_message_bytes, times: *times };
        (log.partition < topic.partitions).then(target)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.tails.task(Task::Stop);
        self.catalogue.stop();
    }
}

impl Records {
    /// Connects, and looks what topics there are. Waits for brokers.
    ///
    /// # Errors
    /// [`KafkaError::Config`] if the settings make no client, [`KafkaError::NoBroker`] if nobody answers in time.
    pub fn connect(config: &KafkaConfig) -> Result<Self, KafkaError> {
        let stats = Arc::new(RecordsStats::default());
        let admin: AdminClient<Context> = client::client_config(config).create_with_context(Context::default())?;
        let admin = Arc::new(admin);
        let names = Names::new(&config.topic_prefix, &config.own_topics);
        let catalogue = Cataloguer::start(config, names.clone(), Arc::clone(&admin), Arc::clone(&stats))?;
        let (tasks, to_do) = mpsc::channel();
        let tails = Arc::new(Tails::new(config.cache_bytes, tasks, Arc::clone(&stats)));
        let appender = Appender::new(config, Arc::clone(&tails), Arc::clone(&stats))?;
        let stream = Arc::new(Stream::new(Arc::new(client::reader(config, follower::FETCHING)?))?);
        let questions = Arc::new(client::reader(config, follower::FETCHING)?);
        let cold = Arc::new(Pool::new(config, Arc::clone(&stats)));
        let config = config.clone();
        let inner = Inner { config, names, admin, catalogue, appender, tails, stream, questions, cold, stats };
        Follower::start(&inner, to_do)?;
        Ok(Self { inner: Arc::new(inner) })
    }

    /// The settings with which every client is made: where the brokers are, and the properties.
    pub fn client_config(config: &KafkaConfig) -> ClientConfig {
        client::client_config(config)
    }

    /// The topics that can be seen. Looked at every second, and after changes of our own.
    pub fn catalogue(&self) -> watch::Receiver<Arc<Catalogue>> {
        self.inner.catalogue.subscribe()
    }

    /// The same, as they are now.
    ///
    /// # Errors
    /// The brokers can't be asked.
    pub async fn refresh(&self) -> Result<Arc<Catalogue>, KafkaError> {
        self.look_again(None).await
    }

    /// Appends a batch's records, in order; others' may come between. `done` is called once, from another thread or this
    /// one, and must not wait. It is told [`StorageError::Failed`] only if nothing of the batch is or ever will be there,
    /// and [`StorageError::Uncertain`] if some of it is, or nobody knows.
    pub fn append(
        &self,
        log: LogId,
        batch: EncodedBatch,
        done: impl FnOnce(Result<Appended, StorageError>) + Send + 'static,
    ) {
        if let Some(target) = self.inner.target(log) {
            return self.inner.appender.append(log, &target, batch, Box::new(done));
        }
        let records = Arc::downgrade(&self.inner);
        self.inner.catalogue.refresh(None, move |_| {
            let known = records.upgrade().and_then(|inner| Some((inner.target(log)?, inner)));
            match known {
                Some((target, inner)) => inner.appender.append(log, &target, batch, Box::new(done)),
                None => done(Err(StorageError::NoSuchLog)),
            }
        });
    }

    /// Reads records from `part.from` on and appends their batches to `out`; [`Chunk::records`] gives them. With
    /// [`ReadMode::NoWait`] only from memory.
    ///
    /// No records and no error: nothing stable is there before `part.to`, or nothing was asked for.
    ///
    /// # Errors
    /// See [`ReadError`]; nothing has been appended to `out` then.
    pub fn read(&self, part: &ReadPart, mode: ReadMode, out: &mut Chunk) -> Result<ReadOutcome, ReadError> {
        self.read_as(part, mode, false, out)
    }

    /// The same, of whole batches, from the one that holds `part.from` to the one with which a limit is reached.
    /// [`Chunk::stored`] gives them. They are made here: they hold the records with their offsets, and are not
    /// compressed.
    ///
    /// # Errors
    /// As for [`Records::read`].
    pub fn read_stored(&self, part: &ReadPart, mode: ReadMode, out: &mut Chunk) -> Result<ReadOutcome, ReadError> {
        self.read_as(part, mode, true, out)
    }

    fn read_as(
        &self,
        part: &ReadPart,
        mode: ReadMode,
        stored: bool,
        out: &mut Chunk,
    ) -> Result<ReadOutcome, ReadError> {
        if part.from >= part.to || part.max_records == 0 {
            return Ok(ReadOutcome::nothing(part.from, out.filled()));
        }
        let result = match self.read_tail(part, mode, stored, out) {
            Some(result) => result,
            None if mode == ReadMode::NoWait => return Err(ReadError::WouldBlock),
            None => {
                let result = self
                    .name_now(part.log)
                    .and_then(|name| self.inner.cold.read(&Wanted { part, name: &name, stored }, out));
                self.inner.stats.reads_from_brokers.inc();
                result
            }
        };
        if result.is_err() {
            self.inner.stats.reads_failed.inc();
        }
        result
    }

    /// Reads from memory, if it is there or, with time to wait, about to be.
    fn read_tail(
        &self,
        part: &ReadPart,
        mode: ReadMode,
        stored: bool,
        out: &mut Chunk,
    ) -> Option<Result<ReadOutcome, ReadError>> {
        let tail = self.inner.tails.get(part.log)?;
        let (mut start, mut selection) = tail.select(part);
        if mode == ReadMode::Blocking && selection.is_none() && part.from >= tail.bounds().end {
            tail.wait_beyond(part.from, WAIT_FOR_FOLLOWER);
            (start, selection) = tail.select(part);
        }
        if part.from < start {
            return Some(Err(ReadError::BeforeStart { start }));
        }
        let outcome = selection?.give(part, stored, out);
        self.inner.stats.reads_cached.inc();
        Some(Ok(outcome))
    }

    /// The earliest record before `to` whose timestamp is at least `timestamp_ms`, and its timestamp. Waits for brokers.
    ///
    /// # Errors
    /// As for [`Records::read`], except [`ReadError::WouldBlock`] and [`ReadError::Corrupt`].
    pub fn lookup_time(&self, log: LogId, timestamp_ms: i64, to: Offset) -> Result<Option<(Offset, i64)>, ReadError> {
        let name = self.name_now(log)?;
        let found = bounds::at_time(&self.inner.questions, log, &name, timestamp_ms, self.inner.config.timeout);
        // It may be a marker, or a record of a transaction that was aborted.
        let Some(mut from) = found.map_err(|error| ReadError::Failed(error.to_string()))? else { return Ok(None) };
        let mut chunk = Chunk::default();
        while from < to {
            let part = ReadPart { log, from, to, max_bytes: LOOKUP_BYTES, max_records: u32::MAX };
            chunk.clear();
            match self.read(&part, ReadMode::Blocking, &mut chunk) {
                Ok(outcome) => {
                    if let Some(found) = chunk.records(&outcome).find(|record| record.timestamp_ms >= timestamp_ms) {
                        return Ok(Some((found.offset, found.timestamp_ms)));
                    }
                    if outcome.next == from {
                        return Ok(None);
                    }
                    from = outcome.next;
                }
                Err(ReadError::BeforeStart { start: next } | ReadError::Corrupt { next_offset: Some(next), .. }) => {
                    from = next;
                }
                Err(ReadError::Corrupt { offset, next_offset: None, .. }) => from = Offset(offset.0 + 1),
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }

    /// Somebody waits at the ends of these logs: they are followed for the next minute. Costs little for those that are
    /// followed already.
    pub fn watch(&self, logs: impl IntoIterator<Item = LogId>) {
        self.inner.tails.watch(logs);
    }

    /// Has `moved` called with the bounds of followed logs when they begin to be followed, and whenever they change. It is
    /// called from several threads, one at a time, and must neither wait nor call this function.
    pub fn on_moved(&self, moved: impl Fn(&[(LogId, Bounds)]) + Send + Sync + 'static) {
        self.inner.tails.listen(Box::new(moved));
    }

    /// The id that the cluster has given itself.
    ///
    /// # Errors
    /// The brokers can't be asked.
    pub async fn cluster_id(&self) -> Result<String, KafkaError> {
        let (admin, timeout) = (Arc::clone(&self.inner.admin), self.inner.config.timeout);
        let asked = tokio::task::spawn_blocking(move || admin.inner().fetch_cluster_id(timeout)).await;
        let id = asked.map_err(|error| KafkaError::Request(error.to_string()))?;
        id.ok_or_else(|| KafkaError::Request("the cluster does not say which it is".to_owned()))
    }

    /// What has been done so far.
    pub fn stats(&self) -> &Arc<RecordsStats> {
        &self.inner.stats
    }

    fn name_of(&self, log: LogId) -> Option<KafkaName> {
        self.inner.target(log).map(|target| target.name)
    }

    /// The same, looking again if it is unknown.
    fn name_now(&self, log: LogId) -> Result<KafkaName, ReadError> {
        if let Some(name) = self.name_of(log) {
            return Ok(name);
        }
        let looked = self.inner.catalogue.refresh_and_wait(self.inner.config.timeout);
        looked.map_err(|error| ReadError::Failed(error.to_string()))?;
        self.name_of(log).ok_or(ReadError::Deleted)
    }
}
