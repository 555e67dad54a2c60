//! What was once found stays found: traces of mended bugs are replayed for ever. Their commands must be those recorded,
//! the core must hold its invariants after each step, and the auditor must have nothing to say.
//!
//! A change that alters commands on purpose records them again from their events, to be looked at before it is taken:
//! `TAKHIN_RECORD_AGAIN=1 cargo test -p takhin-simulation --test regressions`.

use std::{env, fs, path::PathBuf};

use takhin_simulation::{Fault, Simulation, record_again, replay};

fn files(folder: &str, extension: &str) -> Vec<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().expect("the folder tests").join(folder);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let mut paths: Vec<_> = paths.filter(|path| path.extension().is_some_and(|found| found == extension)).collect();
    paths.sort();
    assert!(!paths.is_empty(), "{} holds something", folder.display());
    paths
}

#[test]
fn what_was_found_once_stays_mended() {
    for path in files("regressions", "jsonl") {
        let mut trace = fs::read_to_string(&path).expect("a trace");
        if env::var_os("TAKHIN_RECORD_AGAIN").is_some() {
            trace = record_again(&trace).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            fs::write(&path, &trace).expect("a file that can be written");
        }
        replay(&trace).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
}

/// The fuzzer's corpus, without the fuzzer.
#[test]
fn tapes_of_the_corpus_break_no_promise() {
    let faults = Fault::ALL.iter().copied().collect();
    for path in files("fuzz/corpus/tape", "tape") {
        let bytes = fs::read(&path).expect("a tape");
        let (simulation, tape) = Simulation::from_bytes(&bytes, &faults).expect("a seed and a tape");
        let report = simulation.run_tape(&tape);
        assert!(report.events > 0, "{}: something happens", path.display());
        let violation = report.violation;
        assert_eq!(violation, None, "{}", path.display());
    }
}
