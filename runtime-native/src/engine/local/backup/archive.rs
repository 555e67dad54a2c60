//! Writing an archive: a tar file, packed with zstd.
//!
//! | entry | what it is |
//! |---|---|
//! | `takhin-backup.json` | what is in it |
//! | `snapshots/<20 digits>.snap` | the state, and what logs know of producers |
//! | `logs/<topic>-<partition>/partition.metadata`, `log-start`, `<20 digits>.log` | each log, as in a data directory |
//! | `checksums.json` | the length and the checksum of all of them; it is the last |

use std::{
    collections::BTreeMap,
    io::{self, Read, Write},
    path::Path,
};

use serde::{Deserialize, Serialize};
use takhin_core::{LogId, Offset, TopicId};

use super::{CHECKSUMS, CONTENTS, FORMAT, Held, HeldLog, HeldState};
use crate::engine::local::{
    disk::{DiskFile, read_full},
    layout::{FileKind, digits},
    recover,
    snapshot::{self, Snapshot},
    trim,
};

/// What an archive has in it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Contents {
    pub(super) format: u32,
    pub(super) taken_at_ms: i64,
    pub(super) boot: u32,
    pub(super) logs: Vec<LogContents>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct LogContents {
    pub(super) name: String,
    pub(super) topic: TopicId,
    pub(super) partition: u32,
    pub(super) start: Offset,
    pub(super) end: Offset,
    pub(super) bytes: u64,
}

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Checksums {
    pub(super) files: BTreeMap<String, Checksum>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Checksum {
    pub(super) bytes: u64,
    pub(super) crc32c: u32,
}

/// What a backup has, or what was restored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// How many logs.
    pub logs: usize,
    /// How many bytes of records, as stored.
    pub bytes: u64,
    /// How many offsets from the logs' starts to their ends.
    pub offsets: u64,
}

/// Why an archive could not be written.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// What was to go into it could not be read.
    #[error("{path}: {error}")]
    Read {
        /// The file.
        path: String,
        /// What the file system says.
        error: io::Error,
    },
    /// It could not be written.
    #[error(transparent)]
    Write(#[from] io::Error),
}

/// How well to pack. Records are often packed already.
const LEVEL: i32 = 1;

impl Held {
    /// Keeps only the logs of these topics.
    pub fn retain(&mut self, mut wanted: impl FnMut(TopicId) -> bool) {
        self.logs.retain(|log| wanted(log.log.topic));
    }

    /// Writes all that is held into an archive.
    ///
    /// # Errors
    /// See [`ArchiveError`]; what was written then is no whole archive, and is known to be none.
    pub fn write_archive(&self, state: HeldState, to: impl Write) -> Result<Sum, ArchiveError> {
        let mut packed = zstd::stream::write::Encoder::new(to, LEVEL)?;
        packed.include_checksum(true)?;
        let mut writer = ArchiveWriter { tar: tar::Builder::new(packed), checksums: Checksums::default(), seconds: 0 };
        writer.seconds = u64::try_from(state.taken_at_ms / 1000).unwrap_or_default();
        let contents = Contents {
            format: FORMAT,
            taken_at_ms: state.taken_at_ms,
            boot: state.boot,
            logs: self.logs.iter().map(HeldLog::contents).collect(),
        };
        let mut sum = Sum { logs: contents.logs.len(), ..Sum::default() };
        for log in &contents.logs {
            sum.bytes += log.bytes;
            sum.offsets += log.end.0 - log.start.0;
        }
        writer.json(CONTENTS, &contents)?;
        writer.small(&format!("snapshots/{}.snap", digits(1)), &self.snapshot(state)?)?;
        for log in &self.logs {
            self.write_log(log, &mut writer)?;
        }
        let checksums = std::mem::take(&mut writer.checksums);
        writer.json(CHECKSUMS, &checksums)?;
        writer.tar.into_inner()?.finish()?.flush()?;
        Ok(sum)
    }

