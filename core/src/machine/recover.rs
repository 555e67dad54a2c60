//! A start from what an earlier core left: snapshot, then the facts after it, then the logs as storage found them.
//!
//! Ids, memberships, assignments and committed offsets are as they were. Every session's clock starts anew.
//! Positions are those last made durable; a batch that was open then is open again, and unsure.

use alloc::{collections::BTreeMap, vec::Vec};

use super::{Core, rebalance::Group, topics::Topic};
use crate::{
    by_log::ByLog,
    config::Config,
    durable::{ConsumerRecord, Durable},
    fact::{Fact, OpenBatch, RebalanceReason, Subscription},
    ids::{Boot, ConsumerId, FactSeq, GroupName, LogId, Offset, RequestId, TopicId, TopicName},
    log::Log,
    outbox::Outbox,
    response::Bounds,
    session::{Batch, News, Partition, Range, Receipts, Session},
    time::Timestamp,
    topic_config::TopicConfig,
};

/// A recovery under way.
#[derive(Clone, Debug)]
pub struct Recovery {
    config: Config,
    durable: Durable,
    through: FactSeq,
}

/// The logs of one topic, as storage needs to know them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSpec {
    /// The topic.
    pub topic: TopicId,
    /// Its name.
    pub name: TopicName,
    /// How many partitions it has.
    pub partitions: u32,
    /// How they are kept.
    pub config: TopicConfig,
}

impl Recovery {
    /// Starts from a snapshot that has in it all facts up to `through`; or from [`Durable::default`] and 0.
    pub fn new(config: Config, snapshot: Durable, through: FactSeq) -> Self {
        Self { config, durable: snapshot, through }
    }

    /// Applies a fact; facts are to come in order. One that the snapshot has in already changes nothing.
    pub fn apply(&mut self, seq: FactSeq, fact: &Fact) {
        if seq > self.through {
            self.through = seq;
            self.durable.apply(fact, self.config.max_ended_remembered);
        }
    }

    /// The last fact applied.
    pub fn through(&self) -> FactSeq {
        self.through
    }

    /// The state that all of it makes up, as the core will begin with it.
    pub fn durable(&self) -> Durable {
        let mut durable = self.durable.clone();
        durable.mend();
        durable
    }

    /// The logs that storage should have; it is to make those that it lacks, empty.
    pub fn logs(&self) -> impl Iterator<Item = LogSpec> + '_ {
        self.durable.topics.iter().map(|(id, record)| LogSpec {
            topic: *id,
            name: record.name.clone(),
            partitions: record.partitions,
            config: record.config,
        })
    }

    /// Ends the recovery, with the bounds of the logs as storage found them (a log that is missing is empty).
    ///
    /// What a crash left half done (a member gone, its partitions not yet handed on) is done now; the first step
    /// gives the commands for it.
    pub fn finish(self, boot: Boot, now: Timestamp, bounds: &BTreeMap<LogId, Bounds>) -> Core {
        let mut core = Core::new(self.config, boot);
        core.now = now;
        core.outbox = Outbox::resume(self.through);
        core.durable = self.durable;
        core.durable.mend();
        core.recover_topics(bounds);
        core.recover_commits();
        let consumers: Vec<ConsumerId> = core.durable.consumers.keys().copied().collect();
        for consumer in consumers {
            core.recover_session(consumer);
        }
        let groups: Vec<GroupName> = core.durable.groups.keys().cloned().collect();
        for group in groups {
            core.recover_group(&group);
        }
        core.release_of_the_away();
        core
    }
}

impl Core {
    fn recover_topics(&mut self, bounds: &BTreeMap<LogId, Bounds>) {
        for (id, record) in &self.durable.topics {
            let topic = Topic {
                id: *id,
                usable: record.partitions,
                pending: None,
                config: record.config,
                configured: self.outbox.persisted(),
            };
            self.topics.insert(record.name.clone(), topic);
            self.partitions += u64::from(record.partitions);
            for partition in 0..record.partitions {
                let log = LogId { topic: *id, partition };
                self.logs.insert(log, Log::new(bounds.get(&log).copied().unwrap_or_default()));
            }
        }
    }

    /// Where a log lost its end (a power cut, with a durability that allows for it), offsets committed beyond it
    /// are taken back to it: else what is written there next would be skipped.
    fn recover_commits(&mut self) {
        let mut lost: Vec<(GroupName, ByLog<Offset>)> = Vec::new();
        for (name, group) in &self.durable.groups {
            let beyond = group.offsets.iter().filter_map(|(log, offset)| {
                let end = self.logs.get(log)?.bounds.end;
                (*offset > end).then_some((*log, end))
            });
            lost.push((name.clone(), beyond.collect()));
        }
        for (group, offsets) in lost {
            if !offsets.is_empty() {
                self.record(Fact::Committed { group, offsets, metadata: BTreeMap::new() });
            }
        }
    }

