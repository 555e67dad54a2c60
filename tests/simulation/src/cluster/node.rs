//! One node: its part in the cell, the core while it owns it, and who waits there for an answer.

use std::collections::{BTreeMap, VecDeque};

use takhin_core::{
    Boot, Command, Config, Core, Durable, Event, Fact, FactSeq, Recovery, Refusal, Request, RequestId, Response,
    Timestamp,
    cell::{CellCommand, CellConfig, CellEvent, CellOffset, Entry, Owner, StepDown},
    memory::MemoryEngine,
};

use super::{
    clients::Client,
    journal::{Facts, Life, Message},
    judge::{Judge, Promise, Violation, broken},
    sights::{Sight, Sights},
};

/// One life of a node.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) life: Life,
    pub(super) owner: Owner,
    pub(super) core: Option<Core>,
    pub(super) paused: bool,
    config: Config,
    /// Which announcement was its last, and where that lies, as it was told.
    announcing: u32,
    announced: CellOffset,
    snapshot: Option<(Durable, FactSeq)>,
    recovery: Option<Recovery>,
    /// Decided, and not persisted yet.
    decided: VecDeque<(FactSeq, Fact)>,
    waiting: BTreeMap<RequestId, usize>,
    requests: u64,
}

/// What is around a node.
pub(super) struct Around<'a> {
    pub(super) now: u64,
    pub(super) engine: &'a mut MemoryEngine,
    pub(super) network: &'a mut Vec<Message>,
    pub(super) judge: &'a mut Judge,
    pub(super) clients: &'a mut [Client],
    pub(super) sights: &'a mut Sights,
}

enum Work {
    Cell(CellEvent<Facts>),
    Core(Event),
}

impl Node {
    pub(super) fn new(life: Life, cell: CellConfig, config: Config) -> Self {
        Self {
            life,
            owner: Owner::new(life.owner(), cell),
            core: None,
            paused: false,
            config,
            announcing: 0,
            announced: CellOffset::default(),
            snapshot: None,
            recovery: None,
            decided: VecDeque::new(),
            waiting: BTreeMap::new(),
            requests: 0,
        }
    }

    /// A snapshot was read.
    pub(super) fn snapshot(
        &mut self,
        durable: Durable,
        through: FactSeq,
        event: CellEvent<Facts>,
        around: &mut Around<'_>,
    ) -> Result<(), Violation> {
        self.snapshot = Some((durable, through));
        self.cell(event, around)
    }

    pub(super) fn cell(&mut self, event: CellEvent<Facts>, around: &mut Around<'_>) -> Result<(), Violation> {
        // One that it has given up may be heard of late.
        if let CellEvent::Announced { number, at: Some(at) } = event
            && number == self.announcing
        {
            self.announced = at;
        }
        self.work(Work::Cell(event), around)
    }

    pub(super) fn core(&mut self, event: Event, around: &mut Around<'_>) -> Result<(), Violation> {
        self.work(Work::Core(event), around)
    }

    /// Whether it takes requests.
    pub(super) fn serves(&self, now: u64) -> bool {
        !self.paused && self.core.is_some() && self.owner.serves(Timestamp(now))
    }

    /// A client asks it something.
    pub(super) fn ask(&mut self, client: usize, request: Request, around: &mut Around<'_>) -> Result<(), Violation> {
        let Some(core) = &self.core else { return Ok(()) };
        self.requests += 1;
        let id = RequestId::new(core.boot(), self.requests);
        self.waiting.insert(id, client);
        around.clients[client].waits = Some((self.life, id));
        self.core(Event::Request { id, request }, around)
    }

    /// A client no longer waits.
    pub(super) fn hang_up(&mut self, request: RequestId, around: &mut Around<'_>) -> Result<(), Violation> {
        if self.waiting.remove(&request).is_none() {
            return Ok(());
        }
        self.core(Event::Disconnected { request }, around)
    }

