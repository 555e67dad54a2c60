//! The cluster, and what happens in it.

mod arrivals;

use takhin_core::{
    AppendId, Boot, Command, Config, Core, Durable, DurationMs, Event, FactSeq, GroupName, LogId, Offset, Request,
    RequestId, Timestamp, TopicConfig, TopicName,
    cell::{CellConfig, CellEvent},
    memory::MemoryEngine,
};

use super::{
    chance::{Chances, Happening},
    clients::Client,
    journal::{Facts, Journal, Life, Message, Snapshot},
    judge::{Judge, Promise, Violation, broken},
    node::{Around, Node},
    sights::{Sight, Sights},
};
use crate::tape::{Tape, Word};

const LEASE: DurationMs = DurationMs(900);
const KEEP_ALIVE: DurationMs = DurationMs(300);
const PARTITIONS: u32 = 4;
/// Rounds at the end, in each of which everything arrives, everybody polls and some time passes: enough for an owner that was
/// overtaken again and again to wait for 32 leases, and then to recover the cell, of which it reads an entry a round.
const MAX_ROUNDS: u32 = 1_000;
const ROUND_MS: u64 = 100;

/// A cluster with one cell.
#[derive(Debug)]
pub struct Cluster {
    chances: Chances,
    now: u64,
    nodes: Vec<Node>,
    lives: u64,
    journal: Journal,
    network: Vec<Message>,
    engine: MemoryEngine,
    topic: TopicName,
    clients: Vec<Client>,
    consumers: u128,
    records: u64,
    judge: Judge,
    sights: Sights,
    cell: CellConfig,
    config: Config,
    steps: u64,
}

/// What came of a run.
#[derive(Debug)]
pub struct Report {
    /// Steps that were made; with a violation, up to that.
    pub steps: u64,
    /// What was rare and met.
    pub sights: Sights,
    /// The promise that was broken.
    pub violation: Option<Violation>,
}

impl Cluster {
    /// Runs a cluster in which a seed decides everything.
    pub fn run(seed: u64, steps: u32) -> Report {
        Self::new(seed).play(&Tape::drawn(seed, steps))
    }

    /// The same, with a bug switched on.
    #[cfg(feature = "planted")]
    pub fn run_planted(seed: u64, steps: u32, bug: takhin_core::planted::Bug) -> Report {
        let mut cluster = Self::new(seed);
        cluster.cell.planted = Some(bug);
        for at in 0..cluster.nodes.len() {
            cluster.nodes[at] = cluster.born(at);
        }
        cluster.play(&Tape::drawn(seed, steps))
    }

    fn new(seed: u64) -> Self {
        let (chances, config) = (Chances::drawn(seed), Config::default());
        let (engine, topic, durable, through) = with_topic(&config);
        let group = |at: usize| GroupName::new(["g0", "g1"][at % 2]).unwrap_or_else(|_| unreachable!());
        let mut cluster = Self {
            chances,
            now: 0,
            nodes: Vec::new(),
            lives: 0,
            journal: Journal::new(durable.clone(), through),
            network: Vec::new(),
            engine,
            topic,
            clients: (0..chances.clients).map(|at| Client::new(group(at))).collect(),
            consumers: 0,
            records: 0,
            judge: Judge::new(durable, through, config.max_ended_remembered),
            sights: Sights::default(),
            cell: CellConfig::new(LEASE, KEEP_ALIVE).unwrap_or_else(|_| unreachable!()),
            config,
            steps: 0,
        };
        for at in 0..chances.nodes {
            let node = cluster.born(at);
            cluster.nodes.push(node);
        }
        cluster
    }

    fn born(&mut self, at: usize) -> Node {
        self.lives += 1;
        Node::new(Life { node: at, life: self.lives }, self.cell, self.config.clone())
    }

    fn play(mut self, tape: &Tape) -> Report {
        let violation = self.go(tape).err();
        Report { steps: self.steps, sights: self.sights, violation }
    }

    fn go(&mut self, tape: &Tape) -> Result<(), Violation> {
        self.cell_event(0, CellEvent::Offered)?;
        for word in &tape.0 {
            self.steps += 1;
            self.step(&mut Word::new(*word))?;
        }
        self.settle()
    }

