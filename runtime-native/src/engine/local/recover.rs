//! Bringing the logs into the state in which they were acknowledged.
//!
//! For each log there is an offset up to which its segments are known to be durable: from the last snapshot, or
//! from the note that each start and each clean stop leaves in the journal. What lies behind it is verified batch
//! by batch and cut off where it stops making sense; then the journal supplies what is missing. A new journal
//! file begins with a note of where all logs end, so recovering again finds nothing to do.

use std::{
    collections::{HashMap, VecDeque},
    io::{self, IoSlice},
    path::{Path, PathBuf},
    sync::{Arc, RwLock},
    time::Instant,
};

use takhin_core::{LogId, Offset, Producers, TopicId, TopicName};

use super::{
    LocalEngine,
    anchors::Anchors,
    aside,
    checkpoint::{Dirty, remove_directory},
    config::Durability,
    disk::{self, Disk, write_all},
    files::Files,
    home::{OpenError, at},
    journal::{self, Frame, Journal, Way},
    layout::{DELETED, FileKind, Layout, STRAY, metadata_file},
    log::{Log, Segment},
    open_logs::{Tails, open_logs},
    opening::{LogBounds, LogSpec, Opening},
    parts::by_parts,
    producers,
    queue::Queue,
    reader::Shared,
    report::{RecoveryNote, RecoveryReport},
    tail::Tail,
    writer::{Facts, Snapshots, Writer, write_bounds},
};
use crate::{engine::StorageState, record::BatchHeader};

pub(super) fn recover(
    mut opening: Opening,
    specs: &[LogSpec],
) -> Result<(LocalEngine, Vec<LogBounds>, RecoveryReport), OpenError> {
    opening.remove_damaged_snapshots()?;
    let files = Files::new(Arc::clone(&opening.disk), opening.config.open_files);
    clear_logs_directory(&mut opening, specs)?;
    let mut dirty = Dirty::default();
    let mut tails = open_logs(&mut opening, &files, specs, &mut dirty)?;
    let configs: HashMap<_, _> = specs.iter().map(|spec| (spec.log.topic, spec.config)).collect();
    reapply(&mut opening, &files, &mut tails, &mut dirty)?;
    let end = |log| tails.get(&log).map(|tail| tail.end);
    aside::remove_needless(&*opening.disk, &mut opening.report, end).map_err(at(opening.home.layout.logs()))?;
    let known = std::mem::take(&mut opening.producers);
    producers::recover(&files, &mut tails, known).map_err(at(opening.home.layout.logs()))?;

    let layout = opening.home.layout.clone();
    let logs = tails.values().map(|tail: &Tail| (tail.log.id, Arc::clone(&tail.log))).collect();
    let shared = Arc::new(Shared { files, logs: RwLock::new(logs) });
    dirty.sync_by_parts(&shared, &layout).map_err(at(layout.logs()))?;
    let way = if opening.config.durability == Durability::Fsync { Way::Direct } else { Way::Buffered };
    let (disk, file_bytes) = (Arc::clone(&opening.disk), opening.config.journal_file_bytes);
    let (number, older) = (opening.next_file(), std::mem::take(&mut opening.files));
    let mut journal = journal::Files::new(disk, layout.journal(), file_bytes, way)
        .with_spares()
        .and_then(|files| Journal::create(files, number, older))
        .map_err(at(layout.journal()))?;
    let ends: Vec<_> = tails.values().map(|tail| (tail.log.id, tail.end)).collect();
    write_bounds(&mut journal, &ends).map_err(at(layout.journal()))?;

    let mut bounds: Vec<_> = tails
        .values()
        .map(|tail| LogBounds { log: tail.log.id, start: tail.log.segments()[0].base, end: tail.end })
        .collect();
    bounds.sort_unstable_by_key(|bounds| bounds.log);
    opening.report.logs = bounds.len();
    let (next, journal_from) = opening.snapshots();
    let anchors = Anchors::of(&*opening.disk, &layout).map_err(at(layout.root()))?;
    let queue = Queue::new(opening.config.queue_bytes, &configs);
    let stats = Arc::default();
    let writer = Writer {
        shared,
        layout,
        config: opening.config,
        stats,
        journal,
        tails,
        dirty: Dirty::default(),
        behind: Vec::new(),
        snapshots: Snapshots { next, journal_from, written: 0, asked: false, running: false },
        facts: Facts::default(),
        state: StorageState::Ok,
        done: Vec::new(),
        next_sync: None,
        configs,
        creations: VecDeque::new(),
        undeleted: Vec::new(),
        anchors,
        next_look: Instant::now(),
    };
    Ok((LocalEngine::new(writer, queue, opening.home), bounds, opening.report))
}

