//! Rows in words.

use takhin_core::{
    AppendedAt, ConsumerId, LeaveReason, Request, Response, StorageError, StorageState, fact::RebalanceReason,
    response::Consumed,
};

use super::Kind;
use crate::input::{Act, ConsumerPlan, ProducerPlan, Tail};

/// Adds a half sentence.
pub(super) fn add(text: &mut String, more: &str) {
    if !text.is_empty() {
        text.push_str("; ");
    }
    text.push_str(more);
}

pub(super) fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

pub(super) fn seconds(ms: u32) -> String {
    if ms < 1_000 { format!("{ms} ms") } else { format!("{}.{} s", ms / 1_000, ms % 1_000 / 100) }
}

/// The first few of some things.
pub(super) fn list(parts: &[String]) -> String {
    match parts {
        [] => "nothing".to_owned(),
        parts if parts.len() <= 4 => parts.join(", "),
        parts => format!("{} and {} more", parts[..3].join(", "), parts.len() - 3),
    }
}

pub(super) fn is_crash(act: &Act) -> bool {
    matches!(act, Act::Crash { .. })
}

/// What an input is, whom it is about, and what it does.
pub(super) fn input(act: &Act) -> (Kind, Option<&str>, String) {
    let text = match act {
        Act::Topic { name, partitions } => {
            format!("topic {name} is asked for, with {}", count(*partitions as usize, "partition"))
        }
        Act::Partitions { topic, partitions } => format!("{topic} shall have {partitions} partitions"),
        Act::DeleteTopic { topic } => format!("topic {topic} shall be deleted"),
        Act::Producer(ProducerPlan { name, topic, every_ms: 0, .. }) => format!("producer {name} appears, for {topic}"),
        Act::Producer(ProducerPlan { name, topic, every_ms, .. }) => {
            format!("producer {name} appears and sends to {topic} every {}", seconds(*every_ms))
        }
        Act::Produce { producer, records } => {
            return (Kind::Input, Some(producer), format!("{producer} sends {}", count(*records as usize, "record")));
        }
        Act::Rhythm { producer, every_ms: 0 } => {
            return (Kind::Input, Some(producer), format!("{producer} sends nothing by itself any more"));
        }
        Act::Rhythm { producer, every_ms } => {
            return (Kind::Input, Some(producer), format!("{producer} sends every {}", seconds(*every_ms)));
        }
        Act::Consumer(ConsumerPlan { name, group, .. }) => format!("consumer {name} appears, for group {group}"),
        Act::Processing { consumer, process_ms } => {
            let text = format!("{consumer} now takes {} for each record", seconds(*process_ms));
            return (Kind::Input, Some(consumer), text);
        }
        Act::Commit { consumer } => return (Kind::Input, Some(consumer), format!("{consumer} commits what it has")),
        Act::Close { consumer } => return (Kind::Input, Some(consumer), format!("{consumer} says goodbye")),
        Act::Start { client } => return (Kind::Input, Some(client), format!("{client} is started again")),
        fault => return self::fault(fault),
    };
    (Kind::Input, None, text)
}

fn fault(act: &Act) -> (Kind, Option<&str>, String) {
    let (client, text): (Option<&str>, String) = match act {
        Act::Pause { client, ms } => (Some(client), format!("{client} freezes for {}", seconds(*ms))),
        Act::Kill { client, vanish: false } => (Some(client), format!("{client} is killed")),
        Act::Kill { client, .. } => (Some(client), format!("{client} vanishes, and no connection breaks")),
        Act::DropRequest { client } => (Some(client), format!("the next request of {client} will get lost")),
        Act::DelayRequest { client, ms } => {
            (Some(client), format!("the next request of {client} will be {} late", seconds(*ms)))
        }
        Act::DuplicateRequest { client } => (Some(client), format!("the next request of {client} will arrive twice")),
        Act::LoseResponse { client } => (Some(client), format!("the next answer to {client} will get lost")),
        Act::Crash { tail: Tail::Written, .. } => (None, "the broker dies".to_owned()),
        Act::Crash { tail: Tail::Torn, .. } => (None, "the broker dies in the midst of a write".to_owned()),
        Act::Crash { .. } => (None, "the broker dies, and the disk loses what it had said to be synced".to_owned()),
        Act::FailSync => (None, "a sync fails".to_owned()),
        Act::FillDisk { ms } => (None, format!("the disk is full for {}", seconds(*ms))),
        Act::SlowDisk { by_ms, ms } => {
            (None, format!("the disk is slower by {} for {}", seconds(*by_ms), seconds(*ms)))
        }
        Act::Trim { topic, partition, records } => {
            (None, format!("retention drops {} of {topic}/{partition}", count(*records as usize, "record")))
        }
        Act::ClockJump { ms } => (None, format!("the clock jumps ahead by {}", seconds(*ms))),
        _ => (None, String::new()),
    };
    (Kind::Fault, client, text)
}

