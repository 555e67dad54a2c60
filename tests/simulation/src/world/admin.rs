//! What is done from outside of groups: their offsets set and deleted; topics configured; dates told.

use takhin_core::{
    Cleanup, Date, Event, GroupName, OffsetTarget, Refusal, Request, Response, SetOffset, TopicConfigChange,
};

use super::{World, replies::Ask};
use crate::{coverage::Rare, options::GroupKind, oracle::Violation};

/// The date at which every world begins.
const FIRST_DATE: i64 = 1_700_000_000_000;

impl World {
    /// The date, as whoever looks at a calendar would say.
    pub(super) fn date(&self) -> Date {
        Self::date_of(self.now, self.date_skew)
    }

    pub(super) fn date_of(now: u64, skew: i64) -> Date {
        let now = i64::try_from(now).unwrap_or(i64::MAX);
        Date(FIRST_DATE.saturating_add(now).saturating_add(skew))
    }

    pub(super) fn tell_date(&mut self) -> Result<(), Violation> {
        let now = self.date();
        self.event(Event::Date { now })
    }

    /// The date is set, and nobody says so for now.
    pub(super) fn set_date(&mut self) {
        self.date_skew += self.word.of(&[-1_000, 3_600_000, -3_600_000]).unwrap_or_default();
    }

    pub(super) fn set_offsets(&mut self) -> Result<(), Violation> {
        self.fire_timers()?;
        let dry_run = self.word.one_in(3);
        let Some(group) = self.some_group_from_outside(dry_run) else { return Ok(()) };
        let count = 1 + self.word.below(2);
        let targets: Vec<SetOffset> = (0..count).filter_map(|_| self.some_target()).collect();
        let ask = Ask::Admin;
        self.ask(None, ask, Request::SetOffsets { group, offsets: targets, dry_run }).map(drop)
    }

    fn some_target(&mut self) -> Option<SetOffset> {
        let (topic, partition) = self.some_partition()?;
        let by = i64::from(self.word.below(20)) - 8;
        let targets = [OffsetTarget::Earliest, OffsetTarget::Latest, OffsetTarget::Offset(by), OffsetTarget::By(by)];
        Some(SetOffset { topic, partition, to: self.word.of(&targets)?, metadata: None })
    }

    pub(super) fn delete_offsets(&mut self) -> Result<(), Violation> {
        self.fire_timers()?;
        let Some(group) = self.some_group_from_outside(false) else { return Ok(()) };
        if self.word.one_in(2) {
            return self.ask(None, Ask::Admin, Request::DeleteGroup { group }).map(drop);
        }
        let partitions = self.some_partition().into_iter().collect();
        self.ask(None, Ask::Admin, Request::DeleteOffsets { group, partitions }).map(drop)
    }

    /// A group whose offsets may be changed without breaking what is promised to its clients: one of clients that do as
    /// they like, one that nobody ever joins, or one in which somebody is, so that nothing must come of it.
    fn some_group_from_outside(&mut self, dry_run: bool) -> Option<GroupName> {
        let at = self.word.index(self.groups.len() + 1);
        let Some((kind, name)) = self.groups.get(at) else { return GroupName::new("outside").ok() };
        let may = dry_run || *kind == GroupKind::Wild || self.auditor.is_in_use(name);
        may.then(|| name.clone())
    }

    pub(super) fn admin_hears(&mut self, response: &Result<Response, Refusal>) {
        match response {
            Ok(Response::OffsetsSet { dry_run: false, .. }) => self.cover(Rare::OffsetsSetFromOutside),
            Err(Refusal::GroupActive { .. }) => self.cover(Rare::GroupInUse),
            _ => {}
        }
    }

    pub(super) fn configure_topic(&mut self) -> Result<(), Violation> {
        let name = self.topics[self.word.index(self.topics.len())].clone();
        let cleanup = self.word.of(&[None, Some(Cleanup::Compact), Some(Cleanup::Delete), Some(Cleanup::Both)]);
        let retention_ms = self.word.of(&[None, Some(1_000), Some(-1)]).flatten();
        let change = TopicConfigChange { cleanup: cleanup.flatten(), retention_ms, ..TopicConfigChange::default() };
        let partitions = self.word.one_in(4).then(|| 1 + self.word.below(u32::from(self.options.partitions) + 2));
        self.ask_for_topics(Request::ConfigureTopic { name, change, partitions })
    }

    /// Compaction drops some records of a topic that is kept in that way.
    pub(super) fn compact(&mut self) {
        let Some((log, at)) = self.some_place() else { return };
        if self.engine.compacts(log.topic) {
            self.engine.compact(log, at);
        }
    }
}
