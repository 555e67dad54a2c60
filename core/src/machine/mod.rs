//! The state machine: [`Core`] takes events and routes them between its parts.
//!
//! ```text
//!                 +--------------------------- Core ---------------------------+
//!   Event  -----> | topics   produce   read   membership   poll   commit  seek |  -----> Command
//!                 |     \        |       |        |          |       |     /   |
//!                 |   logs: bounds, who waits    sessions: positions, polls    |
//!                 |   durable: what facts change       outbox: facts, replies  |
//!                 |   timers: what falls due           requests: who is owed   |
//!                 +------------------------------------------------------------+
//! ```
//!
//! Each file beside this one handles one family of events. They share the tables above and decide in the same
//! order: check, record the fact, change what is volatile, reply.

mod answer;
mod check;
mod commit;
mod delete_topic;
mod describe;
mod expiry;
mod figures;
mod former;
mod group_offsets;
mod lookup;
mod membership;
mod patterns;
mod pause;
mod poll;
mod produce;
mod reach;
mod read;
mod rebalance;
mod receipt;
mod recover;
mod seek;
mod static_members;
mod storage;
mod subscription;
mod topics;
mod view;
mod waiting;

use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec::Vec,
};
use core::mem;

pub use check::Violation;
pub use figures::{Figures, GroupFigures, LogFigures};
pub use recover::{LogSpec, Recovery};
pub use topics::TopicView;
pub use view::{ConsumerView, PollView};

use serde::{Deserialize, Serialize};

use crate::{
    command::Command,
    config::Config,
    durable::Durable,
    event::{Event, Request, StorageState},
    fact::Fact,
    ids::{Boot, ConsumerId, FactSeq, FetchId, GroupName, LogId, RequestId, TopicId, TopicName},
    log::Log,
    outbox::Outbox,
    pattern::TopicPattern,
    planted::planted,
    refusal::Refusal,
    response::Response,
    session::Session,
    time::Timestamp,
    timers::{Timer, Timers},
};

/// The broker.
///
/// Three methods feed and drain it: [`Core::step`] takes an event and gives commands, [`Core::next_deadline`] says
/// when to come back at the latest, and [`Recovery`] makes a core from what a former one left. All others only
/// look.
///
/// Between two steps it can be written down whole, with what waits and what is under way, and read again by the same
/// version: for traces and for looking into it. What outlives a version is the [`Durable`] state.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Core {
    config: Config,
    boot: Boot,
    now: Timestamp,
    durable: Durable,
    topics: BTreeMap<TopicName, topics::Topic>,
    /// How many partitions all topics have, those that are being made among them.
    partitions: u64,
    /// Topics that become usable when a fact is durable.
    becoming: BTreeMap<FactSeq, TopicId>,
    subscribers: BTreeMap<TopicName, BTreeSet<(GroupName, ConsumerId)>>,
    patterns: BTreeMap<TopicPattern, patterns::Pattern>,
    logs: BTreeMap<LogId, Log>,
    sessions: BTreeMap<ConsumerId, Session>,
    groups: BTreeMap<GroupName, rebalance::Group>,
    requests: BTreeMap<RequestId, Open>,
    parked: u32,
    /// Consumers whose poll may have something to say at the end of this step.
    woken: BTreeSet<ConsumerId>,
    /// What to add to [`Timestamp`]s to have a [`Date`](crate::Date), once that is known.
    date_offset: Option<i64>,
    expiry: expiry::Expiry,
    #[serde(default)]
    former: former::Former,
    timers: Timers,
    outbox: Outbox,
    storage: StorageState,
    draining: bool,
    #[cfg(feature = "planted")]
    #[serde(skip)]
    planted: Option<crate::planted::Bug>,
}

/// A request that is owed a reply.
#[derive(Clone, Debug, Serialize, Deserialize)]
enum Open {
    Produce(produce::Produce),
    Poll(ConsumerId),
    Read(read::Read),
    Topic,
    /// The reply is made and waits for a fact.
    Held(FactSeq),
}

