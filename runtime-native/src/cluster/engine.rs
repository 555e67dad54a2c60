//! The engine of one core of a node: records go to Kafka's topics, facts into the cell's journal.
//!
//! ```text
//!   submit -> queue -- write() --> records.append ----------------------.
//!                         |------> the cell's journal --- persisted ----|--> done --> Completions
//!                         '------> what is done at once ----------------'
//! ```
//!
//! Topics are made and deleted by whoever asks the cluster for it, so the logs of a topic that a core knows are there. The
//! core that knows topics alone has no journal: what it decides holds until the node ends, and follows from Kafka again.

use std::{
    fmt, io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, TryLockError,
        atomic::{AtomicUsize, Ordering},
    },
};

use prometheus_client::registry::Registry;
use rustc_hash::FxHashMap;
use takhin_core::{AppendId, FactSeq, LogId, Offset, response::Bounds};

use super::{cells::Decide, journaled::entries, watching::Watching};
use crate::engine::{
    Chunk, Completion, Completions, Engine, EngineParts, Figures, ReadError, ReadLogs, ReadMode, ReadOutcome, ReadPart,
    StorageError, SubmitError, Submitted, WriteOp, WriteSoon,
    kafka::{Appended, Records},
};

/// How much may wait to be appended before appends are refused.
const MAX_WAITING_BYTES: usize = 64 << 20;

/// Appends whose scattered offsets wait to be asked for, at most.
const MAX_SCATTERED: usize = 10_000;

/// Where a core's facts go.
pub(super) enum Facts {
    /// Nowhere: they follow from elsewhere after a start.
    Nowhere,
    /// Into the journal of a cell.
    Journal(Decide),
}

/// One core's engine. Clones are the same one.
#[derive(Clone)]
pub(super) struct NodeEngine(Arc<Shared>);

struct Shared {
    records: Records,
    facts: Facts,
    watching: Arc<Watching>,
    /// Which of the node's cores it is.
    core: usize,
    queue: Mutex<Vec<WriteOp>>,
    waiting_bytes: AtomicUsize,
    /// Held by whoever hands on what is queued, so that it keeps its order.
    turn: Mutex<()>,
    done: Mutex<Vec<Completion>>,
    /// The offsets of records that others' came between, until they are asked for.
    scattered: Mutex<FxHashMap<AppendId, Box<[Offset]>>>,
    sink: Mutex<Option<Box<dyn Completions>>>,
}

impl NodeEngine {
    pub(super) fn new(records: Records, facts: Facts, watching: Arc<Watching>, core: usize) -> Self {
        Self(Arc::new(Shared {
            records,
            facts,
            watching,
            core,
            queue: Mutex::default(),
            waiting_bytes: AtomicUsize::new(0),
            turn: Mutex::default(),
            done: Mutex::default(),
            scattered: Mutex::default(),
            sink: Mutex::default(),
        }))
    }

    pub(super) fn parts(&self) -> EngineParts {
        EngineParts {
            engine: Box::new(self.clone()),
            writing: Arc::new(self.clone()),
            reader: Arc::new(self.clone()),
            figures: Box::new(NoFigures),
        }
    }

    /// Facts are in the journal, and count.
    pub(super) fn persisted(&self, through: FactSeq) {
        self.done(Completion::Persisted { through });
        self.report();
    }

    /// A snapshot of the core would be welcome.
    pub(super) fn checkpoint_wanted(&self) {
        self.done(Completion::CheckpointWanted);
        self.report();
    }

    /// Logs reach from here to there.
    pub(super) fn moved(&self, logs: impl Iterator<Item = (LogId, Bounds)>) {
        lock(&self.0.done).extend(logs.map(|(log, Bounds { start, end })| Completion::LogTrimmed { log, start, end }));
        self.report();
    }

    /// Where the records of an append lie, if others' came between them.
    pub(super) fn take_scattered(&self, id: AppendId) -> Vec<Offset> {
        lock(&self.0.scattered).remove(&id).map(Vec::from).unwrap_or_default()
    }

    fn done(&self, completion: Completion) {
        lock(&self.0.done).push(completion);
    }

    /// Tells the driver all that was done. Whoever comes while another one is at it leaves it to that one.
    fn report(&self) {
        loop {
            if lock(&self.0.done).is_empty() {
                return;
            }
            let Some(mut sink) = free(&self.0.sink) else { return };
            // Before the driver is there, what is done waits for it.
            let Some(sink) = sink.as_mut() else { return };
            let mut batch = std::mem::take(&mut *lock(&self.0.done));
            sink.completed(&mut batch);
        }
    }

