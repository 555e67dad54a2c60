//! Beginning at a date: positions that the engine has to find.
//!
//! ```text
//!   granted, reset policy by_duration ---> date noted, Lookup ---> LookedUp: the position, remembered from then on
//!                                                             ---> failed, or a restart: the next poll asks again
//! ```
//!
//! The date is decided once, when the partition is assigned, and is durable, so that asking again asks the same. Until it
//! is known where that is, the partition is neither delivered nor in anybody's way.

use super::Core;
use crate::{
    command::{Command, StorageError},
    config::OffsetReset,
    ids::{ConsumerId, LogId, Offset},
    planted::planted,
    time::Date,
};

impl Core {
    /// The date at which a reset policy begins. If the core was never told what date it is, that is before all records.
    pub(super) fn date_to_begin_at(&self, reset: OffsetReset) -> Option<Date> {
        let OffsetReset::ByDuration(ms) = reset else { return None };
        let span = i64::try_from(ms).unwrap_or(i64::MAX);
        Some(Date(self.date().map_or(i64::MIN, |today| today.0.saturating_sub(span))))
    }

    /// Asks where a date is in a log; the consumer stands there then.
    pub(super) fn look_up(&mut self, consumer: ConsumerId, log: LogId, at: Date) {
        let Some(session) = self.sessions.get_mut(&consumer) else { return };
        let Some(partition) = session.partitions.get_mut(&log) else { return };
        let Some(to) = self.logs.get(&log).map(|log| log.bounds.end) else { return };
        partition.lookup = Some(at);
        self.outbox.send_behind_facts(Command::Lookup { consumer, log, at, to });
        self.file(consumer, log);
    }

    /// Asks again for what a failure or a restart left open.
    pub(super) fn look_up_unasked(&mut self, consumer: ConsumerId) {
        let Some(session) = self.sessions.get_mut(&consumer) else { return };
        for log in core::mem::take(&mut session.unasked) {
            let partition = self.sessions.get(&consumer).and_then(|session| session.partitions.get(&log));
            if let Some(at) = partition.and_then(|partition| partition.lookup) {
                self.look_up(consumer, log, at);
            }
        }
    }

    pub(super) fn looked_up(
        &mut self,
        consumer: ConsumerId,
        log: LogId,
        at: Date,
        result: &Result<Offset, StorageError>,
    ) {
        let Some(session) = self.sessions.get_mut(&consumer) else { return };
        if session.partitions.get(&log).is_none_or(|partition| partition.lookup != Some(at)) {
            return;
        }
        let Some(bounds) = self.logs.get(&log).map(|log| log.bounds) else { return };
        match result {
            Ok(offset) => {
                let offset = if planted!(self, LookedUpAsEnd) { &bounds.end } else { offset };
                self.place(consumer, log, Some((*offset).clamp(bounds.start, bounds.end)));
                self.keep_positions(consumer);
                self.look_again(consumer);
            }
            Err(_) => {
                session.unasked.insert(log);
            }
        }
    }
}
