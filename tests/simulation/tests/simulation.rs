//! The simulator about itself and about the core: it repeats itself to the byte, it meets what is rare, and a share of
//! fresh runs finds nothing.

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    time::{SystemTime, UNIX_EPOCH},
};

use takhin_simulation::{Coverage, EngineKind, Fault, Rare, Simulation, Tape, record_again, replay};

fn all() -> BTreeSet<Fault> {
    Fault::ALL.iter().copied().collect()
}

/// The first seeds, on each engine.
fn seeds(count: u64) -> impl Iterator<Item = (EngineKind, u64)> {
    EngineKind::ALL.iter().flat_map(move |engine| (0..count).map(move |seed| (*engine, seed)))
}

#[test]
fn the_same_seed_gives_the_same_trace_to_the_byte() {
    for (engine, seed) in seeds(20) {
        let tape = Tape::drawn(seed, 2_000);
        let [one, other] = [(); 2].map(|()| Simulation::on(engine, seed, &all()).trace(&tape, Some(seed)));
        assert!(one.lines().count() > 50, "{engine}, seed {seed}: something happens");
        assert_eq!(one, other, "{engine}, seed {seed}");
    }
}

#[test]
fn each_run_has_a_digest_of_its_own_and_always_the_same() {
    let digests: Vec<u64> = (0..3)
        .map(|seed| {
            let simulation = Simulation::new(seed, &all());
            let tape = Tape::drawn(seed, 1_000);
            assert_eq!(simulation.digest(&tape), simulation.digest(&tape), "seed {seed}");
            simulation.digest(&tape)
        })
        .collect();
    println!("digests of the seeds 0, 1 and 2 with 1,000 steps: {digests:x?}");
    assert_eq!(BTreeSet::from_iter(&digests).len(), digests.len(), "each run has its own");
}

#[test]
fn a_run_and_its_tape_are_the_same() {
    for engine in EngineKind::ALL {
        let simulation = Simulation::on(*engine, 7, &all());
        let (run, tape) = (simulation.run(7, 3_000), Tape::drawn(7, 3_000));
        let again = simulation.run_tape(&tape);
        assert_eq!((run.steps, run.events, run.coverage), (again.steps, again.events, again.coverage));
        assert_eq!(Tape::from_bytes(&tape.to_bytes()), tape);
    }
}

#[test]
fn a_trace_replays_across_restarts_and_is_recorded_again_as_it_was() {
    let mut restarts = 0;
    for (engine, seed) in seeds(40) {
        let trace = Simulation::on(engine, seed, &all()).trace(&Tape::drawn(seed, 1_000), Some(seed));
        restarts += trace.matches("\"restart\":").count();
        let steps = replay(&trace).unwrap_or_else(|error| panic!("{engine}, seed {seed}: {error}"));
        assert_eq!(usize::try_from(steps), Ok(trace.lines().count() - 1));
        assert_eq!(record_again(&trace).as_ref(), Ok(&trace), "{engine}, seed {seed}");
    }
    assert!(restarts > 20, "{restarts} restarts");
}

#[test]
fn what_is_rare_is_met() {
    for engine in EngineKind::ALL.iter().copied() {
        let mut coverage = Coverage::default();
        for seed in 0..1_000 {
            coverage.add(&Simulation::on(engine, seed, &all()).run(seed, 2_000).coverage);
            if seed >= 300 && coverage.missing(engine).next().is_none() {
                break;
            }
        }
        println!("{engine}\n{}", coverage.table(engine));
        let missing: Vec<_> = coverage.missing(engine).map(Rare::name).collect();
        assert!(missing.is_empty(), "never met on {engine}: {missing:?}");
    }
}

/// A bounded share of what `takhin simulate` does without end, on each engine.
#[test]
fn fresh_runs_break_no_promise() {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    let first = now.as_secs() << 16;
    println!("seeds {first} to {}", first + RUNS - 1);
    for (engine, seed) in seeds(RUNS).map(|(engine, seed)| (engine, first + seed)) {
        let simulation = Simulation::on(engine, seed, &all());
        let report = simulation.run(seed, STEPS);
        if let Some(found) = simulation.shrink(seed, &report) {
            let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("seed-{seed}.jsonl"));
            fs::write(&path, &found.trace).expect("a place for the trace");
            panic!("{engine}, seed {seed}, {}\nthe trace is {}", found.violation, path.display());
        }
    }
}

/// Runs with fresh seeds, and the steps of each.
const RUNS: u64 = 1_000;
const STEPS: u32 = 5_000;
