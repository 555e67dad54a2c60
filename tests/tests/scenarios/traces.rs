//! A trace is what a core did, line by line: it replays, it tells where it no longer does, and any part of it is one.

use takhin_core::trace::{Line, TraceError, read, replay};
use takhin_tests::script::{Script, earliest, wait};

fn recorded() -> String {
    let mut script = Script::default();
    script.create("orders", 2);
    script.subscribe(1, "billing", &["orders"], earliest());
    script.consume(1, wait(5_000));
    script.produce("orders", 1, 3);
    script.subscribe(2, "billing", &["orders"], earliest());
    script.consume(1, wait(0));
    script.commit_all(1);
    script.pass(60_000);
    script.trace().to_owned()
}

#[test]
fn a_trace_replays_to_the_same_commands() {
    let trace = recorded();
    let (core, steps) = replay(&trace).expect("the same commands");
    assert_eq!(usize::try_from(steps), Ok(trace.lines().count() - 1));
    core.check().expect("a sound core");
}

#[test]
fn the_first_step_that_differs_is_named() {
    let trace = recorded().replacen("\"max_records\":500", "\"max_records\":499", 1);
    let error = replay(&trace).expect_err("one event is another");
    let TraceError::Diverged { n, recorded, actual } = error else { panic!("{error}") };
    let line = trace.lines().position(|line| line.contains("\"fetch\"")).expect("a fetch");
    assert_eq!(usize::try_from(n), Ok(line), "the first step whose commands tell the limit");
    assert!(recorded.contains("500") && actual.contains("499"), "{recorded}\n{actual}");
}

#[test]
fn a_trace_that_starts_at_a_crash_replays_too() {
    let mut script = Script::default();
    script.create("orders", 1);
    script.subscribe(1, "billing", &["orders"], earliest());
    script.crash();
    script.produce("orders", 0, 1);
    script.consume(1, wait(0));
    assert!(script.trace().lines().next().expect("a header").contains("snapshot"));
    replay(script.trace()).expect("the same commands");
}

#[test]
fn any_part_of_a_trace_is_itself_a_trace() {
    let trace = recorded();
    let (header, steps) = read(&trace).expect("a trace");
    let steps: Vec<Line> = steps.collect::<Result<_, _>>().expect("steps");
    for dropped in 0..steps.len() {
        let mut core = header.core();
        for (_, line) in steps.iter().enumerate().filter(|(at, _)| *at != dropped) {
            let Line::Step(step) = line else { panic!("no restart") };
            core.step(step.at, step.event.clone(), &mut Vec::new());
            core.check().unwrap_or_else(|violation| panic!("without step {dropped}: {violation}"));
        }
    }
}

#[test]
fn what_cannot_be_read_is_refused_in_words() {
    let told = |text: &str| replay(text).expect_err("no trace").to_string();
    assert_eq!(told(""), "the trace is empty");
    assert_eq!(told("{\"format\":2}"), "the trace has format 2, and this version reads format 1");
    let trace = recorded();
    let header = trace.lines().next().expect("a header");
    let malformed = told(&format!("{header}\n{{\"n\":1}}"));
    assert!(malformed.starts_with("line 2: missing field `at`"), "{malformed}");
}
