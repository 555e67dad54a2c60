//! What inputs do to the world.

use takhin_core::{Event, Request, StorageError, StorageState, TopicConfig, TopicName};

use super::{
    Happening, World,
    clients::{Client, Life, Role, Wish},
};
use crate::input::{Act, Tail};

/// Clients at most; more than fit on a screen.
const MAX_CLIENTS: usize = 64;

impl World {
    /// Does what an input says.
    ///
    /// # Errors
    /// Why it does nothing, in words.
    pub(super) fn act(&mut self, act: &Act) -> Result<(), String> {
        match act {
            Act::Topic { name, partitions } => {
                let name = TopicName::new(name).map_err(|error| error.to_string())?;
                let config = TopicConfig::default();
                self.administer(Request::CreateTopic { name, partitions: *partitions, config }, self.row);
            }
            Act::Partitions { topic, partitions } => {
                let name = TopicName::new(topic).map_err(|error| error.to_string())?;
                self.administer(Request::AddPartitions { name, partitions: *partitions }, self.row);
            }
            Act::DeleteTopic { topic } => {
                let name = TopicName::new(topic).map_err(|error| error.to_string())?;
                self.administer(Request::DeleteTopic { name }, self.row);
            }
            Act::Producer(plan) => self.appear(Client::producer(plan.clone(), self.clients.len()))?,
            Act::Consumer(plan) => self.appear(Client::consumer(plan.clone()))?,
            Act::Produce { producer, records } => {
                let at = self.running(producer)?;
                self.wish(at, 1, Wish::Produce { records: Some(*records), by_itself: false }, self.row);
            }
            Act::Rhythm { producer, every_ms } => {
                let (at, row) = (self.find(producer)?, self.row);
                let Role::Producer(producer) = &mut self.clients[at].role else { return Err(not_a("producer")) };
                let began = producer.plan.every_ms == 0 && *every_ms > 0;
                producer.plan.every_ms = *every_ms;
                if began {
                    self.wish(at, 1, Wish::Produce { records: None, by_itself: true }, row);
                }
            }
            Act::Processing { consumer, process_ms } => {
                let at = self.find(consumer)?;
                let Role::Consumer(consumer) = &mut self.clients[at].role else { return Err(not_a("consumer")) };
                consumer.plan.process_ms = *process_ms;
            }
            Act::Commit { consumer } => {
                let at = self.running(consumer)?;
                self.wish(at, 1, Wish::Commit, self.row);
            }
            Act::Pause { .. } | Act::Kill { .. } | Act::Start { .. } | Act::Close { .. } => self.act_on_client(act)?,
            Act::DropRequest { client } => self.faults(client)?.drop = true,
            Act::DelayRequest { client, ms } => self.faults(client)?.delay_ms = (*ms).into(),
            Act::DuplicateRequest { client } => self.faults(client)?.duplicate = true,
            Act::LoseResponse { client } => self.faults(client)?.lose_answer = true,
            _ => self.act_on_broker(act)?,
        }
        Ok(())
    }

    fn act_on_client(&mut self, act: &Act) -> Result<(), String> {
        match act {
            Act::Pause { client, ms } => {
                let at = self.running(client)?;
                let until = self.now + u64::from(*ms);
                self.clients[at].life = Life::Frozen(until);
                self.wish(at, u64::from(*ms), Wish::Thaw, self.row);
            }
            Act::Kill { client, vanish } => {
                let at = self.find(client)?;
                if matches!(self.clients[at].life, Life::Dead | Life::Gone) {
                    return Err(format!("{client} is not running"));
                }
                if let (Some(request), false) = (self.clients[at].die(), vanish) {
                    let arrived = self.asked.get(&request).is_some_and(|asked| asked.arrived);
                    if arrived && !self.down {
                        self.plan(self.now + 1, Happening::Tells(Event::Disconnected { request }), self.row);
                    }
                }
            }
            Act::Start { client } => {
                let at = self.find(client)?;
                if !matches!(self.clients[at].life, Life::Dead | Life::Gone) {
                    return Err(format!("{client} is running"));
                }
                self.clients[at].begin_anew();
                let wish = self.clients[at].first_wish();
                self.wish(at, 1, wish, self.row);
            }
            Act::Close { consumer } => {
                let at = self.find(consumer)?;
                let Role::Consumer(role) = &self.clients[at].role else { return Err(not_a("consumer")) };
                let Some(id) = role.id else { return Err(format!("{consumer} has not subscribed")) };
                self.clients[at].die();
                self.clients[at].life = Life::Gone;
                self.administer(Request::Close { consumer: id }, self.row);
            }
            _ => {}
        }
        Ok(())
    }