    fn step(&mut self, word: &mut Word) -> Result<(), Violation> {
        let node = word.below(u32::try_from(self.nodes.len()).unwrap_or(1)) as usize;
        match self.chances.happening(word) {
            Happening::Arrival => self.arrival(word),
            Happening::Client => self.client(word),
            Happening::Time => self.pass(u64::from(word.below(self.chances.longest))),
            Happening::Records => self.grow(word.below(PARTITIONS)),
            Happening::Offer if !self.nodes[node].paused => self.cell_event(node, CellEvent::Offered),
            Happening::Revoke if !self.nodes[node].paused => self.cell_event(node, CellEvent::Revoked),
            Happening::Pause => {
                self.nodes[node].paused = true;
                Ok(())
            }
            Happening::Resume => self.resume(node),
            Happening::Death => {
                self.die(node);
                Ok(())
            }
            Happening::Snapshot => {
                self.write_snapshot(node);
                Ok(())
            }
            Happening::Look => {
                let event = CellEvent::Sighted { next: self.journal.end(), behind: word.below(2) };
                self.network.push(Message::Outcome { to: self.nodes[node].life, event });
                Ok(())
            }
            Happening::Offer | Happening::Revoke => Ok(()),
        }
    }

    fn around(&mut self, node: usize) -> (&mut Node, Around<'_>) {
        let around = Around {
            now: self.now,
            engine: &mut self.engine,
            network: &mut self.network,
            judge: &mut self.judge,
            clients: &mut self.clients,
            sights: &mut self.sights,
        };
        (&mut self.nodes[node], around)
    }

    fn cell_event(&mut self, at: usize, event: CellEvent<Facts>) -> Result<(), Violation> {
        let owned = self.nodes[at].core.is_some();
        let (node, mut around) = self.around(at);
        node.cell(event, &mut around)?;
        if !owned && self.nodes[at].core.is_some() {
            let others = self.nodes.iter().filter(|node| node.core.is_some()).count() - 1;
            (0..others).for_each(|_| self.sights.see(Sight::TakenOver));
            if self.journal.snapshot.replay.epoch().is_some() {
                self.sights.see(Sight::RecoveredFromSnapshot);
            }
        }
        Ok(())
    }

    fn core_event(&mut self, at: usize, event: Event) -> Result<(), Violation> {
        let (node, mut around) = self.around(at);
        node.core(event, &mut around)
    }

    fn client(&mut self, word: &mut Word) -> Result<(), Violation> {
        let at = word.below(u32::try_from(self.clients.len()).unwrap_or(1)) as usize;
        if let Some((life, request)) = self.clients[at].waits {
            if word.below(4) > 0 {
                return Ok(());
            }
            self.clients[at].waits = None;
            if self.nodes[life.node].life != life || self.nodes[life.node].paused {
                return Ok(());
            }
            let (node, mut around) = self.around(life.node);
            return node.hang_up(request, &mut around);
        }
        if word.below(4) == 0 {
            self.clients[at].at = word.below(u32::try_from(self.nodes.len()).unwrap_or(1)) as usize;
        }
        let to = self.clients[at].at;
        if !self.nodes[to].serves(self.now) {
            self.clients[at].at = (to + 1) % self.nodes.len();
            return Ok(());
        }
        self.consumers += 1;
        let wish = self.clients[at].wish(self.consumers, &self.topic, word);
        let (node, mut around) = self.around(to);
        node.ask(at, wish, &mut around)
    }

    fn pass(&mut self, span: u64) -> Result<(), Violation> {
        self.now += span;
        for at in 0..self.nodes.len() {
            if self.nodes[at].paused {
                continue;
            }
            self.cell_event(at, CellEvent::Tick)?;
            let due = self.nodes[at].core.as_ref().and_then(Core::next_deadline);
            if due.is_some_and(|due| due <= Timestamp(self.now)) {
                self.core_event(at, Event::Tick)?;
            }
        }
        Ok(())
    }

