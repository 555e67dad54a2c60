//! How fast it is on this machine: run with `--ignored --nocapture` and `--release`.

use std::{
    sync::mpsc,
    time::{Duration, Instant},
};

use takhin_core::{AppendId, Offset, RequestId};
use tempfile::tempdir;

use super::harness::*;
use crate::engine::{
    Chunk, Completion, ReadMode, ReadPart, Submitted, WriteOp,
    local::{Durability, LocalConfig, Opening},
};

const LOGS: u32 = 16;

#[test]
#[ignore = "a measurement"]
fn throughput() {
    for durability in [Durability::Fsync, Durability::Interval(Duration::from_millis(10)), Durability::Os] {
        for (threads, appends, bytes) in [(1, 2000, 1000), (64, 1000, 1000), (16, 200, 100_000)] {
            measure(durability, threads, appends, bytes);
        }
    }
}

/// Each thread appends one batch of one record and waits for it, time and again.
#[allow(clippy::cast_precision_loss)] // measurements
fn measure(durability: Durability, threads: u32, appends: u32, bytes: usize) {
    let dir = tempdir().unwrap();
    let config = LocalConfig { durability, ..LocalConfig::new(dir.path()) };
    let (mut engine, ..) = Opening::open(config.clone()).unwrap().with_logs(&specs(LOGS)).unwrap();
    let (senders, receivers): (Vec<_>, Vec<_>) = (0..threads).map(|_| mpsc::channel()).unzip();
    engine
        .start(move |batch: &mut Vec<Completion>| {
            for completion in batch.drain(..) {
                if let Completion::Appended { id, result, .. } = completion {
                    senders[usize::try_from(id.request.0).unwrap()].send(result).unwrap();
                }
            }
        })
        .unwrap();
    let value = vec![7; bytes];
    let start = Instant::now();
    std::thread::scope(|scope| {
        for (thread, done) in (0..threads).zip(receivers) {
            let (engine, value) = (&engine, &value);
            scope.spawn(move || {
                let log = log(thread % LOGS);
                let id = AppendId { request: RequestId(thread.into()), partition: log.partition };
                for _ in 0..appends {
                    if engine
                        .submit(WriteOp::Append { id, log, batch: batch(&[value]), expected_offset: None })
                        .unwrap()
                        == Submitted::First
                    {
                        engine.flusher().flush();
                    }
                    done.recv().unwrap().unwrap();
                }
            });
        }
    });
    let spent = start.elapsed().as_secs_f64();
    let counts = engine.stats().read();

    let start = Instant::now();
    let mut chunk = Chunk::default();
    let mut part = ReadPart { max_bytes: 1 << 20, max_records: u32::MAX, ..part(ORDERS, 0, u64::MAX) };
    let (mut read, mut waits) = (0, 0);
    loop {
        chunk.clear();
        let outcome = engine.reader().read(&part, ReadMode::NoWait, &mut chunk).unwrap_or_else(|_| {
            waits += 1;
            engine.reader().read(&part, ReadMode::Blocking, &mut chunk).unwrap()
        });
        read += outcome.bytes;
        part.from = outcome.next;
        if outcome.records == 0 {
            break;
        }
    }
    let read_speed = read as f64 / 1e6 / start.elapsed().as_secs_f64();
    assert!(part.from > Offset(0));
    drop(engine);

    let start = Instant::now();
    let (_, _, report) = Opening::open(config).unwrap().with_logs(&specs(LOGS)).unwrap();
    println!(
        "{durability:?}, {threads} threads, {bytes} bytes: {:.0} appends/s, {:.1} MB/s, {:.3} syncs/append, {:.1} \
         appends/group; read back at {read_speed:.0} MB/s ({waits} waits); recovered {} bytes in {:?}",
        f64::from(threads * appends) / spent,
        counts.record_bytes as f64 / 1e6 / spent,
        counts.syncs as f64 / counts.appends as f64,
        counts.appends as f64 / counts.groups as f64,
        report.verified_bytes,
        start.elapsed()
    );
}
