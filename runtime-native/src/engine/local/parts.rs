//! Work on many logs at a time, with results that do not depend on how many threads had a part in it.
//!
//! What a start does with a log is mostly waiting: for its directory, its files, a sync. Logs have nothing to do with
//! each other, so a few threads share them. Each takes logs that stand one behind the other, and what came of them is
//! given in their order. A handful of logs is not worth a second thread.

use std::{
    panic,
    thread::{self, ScopedJoinHandle},
};

/// How many logs are worth a thread.
pub(super) const LOGS_PER_THREAD: usize = 128;
/// At least so many, however few processors there are: while one thread waits for the disk, another one works.
const LEAST_THREADS: usize = 4;
/// More would only queue up at the disk.
const MOST_THREADS: usize = 16;

/// Has `work` done with all of `items`, a part of them at a time. Gives what came of each part, in order.
pub(super) fn by_parts<T: Sync, R: Send>(items: &[T], work: impl Fn(&[T]) -> R + Sync) -> Vec<R> {
    let most = thread::available_parallelism().map_or(1, usize::from).clamp(LEAST_THREADS, MOST_THREADS);
    let parts = (items.len() / LOGS_PER_THREAD).clamp(1, most);
    let (own, others) = items.split_at(items.len().div_ceil(parts));
    let work = &work;
    thread::scope(|scope| {
        let begin = |part| (part, thread::Builder::new().spawn_scoped(scope, move || work(part)).ok());
        let running: Vec<_> = others.chunks(own.len().max(1)).map(begin).collect();
        let mut done = vec![work(own)];
        // What the system has no further thread for is done here.
        done.extend(running.into_iter().map(|(part, thread)| thread.map_or_else(|| work(part), joined)));
        done
    })
}

fn joined<R>(thread: ScopedJoinHandle<'_, R>) -> R {
    thread.join().unwrap_or_else(|cause| panic::resume_unwind(cause))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_item_is_in_one_part_and_the_parts_are_in_order() {
        for count in [0, 1, 2 * LOGS_PER_THREAD - 1, 2 * LOGS_PER_THREAD, 50 * LOGS_PER_THREAD + 17] {
            let items: Vec<_> = (0..count).collect();
            let parts = by_parts(&items, <[usize]>::to_vec);
            assert_eq!(parts.concat(), items);
            assert_eq!(parts.len() > 1, count >= 2 * LOGS_PER_THREAD, "{count}");
        }
    }
}