impl Core {
    /// An empty broker that never ran before.
    pub fn new(config: Config, boot: Boot) -> Self {
        Self {
            config,
            boot,
            now: Timestamp::default(),
            durable: Durable::default(),
            topics: BTreeMap::new(),
            partitions: 0,
            becoming: BTreeMap::new(),
            subscribers: BTreeMap::new(),
            patterns: BTreeMap::new(),
            logs: BTreeMap::new(),
            sessions: BTreeMap::new(),
            groups: BTreeMap::new(),
            requests: BTreeMap::new(),
            parked: 0,
            woken: BTreeSet::new(),
            date_offset: None,
            expiry: expiry::Expiry::default(),
            former: former::Former::default(),
            timers: Timers::default(),
            outbox: Outbox::default(),
            storage: StorageState::Ok,
            draining: false,
            #[cfg(feature = "planted")]
            planted: None,
        }
    }

    /// Takes one event and adds to `commands` what the runtime now owes.
    ///
    /// Total: every event is legal in every state. The event comes first, then the timers that are due by `now`.
    /// A `now` before an earlier one counts as that.
    pub fn step(&mut self, now: Timestamp, event: Event, commands: &mut Vec<Command>) {
        self.now = self.now.max(now);
        mem::swap(&mut self.outbox.commands, commands);
        self.handle(event);
        self.settle();
        while let Some(timer) = self.timers.pop(self.now) {
            self.fire(timer);
            self.settle();
            if planted!(self, OneTimerAStep) {
                break;
            }
        }
        self.outbox.flush();
        mem::swap(&mut self.outbox.commands, commands);
    }

