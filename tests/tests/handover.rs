//! Cooperative handover: one partition at a time, never delivered by two, and nobody else notices.

use takhin_core::{LeaveReason, Refusal};
use takhin_tests::script::{Script, Work, manual, wait};

/// Member 1 was given three records of each of two partitions; then member 2 joined, and partition 1 is to be its.
fn revoking() -> Script {
    let mut script = Script::default();
    script.create("orders", 2);
    script.produce("orders", 0, 3);
    script.produce("orders", 1, 3);
    script.subscribe(1, "billing", &["orders"], manual());
    script.consume(1, wait(0));
    script.subscribe(2, "billing", &["orders"], manual());
    assert_eq!((script.held_by(1), script.held_by(2)), (vec![0, 1], vec![]));
    script
}

#[test]
fn what_nobody_has_uncommitted_changes_hands_at_once() {
    let mut script = Script::default();
    script.create("orders", 2);
    script.subscribe(1, "billing", &["orders"], manual());
    script.subscribe(2, "billing", &["orders"], manual());
    assert_eq!((script.held_by(1), script.held_by(2)), (vec![0], vec![1]));
    let poll = script.consume(1, wait(0));
    assert_eq!(script.told(poll), (vec![], vec![1]));
    insta::assert_snapshot!(script.story());
}