    fn recover_session(&mut self, consumer: ConsumerId) {
        let record = &self.durable.consumers[&consumer];
        let mut session = Session::new(record.group.clone(), record.options.clone(), self.now);
        session.generation = record.generation;
        session.away = record.away;
        if record.subscription == Subscription::Manual || record.away {
            session.poll_by = None;
        }
        session.receipts = Receipts::resume(record.batch, record.open.as_ref().map(|open| unsure(open, record)));
        let logs = &self.logs;
        if let Some(batch) = &mut session.receipts.open {
            let before = batch.ranges.len();
            batch.ranges.retain(|range| logs.get(&range.log).is_some_and(|log| range.next <= log.bounds.end));
            batch.lessened = batch.ranges.len() < before;
            session.outdated.extend(batch.ranges.iter().map(|range| range.log));
        }
        session.news.revoked.clone_from(&record.lost);
        for (log, position) in &record.held {
            let Some(entry) = self.logs.get_mut(log) else { continue };
            entry.holders.insert(consumer);
            if position.is_some_and(|at| at > entry.bounds.end) {
                session.outdated.insert(*log);
            }
            let position = position.map(|at| at.min(entry.bounds.end));
            let committed = self.durable.groups.get(&record.group).and_then(|group| group.offsets.get(log)).copied();
            let uncommitted = position.filter(|at| committed.is_none_or(|committed| committed < *at));
            if uncommitted.is_some() {
                session.uncommitted.insert(*log);
                session.delivered.insert(*log);
            }
            let partition = Partition {
                position,
                lookup: record.lookups.get(log).copied().filter(|_| position.is_none()),
                counted: position.unwrap_or_default(),
                delivered: uncommitted,
                received: uncommitted,
                committed: None,
                paused: record.paused.contains(log),
                revoking: record.subscription != Subscription::Manual && !record.target.contains(log),
                resumed: true,
            };
            if partition.lookup.is_some() {
                session.unasked.insert(*log);
            }
            session.partitions.insert(*log, partition);
            let name = &self.durable.topics[&log.topic].name;
            if partition.revoking {
                session.news.revoke(*log, name.clone());
            } else if record.untold.contains(log) {
                session.news.assign(*log, name.clone());
                session.news.perhaps_told.insert(*log);
            }
        }
        let (group, subscription) = (record.group.clone(), record.subscription.clone());
        self.list_subscriber(consumer, &group, &subscription);
        let logs: Vec<LogId> = session.partitions.keys().copied().collect();
        self.sessions.insert(consumer, session);
        for log in logs {
            self.file(consumer, log);
        }
        self.touch(consumer);
        self.start_rebalance_timer(consumer);
    }

    /// A static member that is away was to give up something, and the crash came before it did.
    fn release_of_the_away(&mut self) {
        let away = self.sessions.iter().filter(|(_, session)| session.away && session.is_revoking());
        let away: Vec<ConsumerId> = away.map(|(consumer, _)| *consumer).collect();
        for consumer in away {
            let logs: Vec<LogId> = self.sessions[&consumer].partitions.keys().copied().collect();
            self.release_revoking(consumer, &logs);
        }
    }

    fn recover_group(&mut self, name: &GroupName) {
        let (mut group, known) = (Group::default(), &self.durable.groups[name]);
        for consumer in known.members.iter().chain(&known.manual) {
            let record = &self.durable.consumers[consumer];
            group.instances.extend(record.options.instance_id.clone().map(|instance| (instance, *consumer)));
            if record.subscription != Subscription::Manual {
                group.owners.extend(record.held.keys().map(|log| (*log, *consumer)));
            }
        }
        self.groups.insert(name.clone(), group);
        self.index_targets(name);
        if self.decide_targets(name).is_empty() {
            self.grant_free(name);
        } else {
            self.rebalance(name, RebalanceReason::Recovered);
        }
    }
}

/// A batch that was open when positions were last made durable. It isn't known whether it arrived.
fn unsure(open: &OpenBatch, record: &ConsumerRecord) -> Batch {
    let ranges = open.ranges.iter().map(|(log, (from, next))| Range {
        log: *log,
        from: *from,
        next: *next,
        delivered_before: None,
    });
    Batch {
        id: open.batch,
        request: RequestId::default(),
        ranges: ranges.collect(),
        news: News::default(),
        generation: record.generation,
        handed_out_before: true,
        lessened: false,
        counted_as_delivered: false,
    }
}
