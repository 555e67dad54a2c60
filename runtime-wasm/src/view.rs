//! The state at the cursor, as the page's left side shows it.

use serde::Serialize;
use takhin_core::{ConsumerView, LogId, StorageState, response::PartitionStatus};

use crate::{
    machine::Machine,
    observer::Observer,
    world::{ClientLife, Role},
};

/// Everything that is there at a moment.
#[derive(Debug, Serialize)]
pub(crate) struct View {
    now: u64,
    /// Whether the broker is away.
    down: bool,
    /// Why nothing can be written, if so.
    storage: Option<String>,
    lag: u64,
    topics: Vec<TopicView>,
    groups: Vec<GroupView>,
    clients: Vec<ClientView>,
}

#[derive(Debug, Serialize)]
struct TopicView {
    name: String,
    /// Start and end of each partition.
    partitions: Vec<(u64, u64)>,
}

#[derive(Debug, Serialize)]
struct GroupView {
    name: String,
    generation: u64,
    lag: u64,
    /// How old the oldest record is that was not committed.
    lag_ms: u64,
    members: Vec<MemberView>,
}

#[derive(Debug, Serialize)]
struct MemberView {
    name: String,
    letter: Option<char>,
    away: bool,
    /// When it is removed, unless it is heard of; nothing while it polls.
    ends_at: Option<u64>,
    poll: Option<Poll>,
    partitions: Vec<Held>,
}

#[derive(Debug, Serialize)]
struct Poll {
    request: String,
    parked: bool,
    deadline: u64,
}

#[derive(Debug, Serialize)]
struct Held {
    name: String,
    position: Option<u64>,
    committed: Option<u64>,
    end: u64,
    lag: u64,
    revoking: bool,
}

#[derive(Debug, Serialize)]
struct ClientView {
    name: String,
    role: &'static str,
    life: &'static str,
    /// Until when it is frozen.
    until: Option<u64>,
    waiting: bool,
    /// Records that it is at.
    processing: u32,
    every_ms: Option<u32>,
    process_ms: Option<u32>,
}

/// Looks at a machine; `begin` is where its time line begins.
pub(crate) fn view(machine: &Machine, observer: &Observer, begin: u64) -> View {
    let core = machine.core();
    let durable = core.durable();
    let mut groups: Vec<GroupView> = Vec::new();
    for (name, record) in &durable.groups {
        let (generation, name) = (record.generation.0, name.to_string());
        groups.push(GroupView { name, generation, lag: 0, lag_ms: 0, members: Vec::new() });
    }
    for consumer in core.consumer_views() {
        if let Some(group) = groups.iter_mut().find(|group| group.name == **consumer.group) {
            group.add(&consumer, machine, observer, begin);
        }
    }
    for group in &mut groups {
        group.members.sort_by(|one, other| one.name.cmp(&other.name));
    }
    let figures = core.figures();
    let mut topics: Vec<TopicView> = Vec::new();
    for log in figures.logs {
        let bounds = (log.bounds.start.0, log.bounds.end.0);
        match topics.last_mut().filter(|topic| topic.name == *log.topic) {
            Some(topic) => topic.partitions.push(bounds),
            None => topics.push(TopicView { name: log.topic.to_string(), partitions: vec![bounds] }),
        }
    }
    let world = machine.world();
    View {
        now: machine.now(),
        down: world.is_some_and(|world| world.down),
        storage: world.and_then(|world| refusal(world.storage())),
        lag: core.lag(),
        topics,
        groups,
        clients: world.map(|world| world.clients.iter().map(client).collect()).unwrap_or_default(),
    }
}

fn refusal(state: &StorageState) -> Option<String> {
    state.refusal().map(ToString::to_string)
}

fn client(client: &crate::world::Client) -> ClientView {
    let (life, until) = match client.life {
        ClientLife::Running => ("running", None),
        ClientLife::Frozen(until) => ("frozen", Some(until)),
        ClientLife::Dead => ("dead", None),
        ClientLife::Gone => ("gone", None),
    };
    let (role, processing, every_ms, process_ms) = match &client.role {
        Role::Producer(producer) => ("producer", 0, Some(producer.plan.every_ms), None),
        Role::Consumer(consumer) => ("consumer", consumer.processing, None, Some(consumer.plan.process_ms)),
    };
    let (name, waiting) = (client.name.clone(), client.is_waiting());
    ClientView { name, role, life, until, waiting, processing, every_ms, process_ms }
}

impl GroupView {
    fn add(&mut self, consumer: &ConsumerView<'_>, machine: &Machine, observer: &Observer, begin: u64) {
        let core = machine.core();
        let mut partitions = Vec::new();
        for PartitionStatus { topic, partition, position, end, revoking, .. } in &consumer.partitions {
            let Ok((log, bounds)) = core.bounds(topic, *partition) else { continue };
            let committed = core.durable().committed(consumer.group, log);
            let done = committed.or(*position).unwrap_or(bounds.start);
            let lag = end.0.saturating_sub(done.0);
            if lag > 0 {
                self.lag_ms = self.lag_ms.max(age(machine, log, done).unwrap_or_default());
            }
            self.lag += lag;
            partitions.push(Held {
                name: format!("{topic}/{partition}"),
                position: position.map(|offset| offset.0),
                committed: committed.map(|offset| offset.0),
                end: end.0,
                lag,
                revoking: *revoking,
            });
        }
        let poll = consumer.poll.map(|poll| Poll {
            request: poll.request.0.to_string(),
            parked: poll.parked,
            deadline: poll.deadline.0.saturating_sub(begin),
        });
        self.members.push(MemberView {
            name: observer.lanes.consumer_name(consumer.consumer),
            letter: observer.lanes.letter(consumer.consumer),
            away: consumer.away,
            ends_at: poll.is_none().then(|| consumer.ends_at.0.saturating_sub(begin)),
            poll,
            partitions,
        });
    }
}

/// How old the record at an offset is.
fn age(machine: &Machine, log: LogId, offset: takhin_core::Offset) -> Option<u64> {
    let at = machine.world()?.appended_at(log, offset)?;
    Some(machine.now().saturating_sub(at))
}