    fn work(&mut self, first: Work, around: &mut Around<'_>) -> Result<(), Violation> {
        let mut work = VecDeque::from([first]);
        while let Some(next) = work.pop_front() {
            match next {
                Work::Cell(event) => {
                    let (looked, read) =
                        (matches!(event, CellEvent::Sighted { .. }), matches!(event, CellEvent::Entries { .. }));
                    let waited = self.owner.replay().is_some();
                    let mut commands = Vec::new();
                    self.owner.step(Timestamp(around.now), event, &mut commands);
                    if looked && commands.iter().any(|command| matches!(command, CellCommand::Announce(_))) {
                        around.sights.see(Sight::StoodIn);
                    }
                    if read && waited && commands.iter().any(|command| matches!(command, CellCommand::Own { .. })) {
                        around.sights.see(Sight::WaitCutShort);
                    }
                    for command in commands {
                        self.cell_command(command, &mut work, around)?;
                    }
                }
                Work::Core(event) => {
                    let Some(core) = &mut self.core else { continue };
                    let mut commands = Vec::new();
                    core.step(Timestamp(around.now), event, &mut commands);
                    for command in commands {
                        self.core_command(command, &mut work, around)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn cell_command(
        &mut self,
        command: CellCommand<Facts>,
        work: &mut VecDeque<Work>,
        around: &mut Around<'_>,
    ) -> Result<(), Violation> {
        let by = self.life;
        match command {
            CellCommand::Announce(announcement) => {
                self.announcing = announcement.number;
                let entry = Entry::Announced(announcement);
                around.network.push(Message::Append { from: by, entry, tell: true });
            }
            CellCommand::Append { epoch, number, after, through, facts } => {
                let entry = Entry::Facts { epoch, number, after, through, facts: facts.unwrap_or_default() };
                around.network.push(Message::Append { from: by, entry, tell: true });
            }
            CellCommand::Resign { epoch, alone } => {
                let entry = Entry::Resigned { epoch, alone };
                around.network.push(Message::Append { from: by, entry, tell: false });
            }
            CellCommand::ReadSnapshot => around.network.push(Message::ReadSnapshot { by }),
            CellCommand::Begin => {
                let snapshot = self.snapshot.take();
                self.recovery = snapshot.map(|(durable, through)| Recovery::new(self.config.clone(), durable, through));
            }
            CellCommand::Read { from, to } => {
                if self.core.is_some() {
                    around.sights.see(Sight::GapRead);
                }
                around.network.push(Message::Read { by, from, to });
            }
            CellCommand::Apply(facts) => {
                if let Some(recovery) = &mut self.recovery {
                    for (seq, fact) in &facts {
                        recovery.apply(*seq, fact);
                    }
                }
            }
            CellCommand::Own { boot, through } => {
                self.own(boot, through, around)?;
                work.push_back(Work::Core(Event::Tick));
            }
            CellCommand::Persisted { through, .. } => {
                let persisted = self.decided.partition_point(|(seq, _)| *seq <= through);
                for (seq, fact) in self.decided.drain(..persisted) {
                    around.judge.persisted(seq, &fact)?;
                }
                work.push_back(Work::Core(Event::Persisted { through }));
            }
            CellCommand::Lapsed => {
                for (request, client) in std::mem::take(&mut self.waiting) {
                    around.clients[client].waits = None;
                    work.push_back(Work::Core(Event::Disconnected { request }));
                }
            }
            CellCommand::StepDown(why) => self.step_down(why, around)?,
        }
        Ok(())
    }

    fn own(&mut self, boot: Boot, through: FactSeq, around: &mut Around<'_>) -> Result<(), Violation> {
        let Some(recovery) = self.recovery.take() else {
            return broken(Promise::RecoveredEqual, format!("{:?} owns the cell, and recovered nothing", self.life));
        };
        let epoch = self.epoch();
        if let Some((durable, expected_through)) = around.judge.owns(self.life, epoch, boot)? {
            let expected = Recovery::new(self.config.clone(), durable, expected_through).durable();
            if recovery.durable() != expected || recovery.through() != expected_through || through != expected_through {
                return broken(Promise::RecoveredEqual, format!("{:?} starts from something else", self.life));
            }
        }
        self.core = Some(recovery.finish(boot, Timestamp(around.now), &around.engine.bounds()));
        Ok(())
    }

    /// Whose the cell is, as far as the node knows: its own announcement, once it owns it.
    fn epoch(&self) -> CellOffset {
        self.owner.replay().and_then(|(replay, _)| replay.epoch()).unwrap_or_default()
    }

    fn step_down(&mut self, why: StepDown, around: &mut Around<'_>) -> Result<(), Violation> {
        match why {
            StepDown::Overtaken => {
                around.judge.overtaken(self.life, self.announced)?;
                around.sights.see(Sight::Overtaken);
            }
            StepDown::Unsure => around.sights.see(Sight::Unsure),
            StepDown::Torn => return broken(Promise::AppliedOnce, format!("{:?} finds the journal torn", self.life)),
            StepDown::Revoked => {}
        }
        self.core = None;
        self.recovery = None;
        self.decided.clear();
        for (_, client) in std::mem::take(&mut self.waiting) {
            around.clients[client].waits = None;
        }
        Ok(())
    }

    fn core_command(
        &mut self,
        command: Command,
        work: &mut VecDeque<Work>,
        around: &mut Around<'_>,
    ) -> Result<(), Violation> {
        match command {
            Command::Persist { first, facts } => {
                let facts: Facts = (first.0..).map(FactSeq).zip(facts).collect();
                let through = facts.last().map_or(first, |(seq, _)| *seq);
                self.decided.extend(facts.iter().cloned());
                let (boot, after) = (self.core.as_ref().map_or(Boot(0), Core::boot), FactSeq(first.0 - 1));
                work.push_back(Work::Cell(CellEvent::Decided { boot, after, through, facts }));
            }
            Command::Reply { request, response } => self.reply(request, &response, work, around)?,
            other => work.extend(around.engine.execute(&other).map(Work::Core)),
        }
        Ok(())
    }

    fn reply(
        &mut self,
        request: RequestId,
        response: &Result<Response, Refusal>,
        work: &mut VecDeque<Work>,
        around: &mut Around<'_>,
    ) -> Result<(), Violation> {
        let Some(client) = self.waiting.remove(&request) else { return Ok(()) };
        let client = &mut around.clients[client];
        if !self.owner.serves(Timestamp(around.now)) {
            around.sights.see(Sight::LeaseRanOut);
            client.waits = None;
            if let Ok(Response::Consumed(consumed)) = response {
                work.push_back(Work::Core(Event::Undelivered { request, consumer: consumed.consumer }));
            }
            return Ok(());
        }
        let epoch = self.epoch();
        if let Ok(Response::Consumed(consumed)) = response {
            if client.answered_by.is_some_and(|before| before != self.life) {
                around.sights.see(Sight::WentOnElsewhere);
            }
            if !consumed.parts.is_empty() && Some(epoch) != around.judge.epoch() {
                around.sights.see(Sight::DeliveredWhileOvertaken);
            }
        }
        around.judge.answers(self.life, epoch)?;
        client.hears(self.life, response);
        Ok(())
    }
}