    fn hand_on(&self, op: WriteOp) {
        match op {
            WriteOp::Append { id, log, batch, .. } => {
                let (engine, weight) = (self.clone(), batch.bytes().len());
                self.0.records.append(log, batch, move |result| {
                    engine.0.waiting_bytes.fetch_sub(weight, Ordering::Relaxed);
                    let result = result.map(|Appended { at, scattered }| {
                        if let Some(scattered) = scattered {
                            let mut all = lock(&engine.0.scattered);
                            if all.len() >= MAX_SCATTERED {
                                // Of clients that have hung up meanwhile.
                                all.clear();
                            }
                            all.insert(id, scattered);
                        }
                        if !at.readable {
                            // How far can be read is Kafka's to say, and asked before the next read.
                            engine.0.watching.unsure(engine.0.core, log);
                        }
                        at
                    });
                    engine.done(Completion::Appended { id, log, result });
                    engine.report();
                });
            }
            WriteOp::Persist { through, facts } => match &self.0.facts {
                Facts::Nowhere => self.done(Completion::Persisted { through }),
                Facts::Journal(decide) => {
                    let Some((first, _)) = facts.first() else { return };
                    let mut after = FactSeq(first.0 - 1);
                    for lines in entries(&facts) {
                        decide.facts(after, lines.through, lines.bytes);
                        after = lines.through;
                    }
                }
            },
            WriteOp::CreateLogs { topic, partitions, .. } => {
                self.done(Completion::LogsCreated { topic, partitions, result: Ok(()) });
            }
            WriteOp::ConfigureLogs { .. } => {}
            WriteOp::DeleteLogs { topic, .. } => self.done(Completion::LogsDeleted { topic, result: Ok(()) }),
            WriteOp::Hold { reply } => {
                // Nobody asks a node for it.
                drop(reply.send(Err(io::ErrorKind::Unsupported.into())));
            }
            WriteOp::Checkpoint { through, snapshot } => {
                if let Facts::Journal(decide) = &self.0.facts {
                    decide.snapshot(through, snapshot);
                }
                self.done(Completion::CheckpointDone { through, result: Ok(()) });
            }
        }
    }
}

impl Engine for NodeEngine {
    fn start(&mut self, sink: Box<dyn Completions>) -> io::Result<()> {
        *lock(&self.0.sink) = Some(sink);
        Ok(())
    }

    fn submit(&self, op: WriteOp) -> Result<Submitted, SubmitError> {
        if let WriteOp::Append { batch, .. } = &op {
            let weight = batch.bytes().len();
            let waiting = self.0.waiting_bytes.fetch_add(weight, Ordering::Relaxed);
            if waiting > 0 && waiting + weight > MAX_WAITING_BYTES {
                self.0.waiting_bytes.fetch_sub(weight, Ordering::Relaxed);
                return Err(SubmitError::QueueFull(Box::new(op)));
            }
        }
        let mut queue = lock(&self.0.queue);
        queue.push(op);
        Ok(if queue.len() == 1 { Submitted::First } else { Submitted::BehindOthers })
    }

    fn stop(self: Box<Self>) -> Result<(), StorageError> {
        self.write();
        Ok(())
    }
}

impl WriteSoon for NodeEngine {
    fn write(&self) {
        // Whoever comes while another one is at it, on the same thread even, leaves it to that one.
        while !lock(&self.0.queue).is_empty() {
            let Some(_turn) = free(&self.0.turn) else { break };
            let ops = std::mem::take(&mut *lock(&self.0.queue));
            for op in ops {
                self.hand_on(op);
            }
        }
        self.report();
    }
}

impl ReadLogs for NodeEngine {
    fn read(&self, part: &ReadPart, mode: ReadMode, out: &mut Chunk) -> Result<ReadOutcome, ReadError> {
        self.0.records.read(part, mode, out)
    }

    fn read_stored(&self, part: &ReadPart, mode: ReadMode, out: &mut Chunk) -> Result<ReadOutcome, ReadError> {
        self.0.records.read_stored(part, mode, out)
    }

    fn lookup_time(&self, log: LogId, timestamp_ms: i64, to: Offset) -> Result<Option<(Offset, i64)>, ReadError> {
        self.0.records.lookup_time(log, timestamp_ms, to)
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn watch(&self, logs: &[LogId]) {
        self.0.watching.watch(self.0.core, logs);
        self.0.records.watch(logs.iter().copied());
    }
}

/// Those of a node are shown once, and not for each of its cores.
struct NoFigures;

impl Figures for NoFigures {
    fn register(&self, _: &mut Registry) {}
}

impl fmt::Debug for NodeEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NodeEngine").field("core", &self.0.core).finish_non_exhaustive()
    }
}

