//! The auditor: sees events, commands and restarts, and nothing else, and says when a promise is broken. So it can
//! watch a server in production just as well as a simulation.
//!
//! ```text
//!    event ----> Auditor::event ----+
//!      |                            | what it knows of logs, groups, consumers and open requests
//!      v                            |
//!    Core::step                     |
//!      |                            v
//!      +--> commands --> Auditor::commands --> Ok, or the promise that was broken
//! ```
//!
//! What it remembers is in proportion to what the broker itself does: open requests, consumers, partitions, committed
//! offsets, and facts that are not durable yet; all of these have bounds in [`Config`]. It errs on the side of silence:
//! where it can't know, it says nothing.

mod commits;
mod groups;
mod logs;
mod members;
mod requests;
mod shares;
mod topics;

use std::collections::{BTreeMap, BTreeSet};

use takhin_core::{
    Boot, Command, Config, ConsumerId, Durable, Event, FactSeq, Generation, GroupName, LogId, RequestId, Timestamp,
    TopicId, response::Bounds,
};

use self::{
    groups::Group,
    logs::{Log, Logs},
    members::{Matchers, Member},
    requests::Open,
    topics::Topics,
};
use crate::oracle::{Violation, must};

/// What a restart made the new core from.
#[derive(Clone, Copy, Debug)]
pub struct NewLife<'a> {
    /// The new core's boot.
    pub boot: Boot,
    /// When it started.
    pub at: Timestamp,
    /// The state recovered: snapshot and facts.
    pub durable: &'a Durable,
    /// The last fact in it.
    pub through: FactSeq,
    /// The logs' bounds.
    pub bounds: &'a BTreeMap<LogId, Bounds>,
}

/// What it knows.
#[derive(Clone, Debug)]
pub struct Auditor {
    config: Config,
    now: Timestamp,
    decided: FactSeq,
    persisted: FactSeq,
    /// The last moment at which some fact was not durable.
    waited_at: Timestamp,
    open: BTreeMap<RequestId, Open>,
    /// Requests that have to be answered once a fact is durable.
    held: BTreeSet<(FactSeq, RequestId)>,
    /// When polls and reads have waited for as long as they wanted to.
    deadlines: BTreeSet<(Timestamp, RequestId)>,
    /// Who reads which log without a consumer.
    readers: BTreeSet<(LogId, RequestId)>,
    /// The log that grew in this step, if one did.
    grown: Option<LogId>,
    /// The request that this step's event is about, if any.
    touched: Option<RequestId>,
    /// Whether this step's event is what was read for that request.
    has_read: bool,
    /// Who came back to its own place in this step.
    came_back: Option<ConsumerId>,
    /// What to add to moments to have dates, once that was said.
    date_offset: Option<i64>,
    logs: Logs,
    topics: Topics,
    groups: BTreeMap<GroupName, Group>,
    members: BTreeMap<ConsumerId, Member>,
    matchers: Matchers,
    /// When each consumer is looked at for silence.
    silence: BTreeSet<(Timestamp, ConsumerId)>,
    /// The highest generation of a group that is no more.
    floor: Generation,
    /// The last fact by which offsets were deleted: a crash that loses it brings them back.
    deleted_in: FactSeq,
    /// Whether nothing was decided since the start.
    is_fresh: bool,
}

impl Auditor {
    /// For a broker that starts with nothing.
    pub fn new(config: Config) -> Self {
        Self {
            logs: Logs::new(config.shared_logs),
            config,
            now: Timestamp::default(),
            decided: FactSeq::default(),
            persisted: FactSeq::default(),
            waited_at: Timestamp::default(),
            open: BTreeMap::new(),
            held: BTreeSet::new(),
            deadlines: BTreeSet::new(),
            readers: BTreeSet::new(),
            grown: None,
            touched: None,
            has_read: false,
            came_back: None,
            date_offset: None,
            topics: Topics::default(),
            groups: BTreeMap::new(),
            members: BTreeMap::new(),
            matchers: Matchers::default(),
            silence: BTreeSet::new(),
            floor: Generation::default(),
            deleted_in: FactSeq::default(),
            is_fresh: true,
        }
    }

