//! Bugs of storage to be switched on, beside those of the core.

use std::collections::BTreeMap;

use takhin_core::{AppendId, LogId, Offset, ProducerStamp, memory::MemoryEngine, planted::Bug, response::Bounds};

use super::engine::{Record, record};

/// The bug that an engine has, if it has one.
#[derive(Debug, Default)]
pub(crate) struct Planted {
    pub(crate) bug: Option<Bug>,
    /// What failed last in each log.
    failed: BTreeMap<LogId, (AppendId, Option<ProducerStamp>)>,
}

impl Planted {
    pub(super) fn failed(&mut self, id: AppendId, stamp: Option<ProducerStamp>, log: LogId) {
        if self.bug == Some(Bug::FailedAppendLeftBehind) {
            self.failed.insert(log, (id, stamp));
        }
    }

    pub(super) fn appended(&mut self, log: LogId, records: &mut [Record]) {
        if let (Some((id, stamp)), Some(last)) = (self.failed.remove(&log), records.last_mut()) {
            *last = record(id, stamp, 0);
        }
    }

    pub(super) fn read(&self, offset: u64, start: u64) -> u64 {
        if self.bug == Some(Bug::ReadsShiftedByTrim) { offset - start } else { offset }
    }

    pub(super) fn bounds(&self, mut bounds: BTreeMap<LogId, Bounds>) -> BTreeMap<LogId, Bounds> {
        if self.bug == Some(Bug::StartForgottenByRestart) {
            for bounds in bounds.values_mut() {
                bounds.start = Offset(0);
            }
        }
        bounds
    }

    pub(super) fn crash(&self, log: LogId, records: &mut Vec<Record>, memory: &mut MemoryEngine) {
        if self.bug == Some(Bug::CrashTakesLastRecord) && records.pop().is_some() {
            memory.lose_end(log, Offset(records.len() as u64));
        }
    }
}
