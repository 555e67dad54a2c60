//! Memory into which much is read, used again.
//!
//! To get a mebibyte of fresh memory, cleared and then grown and copied while it is filled, takes longer than to verify
//! what is read into it. So a few buffers go round: from a read, with its answer, back to the next read. What one had in it
//! before is never seen again, since nobody looks behind what was filled anew.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Less than this is not worth the way here.
const LEAST_BYTES: usize = 64 << 10;
/// Larger ones are rare, and not kept.
const MOST_BYTES: usize = 2 << 20;
/// How many are kept at most while nobody uses them.
const MOST_KEPT: usize = 4;

static KEPT: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

/// A buffer of at least `bytes` that begins with the first `filled` of `old`. What follows those is anything.
pub(super) fn grown(mut old: Vec<u8>, filled: usize, bytes: usize) -> Vec<u8> {
    if bytes < LEAST_BYTES || bytes <= old.capacity() {
        old.resize(bytes.max(old.len()), 0);
        return old;
    }
    let mut new = kept().pop().unwrap_or_default();
    if new.len() < bytes {
        new.resize(bytes, 0);
    }
    new[..filled].copy_from_slice(&old[..filled]);
    give_back(old);
    new
}

/// Keeps it for the next one, if it is worth that.
pub(super) fn give_back(buffer: Vec<u8>) {
    if (LEAST_BYTES..=MOST_BYTES).contains(&buffer.len()) {
        let mut kept = kept();
        if kept.len() < MOST_KEPT {
            kept.push(buffer);
        }
    }
}

fn kept() -> MutexGuard<'static, Vec<Vec<u8>>> {
    // Every change is one call, so a panic elsewhere can't have left it half done.
    KEPT.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_filled_stays_and_few_are_kept() {
        let old: Vec<u8> = (0..100).collect();
        let small = grown(old.clone(), 100, 1_000);
        assert_eq!((&small[..100], small.len()), (&old[..], 1_000));
        let large = grown(small, 50, LEAST_BYTES);
        assert_eq!((&large[..50], large.len() >= LEAST_BYTES), (&old[..50], true));
        let larger = grown(large, 50, 3 * MOST_BYTES);
        assert_eq!(larger[..50], old[..50]);
        give_back(larger);
        for _ in 0..3 * MOST_KEPT {
            give_back(vec![7; MOST_BYTES]);
        }
        let kept = kept();
        assert!(kept.len() <= MOST_KEPT && kept.iter().all(|buffer| buffer.len() <= MOST_BYTES));
    }
}
