//! What the writing thread does besides writing records and facts: making and deleting logs, and checkpoints.

use std::{
    ops::Range,
    sync::{Arc, PoisonError, mpsc::Sender},
};

use takhin_core::{FactSeq, LogId, TopicId, TopicName};

use super::{
    checkpoint::{CheckpointEnd, CheckpointError, Job},
    layout::DELETED,
    recover,
    snapshot::Snapshot,
    writer::{Writer, storage_error},
};
use crate::engine::{Completion, StorageError};

impl Writer {
    pub(super) fn create_logs(
        &mut self,
        topic: TopicId,
        name: &TopicName,
        partitions: Range<u32>,
    ) -> Result<(), StorageError> {
        if let Some(why) = self.failure() {
            return Err(StorageError::Failed(why));
        }
        for partition in partitions {
            let id = LogId { topic, partition };
            if self.tails.contains_key(&id) {
                continue;
            }
            let tail = recover::create_log(&self.shared.files, &self.layout, id, name)
                .map_err(|error| storage_error(&error))?;
            self.dirty.new_log(&tail.log);
            self.dirty.segment(&tail.log, &tail.active);
            let mut logs = self.shared.logs.write().unwrap_or_else(PoisonError::into_inner);
            logs.insert(id, Arc::clone(&tail.log));
            self.tails.insert(id, tail);
        }
        Ok(())
    }

    pub(super) fn delete_logs(&mut self, topic: TopicId, name: &TopicName, partitions: u32, background: &Sender<Job>) {
        let mut result = Ok(());
        let mut directories = Vec::new();
        for partition in 0..partitions {
            let id = LogId { topic, partition };
            let Some(tail) = self.tails.remove(&id) else { continue };
            tail.log.mark_deleted();
            self.shared.logs.write().unwrap_or_else(PoisonError::into_inner).remove(&id);
            self.shared.files.close_log(id);
            self.dirty.forget(id);
            let aside = self.layout.aside(&format!("{name}-{partition}"), Some(topic), DELETED);
            match self.shared.files.disk().rename(&tail.log.directory, &aside) {
                Ok(()) => directories.push(aside),
                Err(error) => result = Err(storage_error(&error)),
            }
        }
        send(background, Job::RemoveDirectories(directories));
        self.done.push(Completion::LogsDeleted { topic, result });
    }

    pub(super) fn begin_checkpoint(&mut self, through: FactSeq, state: Vec<u8>, background: &Sender<Job>) {
        let refused = match self.failure() {
            Some(why) => Some(why),
            None if self.snapshots.running => Some("a checkpoint is under way".to_owned()),
            None => None,
        };
        if let Some(why) = refused {
            let result = Err(StorageError::Failed(why));
            return self.done.push(Completion::CheckpointDone { through, result });
        }
        let snapshot = Snapshot {
            number: self.snapshots.next,
            through,
            journal_from: self.journal.needed_from(through),
            bounds: self.tails.values().map(|tail| (tail.log.id, tail.end)).collect(),
            state,
        };
        self.snapshots.next += 1;
        self.snapshots.written = 0;
        self.snapshots.running = true;
        send(background, Job::Checkpoint { dirty: std::mem::take(&mut self.dirty), snapshot });
    }

    pub(super) fn checkpoint_ended(&mut self, ended: CheckpointEnd, background: &Sender<Job>) {
        (self.snapshots.running, self.snapshots.asked) = (false, false);
        let result = match ended.result {
            Ok(()) => {
                // What the snapshot before this one needs is kept, in case this one is found damaged.
                let unneeded = self.journal.forget_before(self.snapshots.journal_from);
                self.snapshots.journal_from = ended.journal_from;
                send(background, Job::RemoveFiles(unneeded));
                self.stats.checkpoints.add(1);
                Ok(())
            }
            Err(CheckpointError::Snapshot(error)) => {
                self.dirty.merge(ended.dirty);
                Err(storage_error(&error))
            }
            Err(CheckpointError::Segments(error)) => {
                self.fail(format!("segments could not be synced: {error}"));
                Err(StorageError::Failed(error.to_string()))
            }
        };
        self.done.push(Completion::CheckpointDone { through: ended.through, result });
    }
}

/// The background thread outlives the writer, so it takes every job.
fn send(background: &Sender<Job>, job: Job) {
    if background.send(job).is_err() {
        tracing::error!("the background thread has ended early");
    }
}
