//! The simulated world: the production core, a disk, a network and clients, all on one virtual clock.
//!
//! ```text
//!   Inputs ----> World: agenda (what happens when, in which order)
//!                  |  clients: produce, subscribe, poll, process, commit, try again
//!                  |  network: a few milliseconds each way; drops, delays, doubles
//!                  |  engine:  a few milliseconds an operation; fails, loses its tail
//!                  v
//!                Core  ----> Happened: the next row of the time line
//! ```
//!
//! A seed and a list of inputs decide all of it, down to each latency. A world can be copied at any moment and goes on in
//! the same way: that is how one seeks.

mod act;
mod clients;
mod engine;
mod requests;

use std::collections::BTreeMap;

use takhin_core::{
    Boot, Command, Config, Core, Date, Event, LogId, Refusal, Request, RequestId, Response, StorageState, Timestamp,
    trace::{Life, Restart},
};

pub(crate) use self::clients::{Client, Life as ClientLife, Role};
use self::{
    clients::Wish,
    engine::{Engine, Job},
    requests::Asked,
};
use crate::input::Input;

/// The date at which every world begins: 2026-01-01.
const BEGIN: i64 = 1_767_225_600_000;

/// The date of a moment.
pub(crate) fn date(at: u64) -> Date {
    Date(BEGIN.saturating_add_unsigned(at))
}

/// What the next row of the time line is.
#[derive(Debug)]
pub(crate) struct Happened {
    pub(crate) at: u64,
    pub(crate) what: What,
    /// The row that brought it about, where the world knows and the event does not say.
    pub(crate) cause: Option<u32>,
    /// Which client sent the request that arrived, and when.
    pub(crate) sent: Option<(String, u64)>,
}

#[derive(Debug)]
pub(crate) enum What {
    /// Something was done to the world: which input, and what came of it if that needs words.
    Input { index: usize, note: Option<String> },
    /// The core took an event.
    Step { event: Event, commands: Vec<Command> },
    /// The broker was started anew.
    Restart(Box<Restart>),
}

/// Something that will happen. What is for a client bears the client's life at that time: another life ignores it.
#[derive(Clone, Debug)]
enum Happening {
    /// A request reaches the broker.
    Arrives { id: RequestId, request: Request },
    /// An answer reaches its client.
    Answered { id: RequestId, response: Result<Response, Refusal> },
    /// The disk has done something.
    Done(Job),
    /// A client does what it had in mind.
    Acts { client: usize, life: u32, wish: Wish },
    /// A client has waited for long enough.
    GivesUp { id: RequestId },
    /// A client's connection broke, or an answer could not be handed over.
    Tells(Event),
    /// The broker comes back.
    Starts,
    /// The disk has room again.
    Room,
}

