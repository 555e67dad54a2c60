//! Bands: for each generation of a group, who shall have which partitions, what moved, and what brought it about.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use takhin_core::{ConsumerId, Core, Fact, Generation, GroupName, LogId};

use super::{Draft, Glyph, Observer, flag, words};

/// Partitions that a share names; of the rest it says how many.
const MOST_NAMED: usize = 64;

/// One generation.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Band {
    /// The group's lane.
    pub(crate) lane: u32,
    pub(crate) row: u32,
    pub(crate) t: u32,
    pub(crate) generation: u64,
    /// In words.
    pub(crate) reason: String,
    pub(crate) members: Vec<Share>,
}

/// A member's share.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Share {
    pub(crate) name: String,
    pub(crate) letter: Option<char>,
    pub(crate) partitions: Vec<String>,
    /// Those of them that another had before, or nobody.
    pub(crate) moved: Vec<String>,
    /// How many more there are than are named.
    pub(crate) more: usize,
}

/// Who shall have what, as decided.
#[derive(Clone, Debug, Default)]
pub(crate) struct Groups {
    targets: BTreeMap<GroupName, BTreeMap<ConsumerId, BTreeSet<LogId>>>,
    of: BTreeMap<ConsumerId, GroupName>,
}

impl Groups {
    /// Learns what a core has.
    pub(crate) fn know(&mut self, core: &Core) {
        (self.targets, self.of) = (BTreeMap::new(), BTreeMap::new());
        for (consumer, record) in &core.durable().consumers {
            self.of.insert(*consumer, record.group.clone());
            self.targets.entry(record.group.clone()).or_default().insert(*consumer, record.target.clone());
        }
    }

    pub(super) fn created(&mut self, consumer: ConsumerId, group: &GroupName) {
        self.of.insert(consumer, group.clone());
    }

    pub(super) fn group_of(&self, consumer: ConsumerId) -> Option<&GroupName> {
        self.of.get(&consumer)
    }

    pub(super) fn taken_over(&mut self, from: ConsumerId, by: ConsumerId) {
        let Some(group) = self.of.remove(&from) else { return };
        let targets = self.targets.entry(group.clone()).or_default();
        let target = targets.remove(&from).unwrap_or_default();
        targets.insert(by, target);
        self.of.insert(by, group);
    }

    pub(super) fn ended(&mut self, consumer: ConsumerId) -> Option<GroupName> {
        let group = self.of.remove(&consumer)?;
        self.targets.entry(group.clone()).or_default().remove(&consumer);
        Some(group)
    }
}

impl Observer {
    /// A group was assigned anew.
    pub(super) fn rebalanced(&mut self, draft: &mut Draft, fact: &Fact, ended: &BTreeMap<ConsumerId, BTreeSet<LogId>>) {
        let Fact::Rebalanced { group, generation: Generation(generation), reason, targets, .. } = fact else { return };
        let before = self.groups.targets.get(group).cloned().unwrap_or_default();
        let owner_before = |log: &LogId| {
            let owners = before.iter().chain(ended).filter(|(_, logs)| logs.contains(log));
            owners.map(|(consumer, _)| *consumer).next()
        };
        let now = self.groups.targets.entry(group.clone()).or_default();
        now.extend(targets.iter().map(|(consumer, logs)| (*consumer, logs.clone())));
        let mut members = Vec::new();
        for (consumer, logs) in now.iter() {
            let name = |log: &LogId| self.lanes.log_name(*log);
            let named = || logs.iter().take(MOST_NAMED);
            members.push(Share {
                name: self.lanes.consumer_name(*consumer),
                letter: self.lanes.letter(*consumer),
                partitions: named().map(name).collect(),
                moved: named().filter(|log| owner_before(log) != Some(*consumer)).map(name).collect(),
                more: logs.len().saturating_sub(MOST_NAMED),
            });
        }
        members.sort_by(|one, other| one.name.cmp(&other.name));
        let lane = self.lanes.group(group);
        let reason = words::rebalance(reason, |consumer| self.lanes.consumer_name(consumer));
        draft.flags |= flag::REBALANCED;
        words::add(&mut draft.text, &format!("{group} is in generation {generation}: {reason}"));
        self.mark(draft, lane, Glyph::Join);
        self.bands.push(Band { lane, row: draft.row, t: draft.t, generation: *generation, reason, members });
    }

    pub(super) fn targets_of(&self, group: &GroupName, consumer: ConsumerId) -> BTreeSet<LogId> {
        self.groups.targets.get(group).and_then(|targets| targets.get(&consumer)).cloned().unwrap_or_default()
    }
}
