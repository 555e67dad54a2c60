//! The limit of the disk: how long it takes to append and sync.

use std::{
    fs::File,
    io::Write,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use clap::Args;

use crate::{Failure, figures::Latencies};

/// Appends of one size at most.
const MOST: u64 = 2_000;

#[derive(Clone, Debug, Args)]
pub(crate) struct Disk {
    /// Directory in which to write
    #[arg(long, default_value = ".")]
    pub(crate) directory: PathBuf,
    /// How long to measure each size at most
    #[arg(long, default_value_t = 2)]
    pub(crate) seconds: u64,
}

impl Disk {
    pub(crate) fn run(self) -> Result<(), Failure> {
        for bytes in [1 << 10, 100 << 10] {
            let latencies = sync_latencies(&self.directory, bytes, Duration::from_secs(self.seconds))?;
            println!("fdatasync of {} KiB: {latencies}", bytes >> 10);
        }
        Ok(())
    }
}

/// Appends `bytes` and syncs them, again and again.
pub(crate) fn sync_latencies(directory: &Path, bytes: usize, longest: Duration) -> Result<Latencies, Failure> {
    let directory = tempfile::tempdir_in(directory)?;
    let mut file = File::create(directory.path().join("appended"))?;
    let data = vec![b'x'; bytes];
    let mut latencies = Latencies::new();
    let began = Instant::now();
    while latencies.count() < MOST && began.elapsed() < longest {
        let sync_began = Instant::now();
        file.write_all(&data)?;
        file.sync_data()?;
        latencies.note(sync_began.elapsed());
    }
    Ok(latencies)
}
