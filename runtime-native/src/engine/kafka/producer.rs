//! Appending: a batch's records, one after the other, through one idempotent producer that all cores share.
//!
//! A batch is answered once all of its records have been: by where they lie, or by what is certain of them. What is on its
//! way is bounded here, before the first record is handed over, so that no batch is cut in two by a full queue.

use std::{
    io,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rdkafka::{
    config::ClientConfig,
    error::RDKafkaErrorCode,
    producer::{BaseProducer, Producer},
};
use takhin_core::LogId;

use super::{
    KafkaConfig, RecordsStats,
    account::{Account, Done, Failure},
    catalogue::no_thread,
    client::client_config,
    error::KafkaError,
    names::KafkaName,
    outgoing::{Outcomes, outgoing},
    settings::TimeBounds,
    tails::Tails,
};
use crate::{
    engine::StorageError,
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

/// What outlives a client that has to be replaced.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) tails: Arc<Tails>,
    pub(super) stats: Arc<RecordsStats>,
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

/// The topic of a log.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) name: KafkaName,
    /// The largest batch that it takes.
    pub(super) batch_bytes: i64,
    pub(super) times: TimeBounds,
}

/// One client, made when it is first used, and another one in its place when it can't go on.
struct Line {
    settings: ClientConfig,
    current: RwLock<Option<Arc<Client>>>,
}

type Producing = BaseProducer<Outcomes<Account>>;

struct Client {
    producer: Producing,
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

    /// Appends the batch to `log`. `done` is called once, from another thread or this one.
    pub(super) fn append(&self, log: LogId, target: &Target, batch: EncodedBatch, done: Done) {
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
        // Brokers would refuse some of the records, and might have taken others by then.
        if let Some(why) = target.refuse(&plain) {
            self.shared.release(bytes, count);
            self.shared.stats.appends_failed.inc();
            return done(Err(StorageError::Unacceptable(why)));
        }
        // Without a time of its own a record gets the client's.
        let timed = || records(&plain).flatten().all(|record| record.timestamp_ms > 0);
        let kept = !packed && plain.len() <= MAX_KEPT_BYTES && timed();
        let account = Arc::new(Account::new(log, (plain, kept), (bytes, count), Arc::clone(&self.shared), done));
        let lane = log.partition as usize + usize::try_from(log.topic.0 % LANES as u64).unwrap_or(0);
        let in_order = self.lanes[lane % LANES].lock().unwrap_or_else(PoisonError::into_inner);
        let through = if target.batch_bytes < BATCH_BYTES { &self.narrow } else { &self.wide };
        let unsent = through.hand_over(&target.name, &account);
        drop(in_order);
        if let Some((unsent, why)) = unsent {
            account.not_sent(unsent, &why);
        }
    }
}

impl Target {
    /// Why brokers would take some of these records at no time, if they would.
    fn refuse(&self, plain: &[u8]) -> Option<String> {
        if self.times == TimeBounds::default() {
            return None;
        }
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now_ms = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
        let refused = |(at, record): (usize, RecordRef<'_>)| {
            self.times.refuse(record.timestamp_ms, now_ms).map(|why| format!("record {at} of the batch: {why}"))
        };
        records(plain).flatten().enumerate().find_map(refused)
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
            Err(error) => return Some((account.count(), Failure::of(error.to_string()))),
        };
        let partition = i32::try_from(account.log().partition).unwrap_or(i32::MAX);
        let mut sent = 0;
        // It was checked when the batch was made or taken.
        for record in records(account.plain()).flatten() {
            let mut failure = send(&client.producer, name, partition, &record, account).err();
            if sent == 0 && matches!(&failure, Some(failure) if failure.code == Some(RDKafkaErrorCode::Fatal)) {
                match self.renew(Some(&client)) {
                    Ok(new) => client = new,
                    Err(error) => return Some((account.count(), Failure::of(error.to_string()))),
                }
                failure = send(&client.producer, name, partition, &record, account).err();
            }
            if let Some(failure) = failure {
                return Some((account.count() - sent, failure));
            }
            sent += 1;
        }
        (sent < account.count()).then(|| (account.count() - sent, Failure::of("the batch is damaged".to_owned())))
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
        let producer = settings.create_with_context(Outcomes::default())?;
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

fn send(
    producer: &Producing,
    name: &KafkaName,
    partition: i32,
    record: &RecordRef<'_>,
    account: &Arc<Account>,
) -> Result<(), Failure> {
    let wire = outgoing(name, partition, record, Arc::clone(account)).map_err(Failure::refused)?;
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

    pub(super) fn release(&self, bytes: usize, records: usize) {
        self.bytes.fetch_sub(bytes, Ordering::AcqRel);
        self.records.fetch_sub(records, Ordering::AcqRel);
    }
}
