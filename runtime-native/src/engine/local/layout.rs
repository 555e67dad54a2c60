//! What files are called.

use std::path::{Path, PathBuf};

use takhin_core::{LogId, Offset, TopicId};

/// The longest name that file systems take.
const MAX_NAME_BYTES: usize = 255;

/// What the name of a log's directory ends with once it is being removed.
pub(super) const DELETED: &str = "-delete";
/// What the name of a log's directory ends with that belongs to no known topic.
pub(super) const STRAY: &str = "-stray";

/// A data directory.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    root: PathBuf,
}

impl Layout {
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root }
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    pub(super) fn manifest(&self) -> PathBuf {
        self.root.join("takhin.json")
    }

    pub(super) fn lock(&self) -> PathBuf {
        self.root.join("lock")
    }

    pub(super) fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }

    pub(super) fn journal(&self) -> PathBuf {
        self.root.join("journal")
    }

    pub(super) fn snapshots(&self) -> PathBuf {
        self.root.join("snapshots")
    }

    pub(super) fn log_dir(&self, topic: &str, partition: u32) -> PathBuf {
        self.logs().join(format!("{topic}-{partition}"))
    }

    /// Where a log's directory goes when it leaves its place: `<name>.<topic id><suffix>`, the name cut off
    /// where it would get too long.
    pub(super) fn aside(&self, directory_name: &str, topic: Option<TopicId>, suffix: &str) -> PathBuf {
        let topic = topic.map_or_else(|| "unknown".to_owned(), |topic| format!("{:016x}", topic.0));
        let partition = directory_name.rsplit('-').next().unwrap_or_default();
        let ending = format!(".{topic}-{partition}{suffix}");
        let kept = directory_name.len().min(MAX_NAME_BYTES.saturating_sub(ending.len()));
        // Names of topics are ASCII; anything else was not made here and loses its name.
        self.logs().join(format!("{}{ending}", directory_name.get(..kept).unwrap_or_default()))
    }
}

/// Which file of a segment, or of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum FileKind {
    Log,
    Index,
    TimeIndex,
}

impl FileKind {
    pub(super) const ALL: [Self; 3] = [Self::Log, Self::Index, Self::TimeIndex];

    pub(super) const fn extension(self) -> &'static str {
        match self {
            Self::Log => ".log",
            Self::Index => ".index",
            Self::TimeIndex => ".timeindex",
        }
    }
}

/// One file of one segment of one log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct FileKey {
    pub(super) log: LogId,
    pub(super) base: Offset,
    /// How often the segment of this base was replaced.
    pub(super) generation: u32,
    pub(super) kind: FileKind,
}

/// The file that says which topic a log's directory belongs to.
pub(super) fn metadata_file(log_dir: &Path) -> PathBuf {
    log_dir.join("partition.metadata")
}

pub(super) fn segment_file(log_dir: &Path, base: Offset, kind: FileKind) -> PathBuf {
    log_dir.join(segment_file_name(base, kind))
}

pub(super) fn segment_file_name(base: Offset, kind: FileKind) -> String {
    format!("{}{}", digits(base.0), kind.extension())
}

/// A number in a file's name: 20 digits, so that names sort as numbers do.
pub(super) fn digits(number: u64) -> String {
    format!("{number:020}")
}

/// The number in a file's name with this extension.
pub(super) fn number(name: &str, extension: &str) -> Option<u64> {
    let digits = name.strip_suffix(extension)?;
    (digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit())).then(|| digits.parse().ok())?
}
