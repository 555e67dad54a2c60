//! What a log remembers of idempotent producers, so that a batch sent again is not written again.
//!
//! ```text
//!   check(stamp) --> write it --> note(stamp, offset) --> commit, once it is durable
//!                |                                   '--> roll_back, if it is not going to be
//!                '-> it is there already, or it can't be next
//! ```
//!
//! A producer numbers its records: a batch's sequence is its first record's number, counting from 0 in each epoch and
//! beginning again at 0 behind 2^31 - 1. An engine keeps one table for each log and asks it about every batch in the
//! order in which it writes them. An idempotency key stands for one request to all of its topic, so of a batch that bears
//! one the other logs' tables are asked too ([`Producers::know_another`]), before the batch is checked. The rules are
//! those of Kafka's brokers, but for one: a producer that the log does not know begins at 0, and nowhere else, so that
//! one which was forgotten can't write a batch twice.

use alloc::{
    collections::{BTreeMap, VecDeque},
    vec::Vec,
};

use serde::{Deserialize, Serialize};

use crate::ids::Offset;

/// Batches of each producer that are recognised when they come again.
pub const REMEMBERED_BATCHES: usize = 5;
/// Producers of one log that are remembered; those that have been silent for longest are forgotten first.
pub const MAX_PRODUCERS: usize = 10_000;
/// How long a producer is remembered after its last batch, in milliseconds.
pub const REMEMBERED_MS: i64 = 24 * 3_600_000;
/// How many sequence numbers there are.
const SEQUENCES: u64 = 1 << 31;

/// Who produces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ProducerId(pub u64);

impl ProducerId {
    /// The greatest that a client can choose: every JSON reader knows it exactly.
    pub const MAX_CHOSEN: u64 = (1 << 53) - 1;
    const KEYED: u64 = 1 << 62;
    const COUNTING: u64 = 1 << 61;

    /// The producer that stands for an idempotency key of this hash. It writes one batch only to each log, all of them
    /// by one request.
    pub fn keyed(hash: u64) -> Self {
        Self(Self::KEYED | hash & (Self::KEYED - 1))
    }

    /// The producer that counts the records of an upload whose idempotency key has this hash.
    pub fn counting(hash: u64) -> Self {
        Self(Self::COUNTING | hash & (Self::COUNTING - 1))
    }

    /// Whether it stands for an idempotency key, and so for one batch.
    pub fn is_keyed(self) -> bool {
        self.0 & Self::KEYED != 0
    }
}

/// What makes a batch recognisable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProducerStamp {
    /// Who sent it.
    pub producer: ProducerId,
    /// How often that producer has begun anew, at most 32,767.
    pub epoch: u16,
    /// The number of its first record, below 2^31. For an idempotency key, what tells one request from another: it is
    /// the same in all logs that the request touches.
    pub sequence: u32,
}

/// Why a batch was not appended, though storage could have taken it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum AppendRefusal {
    /// The log does not end where it was expected to.
    #[error("the log ends at {}", end.0)]
    OffsetMismatch {
        /// Where it ends.
        end: Offset,
    },
    /// The producer's next batch has another sequence.
    #[error("the producer's next sequence is {expected}")]
    SequenceGap {
        /// Which.
        expected: u32,
    },
    /// The producer has begun a newer epoch.
    #[error("the producer is in epoch {current}")]
    ProducerFenced {
        /// Which.
        current: u16,
    },
    /// The idempotency key came with other records before.
    #[error("the idempotency key was used for other records")]
    KeyReused,
}

/// What is to be done with a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is new: write it.
    Append,
    /// It is in the log since `base_offset`.
    Duplicate {
        /// Its first record's offset.
        base_offset: Offset,
    },
}

/// One producer, as a log knows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Known {
    producer: ProducerId,
    epoch: u16,
    /// The last ones, oldest first; never empty.
    batches: VecDeque<Batch>,
    /// When the last one came, on the clock that the engine tells.
    last_ms: i64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Batch {
    sequence: u32,
    records: u32,
    base_offset: Offset,
}

impl Known {
    fn is_remembered(&self, now_ms: i64) -> bool {
        now_ms.saturating_sub(self.last_ms) < REMEMBERED_MS
    }
}

/// The producers of one log.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<Known>", into = "Vec<Known>")]
pub struct Producers {
    known: BTreeMap<ProducerId, Known>,
    /// By the base offset of the last batch: the first has been silent for longest.
    by_use: BTreeMap<Offset, ProducerId>,
    /// What has been noted and not committed.
    noted: BTreeMap<ProducerId, Known>,
}