/// The lock, if nobody has it.
fn free<T>(mutex: &Mutex<T>) -> Option<MutexGuard<'_, T>> {
    match mutex.try_lock() {
        Ok(guard) => Some(guard),
        Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
        Err(TryLockError::WouldBlock) => None,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing is ever half changed.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::{
        sync::mpsc::{Receiver, channel},
        time::Duration,
    };

    use rdkafka::{
        ClientConfig,
        mocking::MockCluster,
        producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer as _},
    };
    use takhin_core::{RequestId, TopicName};

    use super::{super::cells::MAX_ENTRY_BYTES, *};
    use crate::{
        engine::{AppendedAt as At, kafka::KafkaConfig},
        record::{BatchBuilder, EncodedBatch},
    };

    const PATIENCE: Duration = Duration::from_mins(1);
    const CORE: usize = 0;

    fn batch() -> EncodedBatch {
        let mut builder = BatchBuilder::default();
        builder.push(1_700_000_000_000, None, Some(b"a"), std::iter::empty()).expect("there is room");
        builder.finish().expect("there is a record")
    }

    struct World {
        cluster: MockCluster<'static, DefaultProducerContext>,
        engine: NodeEngine,
        watching: Arc<Watching>,
        log: LogId,
        done: Receiver<Completion>,
    }

    fn world() -> World {
        world_with(Facts::Nowhere)
    }

    fn world_with(facts: Facts) -> World {
        let cluster = MockCluster::new(1).expect("a mock");
        cluster.create_topic("orders", 1, 1).expect("a topic");
        let config = KafkaConfig {
            brokers: cluster.bootstrap_servers(),
            properties: Vec::new(),
            topic_prefix: String::new(),
            own_topics: "__ours.".to_owned(),
            cache_bytes: 1 << 20,
            replication: None,
            timeout: Duration::from_secs(20),
        };
        let records = Records::connect(&config).expect("connected");
        let topic = records.catalogue().borrow().topics[&TopicName::new("orders").expect("a good name")].id;
        let watching = Arc::new(Watching::default());
        let mut engine = NodeEngine::new(records, facts, Arc::clone(&watching), CORE);
        let (sender, done) = channel();
        let sink = move |batch: &mut Vec<Completion>| batch.drain(..).for_each(|one| drop(sender.send(one)));
        engine.start(Box::new(sink)).expect("no thread is needed");
        World { cluster, engine, watching, log: LogId { topic, partition: 0 }, done }
    }

    impl World {
        fn append(&self) -> At {
            let (id, log) = (AppendId { request: RequestId(1), partition: 0 }, self.log);
            let op = WriteOp::Append { id, log, batch: batch(), expected_offset: None };
            assert!(matches!(self.engine.submit(op), Ok(Submitted::First)));
            self.engine.write();
            match self.done.recv_timeout(PATIENCE).expect("an append ends") {
                Completion::Appended { result, .. } => result.expect("it was appended"),
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn a_decision_that_no_entry_has_room_for_goes_into_several() {
        let (decide, mut heard) = Decide::heard();
        let world = world_with(Facts::Journal(decide));
        let persist = |first: u64, sizes: &[usize]| {
            let facts: Vec<_> = (first..).map(FactSeq).zip(sizes.iter().map(|size| vec![b'x'; *size])).collect();
            let through = facts.last().expect("there are some").0;
            assert!(world.engine.submit(WriteOp::Persist { through, facts }).is_ok());
            world.engine.write();
        };
        let mut decides = |after: u64, through: u64, bytes: usize| {
            let (was_after, was_through, facts) = heard.next().expect("it is decided");
            assert_eq!((was_after, was_through, facts.len()), (FactSeq(after), FactSeq(through), bytes));
            assert_eq!(facts.split(|byte| *byte == b'\n').count() as u64, through - after + 1, "each is a line");
        };
        persist(5, &[10, 20, 30]);
        decides(4, 7, 63);
        let third = MAX_ENTRY_BYTES / 3;
        persist(8, &[third, third, third, 100, third]);
        decides(7, 9, 2 * third + 2);
        decides(9, 12, 2 * third + 103);
        // Nobody can divide a fact.
        persist(13, &[10, MAX_ENTRY_BYTES, 10]);
        decides(12, 13, 11);
        decides(13, 14, MAX_ENTRY_BYTES + 1);
        decides(14, 15, 11);
    }

    #[test]
    fn an_append_behind_what_was_not_heard_of_says_nothing_of_how_far_can_be_read() {
        let world = world();
        let other: BaseProducer =
            ClientConfig::new().set("bootstrap.servers", world.cluster.bootstrap_servers()).create().expect("a client");
        other.send(BaseRecord::<[u8], str>::to("orders").partition(0).payload("theirs")).expect("sent");
        other.flush(PATIENCE).expect("delivered");
        world.watching.watch(CORE, &[world.log]);
        world.watching.told(CORE, [world.log].into_iter());
        let at = world.append();
        assert_eq!((at.base_offset, at.readable), (Offset(1), false));
        let asked = world.watching.unwatched(CORE, vec![world.log]);
        assert_eq!(asked, [world.log], "it is asked for before the next read");
    }
}
