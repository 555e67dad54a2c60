//! Answers that only tell: consumers and groups as they are.
//!
//! What they tell may be younger than what is durable, so they wait for the facts that they show.

use alloc::{collections::BTreeMap, vec::Vec};

use super::Core;
use crate::{
    command::Parts,
    fact::Subscription,
    ids::{ConsumerId, FactSeq, GroupName, LogId, RequestId},
    refusal::Refusal,
    response::{
        CommittedPartition, ConsumerDescription, GroupDescription, GroupPartition, GroupState, GroupSummary,
        PartitionStatus, Response,
    },
};

impl Core {
    pub(super) fn describe_consumer(&mut self, request: RequestId, consumer: ConsumerId) {
        if let Err(refusal) = self.must_know(consumer) {
            return self.refuse(request, refusal);
        }
        self.touch(consumer);
        let after = self.sessions[&consumer].depends_on;
        let description = self.consumer_description(consumer);
        self.reply_after(request, after, Response::Consumer(description));
    }

    pub(super) fn describe_committed(&mut self, request: RequestId, consumer: ConsumerId) {
        if let Err(refusal) = self.must_know(consumer) {
            return self.refuse(request, refusal);
        }
        self.touch(consumer);
        let session = &self.sessions[&consumer];
        let after = self.group_facts(&session.group).max(session.depends_on);
        let committed = session.partitions.keys().map(|log| CommittedPartition {
            topic: self.topic_name(*log),
            partition: log.partition,
            offset: self.durable.committed(&session.group, *log),
            metadata: self.durable.groups.get(&session.group).and_then(|group| group.metadata.get(log)).cloned(),
        });
        let response = Response::Committed(committed.collect());
        self.reply_after(request, after, response);
    }

    pub(super) fn list_groups(&mut self, request: RequestId) {
        let after = self.groups.values().map(|group| group.depends_on).max().unwrap_or_default();
        let groups = self.durable.groups.iter().map(|(group, record)| GroupSummary {
            group: group.clone(),
            state: self.group_state(group),
            generation: record.generation,
            members: u32::try_from(record.members.len()).unwrap_or(u32::MAX),
        });
        let response = Response::Groups(groups.collect());
        self.reply_after(request, after, response);
    }

    pub(super) fn describe_group(&mut self, request: RequestId, group: GroupName) {
        let Some(record) = self.durable.groups.get(&group) else {
            return self.refuse(request, Refusal::GroupNotFound { group });
        };
        let after = self.group_facts(&group);
        let owners = self.groups.get(&group).map(|group| &group.owners);
        let mut logs: BTreeMap<LogId, Option<ConsumerId>> = record.offsets.keys().map(|log| (*log, None)).collect();
        logs.extend(owners.into_iter().flatten().map(|(log, owner)| (*log, Some(*owner))));
        let mut partitions: Vec<GroupPartition> = Vec::new();
        partitions.extend(logs.into_iter().filter_map(|(log, owner)| {
            Some(GroupPartition {
                topic: self.topic_name(log),
                partition: log.partition,
                committed: record.offsets.get(&log).copied(),
                metadata: record.metadata.get(&log).cloned(),
                bounds: self.logs.get(&log)?.bounds,
                owner,
            })
        }));
        partitions.sort_by(|a, b| (&a.topic, a.partition).cmp(&(&b.topic, b.partition)));
        let description = GroupDescription {
            state: self.group_state(&group),
            generation: record.generation,
            assignor: self.assignor_of(&group),
            last_rebalance: record.last_rebalance.clone(),
            last_rebalance_at: record.last_rebalance_at,
            empty_since: record.empty_since,
            expires_at: record.empty_since.map(|since| since.after(self.config.offsets_retention)),
            manual: record.manual.iter().map(|consumer| self.consumer_description(*consumer)).collect(),
            members: record.members.iter().map(|consumer| self.consumer_description(*consumer)).collect(),
            partitions,
            group,
        };
        self.reply_after(request, after, Response::Group(description));
    }

    fn group_facts(&self, group: &GroupName) -> FactSeq {
        self.groups.get(group).map(|group| group.depends_on).unwrap_or_default()
    }

    fn group_state(&self, group: &GroupName) -> GroupState {
        let Some(record) = self.durable.groups.get(group).filter(|record| !record.members.is_empty()) else {
            return GroupState::Empty;
        };
        let settled = record.members.iter().all(|consumer| {
            let record = &self.durable.consumers[consumer];
            record.held.len() == record.target.len() && record.held.keys().all(|log| record.target.contains(log))
        });
        if settled { GroupState::Stable } else { GroupState::Reconciling }
    }

    pub(super) fn consumer_description(&self, consumer: ConsumerId) -> ConsumerDescription {
        let record = &self.durable.consumers[&consumer];
        let pattern = match &record.subscription {
            Subscription::Pattern(pattern) => Some(pattern.clone()),
            Subscription::Topics(_) | Subscription::Manual => None,
        };
        ConsumerDescription {
            consumer,
            group: record.group.clone(),
            topics: self.topics_of(&record.subscription),
            pattern,
            away: record.away,
            manual: record.subscription == Subscription::Manual,
            options: record.options.clone(),
            generation: self.sessions[&consumer].generation,
            partitions: self.positions(consumer).into_vec(),
        }
    }

    /// Where a consumer stands in each of its partitions.
    pub(super) fn positions(&self, consumer: ConsumerId) -> Parts<PartitionStatus> {
        let partitions = &self.sessions[&consumer].partitions;
        // A topic's partitions lie side by side in both tables: each is the one behind the last, or is searched for.
        let first = partitions.keys().next().copied().unwrap_or_default();
        let (mut logs, mut topic) = (self.logs.range(first..), None);
        let statuses = partitions.iter().map(|(log, partition)| {
            let next = logs.next().filter(|(next, _)| *next == log).or_else(|| {
                logs = self.logs.range(log..);
                logs.next()
            });
            let name = match topic {
                Some((id, name)) if id == log.topic => name,
                _ => &self.durable.topics[&log.topic].name,
            };
            topic = Some((log.topic, name));
            PartitionStatus {
                topic: name.clone(),
                partition: log.partition,
                position: partition.position,
                end: next.map(|(_, log)| log.bounds.end).unwrap_or_default(),
                revoking: partition.revoking,
                paused: partition.paused,
            }
        });
        statuses.collect()
    }
}
