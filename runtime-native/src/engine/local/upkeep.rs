//! What the writing thread does besides writing records and facts: making and deleting logs, checkpoints, and looking
//! whether the disk has room and the directory is there.

use std::{
    collections::VecDeque,
    io,
    ops::Range,
    path::PathBuf,
    sync::{Arc, PoisonError, mpsc::Sender},
    time::{Duration, Instant},
};

use takhin_core::{FactSeq, LogId, TopicConfig, TopicId, TopicName};

use super::{
    checkpoint::{CheckpointEnd, CheckpointError, Job},
    layout::DELETED,
    probe,
    queue::Wish,
    recover,
    snapshot::Snapshot,
    writer::{Writer, storage_error},
};
use crate::engine::{Completion, StorageError, StorageState};

/// How long the making of logs may hold up what else waits to be written.
const SLICE: Duration = Duration::from_millis(2);

/// How often to look whether the directory is still there.
const LOOK: Duration = Duration::from_secs(1);

/// Logs that are being made, a few between one group of writes and the next.
#[derive(Debug)]
pub(super) struct Creation {
    pub(super) topic: TopicId,
    pub(super) name: TopicName,
    pub(super) partitions: Range<u32>,
    /// The next partition to make.
    pub(super) next: u32,
}

/// A deleted log whose directory still has a log's name, since it could not be given another.
#[derive(Debug)]
pub(super) struct Undeleted {
    topic: TopicId,
    directory: PathBuf,
    aside: PathBuf,
}

impl Writer {
    /// A full disk may have room again without anybody trying.
    pub(super) fn look_for_room(&mut self) {
        if self.state == StorageState::Full
            && self.facts.waiting.is_empty()
            && probe::has_room(self.shared.files.disk(), &self.layout).is_ok()
        {
            self.set_state(StorageState::Ok);
        }
    }

    /// What is written to files that have lost their names is lost with the process.
    pub(super) fn look_for_directory(&mut self) {
        let now = Instant::now();
        if now < self.next_look || self.has_failed() {
            return;
        }
        self.next_look = now + LOOK;
        let lost = self.anchors.lost(self.shared.files.disk());
        if let Some(why) = lost.map(|path| format!("{} was removed or replaced while in use", path.display())) {
            self.fail(why);
        }
    }

    /// Goes on making logs for a while.
    pub(super) fn create_logs(&mut self) {
        let began = Instant::now();
        while let Some(mut creation) = self.creations.pop_front() {
            let mut result = Ok(());
            while result.is_ok() && creation.next < creation.partitions.end {
                if began.elapsed() >= SLICE {
                    return self.creations.push_front(creation);
                }
                result = self.create_log(&creation);
                creation.next += 1;
            }
            let Creation { topic, partitions, .. } = creation;
            self.done.push(Completion::LogsCreated { topic, partitions, result });
        }
    }

    fn create_log(&mut self, creation: &Creation) -> Result<(), StorageError> {
        if let Some(why) = self.failure() {
            return Err(StorageError::Failed(why));
        }
        let id = LogId { topic: creation.topic, partition: creation.next };
        if self.tails.contains_key(&id) {
            return Ok(());
        }
        let made = recover::create_log(&self.shared.files, &self.layout, id, &creation.name);
        let tail = made.map_err(|error| storage_error(&error))?;
        tail.log.configure(self.configs.get(&id.topic).copied().unwrap_or_default());
        self.dirty.new_log(&tail.log);
        self.dirty.segment(&tail.log, &tail.active);
        let mut logs = self.shared.logs.write().unwrap_or_else(PoisonError::into_inner);
        logs.insert(id, Arc::clone(&tail.log));
        self.tails.insert(id, tail);
        Ok(())
    }

    /// Keeps a topic's logs in this way from now on.
    pub(super) fn configure_logs(&mut self, topic: TopicId, config: TopicConfig) {
        self.configs.insert(topic, config);
        for tail in self.tails.values().filter(|tail| tail.log.id.topic == topic) {
            tail.log.configure(config);
        }
    }

