//! A run is its inputs, and nothing else: whatever way one comes to a row, the state there is the same.

use serde_json::Value;
use takhin_core::trace;
use takhin_wasm::{Run, Stop};

/// Two consumers that share four partitions, one of which dies, and a broker that does too.
const STORY: &str = r#"[
    {"t": 0, "do": {"topic": {"name": "orders", "partitions": 4}}},
    {"t": 100, "do": {"producer": {"name": "p1", "topic": "orders", "every_ms": 150, "records": 2, "idempotent": true}}},
    {"t": 200, "do": {"consumer": {"name": "c1", "group": "billing", "topics": ["orders"], "session_ms": 3000}}},
    {"t": 1500, "do": {"consumer": {"name": "c2", "group": "billing", "topics": ["orders"], "session_ms": 3000}}},
    {"t": 2500, "do": {"lose_response": {"client": "p1"}}},
    {"t": 3000, "do": {"kill": {"client": "c2"}}},
    {"t": 8000, "do": {"crash": {"down_ms": 700}}},
    {"t": 9000, "do": {"start": {"client": "c2"}}}
]"#;

fn story() -> Run {
    let mut run = Run::from_inputs(42, STORY).expect("inputs");
    run.advance(15_000, 100_000);
    run
}

fn about(run: &Run, field: &str) -> Value {
    serde_json::from_str::<Value>(&run.about()).expect("JSON")[field].clone()
}

#[test]
fn the_same_inputs_give_the_same_run() {
    let (one, other) = (story(), story());
    assert!(one.rows() > 300, "{} rows", one.rows());
    assert_eq!(one.digest(), other.digest());
    assert_eq!(one.row_numbers(0), other.row_numbers(0));
    assert_eq!(about(&one, "violations"), serde_json::json!([]));
    let mut another = Run::from_inputs(43, STORY).expect("inputs");
    another.advance(15_000, 100_000);
    assert_ne!(one.digest(), another.digest(), "another seed is another run");
}

#[test]
fn it_does_not_matter_in_which_portions_a_run_goes_on() {
    let mut slowly = Run::from_inputs(42, STORY).expect("inputs");
    for until in (0..=15_000).step_by(7) {
        while slowly.advance(until, 3) > 0 {}
    }
    while slowly.advance(15_000, 3) > 0 {}
    assert_eq!(slowly.digest(), story().digest());
}

#[test]
fn every_row_can_be_sought_from_anywhere() {
    let mut run = story();
    let mut forward = story();
    let rows = run.rows();
    for row in (0..rows).step_by(37) {
        forward.seek(row);
        let state = forward.state();
        for from in [0, rows, row / 2, row + 1] {
            run.seek(from);
            let replayed = run.seek(row);
            assert!(replayed <= run.seek_bound(), "{replayed} rows from {from} to {row}");
            assert_eq!(run.state(), state, "row {row} from {from}");
        }
    }
}

#[test]
fn a_fork_has_the_same_past() {
    let run = story();
    let row = run.rows() / 2;
    let mut fork = run.fork(row).expect("a world");
    let shared = fork.rows();
    assert!(shared >= row);
    assert_eq!(fork.row_numbers(0), &run.row_numbers(0)[..fork.row_numbers(0).len()]);
    fork.apply(serde_json::from_str(r#"{"crash": {}}"#).expect("an act")).expect("a world");
    fork.advance(15_000, 100_000);
    assert_ne!(fork.digest(), run.digest());
    // What was done to it is in its inputs, and they are all of it.
    let mut again = Run::from_inputs(42, &fork.inputs()).expect("inputs");
    again.advance(15_000, 100_000);
    assert_eq!(again.digest(), fork.digest());
}

#[test]
fn a_fork_is_what_its_inputs_make_wherever_it_begins() {
    let run = story();
    for row in (1..run.rows()).step_by(23) {
        let fork = run.fork(row).expect("a world");
        let mut again = Run::from_inputs(42, &fork.inputs()).expect("inputs");
        while again.advance(fork.now(), 100_000) > 0 {}
        assert_eq!(again.about(), fork.about(), "row {row}");
        assert_eq!(again.texts(0, u32::MAX), fork.texts(0, u32::MAX), "row {row}");
        assert_eq!(again.row_numbers(0), fork.row_numbers(0), "row {row}");
        assert_eq!(again.mark_numbers(0), fork.mark_numbers(0), "row {row}");
        assert_eq!(again.span_numbers(0), fork.span_numbers(0), "row {row}");
        assert_eq!(again.arrow_numbers(0), fork.arrow_numbers(0), "row {row}");
        assert_eq!(again.bands(0), fork.bands(0), "row {row}");
    }
}

#[test]
fn a_trace_of_it_replays_with_the_same_digest() {
    let run = story();
    let text = run.trace();
    let (_, steps) = trace::replay(&text).expect("a trace");
    let replayed = Run::from_trace(&text).expect("a trace");
    assert_eq!(u64::from(replayed.rows()), steps);
    assert_eq!(replayed.digest(), run.digest());
    assert_eq!(about(&replayed, "expected"), about(&replayed, "digest"));
    assert_eq!(about(&replayed, "violations"), serde_json::json!([]));
    assert_eq!(Run::from_trace(&replayed.trace()).expect("a trace").digest(), run.digest());
}

#[test]
fn the_first_step_that_differs_is_found() {
    let text = story().trace();
    let line = text.lines().position(|line| line.contains("\"produced\"")).expect("a produce that was answered");
    let changed: Vec<String> = text
        .lines()
        .enumerate()
        .map(|(at, text)| if at == line { text.replacen("\"Ok\":", "\"Ok\": ", 1) } else { text.to_owned() })
        .collect();
    let same = Run::from_trace(&changed.join("\n")).expect("a trace");
    assert_eq!(about(&same, "divergence"), Value::Null, "spaces are no difference");
    let changed = text.replacen("\"records\":2,\"result\":{\"Ok\":", "\"records\":3,\"result\":{\"Ok\":", 1);
    let changed = Run::from_trace(&changed).expect("a trace");
    assert!(about(&changed, "divergence")["row"].is_number(), "{}", about(&changed, "divergence"));
    assert_ne!(about(&changed, "expected"), about(&changed, "digest"));
}

#[test]
fn a_wake_was_brought_about_by_an_append_and_that_by_a_produce() {
    let mut run = Run::from_inputs(42, STORY).expect("inputs");
    let woke = run.run_until(&Stop::Woke, 2_000, 10_000).expect("somebody wakes");
    let causes = run.causes(woke);
    let texts: Vec<&str> = causes.iter().map(|row| run.texts(*row, row + 1)[0]).collect();
    let place = |what: &str| texts.iter().position(|text| text.contains(what));
    assert!(place("p1 produces") < place("has offsets"), "{texts:#?}");
    assert!(place("p1 produces").is_some(), "{texts:#?}");
}

#[test]
fn records_that_the_disk_lost_are_seen_to_be_missing() {
    let inputs = STORY.replace("\"down_ms\": 700", "\"down_ms\": 700, \"tail\": \"lost\"");
    let mut run = Run::from_inputs(42, &inputs).expect("inputs");
    run.advance(15_000, 100_000);
    let violations = about(&run, "violations");
    assert!(violations[0][1].as_str().is_some_and(|text| text.contains("bounds grow")), "{violations}");
    assert!(run.now() < 15_000, "it stops there");
}
