//! Reads journals and snapshots, on a thread of its own: for each cell one range at a time, many cells at once.
//!
//! Nothing of a range is left out. A journal is never compacted and knows no transactions, so each of its offsets has an
//! entry: one that is missing is told like one that makes no sense.
//!
//! There is a client only while there is something to read, and a little longer.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender},
    },
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig, Message as _, Offset, TopicPartitionList,
    config::FromClientConfigAndContext,
    consumer::{BaseConsumer, Consumer},
    error::{KafkaError, KafkaResult, RDKafkaErrorCode},
};
use takhin_core::cell::{CellOffset, Entry};

use super::{
    chunk::{Assembly, Found},
    config::Names,
    logged::Logged,
    message::{Message, ReadOutcome},
    wire::{self, Facts},
};

/// How long a client without anything to read is kept.
const KEPT_FOR: Duration = Duration::from_secs(30);
/// How long to wait for records before looking whether there is more to read.
const POLL: Duration = Duration::from_millis(2);
/// Entries are handed on in parts of about so many bytes.
const PART_BYTES: usize = 1 << 20;
/// Bytes that were handed on and not taken in yet, at which reading waits.
const MAX_BACKLOG_BYTES: usize = 32 << 20;

/// What is to be read.
#[derive(Debug)]
pub(super) enum Job {
    /// Entries of a journal; what comes of it is told under the number of the attempt at owning the cell.
    Journal { cell: u32, generation: u64, from: CellOffset, to: CellOffset },
    /// All snapshots of a cell, for the cells' thread, or for somebody else.
    Snapshots { cell: u32, reply: Option<SyncSender<Found>> },
}

impl Job {
    fn cell(&self) -> u32 {
        match self {
            Self::Journal { cell, .. } | Self::Snapshots { cell, .. } => *cell,
        }
    }
}

/// Bytes that were handed on and not taken in yet.
#[derive(Debug, Default)]
pub(super) struct Backlog {
    bytes: Mutex<usize>,
    taken: Condvar,
}

impl Backlog {
    /// Waits until there is room.
    fn add(&self, bytes: usize) {
        let now = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        let room = self.taken.wait_while(now, |now| *now > MAX_BACKLOG_BYTES);
        let mut now = room.unwrap_or_else(PoisonError::into_inner);
        *now = now.saturating_add(bytes);
    }

    pub(super) fn taken(&self, bytes: usize) {
        let mut now = self.bytes.lock().unwrap_or_else(PoisonError::into_inner);
        *now = now.saturating_sub(bytes);
        self.taken.notify_all();
    }

    /// Nobody will take anything any more: nobody is to wait.
    pub(super) fn close(&self) {
        *self.bytes.lock().unwrap_or_else(PoisonError::into_inner) = 0;
        self.taken.notify_all();
    }
}

struct Running {
    job: Job,
    /// A journal's next offset.
    position: CellOffset,
    entries: Vec<(CellOffset, Entry<Facts>)>,
    part_from: CellOffset,
    part_bytes: usize,
    assembly: Assembly,
    /// When something of it came last.
    progressed: Instant,
}

/// Who reads.
pub(super) struct Reader {
    pub(super) client: ClientConfig,
    pub(super) names: Names,
    pub(super) jobs: Receiver<Job>,
    pub(super) queue: Sender<Message>,
    pub(super) backlog: Arc<Backlog>,
    /// After how long without anything a read is given up. Whoever wanted it asks again.
    pub(super) timeout: Duration,
    consumer: Option<Arc<BaseConsumer<Logged>>>,
    running: BTreeMap<u32, Running>,
    waiting: BTreeMap<u32, VecDeque<Job>>,
}

impl Reader {
    pub(super) fn new(
        client: ClientConfig,
        names: Names,
        jobs: Receiver<Job>,
        queue: Sender<Message>,
        backlog: Arc<Backlog>,
        timeout: Duration,
    ) -> Self {
        let (consumer, running, waiting) = (None, BTreeMap::new(), BTreeMap::new());
        Self { client, names, jobs, queue, backlog, timeout, consumer, running, waiting }
    }

