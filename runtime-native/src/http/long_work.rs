//! Work on much data, which would keep other requests waiting if it were done among them.
//!
//! Requests share few threads, each of which goes from one to the next wherever one waits. To take a large body apart
//! or to write out a large answer takes milliseconds in which nothing is waited for. Such work says so, and the other
//! requests of its thread move to another one. As much of it is done at a time as there are processors; more waits
//! for its turn, in the room that its body or its answer has been given.

use std::{num::NonZero, thread};

use tokio::{sync::Semaphore, task::block_in_place};

/// From how many bytes of JSON on it takes about a millisecond to read them. To hand the thread's other requests over
/// takes a few hundredths of one.
pub(super) const LONG_TO_READ_BYTES: usize = 512 << 10;

/// From how many bytes of JSON on it takes about a millisecond to write them.
pub(super) const LONG_TO_WRITE_BYTES: usize = 2 << 20;

/// Whose turn it is.
#[derive(Debug)]
pub(super) struct LongWork {
    turns: Semaphore,
}

impl LongWork {
    pub(super) fn new() -> Self {
        Self { turns: Semaphore::new(thread::available_parallelism().map_or(1, NonZero::get)) }
    }

    /// Does the work, at once if it is not `long`. It must be on a thread of a runtime that has several.
    pub(super) async fn run<T>(&self, long: bool, work: impl FnOnce() -> T) -> T {
        if !long {
            return work();
        }
        let _turn = self.turns.acquire().await.expect("it is never closed");
        block_in_place(work)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    };

    use super::*;

    /// Two tasks on the only thread: the one can't end before the other has run.
    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn others_go_on_beside_long_work() {
        let seen = Arc::new(AtomicBool::new(false));
        let other = Arc::clone(&seen);
        let long = tokio::spawn(async move {
            tokio::spawn(async move { other.store(true, Ordering::Release) });
            let wait = || {
                while !seen.load(Ordering::Acquire) {
                    thread::yield_now();
                }
            };
            LongWork::new().run(true, wait).await;
        });
        long.await.expect("it ends");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_turn_is_given_back() {
        let work = LongWork { turns: Semaphore::new(1) };
        assert_eq!(work.run(true, || 1).await + work.run(true, || 2).await, 3);
        let _taken = work.turns.acquire().await.expect("it is never closed");
        assert_eq!(work.run(false, || 4).await, 4, "what is not long needs no turn");
    }
}
