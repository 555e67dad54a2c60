//! Appending: a batch's records, one after the other, through one idempotent producer that all cores share.
//!
//! A batch is answered once all of its records have been: by where they lie, or by what is certain of them. What is on its
//! way is bounded here, before the first record is handed over, so that no batch is cut in two by a full queue.

use std::{
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use rdkafka::{
    ClientContext, Timestamp,
    config::{ClientConfig, RDKafkaLogLevel},
    error::{KafkaError as ClientError, RDKafkaErrorCode},
    message::{DeliveryResult, Message},
    producer::{BaseProducer, Producer, ProducerContext},
};
use takhin_core::{LogId, Offset};

use super::{
    Appended, KafkaConfig, RecordsStats,
    catalogue::no_thread,
    client::{Context, client_config},
    error::KafkaError,
    names::KafkaName,
    native::certainly_not_written,
    outgoing::outgoing,
    run::Block,
    tails::Tails,
};
use crate::{
    engine::{AppendedAt, StorageError},
    record::{BatchHeader, EncodedBatch, RecordRef, records, unpack},
};

/// How much may be on its way at a time, unless a single batch is larger.
const MAX_BYTES_UNDER_WAY: usize = 256 << 20;
const MAX_RECORDS_UNDER_WAY: usize = 1 << 20;
/// The largest record that the client takes: the largest batch that we make, and what the client puts around it.
const MAX_RECORD_BYTES: usize = 300 << 20;
/// Larger batches are not kept to be read from memory, but fetched.
const MAX_KEPT_BYTES: usize = 1 << 20;
/// How much the client puts into one batch. A topic that takes less gets its records one by one: the client doesn't divide
/// what was too much.
const BATCH_BYTES: i64 = 1_000_000;
/// Batches of one log are handed over one after the other; those of different ones seldom wait for each other.
const LANES: usize = 16;

pub(super) type Done = Box<dyn FnOnce(Result<Appended, StorageError>) + Send>;

/// What outlives a client that has to be replaced.
#[derive(Debug)]
struct Shared {
    tails: Arc<Tails>,
    stats: Arc<RecordsStats>,
    bytes: AtomicUsize,
    records: AtomicUsize,
}

/// Appends.
pub(super) struct Appender {
    shared: Arc<Shared>,
    wide: Line,
    narrow: Line,
    lanes: [Mutex<()>; LANES],
}

/// One client, made when it is first used, and another one in its place when it can't go on.
struct Line {
    settings: ClientConfig,
    current: RwLock<Option<Arc<Client>>>,
}

struct Client {
    producer: BaseProducer<Delivery>,
    stopped: AtomicBool,
}

impl std::fmt::Debug for Appender {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Appender").field("shared", &self.shared).finish_non_exhaustive()
    }
}

impl Appender {
    pub(super) fn new(config: &KafkaConfig, tails: Arc<Tails>, stats: Arc<RecordsStats>) -> Result<Self, KafkaError> {
        let mut settings = client_config(config);
        settings
            .set("enable.idempotence", "true")
            .set("acks", "all")
            .set("linger.ms", "0")
            .set("batch.size", BATCH_BYTES.to_string())
            .set("message.max.bytes", MAX_RECORD_BYTES.to_string())
            .set("delivery.timeout.ms", config.timeout.as_millis().to_string())
            // What is under way is bounded here.
            .set("queue.buffering.max.messages", "0")
            .set("queue.buffering.max.kbytes", "2097151");
        let mut one_by_one = settings.clone();
        one_by_one.set("batch.size", "1");
        let [wide, narrow] = [settings, one_by_one].map(|settings| Line { settings, current: RwLock::default() });
        // What is wrong with the settings shows now.
        wide.client()?;
        let shared = Shared { tails, stats, bytes: AtomicUsize::new(0), records: AtomicUsize::new(0) };
        Ok(Self { shared: Arc::new(shared), wide, narrow, lanes: Default::default() })
    }

