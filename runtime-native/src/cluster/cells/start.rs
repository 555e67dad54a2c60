//! The cells of a node, from start to stop.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{Receiver, Sender, channel, sync_channel},
    },
    thread,
    time::{Duration, Instant},
};

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine as _};
use rdkafka::{config::FromClientConfigAndContext, consumer::BaseConsumer};
use tokio::sync::watch;
use uuid::Uuid;

use super::{
    cell::Around,
    clock::{self, Leases},
    config::{CellsConfig, CellsError},
    directory::{Directory, Notice, Settings},
    follow::{Follower, Known},
    host::CellHost,
    keeper::Keeper,
    logged::Logged,
    member::Member,
    message::Message,
    outbox::Outbox,
    reader::{Backlog, Reader},
    run::Runner,
    stats::CellsStats,
    topics,
    watcher::{Awaited, Watcher},
};

/// How long a cell's partition waits for its resignation, at most.
const RESIGNS_WITHIN: Duration = Duration::from_secs(5);
/// Random bytes in a secret.
const SECRET_BYTES: usize = 32;

/// The cells of this node. Its clones are the same.
///
/// When the last one is dropped without [`stop`](Self::stop), the node vanishes as if it had died: others wait for its
/// leases.
#[derive(Clone, Debug)]
pub struct Cells(Arc<Inner>);

struct Inner {
    node: Uuid,
    secret: String,
    leases: Arc<Leases>,
    stats: Arc<CellsStats>,
    directory: watch::Receiver<Arc<Directory>>,
    queue: Sender<Message>,
    timeout: Duration,
    member: Ending,
    /// Whoever follows and watches ends with this.
    _following: Ending,
    /// Tells that the group was left.
    left: Mutex<Option<Receiver<()>>>,
}

/// Asks a thread to end, at the latest when nobody has it any more.
#[derive(Default)]
struct Ending(Arc<AtomicBool>);

impl Ending {
    fn ask(&self) {
        self.0.store(true, Ordering::Release);
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        self.ask();
    }
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cells").field("node", &self.node).finish_non_exhaustive()
    }
}

impl Cells {
    /// Makes the cluster's topics if they are missing, and joins the group of its nodes. `host` makes the host of a cell
    /// when the cell is first offered to this node; it is called on the cells' thread. Blocks, for as long as the
    /// configured timeout for each thing that it waits for.
    ///
    /// # Errors
    /// If the configuration is wrong, the cluster can't be reached, or its topics are not what they have to be.
    pub fn start(
        config: CellsConfig,
        host: impl FnMut(u32) -> Box<dyn CellHost> + Send + 'static,
    ) -> Result<Self, CellsError> {
        config.check()?;
        let cell = config.cell()?;
        let cells = topics::prepare(&config)?;
        let (node, names) = (Uuid::new_v4(), config.names());
        let (queue, messages) = channel();
        let mut outbox = Outbox::start(config.producer_client(), &names, queue.clone())?;
        let following = follow(&config, node, cells, &queue)?;
        let settings = settings(&following.known, &mut outbox, &config)?;

        let awaited = Arc::new(Awaited::new(cells));
        let (leases, stats) = (Arc::new(Leases::new(cells)), Arc::new(CellsStats::default()));
        let (backlog, pulse) = (Arc::new(Backlog::default()), Arc::new(AtomicU64::new(clock::now().0)));
        let (reader, reads) = channel();
        let (keeper, keeps) = channel();
        let around = Around {
            node,
            snapshot_bytes: config.snapshot_bytes,
            outbox,
            reader: reader.clone(),
            keeper,
            queue: queue.clone(),
            leases: Arc::clone(&leases),
            awaited: Arc::clone(&awaited),
            stats: Arc::clone(&stats),
            resigning: 0,
            waiting: Vec::new(),
        };
        let runner = Runner {
            config: cell,
            address: config.address.clone(),
            hosts: Box::new(host),
            messages,
            around,
            backlog: Arc::clone(&backlog),
            pulse: Arc::clone(&pulse),
            cells: BTreeMap::new(),
            undecided: Vec::new(),
            shows: clock::now(),
            stopping: None,
        };
        let reading = Reader::new(config.reader_client(), names.clone(), reads, queue.clone(), backlog, config.timeout);
        spawn("cells-read", move || reading.run())?;
        spawn("cells", move || runner.run())?;
        let watching = BaseConsumer::from_config_and_context(&config.reader_client(), Logged);
        let watching = watching.map_err(CellsError::kafka("making a client that looks at journals"))?;
        let watcher = Watcher {
            client: watching,
            journal: names.journal.clone(),
            node,
            times: cell,
            directory: following.directory.clone(),
            awaited,
            queue: queue.clone(),
            ends: Arc::clone(&following.ends.0),
        };
        spawn("cells-watch", move || watcher.run())?;
        let (member, left) = join(&config, &queue, pulse)?;
        let timeout = config.timeout;
        let keeping = Keeper { config, names, jobs: keeps, reader, queue: queue.clone() };
        spawn("cells-keep", move || keeping.run())?;
        let Following { directory, ends: following, .. } = following;
        let (secret, left) = (settings.secret, Mutex::new(Some(left)));
        let inner =
            Inner { node, secret, leases, stats, directory, queue, timeout, member, _following: following, left };
        Ok(Self(Arc::new(inner)))
    }