    /// Does what the background thread asks for.
    pub(super) fn grant(&mut self, wish: Wish) {
        match wish {
            Wish::Roll { log, base } => {
                let failed = self.has_failed();
                let tail = self.tails.get_mut(&log).filter(|tail| tail.active.base == base && tail.size > 0 && !failed);
                let Some(tail) = tail else { return };
                let end = tail.end;
                if let Err(error) = tail.roll(&self.shared.files, &mut self.dirty, end) {
                    tracing::warn!(?log, %error, "no new segment");
                }
            }
            Wish::TellStart { log, start } => {
                if let Some(tail) = self.tails.get(&log) {
                    self.done.push(Completion::LogTrimmed { log, start, end: tail.end });
                }
            }
            Wish::Checkpoint => {
                if !self.snapshots.asked && !self.snapshots.running && !self.has_failed() {
                    self.snapshots.asked = true;
                    self.done.push(Completion::CheckpointWanted);
                }
            }
        }
    }

    pub(super) fn delete_logs(&mut self, topic: TopicId, name: &TopicName, partitions: u32, background: &Sender<Job>) {
        let (ended, going_on): (VecDeque<_>, VecDeque<_>) =
            std::mem::take(&mut self.creations).into_iter().partition(|it| it.topic == topic);
        self.creations = going_on;
        self.done.extend(ended.into_iter().map(|Creation { partitions, .. }| {
            let result = Err(StorageError::NoSuchLog);
            Completion::LogsCreated { topic, partitions, result }
        }));
        self.configs.remove(&topic);
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
                Err(error) => {
                    self.undeleted.push(Undeleted { topic, directory: tail.log.directory.clone(), aside });
                    result = Err(storage_error(&error));
                }
            }
        }
        send(background, Job::RemoveDirectories(directories));
        self.done.push(Completion::LogsDeleted { topic, result });
    }

    /// Gives the directories of deleted logs the names that they could not be given before.
    fn finish_deletions(&mut self, background: &Sender<Job>) -> io::Result<()> {
        let disk = self.shared.files.disk();
        let mut directories = Vec::new();
        let mut result = Ok(());
        self.undeleted.retain(|Undeleted { topic, directory, aside }| {
            let renamed = recover::read_owner(disk, directory).and_then(|owner| match owner {
                Some(Some(owner)) if owner == *topic => disk.rename(directory, aside).map(|()| true),
                // By now a newer topic of the same name has the directory.
                _ => Ok(false),
            });
            match renamed {
                Ok(true) => directories.push(aside.clone()),
                Ok(false) => {}
                Err(error) => {
                    result = Err(error);
                    return true;
                }
            }
            false
        });
        if !directories.is_empty() {
            send(background, Job::RemoveDirectories(directories));
        }
        result
    }

    /// Begins a checkpoint, unless a deletion isn't finished: the snapshot may be the end of the fact that the
    /// topic was deleted, and the next start would not know what to do with the log.
    pub(super) fn begin_checkpoint(&mut self, through: FactSeq, state: Vec<u8>, background: &Sender<Job>) {
        let refused = match self.failure() {
            Some(why) => Some(why),
            None if self.snapshots.running => Some("a checkpoint is under way".to_owned()),
            None => self.finish_deletions(background).err().map(|error| format!("a log could not be removed: {error}")),
        };
        if let Some(why) = refused {
            if !self.snapshots.running {
                // It is asked for again once as much has been written as if this one had failed later.
                (self.snapshots.asked, self.snapshots.written) = (false, 0);
            }
            let result = Err(StorageError::Failed(why));
            return self.done.push(Completion::CheckpointDone { through, result });
        }
        let with_producers = self.tails.values().filter(|tail| !tail.producers.is_empty());
        let snapshot = Snapshot {
            number: self.snapshots.next,
            through,
            journal_from: self.journal.needed_from(through),
            bounds: self.tails.values().map(|tail| (tail.log.id, tail.end)).collect(),
            producers: with_producers.map(|tail| (tail.log.id, tail.producers.clone())).collect(),
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
                self.stats.checkpoints.inc();
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
pub(super) fn send(background: &Sender<Job>, job: Job) {
    if background.send(job).is_err() {
        tracing::error!("the background thread has ended early");
    }
}
