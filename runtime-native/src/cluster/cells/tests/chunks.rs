//! Snapshots in chunks.

use std::sync::Arc;

use takhin_core::{
    FactSeq,
    cell::{CellOffset, Replay},
};
use uuid::Uuid;

use super::super::chunk::{Assembly, CHUNK_BYTES, Found, Snapshot, chunks};

const CELL: u32 = 3;

fn snapshot(next: u64, bytes: usize) -> Snapshot {
    let state = (0..bytes).map(|byte| u8::try_from(byte * 31 % 251).unwrap_or(0)).collect();
    Snapshot { next: CellOffset(next), replay: Replay::starting_with(FactSeq(next * 10)), state: Arc::new(state) }
}

fn written(id: u128, snapshot: &Snapshot) -> Vec<Vec<u8>> {
    chunks(CELL, Uuid::from_u128(id), snapshot).collect()
}

fn found<'a>(chunks: impl IntoIterator<Item = &'a Vec<u8>>) -> Found {
    let mut assembly = Assembly::new(CELL);
    (100..).zip(chunks).for_each(|(at, chunk)| assembly.take(at, chunk));
    assembly.finish()
}

fn latest(found: &Found) -> Option<&Snapshot> {
    found.latest.as_ref().map(|read| &read.snapshot)
}

#[test]
fn a_snapshot_is_read_as_it_was_written_whatever_its_size() {
    for bytes in [0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 5 << 20] {
        let snapshot = snapshot(8, bytes);
        let chunks = written(1, &snapshot);
        assert_eq!(chunks.len(), bytes.div_ceil(CHUNK_BYTES).max(1));
        assert!(chunks.iter().all(|chunk| chunk.len() < 1_000_000));
        let found = found(&chunks);
        assert!(latest(&found) == Some(&snapshot), "{bytes} bytes");
        assert_eq!(found.broken, Vec::<String>::new());
    }
}

#[test]
fn the_snapshot_that_goes_furthest_counts_wherever_it_lies() {
    let (older, newer) = (snapshot(8, 10), snapshot(9, 10));
    let (older_chunks, newer_chunks) = (written(1, &older), written(2, &newer));
    for order in [[&older_chunks[0], &newer_chunks[0]], [&newer_chunks[0], &older_chunks[0]]] {
        let found = found(order);
        assert_eq!(latest(&found), Some(&newer));
        assert_eq!(found.complete.iter().map(|complete| complete.next.0).collect::<Vec<_>>(), [8, 9]);
    }
}

#[test]
fn a_snapshot_that_is_broken_or_lacks_a_chunk_does_not_count_and_is_told_of() {
    let (older, newer) = (snapshot(8, 10), snapshot(9, 3 * CHUNK_BYTES));
    let whole: Vec<_> = written(1, &older).into_iter().chain(written(2, &newer)).collect();
    for missing in 1..4 {
        let mut chunks = whole.clone();
        chunks.remove(missing);
        let found = found(&chunks);
        assert_eq!(latest(&found), Some(&older), "without {missing}");
        assert!(!found.broken.is_empty());
    }
    for broken in 1..4 {
        let mut chunks = whole.clone();
        *chunks[broken].last_mut().expect("a chunk has bytes") ^= 1;
        let found = found(&chunks);
        assert_eq!(latest(&found), Some(&older), "with {broken} broken");
        assert!(found.broken.iter().any(|why| why.contains("checksum")), "{:?}", found.broken);
    }
}

#[test]
fn snapshots_that_two_nodes_write_at_once_are_told_apart() {
    let (first, second) = (snapshot(8, 2 * CHUNK_BYTES), snapshot(9, 2 * CHUNK_BYTES));
    let (first_chunks, second_chunks) = (written(1, &first), written(2, &second));
    let found = found([&first_chunks[0], &second_chunks[0], &second_chunks[1], &first_chunks[1]]);
    assert_eq!(latest(&found), Some(&second));
    assert_eq!(found.complete.len(), 2);
}

#[test]
fn chunks_of_another_cell_or_of_nobody_are_told_of_and_left_out() {
    let of_another = chunks(CELL + 1, Uuid::from_u128(1), &snapshot(8, 10)).collect::<Vec<_>>();
    let found = found(of_another.iter().chain([&b"what is this".to_vec(), &b"{\"v\":9}\n".to_vec()]));
    assert_eq!(latest(&found), None);
    assert_eq!(found.broken.len(), 3, "{:?}", found.broken);
}
