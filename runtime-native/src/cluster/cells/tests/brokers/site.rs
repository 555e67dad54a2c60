//! A node with hosts that keep a list of facts.

use std::{
    collections::BTreeMap,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use rdkafka::ClientConfig;
use takhin_core::{Boot, FactSeq, cell::StepDown};
use uuid::Uuid;

use super::super::super::{CellHost, Cells, CellsConfig, Decide};

/// What a host has, and what it was told.
#[derive(Debug, Default)]
pub(super) struct State {
    /// Each fact, the first as number 1.
    pub(super) facts: Vec<String>,
    pub(super) decide: Option<Decide>,
    pub(super) boot: Option<Boot>,
    pub(super) owned: u32,
    pub(super) owned_at: Option<Instant>,
    pub(super) persisted: u64,
    pub(super) persisted_at: Vec<Instant>,
    /// Entries with facts that were applied, since the recovery began.
    pub(super) applied: u32,
    /// Facts in the snapshot that the recovery began with.
    pub(super) from_snapshot: Option<usize>,
    pub(super) wanted: u32,
    pub(super) serves: Vec<bool>,
    pub(super) step_downs: Vec<StepDown>,
    /// Answer each request for a snapshot at once, with so many bytes at least.
    pub(super) snapshot_bytes: Option<usize>,
}

impl State {
    fn through(&self) -> FactSeq {
        FactSeq(self.facts.len() as u64)
    }

    /// Decides on a fact. Says its number.
    pub(super) fn decide(&mut self, fact: &str) -> u64 {
        let after = self.through();
        self.facts.push(fact.to_owned());
        let decide = self.decide.as_ref().expect("there is a core");
        decide.facts(after, after.next(), format!("{fact}\n").into_bytes());
        after.next().0
    }

    pub(super) fn snapshot(&self) {
        let padding = "#".repeat(self.snapshot_bytes.unwrap_or(0));
        let state = format!("{}\n{}", self.facts.join("\n"), padding);
        self.decide.as_ref().expect("there is a core").snapshot(self.through(), state.into_bytes());
    }
}

type Shared = Arc<(Mutex<BTreeMap<u32, State>>, Condvar)>;

struct Host {
    cell: u32,
    shared: Shared,
}

impl Host {
    fn told<T>(&self, what: impl FnOnce(&mut State) -> T) -> T {
        let mut states = self.shared.0.lock().unwrap_or_else(PoisonError::into_inner);
        let outcome = what(states.entry(self.cell).or_default());
        self.shared.1.notify_all();
        outcome
    }
}

fn lines(bytes: &[u8]) -> Result<Vec<String>, String> {
    let text = str::from_utf8(bytes).map_err(|error| error.to_string())?;
    Ok(text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect())
}

impl CellHost for Host {
    fn begin(&mut self, snapshot: Option<&[u8]>) -> Result<(), String> {
        let facts = snapshot.map(lines).transpose()?;
        self.told(|state| {
            state.from_snapshot = facts.as_ref().map(Vec::len);
            state.facts = facts.unwrap_or_default();
            state.applied = 0;
        });
        Ok(())
    }

    fn apply(&mut self, first: FactSeq, facts: &[u8]) -> Result<(), String> {
        let facts = lines(facts)?;
        self.told(|state| {
            if state.through().next() != first {
                return Err(format!("fact {} after {}", first.0, state.facts.len()));
            }
            state.facts.extend(facts);
            state.applied += 1;
            Ok(())
        })
    }

    fn own(&mut self, boot: Boot, through: FactSeq, decide: Decide) -> Result<(), String> {
        self.told(|state| {
            assert_eq!(state.through(), through, "what was applied is what there is");
            state.decide = Some(decide);
            state.boot = Some(boot);
            state.persisted = through.0;
            state.owned += 1;
            state.owned_at = Some(Instant::now());
        });
        Ok(())
    }

    fn persisted(&mut self, through: FactSeq) {
        self.told(|state| {
            state.persisted = through.0;
            state.persisted_at.push(Instant::now());
        });
    }

    fn snapshot_wanted(&mut self) {
        self.told(|state| {
            state.wanted += 1;
            if state.snapshot_bytes.is_some() {
                state.snapshot();
            }
        });
    }

    fn serves(&mut self, serves: bool) {
        self.told(|state| state.serves.push(serves));
    }

    fn step_down(&mut self, why: StepDown) {
        self.told(|state| {
            state.step_downs.push(why);
            state.decide = None;
            state.boot = None;
        });
    }
}

/// A node.
pub(super) struct Site {
    pub(super) cells: Cells,
    shared: Shared,
}

/// The names of a test's own topics begin with it.
pub(super) fn prefix(test: &str) -> String {
    format!("cells-{test}-{}.", Uuid::new_v4().simple())
}

pub(super) fn config(prefix: &str, cells: u32) -> CellsConfig {
    let brokers = std::env::var("TAKHIN_KAFKA_BROKERS").expect("TAKHIN_KAFKA_BROKERS names brokers");
    let mut client = ClientConfig::new();
    client.set("bootstrap.servers", brokers);
    CellsConfig {
        client,
        prefix: prefix.to_owned(),
        topic_prefix: String::new(),
        cells,
        replication: None,
        // Nobody asks there, but no two have the same.
        address: format!("http://{}", Uuid::new_v4().simple()),
        lease: Duration::from_secs(3),
        session_timeout: Duration::from_secs(6),
        snapshot_bytes: u64::MAX,
        timeout: Duration::from_secs(20),
    }
}

impl Site {
    pub(super) fn start(config: CellsConfig) -> Self {
        Self::with(config, None)
    }

    /// A node whose hosts answer with snapshots of so many bytes at least.
    pub(super) fn with(config: CellsConfig, snapshot_bytes: Option<usize>) -> Self {
        let shared = Shared::default();
        let hosts = Arc::clone(&shared);
        let host = move |cell| -> Box<dyn CellHost> {
            let shared = Arc::clone(&hosts);
            let mut states = hosts.0.lock().unwrap_or_else(PoisonError::into_inner);
            states.entry(cell).or_default().snapshot_bytes = snapshot_bytes;
            Box::new(Host { cell, shared })
        };
        Self { cells: Cells::start(config, host).expect("the cells start"), shared }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u32, State>> {
        self.shared.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn on<T>(&self, cell: u32, what: impl FnOnce(&mut State) -> T) -> T {
        what(self.lock().entry(cell).or_default())
    }

    /// Waits until something is so in a cell.
    pub(super) fn wait(&self, cell: u32, what: impl Fn(&State) -> bool) {
        let states = self.lock();
        let waited = self.shared.1.wait_while(states, |states| !states.get(&cell).is_some_and(&what));
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    pub(super) fn owns(&self, cell: u32) {
        self.wait(cell, |state| state.boot.is_some());
    }

    pub(super) fn owns_all(&self) {
        (0..self.cells.count()).for_each(|cell| self.owns(cell));
    }

    pub(super) fn decide(&self, cell: u32, fact: &str) -> u64 {
        self.on(cell, |state| state.decide(fact))
    }

    /// Decides on a fact, and waits until it is kept.
    pub(super) fn keep(&self, cell: u32, fact: &str) {
        let number = self.decide(cell, fact);
        self.wait(cell, |state| state.persisted >= number);
    }

    pub(super) fn facts(&self, cell: u32) -> Vec<String> {
        self.on(cell, |state| state.facts.clone())
    }
}
