//! The driver: owns the core, brings it events, and carries out what it commands.
//!
//! ```text
//!   request tasks            one short lock                 the engine
//!   ask(request) ---------> [ step the core ] --- Append, Persist ---> queue, writer thread
//!        ^                        |   ^                                       |
//!        |  reply, or a fetch     |   '------------ completions --------------'
//!        '------------------------'
//!   and reads what it was told to fetch by itself
//! ```
//!
//! There is no thread of the core's own: whoever brings an event steps it, under a lock that is held for as long as the
//! decision takes. That is less than a microsecond for a produce, a poll or a commit, and milliseconds where a large
//! group is assigned anew. So a poll whose data is ready, and a request that needs no disk, never leave their task. A
//! fetch is carried out by the task that waits for it, at once if the data is in memory, else on a thread that may
//! block.
//!
//! The driver knows neither HTTP nor disks.

pub(crate) mod audit;
mod backup;
mod call;
pub(crate) mod clock;
mod fetch;
mod flight;
pub(crate) mod life;
mod lookups;
#[cfg(feature = "kafka")]
pub(crate) mod node;
mod recording;
pub(crate) mod snapshot;
mod start;
mod state;
pub(crate) mod stats;
#[cfg(test)]
mod tests;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use smallvec::SmallVec;
use takhin_core::{
    Applied, ConsumerId, Event, GroupName, Offset, Parts, ProduceBatch, Refusal, Request, RequestId, Response,
    TopicName, response::Bounds,
};
use tokio::{
    runtime::Handle,
    sync::{
        Notify,
        oneshot::{Receiver, error::RecvError},
    },
};

pub use backup::{Backup, BackupError};
pub use fetch::Fetched;
use fetch::Form;
pub use flight::Flight;
pub use snapshot::SnapshotError;
#[cfg(feature = "kafka")]
pub(crate) use start::Stored;
pub use start::{DriverConfig, StartError, Started, TraceConfig};
pub use takhin_core::TopicView;

use crate::{
    engine::{Figures, ReadLogs, WriteSoon},
    record::EncodedBatch,
};
use call::{Call, Next};
use clock::Clock;
use state::{Letter, Message, State};
use stats::DriverStats;

/// How often it is said that somebody waits, which holds for a minute.
const WATCH_AGAIN: Duration = Duration::from_secs(30);

/// Hands requests to the broker, and answers back. Clones are the same broker.
#[derive(Clone)]
pub struct Driver {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    clock: Clock,
    /// Rings when the next deadline came closer.
    sooner: Notify,
    reader: Arc<dyn ReadLogs>,
    writing: Arc<dyn WriteSoon>,
    stats: Arc<DriverStats>,
    figures: Box<dyn Figures>,
    runtime: Handle,
    /// Held by whoever tells the core of topics.
    #[cfg(feature = "kafka")]
    taught: tokio::sync::Mutex<()>,
}

/// The records of one produce request, a batch for each partition.
pub type Bodies = SmallVec<[(u32, EncodedBatch); 1]>;

/// A reply, with the records that it speaks of.
#[derive(Debug)]
pub struct Answer {
    /// Which request it answers.
    pub request: RequestId,
    /// What the core says.
    pub response: Response,
    /// The records of a poll or a read, if it has any.
    pub records: Option<Fetched>,
}

impl Answer {
    /// An answer that no core gave, or several have.
    #[cfg(feature = "kafka")]
    pub(crate) fn of(response: Response) -> Self {
        Self { request: RequestId::default(), response, records: None }
    }
}

/// How the broker is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// `ok`, or in words what is wrong with storage.
    pub storage: Result<(), String>,
    /// What the audit found to be broken, in words; fine if it found nothing, or if there is none.
    pub audit: Result<(), String>,
    /// Whether it is about to stop.
    pub draining: bool,
    /// How many topics there are.
    pub topics: usize,
    /// How many consumers there are.
    pub consumers: usize,
    /// How many polls and reads wait.
    pub parked_polls: usize,
}

