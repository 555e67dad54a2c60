//! What this node appends to journals and says in the cluster's topic, in order per partition, and what came of it.
//!
//! What doesn't fit into librdkafka's queue waits here. An idempotent producer that can't go on is made anew; of all that
//! was under way with it the outcome is unknown, and said to be.

use std::{
    collections::VecDeque,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::Sender,
    },
    thread,
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig, ClientContext, Message as _,
    config::{FromClientConfigAndContext, RDKafkaLogLevel},
    error::{KafkaError, RDKafkaErrorCode},
    producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext},
};
use takhin_core::cell::{CellOffset, EntryNumber};

use super::{
    config::{CellsError, MAX_ENTRY_BYTES, Names},
    directory::Notice,
    logged,
    message::Message,
    topics::MAX_BATCH_BYTES,
};
use crate::engine::kafka::Repetition;

/// How often the thread that hears of deliveries looks whether it is to end.
const LOOKS_EVERY: Duration = Duration::from_millis(250);
/// A producer that fails at once is not made anew at once.
const RENEWED_AT_MOST_EVERY: Duration = Duration::from_secs(1);

/// What was sent, to be told when it is known where it lies.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sent {
    pub(super) what: What,
    pub(super) bytes: usize,
    pub(super) since: Instant,
}

impl Sent {
    fn tell_failed(&self, error: &KafkaError, kept_back: u64) {
        let Self { what, bytes, .. } = *self;
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::MessageSizeTooLarge) {
            let needs = MAX_BATCH_BYTES;
            return tracing::error!(
                ?what,
                bytes,
                needs,
                kept_back,
                "an entry is more than its topic takes: whoever changed its max.message.bytes is to set it right"
            );
        }
        tracing::warn!(%error, ?what, kept_back, "an append failed, or it isn't known whether it did");
    }
}

/// What was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    Announcement { cell: u32, number: u32 },
    Facts { cell: u32, epoch: CellOffset, number: EntryNumber },
    Resignation { cell: u32 },
    Notice,
}

struct Deliveries {
    queue: Sender<Message>,
    said: Arc<Repetition>,
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        logged::log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        logged::trouble(&error, reason);
        // Nobody listens once the cells have stopped.
        let _ = self.queue.send(Message::ProducerTroubled);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Box<Sent>;

    fn delivery(&self, result: &DeliveryResult<'_>, sent: Box<Sent>) {
        let at = match result {
            Ok(message) => u64::try_from(message.offset()).ok().map(CellOffset),
            Err((error, _)) => {
                // If the topic is gone, those of all cells fail again and again.
                if let Some(kept_back) = self.said.admit(&error.to_string()) {
                    sent.tell_failed(error, kept_back);
                }
                None
            }
        };
        let _ = self.queue.send(Message::Delivered { sent: *sent, at });
    }
}

/// A producer, and the thread that hears what becomes of what it sends.
struct Running {
    producer: Arc<BaseProducer<Deliveries>>,
    ends: Arc<AtomicBool>,
}

impl Running {
    fn start(client: &ClientConfig, queue: &Sender<Message>, said: &Arc<Repetition>) -> Result<Self, CellsError> {
        let context = Deliveries { queue: queue.clone(), said: Arc::clone(said) };
        let producer = BaseProducer::from_config_and_context(client, context);
        let producer = Arc::new(producer.map_err(CellsError::kafka("making a producer"))?);
        let ends = Arc::new(AtomicBool::new(false));
        let polled = (Arc::clone(&producer), Arc::clone(&ends));
        let listen = move || {
            let (producer, ends) = polled;
            while !ends.load(Ordering::Acquire) {
                producer.poll(LOOKS_EVERY);
            }
            // Of what is under way it is said now that it failed, here and not where the owners are stepped.
        };
        let thread = thread::Builder::new().name("cells-delivered".to_owned()).spawn(listen);
        thread.map_err(|error| CellsError::System(format!("no thread: {error}")))?;
        Ok(Self { producer, ends })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Release);
    }
}

struct Outgoing {
    topic: Arc<str>,
    partition: i32,
    key: Option<String>,
    payload: Option<Vec<u8>>,
    sent: Sent,
}

/// What this node sends.
pub(super) struct Outbox {
    client: ClientConfig,
    queue: Sender<Message>,
    journal: Arc<str>,
    cluster: Arc<str>,
    running: Running,
    said: Arc<Repetition>,
    renewed: Option<Instant>,
    waiting: VecDeque<Outgoing>,
    /// What is under way or waits.
    pub(super) unanswered: usize,
}

impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbox").field("unanswered", &self.unanswered).finish_non_exhaustive()
    }
}

impl Outbox {
    pub(super) fn start(client: ClientConfig, names: &Names, queue: Sender<Message>) -> Result<Self, CellsError> {
        let said = Arc::<Repetition>::default();
        let running = Running::start(&client, &queue, &said)?;
        Ok(Self {
            client,
            queue,
            journal: names.journal.as_str().into(),
            cluster: names.cluster.as_str().into(),
            running,
            said,
            renewed: None,
            waiting: VecDeque::new(),
            unanswered: 0,
        })
    }

    /// Sends an entry for the journal of a cell. A [`Message::Delivered`] comes of it in any case.
    pub(super) fn append(&mut self, cell: u32, what: What, entry: Vec<u8>) {
        let (bytes, most) = (entry.len(), MAX_ENTRY_BYTES);
        if bytes > most {
            tracing::error!(
                cell,
                bytes,
                most,
                "what was decided at once is more than a journal takes: the cell begins anew"
            );
        }
        let sent = Sent { what, bytes, since: Instant::now() };
        let partition = i32::try_from(cell).unwrap_or(i32::MAX);
        let topic = Arc::clone(&self.journal);
        self.send(Outgoing { topic, partition, key: None, payload: Some(entry), sent });
    }

    /// Sends a record for the cluster's topic.
    pub(super) fn notice(&mut self, notice: Notice) {
        let bytes = notice.value.as_ref().map_or(0, Vec::len);
        let sent = Sent { what: What::Notice, bytes, since: Instant::now() };
        let topic = Arc::clone(&self.cluster);
        self.send(Outgoing { topic, partition: 0, key: Some(notice.key), payload: notice.value, sent });
    }

    fn send(&mut self, outgoing: Outgoing) {
        self.unanswered += 1;
        self.waiting.push_back(outgoing);
        self.go_on();
    }

    /// A [`Message::Delivered`] has come, and said where that lies, or not.
    pub(super) fn delivered(&mut self, known: bool) {
        self.unanswered = self.unanswered.saturating_sub(1);
        if !known {
            self.renew_if_failed();
        }
        self.go_on();
    }

    /// Sends as much as there is room for.
    fn go_on(&mut self) {
        while let Some(outgoing) = self.waiting.pop_front() {
            let Outgoing { topic, partition, key, payload, sent } = &outgoing;
            let mut record: BaseRecord<'_, String, Vec<u8>, Box<Sent>> =
                BaseRecord::with_opaque_to(topic, Box::new(*sent)).partition(*partition);
            record.key = key.as_ref();
            record.payload = payload.as_ref();
            match self.running.producer.send(record) {
                Ok(()) => {}
                Err((error, _)) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull) => {
                    self.waiting.push_front(outgoing);
                    return;
                }
                Err((error, record)) => {
                    if let Some(kept_back) = self.said.admit(&error.to_string()) {
                        tracing::warn!(%error, what = ?sent.what, kept_back, "an append could not be sent");
                    }
                    let sent = *record.delivery_opaque;
                    let _ = self.queue.send(Message::Delivered { sent, at: None });
                    self.renew_if_failed();
                }
            }
        }
    }

    /// Makes the producer anew if it can go on no longer.
    pub(super) fn renew_if_failed(&mut self) {
        let Some((code, reason)) = self.running.producer.client().fatal_error() else { return };
        if self.renewed.is_some_and(|renewed| renewed.elapsed() < RENEWED_AT_MOST_EVERY) {
            return;
        }
        self.renewed = Some(Instant::now());
        tracing::warn!(?code, reason, "the producer can go on no longer, and is made anew");
        match Running::start(&self.client, &self.queue, &self.said) {
            Ok(running) => self.running = running,
            Err(error) => tracing::error!(%error, "no new producer"),
        }
    }
}

#[cfg(test)]
impl Outbox {
    /// Lets the producer find that it can go on no longer.
    #[allow(unsafe_code)]
    pub(super) fn fail(&self) {
        let client = self.running.producer.client().native_ptr();
        // SAFETY: the client lives as long as its producer, and the reason is copied.
        let done = unsafe {
            rdkafka_sys::rd_kafka_test_fatal_error(
                client,
                rdkafka_sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_UNKNOWN_PRODUCER_ID,
                c"as a test wants it".as_ptr(),
            )
        };
        assert_eq!(done, rdkafka_sys::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR);
    }

    pub(super) fn has_failed(&self) -> bool {
        self.running.producer.client().fatal_error().is_some()
    }
}
