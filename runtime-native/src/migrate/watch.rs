//! What is seen of a migration from outside while it goes on, and how it is told to stop.

use std::{
    fmt,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

/// For how long nothing may be acknowledged before it is worth a word.
const QUIET: Duration = Duration::from_secs(10);

/// What a migration is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// It looks what there is, here and there, and makes topics.
    #[default]
    Preparing,
    /// It copies records. What counts are offsets.
    Records,
    /// It gives topics their own settings.
    Settings,
    /// It sets groups' offsets. What counts are groups.
    Groups,
}

/// What is seen of a migration, and how it is stopped.
#[derive(Debug, Default)]
pub struct Watch {
    stop: AtomicBool,
    phase: Mutex<Phase>,
    total: AtomicU64,
    done: AtomicU64,
    bytes: AtomicU64,
    notes: Mutex<Vec<String>>,
    waiting: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    since: Option<Instant>,
    trouble: Option<String>,
}

/// One look at it.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// What it is doing.
    pub phase: Phase,
    /// How much there is of what this phase counts, what was done by earlier runs included.
    pub total: u64,
    /// How much of that is done.
    pub done: u64,
    /// How many bytes of records this run has copied.
    pub bytes: u64,
}

impl Watch {
    /// Has it stop soon, with all kept that was done.
    pub fn stop(&self) {
        self.stop.store(true, Relaxed);
    }

    /// How far it is.
    pub fn seen(&self) -> Seen {
        let phase = *self.phase.lock().unwrap_or_else(PoisonError::into_inner);
        Seen { phase, total: self.total.load(Relaxed), done: self.done.load(Relaxed), bytes: self.bytes.load(Relaxed) }
    }

    /// What is worth a word and was not taken yet.
    pub fn take_notes(&self) -> Vec<String> {
        std::mem::take(&mut *self.notes.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// For how long Kafka has acknowledged nothing, once that is worth a word, and what its client says of it.
    pub fn waits(&self) -> Option<(Duration, Option<String>)> {
        if self.seen().phase != Phase::Records {
            return None;
        }
        let waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        let since = waiting.since.map(|since| since.elapsed()).filter(|since| *since >= QUIET)?;
        Some((since, waiting.trouble.clone()))
    }

    pub(super) fn is_stopped(&self) -> bool {
        self.stop.load(Relaxed)
    }

    pub(super) fn note(&self, note: impl Into<String>) {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner).push(note.into());
    }

    pub(super) fn begin(&self, phase: Phase, total: u64, done: u64) {
        self.total.store(total, Relaxed);
        self.done.store(done, Relaxed);
        *self.phase.lock().unwrap_or_else(PoisonError::into_inner) = phase;
    }

    pub(super) fn advance(&self, done: u64, bytes: u64) {
        self.done.fetch_add(done, Relaxed);
        self.bytes.fetch_add(bytes, Relaxed);
        *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) =
            Waiting { since: Some(Instant::now()), trouble: None };
    }

    /// Nothing was acknowledged for a moment.
    pub(super) fn waiting(&self, trouble: Option<String>) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.since.get_or_insert_with(Instant::now);
        waiting.trouble = trouble;
    }

    /// Nothing is waited for any more.
    pub(super) fn settled(&self) {
        *self.waiting.lock().unwrap_or_else(PoisonError::into_inner) = Waiting::default();
    }
}

impl fmt::Debug for Waiting {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Waiting").field("trouble", &self.trouble).finish_non_exhaustive()
    }
}
