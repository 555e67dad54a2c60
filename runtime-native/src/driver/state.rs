//! What the lock protects: the core, and what the runtime keeps for it under its ids.

use std::{sync::Arc, time::Instant};

use rustc_hash::FxHashMap;
use takhin_core::{
    AppendId, Command, ConsumerId, Core, Date, Event, FactSeq, FetchId, FetchPart, LogId, Offset, Parts, Refusal,
    Request, RequestId, Response, StorageError, StorageState, Timestamp,
};
use tokio::sync::oneshot;

use super::{
    Bodies, Fetched, Flight, Health,
    audit::{Audit, Finding},
    flight::FlightRecorder,
    recording::Recording,
    stats::DriverStats,
};
use crate::engine::{Engine, SubmitError, Submitted, WriteOp};

/// The core and its keeper.
pub(super) struct State {
    pub(super) core: Core,
    /// Gone once the broker has stopped.
    pub(super) engine: Option<Box<dyn Engine>>,
    /// Every request whose task did not hear its reply yet.
    places: FxHashMap<RequestId, Place>,
    pub(super) bodies: FxHashMap<RequestId, Bodies>,
    pub(super) fetches: FxHashMap<FetchId, Fetched>,
    pub(super) storage: StorageState,
    pub(super) draining: bool,
    /// Nobody is answered any more: another node may be this core by now.
    pub(super) over: bool,
    requests: u64,
    commands: Vec<Command>,
    stats: Arc<DriverStats>,
    pub(super) flight: FlightRecorder,
    pub(super) recording: Option<Recording>,
    pub(super) audit: Option<Audit>,
    /// What the clock was last set to.
    pub(super) armed: Option<Timestamp>,
}

/// What a waiting request is told. It is moved once, and a reply is the usual one.
#[allow(clippy::large_enum_variant)]
#[derive(Debug)]
pub(super) enum Message {
    Reply(Result<Response, Refusal>, Option<Fetched>),
    Fetch(Plan),
}

/// A fetch to be carried out.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) id: FetchId,
    pub(super) max_records: u32,
    pub(super) max_bytes: u32,
    pub(super) parts: Parts<FetchPart>,
    pub(super) whole: bool,
}

/// Where a request's task is, and so where a message for it goes.
enum Place {
    /// Here, listening.
    Waiting(oneshot::Sender<Letter>),
    /// Carrying out a fetch.
    Reading,
    /// Still at that, and this is what it will hear when it comes back.
    Told(Box<Message>),
}

/// A message to a task that waits.
#[derive(Debug)]
pub(super) struct Letter {
    pub(super) message: Message,
    pub(super) written: Instant,
}

/// A date to be found in a log.
pub(super) struct Lookup {
    pub(super) consumer: ConsumerId,
    pub(super) log: LogId,
    pub(super) at: Date,
    pub(super) to: Offset,
}

/// What a step has to tell.
#[derive(Default)]
pub(super) struct Mail {
    /// To the request that brought the event, if one did and there is something for it: it needs no channel.
    pub(super) own: Option<Message>,
    /// To those who wait.
    pub(super) letters: Vec<(oneshot::Sender<Letter>, Letter)>,
    /// Dates to be found in logs.
    pub(super) lookups: Vec<Lookup>,
    /// What the audit found to be broken, with the steps that led there.
    pub(super) finding: Option<(Finding, Flight)>,
    /// Whether the engine was given something that nobody sees to being written.
    pub(super) unwritten: bool,
    sender: Option<RequestId>,
}

impl State {
    pub(super) fn new(core: Core, engine: Box<dyn Engine>, stats: Arc<DriverStats>, flight: FlightRecorder) -> Self {
        Self {
            core,
            engine: Some(engine),
            places: FxHashMap::default(),
            bodies: FxHashMap::default(),
            fetches: FxHashMap::default(),
            storage: StorageState::Ok,
            draining: false,
            over: false,
            requests: 0,
            commands: Vec::new(),
            stats,
            flight,
            recording: None,
            audit: None,
            armed: None,
        }
    }

    pub(super) fn next_request(&mut self) -> RequestId {
        self.requests += 1;
        RequestId::new(self.core.boot(), self.requests)
    }

