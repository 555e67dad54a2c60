//! A small world around a core: clients that forget, lose and repeat, an engine that takes its time, crashes.
//!
//! ```text
//!   clients --- requests, disconnects, lost responses ---> Core ---> appends, fetches, facts
//!                                                            ^                 |
//!                                                            +--- late, and in another order between lanes
//! ```
//!
//! Everything follows from one seed. After each step the core must hold its own invariants, and what clients saw
//! must hold those of [`World::settle`] and of the checks named `must_...`.

mod chance;
mod clients;

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use takhin_core::{
    Boot, Command, Config, Core, DurationMs, Event, Fact, FactSeq, FetchId, Generation, LogId, Offset, Parts,
    ProduceBatch, Recovery, Request, RequestId, StorageError, StorageState, Timestamp, TopicConfig, durable::Durable,
    memory::MemoryEngine,
};

use self::{
    chance::Chance,
    clients::{Asked, Client},
};
use crate::script::{consumer, topic};

/// Groups whose clients play by the rules, so that nothing may be lost or delivered after its commit; clients of the
/// last one seek, rewind and take partitions by hand.
const GROUPS: [&str; 3] = ["exact", "plain", "wild"];
const TOPICS: [&str; 3] = ["a", "b", "c"];
const WILD: usize = 2;

/// The core and all around it.
pub struct World {
    core: Core,
    engine: MemoryEngine,
    chance: Chance,
    config: Config,
    boot: Boot,
    now: u64,
    requests: u64,
    consumers: u128,
    clients: Vec<Client>,
    open: BTreeMap<RequestId, Asked>,
    /// Work of the engine under way: what is in one lane is done in order.
    lanes: BTreeMap<Lane, VecDeque<Command>>,
    /// The completion that was reported last, to be reported again.
    reported: Option<Event>,
    /// What was read and neither answered with nor dropped.
    buffers: BTreeSet<FetchId>,
    stalled: bool,
    faults: bool,
    decided: BTreeMap<(usize, LogId), Offset>,
    acknowledged: BTreeMap<(usize, LogId), Offset>,
    received: BTreeMap<(usize, LogId), BTreeSet<u64>>,
    generations: BTreeMap<usize, Generation>,
    told: BTreeMap<usize, Generation>,
    story: VecDeque<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Lane {
    Facts,
    Topics,
    Log(LogId),
    Fetch(FetchId),
}

impl World {
    /// A world that follows from a seed.
    pub fn new(seed: u64) -> Self {
        let config = Config { position_checkpoint: DurationMs(500), max_ended_remembered: 20, ..Config::default() };
        let clients = (0..10).map(|n| Client { group: n % GROUPS.len(), ..Client::default() });
        Self {
            core: Core::new(config.clone(), Boot(0)),
            engine: MemoryEngine::default(),
            chance: Chance(seed),
            config,
            boot: Boot(0),
            now: 0,
            requests: 0,
            consumers: 0,
            clients: clients.collect(),
            open: BTreeMap::new(),
            lanes: BTreeMap::new(),
            reported: None,
            buffers: BTreeSet::new(),
            stalled: false,
            faults: true,
            decided: BTreeMap::new(),
            acknowledged: BTreeMap::new(),
            received: BTreeMap::new(),
            generations: BTreeMap::new(),
            told: BTreeMap::new(),
            story: VecDeque::new(),
        }
    }

    /// Lets one thing happen.
    pub fn step(&mut self) {
        match self.chance.below(100) {
            0..45 => self.complete_one(),
            45..78 => self.client_acts(),
            78..86 => self.produce(),
            86..88 => self.topics_change(),
            88..96 => {
                let ms = [1, 20, 300, 1_500][self.chance.index(4)];
                self.pass(ms);
            }
            96 => self.disconnect(),
            97 => self.garbage(),
            98 if self.chance.one_in(3) => self.crash(),
            98 => {}
            _ => self.storage_turns(),
        }
    }

    /// Faults end. Every request must end, every group settle, and every record have reached every group.
    pub fn settle(&mut self) {
        self.faults = false;
        if self.stalled {
            self.storage_turns();
        }
        for round in 0..60 {
            self.complete_all();
            for at in 0..self.clients.len() {
                match self.clients[at].me {
                    None => self.subscribe(at),
                    Some(_) if !self.clients[at].polling => self.poll(at, 0),
                    Some(_) => {}
                }
                self.complete_all();
                if round % 3 == 0 {
                    self.commit(at);
                }
            }
            self.pass(500);
        }
        self.complete_all();
        self.ask(None, Request::ListGroups);
        // Until the last session and the last handover that its end brought about are over.
        self.pass(10_000);
        self.complete_all();
        self.must(self.open.is_empty() && self.core.open_requests() == 0, "every request ends");
        self.must(self.buffers.is_empty(), "nothing that was read is left behind");
        let ended = self.ask(None, Request::ListGroups);
        self.must(!self.open.contains_key(&ended), "groups are told at once");
        let folded = self.engine.fold(self.config.max_ended_remembered);
        self.must(folded == self.core.snapshot(), "facts alone make up the state");
        for (log, bounds) in self.engine.bounds() {
            for at in (0..WILD).filter(|_| folded.topics.contains_key(&log.topic)) {
                let received = self.received.get(&(at, log));
                let all = (0..bounds.end.0).all(|offset| received.is_some_and(|received| received.contains(&offset)));
                self.must(all, "every record is delivered");
            }
        }
    }

