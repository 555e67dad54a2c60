//! Static members: a place in the group that outlives the consumer that has it.

use takhin_core::{ConsumerOptions, InstanceId, LeaveReason, OffsetReset, Refusal};
use takhin_tests::script::{Script, consumer, earliest, manual, wait};

fn worker(name: &str) -> ConsumerOptions {
    ConsumerOptions { instance_id: Some(InstanceId::new(name).expect("a good id")), ..manual() }
}

/// Two workers, told of their shares, each with two records of them delivered.
fn two_workers() -> Script {
    let mut script = Script::default();
    script.create("orders", 2);
    script.subscribe(1, "billing", &["orders"], worker("a"));
    script.subscribe(2, "billing", &["orders"], worker("b"));
    script.produce("orders", 0, 2);
    script.produce("orders", 1, 2);
    for n in [1, 1, 2] {
        script.consume(n, wait(0));
    }
    assert_eq!((script.held_by(1), script.held_by(2)), (vec![0], vec![1]));
    script
}

#[test]
fn who_comes_back_takes_its_place_without_a_rebalance() {
    let mut script = two_workers();
    script.commit(1, "orders", 0, 1);
    let generation = script.generation("billing");
    let parked = script.consume(2, wait(60_000));
    script.close(1);
    script.pass(20_000);
    assert_eq!(script.held_by(1), [0], "the place is kept");
    script.subscribe(3, "billing", &["orders"], worker("a"));
    assert_eq!((script.held_by(3), script.generation("billing")), (vec![0], generation));
    let poll = script.consume(3, wait(0));
    assert_eq!(script.brought(poll), [(0, 1, 2)], "from what was committed");
    assert!(script.is_open(parked), "the others notice nothing");
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_place_is_kept_until_the_session_would_have_timed_out() {
    let mut script = two_workers();
    script.commit_all(1);
    script.close(1);
    let late = script.describe(1);
    assert_eq!(script.refusal(late), Refusal::ConsumerNotFound { consumer: consumer(1) });
    let again = script.close(1);
    assert_eq!(script.refusal(again), Refusal::ConsumerNotFound { consumer: consumer(1) });
    let parked = script.consume(2, wait(60_000));
    script.pass(29_999);
    assert!(script.is_open(parked));
    script.pass(1);
    assert_eq!(script.told(parked), (vec![0], vec![]));
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_second_live_one_fences_the_first() {
    let mut script = two_workers();
    script.commit_all(1);
    let parked = script.consume(1, wait(60_000));
    script.subscribe(3, "billing", &["orders"], worker("a"));
    let reason = LeaveReason::Replaced;
    assert_eq!(script.refusal(parked), Refusal::ConsumerGone { consumer: consumer(1), reason });
    let late = script.commit(1, "orders", 0, 1);
    assert_eq!(script.refusal(late), Refusal::ConsumerExpired { consumer: consumer(1), reason });
    assert_eq!((script.held_by(1), script.held_by(3)), (vec![], vec![0]));
    insta::assert_snapshot!(script.story());
}

#[test]
fn what_was_not_committed_comes_again_to_the_next() {
    let mut script = two_workers();
    script.subscribe(3, "billing", &["orders"], worker("a"));
    let poll = script.consume(3, wait(0));
    assert_eq!(script.brought(poll), [(0, 0, 2)]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_position_with_nothing_uncommitted_is_inherited() {
    let mut script = Script::default();
    script.create("orders", 1);
    script.produce("orders", 0, 2);
    let latest = ConsumerOptions { auto_offset_reset: OffsetReset::Latest, ..worker("a") };
    script.subscribe(1, "billing", &["orders"], latest.clone());
    script.close(1);
    script.produce("orders", 0, 1);
    script.subscribe(2, "billing", &["orders"], latest);
    let poll = script.consume(2, wait(0));
    assert_eq!(script.brought(poll), [(0, 2, 3)], "what came while it was away is not passed over");
    insta::assert_snapshot!(script.story());
}

#[test]
fn the_same_consumer_id_may_come_back() {
    let mut script = two_workers();
    script.close(1);
    script.subscribe(1, "billing", &["orders"], worker("a"));
    assert_eq!(script.held_by(1), [0]);
    let live = script.subscribe(1, "billing", &["orders"], ConsumerOptions { auto_commit: true, ..worker("a") });
    assert_eq!(script.refusal(live), Refusal::ConsumerExists { consumer: consumer(1) });
    insta::assert_snapshot!(script.story());
}

#[test]
fn who_comes_back_wanting_something_else_is_a_reason_to_rebalance() {
    let mut script = two_workers();
    script.create("audits", 1);
    let generation = script.generation("billing");
    script.subscribe(3, "billing", &["orders", "audits"], worker("a"));
    assert!(script.generation("billing") > generation);
    assert_eq!(script.held_by(3), [0, 0]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_place_that_is_kept_outlives_a_crash() {
    let mut script = two_workers();
    script.commit_all(1);
    script.close(1);
    script.crash();
    let generation = script.generation("billing");
    let late = script.describe(1);
    assert_eq!(script.refusal(late), Refusal::ConsumerNotFound { consumer: consumer(1) });
    script.subscribe(3, "billing", &["orders"], worker("a"));
    assert_eq!((script.held_by(3), script.generation("billing")), (vec![0], generation));
    script.crash();
    assert_eq!((script.held_by(3), script.generation("billing")), (vec![0], generation));
    insta::assert_snapshot!(script.story());
}

#[test]
fn what_is_taken_from_who_is_away_changes_hands_at_once() {
    let mut script = two_workers();
    script.close(1);
    script.close(2);
    script.subscribe(3, "billing", &["orders"], earliest());
    script.grow("orders", 3);
    assert_eq!(script.held_by(3).len(), 1);
    script.subscribe(4, "billing", &["orders"], worker("b"));
    assert_eq!(script.held_by(4).len(), 1);
    insta::assert_snapshot!(script.story());
}

#[test]
fn who_took_partitions_by_hand_keeps_no_place_and_is_fenced_too() {
    let mut script = two_workers();
    script.commit_all(1);
    script.assign(1, "orders", &[0]);
    script.subscribe(3, "billing", &["orders"], worker("a"));
    let late = script.describe(1);
    let reason = LeaveReason::Replaced;
    assert_eq!(script.refusal(late), Refusal::ConsumerExpired { consumer: consumer(1), reason });
    script.consume(2, wait(0));
    script.commit_all(2);
    assert_eq!((script.held_by(2).len(), script.held_by(3).len()), (1, 1));
    insta::assert_snapshot!(script.story());
}

#[test]
fn who_is_away_keeps_nobody_waiting_for_a_share_after_a_crash_either() {
    let mut script = Script::default();
    script.create("orders", 2);
    script.produce("orders", 0, 2);
    script.produce("orders", 1, 2);
    script.subscribe(
        1,
        "billing",
        &["orders"],
        ConsumerOptions { auto_offset_reset: OffsetReset::Earliest, ..worker("a") },
    );
    script.close(1);
    script.crash();
    script.subscribe(2, "billing", &["orders"], worker("b"));
    assert_eq!((script.held_by(1), script.held_by(2)), (vec![0], vec![1]));
    insta::assert_snapshot!(script.story());
}
