//! What a read gives, and within which limits.

use takhin_core::Offset;
use tempfile::tempdir;

use super::{faulty_disk::FaultyDisk, harness::*};
use crate::engine::{
    Chunk, ReadError, ReadMode, ReadPart,
    local::{LocalConfig, disk::RealDisk},
};

/// Forty batches of three records over several segments.
fn filled(dir: &std::path::Path, open_files: usize) -> Running {
    let config = LocalConfig { segment_bytes: 20_000, open_files, ..config(dir) };
    let running = open_on(std::sync::Arc::new(RealDisk), config, 1).unwrap();
    for number in 0..40u32 {
        let values: Vec<_> = (0..3).map(|place| vec![0; 1000 + (number * 3 + place) as usize]).collect();
        running.append(ORDERS, &values.iter().map(Vec::as_slice).collect::<Vec<_>>()).unwrap();
    }
    running
}

#[test]
fn every_start_and_every_bound_gives_exactly_the_records_between() {
    let dir = tempdir().unwrap();
    let running = filled(dir.path(), 1000);
    assert!(std::fs::read_dir(dir.path().join("logs/orders-0")).unwrap().count() > 12);
    for from in 0..120 {
        for to in [from, from + 1, from + 4, 120] {
            let found = running.read_all(ORDERS, from, to.min(120));
            let expected: Vec<_> = (from..to.min(120)).map(|offset| (offset, 1000 + offset)).collect();
            let found: Vec<_> = found.into_iter().map(|(offset, value)| (offset, value.len() as u64)).collect();
            assert_eq!(found, expected, "{from}..{to}");
        }
    }
}

#[test]
fn limits_are_kept_except_that_a_first_record_always_fits() {
    let dir = tempdir().unwrap();
    let running = filled(dir.path(), 1000);
    for from in [0, 1, 2, 59] {
        let limited = |max_bytes, max_records| {
            let (values, outcome) =
                running.read(&ReadPart { max_bytes, max_records, ..part(ORDERS, from, 120) }).unwrap();
            assert_eq!(outcome.next.0, from + values.len() as u64);
            assert_eq!(outcome.records as usize, values.len());
            (values.len(), outcome.bytes)
        };
        assert_eq!(limited(1, 100).0, 1);
        assert_eq!(limited(usize::MAX, 7).0, 7);
        assert_eq!(limited(usize::MAX, 0).0, 0);
        let (count, bytes) = limited(5000, 100);
        assert!(count == 4 && (4000..=5000).contains(&bytes), "{count} {bytes}");
    }
}

#[test]
fn nothing_is_given_before_the_start_or_at_the_end() {
    let dir = tempdir().unwrap();
    let running = filled(dir.path(), 1000);
    let (values, outcome) = running.read(&part(ORDERS, 120, 120)).unwrap();
    assert_eq!((values.len(), outcome.next.0, outcome.bytes), (0, 120, 0));
    assert_eq!(running.read(&part(log(9), 0, 1)).unwrap_err(), ReadError::Deleted);
}

#[test]
fn several_parts_share_a_chunk() {
    let dir = tempdir().unwrap();
    let running = filled(dir.path(), 1000);
    let reader = running.engine.reader();
    let mut chunk = Chunk::default();
    let parts = [part(ORDERS, 5, 9), part(ORDERS, 110, 112), part(ORDERS, 0, 1)];
    let outcomes: Vec<_> =
        parts.iter().map(|part| reader.read(part, ReadMode::Blocking, &mut chunk).unwrap()).collect();
    let offsets: Vec<Vec<_>> =
        outcomes.iter().map(|outcome| chunk.records(outcome).map(|record| record.offset.0).collect()).collect();
    assert_eq!(offsets, [vec![5, 6, 7, 8], vec![110, 111], vec![0]]);
}

#[test]
fn what_was_just_written_is_read_without_waiting() {
    let dir = tempdir().unwrap();
    let running = filled(dir.path(), 1000);
    let mut chunk = Chunk::default();
    match running.engine.reader().read(&part(ORDERS, 117, 120), ReadMode::NoWait, &mut chunk) {
        Ok(outcome) => assert_eq!(chunk.records(&outcome).count(), 3),
        // Some file systems can't tell what is in memory.
        Err(error) => assert_eq!((error, chunk.filled()), (ReadError::WouldBlock, 0)),
    }
}

#[test]
fn few_files_are_open_at_a_time() {
    let dir = tempdir().unwrap();
    let running = filled(dir.path(), 8);
    assert_eq!(running.read_all(ORDERS, 0, 120).len(), 120);
    assert!(running.engine.reader().open_files() <= 8);
}

