//! The ends of the logs that somebody waits at: what came last, in memory, and who is told of more.
//!
//! The stretches take a bounded amount of memory together; the oldest block of all goes first. They are written by the
//! thread that follows and by appends that are acknowledged, and read by whoever polls.

use std::{
    collections::{HashSet, VecDeque},
    fmt, mem,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
        mpsc::Sender,
    },
    time::{Duration, Instant},
};

use rustc_hash::FxHashMap;
use takhin_core::{LogId, Offset, response::Bounds};

use super::{
    RecordsStats,
    names::KafkaName,
    native::Source,
    run::{Block, Run, Selection},
};
use crate::engine::ReadPart;

/// How long a log is followed after somebody has said that it is waited for.
pub(super) const FOLLOWED_FOR: Duration = Duration::from_mins(1);

/// What the thread that follows is asked to do.
#[derive(Debug)]
pub(super) enum Task {
    /// Somebody waits there.
    Follow(LogId),
    /// It can't be read from where it was being read: look where it begins and ends now.
    Restart(LogId),
    /// What comes next is damaged: go on behind it, at the log's end. Who reads what is damaged is told so.
    Skip(LogId),
    Stop,
}

/// A log that is followed.
#[derive(Debug)]
pub(super) struct Tail {
    pub(super) log: LogId,
    pub(super) name: KafkaName,
    /// Until when, in milliseconds after the node's beginning.
    until_ms: AtomicU64,
    state: Mutex<State>,
    grown: Condvar,
}

#[derive(Debug)]
struct State {
    run: Run,
    start: Offset,
    source: Option<Source>,
}

impl Tail {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn bounds(&self) -> Bounds {
        let state = self.lock();
        // A log may be trimmed beyond what is known of its end.
        Bounds { start: state.start.min(state.run.end()), end: state.run.end() }
    }

    /// Where the log begins, and what it takes to read this part of it, if that is here.
    pub(super) fn select(&self, part: &ReadPart) -> (Offset, Option<Selection>) {
        let state = self.lock();
        (state.start, state.run.select(part))
    }

    /// Waits until there is something behind `from`.
    pub(super) fn wait_beyond(&self, from: Offset, timeout: Duration) {
        let state = self.lock();
        let waited = self.grown.wait_timeout_while(state, timeout, |state| state.run.end() <= from);
        drop(waited);
    }

    /// The log begins here now. Whether that is new.
    pub(super) fn trimmed(&self, start: Offset) -> bool {
        let mut state = self.lock();
        let moved = start > state.start;
        state.start = state.start.max(start);
        moved
    }

    pub(super) fn take_source(&self) -> Option<Source> {
        self.lock().source.take()
    }

    pub(super) fn set_source(&self, source: Source) {
        self.lock().source = Some(source);
    }
}

type Listener = Box<dyn Fn(&[(LogId, Bounds)]) + Send + Sync>;

/// All of them.
pub(super) struct Tails {
    began: Instant,
    cache_bytes: usize,
    by_log: RwLock<FxHashMap<LogId, Arc<Tail>>>,
    /// One entry for each block, in the order in which they came.
    order: Mutex<Order>,
    asked: Mutex<HashSet<LogId>>,
    tasks: Sender<Task>,
    /// Locked while they are called, so that nobody hears of a later state before an earlier one.
    listeners: Mutex<Vec<Listener>>,
    stats: Arc<RecordsStats>,
}

#[derive(Debug, Default)]
struct Order {
    blocks: VecDeque<Arc<Tail>>,
    bytes: usize,
}

impl fmt::Debug for Tails {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Tails").field("cache_bytes", &self.cache_bytes).finish_non_exhaustive()
    }
}

impl Tails {
    pub(super) fn new(cache_bytes: usize, tasks: Sender<Task>, stats: Arc<RecordsStats>) -> Self {
        Self {
            began: Instant::now(),
            cache_bytes,
            by_log: RwLock::default(),
            order: Mutex::default(),
            asked: Mutex::default(),
            tasks,
            listeners: Mutex::default(),
            stats,
        }
    }

    pub(super) fn get(&self, log: LogId) -> Option<Arc<Tail>> {
        self.by_log.read().unwrap_or_else(PoisonError::into_inner).get(&log).cloned()
    }

