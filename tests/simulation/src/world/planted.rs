//! Bugs of storage to be switched on, beside those of the core.

use std::collections::BTreeMap;

use takhin_core::{
    AppendId, LogId, Offset, ProducerStamp, StorageError, memory::MemoryEngine, planted::Bug, response::Bounds,
};

use super::engine::{Record, record};

/// The bug that an engine has, if it has one.
#[derive(Debug, Default)]
pub(crate) struct Planted {
    pub(crate) bug: Option<Bug>,
    /// What failed last in each log.
    failed: BTreeMap<LogId, (AppendId, Option<ProducerStamp>)>,
}

impl Planted {
    /// Of an append of unknown fate nothing is ever said.
    pub(in crate::world) fn leaves_unsaid(&self, error: Option<&StorageError>) -> bool {
        self.bug == Some(Bug::UnknownNeverSaid) && matches!(error, Some(StorageError::Uncertain(_)))
    }

    /// One slow log is enough.
    pub(in crate::world) fn holds_all(&self) -> bool {
        self.bug == Some(Bug::SlowLogHoldsOthers)
    }

    /// How many records fewer a read brings that goes over a gap.
    pub(in crate::world) fn left_out_at_gap(&self) -> u32 {
        u32::from(self.bug == Some(Bug::RecordLeftOutAtGap))
    }

    pub(in crate::world) fn shows_open_transactions(&self) -> bool {
        self.bug == Some(Bug::OpenTransactionsShown)
    }

    /// Where records are said to be.
    pub(in crate::world) fn places(&self, mut places: Vec<u64>) -> Vec<u64> {
        if self.bug == Some(Bug::ScatteredToldAsDense)
            && let Some(first) = places.first().copied()
        {
            places = (first..).take(places.len()).collect();
        }
        places
    }

    pub(in crate::world) fn failed(&mut self, id: AppendId, stamp: Option<ProducerStamp>, log: LogId) {
        if self.bug == Some(Bug::FailedAppendLeftBehind) {
            self.failed.insert(log, (id, stamp));
        }
    }

    pub(in crate::world) fn appended(&mut self, log: LogId, records: &mut [Record]) {
        if let (Some((id, stamp)), Some(last)) = (self.failed.remove(&log), records.last_mut()) {
            *last = record(id, stamp, 0);
        }
    }

    pub(in crate::world) fn read(&self, offset: u64, start: u64) -> u64 {
        if self.bug == Some(Bug::ReadsShiftedByTrim) { offset - start } else { offset }
    }

    pub(in crate::world) fn bounds(&self, mut bounds: BTreeMap<LogId, Bounds>) -> BTreeMap<LogId, Bounds> {
        if self.bug == Some(Bug::StartForgottenByRestart) {
            for bounds in bounds.values_mut() {
                bounds.start = Offset(0);
            }
        }
        bounds
    }

    pub(in crate::world) fn crash(&self, log: LogId, records: &mut Vec<Record>, memory: &mut MemoryEngine) {
        if self.bug == Some(Bug::CrashTakesLastRecord) && records.pop().is_some() {
            memory.lose_end(log, Offset(records.len() as u64));
        }
    }
}
