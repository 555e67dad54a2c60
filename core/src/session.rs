//! One consumer as it is right now: where it stands, what it was last told, what it waits for.
//!
//! Everything here is volatile; what of it must outlive a crash is in [`ConsumerRecord`](crate::durable::ConsumerRecord).
//!
//! ```text
//!              position < log end                position == log end
//!   partition ------------------- in `ready`    ---------------------- in the log's `waiting`
//!                    ^                                    |
//!                    +------------ append ----------------+
//! ```
//!
//! So a poll looks at nothing but what has something for it, and an append touches nobody but who waits for it.

use alloc::{
    boxed::Box,
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};
use core::mem;

use serde::{Deserialize, Serialize};

use crate::{
    command::{FetchPart, Parts},
    config::{ConsumerOptions, PollLimits},
    ids::{BatchId, Boot, FactSeq, FetchId, Generation, GroupName, LogId, Offset, RequestId, TopicName},
    time::{Date, DurationMs, Timestamp},
};

/// One consumer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Session {
    pub(crate) group: GroupName,
    pub(crate) options: ConsumerOptions,
    pub(crate) partitions: Partitions,
    /// Partitions that are delivered and have something.
    pub(crate) ready: BTreeSet<LogId>,
    /// Partitions in which the reset policy found no place to begin.
    pub(crate) unplaced: BTreeSet<LogId>,
    /// Partitions of which a date is still to be looked up, and the engine is not at it: the next poll asks.
    pub(crate) unasked: BTreeSet<LogId>,
    /// The partition served last: it goes last next time.
    pub(crate) last_served: Option<LogId>,
    pub(crate) poll: Option<Poll>,
    pub(crate) receipts: Receipts,
    /// Changes of the assignment that it was not told of yet.
    pub(crate) news: News,
    /// The generation it was last told.
    pub(crate) generation: Generation,
    /// Partitions of which a received batch was not committed yet; used with auto-commit.
    pub(crate) uncommitted: BTreeSet<LogId>,
    pub(crate) auto_committed_at: Timestamp,
    /// When its positions were last made durable, and whether they moved since.
    pub(crate) checkpointed_at: Timestamp,
    pub(crate) moved: bool,
    /// Partitions of which the durable position may not be what it would be made now: those that moved since, and those
    /// of the batch whose receipt isn't known.
    pub(crate) outdated: BTreeSet<LogId>,
    /// Partitions of which something was delivered and is not committed.
    pub(crate) delivered: BTreeSet<LogId>,
    /// When the session times out, unless a poll is parked.
    pub(crate) expires_at: Timestamp,
    /// Whether it said goodbye, and only its place is kept.
    pub(crate) away: bool,
    /// When it should have polled, unless a poll is under way; [`None`] if it need not.
    pub(crate) poll_by: Option<Timestamp>,
    /// Whether, and to when, its session timer is set.
    pub(crate) silence_timer: Option<Timestamp>,
    pub(crate) rebalance_timer: Option<Timestamp>,
    /// The last fact that its replies depend on.
    pub(crate) depends_on: FactSeq,
}

/// A consumer's partitions.
pub(crate) type Partitions = BTreeMap<LogId, Partition>;

/// One partition of a consumer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Partition {
    /// The next offset to deliver.
    pub(crate) position: Option<Offset>,
    /// The date of which it isn't known yet which offset it is, where that is to be the position.
    pub(crate) lookup: Option<Date>,
    /// Up to where a parked poll has already counted what is there; `position` otherwise.
    pub(crate) counted: Offset,
    /// The position after the last delivery, while that is not committed.
    pub(crate) delivered: Option<Offset>,
    /// The position after the last delivery known to have been received.
    pub(crate) received: Option<Offset>,
    /// The offset that the consumer itself committed last, since it was placed here: what comes before it arrived.
    pub(crate) committed: Option<Offset>,
    /// Whether it is being given up.
    pub(crate) revoking: bool,
    /// Whether the consumer wants none of it for now.
    pub(crate) paused: bool,
    /// Whether it was held through a restart: before that, more may have been delivered than the position tells.
    pub(crate) resumed: bool,
}

impl Partition {
    /// Whether it is to be delivered, as soon as there is something and a place to begin.
    pub(crate) fn is_delivered(&self) -> bool {
        !self.revoking && !self.paused
    }

    /// Where a range begins of which the commits of the consumer do not prove that it arrived.
    pub(crate) fn unproven(&self, range: &Range) -> Offset {
        range.from.max(self.committed.unwrap_or_default().min(range.next))
    }
}

