//! The page's guided scenarios show what they say, and break no promise.

use std::{collections::BTreeMap, fs, path::PathBuf};

use serde::Deserialize;
use takhin_wasm::Run;

#[derive(Deserialize)]
struct Scenario {
    id: String,
    seed: String,
    inputs: serde_json::Value,
    steps: Vec<Step>,
    /// How many rows at least a filter of this kind finds.
    expect: BTreeMap<String, usize>,
}

#[derive(Deserialize)]
struct Step {
    until: u64,
    text: String,
}

fn scenarios() -> Vec<Scenario> {
    let directory = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../web-demo/scenarios");
    let read = |name: &str| fs::read_to_string(directory.join(format!("{name}.json"))).expect("a scenario");
    let names: Vec<String> = serde_json::from_str(&read("index")).expect("names");
    names.iter().map(|name| serde_json::from_str(&read(name)).expect("a scenario")).collect()
}

#[test]
fn each_scenario_shows_what_it_says() {
    let all = scenarios();
    assert_eq!(all.len(), 10);
    for Scenario { id, seed, inputs, steps, expect } in all {
        assert!((4..=8).contains(&steps.len()), "{id} has {} steps", steps.len());
        assert!(steps.is_sorted_by_key(|step| step.until), "{id}");
        assert!(steps.iter().all(|step| (20..=200).contains(&step.text.chars().count())), "{id}");
        let mut run = Run::from_inputs(seed.parse().expect("a number"), &inputs.to_string()).expect("inputs");
        run.advance(steps.last().map_or(0, |step| step.until), 100_000);
        let about: serde_json::Value = serde_json::from_str(&run.about()).expect("JSON");
        assert_eq!(about["violations"], serde_json::json!([]), "{id}");
        for (kind, least) in expect {
            let found = run.find(&format!("kind:{kind}"), 0, u32::MAX).len();
            assert!(found >= least, "{id}: {found} rows of {kind}");
        }
    }
}

#[test]
fn where_nobody_comes_or_goes_nothing_is_rebalanced() {
    for Scenario { id, seed, inputs, steps, .. } in scenarios() {
        if !["static-member", "crash"].contains(&&*id) {
            continue;
        }
        let mut run = Run::from_inputs(seed.parse().expect("a number"), &inputs.to_string()).expect("inputs");
        run.advance(steps.last().map_or(0, |step| step.until), 100_000);
        assert_eq!(run.find("kind:rebalanced", 0, u32::MAX).len(), 2, "{id}: the two that joined");
    }
}
