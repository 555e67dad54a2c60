//! Follows the cluster's topic from its beginning, on a thread of its own: the directory, and the cluster's settings.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{Sender, SyncSender},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use rdkafka::{
    ClientConfig, Message as _, Offset, TopicPartitionList,
    config::FromClientConfigAndContext,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
};
use tokio::sync::watch;
use uuid::Uuid;

use super::{
    clock,
    config::CellsError,
    directory::{Directory, Folding, Reading, Settings},
    logged::Logged,
    message::Message,
};

/// How long to wait for a record before looking what else is to be done.
const POLL: Duration = Duration::from_millis(250);
/// How often nodes that are no longer heard of are looked for.
const LOOKS_EVERY: Duration = Duration::from_secs(1);

/// What whoever starts the cells waits for: all that was there was read, with these settings. Told again when there are
/// settings, if there were none.
pub(super) type Known = Option<Settings>;

/// What the system's clock says, in milliseconds since 1970.
pub(super) fn today() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// Who follows the cluster's topic.
pub(super) struct Follower {
    consumer: BaseConsumer<Logged>,
    folding: Folding,
    caught_up: bool,
    changed: bool,
    known: Option<SyncSender<Known>>,
    directory: watch::Sender<Arc<Directory>>,
    queue: Sender<Message>,
    ends: Arc<AtomicBool>,
}

impl Follower {
    pub(super) fn new(
        client: &ClientConfig,
        topic: &str,
        (myself, cells): (Uuid, u32),
        known: SyncSender<Known>,
        directory: watch::Sender<Arc<Directory>>,
        queue: Sender<Message>,
        ends: Arc<AtomicBool>,
    ) -> Result<Self, CellsError> {
        let doing = || CellsError::kafka(format!("following the topic {topic}"));
        let consumer = BaseConsumer::from_config_and_context(client, Logged).map_err(doing())?;
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, 0, Offset::Beginning).map_err(doing())?;
        consumer.assign(&list).map_err(doing())?;
        let folding = Folding::new(myself, cells);
        let (caught_up, changed, known) = (false, false, Some(known));
        Ok(Self { consumer, folding, caught_up, changed, known, directory, queue, ends })
    }

    /// Follows until it is told to end.
    pub(super) fn run(mut self) {
        let mut looked = Instant::now();
        while !self.ends.load(Ordering::Acquire) {
            let idle = self.poll();
            if self.caught_up && (idle && self.changed || looked.elapsed() >= LOOKS_EVERY) {
                looked = Instant::now();
                self.publish();
            }
        }
    }

    /// Takes a record, if there is one. Says whether there was none.
    fn poll(&mut self) -> bool {
        let wait = if self.changed { Duration::ZERO } else { POLL };
        let taken = match self.consumer.poll(wait) {
            Some(Ok(message)) => {
                let date = (!self.caught_up).then(today);
                let reading = Reading { now: clock::now(), date };
                let taken = self.folding.take(message.key().unwrap_or_default(), message.payload(), reading);
                taken.map_err(|why| format!("the record at offset {}: {why}", message.offset()))
            }
            Some(Err(KafkaError::PartitionEOF(_))) => {
                if !self.caught_up {
                    self.caught_up = true;
                    self.publish();
                }
                return true;
            }
            Some(Err(error)) => {
                tracing::warn!(%error, "following the cluster's topic");
                return true;
            }
            None => return true,
        };
        self.changed = true;
        if let Err(why) = taken {
            tracing::warn!(why, "the cluster's topic holds what makes no sense here");
        }
        false
    }

    fn publish(&mut self) {
        self.changed = false;
        let again = self.folding.take_again();
        if !again.is_empty() {
            // Nobody listens once the cells have stopped.
            let _ = self.queue.send(Message::Notices(again));
        }
        if let Some(known) = &self.known {
            let settings = self.folding.settings().cloned();
            let found = settings.is_some();
            // Told again later if there is no room now; nobody listens if the start came to nothing.
            if known.try_send(settings).is_ok() && found {
                self.known = None;
            }
        }
        let directory = self.folding.directory(clock::now());
        self.directory.send_if_modified(|before| {
            let differs = **before != directory;
            if differs {
                *before = Arc::new(directory);
            }
            differs
        });
    }
}