    pub(super) fn all(&self) -> Vec<Arc<Tail>> {
        self.by_log.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Somebody waits there.
    pub(super) fn watch(&self, logs: impl IntoIterator<Item = LogId>) {
        let until_ms = self.now_ms() + millis(FOLLOWED_FOR);
        let by_log = self.by_log.read().unwrap_or_else(PoisonError::into_inner);
        for log in logs {
            if let Some(tail) = by_log.get(&log) {
                tail.until_ms.fetch_max(until_ms, Ordering::Relaxed);
            } else if self.asked.lock().unwrap_or_else(PoisonError::into_inner).insert(log) {
                self.task(Task::Follow(log));
            }
        }
    }

    pub(super) fn task(&self, task: Task) {
        // If the thread has ended, so have we.
        drop(self.tasks.send(task));
    }

    /// The request to follow it has been dealt with, and the next one counts again.
    pub(super) fn answered(&self, log: LogId) {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner).remove(&log);
    }

    /// Begins to follow it at its end.
    pub(super) fn insert(&self, log: LogId, name: KafkaName, bounds: Bounds) -> Arc<Tail> {
        let tail = Arc::new(Tail {
            log,
            name,
            until_ms: AtomicU64::new(self.now_ms() + millis(FOLLOWED_FOR)),
            state: Mutex::new(State { run: Run::new(bounds.end), start: bounds.start, source: None }),
            grown: Condvar::new(),
        });
        let mut by_log = self.by_log.write().unwrap_or_else(PoisonError::into_inner);
        by_log.insert(log, Arc::clone(&tail));
        self.stats.followed.set(i64::try_from(by_log.len()).unwrap_or(i64::MAX));
        tail
    }

    /// Follows it no longer.
    pub(super) fn remove(&self, tail: &Arc<Tail>) {
        let mut by_log = self.by_log.write().unwrap_or_else(PoisonError::into_inner);
        by_log.remove(&tail.log);
        self.stats.followed.set(i64::try_from(by_log.len()).unwrap_or(i64::MAX));
        drop(by_log);
        self.forget(tail);
        tail.grown.notify_all();
    }

    /// Those that nobody has waited for in a while.
    pub(super) fn lapsed(&self) -> Vec<Arc<Tail>> {
        let now_ms = self.now_ms();
        let mut all = self.all();
        all.retain(|tail| tail.until_ms.load(Ordering::Relaxed) < now_ms);
        all
    }

    fn forget(&self, tail: &Arc<Tail>) {
        let mut order = self.order.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state = tail.lock();
        let at = state.run.end();
        let old = mem::replace(&mut state.run, Run::new(at));
        order.blocks.retain(|other| !Arc::ptr_eq(other, tail));
        order.bytes -= old.bytes();
        self.stats.cached_bytes.set(order.bytes as u64);
    }

    /// Takes what was fetched of a log, and how far it is known that there is nothing else. Whether its end has moved.
    pub(super) fn grow(&self, tail: &Arc<Tail>, blocks: Vec<Block>, known_to: Option<Offset>) -> bool {
        self.grow_if(tail, None, blocks, known_to)
    }

    /// Takes a batch of our own that was acknowledged, if all before it is known: then what is before it is stable, and
    /// it is too. Whether the log's end has moved.
    pub(super) fn appended(&self, tail: &Arc<Tail>, base: Offset, block: Block) -> bool {
        self.grow_if(tail, Some(base), vec![block], None)
    }

    fn grow_if(&self, tail: &Arc<Tail>, only_at: Option<Offset>, blocks: Vec<Block>, known_to: Option<Offset>) -> bool {
        let mut order = self.order.lock().unwrap_or_else(PoisonError::into_inner);
        let mut state = tail.lock();
        let before = state.run.end();
        if only_at.is_some_and(|base| base != before) {
            return false;
        }
        for block in blocks {
            if let Some(weight) = state.run.push(block) {
                order.bytes += weight;
                order.blocks.push_back(Arc::clone(tail));
            }
        }
        if let Some(known_to) = known_to {
            state.run.advance(known_to);
        }
        let moved = state.run.end() > before;
        drop(state);
        while order.bytes > self.cache_bytes {
            let Some(oldest) = order.blocks.pop_front() else { break };
            order.bytes -= oldest.lock().run.pop().unwrap_or(0);
        }
        self.stats.cached_bytes.set(order.bytes as u64);
        drop(order);
        if moved {
            tail.grown.notify_all();
        }
        moved
    }

    pub(super) fn listen(&self, listener: Listener) {
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner).push(listener);
    }

    /// Tells of these as they are now.
    pub(super) fn moved(&self, tails: &[Arc<Tail>]) {
        if tails.is_empty() {
            return;
        }
        let listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        let bounds: Vec<(LogId, Bounds)> = tails.iter().map(|tail| (tail.log, tail.bounds())).collect();
        for listener in listeners.iter() {
            listener(&bounds);
        }
    }

    fn now_ms(&self) -> u64 {
        millis(self.began.elapsed())
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