    fn grow(&mut self, partition: u32) -> Result<(), Violation> {
        let Some(log) = self.engine.bounds().keys().find(|log| log.partition == partition).copied() else {
            return Ok(());
        };
        self.records += 1;
        let id = AppendId { request: RequestId(self.records), partition };
        let append = Command::Append { id, log, records: 1, bytes: 10, expected_offset: None, producer: None };
        self.engine.execute(&append);
        let end = self.engine.bounds_of(log).end;
        for at in 0..self.nodes.len() {
            if !self.nodes[at].paused {
                self.core_event(at, Event::LogMoved { log, start: Offset(0), end })?;
            }
        }
        Ok(())
    }

    fn resume(&mut self, at: usize) -> Result<(), Violation> {
        if !std::mem::take(&mut self.nodes[at].paused) {
            return Ok(());
        }
        let moved: Vec<(LogId, Offset)> = self.engine.bounds().iter().map(|(log, bounds)| (*log, bounds.end)).collect();
        for (log, end) in moved {
            self.core_event(at, Event::LogMoved { log, start: Offset(0), end })?;
        }
        Ok(())
    }

    fn die(&mut self, at: usize) {
        let life = self.nodes[at].life;
        self.nodes[at] = self.born(at);
        for client in &mut self.clients {
            if client.waits.is_some_and(|(by, _)| by == life) {
                client.waits = None;
            }
        }
    }

    /// An owner that has nothing decided that is not persisted writes down where it stands.
    fn write_snapshot(&mut self, at: usize) {
        let node = &self.nodes[at];
        let (Some(core), Some((replay, next)), false) = (&node.core, node.owner.replay(), node.paused) else { return };
        if core.decided() == replay.through() {
            let snapshot = Snapshot { next, replay: replay.clone(), durable: core.snapshot() };
            self.network.push(Message::Keep { snapshot });
        }
    }

    /// Faults stop. The cell has to be served, and every client to become a member that is answered.
    fn settle(&mut self) -> Result<(), Violation> {
        for at in 0..self.nodes.len() {
            self.resume(at)?;
            if at > 0 {
                self.cell_event(at, CellEvent::Revoked)?;
            }
        }
        self.cell_event(0, CellEvent::Offered)?;
        for _ in 0..MAX_ROUNDS {
            for message in std::mem::take(&mut self.network) {
                self.arrives(message, &mut Word::default(), false)?;
            }
            for at in 0..self.clients.len() {
                self.poll_plainly(at)?;
            }
            self.pass(ROUND_MS)?;
            let served = |client: &Client| client.is_member() && client.waits.is_none();
            if self.network.is_empty() && self.nodes[0].serves(self.now) && self.clients.iter().all(served) {
                return Ok(());
            }
        }
        let waiting = self.clients.iter().filter(|client| !client.is_member() || client.waits.is_some()).count();
        let serves = self.nodes[0].serves(self.now);
        broken(
            Promise::Served,
            format!("all is quiet: serves {serves}, {} on the way, {waiting} clients wait", self.network.len()),
        )
    }

    fn poll_plainly(&mut self, at: usize) -> Result<(), Violation> {
        let waits_for_nobody = self.clients[at].waits.is_some_and(|(life, _)| life != self.nodes[0].life);
        if waits_for_nobody {
            self.clients[at].waits = None;
        }
        if self.clients[at].waits.is_some() || !self.nodes[0].serves(self.now) {
            return Ok(());
        }
        self.consumers += 1;
        let wish = self.clients[at].plain_wish(self.consumers, &self.topic);
        let (node, mut around) = self.around(0);
        node.ask(at, wish, &mut around)
    }
}

/// A cell begins with a topic.
fn with_topic(config: &Config) -> (MemoryEngine, TopicName, Durable, FactSeq) {
    let name = TopicName::new("a").unwrap_or_else(|_| unreachable!());
    let (mut core, mut engine) = (Core::new(config.clone(), Boot(0)), MemoryEngine::default());
    let request = Request::CreateTopic { name: name.clone(), partitions: PARTITIONS, config: TopicConfig::default() };
    let mut events = vec![Event::Request { id: RequestId(1), request }];
    while let Some(event) = events.pop() {
        let mut commands = Vec::new();
        core.step(Timestamp(0), event, &mut commands);
        events.extend(commands.iter().filter_map(|command| engine.execute(command)));
    }
    (engine, name, core.snapshot(), core.decided())
}
