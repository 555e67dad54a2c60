//! What `takhin simulate` says and leaves behind when a promise is broken: seen with a bug that is switched on.
#![cfg(feature = "planted")]

use std::{
    fs,
    process::{Command, Output},
};

fn takhin(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_takhin")).args(arguments).output().expect("the program can be run")
}

#[test]
fn a_violation_is_an_exit_code_a_small_trace_and_the_step_that_differs() {
    let directory = tempfile::tempdir().expect("a directory");
    let output = directory.path().to_str().expect("a path that is text");
    let found = takhin(&[
        "simulate",
        "--seed",
        "0",
        "--runs",
        "200",
        "--steps",
        "2000",
        "--output",
        output,
        "--plant",
        "generation_kept",
    ]);
    let said = String::from_utf8_lossy(&found.stderr);
    assert_eq!(found.status.code(), Some(1), "{said}");
    assert!(said.contains("oracle    13 generations grow: Generations strictly grow, across crashes too."), "{said}");

    let path = said.lines().find_map(|line| line.trim_start().strip_prefix("trace")).expect("the trace's path");
    let (path, steps) = path.trim().rsplit_once(", ").expect("how many steps it has");
    let trace = fs::read_to_string(path).expect("the trace is there");
    assert_eq!(steps, format!("{} steps", trace.lines().count() - 1));
    assert!(trace.lines().count() < 40, "it was made small:\n{trace}");
    let again = said.lines().find_map(|line| line.trim_start().strip_prefix("again")).expect("how to see it again");
    assert!(again.trim().starts_with("takhin simulate --seed "), "{again}");

    // The core as it is does something else in the step in which the bug did its harm.
    let replayed = takhin(&["replay", path]);
    let (told, said) = (String::from_utf8_lossy(&replayed.stdout), String::from_utf8_lossy(&replayed.stderr));
    assert_eq!(replayed.status.code(), Some(1), "{told}{said}");
    assert!(said.contains(" differs"), "{said}");
    assert!(told.contains("caused by") && told.contains("\n  - {") && told.contains("\n  + {"), "{told}");
}

#[test]
fn runs_without_a_violation_end_well() {
    let found = takhin(&["simulate", "--seed", "7", "--runs", "2", "--steps", "500"]);
    assert_eq!(found.status.code(), Some(0), "{}", String::from_utf8_lossy(&found.stderr));
    let told = String::from_utf8_lossy(&found.stdout);
    assert!(told.contains("steps, ") && told.contains("events judged by all oracles"), "{told}");
}
