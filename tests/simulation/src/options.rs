//! Options: what kind of world a run has. They are drawn from the seed apart from the tape, so that each run has its
//! own mix of operations and faults (swarm testing, Groce and others, 2012), and shrinking one keeps the other.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use takhin_core::{Config, DurationMs};

use crate::{
    engine_kind::EngineKind,
    operation::{Fault, Operation},
    tape::{Word, mix},
};

/// Operations are looked up in a table of so many places.
const PLACES: usize = 4096;

/// A world's kind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Options {
    /// What the broker runs on.
    #[serde(default)]
    pub engine: EngineKind,
    /// Clients, 1 to 12. They take their groups in turn.
    pub clients: u8,
    /// The groups that there are.
    pub groups: Vec<GroupKind>,
    /// Topic names, 1 to 3.
    pub topics: u8,
    /// Partitions that a topic is created with, at most.
    pub partitions: u8,
    /// Records of one batch at most.
    pub records: u8,
    /// How often each operation happens, against the others. What is not named does not happen.
    pub weights: BTreeMap<Operation, u16>,
    /// Answers of 1000 that get lost.
    pub lost: u16,
    /// Whether every second client is a static member.
    pub statics: bool,
    /// Whether members may be removed because they do not poll.
    pub must_poll: bool,
    /// Whether each event is given to a second core as well, which knows only what a trace holds.
    pub twin: bool,
    /// The broker's bounds.
    pub config: Config,
}

/// How a group's clients behave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GroupKind {
    /// They say with each poll what the last batch was that they have. Lost answers lose nothing.
    Exact,
    /// They do not say, poll one at a time, and the server sees each loss.
    Plain,
    /// They do not let the server commit for them, so that all commits are theirs.
    ByHand,
    /// They do as they like: nothing is promised to them but what is promised to everybody.
    Wild,
}

impl GroupKind {
    /// All of them.
    pub const ALL: &'static [Self] = &[Self::Exact, Self::Plain, Self::ByHand, Self::Wild];
}

impl Options {
    /// The options that follow from a seed, with no faults but those named.
    pub fn drawn(engine: EngineKind, seed: u64, faults: &BTreeSet<Fault>) -> Self {
        let mut chance = Word::new(mix(seed ^ 0x5157_4152_4D00));
        let faults: BTreeSet<Fault> = faults.iter().copied().filter(|_| chance.below(3) < 2).collect();
        let mut weights = BTreeMap::new();
        // What Kafka alone has is drawn apart, so that it changes nothing of what is drawn for one server.
        let of_kafka = |operation: &&Operation| operation.engine() == Some(EngineKind::Kafka);
        for operation in Operation::ALL.iter().filter(|operation| !of_kafka(operation)) {
            draw_weight(*operation, &faults, &mut chance, &mut weights);
        }
        if engine == EngineKind::Kafka {
            let mut chance = Word::new(mix(seed ^ 0x4B41_464B_4100));
            weights.retain(|operation, _| operation.engine() != Some(EngineKind::Local));
            for operation in Operation::ALL.iter().filter(of_kafka) {
                draw_weight(*operation, &faults, &mut chance, &mut weights);
            }
        }
        let groups: Vec<GroupKind> = GroupKind::ALL.iter().copied().filter(|_| chance.one_in(2)).collect();
        let groups = if groups.is_empty() { vec![GroupKind::Exact] } else { groups };
        let lost = if faults.contains(&Fault::Lost) { [5, 40, 120, 250][chance.index(4)] } else { 0 };
        Self {
            engine,
            clients: [1, 2, 3, 4, 4, 6, 6, 8][chance.index(8)],
            topics: [1, 1, 2, 2, 3][chance.index(5)],
            partitions: [1, 2, 2, 3, 4, 9][chance.index(6)],
            records: [1, 3, 3, 10][chance.index(4)],
            lost,
            statics: chance.one_in(2),
            must_poll: chance.one_in(3),
            twin: chance.one_in(16),
            config: Config {
                shared_logs: engine == EngineKind::Kafka,
                ..config(faults.contains(&Fault::Limits), &mut chance)
            },
            groups,
            weights,
        }
    }

    /// Simpler options, to be tried by whoever looks for a smaller run.
    pub(crate) fn simpler(&self) -> Vec<Self> {
        let mut simpler = Vec::new();
        let mut add = |change: &dyn Fn(&mut Self)| {
            let mut changed = self.clone();
            change(&mut changed);
            if changed != *self {
                simpler.push(changed);
            }
        };
        add(&|options| options.lost = 0);
        let shared_logs = self.config.shared_logs;
        add(&|options| options.config = Config { shared_logs, ..Config::default() });
        add(&|options| options.topics = 1);
        add(&|options| options.records = 1);
        add(&|options| options.statics = false);
        add(&|options| options.must_poll = false);
        for kind in self.groups.iter().filter(|_| self.groups.len() > 1) {
            for clients in 1..=self.clients {
                add(&|options| (options.groups, options.clients) = (vec![*kind], clients));
            }
        }
        for fewer in [1, 2, 3, self.clients - 1] {
            add(&|options| options.clients = options.clients.min(fewer.max(1)));
        }
        for fewer in [1, 2] {
            add(&|options| options.partitions = options.partitions.min(fewer));
        }
        simpler
    }

    /// The operation at each place of the table that a word's first choice looks into.
    pub(crate) fn table(&self) -> Vec<Operation> {
        let total: usize = self.weights.values().map(|weight| usize::from(*weight)).sum();
        let mut table = Vec::with_capacity(PLACES + self.weights.len());
        let mut sum = 0;
        for (operation, weight) in &self.weights {
            sum += usize::from(*weight);
            table.resize((sum * PLACES).div_ceil(total.max(1)), *operation);
        }
        table
    }
}

/// How often an operation happens, if it may.
fn draw_weight(
    operation: Operation,
    faults: &BTreeSet<Fault>,
    chance: &mut Word,
    weights: &mut BTreeMap<Operation, u16>,
) {
    let level = chance.below(8);
    if operation.fault().is_none_or(|fault| faults.contains(&fault)) {
        let weight = u32::from(operation.weight()) * [0, 1, 1, 2, 2, 2, 2, 4][level as usize] / 2;
        // Without these nothing happens at all.
        let least = match operation {
            Operation::Complete => 200,
            Operation::LongPoll | Operation::Produce | Operation::Hear => 20,
            Operation::CreateTopic | Operation::PassLittle | Operation::LookAtTopics => 4,
            Operation::Report | Operation::Unblock | Operation::MakeRoom => operation.weight(),
            _ => 0,
        };
        weights.insert(operation, u16::try_from(weight).unwrap_or(u16::MAX).max(least));
    }
}

fn config(limits: bool, chance: &mut Word) -> Config {
    let position_checkpoint = DurationMs([0, 100, 500, 1000][chance.index(4)]);
    let offsets_retention = [Config::default().offsets_retention, DurationMs(2_000), DurationMs(20_000)];
    let offsets_retention = offsets_retention[chance.index(3)];
    let config = Config { position_checkpoint, offsets_retention, max_ended_remembered: 8, ..Config::default() };
    if !limits {
        return config;
    }
    Config {
        max_topics: 1 + chance.below(3),
        max_partitions_per_topic: 1 + chance.below(4),
        max_partitions: 1 + chance.below(6),
        max_consumers: 1 + chance.below(6),
        max_groups: 1 + chance.below(5),
        max_patterns: chance.below(3),
        max_parked: chance.below(4),
        max_ended_remembered: chance.below(3),
        ..config
    }
}
