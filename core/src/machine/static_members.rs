//! Static members: workers with a place of their own in a group, which outlives the consumer that has it.
//!
//! ```text
//!   goodbye ------> away: the place is kept, until the session times out ---> left, as any member
//!   subscribe with the same instance id, to a place that is kept or still taken
//!           ------> taken over: the old consumer is no more; no rebalance unless it wants something else
//! ```
//!
//! A crashed client says no goodbye, so the newer one is right, and the older one is fenced. After KIP-345.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};

use super::Core;
use crate::{
    config::ConsumerOptions,
    fact::{Fact, RebalanceReason, Subscription},
    ids::{ConsumerId, GroupName, InstanceId, LogId},
    refusal::LeaveReason,
    session::{Partition, Partitions},
};

impl Core {
    /// The consumer that has the place which these options ask for.
    pub(super) fn former_instance(&self, group: &GroupName, options: &ConsumerOptions) -> Option<ConsumerId> {
        let instance = options.instance_id.as_ref()?;
        self.groups.get(group)?.instances.get(instance).copied()
    }

    /// Whether the consumer went away, and these options ask for its place.
    pub(super) fn is_coming_back(&self, consumer: ConsumerId, group: &GroupName, options: &ConsumerOptions) -> bool {
        let away = self.sessions.get(&consumer).is_some_and(|session| session.away);
        away && self.former_instance(group, options) == Some(consumer)
    }

    pub(super) fn is_static_member(&self, consumer: ConsumerId) -> bool {
        let record = self.durable.consumers.get(&consumer);
        record.is_some_and(|it| it.options.instance_id.is_some() && it.subscription != Subscription::Manual)
    }

    pub(super) fn take_place(&mut self, group: &GroupName, instance: Option<InstanceId>, consumer: ConsumerId) {
        if let (Some(instance), Some(group)) = (instance, self.groups.get_mut(group)) {
            group.instances.insert(instance, consumer);
        }
    }

    pub(super) fn leave_place(&mut self, group: &GroupName, instance: Option<&InstanceId>, consumer: ConsumerId) {
        if let (Some(instance), Some(group)) = (instance, self.groups.get_mut(group))
            && group.instances.get(instance) == Some(&consumer)
        {
            group.instances.remove(instance);
        }
    }

    /// A static member said goodbye. What it did not commit will come again, to whoever takes its place; what it was
    /// giving up is free.
    pub(super) fn go_away(&mut self, consumer: ConsumerId) {
        let Some(session) = self.sessions.get(&consumer) else { return };
        let (group, reset) = (session.group.clone(), session.options.auto_offset_reset);
        let uncommitted: BTreeSet<LogId> = session.delivered().map(|(log, _)| log).collect();
        for log in &uncommitted {
            let begin = self.first_position(&group, reset, *log);
            self.place(consumer, *log, begin);
        }
        if !uncommitted.is_empty() {
            self.keep_positions(consumer);
        }
        self.record(Fact::WentAway { consumer });
        let Some(session) = self.sessions.get_mut(&consumer) else { return };
        session.away = true;
        session.poll_by = None;
        let revoking = session.partitions.iter().filter(|(_, partition)| partition.revoking);
        let revoking: Vec<LogId> = revoking.map(|(log, _)| *log).collect();
        self.release_revoking(consumer, &revoking);
        self.touch(consumer);
    }

    /// Gives the place of `former` to a new consumer, with all that is meant for it.
    pub(super) fn take_over(
        &mut self,
        former: ConsumerId,
        consumer: ConsumerId,
        group: &GroupName,
        options: ConsumerOptions,
        subscription: Subscription,
    ) {
        self.end_polls(former, LeaveReason::Replaced);
        let Some((_, stood, was_member)) = self.end_session(former) else { return };
        let instance = options.instance_id.clone();
        self.begin_session(consumer, group, &options, &subscription);
        let after = self.record(Fact::TakenOver { from: former, consumer, options, subscription });
        if let Some(session) = self.sessions.get_mut(&consumer) {
            session.depends_on = after;
        }
        if let Some(group) = self.groups.get_mut(group) {
            group.depends_on = after;
        }
        self.take_place(group, instance, consumer);
        self.index_targets(group);
        self.hold_what_is_settled(consumer, group, &stood);
        if was_member && self.decide_targets(group).is_empty() {
            self.grant_free(group);
        } else {
            self.rebalance(group, RebalanceReason::Joined(consumer));
        }
    }

    /// Of what the former consumer had, the new one goes on where that stood if nothing was left uncommitted there. The
    /// rest is granted as to anybody.
    fn hold_what_is_settled(&mut self, consumer: ConsumerId, name: &GroupName, stood: &Partitions) {
        let Some(record) = self.durable.consumers.get(&consumer) else { return };
        let settled = stood.iter().filter(|(log, partition)| {
            record.target.contains(log) && partition.delivered.is_none() && partition.position.is_some()
        });
        let at = |(log, partition): (&LogId, &Partition)| {
            (*log, Partition { position: partition.position, ..Partition::default() })
        };
        let kept: BTreeMap<LogId, Partition> = settled.map(at).collect();
        if let Some(group) = self.groups.get_mut(name) {
            group.owners.extend(kept.keys().map(|log| (*log, consumer)));
        }
        let logs = kept.keys().copied().collect();
        self.hold(consumer, &logs, &kept);
    }
}
