//! The end of a run: faults stop, clients go on, and everything must come to rest.

use takhin_core::{Event, Request, StorageState};

use super::{
    World,
    clients::Client,
    replies::{Ask, Asked},
};
use crate::{
    coverage::Rare,
    options::GroupKind,
    oracle::{Violation, must},
};

/// Rounds in which every client has its turn; each lets a second pass.
const MAX_ROUNDS: u32 = 60;
/// Rounds in which nothing happens after which nothing will: longer than a session lasts that nobody hears of.
const MAX_QUIET_ROUNDS: u32 = 6;
/// Sessions that end after each other because what ended the one before delays the next.
const MAX_LEAVING: u32 = 20;
/// The longest that anybody still waits: sessions, rebalances and long polls.
const REST_MS: u64 = 10_000;

impl World {
    /// Faults stop. Every request must end, every group settle, and every record reach every group; and at last, when
    /// all clients have gone, nothing may be left.
    pub(crate) fn settle(&mut self) -> Result<(), Violation> {
        self.look_into_core()?;
        self.must_not_delay_others()?;
        self.faults = false;
        self.engine.heal();
        while !self.engine.unsaid.is_empty() {
            self.report()?;
        }
        if self.draining || matches!(self.engine.state, StorageState::Failed(_)) {
            self.crash(true)?;
        }
        self.storage_turns(StorageState::Ok)?;
        self.complete_all()?;
        self.calm_down()?;
        self.must_be_answered()?;
        // What was asked for may have been refused.
        self.clients.iter_mut().for_each(|client| client.paused_in = Some(self.step));
        let (mut quiet, mut before) = (0, (self.core.decided(), self.delivered));
        for _ in 0..MAX_ROUNDS {
            self.complete_all()?;
            if quiet == MAX_QUIET_ROUNDS || self.has_settled()? {
                break;
            }
            let now = (self.core.decided(), self.delivered);
            quiet = if before == now { quiet + 1 } else { 0 };
            before = now;
            for at in 0..self.clients.len() {
                self.clients[at].asleep_until = 0;
                self.resume_partitions(at)?;
                if self.clients[at].poll.is_none() {
                    self.poll(at, 0)?;
                }
                self.complete_all()?;
                self.commit(at, false)?;
            }
            self.complete_all()?;
            self.pass(1_000)?;
        }
        self.complete_all()?;
        let stable = self.groups_are_stable()?;
        must!(stable, AllEnds, "{:?} does not become stable", self.unsettled);
        self.must_have_all_delivered()?;
        self.model.must_be_in_order(&self.engine)?;
        self.pass(REST_MS)?;
        self.complete_all()?;
        self.must_be_at_rest()?;
        self.leave()
    }

    /// One log is slow: whoever asked for others only must not notice.
    fn must_not_delay_others(&mut self) -> Result<(), Violation> {
        if self.engine.blocked.is_empty() || self.engine.state != StorageState::Ok {
            return Ok(());
        }
        while !self.engine.unsaid.is_empty() {
            self.report()?;
        }
        self.complete_all()?;
        self.cover(Rare::OthersGoOnBesideSlowLog);
        for asked in &self.open {
            let Ask::Produce { topic: Some(topic), batches, .. } = &asked.ask else { continue };
            let mut logs = batches.iter().map(|batch| takhin_core::LogId { topic: *topic, partition: batch.partition });
            let slow = logs.any(|log| self.engine.blocked.contains(&log));
            must!(slow, NoFalseWait, "{:?} waits, and none of its logs is slow", asked.id);
        }
        let held = self.open.iter().find(|asked| self.core.waits_for_facts(asked.id));
        must!(held.is_none(), NoFalseWait, "{held:?} waits for facts, and all are durable");
        Ok(())
    }

    /// Storage has done all that it was asked for: nobody can wait but for records.
    fn must_be_answered(&self) -> Result<(), Violation> {
        let waits_for_records = |asked: &&Asked| matches!(asked.ask, Ask::Poll | Ask::Ghost | Ask::Read { .. });
        let waits = self.open.iter().find(|asked| !waits_for_records(asked)).map(|asked| asked.id);
        must!(waits.is_none(), AllEnds, "{waits:?} is never answered");
        Ok(())
    }

