//! What a migration knows of itself, in a directory of its own, so that it can be ended at any moment and gone on with.
//!
//! ```text
//!   migration/
//!     progress.json             how far each partition is copied; replaced as a whole, once in a while
//!     offsets/orders/0.tsv      which offset became which, where they are not the same
//!     groups.json               which offsets the groups were given
//!     report.json               what was done, for people and programs
//! ```
//!
//! A partition's file of offsets counts only as far as `progress.json` says, so what a run that was killed has written
//! behind that is written anew.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    io::{self, IoSlice, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use takhin_core::TopicId;

use super::{
    error::MigrateError,
    mapping::{Run, Runs},
};
use crate::engine::local::{
    disk::{RealDisk, replace_file},
    make_root,
};

const FORMAT: u32 = 1;
const HEADING: &str = "source\ttarget\trecords\n";

/// All that is known of what was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct State {
    format: u32,
    /// Which Kafka cluster it goes to.
    pub(super) cluster: String,
    /// Whether records may be on their way that nothing is known of: a run is going on, or has not ended by itself.
    pub(super) under_way: bool,
    /// By name.
    pub(super) topics: BTreeMap<String, TopicState>,
}

/// A topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct TopicState {
    /// Which it is in the source.
    pub(super) source: TopicId,
    /// Which it is in Kafka.
    pub(super) target: TopicId,
    /// Whether it has its own settings again, behind those that it was copied with.
    pub(super) is_set: bool,
    /// By number.
    pub(super) partitions: Vec<PartitionState>,
}

/// How far a partition is copied.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct PartitionState {
    /// All before this offset of the source is copied.
    pub(super) next: u64,
    /// The offset behind the last record in Kafka.
    pub(super) end: u64,
    /// What the records took in the source, not compressed.
    pub(super) bytes: u64,
    /// The last run.
    pub(super) open: Option<Run>,
    /// How much of the file of offsets counts.
    pub(super) mapped_bytes: u64,
    /// What was damaged in the source, from and up to before which offset.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) damaged: Vec<(u64, u64)>,
    /// Runs that are over and not in the file yet.
    #[serde(skip)]
    closed: Vec<Run>,
}

impl State {
    pub(super) fn new(cluster: String) -> Self {
        Self { format: FORMAT, cluster, under_way: false, topics: BTreeMap::new() }
    }
}

impl PartitionState {
    /// The runs that there are, to be gone on with.
    pub(super) fn runs(&self) -> Runs {
        Runs::after(self.open)
    }

    /// Takes in what was copied.
    pub(super) fn copied(&mut self, next: u64, end: u64, bytes: u64, runs: Runs) {
        (self.next, self.end, self.open) = (next, end, runs.open);
        self.bytes += bytes;
        self.closed.extend(runs.closed);
    }

    /// Whether each record has the offset that it had.
    pub(super) fn is_same(&self) -> bool {
        self.mapped_bytes == 0 && self.closed.is_empty() && self.open.is_none_or(|run| run.is_same())
    }
}

/// The directory.
#[derive(Clone, Debug)]
pub(super) struct Directory {
    path: PathBuf,
}

/// What is to be written to a file of offsets.
struct Lines {
    path: PathBuf,
    at: u64,
    text: String,
}

/// A state as it is to be kept.
pub(super) struct Saving {
    lines: Vec<Lines>,
    progress: Vec<u8>,
}

impl Directory {
    /// Makes it, if it isn't there.
    pub(super) fn open(path: &Path) -> Result<Self, MigrateError> {
        make_root(&RealDisk, path).map_err(MigrateError::at(path))?;
        Ok(Self { path: path.to_owned() })
    }

    /// What an earlier run has left.
    pub(super) fn load(&self) -> Result<Option<State>, MigrateError> {
        let path = self.path.join("progress.json");
        let Some(state) = self.read::<State>("progress.json")? else { return Ok(None) };
        if state.format == FORMAT {
            return Ok(Some(state));
        }
        let (path, found) = (path.display(), state.format);
        Err(MigrateError::conflict(format!("{path} is of format {found}, and this version knows {FORMAT}")))
    }

