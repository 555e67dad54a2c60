//! What a node of a cluster needs of a driver: which logs a request is about, what it knows of topics, and requests under
//! ids that are given from outside.

use std::collections::{BTreeMap, BTreeSet};

use takhin_core::{
    Event, Fact, GroupName, LogId, Refusal, Request, RequestId, TopicConfig, TopicId, TopicName, Topics,
    durable::Durable, fact::Subscription, response::Bounds,
};

use super::{Answer, Bodies, Driver, Form};

/// A topic as a core knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KnownTopic {
    pub(crate) id: TopicId,
    pub(crate) partitions: u32,
    pub(crate) config: TopicConfig,
}

/// In which form records are wanted.
pub(crate) use super::fetch::Form as RecordForm;

impl Driver {
    /// Asks, in either form.
    pub(crate) async fn ask_in(&self, request: Request, form: Form) -> Result<Answer, Refusal> {
        self.ask_with(None, request, Bodies::new(), form).await
    }

    /// Asks under an id that is given, and that nobody has had.
    pub(crate) async fn ask_as(&self, id: RequestId, request: Request) -> Result<Answer, Refusal> {
        self.ask_with(Some(id), request, Bodies::new(), Form::Records).await
    }

    /// The turn to tell it of topics.
    pub(crate) async fn taught(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.shared.taught.lock().await
    }

    /// Logs reach from here to there: known to the core when this returns.
    pub(crate) fn logs_moved(&self, logs: &[(LogId, Bounds)]) {
        for (log, Bounds { start, end }) in logs {
            self.bring(Event::LogMoved { log: *log, start: *start, end: *end });
        }
    }

    /// All topics that it knows.
    pub(crate) fn known_topics(&self) -> BTreeMap<TopicName, KnownTopic> {
        let state = self.lock();
        let topics = state.core.durable().topics.iter();
        let known = topics.map(|(id, record)| {
            (record.name.clone(), KnownTopic { id: *id, partitions: record.partitions, config: record.config })
        });
        known.collect()
    }

    /// The logs of which a request needs to know how far they reach, each once.
    pub(crate) fn logs_touched(&self, request: &Request) -> Vec<LogId> {
        let state = self.lock();
        let core = &state.core;
        let whole = |name: &TopicName| {
            let view = core.topic(name);
            view.into_iter().flat_map(|it| (0..it.partitions).map(move |partition| LogId { topic: it.id, partition }))
        };
        let one = |(name, partition): (&TopicName, u32)| core.bounds(name, partition).ok().map(|(log, _)| log);
        let wanted = |topics: &Topics| -> Vec<LogId> {
            match topics {
                Topics::Named(names) => names.iter().flat_map(whole).collect(),
                Topics::Matching(pattern) => {
                    let matching = pattern.compile().ok();
                    let names = core.durable().topics.values().map(|record| &record.name);
                    names.filter(|name| matching.as_ref().is_some_and(|it| it.matches(name))).flat_map(whole).collect()
                }
            }
        };
        let of_group = |group: &GroupName| -> Vec<LogId> {
            let Some(record) = core.durable().groups.get(group) else { return Vec::new() };
            let members = record.members.iter().chain(&record.manual).flat_map(|member| core.held(*member));
            let logs: BTreeSet<LogId> = record.offsets.keys().copied().chain(members).collect();
            logs.into_iter().collect()
        };
        match request {
            Request::Subscribe { topics, .. } | Request::ChangeSubscription { topics, .. } => wanted(topics),
            Request::Assign { partitions, .. } => partitions.iter().filter_map(|(n, p)| one((n, *p))).collect(),
            Request::Commit { offsets: Some(offsets), .. } => {
                offsets.iter().filter_map(|at| one((&at.topic, at.partition))).collect()
            }
            Request::Seek { positions, .. } => {
                positions.iter().filter_map(|at| one((&at.topic, at.partition))).collect()
            }
            Request::SetOffsets { group, offsets, .. } => {
                let named = offsets.iter().filter_map(|at| one((&at.topic, at.partition)));
                // Most of what is set was committed before.
                named.chain(of_group(group)).collect::<BTreeSet<_>>().into_iter().collect()
            }
            Request::Consume { consumer, .. }
            | Request::SeekPlace { consumer, .. }
            | Request::Describe { consumer }
            | Request::Committed { consumer } => core.held(*consumer).collect(),
            Request::DescribeGroup { group } => of_group(group),
            Request::Read { topic, partition, .. } => one((topic, *partition)).into_iter().collect(),
            Request::DescribeTopic { name } => whole(name).collect(),
            Request::ListTopics => core.durable().topics.values().map(|record| &record.name).flat_map(whole).collect(),
            _ => Vec::new(),
        }
    }

    /// Whoever waits for an answer is to ask again, here or elsewhere; the core goes on.
    pub(crate) fn turn_away(&self) {
        self.lock().turn_away();
    }
}

/// Facts as they are journaled: each a line of JSON.
pub(crate) fn fact_lines(bytes: &[u8]) -> impl Iterator<Item = Result<Fact, serde_json::Error>> + '_ {
    bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).map(serde_json::from_slice)
}

/// The logs of which a recovery has to know how far they reach.
pub(crate) fn logs_recovered(durable: &Durable) -> BTreeSet<LogId> {
    let committed = durable.groups.values().flat_map(|group| group.offsets.keys());
    let held = durable.consumers.values().flat_map(|consumer| consumer.held.keys().chain(&consumer.target));
    // Whoever subscribes to a topic may be given any of its partitions.
    let (mut subscribed, mut patterns) = (BTreeSet::new(), BTreeSet::new());
    for consumer in durable.consumers.values() {
        match &consumer.subscription {
            Subscription::Topics(names) => subscribed.extend(names),
            Subscription::Pattern(pattern) => drop(patterns.insert(pattern)),
            Subscription::Manual => {}
        }
    }
    let matchers: Vec<_> = patterns.into_iter().filter_map(|pattern| pattern.compile().ok()).collect();
    let topics = durable.topics.iter().filter(|(_, record)| {
        subscribed.contains(&record.name) || matchers.iter().any(|matcher| matcher.matches(&record.name))
    });
    let whole = topics.flat_map(|(id, record)| {
        let topic = *id;
        (0..record.partitions).map(move |partition| LogId { topic, partition })
    });
    committed.chain(held).copied().chain(whole).collect()
}
