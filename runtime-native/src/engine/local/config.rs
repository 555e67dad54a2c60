//! What can be set.

use std::{fmt, path::PathBuf, time::Duration};

use takhin_core::{TopicConfig, TopicDurability};

/// When an append is reported as done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// When it survives the loss of power.
    #[default]
    Fsync,
    /// When it survives the death of the process; the loss of power costs at most about this span.
    Interval(Duration),
    /// When it survives the death of the process; the loss of power may cost whatever the system had not yet
    /// written by itself.
    Os,
}

impl Durability {
    /// What holds for the logs of a topic that is kept in this way, on a server that is set to this.
    pub(super) fn of_topic(self, config: Option<&TopicConfig>) -> Self {
        match config.map(|config| config.durability).unwrap_or_default() {
            TopicDurability::Server => self,
            TopicDurability::Fsync => Self::Fsync,
            TopicDurability::Os => Self::Os,
        }
    }
}

/// As it is set.
impl fmt::Display for Durability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fsync => f.write_str("fsync"),
            Self::Interval(span) => write!(f, "interval:{}", span.as_millis()),
            Self::Os => f.write_str("os"),
        }
    }
}

/// The settings of the local engine.
#[derive(Clone, Debug)]
pub struct LocalConfig {
    /// Where everything is kept. Made if it isn't there.
    pub data_dir: PathBuf,
    /// When an append is done, unless its topic says otherwise, and when facts are kept.
    pub durability: Durability,
    /// A segment with at least this size takes no more batches, whatever its topic is set to; at most 1 GiB.
    pub segment_bytes: u64,
    /// A journal file with at least this size takes no more frames; at most 1 GiB.
    pub journal_file_bytes: u64,
    /// After this much has been written, a checkpoint is wanted.
    pub checkpoint_bytes: u64,
    /// How much may wait to be written before appends are refused; at most 512 MiB. What is being written at the
    /// same time is no longer counted.
    pub queue_bytes: usize,
    /// How many files of segments are kept open at most.
    pub open_files: usize,
    /// How long it is between one look for old records and the next.
    pub cleanup_interval: Duration,
    /// How many keys compaction knows at a time, at some 40 bytes each; at least 1.
    pub compaction_keys: usize,
}

impl LocalConfig {
    /// The defaults, in this directory.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self {
            data_dir: data_dir.into(),
            durability: Durability::default(),
            segment_bytes: 1 << 30,
            journal_file_bytes: 64 << 20,
            checkpoint_bytes: 64 << 20,
            queue_bytes: 64 << 20,
            open_files: 4096,
            cleanup_interval: Duration::from_secs(10),
            compaction_keys: 1_000_000,
        }
    }

    /// The same with every bound kept.
    pub(super) fn bounded(mut self) -> Self {
        const GIB: u64 = 1 << 30;
        self.segment_bytes = self.segment_bytes.clamp(1, GIB);
        self.journal_file_bytes = self.journal_file_bytes.clamp(4096, GIB);
        self.compaction_keys = self.compaction_keys.max(1);
        self.queue_bytes = self.queue_bytes.clamp(1, 512 << 20);
        self
    }
}