impl Driver {
    /// A look at a topic, as a producer needs it.
    pub fn topic(&self, name: &str) -> Option<TopicView> {
        self.lock().core.topic(name)
    }

    /// A look at what can be read of a partition.
    ///
    /// # Errors
    /// If there is no such topic or partition.
    pub fn bounds(&self, topic: &TopicName, partition: u32) -> Result<Bounds, Refusal> {
        self.lock().core.bounds(topic, partition).map(|(_, bounds)| bounds)
    }

    /// The group of a consumer, if there is such a consumer; `topic` is shown each topic that it can reach.
    pub fn reach(&self, consumer: ConsumerId, topic: impl FnMut(&TopicName)) -> Option<GroupName> {
        self.lock().core.reach(consumer, topic).cloned()
    }

    /// Asks, and waits for the reply. To drop the future is to hang up.
    ///
    /// # Errors
    /// The core's refusal.
    pub async fn ask(&self, request: Request) -> Result<Answer, Refusal> {
        self.ask_with(None, request, Bodies::new(), Form::Records).await
    }

    /// The same for a poll or a read whose records are wanted in batches as they are stored, which are read whole: the
    /// first may begin before what was asked for, and limits hold but for the batch with which they are reached.
    ///
    /// # Errors
    /// As for [`Driver::ask`].
    pub async fn ask_stored(&self, request: Request) -> Result<Answer, Refusal> {
        self.ask_with(None, request, Bodies::new(), Form::Stored).await
    }

    /// Appends a batch to each of some partitions of a topic, if each of those ends at `expected_offset` or none is
    /// given. To drop the future is not to know what came of it.
    ///
    /// # Errors
    /// The core's refusal; nothing was appended then, unless it says otherwise.
    pub async fn produce(
        &self,
        topic: TopicName,
        bodies: Bodies,
        expected_offset: Option<Offset>,
    ) -> Result<Answer, Refusal> {
        let batches = bodies.iter().map(|(partition, batch)| ProduceBatch {
            partition: *partition,
            records: batch.records(),
            bytes: u32::try_from(batch.unpacked_bytes()).unwrap_or(u32::MAX),
            expected_offset,
            producer: batch.producer(),
        });
        let batches: Parts<ProduceBatch> = batches.collect();
        self.ask_with(None, Request::Produce { topic, batches }, bodies, Form::Records).await
    }

    async fn ask_with(
        &self,
        id: Option<RequestId>,
        request: Request,
        bodies: Bodies,
        form: Form,
    ) -> Result<Answer, Refusal> {
        // Where logs grow by themselves, what is waited for is watched.
        let awaited = self.shared.reader.is_shared().then(|| Box::new(request.clone()));
        let (mut call, mut next) = self.begin(id, request, bodies);
        loop {
            match next {
                Next::Now(Message::Reply(response, records)) => {
                    call.ended = true;
                    return response.map(|response| Answer { request: call.request, response, records });
                }
                Next::Now(Message::Fetch(plan)) => {
                    call.write();
                    let (parts, fetched) = fetch::carry_out(&self.shared.reader, plan.clone(), form).await;
                    next = self.fetched(&mut call, plan.id, parts, fetched);
                }
                Next::Wait(receiver) => {
                    if call.unwritten {
                        // What others submit until then is written with it.
                        tokio::task::yield_now().await;
                        call.write();
                    }
                    let heard = match &awaited {
                        None => receiver.await,
                        Some(request) => Box::pin(self.watching(request, receiver)).await,
                    };
                    let Ok(letter) = heard else { return Err(self.gone()) };
                    next = Next::Now(self.open(letter));
                }
            }
        }
    }

    /// Waits, and has what the request waits for watched for as long.
    async fn watching(&self, request: &Request, mut letter: Receiver<Letter>) -> Result<Letter, RecvError> {
        loop {
            let logs = self.lock().awaited(request);
            self.shared.reader.watch(&logs);
            tokio::select! {
                heard = &mut letter => return heard,
                () = tokio::time::sleep(WATCH_AGAIN) => {}
            }
        }
    }