    /// How many cells the cluster has.
    pub fn count(&self) -> u32 {
        self.0.leases.count()
    }

    /// This node, from its start to its end: its key in the directory.
    pub fn node(&self) -> Uuid {
        self.0.node
    }

    /// Drawn when the cluster was made; nodes know each other by it.
    pub fn secret(&self) -> &str {
        &self.0.secret
    }

    /// Which node serves which cell, as they say themselves. It tells of each change.
    pub fn directory(&self) -> watch::Receiver<Arc<Directory>> {
        self.0.directory.clone()
    }

    /// Whether an answer of a cell may leave at this moment. To be asked before each does.
    pub fn serves(&self, cell: u32) -> bool {
        self.0.leases.lasts(cell, clock::now())
    }

    /// What was counted and measured.
    pub fn stats(&self) -> &Arc<CellsStats> {
        &self.0.stats
    }

    /// Gives all cells up, leaves the group, and says that this node is gone. Blocks until that is done, for as long as
    /// the configured timeout at each of two steps; what is not done then, others find out by themselves.
    pub fn stop(self) {
        let Some(left) = self.0.left.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
        let started = Instant::now();
        self.0.member.ask();
        if left.recv_timeout(self.0.timeout).is_err() {
            tracing::warn!("the group of the nodes could not be left in time");
        }
        let (done, stopped) = sync_channel(1);
        let told = self.0.queue.send(Message::Stop { done });
        if told.is_err() || stopped.recv_timeout(self.0.timeout).is_err() {
            tracing::warn!("not all could be told in time that this node has stopped");
        }
        tracing::info!(seconds = started.elapsed().as_secs_f64(), "the cells of this node have stopped");
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        // First this, so that what is revoked when the group is left is not resigned.
        let _ = self.queue.send(Message::Vanish);
    }
}

/// The thread that follows the cluster's topic, and what is heard of it.
struct Following {
    known: Receiver<Known>,
    directory: watch::Receiver<Arc<Directory>>,
    ends: Ending,
}

fn follow(config: &CellsConfig, node: Uuid, cells: u32, queue: &Sender<Message>) -> Result<Following, CellsError> {
    let (known_to, known) = sync_channel(4);
    let (directory_to, directory) = watch::channel(Arc::new(Directory::default()));
    let ends = Ending::default();
    let follower = Follower::new(
        &config.follower_client(),
        &config.names().cluster,
        (node, cells),
        known_to,
        directory_to,
        queue.clone(),
        Arc::clone(&ends.0),
    )?;
    spawn("cells-follow", move || follower.run())?;
    Ok(Following { known, directory, ends })
}

/// Joins the group. The node leaves it when it is asked to; then it is told.
fn join(
    config: &CellsConfig,
    queue: &Sender<Message>,
    pulse: Arc<AtomicU64>,
) -> Result<(Ending, Receiver<()>), CellsError> {
    let ends = Ending::default();
    let member = Member::join(
        &config.member_client(),
        &config.names().journal,
        RESIGNS_WITHIN.min(config.timeout),
        queue.clone(),
        (pulse, config.session_timeout),
        Arc::clone(&ends.0),
    );
    // The cells' thread runs already, and would wait for ever.
    let member = member.inspect_err(|_| drop(queue.send(Message::Vanish)))?;
    let (left_to, left) = sync_channel(1);
    spawn("cells-member", move || {
        member.run();
        // Whoever waits may have given up.
        let _ = left_to.try_send(());
    })?;
    Ok((ends, left))
}

fn spawn(name: &str, what: impl FnOnce() + Send + 'static) -> Result<(), CellsError> {
    let thread = thread::Builder::new().name(name.to_owned()).spawn(what);
    thread.map(drop).map_err(|error| CellsError::System(format!("no thread: {error}")))
}

/// The settings of the cluster: the first that anybody wrote. Whoever finds none draws some, and goes by what comes first.
fn settings(known: &Receiver<Known>, outbox: &mut Outbox, config: &CellsConfig) -> Result<Settings, CellsError> {
    let timeout = config.timeout;
    let late = |_| CellsError::Late("reading the settings of the cluster", timeout);
    let mut settings = known.recv_timeout(timeout).map_err(late)?;
    if settings.is_none() {
        let mut secret = [0_u8; SECRET_BYTES];
        getrandom::fill(&mut secret).map_err(|error| CellsError::System(format!("no randomness: {error}")))?;
        let mine = Settings::new(BASE64_URL_SAFE_NO_PAD.encode(secret), config.topic_prefix.clone());
        outbox.notice(Notice::settings(&mine));
    }
    let until = Instant::now() + timeout;
    while settings.is_none() {
        settings = known.recv_timeout(until.saturating_duration_since(Instant::now())).map_err(late)?;
    }
    let settings = settings.ok_or(CellsError::Late("reading the settings of the cluster", timeout))?;
    if !settings.is_known() {
        return Err(CellsError::Version(settings.v));
    }
    if settings.topic_prefix != config.topic_prefix {
        let (made, given) = (settings.topic_prefix, config.topic_prefix.clone());
        return Err(CellsError::TopicPrefix { made, given });
    }
    Ok(settings)
}
