//! The embedded engine as the driver sees it.

use std::{io, sync::Arc};

use prometheus_client::registry::Registry;
use takhin_core::{LogId, Offset};

use super::{DiskRoom, EngineStats, Flusher, LocalEngine, Reader};
use crate::engine::{
    Chunk, Completions, Engine, EngineParts, Figures, ReadError, ReadLogs, ReadMode, ReadOutcome, ReadPart,
    StorageError, SubmitError, Submitted, WriteOp, WriteSoon,
};

impl LocalEngine {
    /// The engine, in its parts. `disk` is where its data directory lies.
    pub fn into_parts(self, disk: DiskRoom) -> EngineParts {
        let (writing, reader) = (Arc::new(self.flusher()), Arc::new(self.reader()));
        let figures = Box::new(LocalFigures { stats: Arc::clone(self.stats()), disk });
        EngineParts { engine: Box::new(self), writing, reader, figures }
    }
}

impl Engine for LocalEngine {
    fn start(&mut self, sink: Box<dyn Completions>) -> io::Result<()> {
        self.start_writing(sink)
    }

    fn submit(&self, op: WriteOp) -> Result<Submitted, SubmitError> {
        Self::submit(self, op)
    }

    fn stop(self: Box<Self>) -> Result<(), StorageError> {
        Self::stop(*self)
    }
}

impl WriteSoon for Flusher {
    fn write(&self) {
        self.flush();
    }
}

impl ReadLogs for Reader {
    fn read(&self, part: &ReadPart, mode: ReadMode, out: &mut Chunk) -> Result<ReadOutcome, ReadError> {
        Self::read(self, part, mode, out)
    }

    fn read_stored(&self, part: &ReadPart, mode: ReadMode, out: &mut Chunk) -> Result<ReadOutcome, ReadError> {
        Self::read_stored(self, part, mode, out)
    }

    fn lookup_time(&self, log: LogId, timestamp_ms: i64, to: Offset) -> Result<Option<(Offset, i64)>, ReadError> {
        Self::lookup_time(self, log, timestamp_ms, to)
    }
}

struct LocalFigures {
    stats: Arc<EngineStats>,
    disk: DiskRoom,
}

impl Figures for LocalFigures {
    fn register(&self, registry: &mut Registry) {
        self.stats.register(registry);
        registry.register_collector(Box::new(self.disk.clone()));
    }
}
