//! Opening a data directory: first the facts, then the logs that the facts speak of.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    path::PathBuf,
    sync::Arc,
};

use takhin_core::{Boot, FactSeq, LogId, Offset, Producers, TopicConfig, TopicId, TopicName};

use super::{
    LocalEngine,
    config::LocalConfig,
    disk::{self, Disk, RealDisk, TEMPORARY},
    home::{Home, OpenError, at},
    journal::{self, Frame},
    layout,
    report::{RecoveryNote, RecoveryReport},
    snapshot::{self, Snapshot},
};

/// The number of the first journal file.
const FIRST_FILE: u64 = 1;

/// A log that there is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSpec {
    /// The log.
    pub log: LogId,
    /// Its topic's name.
    pub name: TopicName,
    /// How it is kept.
    pub config: TopicConfig,
}

/// What a log holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LogBounds {
    /// The log.
    pub log: LogId,
    /// Its first offset.
    pub start: Offset,
    /// The offset after its last.
    pub end: Offset,
}

/// A data directory that is this process's, with its facts read and its logs not yet looked at.
#[derive(Debug)]
pub struct Opening {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) config: LocalConfig,
    pub(super) home: Home,
    pub(super) report: RecoveryReport,
    snapshot: Option<Snapshot>,
    facts: Vec<(FactSeq, Vec<u8>)>,
    deleted: BTreeSet<TopicId>,
    /// How far each log is known to be whole and durable.
    pub(super) bounds: HashMap<LogId, Offset>,
    /// The producers of each log in the snapshot, and up to where.
    pub(super) producers: HashMap<LogId, (Offset, Producers)>,
    /// The journal's files, with the last fact in each.
    pub(super) files: VecDeque<(u64, FactSeq)>,
}

