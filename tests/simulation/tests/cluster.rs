//! One cell on several nodes: nothing acknowledged is lost, nothing applies twice, and no two nodes serve at once.

use std::time::{SystemTime, UNIX_EPOCH};

use takhin_simulation::cluster::{Cluster, Sight, Sights};

const STEPS: u32 = 5_000;
const RUNS: u64 = 200;

#[test]
fn known_runs_break_no_promise_and_meet_what_is_rare() {
    let mut sights = Sights::default();
    for seed in 0..RUNS {
        let report = Cluster::run(seed, STEPS);
        assert_eq!(report.violation, None, "seed {seed}, after {} steps", report.steps);
        sights.add(&report.sights);
    }
    println!("{sights}");
    for sight in Sight::ALL {
        assert!(sights.of(sight) > 0, "{sight:?} was never met:\n{sights}");
    }
}

#[test]
fn fresh_runs_break_no_promise() {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let first = since.as_secs() << 20 | u64::from(since.subsec_micros());
    println!("seeds from {first} on, {RUNS} runs of {STEPS} steps");
    for seed in first..first + RUNS {
        let report = Cluster::run(seed, STEPS);
        assert_eq!(report.violation, None, "seed {seed}, after {} steps", report.steps);
    }
}

#[cfg(feature = "planted")]
mod planted {
    use takhin_core::planted::Bug;
    use takhin_simulation::cluster::{Cluster, Promise};

    use super::STEPS;

    /// Runs in which a bug has to be seen.
    const MAX_RUNS: u64 = 2_000;

    #[test]
    fn each_planted_bug_is_seen() {
        let bugs = [
            (Bug::JournalGapsIgnored, Promise::PersistedIsKept),
            (Bug::UnsureTakenForDone, Promise::PersistedIsKept),
            (Bug::StaleFactsApplied, Promise::RecoveredEqual),
            (Bug::FactsBehindGapApplied, Promise::RecoveredEqual),
            (Bug::LeaseForgotten, Promise::OneOwnerServes),
            (Bug::TakenOverAtOnce, Promise::OneOwnerServes),
            (Bug::LeaseFromAcknowledgement, Promise::OneOwnerServes),
            (Bug::WaitFromSending, Promise::OneOwnerServes),
            (Bug::SightingOutlived, Promise::OneOwnerServes),
            (Bug::AnyResignationCounts, Promise::OneOwnerServes),
            (Bug::FactsNumberedAgain, Promise::AppliedOnce),
            (Bug::NeverShown, Promise::Served),
        ];
        for (bug, promise) in bugs {
            let mut steps = 0;
            let mut seeds = 0..MAX_RUNS;
            let found = seeds.find_map(|seed| {
                let report = Cluster::run_planted(seed, STEPS, bug);
                steps += report.steps;
                report.violation
            });
            println!("{promise}: {bug:?} after {steps} steps");
            assert_eq!(found.map(|violation| violation.promise), Some(promise), "{bug:?}");
        }
    }
}