    /// Takes what is to be kept of a state out of it. Nothing is written yet.
    pub(super) fn saving(&self, state: &mut State) -> Result<Saving, MigrateError> {
        let mut lines = Vec::new();
        for (topic, known) in &mut state.topics {
            for (number, partition) in known.partitions.iter_mut().enumerate() {
                if partition.closed.is_empty() {
                    continue;
                }
                let mut text = if partition.mapped_bytes == 0 { HEADING.to_owned() } else { String::new() };
                partition.closed.drain(..).for_each(|run| write_run(&mut text, &run));
                let at = partition.mapped_bytes;
                partition.mapped_bytes += text.len() as u64;
                lines.push(Lines { path: self.offsets_file(topic, number), at, text });
            }
        }
        let progress = serde_json::to_vec(state).map_err(|error| MigrateError::at(&self.path)(error.into()))?;
        Ok(Saving { lines, progress })
    }

    /// Writes it durably: first the offsets, then what makes them count.
    pub(super) fn save(&self, saving: &Saving) -> Result<(), MigrateError> {
        for lines in &saving.lines {
            write_lines(lines).map_err(MigrateError::at(&lines.path))?;
        }
        self.replace("progress.json", &saving.progress)
    }

    /// Completes the file of offsets of a partition whose offsets are not the same, for those who read it.
    pub(super) fn complete(&self, topic: &str, number: usize, partition: &PartitionState) -> Result<(), MigrateError> {
        if partition.is_same() {
            return Ok(());
        }
        let mut text = if partition.mapped_bytes == 0 { HEADING.to_owned() } else { String::new() };
        partition.open.iter().for_each(|run| write_run(&mut text, run));
        let lines = Lines { path: self.offsets_file(topic, number), at: partition.mapped_bytes, text };
        write_lines(&lines).map_err(MigrateError::at(&lines.path))
    }

    /// All runs of a partition that is saved.
    pub(super) fn runs(
        &self,
        topic: &str,
        number: usize,
        partition: &PartitionState,
    ) -> Result<Vec<Run>, MigrateError> {
        let mut runs = Vec::new();
        if partition.mapped_bytes > 0 {
            let path = self.offsets_file(topic, number);
            let mut text = String::new();
            let read =
                fs::File::open(&path).and_then(|file| file.take(partition.mapped_bytes).read_to_string(&mut text));
            read.map_err(MigrateError::at(&path))?;
            for line in text.lines().skip(1) {
                let damaged = || MigrateError::conflict(format!("{}: {line:?} is no run", path.display()));
                runs.push(read_run(line).ok_or_else(damaged)?);
            }
        }
        runs.extend(partition.open);
        Ok(runs)
    }

    /// Forgets the offsets of a topic.
    pub(super) fn forget(&self, topic: &str) -> Result<(), MigrateError> {
        let path = self.path.join("offsets").join(topic);
        match fs::remove_dir_all(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(MigrateError::at(&path)(error)),
            _ => Ok(()),
        }
    }

    /// Where a partition's offsets are told, seen from the directory.
    pub(super) fn offsets_name(topic: &str, number: usize) -> String {
        format!("offsets/{topic}/{number}.tsv")
    }

    fn offsets_file(&self, topic: &str, number: usize) -> PathBuf {
        self.path.join(Self::offsets_name(topic, number))
    }

    /// What a file of the directory holds, if it is there.
    pub(super) fn read<T: DeserializeOwned>(&self, name: &str) -> Result<Option<T>, MigrateError> {
        let path = self.path.join(name);
        match fs::read(&path) {
            Ok(bytes) => {
                serde_json::from_slice(&bytes).map(Some).map_err(|error| MigrateError::at(&path)(error.into()))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(MigrateError::at(&path)(error)),
        }
    }

    /// Writes a file of the directory, durably and as a whole. Where it is.
    pub(super) fn write(&self, name: &str, what: &impl Serialize) -> Result<PathBuf, MigrateError> {
        let path = self.path.join(name);
        let bytes = serde_json::to_vec_pretty(what).map_err(|error| MigrateError::at(&path)(error.into()))?;
        self.replace(name, &bytes).map(|()| path)
    }

    fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), MigrateError> {
        let path = self.path.join(name);
        replace_file(&RealDisk, &path, &mut [IoSlice::new(bytes)]).map_err(MigrateError::at(&path))
    }
}

fn write_run(text: &mut String, Run { source, target, records }: &Run) {
    writeln!(text, "{source}\t{target}\t{records}").expect("a string takes everything");
}

