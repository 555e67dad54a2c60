//! The data directory that is moved: opened as a server would open it, and only read.

use std::{collections::BTreeMap, path::Path};

use takhin_core::{Config, LogId, Offset, TopicId, durable::Durable, response::Bounds};

use super::error::MigrateError;
use crate::{
    driver::Stored,
    engine::{
        Chunk, ReadError, ReadMode, ReadOutcome, ReadPart,
        local::{LocalConfig, LocalEngine, Reader},
    },
};

/// How much is read at once.
const READ_BYTES: usize = 4 << 20;

/// A data directory that nobody else has. Nothing in it is written, removed or cleaned up.
#[derive(Debug)]
pub(super) struct Source {
    /// Topics and groups.
    pub(super) state: Durable,
    /// Where logs begin and end.
    bounds: BTreeMap<LogId, Bounds>,
    reader: Reader,
    /// What was out of order, in words.
    pub(super) notes: Vec<String>,
    // Holds the directory's lock, and is never started.
    _engine: LocalEngine,
}

/// What a read has come upon.
pub(super) enum Found {
    /// Records, in the chunk.
    Records(ReadOutcome),
    /// Nothing up to here.
    Nothing { next: u64 },
    /// Damage, up to here.
    Damage { next: u64, why: String },
}

impl Source {
    pub(super) fn open(data_dir: &Path) -> Result<Self, MigrateError> {
        if !data_dir.join("takhin.json").exists() {
            return Err(MigrateError::conflict(format!("{} is no data directory", data_dir.display())));
        }
        let Stored { recovery, engine, bounds, report, .. } =
            Stored::open(Config::default(), LocalConfig::new(data_dir))?;
        let notes = report.notes.iter().map(ToString::to_string).collect();
        Ok(Self { state: recovery.durable(), bounds, reader: engine.reader(), notes, _engine: engine })
    }

    /// Where a partition begins and ends.
    pub(super) fn bounds(&self, topic: TopicId, partition: u32) -> Bounds {
        let empty = Bounds { start: Offset(0), end: Offset(0) };
        self.bounds.get(&LogId { topic, partition }).copied().unwrap_or(empty)
    }

    /// Reads on from `from`, which is before the log's end.
    pub(super) fn read(&self, log: LogId, from: u64, out: &mut Chunk) -> Result<Found, ReadError> {
        let to = self.bounds(log.topic, log.partition).end;
        let part = ReadPart { log, from: Offset(from), to, max_bytes: READ_BYTES, max_records: u32::MAX };
        out.clear();
        match self.reader.read(&part, ReadMode::Blocking, out) {
            Ok(outcome) if outcome.records > 0 => Ok(Found::Records(outcome)),
            Ok(outcome) if outcome.next.0 > from => Ok(Found::Nothing { next: outcome.next.0 }),
            Ok(_) => Err(ReadError::Failed(format!("nothing is given from offset {from} on"))),
            Err(ReadError::BeforeStart { start }) => Ok(Found::Nothing { next: start.0.min(to.0) }),
            Err(error @ ReadError::Corrupt { next_offset, .. }) => {
                Ok(Found::Damage { next: next_offset.map_or(to.0, |next| next.0.min(to.0)), why: error.to_string() })
            }
            Err(error) => Err(error),
        }
    }
}