    /// When the next [`Event::Tick`] is due, unless another event comes first. [`None`]: nothing waits for time.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        self.timers.next()
    }

    /// What a restart needs, together with the facts after [`Core::decided`].
    pub fn snapshot(&self) -> Durable {
        self.durable.clone()
    }

    /// The last fact decided; a snapshot has it in.
    pub fn decided(&self) -> FactSeq {
        self.outbox.decided()
    }

    /// Switches a bug on.
    #[cfg(feature = "planted")]
    pub fn plant(&mut self, bug: crate::planted::Bug) {
        self.planted = Some(bug);
    }

    /// Which start of the broker this is.
    pub fn boot(&self) -> Boot {
        self.boot
    }

    /// The bounds that it was given.
    pub fn config(&self) -> &Config {
        &self.config
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Request { id, request } => {
                if !self.requests.contains_key(&id) {
                    self.request(id, request);
                }
            }
            Event::Disconnected { request } => self.disconnected(request),
            Event::Undelivered { request, consumer } => self.undelivered(request, consumer),
            Event::Appended { id, log, result } => self.appended(id, log, &result),
            Event::Fetched { id, parts } => self.fetched(id, parts),
            Event::LookedUp { consumer, log, at, result } => self.looked_up(consumer, log, at, &result),
            Event::Persisted { through } => self.persisted(through),
            Event::LogsCreated { topic, partitions, result } => self.logs_created(topic, partitions, result),
            Event::LogMoved { log, start, end } => self.log_moved(log, start, end),
            Event::Storage { state } => self.storage_changed(state),
            Event::Date { now } => self.set_date(now),
            Event::Tick => {}
            Event::Drain => self.drain(),
        }
    }

    fn request(&mut self, id: RequestId, request: Request) {
        match request {
            Request::CreateTopic { name, partitions, config } => self.create_topic(id, name, partitions, config),
            Request::ConfigureTopic { name, change, partitions } => {
                self.configure_topic(id, name, change, partitions);
            }
            Request::AddPartitions { name, partitions } => self.add_partitions(id, name, partitions),
            Request::DeleteTopic { name } => self.delete_topic(id, name),
            Request::ListTopics => self.list_topics(id),
            Request::DescribeTopic { name } => self.describe_topic(id, &name),
            Request::Produce { topic, batches } => self.produce(id, &topic, &batches),
            Request::Read { topic, partition, offset, limits } => self.read(id, topic, partition, offset, limits),
            Request::Subscribe { consumer, group, topics, options, allow_missing } => {
                self.subscribe(id, consumer, &group, topics, options, allow_missing);
            }
            Request::ChangeSubscription { consumer, topics, allow_missing } => {
                self.change_subscription(id, consumer, topics, allow_missing);
            }
            Request::Consume { consumer, limits, after_batch } => self.consume(id, consumer, limits, after_batch),
            Request::Commit { consumer, offsets, generation } => self.commit(id, consumer, offsets, generation),
            Request::Seek { consumer, positions } => self.seek(id, consumer, &positions),
            Request::SeekPlace { consumer, partitions, to } => {
                self.seek_place(id, consumer, partitions.as_deref(), to);
            }
            Request::Pause { consumer, partitions } => self.pause(id, consumer, partitions.as_deref()),
            Request::Resume { consumer, partitions } => self.resume(id, consumer, partitions.as_deref()),
            Request::Assign { consumer, partitions } => self.assign(id, consumer, &partitions),
            Request::Describe { consumer } => self.describe_consumer(id, consumer),
            Request::Committed { consumer } => self.describe_committed(id, consumer),
            Request::Close { consumer } => self.close(id, consumer),
            Request::ListGroups => self.list_groups(id),
            Request::SetOffsets { group, offsets, dry_run } => self.set_offsets(id, group, &offsets, dry_run),
            Request::DeleteOffsets { group, partitions } => self.delete_offsets(id, group, &partitions),
            Request::DeleteGroup { group } => self.delete_group(id, group),
            Request::DescribeGroup { group } => self.describe_group(id, group),
        }
    }

    fn fire(&mut self, timer: Timer) {
        match timer {
            Timer::Session(consumer) => self.session_due(consumer),
            Timer::Rebalance(consumer) => self.rebalance_due(consumer),
            Timer::Offsets => self.offsets_due(),
            Timer::Wait(_) if planted!(self, DeadlinesIgnored) => {}
            Timer::Wait(request) => self.wait_due(request),
        }
    }

    /// Lets every poll that something happened to go on.
    fn settle(&mut self) {
        while let Some(consumer) = self.woken.pop_first() {
            self.advance_poll(consumer);
        }
    }

    fn disconnected(&mut self, request: RequestId) {
        match self.requests.remove(&request) {
            Some(Open::Poll(consumer)) => {
                self.abandon_poll(consumer);
                self.touch(consumer);
            }
            Some(Open::Read(read)) => self.abandon_read(request, &read),
            Some(Open::Held(after)) => self.withdraw(request, after),
            Some(Open::Produce(_) | Open::Topic) | None => {}
        }
    }

    /// Records a durable change.
    fn record(&mut self, fact: Fact) -> FactSeq {
        self.count_partitions(&fact);
        self.durable.apply(&fact, self.config.max_ended_remembered);
        if planted!(self, PositionsWithoutFact) && matches!(fact, Fact::Positioned { .. }) {
            return self.outbox.decided();
        }
        self.outbox.decide(fact)
    }

    /// Replies at once.
    fn reply(&mut self, request: RequestId, response: Response) {
        self.outbox.send(Command::Reply { request, response: Ok(response) });
    }

    /// Replies once the fact `after` is durable.
    fn reply_after(&mut self, request: RequestId, after: FactSeq, response: Response) {
        self.answer_after(request, after, Ok(response));
    }

    /// Answers once the fact `after` is durable; at once, and with a refusal, if storage takes no facts.
    fn answer_after(&mut self, request: RequestId, after: FactSeq, response: Result<Response, Refusal>) {
        if self.outbox.reply(request, after, response) {
            self.requests.insert(request, Open::Held(after));
            self.refuse_held();
        }
    }

    /// Takes back an answer that waits for a fact; what it brought goes back.
    fn withdraw(&mut self, request: RequestId, after: FactSeq) {
        self.requests.remove(&request);
        if let Some(Ok(Response::Consumed(consumed))) = self.outbox.withdraw(request, after) {
            self.undelivered(request, consumed.consumer);
            self.discard(consumed.fetch);
        }
    }

    fn refuse(&mut self, request: RequestId, refusal: Refusal) {
        self.outbox.send(Command::Reply { request, response: Err(refusal) });
    }

    fn discard(&mut self, fetch: Option<FetchId>) {
        if let Some(id) = fetch {
            self.outbox.send(Command::Discard { id });
        }
    }
}
