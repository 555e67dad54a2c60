//! A batch whose records are on their way: what is heard of each, and what becomes of all of them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rdkafka::{
    Timestamp,
    error::{KafkaError as ClientError, RDKafkaErrorCode},
    message::{DeliveryResult, Message},
};
use takhin_core::{LogId, Offset};

use super::{
    Appended, native::certainly_not_written, outgoing::HearsOutcome, producer::Shared, run::Block, tails::Tail,
};
use crate::engine::{AppendedAt, StorageError};

/// Is told what became of a batch.
pub(super) type Done = Box<dyn FnOnce(Result<Appended, StorageError>) + Send>;

/// Why a record was not delivered.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) code: Option<RDKafkaErrorCode>,
    why: String,
}

impl Failure {
    /// Of a record that can't be sent, whatever comes.
    pub(super) fn refused(why: &str) -> Self {
        Self { code: Some(RDKafkaErrorCode::InvalidRecord), why: why.to_owned() }
    }

    pub(super) fn of(why: String) -> Self {
        Self { code: None, why }
    }
}

/// Whether the records are refused for what they are: as many attempts as one likes come to the same.
fn is_refusal(code: RDKafkaErrorCode) -> bool {
    matches!(
        code,
        RDKafkaErrorCode::InvalidTimestamp
            | RDKafkaErrorCode::InvalidRecord
            | RDKafkaErrorCode::PolicyViolation
            | RDKafkaErrorCode::MessageSizeTooLarge
            | RDKafkaErrorCode::MessageBatchTooLarge
            | RDKafkaErrorCode::InvalidMessageSize
            | RDKafkaErrorCode::UnsupportedForMessageFormat
            | RDKafkaErrorCode::UnsupportedCompressionType
    )
}

impl From<&ClientError> for Failure {
    fn from(error: &ClientError) -> Self {
        let code = error.rdkafka_error_code();
        Self { code, why: code.map_or_else(|| error.to_string(), |code| code.to_string()) }
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
    /// Of a batch's records, whose bytes are those that will be read if they are `kept`, so many bytes and records. `done` is
    /// told what became of all of them.
    pub(super) fn new(
        log: LogId,
        (plain, kept): (Vec<u8>, bool),
        (bytes, count): (usize, usize),
        shared: Arc<Shared>,
        done: Done,
    ) -> Self {
        Self { log, plain, kept, bytes, count, shared, progress: Mutex::new(Progress::new(count, done)) }
    }

    pub(super) fn log(&self) -> LogId {
        self.log
    }

    /// The records, not compressed.
    pub(super) fn plain(&self) -> &[u8] {
        &self.plain
    }

    /// How many they are.
    pub(super) fn count(&self) -> usize {
        self.count
    }

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
    pub(super) fn not_sent(&self, records: usize, failure: &Failure) {
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
        let mut result = self.outcome(&mut progress);
        let (at, in_a_row) = (progress.base, progress.scattered.is_none());
        let dense = in_a_row && !progress.time_changed;
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
        if let Ok(appended) = &mut result {
            let tail = self.shared.tails.get(self.log);
            // All before it is stable then, and so is it.
            appended.at.readable = in_a_row && tail.is_some_and(|tail| tail.bounds().end >= at);
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
            let at = AppendedAt { base_offset, end, bytes: self.plain.len() as u64, duplicate: false, readable: false };
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
            Some(code) if is_refusal(code) => StorageError::Unacceptable(failure.why),
            _ => StorageError::Failed(failure.why),
        })
    }

    /// Puts the batch where it is read from, if its log is followed and all before it is known. The tail that has grown.
    fn keep(&self, base: Offset) -> Option<Arc<Tail>> {
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

impl HearsOutcome for Account {
    fn heard(&self, result: &DeliveryResult<'_>) {
        match result {
            Ok(message) => {
                let by_broker = matches!(message.timestamp(), Timestamp::LogAppendTime(_));
                self.delivered(Offset(u64::try_from(message.offset()).unwrap_or(0)), by_broker);
            }
            Err((error, message)) => self.not_delivered(&error.into(), certainly_not_written(message)),
        }
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
