//! An engine, what it has reported, and the shortest way to ask it for things.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex},
};

use takhin_core::{AppendId, FactSeq, LogId, Offset, RequestId, TopicConfig, TopicId, TopicName};

use crate::{
    engine::{
        AppendedAt, Chunk, Completion, ReadError, ReadMode, ReadOutcome, ReadPart, StorageError, Submitted, WriteOp,
        local::{
            LocalConfig, LocalEngine, LogBounds, LogSpec, OpenError, Opening, RecoveryReport,
            disk::{Disk, RealDisk},
        },
    },
    record::{BatchBuilder, EncodedBatch},
};

pub(super) const ORDERS: LogId = log(0);

pub(super) const fn log(partition: u32) -> LogId {
    LogId { topic: TopicId(1), partition }
}

/// A path that means the same on every disk.
pub(super) fn config(data_dir: impl Into<PathBuf>) -> LocalConfig {
    LocalConfig { journal_file_bytes: 64 << 10, checkpoint_bytes: u64::MAX, ..LocalConfig::new(data_dir) }
}

pub(super) fn name() -> TopicName {
    TopicName::new("orders").unwrap()
}

pub(super) fn specs(partitions: u32) -> Vec<LogSpec> {
    (0..partitions)
        .map(|partition| LogSpec { log: log(partition), name: name(), config: TopicConfig::default() })
        .collect()
}

pub(super) fn batch(values: &[&[u8]]) -> EncodedBatch {
    let mut builder = BatchBuilder::default();
    for value in values {
        builder.push(i64::try_from(value.len()).unwrap(), None, Some(value), std::iter::empty()).unwrap();
    }
    builder.finish().unwrap()
}

/// Offsets and values.
pub(super) type Values = Vec<(u64, Vec<u8>)>;

#[derive(Default)]
struct Reported {
    completions: Mutex<Vec<Completion>>,
    more: Condvar,
}

pub(super) struct Running {
    pub(super) engine: LocalEngine,
    pub(super) bounds: Vec<LogBounds>,
    pub(super) report: RecoveryReport,
    pub(super) snapshot: Option<Vec<u8>>,
    pub(super) facts: Vec<(FactSeq, Vec<u8>)>,
    reported: Arc<Reported>,
    next: Mutex<u64>,
}

pub(super) fn open(dir: &Path, partitions: u32) -> Running {
    open_on(Arc::new(RealDisk), config(dir), partitions).unwrap()
}

pub(super) fn open_on(disk: Arc<dyn Disk>, config: LocalConfig, partitions: u32) -> Result<Running, OpenError> {
    let opening = Opening::open_on(disk, config)?;
    let (snapshot, facts) = (opening.snapshot().map(<[u8]>::to_vec), opening.facts().to_vec());
    let (mut engine, bounds, report) = opening.with_logs(&specs(partitions))?;
    let reported = Arc::new(Reported::default());
    let sink = Arc::clone(&reported);
    engine
        .start(move |batch: &mut Vec<Completion>| {
            sink.completions.lock().unwrap().append(batch);
            sink.more.notify_all();
        })
        .unwrap();
    Ok(Running { engine, bounds, report, snapshot, facts, reported, next: Mutex::new(0) })
}

impl Running {
    /// Submits, and has it written.
    pub(super) fn submit(&self, op: WriteOp) {
        if self.engine.submit(op).unwrap() == Submitted::First {
            self.engine.flusher().flush();
        }
    }

    pub(super) fn submit_append(&self, log: LogId, batch: EncodedBatch) -> AppendId {
        let mut next = self.next.lock().unwrap();
        *next += 1;
        let id = AppendId { request: RequestId(*next), partition: log.partition };
        drop(next);
        self.submit(WriteOp::Append { id, log, batch, expected_offset: None });
        id
    }

    pub(super) fn wait<T>(&self, mut look: impl FnMut(&Completion) -> Option<T>) -> T {
        let mut completions = self.reported.completions.lock().unwrap();
        loop {
            if let Some(found) = completions.iter().find_map(&mut look) {
                return found;
            }
            completions = self.reported.more.wait(completions).unwrap();
        }
    }

    pub(super) fn completions(&self) -> Vec<Completion> {
        self.reported.completions.lock().unwrap().clone()
    }

    pub(super) fn wait_append(&self, wanted: AppendId) -> Result<AppendedAt, StorageError> {
        self.wait(|completion| match completion {
            Completion::Appended { id, result, .. } if *id == wanted => Some(result.clone()),
            _ => None,
        })
    }

    pub(super) fn append(&self, log: LogId, values: &[&[u8]]) -> Result<AppendedAt, StorageError> {
        self.wait_append(self.submit_append(log, batch(values)))
    }

    pub(super) fn submit_fact(&self, seq: u64) {
        let facts = vec![(FactSeq(seq), format!("fact {seq}").into_bytes())];
        self.submit(WriteOp::Persist { through: FactSeq(seq), facts });
    }

    pub(super) fn wait_fact(&self, seq: u64) {
        self.wait(|completion| match completion {
            Completion::Persisted { through } if through.0 >= seq => Some(()),
            _ => None,
        });
    }

    pub(super) fn persist(&self, seq: u64) {
        self.submit_fact(seq);
        self.wait_fact(seq);
    }

    pub(super) fn checkpoint(&self, through: u64, snapshot: &[u8]) -> Result<(), StorageError> {
        let op = WriteOp::Checkpoint { through: FactSeq(through), snapshot: snapshot.to_vec() };
        self.submit(op);
        let result = self.wait(|completion| match completion {
            Completion::CheckpointDone { through: done, result } if done.0 == through => Some(result.clone()),
            _ => None,
        });
        // A second one with the same end must not be taken for this one.
        let done = |completion: &Completion| !matches!(completion, Completion::CheckpointDone { .. });
        self.reported.completions.lock().unwrap().retain(done);
        result
    }

    pub(super) fn delete(&self, partitions: u32) -> Result<(), StorageError> {
        self.submit(WriteOp::DeleteLogs { topic: ORDERS.topic, name: name(), partitions });
        self.wait(|completion| match completion {
            Completion::LogsDeleted { result, .. } => Some(result.clone()),
            _ => None,
        })
    }

    pub(super) fn end(&self, log: LogId) -> Offset {
        self.bounds.iter().find(|bounds| bounds.log == log).unwrap().end
    }

    pub(super) fn read(&self, part: &ReadPart) -> Result<(Values, ReadOutcome), ReadError> {
        let mut chunk = Chunk::default();
        let outcome = self.engine.reader().read(part, ReadMode::Blocking, &mut chunk)?;
        let values = chunk.records(&outcome).map(|record| (record.offset.0, record.value.unwrap().to_vec())).collect();
        Ok((values, outcome))
    }

    /// All records from `from` to `to`, by as many reads as it takes.
    pub(super) fn read_all(&self, log: LogId, from: u64, to: u64) -> Values {
        let mut all = Vec::new();
        let mut part = part(log, from, to);
        while part.from < part.to {
            let (values, outcome) = self.read(&part).unwrap();
            assert!(!values.is_empty(), "a hole at {}", part.from.0);
            all.extend(values);
            part.from = outcome.next;
        }
        all
    }

    pub(super) fn fact_numbers(&self) -> Vec<u64> {
        self.facts.iter().map(|(seq, _)| seq.0).collect()
    }
}

pub(super) fn part(log: LogId, from: u64, to: u64) -> ReadPart {
    ReadPart { log, from: Offset(from), to: Offset(to), max_bytes: 1 << 20, max_records: 1000 }
}