impl Opening {
    /// Takes the data directory's lock, counts the start, and reads the newest whole snapshot and the facts
    /// behind it.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(config: LocalConfig) -> Result<Self, OpenError> {
        Self::open_on(Arc::new(RealDisk), config)
    }

    /// The same on another file system.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open_on(disk: Arc<dyn Disk>, config: LocalConfig) -> Result<Self, OpenError> {
        let config = config.bounded();
        let home = Home::open(&*disk, config.data_dir.clone())?;
        let report = RecoveryReport { boot: home.boot, ..RecoveryReport::default() };
        let mut opening = Self {
            disk,
            config,
            home,
            report,
            snapshot: None,
            facts: Vec::new(),
            deleted: BTreeSet::new(),
            bounds: HashMap::new(),
            producers: HashMap::new(),
            files: VecDeque::new(),
        };
        opening.read_snapshot()?;
        opening.read_journal()?;
        Ok(opening)
    }

    /// Which start of the broker this is.
    pub fn boot(&self) -> Boot {
        self.home.boot
    }

    /// The newest snapshot, if there has been one.
    pub fn snapshot(&self) -> Option<&[u8]> {
        self.snapshot.as_ref().map(|snapshot| &snapshot.state[..])
    }

    /// The facts behind the snapshot, in order.
    pub fn facts(&self) -> &[(FactSeq, Vec<u8>)] {
        &self.facts
    }

    /// Says which topics were deleted, as far as [`Opening::facts`] tell. A crash may have come before their logs
    /// were removed, so it is done now.
    #[must_use]
    pub fn with_deleted(mut self, topics: BTreeSet<TopicId>) -> Self {
        self.deleted = topics;
        self
    }

    /// Opens these logs, making those that are missing, and repairs what a crash has left of them. Directories
    /// of other logs are removed if their topics are known to be deleted, else moved aside.
    ///
    /// # Errors
    /// Only [`OpenError::Io`]; no damage keeps the engine from opening.
    pub fn with_logs(self, logs: &[LogSpec]) -> Result<(LocalEngine, Vec<LogBounds>, RecoveryReport), OpenError> {
        super::recover::recover(self, logs)
    }

    /// Whether the log in a directory of this name was deleted, given that it isn't wanted.
    ///
    /// A snapshot may have the fact of a deletion in it before the logs are removed, and then no fact behind it
    /// tells. But it also lists the logs that there were when it was taken: of those, one that nobody wants now
    /// was deleted, or its topic never became durable. Unless facts are lost, for they may have wanted it.
    pub(super) fn is_deleted(&self, topic: TopicId, directory_name: &str) -> bool {
        let partition = directory_name.rsplit('-').next().and_then(|partition| partition.parse().ok());
        let log = partition.map(|partition| LogId { topic, partition });
        let listed = self.snapshot.iter().flat_map(|snapshot| &snapshot.bounds).any(|&(id, _)| Some(id) == log);
        self.deleted.contains(&topic) || listed && !self.report.notes.iter().any(RecoveryNote::costs_facts)
    }

    /// The number that the next snapshot gets, and the first journal file that the last one needs.
    pub(super) fn snapshots(&self) -> (u64, u64) {
        self.snapshot.as_ref().map_or((1, FIRST_FILE), |last| (last.number + 1, last.journal_from))
    }

    fn read_snapshot(&mut self) -> Result<(), OpenError> {
        let directory = self.home.layout.snapshots();
        let names = self.disk.list(&directory).map_err(at(&directory))?;
        for name in names.iter().filter(|name| name.ends_with(TEMPORARY)) {
            self.remove_leftover(directory.join(name))?;
        }
        for number in snapshot::numbers(&names).into_iter().rev() {
            let path = snapshot::path(&directory, number);
            if let Some(mut found) = snapshot::read(&*self.disk, &directory, number).map_err(at(&path))? {
                self.bounds.extend(found.bounds.iter().copied());
                let mut known: HashMap<_, _> = found.producers.drain(..).collect();
                let with = |&(log, end): &(LogId, Offset)| (log, (end, known.remove(&log).unwrap_or_default()));
                self.producers = found.bounds.iter().map(with).collect();
                self.snapshot = Some(found);
                return Ok(());
            }
            self.report.notes.push(RecoveryNote::DamagedSnapshot { path });
        }
        Ok(())
    }

    fn read_journal(&mut self) -> Result<(), OpenError> {
        let directory = self.home.layout.journal();
        let names = self.disk.list(&directory).map_err(at(&directory))?;
        let mut numbers: Vec<_> = names.iter().filter_map(|name| layout::number(name, journal::EXTENSION)).collect();
        numbers.sort_unstable();
        let (_, from) = self.snapshots();
        let had_snapshot = self.report.notes.iter().any(|note| matches!(note, RecoveryNote::DamagedSnapshot { .. }));
        let from_the_beginning = numbers.first().map_or(!had_snapshot, |&first| first == FIRST_FILE);
        if self.snapshot.is_none() && !from_the_beginning {
            return Err(OpenError::NoSnapshot(self.home.layout.snapshots()));
        }
        let through = self.snapshot.as_ref().map_or(FactSeq(0), |snapshot| snapshot.through);
        let mut last_fact = through;
        // Without a snapshot and without a file this is the first start.
        let mut expected = if self.snapshot.is_none() && numbers.is_empty() { None } else { Some(from) };
        for &number in &numbers {
            if number < from {
                self.files.push_back((number, FactSeq(0)));
                continue;
            }
            self.note_missing(expected.map_or(0..0, |expected| expected..number));
            expected = Some(number + 1);
            let path = journal::path(&directory, number);
            let bytes = disk::read_file(&*self.disk, &path).map_err(at(&path))?.unwrap_or_default();
            let followed = numbers.last() != Some(&number);
            let found = journal::scan(&bytes, number, followed);
            for frame in &found.frames {
                match *frame {
                    Frame::Fact { seq, fact } if seq > last_fact => {
                        if seq > last_fact.next() {
                            self.report.notes.push(RecoveryNote::MissingFacts { after: last_fact, before: seq });
                        }
                        last_fact = seq;
                        self.facts.push((seq, fact.to_vec()));
                    }
                    Frame::Bounds(bounds) => self.bounds.extend(bounds.ends()),
                    Frame::Fact { .. } | Frame::Records { .. } => {}
                }
            }
            let damage = found.damage.into_iter();
            let damage = damage.map(|bytes| RecoveryNote::DamagedJournal { path: path.clone(), bytes });
            self.report.notes.extend(damage);
            self.files.push_back((number, last_fact));
            if !followed && bytes.len() as u64 > found.end {
                // Nothing is appended to it any more, so the space set aside is given back too.
                let file = self.disk.open(&path, false).map_err(at(&path))?;
                file.set_len(found.end).and_then(|()| file.sync_all()).map_err(at(&path))?;
            }
            if found.torn > 0 {
                let note = RecoveryNote::TornJournal { path, position: found.end, bytes: found.torn };
                self.report.notes.push(note);
            }
        }
        if numbers.last().is_none_or(|&last| last < from) {
            self.note_missing(expected.map_or(0..0, |expected| expected..expected + 1));
        }
        self.report.facts = self.facts.len() as u64;
        Ok(())
    }

    fn note_missing(&mut self, numbers: std::ops::Range<u64>) {
        // However large the gap is, its ends say it all.
        let ends = [numbers.start, numbers.end.saturating_sub(1)];
        let count = usize::try_from(numbers.end - numbers.start).unwrap_or(usize::MAX).min(ends.len());
        for number in ends.into_iter().take(count) {
            let path = journal::path(&self.home.layout.journal(), number);
            self.report.notes.push(RecoveryNote::MissingJournal { path });
        }
    }

    /// Removes the damaged snapshots, so that the last two are whole again once there is a next.
    pub(super) fn remove_damaged_snapshots(&mut self) -> Result<(), OpenError> {
        for note in &self.report.notes {
            if let RecoveryNote::DamagedSnapshot { path } = note {
                self.disk.remove_file(path).map_err(at(path))?;
            }
        }
        Ok(())
    }

    pub(super) fn remove_leftover(&mut self, path: PathBuf) -> Result<(), OpenError> {
        self.disk.remove_file(&path).map_err(at(&path))?;
        self.report.notes.push(RecoveryNote::Leftover { path });
        Ok(())
    }

    /// The number of the journal file to begin.
    pub(super) fn next_file(&self) -> u64 {
        let (_, from) = self.snapshots();
        self.files.back().map_or(FIRST_FILE, |&(last, _)| last + 1).max(from)
    }
}