    /// Steps the core with an event, and with all that comes of its commands at once. What clients are to be told.
    pub(super) fn step(&mut self, now: Timestamp, event: Event, sender: Option<RequestId>) -> Mail {
        let mut mail = Mail { sender, ..Mail::default() };
        self.step_into(now, event, &mut mail);
        mail
    }

    pub(super) fn step_into(&mut self, now: Timestamp, event: Event, mail: &mut Mail) {
        match &event {
            Event::Storage { state } => self.storage = state.clone(),
            Event::Drain => self.draining = true,
            Event::Disconnected { request } => {
                self.places.remove(request);
                self.bodies.remove(request);
            }
            _ => {}
        }
        let mut next = Some(event);
        let mut failed = Vec::new();
        while let Some(event) = next {
            let mut commands = std::mem::take(&mut self.commands);
            self.flight.step(&self.core, now, &event);
            if let Some(audit) = &mut self.audit {
                audit.event(now, &event);
            }
            let recorded = self.recording.is_some().then(|| event.clone());
            self.core.step(now, event, &mut commands);
            if let (Some(event), Some(recording)) = (recorded, &self.recording)
                && !recording.step(now, event, commands.clone())
            {
                self.recording = None;
            }
            if let Some(finding) = self.audit.as_mut().and_then(|audit| audit.commands(&commands)) {
                tracing::error!(violation = %finding.violation, "a promise is broken; the broker goes on, the audit ends");
                self.stats.broken(&finding.violation);
                mail.finding = Some((finding, self.flight.so_far()));
            }
            for command in commands.drain(..) {
                self.carry_out(command, mail, &mut failed);
            }
            self.commands = commands;
            next = failed.pop();
        }
    }

    fn carry_out(&mut self, command: Command, mail: &mut Mail, failed: &mut Vec<Event>) {
        match command {
            Command::Append { id, log, expected_offset, .. } => {
                if let Err(error) = self.append(id, log, expected_offset, mail) {
                    failed.push(Event::Appended { id, log, result: Err(error) });
                }
            }
            Command::Fetch { id, max_records, max_bytes, parts, whole } => {
                self.tell(id.request, Message::Fetch(Plan { id, max_records, max_bytes, parts, whole }), mail);
            }
            Command::Lookup { consumer, log, at, to } => mail.lookups.push(Lookup { consumer, log, at, to }),
            Command::Discard { id } => {
                self.fetches.remove(&id);
            }
            Command::Persist { first, facts } => {
                for fact in &facts {
                    self.stats.decided(fact);
                }
                let encoded = facts.iter().map(|fact| serde_json::to_vec(fact).expect("a fact is plain data"));
                let facts: Vec<_> = (first.0..).map(FactSeq).zip(encoded).collect();
                let through = facts.last().map_or(first, |(seq, _)| *seq);
                self.submit(WriteOp::Persist { through, facts }, mail);
            }
            Command::CreateLogs { topic, name, first, partitions } => {
                self.submit(WriteOp::CreateLogs { topic, name, partitions: first..partitions }, mail);
            }
            Command::ConfigureLogs { topic, config } => {
                self.submit(WriteOp::ConfigureLogs { topic, config }, mail);
            }
            Command::DeleteLogs { topic, name, partitions } => {
                self.submit(WriteOp::DeleteLogs { topic, name, partitions }, mail);
            }
            Command::Reply { request, response } => {
                self.bodies.remove(&request);
                let records = response.as_ref().ok().and_then(fetch_of).and_then(|id| self.fetches.remove(&id));
                if let Some(records) = &records {
                    self.stats.answered_with(records);
                }
                self.tell(request, Message::Reply(response, records), mail);
            }
        }
    }

    fn append(
        &mut self,
        id: AppendId,
        log: LogId,
        expected_offset: Option<Offset>,
        mail: &mut Mail,
    ) -> Result<(), StorageError> {
        let missing = || StorageError::Failed("the records are gone".to_owned());
        let bodies = self.bodies.get_mut(&id.request).ok_or_else(missing)?;
        let at = bodies.iter().position(|(partition, _)| *partition == id.partition).ok_or_else(missing)?;
        let (_, batch) = bodies.swap_remove(at);
        let engine = self.engine.as_ref().ok_or_else(|| StorageError::Failed("the broker has stopped".to_owned()))?;
        let submitted =
            engine.submit(WriteOp::Append { id, log, batch, expected_offset }).map_err(|refused| match refused {
                SubmitError::QueueFull(_) => StorageError::Overloaded,
                SubmitError::Stopped(_) => StorageError::Failed("the storage engine has stopped".to_owned()),
            })?;
        mail.unwritten |= submitted == Submitted::First;
        Ok(())
    }

