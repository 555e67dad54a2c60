//! A scenario, told step by step: clients' requests in, every command out.
//!
//! A [`Script`] drives a core with the memory engine on a clock that it moves itself. It writes down every event and
//! every command, checks the core's invariants after each step, and at the end that the trace replays and that the
//! facts alone make up the same state. What it wrote is what a test compares, whole.

mod asks;

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use takhin_core::{
    Boot, Command, Config, Core, Date, Event, Fact, FactSeq, LogId, Offset, Recovery, Refusal, Request, RequestId,
    Response, StorageState, Timestamp, TopicName,
    durable::Durable,
    memory::MemoryEngine,
    response::Consumed,
    trace::{self, Header, Recorder},
};

pub use asks::{consumer, earliest, group, manual, topic, wait};

/// The engine's kinds of work that a script can hold back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Appends.
    Append,
    /// Fetches.
    Fetch,
    /// Persisting facts.
    Persist,
    /// Making logs.
    CreateLogs,
    /// Looking up dates.
    Lookup,
}

/// A scenario under way.
pub struct Script {
    core: Core,
    engine: MemoryEngine,
    config: Config,
    boot: Boot,
    now: u64,
    requests: u64,
    held: Vec<Work>,
    waiting: Vec<Command>,
    story: String,
    trace: String,
    recorder: Recorder,
    replies: BTreeMap<RequestId, Result<Response, Refusal>>,
    base: Durable,
}

impl Default for Script {
    fn default() -> Self {
        Self::new(Config::default())
    }
}

impl Script {
    /// An empty broker.
    pub fn new(config: Config) -> Self {
        let boot = Boot(0);
        let (recorder, header) = Recorder::start(&Header::new(config.clone(), boot));
        Self {
            core: Core::new(config.clone(), boot),
            engine: MemoryEngine::default(),
            config,
            boot,
            now: 0,
            requests: 0,
            held: Vec::new(),
            waiting: Vec::new(),
            story: String::new(),
            trace: header + "\n",
            recorder,
            replies: BTreeMap::new(),
            base: Durable::default(),
        }
    }

    /// A heading in the story.
    pub fn say(&mut self, words: &str) {
        let _ = writeln!(self.story, "\n# {words}");
    }

    /// Leaves this kind of work undone until [`Script::release`].
    pub fn hold(&mut self, work: Work) {
        self.held.push(work);
    }

    /// Does what was left undone of this kind, and no longer holds it back.
    pub fn release(&mut self, work: Work) {
        self.held.retain(|held| *held != work);
        let (now, later) = std::mem::take(&mut self.waiting).into_iter().partition(|c| kind(c) == Some(work));
        self.waiting = later;
        self.execute(now);
    }

    /// Loses what was left undone of this kind, as a crash would.
    pub fn lose(&mut self, work: Work) {
        self.waiting.retain(|command| kind(command) != Some(work));
    }

    /// Brings an event, and then all that comes of it.
    pub fn event(&mut self, event: Event) {
        let mut commands = Vec::new();
        let _ = writeln!(self.story, "{:>6} > {}", self.now, json(&event));
        self.core.step(Timestamp(self.now), event.clone(), &mut commands);
        self.core = kept_and_read_again(&self.core);
        for command in &commands {
            let _ = writeln!(self.story, "       < {}", json(command));
        }
        self.trace += &self.recorder.step(Timestamp(self.now), event, commands.clone());
        self.trace += "\n";
        if let Err(violation) = self.core.check() {
            panic!("{violation}\n{}", self.story);
        }
        self.execute(commands);
    }

    fn execute(&mut self, commands: Vec<Command>) {
        for command in commands {
            if let Command::Reply { request, response } = &command {
                let earlier = self.replies.insert(*request, response.clone());
                assert!(earlier.is_none(), "{request:?} was answered twice\n{}", self.story);
            }
            if kind(&command).is_some_and(|work| self.held.contains(&work)) {
                self.waiting.push(command);
            } else if let Some(event) = self.engine.execute(&command) {
                self.event(event);
            }
        }
    }

    /// Lets time pass, stopping at each deadline on the way.
    pub fn pass(&mut self, ms: u64) {
        let until = self.now + ms;
        while let Some(Timestamp(at)) = self.core.next_deadline().filter(|at| at.0 <= until) {
            self.now = at;
            self.event(Event::Tick);
        }
        self.now = until;
    }

