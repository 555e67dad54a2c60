//! Stretches with gaps: what a read of them gives, and where it goes on.

use takhin_core::{LogId, Offset, TopicId};

use super::super::run::{Block, Run};
use crate::{
    engine::{Chunk, ReadPart},
    record::BatchBuilder,
};

const LOG: LogId = LogId { topic: TopicId(1), partition: 0 };

fn block(offsets: &[u64]) -> Block {
    let mut builder = BatchBuilder::default();
    let mut next = offsets[0];
    for &offset in offsets {
        builder.skip(offset - next).unwrap();
        builder.push(1, None, Some(offset.to_string().as_bytes()), std::iter::empty()).unwrap();
        next = offset + 1;
    }
    let mut batch = builder.finish().unwrap();
    batch.set_base_offset(Offset(offsets[0]));
    Block::new(batch).unwrap()
}

/// From 100 to 140: gaps before, within, between and behind the blocks.
fn run() -> Run {
    let mut run = Run::new(Offset(100));
    for offsets in [&[102, 105, 106][..], &[110], &[111, 129]] {
        run.push(block(offsets)).unwrap();
    }
    run.advance(Offset(140));
    run
}

fn give(run: &Run, part: ReadPart) -> Option<(Vec<u64>, u64)> {
    let mut chunk = Chunk::default();
    let outcome = run.select(&part)?.give(&part, false, &mut chunk);
    let offsets: Vec<u64> = chunk.records(&outcome).map(|record| record.offset.0).collect();
    assert_eq!(offsets.len(), outcome.records as usize);
    Some((offsets, outcome.next.0))
}

fn part(from: u64, to: u64) -> ReadPart {
    ReadPart { log: LOG, from: Offset(from), to: Offset(to), max_bytes: 1 << 20, max_records: 1000 }
}

#[test]
fn a_read_gets_on_behind_what_is_missing() {
    let run = run();
    assert_eq!(give(&run, part(100, 140)), Some((vec![102, 105, 106, 110, 111, 129], 140)));
    assert_eq!(give(&run, part(100, 102)), Some((vec![], 102)));
    assert_eq!(give(&run, part(103, 105)), Some((vec![], 105)));
    assert_eq!(give(&run, part(103, 106)), Some((vec![105], 106)));
    assert_eq!(give(&run, part(107, 109)), Some((vec![], 109)));
    assert_eq!(give(&run, part(112, 129)), Some((vec![], 129)));
    assert_eq!(give(&run, part(130, 200)), Some((vec![], 140)));
}

#[test]
fn a_read_outside_finds_nothing() {
    let run = run();
    assert_eq!(give(&run, part(99, 140)), None);
    assert_eq!(give(&run, part(140, 150)), None);
}

#[test]
fn a_read_that_reaches_its_limit_goes_on_behind_the_last_record_given() {
    let run = run();
    let limited = |from, max_records| give(&run, ReadPart { max_records, ..part(from, 140) }).unwrap();
    assert_eq!(limited(100, 1), (vec![102], 103));
    assert_eq!(limited(103, 2), (vec![105, 106], 107));
    assert_eq!(limited(107, 2), (vec![110, 111], 112));
    assert_eq!(limited(112, 2), (vec![129], 140));
    assert_eq!(give(&run, ReadPart { max_bytes: 0, ..part(104, 140) }), Some((vec![105], 106)));
}

#[test]
fn what_overlaps_with_what_is_there_is_taken_once() {
    let mut run = Run::new(Offset(5));
    assert!(run.push(block(&[3, 4])).is_none());
    run.push(block(&[4, 6, 7])).unwrap();
    assert!(run.push(block(&[6, 7])).is_none());
    run.push(block(&[7, 9])).unwrap();
    assert_eq!(give(&run, part(5, 20)), Some((vec![6, 7, 9], 10)));
}

#[test]
fn the_oldest_goes_and_the_rest_is_still_all_there_is() {
    let mut run = run();
    let before = run.bytes();
    let freed = run.pop().unwrap();
    assert_eq!((run.start(), run.end(), run.bytes()), (Offset(107), Offset(140), before - freed));
    assert_eq!(give(&run, part(106, 140)), None);
    assert_eq!(give(&run, part(107, 140)), Some((vec![110, 111, 129], 140)));
    run.trim(Offset(140), 0);
    assert_eq!((run.start(), run.bytes(), run.pop()), (Offset(130), 0, None));
    assert_eq!(give(&run, part(135, 140)), Some((vec![], 140)));
}