/// Makes a log that is new.
pub(super) fn create_log(files: &Files, layout: &Layout, id: LogId, name: &TopicName) -> io::Result<Tail> {
    let directory = layout.log_dir(name, id.partition);
    let disk = files.disk();
    if let Some(owner) = read_owner(disk, &directory)?
        && owner != Some(id.topic)
    {
        let to = free_name(disk, layout, &format!("{name}-{}", id.partition), owner, STRAY)?;
        tracing::warn!(from = %directory.display(), to = %to.display(), "moved the log of another topic aside");
        disk.rename(&directory, &to)?;
    }
    disk.create_dir(&directory)?;
    write_owner(disk, &directory, id.topic)?;
    let segment = Arc::new(Segment::empty(Offset(0)));
    let log = Arc::new(Log::new(id, directory, vec![Arc::clone(&segment)]));
    // What an attempt that failed has left is empty or was never acknowledged.
    files.open(log.key(&segment, FileKind::Log), &log.directory, true)?.set_len(0)?;
    Ok(Tail { log, active: segment, size: 0, end: Offset(0), producers: Producers::default(), behind: 0 })
}

/// Removes what deletions have left, and moves aside what belongs to no log that is wanted.
fn clear_logs_directory(opening: &mut Opening, specs: &[LogSpec]) -> Result<(), OpenError> {
    let layout = opening.home.layout.clone();
    let directory = layout.logs();
    let disk = Arc::clone(&opening.disk);
    let wanted: HashMap<_, _> =
        specs.iter().map(|spec| (layout.log_dir(&spec.name, spec.log.partition), spec.log.topic)).collect();
    let mut moved = false;
    let mut unwanted = Vec::new();
    let names = disk.list(&directory).map_err(at(&directory))?;
    let found = by_parts(&names, |part| part.iter().map(|name| look(&*disk, &directory, name)).collect::<Vec<_>>());
    for (name, found) in names.iter().zip(found.into_iter().flatten()) {
        let path = directory.join(name);
        let owner = match found.map_err(at(&path))? {
            Found::Other => continue,
            Found::Deleted => {
                unwanted.push((path.clone(), path));
                continue;
            }
            Found::Log(owner) => owner,
        };
        if owner.is_none() || wanted.get(&path) != owner.as_ref() {
            let deleted = owner.is_some_and(|topic| opening.is_deleted(topic, name));
            let suffix = if deleted { DELETED } else { STRAY };
            let to = free_name(&*disk, &layout, name, owner, suffix).map_err(at(&path))?;
            disk.rename(&path, &to).map_err(at(&path))?;
            moved = true;
            if deleted {
                unwanted.push((path, to));
            } else {
                opening.report.notes.push(RecoveryNote::Stray { from: path, to });
            }
        }
    }
    // Before anything is removed: a directory half removed must not come back under a log's name.
    if moved {
        disk.sync_dir(&directory).map_err(at(&directory))?;
    }
    for (path, now) in unwanted {
        remove_directory(&*disk, &now).map_err(at(&now))?;
        opening.report.notes.push(RecoveryNote::Leftover { path });
    }
    Ok(())
}

/// What stands in the directory of all logs.
enum Found {
    /// A log's directory, and whose it is, if it says so.
    Log(Option<TopicId>),
    /// What a deletion has left.
    Deleted,
    /// Nobody's log, and in nobody's way: a file, or what was moved aside.
    Other,
}

fn look(disk: &dyn Disk, logs: &Path, name: &str) -> io::Result<Found> {
    let path = logs.join(name);
    if name.ends_with(STRAY) {
        return Ok(Found::Other);
    }
    if name.ends_with(DELETED) {
        return Ok(if is_file(disk, &path)? { Found::Other } else { Found::Deleted });
    }
    match disk::read_beginning(disk, &metadata_file(&path), OWNER_BYTES) {
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => Ok(Found::Other),
        text => Ok(Found::Log(owner(&text?.unwrap_or_default()))),
    }
}