    /// A client asks. Its request's id.
    pub fn ask(&mut self, request: Request) -> RequestId {
        self.requests += 1;
        let id = RequestId::new(self.boot, self.requests);
        self.event(Event::Request { id, request });
        id
    }

    /// A client asks and is answered well at once.
    pub fn get(&mut self, request: Request) -> Response {
        let id = self.ask(request);
        self.answer(id).unwrap_or_else(|refusal| panic!("refused: {refusal}\n{}", self.story))
    }

    /// The answer to a request, which must have come.
    ///
    /// # Errors
    /// The request was refused.
    pub fn answer(&mut self, id: RequestId) -> Result<Response, Refusal> {
        self.replies.get(&id).cloned().unwrap_or_else(|| panic!("{id:?} has no answer\n{}", self.story))
    }

    /// Whether a request has no answer yet.
    pub fn is_open(&self, id: RequestId) -> bool {
        !self.replies.contains_key(&id)
    }

    /// Where the records of a produce request went, and whether they had been there before.
    pub fn produced(&self, id: RequestId) -> (u64, bool) {
        match self.replies.get(&id) {
            Some(Ok(Response::Produced(batches))) => {
                let batch = &batches[0];
                (batch.result.clone().expect("appended").0, batch.duplicate)
            }
            other => panic!("{id:?} was not produced: {other:?}\n{}", self.story),
        }
    }

    /// The broker dies and is started anew from what was persisted.
    pub fn crash(&mut self) {
        self.say("crash and restart");
        self.boot = Boot(self.boot.0 + 1);
        self.requests = 0;
        self.waiting.clear();
        let mut recovery = Recovery::new(self.config.clone(), self.base.clone(), FactSeq(0));
        for (seq, fact) in self.engine.facts() {
            recovery.apply(*seq, fact);
        }
        let through = recovery.through();
        let bounds = self.engine.bounds();
        let snapshot = self.engine.fold(self.config.max_ended_remembered);
        self.core = recovery.finish(self.boot, Timestamp(self.now), &bounds);
        let start = trace::Start { at: Timestamp(self.now), through, snapshot, bounds };
        let header = Header { start: Some(start), ..Header::new(self.config.clone(), self.boot) };
        let (recorder, header) = Recorder::start(&header);
        self.check_trace();
        (self.recorder, self.trace) = (recorder, header + "\n");
        self.event(Event::Tick);
    }

    fn check_trace(&self) {
        if let Err(error) = trace::replay(&self.trace) {
            panic!("{error}\n{}", self.story);
        }
    }

    /// The refusal of a request, which must have been refused.
    pub fn refusal(&self, id: RequestId) -> Refusal {
        match self.replies.get(&id) {
            Some(Err(refusal)) => refusal.clone(),
            other => panic!("{id:?} was not refused: {other:?}\n{}", self.story),
        }
    }

    /// The answer to a poll.
    pub fn consumed(&self, id: RequestId) -> Consumed {
        match self.replies.get(&id) {
            Some(Ok(Response::Consumed(consumed))) => consumed.clone(),
            other => panic!("{id:?} was not answered as a poll: {other:?}\n{}", self.story),
        }
    }

    /// What a poll brought: of each partition, from which offset to before which.
    pub fn brought(&self, id: RequestId) -> Vec<(u32, u64, u64)> {
        self.consumed(id).parts.iter().map(|part| (part.log.partition, part.from.0, part.next.0)).collect()
    }

    /// The partitions that a poll was told of: assigned, and revoked.
    pub fn told(&self, id: RequestId) -> (Vec<u32>, Vec<u32>) {
        let change = self.consumed(id).rebalance.unwrap_or_default();
        let numbers = |named: BTreeSet<(TopicName, u32)>| named.into_iter().map(|(_, partition)| partition).collect();
        (numbers(change.assigned), numbers(change.revoked))
    }

    /// The partitions that consumer `n` holds, those it is to give up too.
    pub fn held_by(&self, n: u128) -> Vec<u32> {
        let durable = self.core.snapshot();
        durable.consumers.get(&consumer(n)).map_or_else(Vec::new, |c| c.held.keys().map(|log| log.partition).collect())
    }

    /// What a group has committed, of each partition of the only topic, as far as it is durable.
    pub fn committed(&self, name: &str) -> Vec<(u32, u64)> {
        let durable = self.engine.fold(self.config.max_ended_remembered);
        let offsets = durable.groups.get(name).map(|group| group.offsets.clone()).unwrap_or_default();
        offsets.iter().map(|(log, offset)| (log.partition, offset.0)).collect()
    }

