//! Groups that nobody is in are forgotten after a while, with their offsets.
//!
//! A group's while is counted in dates, since it goes on while the broker does not run. As long as the broker isn't told
//! the date, nothing expires.

use alloc::{collections::BTreeSet, vec::Vec};

use serde::{Deserialize, Serialize};

use super::Core;
use crate::{
    fact::Fact,
    ids::GroupName,
    planted::planted,
    time::{Date, DurationMs, Timestamp},
    timers::Timer,
};

/// The groups that nobody is in, by since when that is so.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Expiry {
    pub(super) empty: BTreeSet<(Date, GroupName)>,
    /// Whether, and to when, the timer is set.
    pub(super) timer: Option<Timestamp>,
}

impl Core {
    /// What date it is, if that is known.
    pub(super) fn date(&self) -> Option<Date> {
        let now = i64::try_from(self.now.0).unwrap_or(i64::MAX);
        self.date_offset.map(|offset| Date(now.saturating_add(offset)))
    }

    pub(super) fn set_date(&mut self, date: Date) {
        let now = i64::try_from(self.now.0).unwrap_or(i64::MAX);
        let first = self.date_offset.replace(date.0.saturating_sub(now)).is_none();
        if first {
            self.date_empty_groups();
        }
        self.set_expiry_timer();
    }

    /// The first date since a start: groups that became empty when it was not known, or as the broker died, count from
    /// now on.
    fn date_empty_groups(&mut self) {
        let groups = self.durable.groups.iter().filter(|(_, record)| record.is_empty());
        let groups: Vec<(GroupName, Option<Date>)> =
            groups.map(|(name, record)| (name.clone(), record.empty_since)).collect();
        for (name, since) in groups {
            match since {
                Some(since) => {
                    self.expiry.empty.insert((since, name));
                }
                None => self.note_empty(&name),
            }
        }
    }

    /// If nobody is in a group, its while begins anew.
    pub(super) fn note_empty(&mut self, name: &GroupName) {
        let Some(at) = self.date() else { return };
        let Some(record) = self.durable.groups.get(name).filter(|record| record.is_empty()) else { return };
        let noted = record.empty_since == Some(at);
        self.forget_expiry(name);
        if !noted {
            self.record(Fact::GroupEmptied { group: name.clone(), at });
        }
        self.expiry.empty.insert((at, name.clone()));
        self.set_expiry_timer();
    }

    /// A group is about to be somebody's again, or to be no more.
    pub(super) fn forget_expiry(&mut self, name: &GroupName) {
        if let Some(since) = self.durable.groups.get(name).and_then(|record| record.empty_since) {
            self.expiry.empty.remove(&(since, name.clone()));
        }
    }

    pub(super) fn offsets_due(&mut self) {
        self.expiry.timer = None;
        let Some(today) = self.date() else { return };
        while let Some((since, name)) = self.expiry.empty.first().cloned() {
            if since.after(self.offsets_retention()) > today {
                break;
            }
            self.expiry.empty.pop_first();
            self.record(Fact::GroupDeleted { group: name.clone() });
            self.groups.remove(&name);
        }
        self.set_expiry_timer();
    }

    fn offsets_retention(&self) -> DurationMs {
        let DurationMs(ms) = self.config.offsets_retention;
        DurationMs(if planted!(self, OffsetsExpireEarly) { ms / 2 } else { ms })
    }

    fn set_expiry_timer(&mut self) {
        let due = self.expiry.empty.first().and_then(|(since, _)| {
            let due = since.after(self.offsets_retention()).0.saturating_sub(self.date_offset?);
            Some(Timestamp(u64::try_from(due).unwrap_or_default()))
        });
        if due == self.expiry.timer {
            return;
        }
        if let Some(at) = self.expiry.timer.take() {
            self.timers.unset(at, Timer::Offsets);
        }
        if let Some(at) = due {
            self.timers.set(at, Timer::Offsets);
            self.expiry.timer = Some(at);
        }
    }
}
