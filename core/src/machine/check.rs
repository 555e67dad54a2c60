//! What must hold of a core after any step, whatever happened.

use alloc::{format, string::String};

use super::{Core, Open};
use crate::{
    durable::ConsumerRecord,
    fact::Subscription,
    ids::{ConsumerId, GroupName, LogId},
    log::Waiter,
    session::{Partition, Session, Stage},
};

/// Something that must hold, and does not. Always a bug of the core.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{rule}: {detail}")]
pub struct Violation {
    /// What should hold.
    pub rule: &'static str,
    /// Where it does not.
    pub detail: String,
}

macro_rules! must {
    ($holds:expr, $rule:literal, $($detail:tt)+) => {
        if !$holds {
            return Err(Violation { rule: $rule, detail: format!($($detail)+) });
        }
    };
}

impl Core {
    /// Checks what must hold of one consumer and of its group, and what takes no time. For tests that can't do the
    /// whole [`Core::check`] after every step.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check_consumer(&self, consumer: ConsumerId) -> Result<(), Violation> {
        must!(self.woken.is_empty(), "nobody woken is left unheard", "{:?}", self.woken);
        let (Some(session), Some(record)) = (self.sessions.get(&consumer), self.durable.consumers.get(&consumer))
        else {
            let neither = !self.sessions.contains_key(&consumer) && !self.durable.consumers.contains_key(&consumer);
            must!(neither, "every consumer has a session and every session a consumer", "{consumer}");
            return Ok(());
        };
        self.check_session(consumer, session)?;
        if self.groups.contains_key(&record.group) { self.check_group(&record.group) } else { Ok(()) }
    }

    /// Checks every structural invariant. Takes time in proportion to the whole state: for tests and audits.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check(&self) -> Result<(), Violation> {
        self.check_timers()?;
        self.check_requests()?;
        self.check_logs()?;
        self.check_patterns()?;
        let partitions: u64 = self.durable.topics.values().map(|topic| u64::from(topic.partitions)).sum();
        must!(partitions == self.partitions, "partitions are counted", "{partitions}, and not {}", self.partitions);
        must!(
            self.sessions.keys().eq(self.durable.consumers.keys()),
            "every consumer has a session and every session a consumer",
            "{} sessions, {} consumers",
            self.sessions.len(),
            self.durable.consumers.len()
        );
        for (since, name) in &self.expiry.empty {
            let record = self.durable.groups.get(name);
            let empty = record.is_some_and(|record| record.is_empty() && record.empty_since == Some(*since));
            must!(empty, "what is to expire is empty since then", "{name}: {since:?}");
        }
        if self.date_offset.is_some() {
            let empty = self.durable.groups.values().filter(|record| record.is_empty()).count();
            must!(empty == self.expiry.empty.len(), "every empty group is to expire", "{empty}");
        }
        for (consumer, session) in &self.sessions {
            self.check_session(*consumer, session)?;
        }
        self.groups.keys().try_for_each(|group| self.check_group(group))
    }

    fn check_patterns(&self) -> Result<(), Violation> {
        for (text, pattern) in &self.patterns {
            must!(!pattern.subscribers.is_empty(), "a pattern has a subscriber", "{text}");
            for topic in &pattern.topics {
                must!(self.usable_topic(topic).is_ok(), "what matches a pattern can be used", "{text}: {topic}");
            }
            for (group, consumer) in &pattern.subscribers {
                let record = self.durable.consumers.get(consumer).filter(|record| record.group == *group);
                let wants = record.is_some_and(|record| record.subscription == Subscription::Pattern(text.clone()));
                must!(wants, "who is listed for a pattern subscribes with it", "{text}: {consumer}");
            }
        }
        Ok(())
    }

    fn check_timers(&self) -> Result<(), Violation> {
        for (at, timer) in self.timers.iter() {
            must!(at > self.now, "no due timer remains after a step", "{timer:?} at {at:?}, now {:?}", self.now);
        }
        must!(self.woken.is_empty(), "nobody woken is left unheard", "{:?}", self.woken);
        Ok(())
    }

    fn check_requests(&self) -> Result<(), Violation> {
        let (mut parked, mut held) = (0, 0);
        for (request, open) in &self.requests {
            held += u32::from(matches!(open, Open::Held(_)));
            if let Open::Poll(consumer) = open {
                let poll = self.sessions.get(consumer).and_then(|session| session.poll.as_ref());
                must!(
                    poll.is_some_and(|poll| poll.request == *request),
                    "an open poll is its consumer's poll",
                    "{request:?} of {consumer}"
                );
                let stage = poll.map(|poll| &poll.stage);
                must!(stage != Some(&Stage::Idle), "a poll fetches or is parked", "{request:?} of {consumer}");
                parked += u32::from(matches!(stage, Some(Stage::Parked { .. })));
            }
            parked += u32::from(matches!(open, Open::Read(read) if read.is_parked()));
        }
        must!(parked == self.parked, "what is parked is counted", "{parked} parked, {} counted", self.parked);
        let mut replies = 0;
        for (after, request) in self.outbox.held_replies() {
            replies += 1;
            let open = matches!(self.requests.get(&request), Some(Open::Held(at)) if *at == after);
            must!(open, "a reply that waits belongs to an open request", "{request:?}");
            must!(after > self.outbox.persisted(), "no reply waits for a fact that is durable", "{request:?}");
        }
        must!(held == replies, "a reply that waits belongs to an open request", "{held} requests, {replies} replies");
        Ok(())
    }

    fn check_logs(&self) -> Result<(), Violation> {
        for (id, log) in &self.logs {
            must!(log.bounds.start <= log.bounds.end, "a log starts before it ends", "{id}: {:?}", log.bounds);
            must!(self.durable.topics.contains_key(&id.topic), "a log belongs to a topic", "{id}");
            for holder in &log.holders {
                let holds = self.sessions.get(holder).is_some_and(|session| session.partitions.contains_key(id));
                must!(holds, "a log's holders hold it", "{id} and {holder}");
            }
            for waiter in &log.waiting {
                match waiter {
                    Waiter::Consumer(consumer) => {
                        must!(log.holders.contains(consumer), "who waits on a log holds it", "{id} and {consumer}");
                    }
                    Waiter::Read(request) => {
                        must!(
                            matches!(self.requests.get(request), Some(Open::Read(read)) if read.is_parked()),
                            "a read that waits is open",
                            "{id} and {request:?}"
                        );
                    }
                }
            }
        }
        Ok(())
    }

    fn check_session(&self, consumer: ConsumerId, session: &Session) -> Result<(), Violation> {
        let record = &self.durable.consumers[&consumer];
        must!(record.group == session.group, "a session is of its group", "{consumer}");
        must!(
            session.partitions.keys().eq(record.held.keys()),
            "what a session has is what its record holds",
            "{consumer}: {:?} and {:?}",
            session.partitions.keys(),
            record.held.keys()
        );
        must!(
            session.poll.is_some() || session.silence_timer.is_some_and(|at| at <= session.ends_at()),
            "a session without a poll is timed",
            "{consumer}"
        );
        must!(
            record.paused.iter().all(|log| record.held.contains_key(log)),
            "what is paused is held",
            "{consumer}: {:?}",
            record.paused
        );
        must!(
            session.poll_by.is_some() == (record.subscription != Subscription::Manual && !record.away),
            "exactly the members that are there have to poll",
            "{consumer}"
        );
        must!(
            session.away == record.away && !(session.away && (session.poll.is_some() || session.is_revoking())),
            "who is away neither polls nor keeps others waiting",
            "{consumer}"
        );
        check_news(consumer, record)?;
        let (mut ready, mut unplaced) = (0, 0);
        for (id, partition) in &session.partitions {
            let found = self.check_partition(consumer, session, *id, partition)?;
            ready += usize::from(found.has_something);
            unplaced += usize::from(found.has_no_place);
        }
        must!(session.ready.len() == ready, "what has something is ready", "{consumer}: {:?}", session.ready);
        must!(session.unplaced.len() == unplaced, "what has no position is known", "{consumer}");
        check_kept(consumer, session, record)?;
        let revoking = session.partitions.values().any(|partition| partition.revoking);
        must!(revoking == session.rebalance_timer.is_some(), "a partition is given up within a bound", "{consumer}");
        self.check_poll(consumer, session)
    }

    fn check_partition(
        &self,
        consumer: ConsumerId,
        session: &Session,
        id: LogId,
        partition: &Partition,
    ) -> Result<Found, Violation> {
        let record = &self.durable.consumers[&consumer];
        let Some(log) = self.logs.get(&id) else {
            return Err(Violation { rule: "a partition has a log", detail: format!("{consumer} and {id}") });
        };
        must!(log.holders.contains(&consumer), "a partition is known to its log", "{consumer} and {id}");
        let waits = log.waiting.contains(&Waiter::Consumer(consumer));
        let seen_all = partition.counted >= log.bounds.end;
        let placed = partition.is_delivered() && partition.position.is_some();
        must!(
            waits == (placed && seen_all),
            "a consumer waits on exactly the logs of which it has seen all",
            "{consumer} and {id}: {partition:?}, {:?}",
            log.bounds
        );
        let has_something = placed && !seen_all;
        must!(!has_something || session.ready.contains(&id), "what has something is ready", "{consumer} and {id}");
        must!(
            !partition.revoking || session.tells_of_revoking(id),
            "what is being given up was told or is to be told",
            "{consumer} and {id}"
        );
        must!(
            partition.position.is_none() || partition.lookup.is_none(),
            "a place is known or looked up",
            "{consumer} and {id}"
        );
        let has_no_place = partition.is_delivered() && partition.position.is_none() && partition.lookup.is_none();
        must!(!has_no_place || session.unplaced.contains(&id), "what has no position is known", "{consumer} and {id}");
        must!(partition.paused == record.paused.contains(&id), "a pause is recorded", "{consumer} and {id}");
        let at = partition.position.unwrap_or_default();
        must!(at <= log.bounds.end, "a position is not beyond the end", "{consumer} and {id}: {at:?}");
        must!(at <= partition.counted, "what is counted is from the position on", "{consumer} and {id}");
        let manual = record.subscription == Subscription::Manual;
        must!(
            partition.revoking != (manual || record.target.contains(&id)),
            "exactly what is held beyond the target is being given up",
            "{consumer} and {id}"
        );
        Ok(Found { has_something, has_no_place })
    }

    fn check_poll(&self, consumer: ConsumerId, session: &Session) -> Result<(), Violation> {
        let Some(poll) = &session.poll else { return Ok(()) };
        must!(
            matches!(self.requests.get(&poll.request), Some(Open::Poll(owner)) if *owner == consumer),
            "a consumer's poll is open",
            "{consumer}: {:?}",
            poll.request
        );
        if let Stage::Parked { have } = poll.stage {
            must!(self.now < poll.deadline, "a parked poll ends by its deadline", "{consumer}");
            must!(poll.timed, "a parked poll is timed", "{consumer}");
            must!(session.news.is_empty(), "no poll sleeps while there is news", "{consumer}");
            must!(
                session.ready.is_empty() || !have.is_enough(&poll.limits),
                "no poll sleeps while its data is there",
                "{consumer}: {:?}",
                session.ready
            );
        }
        Ok(())
    }

    fn check_group(&self, name: &GroupName) -> Result<(), Violation> {
        let group = &self.groups[name];
        let Some(record) = self.durable.groups.get(name) else {
            must!(group.owners.is_empty(), "a group that is not recorded owns nothing", "{name}");
            return Ok(());
        };
        for (instance, consumer) in &group.instances {
            let holder = self.durable.consumers.get(consumer).filter(|holder| holder.group == *name);
            let has = holder.is_some_and(|holder| holder.options.instance_id.as_ref() == Some(instance));
            must!(has, "a static place is a consumer's that asked for it", "{instance} and {consumer}");
        }
        let mut owned = 0;
        for consumer in &record.members {
            let member = &self.durable.consumers[consumer];
            must!(member.generation <= record.generation, "no member is ahead of its group", "{consumer}");
            for log in member.held.keys() {
                owned += 1;
                must!(
                    group.owners.get(log) == Some(consumer),
                    "a partition has one owner in its group",
                    "{log} of {consumer}"
                );
            }
            for log in &member.target {
                // Of two for whom it is meant, one is not the one in the index.
                let meant = group.targets.get(log) == Some(consumer);
                must!(meant, "a partition is meant for one member, who is indexed", "{log} of {consumer}");
                let free = !group.owners.contains_key(log) && self.logs.contains_key(log);
                must!(!free, "no partition meant for somebody lies idle", "{log} of {consumer}");
            }
        }
        must!(owned == group.owners.len(), "a partition is owned by a member", "{name}");
        Ok(())
    }
}