    /// Takes note of an event, before the core does.
    ///
    /// # Errors
    /// What the event shows to be broken: that is then a fault of storage.
    pub fn event(&mut self, now: Timestamp, event: &Event) -> Result<(), Violation> {
        self.now = self.now.max(now);
        if self.decided > self.persisted {
            self.waited_at = self.now;
        }
        (self.touched, self.grown, self.has_read, self.came_back) = (None, None, false, None);
        match event {
            Event::Request { id, request } => self.asked(*id, request),
            Event::Disconnected { request } => self.hung_up(*request),
            Event::Undelivered { consumer, .. } => {
                self.heard(*consumer);
                self.may_not_have_heard(*consumer);
            }
            Event::Appended { id, log, result } => return self.appended(*id, *log, result),
            Event::Fetched { id, parts } => self.fetched(*id, parts),
            Event::Persisted { through } => self.persisted = self.persisted.max((*through).min(self.decided)),
            Event::LogMoved { log, start, end } => {
                self.grown = Some(*log);
                self.logs.moved(*log, *start, *end);
            }
            Event::Date { now: date } => {
                let now = i64::try_from(self.now.0).unwrap_or(i64::MAX);
                self.date_offset = Some(date.0.saturating_sub(now));
            }
            Event::LogsCreated { .. } | Event::LookedUp { .. } | Event::Storage { .. } | Event::Tick | Event::Drain => {
            }
        }
        Ok(())
    }

    /// Judges what the core made of the event.
    ///
    /// # Errors
    /// The first promise that is broken.
    pub fn commands(&mut self, commands: &[Command]) -> Result<(), Violation> {
        for command in commands {
            if let Command::Persist { first, facts } = command {
                self.decide(*first, facts)?;
            }
        }
        for command in commands {
            match command {
                Command::Append { id, log, records, .. } => self.append(*id, *log, *records)?,
                Command::Fetch { id, parts, .. } => self.fetch(*id, parts)?,
                Command::Discard { id } => self.discard(*id),
                Command::Reply { request, response } => self.replied(*request, response)?,
                Command::Persist { .. }
                | Command::CreateLogs { .. }
                | Command::ConfigureLogs { .. }
                | Command::DeleteLogs { .. }
                | Command::Lookup { .. } => {}
            }
        }
        if self.decided > self.persisted {
            self.waited_at = self.now;
        }
        self.must_not_wait()?;
        self.must_not_be_silent()?;
        self.must_be_within_bounds()
    }

    /// Judges what a restart made of what was promised before, and goes on with the new core.
    ///
    /// # Errors
    /// The first promise that is broken.
    pub fn restart(&mut self, life: NewLife<'_>) -> Result<(), Violation> {
        let verdict = self.must_have_survived(life);
        self.now = life.at;
        self.waited_at = self.now;
        (self.decided, self.persisted) = (life.through, life.through);
        self.open.clear();
        self.held.clear();
        self.deadlines.clear();
        self.readers.clear();
        self.date_offset = None;
        self.logs.restart(life);
        self.topics.restart(life.durable);
        self.restart_groups(life.durable);
        verdict
    }

    /// What is left at rest, in words; [`None`] if nothing is.
    pub fn leftovers(&self) -> Option<String> {
        if let Some(request) = self.open.keys().next() {
            return Some(format!("{} requests are open, {request:?} the first", self.open.len()));
        }
        self.logs.leftovers()
    }

    /// Whether somebody is a consumer, as far as facts say.
    pub(crate) fn has_consumer(&self, consumer: ConsumerId) -> bool {
        self.members.contains_key(&consumer)
    }

    /// Whether there is such a topic, as far as facts say.
    pub(crate) fn has_topic(&self, topic: TopicId) -> bool {
        self.topics.contains(topic)
    }

    fn must_be_within_bounds(&self) -> Result<(), Violation> {
        let (topics, partitions) = self.topics.count();
        let counts = [
            ("topics", topics, self.config.max_topics),
            ("partitions", partitions, self.config.max_partitions),
            ("consumers", self.members.len() as u64, self.config.max_consumers),
            ("groups", self.groups.len() as u64, self.config.max_groups),
        ];
        for (what, count, limit) in counts {
            must!(count <= u64::from(limit), Bounded, "{count} {what}, and {limit} are allowed");
        }
        Ok(())
    }

    /// What it knows of a log.
    fn log(&self, log: LogId) -> Log {
        self.logs.get(log)
    }
}
