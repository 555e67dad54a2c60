//! Compressed batches are read as if they were not, from wherever and however much of them is wanted.

use takhin_core::{Compression, Offset};
use tempfile::tempdir;

use super::harness::*;
use crate::{
    engine::{ReadMode, ReadPart},
    record::{BatchBuilder, EncodedBatch},
};

const CODECS: [Compression; 5] =
    [Compression::None, Compression::Gzip, Compression::Snappy, Compression::Lz4, Compression::Zstd];

fn value(offset: u64) -> Vec<u8> {
    format!("{offset:0>300}").into_bytes()
}

fn packed(base: u64, records: u64, compression: Compression) -> EncodedBatch {
    let mut builder = BatchBuilder::default();
    for offset in base..base + records {
        builder.push(i64::try_from(offset).unwrap(), None, Some(&value(offset)), std::iter::empty()).unwrap();
    }
    builder.compress(compression);
    builder.finish().unwrap()
}

/// A log of batches of all codecs in turn; its end.
fn fill(running: &Running, batches: u64) -> u64 {
    let mut end = 0;
    for n in 0..batches {
        let (records, codec) = (1 + n % 7, CODECS[usize::try_from(n * 3 % 5).unwrap()]);
        let at = running.wait_append(running.submit_append(ORDERS, packed(end, records, codec))).unwrap();
        assert_eq!(at.base_offset, Offset(end));
        end += records;
    }
    end
}

#[test]
fn every_place_and_every_amount_of_a_mixed_log_is_read_as_it_was_written() {
    let dir = tempdir().unwrap();
    let running = open(dir.path(), 1);
    let end = fill(&running, 60);
    for from in 0..end {
        for (max_records, max_bytes) in [(1, 1 << 20), (5, 1 << 20), (1000, 1), (1000, 1500), (1000, 1 << 20)] {
            let part = ReadPart { max_bytes, max_records, ..part(ORDERS, from, end) };
            let (values, outcome) = running.read(&part).unwrap();
            let expected: Vec<_> = (from..outcome.next.0).map(|offset| (offset, value(offset))).collect();
            assert_eq!(values, expected, "from {from}, {max_records} records, {max_bytes} bytes");
            let in_bounds = outcome.bytes <= max_bytes || outcome.records == 1;
            assert!(outcome.records >= 1 && outcome.records <= max_records && in_bounds, "{outcome:?}");
            if max_records == 1000 && max_bytes == 1500 && end - from > 10 {
                assert!(outcome.bytes > 1000, "the bound counts what is read, and not what is stored: {outcome:?}");
            }
        }
    }
    let found = running.engine.reader().lookup_time(ORDERS, 77, Offset(end)).unwrap();
    assert_eq!(found, Some((Offset(77), 77)));
}

#[test]
fn it_takes_less_room_and_survives_a_kill() {
    let dir = tempdir().unwrap();
    let running = open(dir.path(), 1);
    let mut end = 0;
    for _ in 0..20 {
        running.wait_append(running.submit_append(ORDERS, packed(end, 100, Compression::Zstd))).unwrap();
        end += 100;
    }
    drop(running);
    let running = open(dir.path(), 1);
    assert_eq!(running.end(ORDERS), Offset(end));
    assert_eq!(running.read_all(ORDERS, 0, end), (0..end).map(|offset| (offset, value(offset))).collect::<Vec<_>>());
    let size = std::fs::metadata(dir.path().join("logs/orders-0/00000000000000000000.log")).unwrap().len();
    assert!(size < 300 * end / 5, "{size} bytes");
}

#[test]
fn damage_in_a_compressed_batch_costs_that_batch() {
    let dir = tempdir().unwrap();
    let running = open(dir.path(), 1);
    for n in 0..3 {
        running.wait_append(running.submit_append(ORDERS, packed(n * 10, 10, Compression::Lz4))).unwrap();
    }
    let path = dir.path().join("logs/orders-0/00000000000000000000.log");
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let mut chunk = crate::engine::Chunk::default();
    let read = |from, chunk: &mut _| running.engine.reader().read(&part(ORDERS, from, 30), ReadMode::Blocking, chunk);
    assert_eq!(read(0, &mut chunk).unwrap().next, Offset(10));
    let error = read(10, &mut chunk).unwrap_err();
    let corrupt = |next: Option<Offset>, at: Offset| (next, at) == (Some(Offset(20)), Offset(10));
    assert!(
        matches!(error, crate::engine::ReadError::Corrupt { next_offset, offset, .. } if corrupt(next_offset, offset))
    );
    assert_eq!(read(20, &mut chunk).unwrap().next, Offset(30));
}