impl Producers {
    /// Whether it knows none.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty() && self.noted.is_empty()
    }

    /// Says what is to be done with a batch of `records` records.
    ///
    /// # Errors
    /// It is not what comes next of its producer.
    pub fn check(&self, stamp: ProducerStamp, records: u32, now_ms: i64) -> Result<Verdict, AppendRefusal> {
        let ProducerStamp { producer, epoch, sequence } = stamp;
        let known = self.noted.get(&producer).or_else(|| self.known.get(&producer));
        let Some(known) = known.filter(|known| known.is_remembered(now_ms)) else {
            return if producer.is_keyed() { Ok(Verdict::Append) } else { first_of_an_epoch(sequence) };
        };
        if epoch < known.epoch {
            return Err(AppendRefusal::ProducerFenced { current: known.epoch });
        }
        if epoch > known.epoch {
            return first_of_an_epoch(sequence);
        }
        let same = |batch: &&Batch| (batch.sequence, batch.records) == (sequence, records);
        if let Some(batch) = known.batches.iter().find(same) {
            return Ok(Verdict::Duplicate { base_offset: batch.base_offset });
        }
        if producer.is_keyed() {
            return Err(AppendRefusal::KeyReused);
        }
        let expected = known.batches.back().map_or(0, |last| following(last.sequence, last.records));
        if sequence == expected { Ok(Verdict::Append) } else { Err(AppendRefusal::SequenceGap { expected }) }
    }

    /// Whether the stamp is that of an idempotency key which came here with another request. Such a batch is refused with
    /// [`AppendRefusal::KeyReused`] by each log of the topic, so that the whole request is.
    pub fn know_another(&self, stamp: ProducerStamp, now_ms: i64) -> bool {
        let ProducerStamp { producer, sequence, .. } = stamp;
        if !producer.is_keyed() || self.is_empty() {
            return false;
        }
        let known = self.noted.get(&producer).or_else(|| self.known.get(&producer));
        let known = known.filter(|known| known.is_remembered(now_ms));
        known.is_some_and(|known| known.batches.iter().any(|batch| batch.sequence != sequence))
    }

    /// Takes note of a batch that is about to be written at `base_offset`, which is behind all others.
    pub fn note(&mut self, stamp: ProducerStamp, records: u32, base_offset: Offset, now_ms: i64) {
        let ProducerStamp { producer, epoch, sequence } = stamp;
        let batch = Batch { sequence, records, base_offset };
        let known = self.noted.entry(producer).or_insert_with(|| {
            let fresh = || Known { producer, epoch, batches: VecDeque::new(), last_ms: now_ms };
            let known = self.known.get(&producer).filter(|known| known.is_remembered(now_ms));
            known.cloned().unwrap_or_else(fresh)
        });
        if known.epoch != epoch {
            known.batches.clear();
        }
        while known.batches.len() >= REMEMBERED_BATCHES {
            known.batches.pop_front();
        }
        known.batches.push_back(batch);
        (known.epoch, known.last_ms) = (epoch, now_ms);
    }

    /// What was noted is in the log.
    pub fn commit(&mut self) {
        while let Some((_, known)) = self.noted.pop_first() {
            self.insert(known);
        }
    }

    /// What was noted is not going to be in the log.
    pub fn roll_back(&mut self) {
        self.noted.clear();
    }

    fn insert(&mut self, known: Known) {
        let Some(last) = known.batches.back() else { return };
        let newest_ms = known.last_ms;
        self.by_use.insert(last.base_offset, known.producer);
        if let Some(before) = self.known.insert(known.producer, known)
            && let Some(last) = before.batches.back()
        {
            self.by_use.remove(&last.base_offset);
        }
        while let Some((offset, producer)) =
            self.by_use.first_key_value().map(|(offset, producer)| (*offset, *producer))
        {
            let expired = self.known.get(&producer).is_none_or(|known| !known.is_remembered(newest_ms));
            if self.known.len() <= MAX_PRODUCERS && !expired {
                return;
            }
            self.by_use.remove(&offset);
            self.known.remove(&producer);
        }
    }
}

impl From<Vec<Known>> for Producers {
    fn from(list: Vec<Known>) -> Self {
        let mut producers = Self::default();
        for known in list {
            producers.insert(known);
        }
        producers
    }
}

impl From<Producers> for Vec<Known> {
    fn from(producers: Producers) -> Self {
        let Producers { known, by_use, .. } = producers;
        by_use.values().filter_map(|producer| known.get(producer).cloned()).collect()
    }
}

fn first_of_an_epoch(sequence: u32) -> Result<Verdict, AppendRefusal> {
    if sequence == 0 { Ok(Verdict::Append) } else { Err(AppendRefusal::SequenceGap { expected: 0 }) }
}

/// The sequence behind a batch.
fn following(sequence: u32, records: u32) -> u32 {
    let next = (u64::from(sequence) + u64::from(records)) % SEQUENCES;
    u32::try_from(next).expect("there are 2^31 sequence numbers")
}
