//! Opening all logs that there are to be, several at a time.
//!
//! What is found in them is told in the order in which they were asked for, and where several can't be opened, it is the
//! first of those that is named: a start says the same however many threads it had.

use std::{collections::HashMap, io, path::Path};

use rustc_hash::FxBuildHasher;
use takhin_core::{LogId, Offset, TopicId};

use super::{
    checkpoint::Dirty,
    disk::Disk,
    files::Files,
    home::{OpenError, at},
    layout::Layout,
    listing::Listing,
    opening::{LogSpec, Opening},
    parts::by_parts,
    recover::write_owner,
    repair, replace,
    report::RecoveryReport,
    tail::Tail,
    trim,
};

/// The open end of each log.
pub(super) type Tails = HashMap<LogId, Tail, FxBuildHasher>;

/// What came of some of the logs.
#[derive(Default)]
struct Opened {
    tails: Vec<Tail>,
    dirty: Dirty,
    report: RecoveryReport,
}

/// Opens these logs, makes those that are missing, and adds what was found to the report.
pub(super) fn open_logs(
    opening: &mut Opening,
    files: &Files,
    specs: &[LogSpec],
    dirty: &mut Dirty,
) -> Result<Tails, OpenError> {
    let (layout, bounds) = (&opening.home.layout, &opening.bounds);
    let parts = by_parts(specs, |part| {
        let mut opened = Opened::default();
        for spec in part {
            let point = bounds.get(&spec.log).copied().unwrap_or_default();
            let tail = opened.open(files, layout, spec, point)?;
            opened.tails.push(tail);
        }
        Ok(opened)
    });
    let mut tails = HashMap::with_capacity_and_hasher(specs.len(), FxBuildHasher);
    for part in parts {
        let part = part?;
        tails.extend(part.tails.into_iter().map(|tail| (tail.log.id, tail)));
        dirty.merge(part.dirty);
        opening.report.add(part.report);
    }
    Ok(tails)
}

impl Opened {
    /// Opens one log, whose records are durable up to `point`.
    fn open(&mut self, files: &Files, layout: &Layout, spec: &LogSpec, point: Offset) -> Result<Tail, OpenError> {
        let directory = layout.log_dir(&spec.name, spec.log.partition);
        let mut listing = list(files.disk(), &directory, spec.log.topic).map_err(at(&directory))?;
        replace::finish(&mut listing).map_err(at(&directory))?;
        let start = trim::finish(&mut listing).map_err(at(&directory))?;
        let (dirty, report) = (&mut self.dirty, &mut self.report);
        let mut tail =
            repair::open_log(files, &listing, spec.log, start, point, dirty, report).map_err(at(&directory))?;
        if tail.end < start {
            // Its end was lost, with a durability that allows for it.
            tail.roll(files, dirty, start).map_err(at(&directory))?;
        }
        tail.log.forget_before(start);
        tail.log.configure(spec.config);
        Ok(tail)
    }
}

/// The names in a log's directory, which is made if it isn't there.
fn list<'a>(disk: &'a dyn Disk, directory: &'a Path, owner: TopicId) -> io::Result<Listing<'a>> {
    if let Some(listing) = Listing::read(disk, directory)? {
        return Ok(listing);
    }
    disk.create_dir(directory)?;
    write_owner(disk, directory, owner)?;
    Ok(Listing::of_new(disk, directory))
}