/// A poll under way.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Poll {
    pub(crate) request: RequestId,
    pub(crate) limits: PollLimits,
    pub(crate) deadline: Timestamp,
    pub(crate) attempts: u32,
    pub(crate) stage: Stage,
    /// Partitions of which records are there, too few to answer with: looked at, and not given out.
    pub(crate) counted: Vec<LogId>,
    /// Whether its timer is set.
    pub(crate) timed: bool,
    /// The batch to be handed out again, exactly.
    pub(crate) replay: Option<Box<Batch>>,
}

/// What a poll is doing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Stage {
    /// Nothing was asked of the engine.
    Idle,
    /// Waiting for the engine.
    Fetching(FetchId, Parts<FetchPart>),
    /// Waiting for records.
    Parked {
        /// What is there and is too little.
        have: Gathered,
    },
}

/// How much there is for a poll.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Gathered {
    pub(crate) bytes: u64,
    pub(crate) records: u64,
}

impl Gathered {
    pub(crate) const NOTHING: Self = Self { bytes: 0, records: 0 };
    /// Not known, and so worth looking.
    pub(crate) const UNKNOWN: Self = Self { bytes: u64::MAX, records: u64::MAX };

    pub(crate) fn and(self, more: Self) -> Self {
        Self { bytes: self.bytes.saturating_add(more.bytes), records: self.records.saturating_add(more.records) }
    }

    /// Whether a poll of these limits is to be answered with it: it is worth that, or no more can be taken.
    pub(crate) fn is_enough(self, limits: &PollLimits) -> bool {
        self.bytes >= limits.min_bytes.into() || self.records >= limits.max_records.into()
    }
}

/// A response that told something, until it is known to have been received.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Batch {
    pub(crate) id: BatchId,
    pub(crate) request: RequestId,
    pub(crate) ranges: Parts<Range>,
    pub(crate) news: News,
    /// The generation before it.
    pub(crate) generation: Generation,
    /// Whether it was handed out once before, so that it may have arrived although its last response did not.
    pub(crate) handed_out_before: bool,
    /// Whether it has lost what can't be given again: handed out once more, it is another batch.
    #[serde(default, skip_serializing_if = "core::ops::Not::not")]
    pub(crate) lessened: bool,
    /// False while it is unsure whether it arrived, after a crash or a lost repetition: positions are before it then.
    pub(crate) counted_as_delivered: bool,
}

/// What a batch delivered of one log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Range {
    pub(crate) log: LogId,
    pub(crate) from: Offset,
    pub(crate) next: Offset,
    /// What was delivered and uncommitted before it.
    pub(crate) delivered_before: Option<Offset>,
}

/// Which batches were handed out and received.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Receipts {
    /// The last one handed out whose receipt isn't known.
    pub(crate) open: Option<Batch>,
    /// The last one taken as received because a poll came that did not say; kept until the next answer, in case
    /// its response turns out to have been lost.
    pub(crate) presumed: Option<Batch>,
    /// The last one known to have been received, or given up.
    pub(crate) received: BatchId,
    /// The highest id ever handed out.
    highest: BatchId,
}

impl Receipts {
    pub(crate) fn resume(received: BatchId, open: Option<Batch>) -> Self {
        let highest = open.as_ref().map_or(received, |batch| batch.id);
        Self { open, presumed: None, received, highest }
    }

    /// Batches are to be numbered from behind another one on.
    pub(crate) fn begin_behind(&mut self, highest: BatchId) {
        self.highest = self.highest.max(highest);
    }

    pub(crate) fn highest(&self) -> BatchId {
        self.highest
    }

    pub(crate) fn last(&self) -> BatchId {
        self.open.as_ref().map_or(self.received, |batch| batch.id)
    }

    pub(crate) fn next_id(&mut self, boot: Boot) -> BatchId {
        self.highest = self.highest.next(boot);
        self.highest
    }
}

/// Changes of an assignment that are to be told, with the topics' names, since a topic may be gone by then.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct News {
    pub(crate) assigned: BTreeMap<LogId, TopicName>,
    pub(crate) revoked: BTreeMap<LogId, TopicName>,
    /// What was assigned before a crash, and may have been told then: that it is revoked is news.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) perhaps_told: BTreeSet<LogId>,
}

impl News {
    pub(crate) fn is_empty(&self) -> bool {
        self.assigned.is_empty() && self.revoked.is_empty()
    }

    pub(crate) fn assign(&mut self, log: LogId, topic: TopicName) {
        self.assigned.insert(log, topic);
    }

    pub(crate) fn revoke(&mut self, log: LogId, topic: TopicName) {
        if self.assigned.remove(&log).is_none() || self.perhaps_told.contains(&log) {
            self.revoked.insert(log, topic);
        }
    }

    /// What was being given up stays after all.
    pub(crate) fn give_back(&mut self, log: LogId, topic: TopicName) {
        if self.revoked.remove(&log).is_none() || self.perhaps_told.contains(&log) {
            self.assign(log, topic);
        }
    }

