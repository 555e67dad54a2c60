//! Copying: records for logs that nobody else writes to, each at an offset that is known before.
//!
//! What is sent is sent for as long as it takes: brokers may be gone for hours, and then it goes on. So a record that was
//! handed over is either written at its place, once, or it is known that something is wrong with it or with the place; nothing
//! is left out and followed by what comes after it.

use std::{
    fmt,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use rdkafka::{
    error::KafkaError as ClientError,
    message::{DeliveryResult, Message},
    producer::{BaseProducer, Producer as _},
};
use takhin_core::{Cleanup, LogId, Offset, TopicConfig, TopicDurability, TopicName};

use super::{
    Records,
    catalogue::no_thread,
    client::client_config,
    error::{KafkaError, TopicError},
    names::KafkaName,
    outgoing::{HearsOutcome, Outcomes, outgoing},
};
use crate::record::RecordRef;

/// More than any record takes that was ever stored: 16 MiB, and what Kafka puts around it.
const ANY_RECORD_BYTES: i64 = 32 << 20;
/// The largest that the client sends.
const MAX_SENT_BYTES: usize = 300 << 20;
/// How much the client puts into one batch.
const BATCH_BYTES: usize = 1_000_000;

const FOR_EVER: i64 = -1;

/// What holds of a topic only while records are copied to it: they keep their times, however late or early these are.
const ONLY_WHILE_COPYING: [(&str, &str); 2] =
    [("message.timestamp.type", "CreateTime"), ("message.timestamp.after.max.ms", "9223372036854775807")];

/// Why records were not copied.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CopyError {
    /// There is no such log, or no longer.
    #[error("it is not there any more")]
    NoSuchLog,
    /// Somebody else has written to it.
    #[error("a record came to lie at offset {}, and not at {}: something else writes to it", found.0, expected.0)]
    OtherWriter {
        /// Where the record was to be.
        expected: Offset,
        /// Where one is.
        found: Offset,
    },
    /// Kafka, or its client, does not take it.
    #[error("Kafka does not take the records from offset {} on: {why}", at.0)]
    Refused {
        /// The first of those that were sent together.
        at: Offset,
        /// In the client's words.
        why: String,
    },
}

/// Copies. Clones share one client, which ends with the last of them.
#[derive(Clone)]
pub struct Copier {
    records: Records,
    client: Arc<Client>,
}

type Client = BaseProducer<Outcomes<Account>>;

/// Records of one log that are on their way.
pub struct Flight {
    client: Arc<Client>,
    name: KafkaName,
    partition: i32,
    account: Arc<Account>,
    sent: u64,
}

/// What was heard of records on their way.
struct Account {
    at: Offset,
    heard: Mutex<Heard>,
    changed: Condvar,
}

#[derive(Default)]
struct Heard {
    delivered: u64,
    /// The first offset that is not where the next record was to be.
    misplaced: Option<u64>,
    failure: Option<String>,
    failed: u64,
}

impl Records {
    /// Something to copy with.
    ///
    /// # Errors
    /// [`KafkaError::Config`]
    pub fn copier(&self) -> Result<Copier, KafkaError> {
        let mut settings = client_config(&self.inner.config);
        settings
            .set("enable.idempotence", "true")
            .set("acks", "all")
            // What can't be sent ends the client, before anything that comes behind it is sent.
            .set("enable.gapless.guarantee", "true")
            .set("message.timeout.ms", "0")
            .set("linger.ms", "5")
            .set("batch.size", BATCH_BYTES.to_string())
            .set("message.max.bytes", MAX_SENT_BYTES.to_string())
            // What is under way is bounded by those who send.
            .set("queue.buffering.max.messages", "0")
            .set("queue.buffering.max.kbytes", "2097151");
        let client: Arc<Client> = Arc::new(settings.create_with_context(Outcomes::default())?);
        let hearing = Arc::downgrade(&client);
        let hear = move || {
            while let Some(client) = hearing.upgrade() {
                client.poll(Duration::from_millis(50));
            }
        };
        thread::Builder::new().name("kafka-copy".to_owned()).spawn(hear).map_err(|error| no_thread(&error))?;
        Ok(Copier { records: self.clone(), client })
    }