    /// Appends the batch to `log`, whose topic is called `name` and takes batches of so many bytes. `done` is called once,
    /// from another thread or this one.
    pub(super) fn append(&self, log: LogId, (name, limit): (&KafkaName, i64), batch: EncodedBatch, done: Done) {
        let (bytes, count) = (batch.unpacked_bytes(), batch.records() as usize);
        if !self.shared.admit(bytes, count) {
            self.shared.stats.appends_overloaded.inc();
            let why = "overloaded: the cluster takes records more slowly than they come";
            return done(Err(StorageError::Failed(why.to_owned())));
        }
        let packed = BatchHeader::read(batch.bytes()).is_ok_and(|header| header.compression() != 0);
        let plain = match plain(batch) {
            Ok(plain) => plain,
            Err(why) => {
                self.shared.release(bytes, count);
                return done(Err(StorageError::Failed(why)));
            }
        };
        // Without a time of its own a record gets the client's.
        let timed = || records(&plain).flatten().all(|record| record.timestamp_ms > 0);
        let kept = !packed && plain.len() <= MAX_KEPT_BYTES && timed();
        let (shared, progress) = (Arc::clone(&self.shared), Mutex::new(Progress::new(count, done)));
        let account = Arc::new(Account { log, plain, kept, bytes, count, shared, progress });
        let lane = log.partition as usize + usize::try_from(log.topic.0 % LANES as u64).unwrap_or(0);
        let in_order = self.lanes[lane % LANES].lock().unwrap_or_else(PoisonError::into_inner);
        let through = if limit < BATCH_BYTES { &self.narrow } else { &self.wide };
        let unsent = through.hand_over(name, &account);
        drop(in_order);
        if let Some((unsent, why)) = unsent {
            account.not_sent(unsent, &why);
        }
    }
}

impl Line {
    fn client(&self) -> Result<Arc<Client>, KafkaError> {
        if let Some(client) = &*self.current.read().unwrap_or_else(PoisonError::into_inner) {
            return Ok(Arc::clone(client));
        }
        self.renew(None)
    }

    /// Hands the records over. How many were not taken, and why.
    fn hand_over(&self, name: &KafkaName, account: &Arc<Account>) -> Option<(usize, Failure)> {
        let mut client = match self.client() {
            Ok(client) => client,
            Err(error) => return Some((account.count, Failure::of(error.to_string()))),
        };
        let partition = i32::try_from(account.log.partition).unwrap_or(i32::MAX);
        let mut sent = 0;
        // It was checked when the batch was made or taken.
        for record in records(&account.plain).flatten() {
            let mut failure = send(&client.producer, name, partition, &record, account).err();
            if sent == 0 && matches!(&failure, Some(failure) if failure.code == Some(RDKafkaErrorCode::Fatal)) {
                match self.renew(Some(&client)) {
                    Ok(new) => client = new,
                    Err(error) => return Some((account.count, Failure::of(error.to_string()))),
                }
                failure = send(&client.producer, name, partition, &record, account).err();
            }
            if let Some(failure) = failure {
                return Some((account.count - sent, failure));
            }
            sent += 1;
        }
        (sent < account.count).then(|| (account.count - sent, Failure::of("the batch is damaged".to_owned())))
    }

    /// Takes another client in the place of one that can't go on.
    fn renew(&self, broken: Option<&Arc<Client>>) -> Result<Arc<Client>, KafkaError> {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(there) = &*current {
            if broken.is_none_or(|broken| !Arc::ptr_eq(there, broken)) {
                return Ok(Arc::clone(there));
            }
            let why = there.producer.client().fatal_error().map_or_else(String::new, |(_, why)| why);
            tracing::warn!(why, "the producer can't go on; another one takes its place");
            there.stopped.store(true, Ordering::Relaxed);
        }
        let new = Client::start(&self.settings)?;
        *current = Some(Arc::clone(&new));
        Ok(new)
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if let Some(client) = self.current.get_mut().unwrap_or_else(PoisonError::into_inner) {
            client.stopped.store(true, Ordering::Relaxed);
        }
    }
}

impl Client {
    /// A client, and the thread that hears of what was delivered. With the thread it ends, and what is still under way
    /// then is given up.
    fn start(settings: &ClientConfig) -> Result<Arc<Self>, KafkaError> {
        let producer = settings.create_with_context(Delivery { context: Context::default() })?;
        let client = Arc::new(Self { producer, stopped: AtomicBool::new(false) });
        let hearing = Arc::clone(&client);
        let started: io::Result<_> = thread::Builder::new().name("kafka-append".to_owned()).spawn(move || {
            while !hearing.stopped.load(Ordering::Relaxed) {
                hearing.producer.poll(Duration::from_millis(100));
            }
        });
        started.map(|_| client).map_err(|error| no_thread(&error))
    }
}