    fn act_on_broker(&mut self, act: &Act) -> Result<(), String> {
        match act {
            Act::Crash { down_ms, tail } => {
                if self.down {
                    return Err("the broker is down".to_owned());
                }
                self.crash(*tail);
                self.plan(self.now + u64::from(*down_ms).max(1), Happening::Starts, self.row);
            }
            Act::FailSync => self.storage_is(StorageState::Failed(StorageError::Uncertain("a sync failed".into())))?,
            Act::FillDisk { ms } => {
                self.storage_is(StorageState::Stalled(StorageError::Full))?;
                self.plan(self.now + u64::from(*ms).max(2), Happening::Room, self.row);
            }
            Act::SlowDisk { by_ms, ms } => {
                self.engine.slow_down((*by_ms).into(), self.now + u64::from(*ms));
            }
            Act::Trim { topic, partition, records } => {
                let name = TopicName::new(topic).map_err(|error| error.to_string())?;
                let (log, _) = self.core.bounds(&name, *partition).map_err(|refusal| refusal.to_string())?;
                if let Some(event) = self.engine.trim(log, (*records).into()) {
                    self.plan(self.now + 1, Happening::Tells(event), self.row);
                }
            }
            Act::ClockJump { ms } => self.jump((*ms).into()),
            _ => {}
        }
        Ok(())
    }

    fn crash(&mut self, tail: Tail) {
        let mut waiting = Vec::new();
        let mut kept = std::collections::BTreeMap::new();
        for (place, (happening, cause)) in std::mem::take(&mut self.agenda) {
            match happening {
                Happening::Done(job) => waiting.push(job),
                Happening::Tells(_) | Happening::Room => {}
                other => drop(kept.insert(place, (other, cause))),
            }
        }
        self.agenda = kept;
        self.engine.crash(waiting, tail == Tail::Written, self.now);
        if tail == Tail::Lost {
            self.engine.lose(3);
        }
        self.down = true;
        self.connections_break(self.row);
    }

    fn storage_is(&mut self, state: StorageState) -> Result<(), String> {
        if self.down {
            return Err("the broker is down".to_owned());
        }
        self.engine.state = state.clone();
        self.plan(self.now + 1, Happening::Tells(Event::Storage { state }), self.row);
        Ok(())
    }

    /// All that was to come comes so much sooner. What waits for the clock is then overdue.
    fn jump(&mut self, ms: u64) {
        self.now += ms;
    }

    fn appear(&mut self, client: Client) -> Result<(), String> {
        if self.clients.iter().any(|other| other.name == client.name) {
            return Err(format!("there is a client named {} already", client.name));
        }
        if self.clients.len() >= MAX_CLIENTS {
            return Err(format!("there are {MAX_CLIENTS} clients already"));
        }
        let wish = client.first_wish();
        self.clients.push(client);
        self.wish(self.clients.len() - 1, 1, wish, self.row);
        Ok(())
    }

    fn find(&self, name: &str) -> Result<usize, String> {
        let found = self.clients.iter().position(|client| client.name == name);
        found.ok_or_else(|| format!("there is no client named {name}"))
    }

    fn running(&self, name: &str) -> Result<usize, String> {
        let at = self.find(name)?;
        match self.clients[at].life {
            Life::Running => Ok(at),
            Life::Frozen(_) => Err(format!("{name} is frozen")),
            Life::Dead | Life::Gone => Err(format!("{name} is not running")),
        }
    }

    fn faults(&mut self, client: &str) -> Result<&mut super::clients::Faults, String> {
        let at = self.find(client)?;
        Ok(&mut self.clients[at].faults)
    }
}

fn not_a(kind: &str) -> String {
    format!("that is not a {kind}")
}
