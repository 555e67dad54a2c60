//! The world: a core, an engine with faults, clients, and the oracles that watch them. Nothing in it is left to
//! chance but what a word says.

mod admin;
mod clients;
mod cluster;
mod crash;
pub(crate) mod engine;
mod front;
mod members;
mod operate;
#[cfg(feature = "planted")]
mod planted;
mod producers;
mod rare;
mod replies;
mod settle;

use std::collections::{BTreeSet, VecDeque};

#[cfg(feature = "planted")]
use takhin_core::planted::Bug;
use takhin_core::{
    Boot, Command, ConsumerId, Core, Durable, Event, Fact, FactSeq, GroupName, LogId, Request, RequestId, Timestamp,
    TopicName,
    trace::{Header, Recorder},
};

use self::{
    clients::Client,
    engine::{Engine, Side},
    front::Front,
    producers::{Key, PRODUCERS, Producer},
    rare::Seen,
    replies::Asked,
};
use crate::{
    auditor::Auditor,
    coverage::Coverage,
    engine_kind::EngineKind,
    model::Model,
    operation::Operation,
    options::{GroupKind, Options},
    oracle::{Oracle, Violation, must},
    tape::Word,
};

/// Events that one step may lead to by itself, as a lost answer does: more would be a loop.
const MAX_FOLLOWING: usize = 10_000;

/// How thoroughly the core is looked into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Care {
    /// All of it after every event.
    Thorough,
    /// Who asks, after every request; all of it after some events, before each crash and at the end.
    Usual,
}

/// With the usual care all of the core is looked into after one in so many events.
const EVENTS_PER_CHECK: u64 = 16;

/// Everything there is.
pub(crate) struct World {
    core: Core,
    /// A second core that is given the same events, and is made at restarts from what a trace holds.
    twin: Option<Core>,
    engine: Engine,
    /// The other core of its node, if the broker is part of a cluster: the first one serves a cell then.
    front: Option<Box<Front>>,
    /// What the cell's core is being told of topics.
    teaching: BTreeSet<RequestId>,
    /// Whose step the last one was.
    last_side: Side,
    auditor: Auditor,
    model: Model,
    options: Options,
    table: Vec<Operation>,
    word: Word,
    boot: Boot,
    now: u64,
    /// Words used.
    step: u64,
    care: Care,
    /// Who asks in this step.
    asker: Option<ConsumerId>,
    /// Events that the core was given.
    events: u64,
    requests: u64,
    consumers: u128,
    clients: Vec<Client>,
    producers: Vec<Producer>,
    keys: VecDeque<Key>,
    /// A producer that sent something again after a crash.
    resent_across_crash: Option<(u32, LogId)>,
    /// How far the date is from where it would be if nobody had set it.
    date_skew: i64,
    topics: Vec<TopicName>,
    groups: Vec<(GroupKind, GroupName)>,
    open: Vec<Asked>,
    /// A produce request of which the answer got lost, to be repeated.
    retry: Option<Request>,
    /// Names under which there were topics.
    created: Vec<TopicName>,
    queue: VecDeque<Event>,
    commands: Vec<Command>,
    twin_commands: Vec<Command>,
    /// A snapshot, with the last fact in it.
    snapshot: Option<(Durable, FactSeq)>,
    /// Whether things go wrong.
    faults: bool,
    draining: bool,
    /// Records that clients received.
    delivered: u64,
    /// A group that was last seen between two assignments.
    unsettled: Option<GroupName>,
    pub(crate) coverage: Coverage,
    recording: Option<Recording>,
    seed: Option<u64>,
    #[cfg(feature = "planted")]
    planted: Option<Bug>,
}

/// A trace in the making.
struct Recording {
    recorder: Recorder,
    lines: String,
}