/// The batch with its records not compressed.
fn plain(batch: EncodedBatch) -> Result<Vec<u8>, String> {
    let header = BatchHeader::read(batch.bytes()).map_err(|error| error.to_string())?;
    if header.compression() == 0 {
        return Ok(batch.into_bytes());
    }
    let mut plain = Vec::with_capacity(batch.unpacked_bytes());
    unpack(batch.bytes(), &header, &mut plain).map_err(|error| error.to_string())?;
    Ok(plain)
}

/// Why a record was not delivered.
#[derive(Debug)]
struct Failure {
    code: Option<RDKafkaErrorCode>,
    why: String,
}

impl Failure {
    fn of(why: String) -> Self {
        Self { code: None, why }
    }
}

impl From<&ClientError> for Failure {
    fn from(error: &ClientError) -> Self {
        let code = error.rdkafka_error_code();
        Self { code, why: code.map_or_else(|| error.to_string(), |code| code.to_string()) }
    }
}

fn send(
    producer: &BaseProducer<Delivery>,
    name: &KafkaName,
    partition: i32,
    record: &RecordRef<'_>,
    account: &Arc<Account>,
) -> Result<(), Failure> {
    let wire = outgoing(name, partition, record, Arc::clone(account)).map_err(|why| Failure::of(why.to_owned()))?;
    producer.send(wire).map_err(|(error, _)| Failure::from(&error))
}

impl Shared {
    fn admit(&self, bytes: usize, records: usize) -> bool {
        let had_bytes = self.bytes.fetch_add(bytes, Ordering::AcqRel);
        let had_records = self.records.fetch_add(records, Ordering::AcqRel);
        let fits = had_bytes + bytes <= MAX_BYTES_UNDER_WAY && had_records + records <= MAX_RECORDS_UNDER_WAY;
        if !fits && had_bytes > 0 {
            self.release(bytes, records);
            return false;
        }
        true
    }

    fn release(&self, bytes: usize, records: usize) {
        self.bytes.fetch_sub(bytes, Ordering::AcqRel);
        self.records.fetch_sub(records, Ordering::AcqRel);
    }
}

/// Hears of what was delivered.
struct Delivery {
    context: Context,
}

impl ClientContext for Delivery {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.context.log(level, facility, message);
    }

    fn error(&self, error: ClientError, reason: &str) {
        self.context.error(error, reason);
    }
}

impl ProducerContext for Delivery {
    type DeliveryOpaque = Arc<Account>;

    fn delivery(&self, result: &DeliveryResult<'_>, account: Arc<Account>) {
        match result {
            Ok(message) => {
                let by_broker = matches!(message.timestamp(), Timestamp::LogAppendTime(_));
                account.delivered(Offset(u64::try_from(message.offset()).unwrap_or(0)), by_broker);
            }
            Err((error, message)) => account.not_delivered(&error.into(), certainly_not_written(message)),
        }
    }
}

/// One batch under way.
pub(super) struct Account {
    log: LogId,
    plain: Vec<u8>,
    /// Whether the bytes are those that will be read.
    kept: bool,
    bytes: usize,
    count: usize,
    shared: Arc<Shared>,
    progress: Mutex<Progress>,
}

struct Progress {
    left: usize,
    delivered: usize,
    base: Offset,
    next: Offset,
    /// The offsets delivered, once they do not follow each other.
    scattered: Option<Vec<Offset>>,
    /// Whether the broker has given the records its own time.
    time_changed: bool,
    failure: Option<Failure>,
    uncertain: bool,
    done: Option<Done>,
}

impl Progress {
    fn new(left: usize, done: Done) -> Self {
        Self {
            left,
            delivered: 0,
            base: Offset(0),
            next: Offset(0),
            scattered: None,
            time_changed: false,
            failure: None,
            uncertain: false,
            done: Some(done),
        }
    }
}

