//! What becomes of old records: the background thread looks at each log from time to time.
//!
//! ```text
//!   age, size --> trim: whole segments go, oldest first
//!   cleanup: compact --> passes over what is no longer written, a piece at a time (see `compact`)
//!   too old to be written on --> the writer is asked for a new segment, so that the old one can go too
//! ```
//!
//! Age is that of a segment's latest record, by the time that the record bears, on the wall clock. The segment that is
//! being written is never touched; once all of it is too old, the writer begins a new one.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, PoisonError},
    time::{Duration, Instant},
};

use takhin_core::{LogId, Offset, TopicConfig, topic_config::UNLIMITED};

use super::{
    compact::{self, Pass, Progress},
    log::{Log, Segment},
    producers::wall_clock_ms,
    queue::{Queue, Wish},
    reader::Shared,
    trim,
};

/// Cleans logs, a piece at a time.
#[derive(Debug)]
pub(super) struct Cleaner {
    interval: Duration,
    next_look: Instant,
    /// Up to where each log's producers are in the last snapshot.
    checkpointed: HashMap<LogId, Offset>,
    wishes: Vec<Wish>,
    /// Up to where each log has the latest of its keys only, as far as this process knows.
    clean_to: HashMap<LogId, Offset>,
    /// Logs that are to be compacted.
    waiting: VecDeque<Arc<Log>>,
    pass: Option<Pass>,
    max_keys: usize,
}

impl Cleaner {
    pub(super) fn new(interval: Duration, max_keys: usize) -> Self {
        let next_look = Instant::now() + interval;
        Self {
            interval,
            next_look,
            checkpointed: HashMap::new(),
            wishes: Vec::new(),
            clean_to: HashMap::new(),
            waiting: VecDeque::new(),
            pass: None,
            max_keys,
        }
    }

    /// How long there is nothing to do.
    pub(super) fn rests_for(&self) -> Duration {
        if self.pass.is_some() || !self.waiting.is_empty() {
            return Duration::ZERO;
        }
        self.next_look.saturating_duration_since(Instant::now())
    }

    /// A snapshot has what each log knows of producers up to these offsets.
    pub(super) fn checkpointed(&mut self, bounds: &[(LogId, Offset)]) {
        self.checkpointed = bounds.iter().copied().collect();
    }

    /// Goes on with what is under way, or looks at every log.
    pub(super) fn work(&mut self, shared: &Shared, queue: &Queue) {
        if let Some(pass) = self.pass.take() {
            self.go_on(pass, shared);
        } else if let Some(log) = self.waiting.pop_front() {
            self.pass = self.pass_over(log, wall_clock_ms());
        } else {
            self.look_at_all(shared);
        }
        queue.wish(&mut self.wishes);
    }

    fn look_at_all(&mut self, shared: &Shared) {
        let logs: Vec<Arc<Log>> =
            shared.logs.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        let now_ms = wall_clock_ms();
        for log in logs {
            if log.config().cleanup.compacts() {
                self.waiting.push_back(Arc::clone(&log));
            }
            self.look(shared, &log, now_ms);
        }
        self.clean_to.retain(|log, _| shared.log(*log).is_some());
        self.next_look = Instant::now() + self.interval;
    }

    fn look(&mut self, shared: &Shared, log: &Log, now_ms: i64) {
        let (config, segments) = (log.config(), log.segments());
        let Some((active, full)) = segments.split_last() else { return };
        let expired = expired(&config, full, active, now_ms);
        let too_old = expired.len() == full.len() && is_too_old(&config, active, now_ms);
        if active.size() > 0 && (too_old || now_ms.saturating_sub(active.since_ms) >= config.segment_ms) {
            self.wishes.push(Wish::Roll { log: log.id, base: active.base });
        }
        let start = segments[expired.len()].base;
        if expired.is_empty() || !self.may_remove_before(log, start) {
            return;
        }
        match trim::trim(shared, log, start) {
            Ok(()) => self.wishes.push(Wish::TellStart { log: log.id, start }),
            Err(_) if log.is_deleted() => {}
            Err(error) => tracing::warn!(log = ?log.id, %error, "old records stay for now"),
        }
    }

    /// A pass over a log, if at least half of what could be cleaned is dirty.
    fn pass_over(&mut self, log: Arc<Log>, now_ms: i64) -> Option<Pass> {
        let (config, segments) = (log.config(), log.segments());
        let end = compact::cleanable_end(&segments, now_ms.saturating_sub(config.min_compaction_lag_ms));
        let clean_to = self.clean_to.get(&log.id).copied().unwrap_or_default();
        let size_between = |from: Offset, to: Offset| -> u64 {
            let within = segments.iter().filter(|segment| (from..to).contains(&segment.base));
            within.map(|segment| segment.size()).sum()
        };
        let (clean, dirty) = (size_between(Offset(0), clean_to), size_between(clean_to, end));
        if dirty == 0 || dirty < clean || !self.may_remove_before(&log, end) {
            return None;
        }
        let tombstones_before_ms = now_ms.saturating_sub(config.delete_retention_ms);
        Some(Pass::new(log, clean_to, end, tombstones_before_ms, self.max_keys))
    }

    fn go_on(&mut self, mut pass: Pass, shared: &Shared) {
        let log = Arc::clone(&pass.log);
        match pass.step(shared) {
            _ if log.is_deleted() => {}
            Ok(Progress::More) => self.pass = Some(pass),
            Ok(Progress::CleanTo(offset)) => {
                let Pass { end, tombstones_before_ms, .. } = pass;
                // There were more keys than one pass may know.
                let next = || Pass::new(Arc::clone(&log), offset, end, tombstones_before_ms, self.max_keys);
                self.pass = (offset < end).then(next);
                self.clean_to.insert(log.id, offset);
            }
            Err(error) => {
                tracing::warn!(log = ?log.id, %error, "a log can't be compacted; it is tried again after the next start");
                self.clean_to.insert(log.id, Offset(u64::MAX));
            }
        }
    }

    /// Where idempotent producers write, their batches' headers are needed until a snapshot knows what they say.
    fn may_remove_before(&mut self, log: &Log, offset: Offset) -> bool {
        let may = !log.is_stamped() || self.checkpointed.get(&log.id).is_some_and(|known| *known >= offset);
        if !may && !self.wishes.contains(&Wish::Checkpoint) {
            self.wishes.push(Wish::Checkpoint);
        }
        may
    }
}

/// The segments at the beginning that are to go.
fn expired<'a>(config: &TopicConfig, full: &'a [Arc<Segment>], active: &Segment, now_ms: i64) -> &'a [Arc<Segment>] {
    if !config.cleanup.deletes() {
        return &[];
    }
    let by_age = full.iter().take_while(|segment| is_too_old(config, segment, now_ms)).count();
    let mut bytes = full.iter().map(|segment| segment.size()).sum::<u64>() + active.size();
    let limit = u64::try_from(config.retention_bytes).unwrap_or(u64::MAX);
    let by_size = full.iter().take_while(|segment| {
        bytes -= segment.size();
        bytes >= limit
    });
    &full[..by_age.max(by_size.count())]
}

fn is_too_old(config: &TopicConfig, segment: &Segment, now_ms: i64) -> bool {
    config.cleanup.deletes()
        && config.retention_ms != UNLIMITED
        && segment.max_timestamp() < now_ms.saturating_sub(config.retention_ms)
}
