//! Settings of what is on disk.

use std::{path::PathBuf, str::FromStr, time::Duration};

use clap::{Args, builder::RangedU64ValueParser};
use takhin::engine::local::{Durability, LocalConfig};

const GIB: u64 = 1 << 30;

#[derive(Debug, Args)]
#[command(next_help_heading = "Storage")]
pub(in crate::cli) struct Storage {
    /// Directory in which everything is kept; made if it isn't there
    #[arg(long, env = "TAKHIN_DATA_DIR", default_value = "takhin-data", value_name = "DIR")]
    pub(in crate::cli) data_dir: PathBuf,

    /// When a write is answered: once it is synced to disk (fsync), once it is written, with a sync every so many
    /// milliseconds (interval:MS), or once it is written, with syncs left to the system (os)
    #[arg(long, env = "TAKHIN_DURABILITY", default_value = "fsync", value_name = "fsync|interval:MS|os")]
    durability: DurabilityArgument,

    /// How many milliseconds lie between one look for records to be removed and the next
    #[arg(
        long,
        env = "TAKHIN_CLEANUP_INTERVAL_MS",
        default_value_t = 10_000,
        value_name = "MS",
        value_parser = clap::value_parser!(u64).range(10..=3_600_000)
    )]
    cleanup_interval_ms: u64,

    /// A segment of this size takes no more batches, whatever its topic is set to
    #[arg(
        long,
        env = "TAKHIN_SEGMENT_BYTES",
        default_value_t = GIB,
        value_name = "BYTES",
        value_parser = clap::value_parser!(u64).range(16_384..=GIB)
    )]
    segment_bytes: u64,

    /// A file of the journal of this size takes no more frames
    #[arg(
        long,
        env = "TAKHIN_JOURNAL_FILE_BYTES",
        default_value_t = 64 << 20,
        value_name = "BYTES",
        value_parser = clap::value_parser!(u64).range(4_096..=GIB)
    )]
    journal_file_bytes: u64,

    /// After this much was written a snapshot of the broker's state is made; a start reads what was written since
    #[arg(
        long,
        env = "TAKHIN_CHECKPOINT_BYTES",
        default_value_t = 64 << 20,
        value_name = "BYTES",
        value_parser = clap::value_parser!(u64).range(4_096..=(64 * GIB))
    )]
    checkpoint_bytes: u64,

    /// How much may wait to be written; what would be more is refused with 503 `storage_unavailable`
    #[arg(
        long,
        env = "TAKHIN_WRITE_QUEUE_BYTES",
        default_value_t = 64 << 20,
        value_name = "BYTES",
        value_parser = RangedU64ValueParser::<usize>::new().range(65_536..=512 << 20)
    )]
    write_queue_bytes: usize,

    /// How many files of segments are kept open at most; also no more than a quarter of the files that the system grants
    #[arg(
        long,
        env = "TAKHIN_OPEN_SEGMENTS",
        default_value_t = 4_096,
        value_name = "N",
        value_parser = RangedU64ValueParser::<usize>::new().range(16..=1_000_000)
    )]
    open_segments: usize,

    /// How many keys compaction knows at a time, at some 40 bytes each
    #[arg(
        long,
        env = "TAKHIN_COMPACTION_KEYS",
        default_value_t = 1_000_000,
        value_name = "N",
        value_parser = RangedU64ValueParser::<usize>::new().range(1..=1_000_000_000)
    )]
    compaction_keys: usize,
}

#[derive(Clone, Copy, Debug)]
struct DurabilityArgument(Durability);

impl FromStr for DurabilityArgument {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let durability = match text.split_once(':') {
            None if text == "fsync" => Durability::Fsync,
            None if text == "os" => Durability::Os,
            Some(("interval", ms)) => match ms.parse() {
                Ok(ms @ 1..=3_600_000) => Durability::Interval(Duration::from_millis(ms)),
                _ => return Err("interval is from 1 to 3600000 milliseconds".to_owned()),
            },
            _ => return Err("expected fsync, interval:MS or os".to_owned()),
        };
        Ok(Self(durability))
    }
}

impl Storage {
    /// When a write is answered, as it is set.
    pub(in crate::cli) fn durability(&self) -> String {
        self.durability.0.to_string()
    }

    /// The settings of the engine, for a process that may have so many files open.
    pub(in crate::cli) fn config(&self, files: u64) -> LocalConfig {
        LocalConfig {
            data_dir: self.data_dir.clone(),
            durability: self.durability.0,
            segment_bytes: self.segment_bytes,
            journal_file_bytes: self.journal_file_bytes,
            checkpoint_bytes: self.checkpoint_bytes,
            queue_bytes: self.write_queue_bytes,
            open_files: self.open_segments.min(usize::try_from(files / 4).unwrap_or(usize::MAX)),
            cleanup_interval: Duration::from_millis(self.cleanup_interval_ms),
            compaction_keys: self.compaction_keys,
        }
    }
}