fn read_run(line: &str) -> Option<Run> {
    let mut numbers = line.split('\t').map(str::parse);
    let mut number = || numbers.next()?.ok();
    Some(Run { source: number()?, target: number()?, records: number()? })
}

fn write_lines(Lines { path, at, text }: &Lines) -> io::Result<()> {
    if let Some(directory) = path.parent() {
        make_root(&RealDisk, directory)?;
    }
    let mut file = fs::File::options().create(true).truncate(false).write(true).open(path)?;
    file.set_len(*at)?;
    file.seek(SeekFrom::Start(*at))?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    path.parent().map_or(Ok(()), |directory| fs::File::open(directory)?.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noted(partition: &mut PartitionState, sources: &[u64]) {
        let (mut runs, mut end) = (partition.runs(), partition.end);
        for source in sources {
            runs.note(*source, end);
            end += 1;
        }
        partition.copied(sources.last().map_or(partition.next, |last| last + 1), end, sources.len() as u64, runs);
    }

    fn partition(state: &mut State) -> &mut PartitionState {
        &mut state.topics.get_mut("orders").expect("it is there").partitions[0]
    }

    fn save(directory: &Directory, state: &mut State) {
        let saving = directory.saving(state).expect("it can be written down");
        directory.save(&saving).expect("it is saved");
    }

    #[test]
    fn a_run_that_was_killed_leaves_nothing_that_counts() {
        let home = tempfile::tempdir().expect("a directory");
        let directory = Directory::open(&home.path().join("a/migration")).expect("it is made");
        assert_eq!(directory.load().expect("nothing is no error"), None);

        let mut state = State::new("kafka".to_owned());
        let partitions = vec![PartitionState::default()];
        let topic = TopicState { source: TopicId(1), target: TopicId(2), is_set: false, partitions };
        state.topics.insert("orders".to_owned(), topic);
        noted(partition(&mut state), &[3, 4, 9, 12]);
        save(&directory, &mut state);
        let kept = directory.load().expect("it is read").expect("it is there");
        assert_eq!(kept, state);
        let all = directory.runs("orders", 0, partition(&mut state)).expect("they are read");
        assert_eq!(
            all.iter().map(|run| (run.source, run.target, run.records)).collect::<Vec<_>>(),
            [(3, 0, 2), (9, 2, 1), (12, 3, 1),]
        );

        // Killed between the file of offsets and the progress: the file is longer than what counts.
        noted(partition(&mut state), &[20, 30]);
        let saving = directory.saving(&mut state).expect("it can be written down");
        write_lines(&saving.lines[0]).expect("it is written");
        let mut again = directory.load().expect("it is read").expect("it is there");
        assert_eq!(again, kept);
        assert_eq!(directory.runs("orders", 0, partition(&mut again)).expect("they are read"), all);

        // The next run writes other runs there.
        noted(partition(&mut again), &[13, 14, 40]);
        save(&directory, &mut again);
        let mut last = directory.load().expect("it is read").expect("it is there");
        directory.complete("orders", 0, partition(&mut last)).expect("it is completed");
        let text = fs::read_to_string(home.path().join("a/migration/offsets/orders/0.tsv")).expect("it is there");
        assert_eq!(text, "source\ttarget\trecords\n3\t0\t2\n9\t2\t1\n12\t3\t3\n40\t6\t1\n");

        // What was completed is gone on with, too.
        noted(partition(&mut last), &[41, 50]);
        save(&directory, &mut last);
        let runs = directory.runs("orders", 0, partition(&mut last)).expect("they are read");
        assert_eq!(runs[3..], [Run { source: 40, target: 6, records: 2 }, Run { source: 50, target: 8, records: 1 }]);
    }

    #[test]
    fn the_same_offsets_need_no_file() {
        let home = tempfile::tempdir().expect("a directory");
        let directory = Directory::open(home.path()).expect("it is made");
        let mut same = PartitionState::default();
        assert!(same.is_same());
        noted(&mut same, &[0, 1, 2]);
        assert!(same.is_same());
        directory.complete("orders", 0, &same).expect("there is nothing to do");
        assert!(!home.path().join("offsets").exists());
        noted(&mut same, &[4]);
        assert!(!same.is_same());
    }
}