    fn must(&self, holds: bool, rule: &str) {
        assert!(holds, "{rule}\n{}", self.story.iter().map(String::as_str).collect::<Vec<_>>().join("\n"));
    }

    fn event(&mut self, event: Event) {
        let mut commands = Vec::new();
        self.story.push_back(format!("{:>6} > {event:?}", self.now));
        self.core.step(Timestamp(self.now), event, &mut commands);
        self.story.extend(commands.iter().map(|command| format!("       < {command:?}")));
        self.story.drain(..self.story.len().saturating_sub(1_000));
        if let Err(violation) = self.core.check() {
            self.must(false, &violation.to_string());
        }
        for command in commands {
            match command {
                Command::Reply { request, response } => self.replied(request, response),
                Command::Discard { id } => {
                    self.buffers.remove(&id);
                }
                Command::ConfigureLogs { .. } | Command::DeleteLogs { .. } => {
                    self.engine.execute(&command);
                }
                Command::Append { log, .. } | Command::Lookup { log, .. } => self.queue(Lane::Log(log), command),
                Command::Fetch { id, .. } => self.queue(Lane::Fetch(id), command),
                Command::CreateLogs { .. } => self.queue(Lane::Topics, command),
                Command::Persist { ref facts, .. } => {
                    self.must_decide_well(facts);
                    self.queue(Lane::Facts, command);
                }
            }
        }
    }

    fn queue(&mut self, lane: Lane, command: Command) {
        self.lanes.entry(lane).or_default().push_back(command);
    }

    fn must_decide_well(&mut self, facts: &[Fact]) {
        for fact in facts {
            match fact {
                Fact::Committed { group, offsets, .. } => {
                    let at = group_index(group);
                    for (log, offset) in offsets {
                        let earlier = self.decided.insert((at, *log), *offset);
                        self.must(at == WILD || earlier.is_none_or(|e| e <= *offset), "a commit never goes back");
                        let received = self.received.get(&(at, *log));
                        let all = (0..offset.0).all(|o| received.is_some_and(|received| received.contains(&o)));
                        self.must(at == WILD || all, "only what was received is committed");
                    }
                }
                Fact::Rebalanced { group, generation, .. } => {
                    let earlier = self.generations.insert(group_index(group), *generation);
                    self.must(earlier.is_none_or(|earlier| earlier < *generation), "generations strictly grow");
                }
                _ => {}
            }
        }
    }

    fn complete_one(&mut self) {
        let lanes: Vec<Lane> = self.lanes.keys().copied().filter(|l| !(self.stalled && *l == Lane::Facts)).collect();
        if !lanes.is_empty() {
            let lane = lanes[self.chance.index(lanes.len())];
            self.complete(lane);
        }
    }

    fn complete_all(&mut self) {
        while let Some(lane) = self.lanes.keys().next().copied() {
            self.complete(lane);
        }
    }

    fn complete(&mut self, lane: Lane) {
        let Some(queue) = self.lanes.get_mut(&lane) else { return };
        let command = queue.pop_front();
        if queue.is_empty() {
            self.lanes.remove(&lane);
        }
        let Some(command) = command else { return };
        let refused = self.faults && self.chance.one_in(12);
        let error = StorageError::Failed("chance".into());
        let event = match command {
            Command::CreateLogs { topic, partitions, .. } if refused => {
                Some(Event::LogsCreated { topic, partitions, result: Err(error) })
            }
            Command::Append { id, log, .. } if refused => Some(Event::Appended { id, log, result: Err(error) }),
            command => self.engine.execute(&command),
        };
        if let Some(event) = event {
            if let Event::Fetched { id, .. } = &event {
                self.buffers.insert(*id);
            } else {
                self.reported = Some(event.clone());
            }
            self.event(event);
        }
    }

    fn pass(&mut self, ms: u64) {
        let until = self.now + ms;
        while let Some(Timestamp(at)) = self.core.next_deadline().filter(|at| at.0 <= until) {
            self.now = self.now.max(at);
            self.event(Event::Tick);
        }
        self.now = until;
    }

    fn ask(&mut self, client: Option<usize>, request: Request) -> RequestId {
        self.requests += 1;
        let id = RequestId::new(self.boot, self.requests);
        let group = client.map(|at| self.clients[at].group);
        let committed = self.decided.iter().filter(|((of, _), _)| Some(*of) == group);
        let committed = committed.map(|((_, log), offset)| (*log, *offset)).collect();
        self.open.insert(id, Asked { client, request: request.clone(), committed });
        self.event(Event::Request { id, request });
        id
    }