    /// News that did not arrive is to be told again, before what came since.
    pub(crate) fn put_back(&mut self, older: News) {
        let newer = mem::replace(self, older);
        for (log, topic) in newer.revoked {
            self.revoke(log, topic);
        }
        self.assigned.extend(newer.assigned);
        self.perhaps_told.extend(newer.perhaps_told);
    }
}

impl Session {
    pub(crate) fn new(group: GroupName, options: ConsumerOptions, now: Timestamp) -> Self {
        let poll_by = Some(now + DurationMs(options.max_poll_interval_ms));
        Self {
            group,
            options,
            away: false,
            poll_by,
            partitions: Partitions::new(),
            ready: BTreeSet::new(),
            unplaced: BTreeSet::new(),
            unasked: BTreeSet::new(),
            last_served: None,
            poll: None,
            receipts: Receipts::default(),
            news: News::default(),
            generation: Generation::default(),
            uncommitted: BTreeSet::new(),
            auto_committed_at: now,
            checkpointed_at: now,
            moved: false,
            outdated: BTreeSet::new(),
            delivered: BTreeSet::new(),
            expires_at: now,
            silence_timer: None,
            rebalance_timer: None,
            depends_on: FactSeq::default(),
        }
    }

    /// When it is to be removed, unless it is heard of before and no poll is under way.
    pub(crate) fn ends_at(&self) -> Timestamp {
        self.poll_by.map_or(self.expires_at, |poll_by| poll_by.min(self.expires_at))
    }

    /// A member's time without a poll begins anew.
    pub(crate) fn polled(&mut self, now: Timestamp) {
        if self.poll_by.is_some() {
            self.poll_by = Some(now + DurationMs(self.options.max_poll_interval_ms));
        }
    }

    /// What of `ready` a fetch should read, the partition served last at the end.
    pub(crate) fn ready_in_turn(&self) -> impl Iterator<Item = LogId> + '_ {
        use core::ops::Bound::{Excluded, Included, Unbounded};
        let (after, upto) = match self.last_served.filter(|_| self.ready.len() > 1) {
            Some(last) => (Excluded(last), Some(Included(last))),
            None => (Unbounded, None),
        };
        let rest = upto.map(|upto| self.ready.range((Unbounded, upto)));
        self.ready.range((after, Unbounded)).chain(rest.into_iter().flatten()).copied()
    }

    /// Offsets delivered and not committed.
    pub(crate) fn delivered(&self) -> impl Iterator<Item = (LogId, Offset)> + '_ {
        self.delivered.iter().filter_map(|log| Some((*log, self.partitions.get(log)?.delivered?)))
    }

    /// A partition moved.
    pub(crate) fn note_moved(&mut self, log: LogId) {
        self.moved = true;
        self.outdated.insert(log);
    }

    /// The partition is no longer this consumer's.
    pub(crate) fn forget_partition(&mut self, log: LogId) {
        self.partitions.remove(&log);
        self.ready.remove(&log);
        self.unplaced.remove(&log);
        self.uncommitted.remove(&log);
        self.outdated.remove(&log);
        self.delivered.remove(&log);
        self.take_out_of_batches(log);
    }

    /// What went out of a partition proves nothing any more, and is not handed out again: its consumer was put
    /// elsewhere, or has lost it and may get it back after others.
    pub(crate) fn take_out_of_batches(&mut self, log: LogId) {
        let replay = self.poll.as_mut().and_then(|poll| poll.replay.as_deref_mut());
        for batch in [self.receipts.open.as_mut(), self.receipts.presumed.as_mut(), replay].into_iter().flatten() {
            let before = batch.ranges.len();
            batch.ranges.retain(|range| range.log != log);
            batch.lessened |= batch.ranges.len() < before;
        }
    }

    /// Whether the next answer, or one of which the receipt isn't known, says that a partition is being given up.
    pub(crate) fn tells_of_revoking(&self, log: LogId) -> bool {
        let replay = self.poll.as_ref().and_then(|poll| poll.replay.as_deref());
        let open = [self.receipts.open.as_ref(), replay].into_iter().flatten();
        self.news.revoked.contains_key(&log) || open.into_iter().any(|batch| batch.news.revoked.contains_key(&log))
    }

    /// Whether a partition is this consumer's as far as it knows. One that it lost, that another may have had, and that
    /// came back before it heard of the loss is not: what it says of it is out of date.
    pub(crate) fn knows_that_it_has(&self, log: LogId) -> bool {
        self.partitions.get(&log).is_some_and(|p| p.revoking || !self.news.revoked.contains_key(&log))
    }

    /// Whether some partition is being given up.
    pub(crate) fn is_revoking(&self) -> bool {
        self.rebalance_timer.is_some()
    }
}
