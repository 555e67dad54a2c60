//! How fast it is on this machine: run with `--ignored --nocapture` and `--release`.

use std::time::Instant;

use tempfile::tempdir;

use super::harness::*;
use crate::engine::local::{Durability, LocalConfig, disk::RealDisk};

#[test]
#[ignore = "a measurement"]
fn throughput() {
    for durability in [
        Durability::Fsync,
        Durability::Interval(std::time::Duration::from_millis(10)),
        Durability::Os,
    ] {
        for (threads, appends, bytes) in [(1u32, 2000u32, 1000usize), (64, 500, 1000), (16, 100, 100_000)] {
            let dir = tempdir().unwrap();
            let config = LocalConfig {
                durability,
                ..LocalConfig::new(dir.path())
            };
            let running = open_on(std::sync::Arc::new(RealDisk), config.clone(), 16).unwrap();
            let value = vec![7; bytes];
            let start = Instant::now();
            std::thread::scope(|scope| {
                for thread in 0..threads {
                    let (running, value) = (&running, &value);
                    scope.spawn(move || {
                        for _ in 0..appends {
                            running.append(log(thread % 16), &[value]).unwrap();
                        }
                    });
                }
            });
            let spent = start.elapsed().as_secs_f64();
            let counts = running.engine.stats().read();
            drop(running);
            let start = Instant::now();
            let again = open_on(std::sync::Arc::new(RealDisk), config, 16).unwrap();
            println!(
                "{durability:?}, {threads} threads, {bytes} bytes: {:.0} appends/s, {:.1} MB/s, {:.3} syncs/append, \
                 largest group {}; recovered {} bytes in {:?}",
                f64::from(threads * appends) / spent,
                counts.record_bytes as f64 / 1e6 / spent,
                counts.syncs as f64 / counts.appends as f64,
                counts.largest_group,
                again.report.verified_bytes,
                start.elapsed()
            );
        }
    }
}