impl World {
    pub(crate) fn new(options: &Options, care: Care) -> Self {
        let config = options.config.clone();
        let groups = options.groups.iter().zip(["g0", "g1", "g2", "g3"]);
        let groups: Vec<_> = groups.map(|(kind, name)| (*kind, GroupName::new(name).expect("a good name"))).collect();
        let clients = (0..usize::from(options.clients.max(1))).map(|n| Client::new(n % groups.len().max(1)));
        let topics = ["a", "b", "c"].iter().take(usize::from(options.topics.max(1)));
        Self {
            core: Core::new(config.clone(), Boot(0)),
            twin: options.twin.then(|| Core::new(config.clone(), Boot(0))),
            engine: Engine::new(options.engine, config.max_ended_remembered),
            front: (options.engine == EngineKind::Kafka).then(|| Box::new(Front::new(&config))),
            teaching: BTreeSet::new(),
            last_side: Side::Cell,
            auditor: Auditor::new(config),
            model: Model::new(options.engine),
            table: options.table(),
            word: Word::default(),
            boot: Boot(0),
            now: 0,
            step: 0,
            care,
            asker: None,
            events: 0,
            requests: 0,
            consumers: 0,
            clients: clients.collect(),
            producers: (0..PRODUCERS).map(|_| Producer::default()).collect(),
            keys: VecDeque::new(),
            resent_across_crash: None,
            date_skew: 0,
            topics: topics.map(|name| TopicName::new(name).expect("a good name")).collect(),
            groups,
            open: Vec::new(),
            retry: None,
            created: Vec::new(),
            queue: VecDeque::new(),
            commands: Vec::new(),
            twin_commands: Vec::new(),
            snapshot: None,
            faults: true,
            draining: false,
            delivered: 0,
            unsettled: None,
            coverage: Coverage::default(),
            recording: None,
            seed: None,
            options: options.clone(),
            #[cfg(feature = "planted")]
            planted: None,
        }
    }

    /// Switches a bug on.
    #[cfg(feature = "planted")]
    pub(crate) fn plant(&mut self, bug: Bug) {
        self.planted = Some(bug);
        self.engine.planted.bug = Some(bug);
        self.plant_cores();
    }

    #[cfg(feature = "planted")]
    fn plant_cores(&mut self) {
        if let Some(bug) = self.planted {
            self.core.plant(bug);
            if let Some(twin) = self.twin.as_mut().filter(|_| bug != Bug::HiddenInput) {
                twin.plant(bug);
            }
            if let Some(front) = &mut self.front {
                front.core.plant(bug);
            }
        }
    }

    /// Writes down every event and command from now on; to be called before the first step.
    pub(crate) fn record(&mut self, seed: Option<u64>) {
        let header = Header { seed, ..Header::new(self.options.config.clone(), self.boot) };
        let (recorder, mut lines) = Recorder::start(&header);
        lines.push('\n');
        self.recording = Some(Recording { recorder, lines });
        self.seed = seed;
        if let Some(front) = &mut self.front {
            front.record(&self.options.config, seed);
        }
    }

    /// What was written down, of the core that had the last step.
    pub(crate) fn trace(self) -> Option<String> {
        let of_front = self.front.filter(|_| self.last_side == Side::Front).and_then(|front| front.recording);
        of_front.or(self.recording).map(|recording| recording.lines)
    }

    /// Events that the core was given so far.
    pub(crate) fn events(&self) -> u64 {
        self.events
    }

    /// Lets happen what a word says.
    pub(crate) fn step(&mut self, word: u64) -> Result<(), Violation> {
        self.step += 1;
        self.word = Word::new(word);
        let place = self.word.index(self.table.len());
        match self.table.get(place) {
            Some(operation) => self.operate(*operation),
            None => Ok(()),
        }
    }

    /// Gives the core an event, carries out what it says, and so on with what comes of that at once.
    fn event(&mut self, event: Event) -> Result<(), Violation> {
        let mut next = Some(event);
        for _ in 0..MAX_FOLLOWING {
            let Some(event) = next else { return Ok(()) };
            let taken = self.take(event);
            if taken.is_err() {
                self.queue.clear();
                return taken;
            }
            next = self.queue.pop_front();
        }
        Err(Violation::new(Oracle::AllEnds, "one step leads to another, without end"))
    }

    fn take(&mut self, event: Event) -> Result<(), Violation> {
        if self.front.is_some() { self.take_in_cluster(event) } else { self.step_core(event) }
    }