    fn snapshot(&self, state: HeldState) -> io::Result<Vec<u8>> {
        let with_producers = self.logs.iter().filter(|log| !log.producers.is_empty());
        snapshot::encode(&Snapshot {
            number: 1,
            through: state.through,
            journal_from: 1,
            bounds: self.logs.iter().map(|log| (log.log, log.end)).collect(),
            producers: with_producers.map(|log| (log.log, log.producers.clone())).collect(),
            state: state.state,
        })
    }

    fn write_log<W: Write>(&self, log: &HeldLog, writer: &mut ArchiveWriter<W>) -> Result<(), ArchiveError> {
        let directory = format!("logs/{}", log.name);
        writer.small(&format!("{directory}/partition.metadata"), recover::owner_text(log.log.topic).as_bytes())?;
        if log.start() > Offset(0) {
            writer.small(&format!("{directory}/log-start"), trim::start_text(log.start()).as_bytes())?;
        }
        for segment in &log.segments {
            let path = format!("{directory}/{}{}", digits(segment.base.0), FileKind::Log.extension());
            let unreadable = |error| ArchiveError::Read { path: path.clone(), error };
            let file = self.disk.open(&segment.link, false).map_err(unreadable)?;
            let mut source = Source { file: &*file, position: 0, end: segment.bytes, crc32c: 0, failed: None };
            let written = writer.append(&path, segment.bytes, &mut source);
            if let Some(error) = source.failed {
                return Err(unreadable(error));
            }
            written?;
            let checksum = Checksum { bytes: segment.bytes, crc32c: source.crc32c };
            writer.checksums.files.insert(path, checksum);
        }
        Ok(())
    }
}

impl HeldLog {
    fn contents(&self) -> LogContents {
        let LogId { topic, partition } = self.log;
        let bytes = self.segments.iter().map(|segment| segment.bytes).sum();
        LogContents { name: self.name.clone(), topic, partition, start: self.start(), end: self.end, bytes }
    }
}

struct ArchiveWriter<W: Write> {
    tar: tar::Builder<zstd::stream::write::Encoder<'static, W>>,
    checksums: Checksums,
    /// When its files are of.
    seconds: u64,
}

impl<W: Write> ArchiveWriter<W> {
    fn json(&mut self, path: &str, value: &impl Serialize) -> io::Result<()> {
        self.small(path, &serde_json::to_vec_pretty(value)?)
    }

    fn small(&mut self, path: &str, bytes: &[u8]) -> io::Result<()> {
        self.append(path, bytes.len() as u64, bytes)?;
        let checksum = Checksum { bytes: bytes.len() as u64, crc32c: crc32c::crc32c(bytes) };
        self.checksums.files.insert(path.to_owned(), checksum);
        Ok(())
    }

    fn append(&mut self, path: &str, bytes: u64, from: impl Read) -> io::Result<()> {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes);
        header.set_mode(0o644);
        header.set_mtime(self.seconds);
        self.tar.append_data(&mut header, Path::new(path), from)
    }
}

/// The part of a file that is held.
struct Source<'a> {
    file: &'a dyn DiskFile,
    position: u64,
    end: u64,
    crc32c: u32,
    failed: Option<io::Error>,
}

impl Read for Source<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end - self.position).unwrap_or(usize::MAX);
        let wanted = out.len().min(left);
        let read = read_full(self.file, &mut out[..wanted], self.position);
        let read =
            read.and_then(|read| if read == wanted { Ok(read) } else { Err(io::ErrorKind::UnexpectedEof.into()) });
        match read {
            Ok(read) => {
                self.crc32c = crc32c::crc32c_append(self.crc32c, &out[..read]);
                self.position += read as u64;
                Ok(read)
            }
            Err(error) => {
                let kind = error.kind();
                self.failed = Some(error);
                Err(kind.into())
            }
        }
    }
}
