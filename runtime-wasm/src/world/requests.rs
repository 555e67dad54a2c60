//! Requests under way: how they are sent, lost, doubled and delayed, and what becomes of them when their client gives up or the
//! broker dies.

use takhin_core::{BatchId, Event, Refusal, Request, RequestId, Response, response::Consumed};

use super::{
    Happening, NO_ROW, World,
    clients::{Faults, Life, Missed, RETRY_MS, Role, Wish},
};

/// How long a client waits for an answer that should come at once.
const PATIENCE_MS: u64 = 2_000;

/// A request that a client sent.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) client: usize,
    life: u32,
    pub(super) sent_at: u64,
    pub(super) arrived: bool,
    /// Whether its answer was on its way, and got lost.
    lost: bool,
    /// Whether it is a second arrival, which nobody waits for.
    copy: bool,
    /// Where on the agenda it stands that its client gives up.
    gives_up: Option<(u64, u64)>,
}

impl World {
    /// Sends a request, and gives up on its answer some time after it may take `takes_ms` to come.
    pub(super) fn send(&mut self, at: usize, request: Request, takes_ms: u64, cause: u32) {
        let faults = self.clients[at].faults;
        self.clients[at].faults = Faults { lose_answer: faults.lose_answer, ..Faults::default() };
        let id = self.new_request(at, false);
        self.clients[at].waiting = Some(id);
        let latency = self.latency(2, 8) + faults.delay_ms;
        let gives_up =
            self.plan(self.now + takes_ms + PATIENCE_MS + faults.delay_ms, Happening::GivesUp { id }, NO_ROW);
        if let Some(asked) = self.asked.get_mut(&id) {
            asked.gives_up = Some(gives_up);
        }
        if faults.duplicate {
            let copy = self.new_request(at, true);
            let later = latency + self.latency(10, 30);
            self.plan(self.now + later, Happening::Arrives { id: copy, request: request.clone() }, cause);
        }
        if !faults.drop {
            self.plan(self.now + latency, Happening::Arrives { id, request }, cause);
        }
    }

    /// A request of nobody in particular.
    pub(super) fn administer(&mut self, request: Request, cause: u32) {
        let id = self.new_request(usize::MAX, true);
        let latency = self.latency(2, 8);
        self.plan(self.now + latency, Happening::Arrives { id, request }, cause);
    }

    fn new_request(&mut self, client: usize, copy: bool) -> RequestId {
        self.requests += 1;
        let id = RequestId::new(self.boot, self.requests);
        let life = self.clients.get(client).map_or(0, |client| client.lives);
        self.asked
            .insert(id, Asked { client, life, sent_at: self.now, arrived: false, lost: false, copy, gives_up: None });
        id
    }

    /// Nobody answered the connection: the client tries again, be it for the same or from the start.
    pub(super) fn refused_connection(&mut self, id: RequestId, cause: u32) {
        if let Some(asked) = self.asked.remove(&id).filter(|asked| !asked.copy) {
            self.try_again(asked.client, asked.life, id, cause);
        }
    }

    pub(super) fn give_up(&mut self, id: RequestId, cause: u32) {
        if let Some(asked) = self.asked.get(&id).cloned() {
            if asked.arrived && !asked.lost && !self.down && self.clients[asked.client].waiting == Some(id) {
                // Who gives up closes the connection, and the broker sees it.
                self.plan(self.now + 1, Happening::Tells(Event::Disconnected { request: id }), cause);
            }
            self.asked.remove(&id);
            self.try_again(asked.client, asked.life, id, cause);
        }
    }

    fn try_again(&mut self, at: usize, life: u32, id: RequestId, cause: u32) {
        let Some(client) = self.clients.get_mut(at) else { return };
        if client.lives != life || client.waiting != Some(id) {
            return;
        }
        client.waiting = None;
        let wish = match &client.role {
            Role::Producer(_) => Wish::SendAgain,
            Role::Consumer(consumer) if consumer.batch == Some(BatchId::NONE) && consumer.got.is_empty() => {
                Wish::Subscribe
            }
            Role::Consumer(_) => Wish::Poll,
        };
        self.wish(at, RETRY_MS, wish, cause);
    }

    /// The broker died: all that was asked is over.
    pub(super) fn connections_break(&mut self, cause: u32) {
        for (id, asked) in std::mem::take(&mut self.asked) {
            if !asked.copy && asked.arrived {
                self.try_again(asked.client, asked.life, id, cause);
            } else {
                self.asked.insert(id, asked);
            }
        }
    }

    pub(super) fn answered(&mut self, id: RequestId, response: Result<Response, Refusal>, cause: u32) {
        let Some(asked) = self.asked.get_mut(&id).filter(|asked| !asked.copy) else {
            self.asked.remove(&id);
            return;
        };
        let (at, life) = (asked.client, asked.life);
        let client = &mut self.clients[at];
        if std::mem::take(&mut client.faults.lose_answer) {
            asked.lost = true;
            return;
        }
        // It is answered: nothing on the agenda that is void by now, since every key frame has a copy of that.
        if let Some(place) = asked.gives_up.take() {
            self.agenda.remove(&place);
        }
        let polled = matches!(response, Ok(Response::Consumed(_)));
        if client.lives != life {
            self.asked.remove(&id);
            if let (true, Ok(Response::Consumed(Consumed { consumer, .. }))) = (polled, response) {
                self.plan(self.now + 1, Happening::Tells(Event::Undelivered { request: id, consumer }), cause);
            }
            return;
        }
        self.asked.remove(&id);
        if let Life::Frozen(_) = client.life {
            return client.missed.push(Missed::Answer(id, Box::new(response)));
        }
        self.hear(at, id, response, cause);
    }
}