    fn produce(&mut self) {
        let (records, partition) = (1 + self.chance.below(3), self.chance.below(3));
        let batch = ProduceBatch { partition, records, bytes: records * 10, ..ProduceBatch::default() };
        let topic = topic(TOPICS[self.chance.index(3)]);
        self.ask(None, Request::Produce { topic, batches: Parts::from_elem(batch, 1) });
    }

    fn topics_change(&mut self) {
        let name = topic(TOPICS[self.chance.index(3)]);
        let partitions = 1 + self.chance.below(4);
        let request = match self.chance.below(8) {
            0 => Request::DeleteTopic { name },
            1..3 => Request::AddPartitions { name, partitions },
            _ => Request::CreateTopic { name, partitions, config: TopicConfig::default() },
        };
        self.ask(None, request);
    }

    fn disconnect(&mut self) {
        let open: Vec<RequestId> = self.open.keys().copied().collect();
        if open.is_empty() {
            return;
        }
        let request = open[self.chance.index(open.len())];
        let asked = self.open.remove(&request);
        let poll = asked.filter(|asked| matches!(asked.request, Request::Consume { .. }));
        if let Some((at, me)) = poll.and_then(|asked| Some((asked.client?, asked.request_consumer()?)))
            && self.clients[at].me == Some(me)
        {
            self.clients[at].polling = false;
            self.clients[at].unsure = true;
        }
        self.event(Event::Disconnected { request });
    }

    fn garbage(&mut self) {
        let n = self.chance.next();
        let (request, who) = (RequestId(n % 5_000), consumer(u128::from(n % 64)));
        let event = match n >> 32 & 7 {
            0 => Event::Fetched { id: FetchId { request: RequestId(n), attempt: 0 }, parts: Parts::new() },
            1 => Event::Persisted { through: FactSeq(1) },
            2 => Event::Disconnected { request: RequestId(n) },
            3 => Event::Undelivered { request: RequestId(n), consumer: who },
            4 => Event::LogMoved { log: LogId::default(), start: Offset(n), end: Offset(1) },
            _ => self.reported.clone().unwrap_or(Event::Disconnected { request: RequestId(request.0 | 1 << 60) }),
        };
        self.event(event);
    }

    fn storage_turns(&mut self) {
        self.stalled = !self.stalled;
        let state = if self.stalled { StorageState::Stalled(StorageError::Full) } else { StorageState::Ok };
        self.event(Event::Storage { state });
    }

    /// The broker dies. Of what was under way some is done and some is not; facts keep their order.
    fn crash(&mut self) {
        for (lane, queue) in std::mem::take(&mut self.lanes) {
            for command in queue {
                let done = match command {
                    Command::Persist { first, mut facts } => {
                        let all = facts.len();
                        facts.truncate(self.chance.index(all + 1));
                        let whole = facts.len() == all;
                        if !facts.is_empty() {
                            self.engine.execute(&Command::Persist { first, facts });
                        }
                        whole
                    }
                    Command::Append { .. } | Command::CreateLogs { .. } if self.chance.one_in(2) => {
                        self.engine.execute(&command).is_some()
                    }
                    _ => false,
                };
                if !done && lane == Lane::Facts {
                    break;
                }
            }
        }
        self.boot = Boot(self.boot.0 + 1);
        self.requests = 0;
        self.open.clear();
        self.reported = None;
        self.buffers.clear();
        self.stalled = false;
        for client in &mut self.clients {
            client.next.clear();
            client.polling = false;
            client.unsure = true;
            client.generation = Generation::default();
        }
        self.recover();
    }

    fn recover(&mut self) {
        self.story.push_back("crash".into());
        let durable = self.engine.fold(self.config.max_ended_remembered);
        for ((at, log), offset) in &self.acknowledged {
            let stored = durable.committed(GROUPS[*at], *log);
            let gone = !durable.topics.contains_key(&log.topic);
            self.must(gone || *at == WILD || stored >= Some(*offset), "an acknowledged commit outlives a crash");
        }
        for (at, told) in &self.told {
            // A group that nobody is in and that has nothing committed is forgotten, and its generation is not.
            let stored = durable.groups.get(GROUPS[*at]).map_or(durable.generation_floor, |group| group.generation);
            self.must(stored >= *told, "a generation that was told outlives a crash");
        }
        self.decided.clear();
        self.generations.clear();
        for (name, record) in &durable.groups {
            let at = group_index(name);
            self.decided.extend(record.offsets.iter().map(|(log, offset)| ((at, *log), *offset)));
            self.generations.insert(at, record.generation);
        }
        let mut recovery = Recovery::new(self.config.clone(), Durable::default(), FactSeq(0));
        for (seq, fact) in self.engine.facts() {
            recovery.apply(*seq, fact);
        }
        self.must(recovery.through().0 == self.engine.facts().len() as u64, "facts are numbered without a gap");
        self.core = recovery.finish(self.boot, Timestamp(self.now), &self.engine.bounds());
        self.event(Event::Tick);
    }
}

fn group_index(name: &str) -> usize {
    GROUPS.iter().position(|group| *group == name).expect("a group of this world")
}