/// Everything there is.
#[derive(Clone, Debug)]
pub(crate) struct World {
    pub(crate) core: Core,
    pub(crate) now: u64,
    boot: Boot,
    engine: Engine,
    pub(crate) clients: Vec<Client>,
    asked: BTreeMap<RequestId, Asked>,
    agenda: BTreeMap<(u64, u64), (Happening, u32)>,
    /// The next place on the agenda.
    order: u64,
    requests: u64,
    next_input: usize,
    /// The row that comes next.
    row: u32,
    /// Steps and restarts so far.
    steps: u64,
    seed: u64,
    /// Whether the broker is away.
    pub(crate) down: bool,
    consumers: u64,
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let config = Config::default();
        let mut world = Self {
            engine: Engine::new(config.max_ended_remembered),
            core: Core::new(config, Boot(0)),
            now: 0,
            boot: Boot(0),
            clients: Vec::new(),
            asked: BTreeMap::new(),
            agenda: BTreeMap::new(),
            order: 0,
            requests: 0,
            next_input: 0,
            row: 0,
            steps: 0,
            seed,
            down: false,
            consumers: 0,
        };
        world.plan(0, Happening::Tells(Event::Date { now: date(0) }), 0);
        world
    }

    /// The next thing that happens until `until`, that moment included; [`None`] if nothing does.
    ///
    /// What goes on inside clients and on the network is passed over.
    pub(crate) fn next(&mut self, inputs: &[Input], until: u64) -> Option<Happened> {
        loop {
            let planned = self.agenda.first_key_value().map(|((at, _), _)| (*at).max(self.now));
            let deadline = if self.down { None } else { self.core.next_deadline().map(|at| at.0.max(self.now)) };
            let input = inputs.get(self.next_input).map(|input| input.t.max(self.now));
            let at = [planned, deadline, input].into_iter().flatten().min().filter(|at| *at <= until);
            let Some(at) = at else {
                self.now = self.now.max(until);
                return None;
            };
            self.now = at;
            let happened = if planned == Some(at) {
                let ((_, _), (happening, cause)) = self.agenda.pop_first()?;
                self.happen(happening, cause)
            } else if deadline == Some(at) {
                Some(self.step(Event::Tick, None, None))
            } else {
                Some(self.take_input(inputs))
            };
            if let Some(happened) = happened {
                self.row += 1;
                return Some(happened);
            }
        }
    }

    /// When the record at an offset was appended.
    pub(crate) fn appended_at(&self, log: LogId, offset: takhin_core::Offset) -> Option<u64> {
        self.engine.appended_at(log, offset)
    }

    /// What storage can do.
    pub(crate) fn storage(&self) -> &StorageState {
        &self.engine.state
    }

    fn take_input(&mut self, inputs: &[Input]) -> Happened {
        let index = self.next_input;
        self.next_input += 1;
        let note = self.act(&inputs[index].act).err();
        Happened { at: self.now, what: What::Input { index, note }, cause: None, sent: None }
    }

    fn happen(&mut self, happening: Happening, cause: u32) -> Option<Happened> {
        match happening {
            Happening::Arrives { id, request } => self.arrive(id, request, cause),
            Happening::Answered { id, response } => {
                self.answered(id, response, cause);
                None
            }
            Happening::Done(job) => {
                let row = job.row;
                let event = self.engine.execute(job.command, self.now)?;
                Some(self.step(event, Some(row), None))
            }
            Happening::Acts { client, life, wish } => {
                self.client_acts(client, life, wish, cause);
                None
            }
            Happening::GivesUp { id } => {
                self.give_up(id, cause);
                None
            }
            Happening::Tells(event) => (!self.down).then(|| self.step(event, Some(cause), None)),
            Happening::Starts => Some(self.restart(cause)),
            Happening::Room => {
                let stalled = matches!(self.engine.state, StorageState::Stalled(_));
                stalled.then(|| self.storage_becomes(StorageState::Ok, Some(cause)))
            }
        }
    }

    fn storage_becomes(&mut self, state: StorageState, cause: Option<u32>) -> Happened {
        self.engine.state = state.clone();
        self.step(Event::Storage { state }, cause, None)
    }

    fn arrive(&mut self, id: RequestId, request: Request, cause: u32) -> Option<Happened> {
        let sent = self.asked.get_mut(&id).map(|asked| {
            asked.arrived = true;
            (self.clients.get(asked.client).map_or("admin", |client| &client.name).to_owned(), asked.sent_at)
        });
        if self.down {
            self.refused_connection(id, cause);
            return None;
        }
        let cause = (cause != NO_ROW).then_some(cause);
        Some(self.step(Event::Request { id, request }, cause, sent))
    }

    fn step(&mut self, event: Event, cause: Option<u32>, sent: Option<(String, u64)>) -> Happened {
        let mut commands = Vec::new();
        self.core.step(Timestamp(self.now), event.clone(), &mut commands);
        self.steps += 1;
        for command in &commands {
            self.carry_out(command.clone());
        }
        Happened { at: self.now, what: What::Step { event, commands }, cause, sent }
    }

    fn carry_out(&mut self, command: Command) {
        if let Command::Reply { request, response } = command {
            let latency = self.latency(2, 8);
            self.plan(self.now + latency, Happening::Answered { id: request, response }, self.row);
            return;
        }
        let takes = match command {
            Command::Fetch { .. } => self.latency(1, 2),
            _ => self.latency(2, 6),
        };
        if let Some(due) = self.engine.due(&command, self.now, takes) {
            let row = self.row;
            self.plan(due, Happening::Done(Job { command, row }), row);
        }
    }

    fn restart(&mut self, cause: u32) -> Happened {
        self.down = false;
        self.boot = Boot(self.boot.0 + 1);
        let durable = &self.engine.durable;
        let logs = durable
            .topics
            .iter()
            .flat_map(|(topic, record)| (0..record.partitions).map(|partition| LogId { topic: *topic, partition }));
        let logs: Vec<LogId> = logs.collect();
        let bounds = self.engine.recover(logs.into_iter());
        let snapshot = self.engine.durable.clone();
        let life = Life { boot: self.boot, through: self.engine.through, snapshot, bounds };
        self.steps += 1;
        let restart = Restart { n: self.steps, at: Timestamp(self.now), restart: life };
        self.core = restart.clone().core(self.core.config().clone());
        self.plan(self.now, Happening::Tells(Event::Date { now: date(self.now) }), self.row);
        Happened { at: self.now, what: What::Restart(Box::new(restart)), cause: Some(cause), sent: None }
    }

    /// Puts something on the agenda, with the row that brings it about; gives its place there.
    fn plan(&mut self, at: u64, happening: Happening, cause: u32) -> (u64, u64) {
        self.order += 1;
        let place = (at, self.order);
        self.agenda.insert(place, (happening, cause));
        place
    }

    /// So many milliseconds, `least` to `most`: the same each time in the same world.
    fn latency(&mut self, least: u64, most: u64) -> u64 {
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        least + mixed(self.seed) % (most - least + 1)
    }
}

/// The cause of what has none.
pub(crate) const NO_ROW: u32 = u32::MAX;

/// Splitmix64's finisher: every bit of the input moves every bit of the output.
fn mixed(mut word: u64) -> u64 {
    word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}