pub(super) fn kind(request: &Request) -> Kind {
    match request {
        Request::Produce { .. } => Kind::Produce,
        Request::Subscribe { .. } | Request::ChangeSubscription { .. } | Request::Assign { .. } => Kind::Subscribe,
        Request::Consume { .. } => Kind::Poll,
        Request::Commit { .. } => Kind::Commit,
        Request::Close { .. } => Kind::Close,
        Request::CreateTopic { .. }
        | Request::ConfigureTopic { .. }
        | Request::AddPartitions { .. }
        | Request::DeleteTopic { .. }
        | Request::SetOffsets { .. }
        | Request::DeleteOffsets { .. }
        | Request::DeleteGroup { .. } => Kind::Admin,
        _ => Kind::Other,
    }
}

pub(super) fn consumer_of(request: &Request) -> Option<ConsumerId> {
    match request {
        Request::ChangeSubscription { consumer, .. }
        | Request::Consume { consumer, .. }
        | Request::Commit { consumer, .. }
        | Request::Seek { consumer, .. }
        | Request::SeekPlace { consumer, .. }
        | Request::Pause { consumer, .. }
        | Request::Resume { consumer, .. }
        | Request::Assign { consumer, .. }
        | Request::Describe { consumer }
        | Request::Committed { consumer }
        | Request::Close { consumer } => Some(*consumer),
        _ => None,
    }
}

pub(super) fn request(who: &str, request: &Request) -> String {
    match request {
        Request::CreateTopic { name, partitions, .. } => {
            format!("a request to create {name} with {} arrives", count(*partitions as usize, "partition"))
        }
        Request::ConfigureTopic { name, .. } => format!("a request to configure {name} arrives"),
        Request::AddPartitions { name, partitions } => {
            format!("a request for {name} to have {partitions} partitions arrives")
        }
        Request::DeleteTopic { name } => format!("a request to delete {name} arrives"),
        Request::Produce { topic, batches } => {
            let records: u32 = batches.iter().map(|batch| batch.records).sum();
            let places: Vec<String> = batches.iter().map(|batch| format!("{topic}/{}", batch.partition)).collect();
            format!("{who} produces {} to {}", count(records as usize, "record"), list(&places))
        }
        Request::Read { topic, partition, offset, .. } => format!("somebody reads {topic}/{partition} from {offset}"),
        Request::Subscribe { group, .. } => format!("{who} subscribes in group {group}"),
        Request::ChangeSubscription { .. } => format!("{who} changes its subscription"),
        Request::Consume { limits, after_batch, .. } => {
            let after = after_batch
                .filter(|batch| batch.0 != 0)
                .map(|batch| format!(", having batch {}", batch.0 & 0xffff_ffff));
            format!("{who} polls, for up to {}{}", seconds(limits.timeout_ms), after.unwrap_or_default())
        }
        Request::Commit { generation, .. } => match generation {
            Some(generation) => format!("{who} commits, in generation {}", generation.0),
            None => format!("{who} commits"),
        },
        Request::Seek { .. } | Request::SeekPlace { .. } => format!("{who} seeks"),
        Request::Pause { .. } => format!("{who} pauses partitions"),
        Request::Resume { .. } => format!("{who} resumes partitions"),
        Request::Assign { .. } => format!("{who} takes partitions by hand"),
        Request::Close { .. } => format!("{who} says goodbye"),
        Request::Describe { .. } | Request::Committed { .. } => format!("{who} asks how it stands"),
        Request::ListTopics | Request::DescribeTopic { .. } => "somebody asks for topics".to_owned(),
        Request::ListGroups | Request::DescribeGroup { .. } => "somebody asks for groups".to_owned(),
        Request::SetOffsets { group, .. } => format!("offsets of {group} are to be set"),
        Request::DeleteOffsets { group, .. } => format!("offsets of {group} are to be deleted"),
        Request::DeleteGroup { group } => format!("group {group} is to be deleted"),
    }
}