#[test]
fn a_time_is_looked_up_across_segments_and_starts() {
    let dir = tempdir().unwrap();
    let look = |running: &Running| {
        // The timestamp of each record is its value's length.
        for offset in 0..120u64 {
            let time = 1000 + i64::try_from(offset).unwrap();
            let found = running.engine.reader().lookup_time(ORDERS, time, Offset(120)).unwrap();
            assert_eq!(found, Some((Offset(offset), time)));
        }
        let reader = running.engine.reader();
        assert_eq!(reader.lookup_time(ORDERS, 0, Offset(120)).unwrap(), Some((Offset(0), 1000)));
        assert_eq!(reader.lookup_time(ORDERS, 1120, Offset(120)).unwrap(), None);
        assert_eq!(reader.lookup_time(ORDERS, 1100, Offset(100)).unwrap(), None);
    };
    let running = filled(dir.path(), 1000);
    look(&running);
    running.engine.stop().unwrap();
    look(&open(dir.path(), 1));
}

#[test]
fn cold_data_is_left_to_a_read_that_may_wait() {
    let disk = FaultyDisk::default();
    let running = open_on(std::sync::Arc::new(disk.clone()), config("/data"), 1).unwrap();
    running.append(ORDERS, &[b"value"]).unwrap();
    let reader = running.engine.reader();
    let mut chunk = Chunk::default();
    let wanted = part(ORDERS, 0, 1);
    disk.set_cold(true);
    assert_eq!(reader.read(&wanted, ReadMode::NoWait, &mut chunk), Err(ReadError::WouldBlock));
    assert_eq!(chunk.filled(), 0);
    assert_eq!(reader.read(&wanted, ReadMode::Blocking, &mut chunk).unwrap().records, 1);
    disk.set_cold(false);
    assert_eq!(reader.read(&wanted, ReadMode::NoWait, &mut chunk).unwrap().records, 1);
}

#[test]
fn a_read_takes_from_the_disk_about_what_it_gives() {
    let disk = FaultyDisk::default();
    let config = LocalConfig { segment_bytes: 64 << 20, ..config("/data") };
    let running = open_on(std::sync::Arc::new(disk.clone()), config, 1).unwrap();
    let values: Vec<_> = (0..100).map(|_| vec![7; 1000]).collect();
    let values: Vec<_> = values.iter().map(Vec::as_slice).collect();
    for _ in 0..40 {
        running.append(ORDERS, &values).unwrap();
    }
    let taken = |part: &ReadPart| {
        disk.take_reads();
        let (_, outcome) = running.read(part).unwrap();
        (outcome.records, disk.take_reads())
    };
    // A batch is 100 KB; the second window is large enough for whatever the first one wasn't.
    let (records, (reads, bytes)) = taken(&ReadPart { max_bytes: 1 << 20, max_records: 1, ..part(ORDERS, 0, 4000) });
    assert!(records == 1 && reads <= 2 && bytes <= 256 << 10, "{reads} {bytes}");
    let (records, (reads, bytes)) =
        taken(&ReadPart { max_bytes: usize::MAX, max_records: u32::MAX, ..part(ORDERS, 0, 1) });
    assert!(records == 1 && reads <= 2 && bytes <= 256 << 10, "{reads} {bytes}");
    let (records, (reads, bytes)) =
        taken(&ReadPart { max_bytes: usize::MAX, max_records: u32::MAX, ..part(ORDERS, 0, 1000) });
    assert!(records == 1000 && reads <= 8 && bytes <= 3 << 20, "{reads} {bytes}");
    let (records, (reads, bytes)) =
        taken(&ReadPart { max_bytes: 1 << 20, max_records: u32::MAX, ..part(ORDERS, 0, 4000) });
    assert!(records > 1000 && reads <= 6 && bytes <= 3 << 19, "{reads} {bytes}");
    let (records, (reads, _)) =
        taken(&ReadPart { max_bytes: usize::MAX, max_records: u32::MAX, ..part(ORDERS, 0, 4000) });
    assert!(records == 4000 && reads <= 10, "{reads}");
}

#[test]
fn readers_follow_the_writer_without_a_hole() {
    let dir = tempdir().unwrap();
    let config = LocalConfig { segment_bytes: 5000, open_files: 8, ..config(dir.path()) };
    let running = open_on(std::sync::Arc::new(RealDisk), config, 2).unwrap();
    std::thread::scope(|scope| {
        for partition in 0..2 {
            let running = &running;
            let (sender, ends) = std::sync::mpsc::channel();
            scope.spawn(move || {
                for offset in 0..300u64 {
                    let at = running.append(log(partition), &[&offset.to_be_bytes()]).unwrap();
                    sender.send(at.end).unwrap();
                }
            });
            scope.spawn(move || {
                let mut next = 0;
                for end in ends {
                    for (offset, value) in running.read_all(log(partition), next, end.0) {
                        assert_eq!((offset, value), (next, next.to_be_bytes().to_vec()));
                        next += 1;
                    }
                }
                assert_eq!(next, 300);
            });
        }
    });
}
