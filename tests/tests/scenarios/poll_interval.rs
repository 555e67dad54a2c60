//! A member that is heard of and never polls loses its share.

use takhin_core::{ConsumerOptions, LeaveReason, Refusal};
use takhin_tests::script::{Script, consumer, manual, topic, wait};

fn two_members() -> Script {
    let mut script = Script::default();
    script.create("orders", 2);
    let options = ConsumerOptions { max_poll_interval_ms: 40_000, ..manual() };
    script.subscribe(1, "billing", &["orders"], options.clone());
    script.subscribe(2, "billing", &["orders"], ConsumerOptions { session_timeout_ms: 1_800_000, ..options });
    for n in 1..=2 {
        script.consume(n, wait(0));
    }
    script
}

/// Lets time pass, with a sign of life of the first every 20 seconds.
fn live(script: &mut Script, ms: u64) {
    for _ in 0..ms / 20_000 {
        script.pass(20_000);
        script.describe(1);
    }
    script.pass(ms % 20_000);
}

#[test]
fn heartbeats_keep_a_session_and_not_a_share() {
    let mut script = two_members();
    let parked = script.consume(2, wait(60_000));
    live(&mut script, 39_999);
    assert_eq!(script.held_by(1), [0]);
    script.pass(1);
    assert_eq!(script.told(parked), (vec![0], vec![]));
    let late = script.describe(1);
    let reason = LeaveReason::PollInterval;
    assert_eq!(script.refusal(late), Refusal::ConsumerExpired { consumer: consumer(1), reason });
    insta::assert_snapshot!(script.story());
}

#[test]
fn the_interval_does_not_run_while_a_poll_waits() {
    let mut script = two_members();
    script.consume(2, wait(300_000));
    let poll = script.consume(1, wait(60_000));
    script.pass(60_000);
    assert!(script.brought(poll).is_empty());
    live(&mut script, 39_999);
    assert_eq!(script.held_by(1), [0], "the interval began anew when the poll ended");
    script.pass(1);
    assert!(script.held_by(1).is_empty());
    insta::assert_snapshot!(script.story());
}

#[test]
fn who_took_partitions_by_hand_need_not_poll() {
    let mut script = two_members();
    script.assign(1, "orders", &[0]);
    live(&mut script, 100_000);
    assert_eq!(script.held_by(1), [0]);
    script.resubscribe(1, [topic("orders")].into_iter().collect());
    live(&mut script, 39_999);
    assert!(!script.held_by(1).is_empty());
    script.pass(1);
    assert!(script.held_by(1).is_empty(), "a member has to");
    insta::assert_snapshot!(script.story());
}

#[test]
fn the_interval_begins_anew_with_a_restart() {
    let mut script = two_members();
    live(&mut script, 30_000);
    script.crash();
    live(&mut script, 39_999);
    assert_eq!(script.held_by(1), [0]);
    script.pass(1);
    assert!(script.held_by(1).is_empty());
    insta::assert_snapshot!(script.story());
}