    /// A group's generation.
    pub fn generation(&self, name: &str) -> u64 {
        self.core.snapshot().groups.get(name).map_or(0, |group| group.generation.0)
    }

    /// Retention takes the records before `start` from a log.
    pub fn trim(&mut self, name: &str, partition: u32, start: u64) {
        let log = self.log(name, partition);
        let moved = self.engine.trim(log, Offset(start)).expect("a log");
        self.event(moved);
    }

    /// The broker dies, and with it the records of a log from `end` on.
    pub fn crash_losing_end(&mut self, name: &str, partition: u32, end: u64) {
        let log = self.log(name, partition);
        self.engine.lose_end(log, Offset(end));
        self.crash();
    }

    fn log(&self, name: &str, partition: u32) -> LogId {
        LogId { topic: self.core.topic(name).expect("a topic").id, partition }
    }

    /// It is that date, for the broker and for what is appended from now on.
    pub fn date(&mut self, now: i64) {
        self.engine.set_date(Date(now));
        self.event(Event::Date { now: Date(now) });
    }

    /// What storage can do changes.
    pub fn storage(&mut self, state: StorageState) {
        self.event(Event::Storage { state });
    }

    /// The work of this kind that was left undone, to be failed or done by hand.
    pub fn take(&mut self, work: Work) -> Vec<Command> {
        let (taken, rest) = std::mem::take(&mut self.waiting).into_iter().partition(|c| kind(c) == Some(work));
        self.waiting = rest;
        taken
    }

    /// Does only the first `count` of the facts that were left undone, as a crash midway would.
    pub fn persist_only(&mut self, count: usize) {
        let mut left = count;
        for command in self.take(Work::Persist) {
            if let Command::Persist { first, mut facts } = command {
                facts.truncate(left);
                left -= facts.len();
                if !facts.is_empty() {
                    self.engine.execute(&Command::Persist { first, facts });
                }
            }
        }
    }

    /// A client hangs up before it is answered.
    pub fn hang_up(&mut self, request: RequestId) {
        self.event(Event::Disconnected { request });
    }

    /// The answer to a poll of consumer `n` could not be handed over.
    pub fn undelivered(&mut self, request: RequestId, n: u128) {
        self.event(Event::Undelivered { request, consumer: consumer(n) });
    }

    /// Every fact that was persisted.
    pub fn facts(&self) -> &[(FactSeq, Fact)] {
        self.engine.facts()
    }

    /// Everything since the start or the last crash, as a trace.
    pub fn trace(&self) -> &str {
        &self.trace
    }

    /// The core, to look at.
    pub fn core(&self) -> &Core {
        &self.core
    }

    /// Ends the scenario: checks that its trace replays and that its facts are its state. The whole story.
    pub fn story(self) -> String {
        self.check_trace();
        if self.waiting.is_empty() {
            let folded = self.engine.fold(self.config.max_ended_remembered);
            assert_eq!(folded, self.core.snapshot(), "facts alone must make up the state\n{}", self.story);
        }
        self.story
    }
}

fn kind(command: &Command) -> Option<Work> {
    match command {
        Command::Append { .. } => Some(Work::Append),
        Command::Fetch { .. } => Some(Work::Fetch),
        Command::Persist { .. } => Some(Work::Persist),
        Command::CreateLogs { .. } => Some(Work::CreateLogs),
        Command::Lookup { .. } => Some(Work::Lookup),
        Command::ConfigureLogs { .. }
        | Command::DeleteLogs { .. }
        | Command::Discard { .. }
        | Command::Reply { .. } => None,
    }
}

/// Compact JSON, with the long ids of consumers cut to `cN`.
fn json<T: serde::Serialize>(value: &T) -> String {
    let text = serde_json::to_string(value).expect("plain data");
    let mut short = String::new();
    let mut rest = text.as_str();
    while let Some(at) = rest.find("00000000-0000-0000-0000-") {
        short.push_str(&rest[..at]);
        let digits = &rest[at + 24..at + 36];
        let _ = write!(short, "c{}", digits.trim_start_matches('0'));
        rest = &rest[at + 36..];
    }
    short + rest
}

/// A core that was written down whole and read again goes on as if nothing had happened.
fn kept_and_read_again(core: &Core) -> Core {
    let text = serde_json::to_string(core).expect("a core is plain data");
    let again = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    assert_eq!(serde_json::to_string(&again).expect("a core is plain data"), text);
    again
}