pub(super) fn answer(who: &str, kind: Kind, response: &Response) -> Option<String> {
    match (kind, response) {
        (Kind::Produce, Response::Produced(batches)) if batches.iter().any(|batch| batch.duplicate) => {
            Some(format!("{who} hears that they were there already"))
        }
        (Kind::Produce, _) => Some(format!("{who} hears so")),
        (Kind::Commit, _) => Some(format!("{who}'s commit is acknowledged")),
        (Kind::Subscribe, Response::Consumer(told)) => {
            let parts: Vec<String> = told.partitions.iter().map(|p| format!("{}/{}", p.topic, p.partition)).collect();
            Some(format!("{who} is told its share: {}", list(&parts)))
        }
        (Kind::Close, _) => Some("goodbye is acknowledged".to_owned()),
        (_, Response::Topic(topic)) => Some(format!("{} is there", topic.name)),
        (_, Response::TopicDeleted { name }) => Some(format!("{name} is gone")),
        _ => None,
    }
}

pub(super) fn polled(name: &str, consumed: &Consumed, records: u32, parked: bool) -> String {
    let verb = if parked { "wakes" } else { "is answered" };
    if records > 0 {
        let places: Vec<String> = consumed
            .parts
            .iter()
            .map(|part| format!("{}/{} {}–{}", part.topic, part.log.partition, part.from.0, part.next.0 - 1))
            .collect();
        return format!("{name} {verb} with {}: {}", count(records as usize, "record"), list(&places));
    }
    match &consumed.rebalance {
        Some(change) => {
            let name_all = |set: &std::collections::BTreeSet<(takhin_core::TopicName, u32)>| {
                list(&set.iter().map(|(topic, partition)| format!("{topic}/{partition}")).collect::<Vec<_>>())
            };
            let mut said = Vec::new();
            if !change.assigned.is_empty() {
                said.push(format!("it gets {}", name_all(&change.assigned)));
            }
            if !change.revoked.is_empty() {
                said.push(format!("it gives up {}", name_all(&change.revoked)));
            }
            format!("{name} {verb}: {}", said.join(", "))
        }
        None => format!("{name}'s poll ends with nothing"),
    }
}

pub(super) fn appended(log: &str, result: &Result<AppendedAt, StorageError>) -> String {
    match result {
        Ok(AppendedAt { base_offset, duplicate: true, .. }) => {
            format!("{log} has them since offset {}: nothing is written twice", base_offset.0)
        }
        Ok(AppendedAt { base_offset, end, .. }) if end.0 == base_offset.0 + 1 => {
            format!("{log} has offset {}", base_offset.0)
        }
        Ok(AppendedAt { base_offset, end, .. }) => format!("{log} has offsets {}–{}", base_offset.0, end.0 - 1),
        Err(error) => format!("an append to {log} fails: {error}"),
    }
}

pub(super) fn storage(state: &StorageState) -> String {
    match state {
        StorageState::Ok => "storage takes writes again".to_owned(),
        StorageState::Stalled(error) => format!("storage takes no writes for now: {error}"),
        StorageState::Failed(error) => format!("storage takes no writes until the next start: {error}"),
    }
}

pub(super) fn ended(who: &str, reason: LeaveReason, silent_ms: u32) -> String {
    match reason {
        LeaveReason::SessionTimeout => format!("{who}'s session expired after {}", seconds(silent_ms)),
        LeaveReason::RebalanceTimeout => format!("{who} is removed: it held on to a partition for too long"),
        LeaveReason::PollInterval => format!("{who} is removed: it did not poll for {}", seconds(silent_ms)),
        LeaveReason::Replaced => format!("{who} is fenced: another took its place"),
        LeaveReason::Closed => format!("{who} leaves"),
    }
}

pub(super) fn rebalance(reason: &RebalanceReason, name: impl Fn(ConsumerId) -> String) -> String {
    match reason {
        RebalanceReason::Joined(consumer) => format!("{} joined", name(*consumer)),
        RebalanceReason::Left(consumer, LeaveReason::SessionTimeout) => {
            format!("{}'s session expired", name(*consumer))
        }
        RebalanceReason::Left(consumer, LeaveReason::RebalanceTimeout) => {
            format!("{} held on to a partition for too long", name(*consumer))
        }
        RebalanceReason::Left(consumer, LeaveReason::PollInterval) => format!("{} did not poll", name(*consumer)),
        RebalanceReason::Left(consumer, LeaveReason::Replaced) => format!("{} was replaced", name(*consumer)),
        RebalanceReason::Left(consumer, LeaveReason::Closed) => format!("{} left", name(*consumer)),
        RebalanceReason::Resubscribed(consumer) => format!("{} wants other topics", name(*consumer)),
        RebalanceReason::Unsubscribed(consumer) => format!("{} took partitions by hand", name(*consumer)),
        RebalanceReason::Recovered => "the broker started".to_owned(),
        RebalanceReason::TopicsChanged(topic) => format!("{topic} changed"),
    }
}