    /// What is answered to whoever nobody will answer any more.
    fn gone(&self) -> Refusal {
        let shared = self.shared.reader.is_shared();
        if shared { Refusal::GroupMoving { applied: Applied::Unknown } } else { Refusal::ShuttingDown }
    }

    fn open(&self, letter: Letter) -> Message {
        if let Message::Fetch(_) = letter.message {
            self.shared.stats.wake_seconds.observe(letter.written.elapsed().as_secs_f64());
        }
        letter.message
    }

    fn begin(&self, id: Option<RequestId>, request: Request, bodies: Bodies) -> (Call, Next) {
        let mut state = self.lock();
        let id = id.unwrap_or_else(|| state.next_request());
        if !bodies.is_empty() {
            state.bodies.insert(id, bodies);
        }
        let poll_of = if let Request::Consume { consumer, .. } = &request { Some(*consumer) } else { None };
        let mut call = Call { driver: self.clone(), request: id, poll_of, unwritten: false, ended: false };
        let next = self.step_for(state, &mut call, Event::Request { id, request });
        (call, next)
    }

    fn fetched(
        &self,
        call: &mut Call,
        id: takhin_core::FetchId,
        parts: Parts<takhin_core::FetchedPart>,
        data: Fetched,
    ) -> Next {
        let mut state = self.lock();
        state.fetches.insert(id, data);
        self.step_for(state, call, Event::Fetched { id, parts })
    }

    /// Steps for a request, and gives what it is told at once, or where to wait for it.
    fn step_for(&self, mut state: MutexGuard<'_, State>, call: &mut Call, event: Event) -> Next {
        let request = call.request;
        if state.over {
            let applied = if matches!(event, Event::Request { .. }) { Applied::Nothing } else { Applied::Unknown };
            return Next::Now(Message::Reply(Err(Refusal::GroupMoving { applied }), None));
        }
        let mut mail = state.step(self.shared.clock.now(), event, Some(request));
        let next = match state.hear(request, mail.own.take()) {
            Ok(message) => Next::Now(message),
            Err(receiver) => Next::Wait(receiver),
        };
        let sooner = state.deadline_came_closer();
        drop(state);
        call.unwritten |= std::mem::take(&mut mail.unwritten);
        self.deliver(mail, sooner);
        next
    }

    /// Brings an event that is no request.
    fn bring(&self, event: Event) {
        let mut state = self.lock();
        if state.over {
            return;
        }
        let mail = state.step(self.shared.clock.now(), event, None);
        let sooner = state.deadline_came_closer();
        drop(state);
        self.deliver(mail, sooner);
    }

    fn deliver(&self, mail: state::Mail, sooner: bool) {
        for (to, letter) in mail.letters {
            // Who no longer waits has hung up, and says so by itself.
            let _ = to.send(letter);
        }
        if sooner {
            self.shared.sooner.notify_one();
        }
        if let Some((finding, flight)) = mail.finding {
            self.shared.runtime.spawn_blocking(move || finding.keep(&flight));
        }
        for lookup in mail.lookups {
            let driver = self.clone();
            self.shared.runtime.spawn_blocking(move || driver.look_up(&lookup));
        }
        if mail.unwritten {
            self.shared.writing.write();
        }
    }

    /// A poll's answer could not be handed over: what it brought goes back.
    pub fn undelivered(&self, request: RequestId, consumer: ConsumerId) {
        self.bring(Event::Undelivered { request, consumer });
    }

    /// What the flight recorder has.
    pub fn flight(&self) -> Flight {
        self.lock().flight.so_far()
    }

    /// Whether the broker is about to stop.
    pub fn is_draining(&self) -> bool {
        self.lock().draining
    }

    /// How the broker is.
    pub fn health(&self) -> Health {
        self.lock().health()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.state.lock().unwrap_or_else(|_| {
            // Whoever held the lock panicked in the middle of a decision. Nothing that this state says can be
            // trusted any more; what is durable can, and a new start recovers it.
            tracing::error!("the broker's state is broken: ending the process, so that a new start recovers it");
            std::process::abort();
        })
    }
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").finish_non_exhaustive()
    }
}