impl Account {
    fn lock(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn delivered(&self, offset: Offset, by_broker: bool) {
        let mut progress = self.lock();
        if progress.delivered == 0 {
            (progress.base, progress.next) = (offset, offset);
        }
        if offset != progress.next && progress.scattered.is_none() {
            progress.scattered = Some((progress.base.0..progress.next.0).map(Offset).collect());
        }
        if let Some(scattered) = &mut progress.scattered {
            scattered.push(offset);
        }
        progress.next = progress.next.max(Offset(offset.0 + 1));
        progress.base = progress.base.min(offset);
        progress.delivered += 1;
        progress.time_changed |= by_broker;
        self.settle(progress, 1);
    }

    fn not_delivered(&self, failure: &Failure, certain: bool) {
        let mut progress = self.lock();
        progress.uncertain |= !certain;
        progress.failure.get_or_insert_with(|| Failure { code: failure.code, why: failure.why.clone() });
        self.settle(progress, 1);
    }

    /// So many of its records were not handed over.
    fn not_sent(&self, records: usize, failure: &Failure) {
        let mut progress = self.lock();
        progress.failure.get_or_insert_with(|| Failure { code: failure.code, why: failure.why.clone() });
        self.settle(progress, records);
    }

    fn settle(&self, mut progress: MutexGuard<'_, Progress>, records: usize) {
        progress.left = progress.left.saturating_sub(records);
        if progress.left > 0 {
            return;
        }
        let Some(done) = progress.done.take() else { return };
        let result = self.outcome(&mut progress);
        let (at, dense) = (progress.base, progress.scattered.is_none() && !progress.time_changed);
        drop(progress);
        self.shared.release(self.bytes, self.count);
        let stats = &self.shared.stats;
        match &result {
            Ok(_) => {
                stats.appends.inc();
                stats.append_bytes.inc_by(self.bytes as u64);
            }
            Err(StorageError::Uncertain(_)) => drop(stats.appends_uncertain.inc()),
            Err(_) => drop(stats.appends_failed.inc()),
        }
        let moved = if result.is_ok() && dense { self.keep(at) } else { None };
        done(result);
        if let Some(tail) = moved {
            self.shared.tails.moved(&[tail]);
        }
    }

    fn outcome(&self, progress: &mut Progress) -> Result<Appended, StorageError> {
        let delivered = progress.delivered;
        let Some(failure) = progress.failure.take() else {
            let scattered = progress.scattered.take().map(|mut offsets| {
                // An idempotent producer keeps their order, in whatever order it tells of them.
                offsets.sort_unstable();
                offsets.into_boxed_slice()
            });
            let (base_offset, end) = (progress.base, progress.next);
            let at = AppendedAt { base_offset, end, bytes: self.plain.len() as u64, duplicate: false };
            // All may be there one behind the other after all.
            let scattered = scattered.filter(|offsets| end.0 - base_offset.0 != offsets.len() as u64);
            return Ok(Appended { at, scattered });
        };
        if delivered > 0 {
            let count = self.count;
            return Err(StorageError::Uncertain(format!(
                "{delivered} of {count} records were written: {}",
                failure.why
            )));
        }
        if progress.uncertain {
            return Err(StorageError::Uncertain(failure.why));
        }
        Err(match failure.code {
            Some(
                RDKafkaErrorCode::UnknownTopicOrPartition
                | RDKafkaErrorCode::UnknownTopic
                | RDKafkaErrorCode::UnknownPartition,
            ) => StorageError::NoSuchLog,
            _ => StorageError::Failed(failure.why),
        })
    }

    /// Puts the batch where it is read from, if its log is followed and all before it is known. The tail that has grown.
    fn keep(&self, base: Offset) -> Option<Arc<super::tails::Tail>> {
        let tail = self.shared.tails.get(self.log)?;
        if !self.kept || tail.bounds().end != base {
            return None;
        }
        let mut bytes = self.plain.clone();
        bytes[..8].copy_from_slice(&base.0.to_be_bytes());
        let block = Block::of(bytes).ok()?;
        self.shared.tails.appended(&tail, base, block).then_some(tail)
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        let progress = self.progress.get_mut().unwrap_or_else(PoisonError::into_inner);
        // The client has not told of all of them.
        if let Some(done) = progress.done.take() {
            self.shared.release(self.bytes, self.count);
            done(Err(StorageError::Uncertain("the client was ended".to_owned())));
        }
    }
}