/// What a partition is, as its session has to know.
struct Found {
    has_something: bool,
    has_no_place: bool,
}

/// What a consumer's next fact leaves out is durable as it is, and what it counts as delivered is.
fn check_kept(consumer: ConsumerId, session: &Session, record: &ConsumerRecord) -> Result<(), Violation> {
    let left_out = session.partitions.keys().copied().filter(|log| !session.outdated.contains(log));
    for (log, at) in &session.to_keep(left_out).0 {
        let kept = record.held.get(log) == Some(&Some(*at)) && !record.lookups.contains_key(log);
        must!(kept, "a position that is not durable is known as outdated", "{consumer} and {log}: {at:?}");
    }
    let delivered = session.partitions.iter().filter(|(_, partition)| partition.delivered.is_some());
    must!(
        delivered.map(|(log, _)| log).eq(&session.delivered),
        "what was delivered and is not committed is known",
        "{consumer}: {:?}",
        session.delivered
    );
    Ok(())
}

/// What a consumer is still to be told is as it is.
fn check_news(consumer: ConsumerId, record: &ConsumerRecord) -> Result<(), Violation> {
    must!(
        record.untold.iter().all(|log| record.held.contains_key(log)),
        "what is still to be told as assigned is held",
        "{consumer}: {:?}",
        record.untold
    );
    must!(
        record.lost.keys().all(|log| !record.held.contains_key(log)),
        "what is still to be told as lost is not held",
        "{consumer}: {:?}",
        record.lost
    );
    Ok(())
}