#[test]
fn delivery_stops_the_moment_a_partition_is_revoked() {
    let mut script = revoking();
    script.produce("orders", 1, 2);
    let poll = script.consume(1, wait(0));
    assert!(script.brought(poll).is_empty(), "partition 1 is no longer delivered to member 1");
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_commit_that_reaches_the_position_releases() {
    let mut script = revoking();
    let waiting = script.consume(2, wait(10_000));
    script.commit(1, "orders", 1, 2);
    assert!(script.held_by(2).is_empty(), "one record is still uncommitted");
    script.commit(1, "orders", 1, 3);
    assert_eq!((script.held_by(1), script.held_by(2)), (vec![0], vec![1]));
    assert_eq!(script.told(waiting), (vec![1], vec![]));
    assert!(script.brought(waiting).is_empty(), "all of it was committed");
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_poll_after_the_member_was_told_releases() {
    let mut script = revoking();
    let told = script.consume(1, wait(0));
    assert_eq!(script.told(told), (vec![], vec![1]));
    assert!(script.held_by(2).is_empty(), "it was told, and may still be at work on it");
    script.consume(1, wait(0));
    assert_eq!(script.held_by(2), [1]);
    let poll = script.consume(2, wait(0));
    assert_eq!(script.brought(poll), [(1, 0, 3)], "nothing was committed, so it begins at the beginning");
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_poll_whose_answer_was_lost_did_not_tell() {
    let mut script = revoking();
    let lost = script.consume(1, wait(0));
    script.undelivered(lost, 1);
    let told = script.consume(1, wait(0));
    assert!(script.held_by(2).is_empty());
    assert_eq!(script.told(told), (vec![], vec![1]));
    script.consume(1, wait(0));
    assert_eq!(script.held_by(2), [1]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_member_that_was_told_in_a_batch_and_wants_it_again_is_told_again() {
    let mut script = revoking();
    let told = script.consume_after(1, 1, wait(0));
    let again = script.consume_after(1, 1, wait(0));
    assert_eq!(script.told(told), script.told(again));
    assert!(script.held_by(2).is_empty());
    script.consume_after(1, script.consumed(again).batch.0, wait(0));
    assert_eq!(script.held_by(2), [1]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn the_next_owner_begins_at_the_committed_offset() {
    let mut script = revoking();
    script.commit(1, "orders", 1, 2);
    script.consume(1, wait(0));
    script.consume(1, wait(0));
    let poll = script.consume(2, wait(0));
    assert_eq!(script.brought(poll), [(1, 2, 3)]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_member_that_keeps_a_revoked_partition_too_long_is_fenced() {
    let mut script = revoking();
    for _ in 0..5 {
        script.pass(10_000);
        script.describe(1);
        script.describe(2);
    }
    script.pass(9_999);
    assert!(script.held_by(2).is_empty());
    script.pass(1);
    assert_eq!(script.held_by(2), [0, 1]);
    let late = script.commit(1, "orders", 1, 3);
    let reason = LeaveReason::RebalanceTimeout;
    assert!(matches!(script.refusal(late), Refusal::ConsumerExpired { reason: r, .. } if r == reason));
    insta::assert_snapshot!(script.story());
}

#[test]
fn leaving_releases() {
    let mut script = revoking();
    script.close(1);
    assert_eq!(script.held_by(2), [0, 1]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_partition_that_is_given_back_goes_on_where_it_stood() {
    let mut script = revoking();
    script.produce("orders", 1, 1);
    script.close(2);
    let poll = script.consume(1, wait(0));
    assert_eq!(script.told(poll), (vec![], vec![]));
    assert_eq!(script.brought(poll), [(1, 3, 4)]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_batch_that_was_lost_does_not_hold_a_partition() {
    let mut script = Script::default();
    script.create("orders", 2);
    script.subscribe(1, "billing", &["orders"], manual());
    script.produce("orders", 1, 3);
    let lost = script.consume(1, wait(0));
    script.subscribe(2, "billing", &["orders"], manual());
    assert!(script.held_by(2).is_empty(), "it may have arrived");
    script.undelivered(lost, 1);
    assert_eq!(script.held_by(2), [1], "it did not, so nothing is uncommitted");
    let poll = script.consume(2, wait(0));
    assert_eq!(script.brought(poll), [(1, 0, 3)]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn an_assignment_that_was_lost_with_its_records_and_then_revoked_is_released() {
    let mut script = Script::default();
    script.create("orders", 2);
    script.subscribe(1, "billing", &["orders"], manual());
    script.subscribe(2, "billing", &["orders"], manual());
    script.produce("orders", 0, 3);
    script.produce("orders", 1, 3);
    script.consume(1, wait(0));
    script.close(2);
    let lost = script.consume(1, wait(0));
    assert_eq!(script.told(lost), (vec![1], vec![]));
    script.subscribe(3, "billing", &["orders"], manual());
    script.undelivered(lost, 1);
    script.consume(1, wait(0));
    script.consume(1, wait(0));
    assert_eq!((script.held_by(1), script.held_by(3)), (vec![0], vec![1]));
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_partition_revoked_given_back_and_revoked_once_more_is_told_and_released() {
    let mut script = revoking();
    let told = script.consume(1, wait(0));
    assert_eq!(script.told(told), (vec![], vec![1]));
    script.close(2);
    script.produce("orders", 0, 1);
    script.hold(Work::Fetch);
    let poll = script.consume(1, wait(0));
    script.subscribe(3, "billing", &["orders"], manual());
    script.release(Work::Fetch);
    assert_eq!(script.told(poll), (vec![], vec![1]));
    assert!(script.held_by(3).is_empty());
    script.consume(1, wait(0));
    assert_eq!(script.held_by(3), [1]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn members_whose_share_stays_notice_nothing() {
    let mut script = Script::default();
    script.create("orders", 3);
    script.subscribe(1, "billing", &["orders"], manual());
    script.subscribe(2, "billing", &["orders"], manual());
    script.consume(1, wait(0));
    script.consume(2, wait(0));
    let parked = script.consume(2, wait(20_000));
    script.subscribe(3, "billing", &["orders"], manual());
    assert!(script.is_open(parked), "its one partition stays its own");
    script.close(3);
    assert!(script.is_open(parked));
    script.pass(20_000);
    assert_eq!(script.consumed(parked).generation.0, 2);
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_fetch_under_way_for_a_revoked_partition_is_not_delivered() {
    let mut script = Script::default();
    script.create("orders", 2);
    script.subscribe(1, "billing", &["orders"], manual());
    script.produce("orders", 0, 1);
    script.produce("orders", 1, 1);
    script.hold(Work::Fetch);
    let poll = script.consume(1, wait(10_000));
    script.subscribe(2, "billing", &["orders"], manual());
    let other = script.consume(2, wait(10_000));
    script.release(Work::Fetch);
    assert_eq!(script.brought(poll), [(0, 0, 1)]);
    assert_eq!(script.told(poll), (vec![], vec![1]));
    assert_eq!(script.brought(other), [(1, 0, 1)]);
    insta::assert_snapshot!(script.story());
}