    /// Hands over what the engine takes without refusing; once it has stopped nobody waits for it any more.
    pub(super) fn submit(&self, op: WriteOp, mail: &mut Mail) {
        match self.engine.as_ref().map(|engine| engine.submit(op)) {
            Some(Ok(submitted)) => mail.unwritten |= submitted == Submitted::First,
            Some(Err(error)) => tracing::error!(%error, "the engine took no more"),
            None => {}
        }
    }

    fn tell(&mut self, request: RequestId, message: Message, mail: &mut Mail) {
        if mail.sender == Some(request) {
            mail.own = Some(message);
            return;
        }
        let place = match self.places.remove(&request) {
            None => return,
            Some(Place::Waiting(to)) => {
                let reads = matches!(message, Message::Fetch(_));
                mail.letters.push((to, Letter { message, written: Instant::now() }));
                if !reads {
                    return;
                }
                Place::Reading
            }
            Some(Place::Reading | Place::Told(_)) => Place::Told(Box::new(message)),
        };
        self.places.insert(request, place);
    }

    /// What a request that brought an event hears now, if there is something; else it is to listen.
    pub(super) fn hear(
        &mut self,
        request: RequestId,
        own: Option<Message>,
    ) -> Result<Message, oneshot::Receiver<Letter>> {
        let earlier = match self.places.remove(&request) {
            Some(Place::Told(message)) => Some(*message),
            _ => None,
        };
        let Some(message) = own.or(earlier) else {
            let (sender, receiver) = oneshot::channel();
            self.places.insert(request, Place::Waiting(sender));
            return Err(receiver);
        };
        if let Message::Fetch(_) = message {
            self.places.insert(request, Place::Reading);
        }
        Ok(message)
    }

    /// Ends at once: whoever waits, or comes, hears that the group is moving.
    pub(super) fn abandon(&mut self) {
        self.over = true;
        self.engine = None;
        self.places.clear();
        self.bodies.clear();
        self.fetches.clear();
    }

    /// Nobody who waits is answered; those tasks hang up.
    pub(super) fn turn_away(&mut self) {
        self.places.retain(|_, place| !matches!(place, Place::Waiting(_)));
    }

    /// The logs that a parked poll or read waits for.
    pub(super) fn awaited(&self, request: &Request) -> Vec<LogId> {
        match request {
            Request::Consume { consumer, .. } => self.core.held(*consumer).collect(),
            Request::Read { topic, partition, .. } => {
                self.core.bounds(topic, *partition).map(|(log, _)| log).into_iter().collect()
            }
            _ => Vec::new(),
        }
    }

    /// Whether the clock is to be set to an earlier moment than it is.
    pub(super) fn deadline_came_closer(&self) -> bool {
        match (self.core.next_deadline(), self.armed) {
            (Some(next), Some(armed)) => next < armed,
            (Some(_), None) => true,
            (None, _) => false,
        }
    }

    pub(super) fn health(&self) -> Health {
        Health {
            storage: match &self.storage {
                StorageState::Ok => Ok(()),
                StorageState::Stalled(error) => Err(format!("stalled: {error}")),
                StorageState::Failed(error) => Err(format!("failed until the broker is started anew: {error}")),
            },
            audit: match self.audit.as_ref().and_then(Audit::broken) {
                None => Ok(()),
                Some(violation) => Err(violation.to_string()),
            },
            draining: self.draining,
            topics: self.core.topics(),
            consumers: self.core.consumers(),
            parked_polls: self.core.parked_polls() as usize,
        }
    }
}

/// The fetch whose records a response speaks of.
fn fetch_of(response: &Response) -> Option<FetchId> {
    match response {
        Response::Consumed(consumed) => consumed.fetch,
        Response::Read(read) => read.fetch,
        _ => None,
    }
}