/// Supplies from the journal what the logs lack.
fn reapply(opening: &mut Opening, files: &Files, tails: &mut Tails, dirty: &mut Dirty) -> Result<(), OpenError> {
    let directory = opening.home.layout.journal();
    let (_, from) = opening.snapshots();
    let numbers: Vec<_> = opening.files.iter().map(|&(number, _)| number).filter(|&number| number >= from).collect();
    for &number in &numbers {
        let path = journal::path(&directory, number);
        let bytes = disk::read_file(&*opening.disk, &path).map_err(at(&path))?.unwrap_or_default();
        for frame in journal::scan(&bytes, number, numbers.last() != Some(&number)).frames {
            let Frame::Records { log, batch } = frame else { continue };
            // Logs that are no longer wanted have records here too.
            let Some(tail) = tails.get_mut(&log) else { continue };
            let Ok(header) = BatchHeader::read(batch) else { continue };
            if header.base_offset < tail.end {
                continue;
            }
            if header.base_offset > tail.end {
                let note = RecoveryNote::MissingRecords { log, from: tail.end, to: header.base_offset };
                opening.report.notes.push(note);
                tail.roll(files, dirty, header.base_offset).map_err(at(&tail.log.directory))?;
            }
            tail.roll_if_full(files, dirty, opening.config.segment_bytes)
                .and_then(|()| tail.restore(files, batch, header))
                .map_err(at(&tail.log.directory))?;
            dirty.segment(&tail.log, &tail.active);
            opening.report.reapplied_batches += 1;
        }
    }
    Ok(())
}

/// A name that nothing has, for a directory that leaves its place.
fn free_name(
    disk: &dyn Disk,
    layout: &Layout,
    directory_name: &str,
    topic: Option<TopicId>,
    suffix: &str,
) -> io::Result<PathBuf> {
    let mut number = 1u64;
    let mut name = layout.aside(directory_name, topic, suffix);
    loop {
        match disk.list(&name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(name),
            Err(error) if error.kind() != io::ErrorKind::NotADirectory => return Err(error),
            _ => number += 1,
        }
        name = layout.aside(directory_name, topic, &format!("-{number}{suffix}"));
    }
}

fn is_file(disk: &dyn Disk, path: &Path) -> io::Result<bool> {
    match disk.list(path) {
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => Ok(true),
        listed => listed.map(|_| false),
    }
}

/// Whose a log's directory is: the outer `None` if there is no directory, the inner if it doesn't say.
#[allow(clippy::option_option)]
pub(super) fn read_owner(disk: &dyn Disk, directory: &Path) -> io::Result<Option<Option<TopicId>>> {
    match disk.list(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        listed => listed?,
    };
    let text = disk::read_file(disk, &metadata_file(directory))?.unwrap_or_default();
    Ok(Some(owner(&text)))
}

/// Whose a log is, as the file in its directory says.
pub(super) fn owner(text: &[u8]) -> Option<TopicId> {
    let id = str::from_utf8(text).ok()?.lines().find_map(|line| line.strip_prefix(OWNER))?;
    id.parse().ok().map(TopicId)
}

const OWNER: &str = "topic_id: ";
/// How much of that file is looked at. It never has more.
const OWNER_BYTES: usize = 256;

/// What says whose a log's directory is.
pub(super) fn owner_text(topic: TopicId) -> String {
    format!("version: 0\n{OWNER}{}\n", topic.0)
}

/// Notes whose a log's directory is. Not durable before the first checkpoint, and needless until then: what a
/// crash leaves without it is moved aside, and the journal has all of its records.
pub(super) fn write_owner(disk: &dyn Disk, directory: &Path, topic: TopicId) -> io::Result<()> {
    let text = owner_text(topic);
    let path: PathBuf = metadata_file(directory);
    let file = disk.open(&path, true)?;
    file.set_len(0)?;
    write_all(&*file, &mut [IoSlice::new(text.as_bytes())], 0)
}
