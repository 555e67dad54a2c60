//! Reads of what is not in memory, and what limits them.

use takhin_core::{LogId, Offset, TopicId};

use super::{super::*, harness::*};
use crate::record::{BatchHeader, records};

fn filled(count: u64) -> (World, LogId) {
    let world = world(&["orders"]);
    let log = world.log("orders", 0);
    let all: Vec<Own> = (0..count).map(|number| own(&format!("record {number}"))).collect();
    world.other().write("orders", 0, &all);
    (world, log)
}

#[test]
fn who_reads_on_finds_what_comes_next_with_the_same_handle() {
    let (world, log) = filled(3000);
    let (mut next, mut seen) = (0, 0);
    while next < 3000 {
        let part = ReadPart { max_records: 7, ..part(log, next, 3000) };
        let (some, outcome) = read(&world.records, &part, ReadMode::Blocking).unwrap();
        assert!(some.len() <= 7);
        for (offset, record) in &some {
            assert_eq!((*offset, record), (seen, &own(&format!("record {seen}"))));
            seen += 1;
        }
        next = outcome.next.0;
    }
    assert_eq!(seen, 3000);
    let stats = world.records.stats().read();
    assert_eq!((stats.cold_starts, stats.handles, stats.reads_cached), (1, 1, 0), "{stats:?}");
}

#[test]
fn a_read_gives_no_more_than_it_is_asked_for_but_one_record() {
    let (world, log) = filled(100);
    let get = |part: ReadPart| {
        let (read, outcome) = read(&world.records, &part, ReadMode::Blocking).unwrap();
        (read.len(), outcome.bytes, outcome.next.0)
    };
    let (_, one, _) = get(ReadPart { max_records: 1, ..part(log, 10, 100) });
    assert_eq!(get(ReadPart { max_bytes: 0, ..part(log, 10, 100) }), (1, one, 11));
    assert_eq!(get(ReadPart { max_bytes: one * 3, ..part(log, 10, 100) }), (3, one * 3, 13));
    assert_eq!(get(ReadPart { max_bytes: one * 4 - 1, ..part(log, 10, 100) }), (3, one * 3, 13));
    assert_eq!(get(ReadPart { max_records: 0, ..part(log, 10, 100) }), (0, 0, 10));
    assert_eq!(get(part(log, 10, 10)), (0, 0, 10));
    let (mut count, mut next) = (0, 10);
    while next < 14 {
        let (some, _, on) = get(part(log, next, 14));
        (count, next) = (count + some, on);
    }
    assert_eq!((count, next), (4, 14));
}

#[test]
fn nothing_is_read_without_waiting_that_is_not_in_memory() {
    let (world, log) = filled(10);
    assert_eq!(read(&world.records, &part(log, 0, 10), ReadMode::NoWait).unwrap_err(), ReadError::WouldBlock);
    let unknown = LogId { topic: TopicId(7), partition: 0 };
    assert_eq!(read(&world.records, &part(unknown, 0, 10), ReadMode::NoWait).unwrap_err(), ReadError::WouldBlock);
    assert_eq!(read(&world.records, &part(unknown, 0, 10), ReadMode::Blocking).unwrap_err(), ReadError::Deleted);
}

#[test]
fn a_read_at_the_end_gives_nothing() {
    let (world, log) = filled(10);
    let (read, outcome) = read(&world.records, &part(log, 10, 20), ReadMode::Blocking).unwrap();
    assert_eq!((read.len(), outcome.next), (0, Offset(10)));
}

#[test]
fn stored_batches_are_whole_and_bear_their_offsets() {
    let (world, log) = filled(2000);
    let (mut next, mut seen) = (500, 500);
    while next < 1500 {
        let mut chunk = Chunk::default();
        let part = ReadPart { max_bytes: 20_000, ..part(log, next, 1500) };
        let outcome = world.records.read_stored(&part, ReadMode::Blocking, &mut chunk).unwrap();
        let bytes = chunk.stored(&outcome);
        let stored = &chunk.into_bytes()[bytes];
        let mut rest = stored;
        while !rest.is_empty() {
            let header = BatchHeader::read(rest).unwrap();
            header.verify(rest).unwrap();
            rest = &rest[header.bytes..];
        }
        let wanted: Vec<u64> = records(stored)
            .map(|record| record.unwrap().offset.0)
            .filter(|offset| (next..1500).contains(offset))
            .collect();
        assert_eq!(wanted.len(), outcome.records as usize);
        for offset in wanted {
            assert_eq!(offset, seen);
            seen += 1;
        }
        next = outcome.next.0;
    }
    assert_eq!((next, seen), (1500, 1500));
}

#[test]
fn readers_at_many_places_share_the_handles() {
    let (world, log) = filled(2000);
    std::thread::scope(|scope| {
        for reader in 0..10 {
            let records = &world.records;
            scope.spawn(move || {
                let from = reader * 100;
                let read = read_all(records, log, from, 2000);
                assert!(read.iter().map(|(offset, _)| *offset).eq(from..2000));
            });
        }
    });
    let handles = world.records.stats().read().handles;
    assert!((1..=4).contains(&handles), "{handles}");
}

#[test]
fn a_read_from_brokers_that_are_away_fails_in_its_time_and_the_next_one_goes_on() {
    let world = world_with(&["orders"], |config| config.timeout = Duration::from_secs(2));
    let log = world.log("orders", 0);
    world.other().write("orders", 0, &[own("a")]);
    world.cluster.broker_down(-1).unwrap();
    let failed = read(&world.records, &part(log, 0, 1), ReadMode::Blocking);
    assert!(matches!(failed, Err(ReadError::Failed(_))), "{failed:?}");
    world.cluster.broker_up(-1).unwrap();
    eventually("it can be read", || read(&world.records, &part(log, 0, 1), ReadMode::Blocking).is_ok());
}

#[test]
fn a_read_of_many_large_records_brings_as_many_as_it_may() {
    let world = world(&["orders"]);
    let log = world.log("orders", 0);
    let large = "x".repeat(900_000);
    // All that the mock keeps.
    for _ in 0..5 {
        append(&world.records, log, values(&[&large])).unwrap();
    }
    let wanted = |max_bytes| ReadPart { max_bytes, ..part(log, 0, 5) };
    let (all, outcome) = read(&world.records, &wanted(16 << 20), ReadMode::Blocking).unwrap();
    assert_eq!((all.len(), outcome.next), (5, Offset(5)));
    let elsewhere = Records::connect(&config(&world.cluster.bootstrap_servers())).unwrap();
    let (some, outcome) = read(&elsewhere, &wanted(2 << 20), ReadMode::Blocking).unwrap();
    assert_eq!((some.len(), outcome.next), (2, Offset(2)));
}