    /// Has a topic keep all that is copied to it, as it is: it forgets nothing, takes records of any size, and leaves them
    /// their times. [`Records::configure_as_copied`] ends that.
    ///
    /// # Errors
    /// [`TopicError`]
    pub async fn configure_for_copying(&self, name: &TopicName, wanted: &TopicConfig) -> Result<(), TopicError> {
        let open = TopicConfig {
            retention_ms: FOR_EVER,
            retention_bytes: FOR_EVER,
            cleanup: Cleanup::Delete,
            max_message_bytes: ANY_RECORD_BYTES,
            ..in_kafka(wanted)
        };
        self.configure_topic(name, &open).await?;
        for (key, value) in ONLY_WHILE_COPYING {
            match self.alter(name, vec![(key, Some(value.to_owned()))]).await {
                // Brokers that don't know the second take records of any time.
                Ok(()) | Err(TopicError::Refused(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Has a topic kept as it is to be, now that all is copied.
    ///
    /// # Errors
    /// [`TopicError`]
    pub async fn configure_as_copied(&self, name: &TopicName, wanted: &TopicConfig) -> Result<(), TopicError> {
        for (key, _) in ONLY_WHILE_COPYING {
            match self.alter(name, vec![(key, None)]).await {
                Ok(()) | Err(TopicError::Refused(_)) => {}
                Err(error) => return Err(error),
            }
        }
        self.configure_topic(name, &in_kafka(wanted)).await
    }
}

/// The settings that a topic of a cluster can have.
pub(super) fn in_kafka(config: &TopicConfig) -> TopicConfig {
    TopicConfig { durability: TopicDurability::Server, ..*config }
}

impl Copier {
    /// Begins to send records to a log, of which the first is to lie at `at`. Waits for brokers if the log is unknown.
    ///
    /// # Errors
    /// [`CopyError::NoSuchLog`], [`CopyError::Refused`]
    pub fn begin(&self, log: LogId, at: Offset) -> Result<Flight, CopyError> {
        let name = self.records.name_now(log).map_err(|error| match error {
            crate::engine::ReadError::Deleted => CopyError::NoSuchLog,
            other => CopyError::Refused { at, why: other.to_string() },
        })?;
        let account = Account { at, heard: Mutex::default(), changed: Condvar::new() };
        let partition = i32::try_from(log.partition).unwrap_or(i32::MAX);
        Ok(Flight { client: Arc::clone(&self.client), name, partition, account: Arc::new(account), sent: 0 })
    }

    /// What the client has last complained of.
    pub fn trouble(&self) -> Option<String> {
        self.client.context().trouble()
    }
}

impl fmt::Debug for Copier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Copier").field("records", &self.records).finish_non_exhaustive()
    }
}

impl Flight {
    /// Hands a record over, to follow the one before.
    ///
    /// # Errors
    /// [`CopyError::Refused`]: then nothing more is to be sent.
    pub fn push(&mut self, record: &RecordRef<'_>) -> Result<(), CopyError> {
        let refused = |why: String| CopyError::Refused { at: Offset(self.account.at.0 + self.sent), why };
        let wire = outgoing(&self.name, self.partition, record, Arc::clone(&self.account));
        let wire = wire.map_err(|why| refused(why.to_owned()))?;
        self.client.send(wire).map_err(|(error, _)| refused(in_words(&error)))?;
        self.sent += 1;
        Ok(())
    }

    /// Waits until the outcome of all is known, or the time is over: then there is none yet.
    ///
    /// # Errors
    /// [`CopyError`]; some of the records may have been written then.
    pub fn wait(&self, at_most: Duration) -> Option<Result<(), CopyError>> {
        let (account, sent) = (&self.account, self.sent);
        let is_open = |heard: &mut Heard| heard.delivered + heard.failed < sent;
        let waited = account.changed.wait_timeout_while(account.lock(), at_most, is_open);
        let (heard, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        if timeout.timed_out() {
            return None;
        }
        Some(match (&heard.failure, heard.misplaced) {
            (_, Some(found)) => Err(CopyError::OtherWriter { expected: account.at, found: Offset(found) }),
            (Some(why), None) => Err(CopyError::Refused { at: account.at, why: why.clone() }),
            (None, None) => Ok(()),
        })
    }
}

impl fmt::Debug for Flight {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, partition, sent, .. } = self;
        formatter.debug_struct("Flight").field("log", &(name, partition)).field("sent", sent).finish_non_exhaustive()
    }
}

impl Account {
    fn lock(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl HearsOutcome for Account {
    fn heard(&self, result: &DeliveryResult<'_>) {
        let mut heard = self.lock();
        match result {
            Ok(message) => {
                // An idempotent producer is told of its records in their order.
                let (expected, found) = (self.at.0 + heard.delivered, message.offset().unsigned_abs());
                if found != expected {
                    heard.misplaced.get_or_insert(found);
                }
                heard.delivered += 1;
            }
            Err((error, _)) => {
                heard.failed += 1;
                heard.failure.get_or_insert_with(|| in_words(error));
            }
        }
        drop(heard);
        self.changed.notify_all();
    }
}

fn in_words(error: &ClientError) -> String {
    error.rdkafka_error_code().map_or_else(|| error.to_string(), |code| code.to_string())
}