    /// Reads until nobody is left to ask for anything.
    pub(super) fn run(mut self) {
        loop {
            if self.running.is_empty() {
                match self.jobs.recv_timeout(KEPT_FOR) {
                    Ok(job) => self.accept(job),
                    Err(RecvTimeoutError::Timeout) => self.consumer = None,
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            }
            while let Ok(job) = self.jobs.try_recv() {
                self.accept(job);
            }
            self.poll();
            self.give_up_late();
        }
    }

    fn accept(&mut self, job: Job) {
        let cell = job.cell();
        let now = Instant::now();
        match (&job, self.running.get(&cell).map(|running| (&running.job, running.progressed))) {
            (_, None) => return self.start(job),
            // Asked again: what is read of a journal goes on from elsewhere, and nothing came of it for a while.
            // Or a recovery begins anew.
            (Job::Journal { .. } | Job::Snapshots { reply: None, .. }, Some((Job::Journal { .. }, _))) => {
                self.end(cell);
                return self.start(job);
            }
            (Job::Snapshots { reply: None, .. }, Some((Job::Snapshots { reply: None, .. }, progressed)))
                if now.duration_since(progressed) < self.timeout =>
            {
                return;
            }
            _ => {}
        }
        let waiting = self.waiting.entry(cell).or_default();
        if matches!(job, Job::Journal { .. } | Job::Snapshots { reply: None, .. }) {
            waiting.retain(|other| matches!(other, Job::Snapshots { reply: Some(_), .. }));
        }
        waiting.push_back(job);
    }

    fn start(&mut self, job: Job) {
        let (cell, now) = (job.cell(), Instant::now());
        let position = if let Job::Journal { from, .. } = &job { *from } else { CellOffset(0) };
        let running = Running {
            job,
            position,
            entries: Vec::new(),
            part_from: position,
            part_bytes: 0,
            assembly: Assembly::new(cell),
            progressed: now,
        };
        match self.assign(&running) {
            Ok(()) => drop(self.running.insert(cell, running)),
            Err(error) => {
                tracing::warn!(cell, %error, "a journal or snapshot is not read, and will be asked for again");
            }
        }
    }

    fn consumer(&mut self) -> KafkaResult<Arc<BaseConsumer<Logged>>> {
        if let Some(consumer) = &self.consumer {
            return Ok(Arc::clone(consumer));
        }
        let consumer = Arc::new(BaseConsumer::from_config_and_context(&self.client, Logged)?);
        self.consumer = Some(Arc::clone(&consumer));
        Ok(consumer)
    }

    fn topic(&self, job: &Job) -> &str {
        if matches!(job, Job::Journal { .. }) { &self.names.journal } else { &self.names.snapshots }
    }

    fn assign(&mut self, running: &Running) -> KafkaResult<()> {
        let consumer = self.consumer()?;
        let offset = match &running.job {
            Job::Journal { .. } => Offset::Offset(i64::try_from(running.position.0).unwrap_or(i64::MAX)),
            Job::Snapshots { .. } => Offset::Beginning,
        };
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(self.topic(&running.job), partition(running.job.cell()), offset)?;
        consumer.incremental_assign(&list)
    }

    /// Ends what is read of a cell now, and begins with what is to be read of it next.
    fn end(&mut self, cell: u32) -> Option<Running> {
        let running = self.running.remove(&cell)?;
        let mut list = TopicPartitionList::new();
        list.add_partition(self.topic(&running.job), partition(cell));
        if let Some(consumer) = &self.consumer
            && let Err(error) = consumer.incremental_unassign(&list)
        {
            tracing::warn!(cell, %error, "a client that reads could not let go of a partition, and is made anew");
            self.consumer = None;
            self.running.clear();
        }
        Some(running)
    }

    fn go_on_with(&mut self, cell: u32) {
        let next = self.waiting.get_mut(&cell).and_then(VecDeque::pop_front);
        match next {
            Some(job) => self.start(job),
            None => drop(self.waiting.remove(&cell)),
        }
    }

    fn poll(&mut self) {
        let Some(consumer) = self.consumer.clone() else { return };
        match consumer.poll(POLL) {
            Some(Ok(message)) => {
                let Ok(cell) = u32::try_from(message.partition()) else { return };
                let is_journal = message.topic() == self.names.journal;
                let payload = message.payload().unwrap_or_default();
                match self.running.get(&cell).map(|running| &running.job) {
                    Some(Job::Journal { .. }) if is_journal => self.entry(cell, message.offset(), payload),
                    Some(Job::Snapshots { .. }) if !is_journal => self.chunk(cell, message.offset(), payload),
                    // Of a range that nobody wants any more.
                    _ => {}
                }
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => self.at_end(partition),
            Some(Err(error)) => self.failed(&consumer, &error),
            None => self.hand_on_all(),
        }
    }

    fn entry(&mut self, cell: u32, offset: i64, payload: &[u8]) {
        let Some(running) = self.running.get_mut(&cell) else { return };
        let Job::Journal { to, .. } = running.job else { return };
        let Ok(at) = u64::try_from(offset).map(CellOffset) else { return };
        running.progressed = Instant::now();
        if at < running.position {
            return;
        }
        let unreadable = if at > running.position {
            Some(format!("there is nothing up to offset {}", at.0))
        } else {
            match wire::read(payload) {
                Ok(entry) => {
                    running.entries.push((at, entry));
                    running.position = at.next();
                    running.part_bytes += payload.len();
                    None
                }
                Err(error) => Some(error.to_string()),
            }
        };
        if let Some(why) = unreadable {
            let at = running.position;
            return self.finish(cell, Some(ReadOutcome::Unreadable { at, why }));
        }
        if running.position >= to {
            self.finish(cell, None);
        } else if running.part_bytes >= PART_BYTES {
            self.hand_on(cell);
        }
    }

    fn chunk(&mut self, cell: u32, offset: i64, payload: &[u8]) {
        if let Some(running) = self.running.get_mut(&cell) {
            running.progressed = Instant::now();
            running.assembly.take(offset, payload);
        }
    }

    /// All snapshots of a cell were read.
    fn at_end(&mut self, partition: i32) {
        let Ok(cell) = u32::try_from(partition) else { return };
        if !matches!(self.running.get(&cell).map(|running| &running.job), Some(Job::Snapshots { .. })) {
            return;
        }
        let Some(Running { assembly, job: Job::Snapshots { reply, .. }, .. }) = self.end(cell) else { return };
        let found = assembly.finish();
        match reply {
            // Whoever asked may have given up.
            Some(reply) => drop(reply.try_send(found)),
            None => self.tell(Message::SnapshotsRead { cell, found }),
        }
        self.go_on_with(cell);
    }

    fn finish(&mut self, cell: u32, outcome: Option<ReadOutcome>) {
        self.hand_on(cell);
        let Some(running) = self.end(cell) else { return };
        if let (Job::Journal { generation, .. }, Some(outcome)) = (running.job, outcome) {
            self.tell(Message::Read { cell, generation, outcome });
        }
        self.go_on_with(cell);
    }

    /// Hands on what was read of a cell's journal so far.
    fn hand_on(&mut self, cell: u32) {
        let Some(running) = self.running.get_mut(&cell) else { return };
        let Job::Journal { generation, .. } = running.job else { return };
        if running.entries.is_empty() {
            return;
        }
        let (from, next) = (running.part_from, running.position);
        let (entries, bytes) = (std::mem::take(&mut running.entries), std::mem::take(&mut running.part_bytes));
        running.part_from = next;
        self.backlog.add(bytes);
        self.tell(Message::Read { cell, generation, outcome: ReadOutcome::Entries { from, entries, next, bytes } });
    }

    fn hand_on_all(&mut self) {
        let cells: Vec<u32> = self.running.keys().copied().collect();
        for cell in cells {
            self.hand_on(cell);
        }
    }

    fn failed(&mut self, consumer: &BaseConsumer<Logged>, error: &KafkaError) {
        if let KafkaError::MessageConsumptionFatal(_) = error {
            tracing::error!(%error, "a client that reads can go on no longer, and is made anew");
            self.consumer = None;
            self.running.clear();
            return;
        }
        if error.rdkafka_error_code() != Some(RDKafkaErrorCode::AutoOffsetReset) {
            tracing::warn!(%error, "reading journals");
            return;
        }
        // Of one of those that are being read, and it is not said of which.
        let cells: Vec<u32> = self.running.keys().copied().collect();
        for cell in cells {
            let Some(running) = self.running.get(&cell) else { continue };
            if let Job::Journal { .. } = running.job {
                self.look_whether_cut(consumer, cell);
            } else if let Some(running) = self.end(cell) {
                self.start(running.job);
            }
        }
    }

    fn look_whether_cut(&mut self, consumer: &BaseConsumer<Logged>, cell: u32) {
        let Some(running) = self.running.get(&cell) else { return };
        let from = running.position;
        match consumer.fetch_watermarks(&self.names.journal, partition(cell), self.timeout) {
            Ok((low, _)) if u64::try_from(low).is_ok_and(|low| low > from.0) => {
                self.finish(cell, Some(ReadOutcome::Cut { from }));
            }
            Ok((_, high)) if u64::try_from(high).is_ok_and(|high| high < from.0) => {
                tracing::error!(cell, from = from.0, high, "the journal ends before what was acknowledged");
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(cell, %error, "asking where a journal begins"),
        }
    }

    fn give_up_late(&mut self) {
        let late = |running: &Running| running.progressed.elapsed() > self.timeout;
        let cells: Vec<u32> = self.running.iter().filter(|(_, running)| late(running)).map(|(cell, _)| *cell).collect();
        for cell in cells {
            tracing::warn!(cell, "a read came to nothing, and will be asked for again");
            self.finish(cell, None);
        }
    }

    fn tell(&self, message: Message) {
        // Nobody listens once the cells have stopped.
        let _ = self.queue.send(message);
    }
}

fn partition(cell: u32) -> i32 {
    i32::try_from(cell).unwrap_or(i32::MAX)
}
