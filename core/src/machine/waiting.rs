//! Waiting: what has something for a consumer, what it waits on, and polls that are parked.
//!
//! A poll that wants more than there is counts it and goes on waiting: the log then has it among those who have seen
//! all, so that each further append is counted too.

use super::{Core, Open, poll::gathered};
use crate::{
    command::FetchedPart,
    ids::{ConsumerId, LogId, RequestId},
    log::Waiter,
    refusal::{Bounded, Refusal},
    session::{Gathered, Poll, Stage},
    timers::Timer,
};

impl Core {
    pub(super) fn park(&mut self, consumer: ConsumerId) {
        let (parked, limit) = (self.parked, self.config.max_parked);
        let Some(poll) = self.poll_of(consumer) else { return };
        if poll.stage != Stage::Idle {
            return;
        }
        if parked >= limit {
            return self.end_poll(consumer, Refusal::TooMany { what: Bounded::ParkedPolls, limit });
        }
        poll.stage = Stage::Parked { have: Gathered::NOTHING };
        let timer = (!poll.timed).then_some((poll.deadline, poll.request));
        poll.timed = true;
        self.parked += 1;
        if let Some((deadline, request)) = timer {
            self.timers.set(deadline, Timer::Wait(request));
        }
    }

    pub(super) fn unpark(&mut self, consumer: ConsumerId) {
        let Some(poll) = self.poll_of(consumer) else { return };
        if matches!(poll.stage, Stage::Parked { .. }) {
            poll.stage = Stage::Idle;
            self.parked -= 1;
        }
    }

    /// Keeps in mind how much is there, and waits for the rest.
    pub(super) fn count_and_park(&mut self, consumer: ConsumerId, parts: &[FetchedPart]) {
        for part in parts {
            let Some(session) = self.sessions.get_mut(&consumer) else { return };
            if let Some(partition) = session.partitions.get_mut(&part.log) {
                partition.counted = part.next;
            }
            if let Some(poll) = &mut session.poll {
                poll.counted.push(part.log);
            }
            self.file(consumer, part.log);
        }
        if self.sessions.get(&consumer).is_some_and(|session| !session.ready.is_empty()) {
            // More came while the engine read; it is to be counted too.
            self.uncount(consumer);
            self.woken.insert(consumer);
            return;
        }
        self.park(consumer);
        if let Some(Poll { stage: Stage::Parked { have }, .. }) = self.poll_of(consumer) {
            *have = gathered(parts);
        }
    }

    /// What was only counted is to be read again.
    pub(super) fn uncount(&mut self, consumer: ConsumerId) {
        let Some(poll) = self.poll_of(consumer) else { return };
        for log in core::mem::take(&mut poll.counted) {
            let Some(session) = self.sessions.get_mut(&consumer) else { return };
            if let Some(partition) = session.partitions.get_mut(&log) {
                partition.counted = partition.position.unwrap_or_default();
                self.file(consumer, log);
            }
        }
    }

    /// Puts a partition where it belongs: among what is ready, or among those who wait on its log.
    pub(super) fn file(&mut self, consumer: ConsumerId, id: LogId) {
        let Some(session) = self.sessions.get_mut(&consumer) else { return };
        let Some(log) = self.logs.get_mut(&id) else { return };
        let partition = session.partitions.get(&id).filter(|partition| partition.is_delivered());
        let unplaced = partition.is_some_and(|partition| partition.position.is_none() && partition.lookup.is_none());
        let seen_all = partition.filter(|p| p.position.is_some()).map(|p| p.counted >= log.bounds.end);
        toggle(&mut session.unplaced, id, unplaced);
        toggle(&mut session.ready, id, seen_all == Some(false));
        toggle(&mut log.waiting, Waiter::Consumer(consumer), seen_all == Some(true));
    }

    /// A partition of which the consumer had seen all has `more`.
    pub(super) fn partition_grew(&mut self, consumer: ConsumerId, log: LogId, more: Gathered) {
        let Some(session) = self.sessions.get_mut(&consumer) else { return };
        session.ready.insert(log);
        let Some(poll) = &mut session.poll else { return };
        if let Stage::Parked { have } = &mut poll.stage {
            *have = have.and(more);
            self.woken.insert(consumer);
            self.watch_for_more(consumer, log);
        }
    }

    /// A parked poll that has too little keeps hearing of each append.
    fn watch_for_more(&mut self, consumer: ConsumerId, id: LogId) {
        let Some(session) = self.sessions.get_mut(&consumer) else { return };
        let Some(Poll { stage: Stage::Parked { have }, limits, counted, .. }) = &mut session.poll else { return };
        if have.is_enough(limits) {
            return;
        }
        if !counted.contains(&id) {
            counted.push(id);
        }
        if let (Some(partition), Some(log)) = (session.partitions.get_mut(&id), self.logs.get(&id)) {
            partition.counted = log.bounds.end;
        }
        self.file(consumer, id);
    }

    /// A poll or read has waited for as long as it wanted to.
    pub(super) fn wait_due(&mut self, request: RequestId) {
        match self.requests.get(&request) {
            Some(Open::Poll(consumer)) => {
                let consumer = *consumer;
                if let Some(poll) = self.poll_of(consumer) {
                    poll.timed = false;
                }
                self.woken.insert(consumer);
            }
            Some(Open::Read(_)) => self.read_due(request),
            _ => {}
        }
    }
}

fn toggle<T: Ord>(set: &mut alloc::collections::BTreeSet<T>, item: T, present: bool) {
    if present {
        set.insert(item);
    } else {
        set.remove(&item);
    }
}