    fn step_core(&mut self, event: Event) -> Result<(), Violation> {
        let now = Timestamp(self.now);
        self.events += 1;
        self.engine.set_date(self.date());
        let audited = self.auditor.event(now, &event);
        let seen = Seen::of(&event);
        let twin = self.twin.is_some().then(|| event.clone());
        let recorded = self.recording.is_some().then(|| event.clone());
        let mut commands = std::mem::take(&mut self.commands);
        commands.clear();
        self.core.step(now, event, &mut commands);
        if let (Some(recording), Some(event)) = (&mut self.recording, recorded) {
            recording.lines.push_str(&recording.recorder.step(now, event, commands.clone()));
            recording.lines.push('\n');
        }
        self.cover_step(&seen, &commands);
        audited?;
        self.judge(&commands, twin)?;
        for command in commands.drain(..) {
            self.carry_out(command)?;
        }
        self.commands = commands;
        Ok(())
    }

    /// What must hold after any step.
    fn judge(&mut self, commands: &[Command], twin: Option<Event>) -> Result<(), Violation> {
        self.auditor.commands(commands)?;
        let asker = self.asker.take();
        if self.care == Care::Thorough || self.events.is_multiple_of(EVENTS_PER_CHECK) {
            self.look_into_core()?;
        } else if let Some(consumer) = asker {
            self.core.check_consumer(consumer).map_err(|broken| Violation::of_core(&broken))?;
        }
        let due = self.core.next_deadline().is_some_and(|at| at.0 <= self.now);
        must!(!due, NoDueTimer, "{:?} is left at {}", self.core.next_deadline(), self.now);
        let (parked, limit) = (self.core.parked_polls(), self.options.config.max_parked);
        must!(parked <= limit, Bounded, "{parked} polls are parked, and {limit} are allowed");
        if let (Some(twin), Some(event)) = (&mut self.twin, twin) {
            self.twin_commands.clear();
            twin.step(Timestamp(self.now), event, &mut self.twin_commands);
            let same = self.twin_commands == commands;
            must!(same, ReplayEqual, "recorded {commands:?}, got {:?}", self.twin_commands);
        }
        Ok(())
    }

    /// What must hold inside the core.
    fn look_into_core(&self) -> Result<(), Violation> {
        self.core.check().map_err(|broken| Violation::of_core(&broken))
    }

    fn carry_out(&mut self, command: Command) -> Result<(), Violation> {
        match command {
            Command::Reply { request, response } => self.reply(request, response),
            Command::Persist { ref facts, .. } => {
                for fact in facts {
                    self.decided(fact)?;
                }
                self.engine.take(command);
                Ok(())
            }
            command => {
                if let Command::DeleteLogs { topic, .. } = &command {
                    self.engine.excuse(*topic);
                }
                self.engine.take(command);
                Ok(())
            }
        }
    }

    /// What the model makes of a decision.
    fn decided(&mut self, fact: &Fact) -> Result<(), Violation> {
        if let Fact::GroupDeleted { group } = fact
            && let Some(at) = self.groups.iter().position(|(_, name)| name == group)
        {
            self.model.group_forgotten(at);
        }
        let Fact::Committed { group, offsets, .. } = fact else { return Ok(()) };
        let Some(at) = self.groups.iter().position(|(_, name)| name == group) else { return Ok(()) };
        if self.groups[at].0 == GroupKind::Wild {
            return Ok(());
        }
        for (log, offset) in offsets {
            if !self.engine.excused.contains(log) {
                let start = self.engine.start(*log);
                self.model.commit_decided((at, *log), offset.0, self.step, start)?;
            }
        }
        Ok(())
    }

    fn pass(&mut self, ms: u64) -> Result<(), Violation> {
        let until = self.now + ms;
        while let Some(Timestamp(at)) = self.next_deadline().filter(|at| at.0 <= until) {
            self.now = self.now.max(at);
            self.event(Event::Tick)?;
        }
        self.now = until;
        Ok(())
    }

    fn next_request(&mut self) -> RequestId {
        self.requests += 1;
        RequestId::new(self.boot, self.requests)
    }
}