    fn has_settled(&mut self) -> Result<bool, Violation> {
        let is_outside = |client: &Client| client.me.is_none() && !client.is_refused;
        if !self.open.is_empty() || self.clients.iter().any(is_outside) || self.missing().is_some() {
            return Ok(false);
        }
        self.groups_are_stable()
    }

    /// Asks afresh: what was told during the run is out of date.
    fn groups_are_stable(&mut self) -> Result<bool, Violation> {
        self.ask(None, Ask::Groups, Request::ListGroups)?;
        self.complete_all()?;
        Ok(self.unsettled.is_none())
    }

    /// Something that a group with a live member has not received.
    fn missing(&self) -> Option<String> {
        for (group, (kind, name)) in self.groups.iter().enumerate() {
            let reader = self.clients.iter().enumerate().find(|(at, client)| {
                // The first client of a group subscribes to everything.
                *at < self.groups.len() && client.group == group && client.me.is_some()
            });
            let Some((_, reader)) = reader.filter(|_| *kind != GroupKind::Wild) else { continue };
            let is_member = reader.me.is_some_and(|me| self.engine.durable.consumers.contains_key(&me));
            for log in self.engine.logs().filter(|_| is_member) {
                let topic = self.engine.durable.topics.get(&log.topic);
                let usable = topic.and_then(|topic| self.core.bounds(&topic.name, log.partition).ok());
                let (Some((of, bounds)), false) = (usable, self.engine.excused.contains(&log)) else { continue };
                if of == log && !self.model.has_all(group, log, &self.engine) {
                    return Some(format!("{name} never got all of {log}, {bounds:?}"));
                }
            }
        }
        None
    }

    fn must_have_all_delivered(&self) -> Result<(), Violation> {
        let missing = self.missing();
        must!(missing.is_none(), DeliveredOnce, "{}", missing.unwrap_or_default());
        Ok(())
    }

    fn must_be_at_rest(&mut self) -> Result<(), Violation> {
        must!(self.open.is_empty(), AllEnds, "{:?} is never answered", self.open.first().map(|asked| asked.id));
        must!(self.engine.is_empty(), AllEnds, "storage never ends something");
        self.look_into_core()?;
        let open = self.core.open_requests();
        must!(open == 0, NothingLeaks, "{open} requests are open, and nobody waits");
        let parked = self.core.parked_polls();
        must!(parked == 0, NothingLeaks, "{parked} polls are parked, and nobody waits");
        let left = self.auditor.leftovers();
        must!(left.is_none(), NothingLeaks, "{}", left.unwrap_or_default());
        self.front.as_ref().map_or(Ok(()), |front| front.must_be_at_rest())?;
        self.must_be_made_of_facts()
    }

    /// All clients go.
    fn leave(&mut self) -> Result<(), Violation> {
        for at in 0..self.clients.len() {
            if let Some(consumer) = self.clients[at].me {
                self.ask(Some(at), Ask::Close, Request::Close { consumer })?;
            }
        }
        self.complete_all()?;
        // Who died without goodbye is missed in time: one after the other, where each leaves its share to the next.
        for _ in 0..MAX_LEAVING {
            if self.core.consumers() == 0 && self.engine.is_empty() {
                break;
            }
            self.pass(REST_MS)?;
            self.event(Event::Tick)?;
            self.complete_all()?;
        }
        // Groups that nobody is in are forgotten at last, whatever the date was set to when they became empty.
        for _ in 0..MAX_LEAVING {
            let Some(at) = self.next_deadline() else { break };
            self.pass(at.0.saturating_sub(self.now))?;
            self.complete_all()?;
        }
        let (consumers, timer) = (self.core.consumers(), self.next_deadline());
        must!(consumers == 0, NothingLeaks, "{consumers} consumers are left");
        must!(timer.is_none(), NothingLeaks, "a timer is left, at {timer:?}");
        must!(self.open.is_empty(), AllEnds, "{:?} is never answered", self.open.first().map(|asked| asked.id));
        self.look_into_core()?;
        self.must_be_made_of_facts()
    }
}
