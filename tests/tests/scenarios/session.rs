//! Sessions: silence ends them, a parked poll is not silence.

use takhin_core::{Config, ConsumerOptions, LeaveReason, Refusal};
use takhin_tests::script::{Script, Work, manual, wait};

fn two_members() -> Script {
    let mut script = Script::default();
    script.create("orders", 2);
    let options = ConsumerOptions { session_timeout_ms: 10_000, ..manual() };
    script.subscribe(1, "billing", &["orders"], options);
    script.subscribe(2, "billing", &["orders"], manual());
    for n in 1..=2 {
        script.consume(n, wait(0));
    }
    script
}

#[test]
fn silence_frees_the_partitions_at_once() {
    let mut script = two_members();
    let parked = script.consume(2, wait(20_000));
    script.pass(9_999);
    assert_eq!(script.held_by(2), [1]);
    script.pass(1);
    assert_eq!(script.held_by(2), [0, 1]);
    assert_eq!(script.told(parked), (vec![0], vec![]));
    insta::assert_snapshot!(script.story());
}

#[test]
fn the_clock_does_not_run_while_a_poll_is_parked() {
    let mut script = two_members();
    let poll = script.consume(1, wait(60_000));
    script.pass(29_000);
    script.describe(2);
    script.pass(29_000);
    assert!(script.is_open(poll));
    script.describe(2);
    script.pass(2_000);
    assert!(script.brought(poll).is_empty());
    script.pass(9_999);
    assert_eq!(script.held_by(1), [0], "the clock began anew when the poll ended");
    script.pass(1);
    assert!(script.held_by(1).is_empty());
    insta::assert_snapshot!(script.story());
}

#[test]
fn the_clock_does_not_run_while_the_engine_reads() {
    let mut script = two_members();
    script.produce("orders", 0, 1);
    script.hold(Work::Fetch);
    let poll = script.consume(1, wait(0));
    script.pass(11_000);
    script.release(Work::Fetch);
    assert_eq!(script.brought(poll), [(0, 0, 1)]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_client_that_hangs_up_is_given_a_whole_session_more() {
    let mut script = two_members();
    let poll = script.consume(1, wait(20_000));
    script.pass(15_000);
    script.hang_up(poll);
    script.pass(9_999);
    assert_eq!(script.held_by(1), [0]);
    script.pass(1);
    assert!(script.held_by(1).is_empty());
    insta::assert_snapshot!(script.story());
}

#[test]
fn every_call_keeps_the_session() {
    let mut script = two_members();
    for _ in 0..3 {
        for call in 0..4 {
            script.pass(8_000);
            script.describe(2);
            match call {
                0 => script.describe(1),
                1 => script.commit_all(1),
                2 => script.commit(1, "orders", 7, 0),
                _ => script.seek(1, "orders", 0, 0),
            };
        }
    }
    assert_eq!(script.held_by(1), [0]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_late_call_hears_why_and_a_stranger_does_not() {
    let mut script = two_members();
    script.pass(10_000);
    let late = script.consume(1, wait(0));
    let reason = LeaveReason::SessionTimeout;
    assert!(matches!(script.refusal(late), Refusal::ConsumerExpired { reason: r, .. } if r == reason));
    let stranger = script.consume(9, wait(0));
    assert!(matches!(script.refusal(stranger), Refusal::ConsumerNotFound { .. }));
    script.crash();
    let later = script.describe(1);
    assert!(matches!(script.refusal(later), Refusal::ConsumerExpired { .. }), "a restart remembers it");
    insta::assert_snapshot!(script.story());
}

#[test]
fn only_the_latest_that_expired_are_remembered() {
    let config = Config { max_ended_remembered: 1, ..Config::default() };
    let mut script = Script::new(config);
    script.create("orders", 1);
    script.subscribe(1, "billing", &["orders"], manual());
    script.pass(1);
    script.subscribe(2, "billing", &["orders"], manual());
    script.pass(30_000);
    let (first, second) = (script.describe(1), script.describe(2));
    assert!(matches!(script.refusal(first), Refusal::ConsumerNotFound { .. }));
    assert!(matches!(script.refusal(second), Refusal::ConsumerExpired { .. }));
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_restart_gives_every_session_a_new_clock() {
    let mut script = two_members();
    script.pass(9_000);
    script.crash();
    script.pass(9_000);
    assert_eq!(script.held_by(1), [0]);
    script.pass(1_000);
    assert!(script.held_by(1).is_empty());
    insta::assert_snapshot!(script.story());
}

#[test]
fn nobody_expires_while_waiting_for_a_fact() {
    let mut script = two_members();
    script.hold(Work::Persist);
    script.produce("orders", 0, 1);
    let joined = script.subscribe(3, "billing", &["orders"], manual());
    script.pass(35_000);
    assert!(script.is_open(joined));
    script.release(Work::Persist);
    assert!(script.answer(joined).is_ok());
    let later = script.describe(3);
    assert!(script.answer(later).is_ok(), "a consumer is there when its own subscribe is answered");
}

#[test]
fn an_answer_that_waits_for_a_fact_is_taken_back_when_its_consumer_ends() {
    let mut script = two_members();
    let parked = script.consume(1, wait(60_000));
    script.hold(Work::Persist);
    script.subscribe(3, "billing", &["orders"], manual());
    script.subscribe(4, "audit", &["orders"], manual());
    assert!(script.is_open(parked), "the news depends on a fact");
    script.close(1);
    script.release(Work::Persist);
    assert!(matches!(script.refusal(parked), Refusal::ConsumerGone { .. }));
}

#[test]
fn a_group_that_left_nothing_behind_is_forgotten() {
    let mut script = Script::new(Config { max_groups: 2, ..Config::default() });
    script.create("orders", 1);
    for n in 0..10 {
        let name = format!("run-{n}");
        let id = script.subscribe(n, &name, &["orders"], manual());
        assert!(script.answer(id).is_ok(), "run {n}");
        script.close(n);
    }
    script.produce("orders", 0, 1);
    script.subscribe(20, "billing", &["orders"], manual());
    let first = script.generation("billing");
    script.close(20);
    script.subscribe(21, "billing", &["orders"], manual());
    assert!(script.generation("billing") > first, "a generation is never used again");
    script.commit(21, "orders", 0, 1);
    script.close(21);
    script.crash();
    assert_eq!(script.committed("billing"), [(0, 1)], "a group with offsets is kept");
}
