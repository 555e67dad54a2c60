//! Runs: from a seed or a tape to a report.

use std::collections::BTreeSet;

use crate::{
    coverage::Coverage,
    engine_kind::EngineKind,
    operation::Fault,
    options::Options,
    oracle::Violation,
    shrink::shrink,
    tape::{Chance, Tape, mix},
    world::{Care, World},
};

/// Words of a tape that comes from bytes, at most: so that no single input takes long.
pub const MAX_FUZZED_WORDS: usize = 20_000;

/// What to run.
#[derive(Clone, Debug)]
pub struct Simulation {
    /// The world's kind.
    pub options: Options,
    /// The bug that is switched on.
    #[cfg(feature = "planted")]
    pub planted: Option<takhin_core::planted::Bug>,
}

/// What a run did, and found.
#[derive(Clone, Debug)]
pub struct Report {
    /// Words used.
    pub steps: u64,
    /// Events that the core was given, each judged by all oracles.
    pub events: u64,
    /// Rare states that it met.
    pub coverage: Coverage,
    /// What it found to be broken, if anything.
    pub violation: Option<Violation>,
}

/// A violation, made small.
#[derive(Clone, Debug)]
pub struct Found {
    /// The verdict on the small run.
    pub violation: Violation,
    /// The small run's world.
    pub options: Options,
    /// The small run's tape.
    pub tape: Tape,
    /// Its trace, to be kept and replayed.
    pub trace: String,
}

impl Simulation {
    /// A world that follows from a seed, with a broker that is one server, and no faults but those named.
    pub fn new(seed: u64, faults: &BTreeSet<Fault>) -> Self {
        Self::on(EngineKind::Local, seed, faults)
    }

    /// The same, with a broker that runs on any engine.
    pub fn on(engine: EngineKind, seed: u64, faults: &BTreeSet<Fault>) -> Self {
        Self::with(Options::drawn(engine, seed, faults))
    }

    /// A world of a kind.
    pub fn with(options: Options) -> Self {
        Self {
            options,
            #[cfg(feature = "planted")]
            planted: None,
        }
    }

    /// A world and a tape from bytes, as a fuzzer has them: a seed for the options in the first eight, then the words.
    /// [`None`] if there are too few, or more than [`MAX_FUZZED_WORDS`] of these.
    pub fn from_bytes(bytes: &[u8], faults: &BTreeSet<Fault>) -> Option<(Self, Tape)> {
        let (seed, words) = bytes.split_first_chunk::<8>()?;
        let tape = Tape::from_bytes(words);
        (tape.0.len() <= MAX_FUZZED_WORDS).then(|| (Self::new(u64::from_be_bytes(*seed), faults), tape))
    }

    /// Runs so many steps that follow from a seed, and then lets everything come to rest.
    ///
    /// After an event the core is asked for what it holds of who asked, and only from time to time for all of it. If
    /// anything is found, it is run again with a look at all after each event: the report is of that run.
    pub fn run(&self, seed: u64, steps: u32) -> Report {
        let words = || {
            let mut chance = Chance::new(seed);
            (0..steps).map(move |_| chance.next())
        };
        let report = self.run_words(words(), Care::Usual);
        if report.violation.is_none() {
            return report;
        }
        let again = self.run_words(words(), Care::Thorough);
        if again.violation.is_some() { again } else { report }
    }

    /// Runs a tape, with a look at all of the core after each event, and then lets everything come to rest.
    pub fn run_tape(&self, tape: &Tape) -> Report {
        self.run_words(tape.0.iter().copied(), Care::Thorough)
    }

    fn run_words(&self, words: impl Iterator<Item = u64>, care: Care) -> Report {
        let mut world = self.world(care);
        let (steps, violation) = Self::drive(&mut world, words);
        Report { steps, events: world.events(), coverage: world.coverage, violation }
    }

    /// What a tape leads to, written down.
    pub fn trace(&self, tape: &Tape, seed: Option<u64>) -> String {
        let mut world = self.world(Care::Thorough);
        world.record(seed);
        Self::drive(&mut world, tape.0.iter().copied());
        world.trace().unwrap_or_default()
    }

    /// A number that stands for everything that a tape leads to, the same on every platform.
    pub fn digest(&self, tape: &Tape) -> u64 {
        self.trace(tape, None).bytes().fold(0, |digest, byte| mix(digest ^ u64::from(byte)))
    }

    /// Makes a run in which an oracle was broken as small as it gets.
    pub fn shrink(&self, seed: u64, report: &Report) -> Option<Found> {
        let violation = report.violation.as_ref()?;
        let tape = Tape::drawn(seed, u32::try_from(report.steps).unwrap_or(u32::MAX));
        let (simulation, tape) = shrink(self, tape, violation.oracle);
        let violation = simulation.run_tape(&tape).violation?;
        let trace = simulation.trace(&tape, Some(seed));
        Some(Found { violation, options: simulation.options, tape, trace })
    }

    fn world(&self, care: Care) -> World {
        #[allow(unused_mut)] // Without the feature nothing is planted.
        let mut world = World::new(&self.options, care);
        #[cfg(feature = "planted")]
        if let Some(bug) = self.planted {
            world.plant(bug);
        }
        world
    }

    /// Runs words to their end or to a violation, and gives how many were used.
    fn drive(world: &mut World, words: impl Iterator<Item = u64>) -> (u64, Option<Violation>) {
        let mut steps = 0;
        for word in words {
            steps += 1;
            if let Err(violation) = world.step(word) {
                return (steps, Some(violation));
            }
        }
        (steps, world.settle().err())
    }
}
