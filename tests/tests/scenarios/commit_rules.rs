//! Commits: what they do, what they never do, and when they are refused.

use takhin_core::Refusal;
use takhin_tests::script::{Script, Work, manual, wait};

/// A member of a group that was given all three records of each of two partitions.
fn delivered() -> Script {
    let mut script = Script::default();
    script.create("orders", 2);
    script.produce("orders", 0, 3);
    script.produce("orders", 1, 3);
    script.subscribe(1, "billing", &["orders"], manual());
    script.consume(1, wait(0));
    script
}

#[test]
fn a_commit_never_moves_the_position() {
    let mut script = delivered();
    script.commit(1, "orders", 0, 1);
    script.produce("orders", 0, 1);
    let poll = script.consume(1, wait(0));
    assert_eq!(script.brought(poll), [(0, 3, 4)]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn an_empty_commit_commits_what_was_delivered() {
    let mut script = delivered();
    script.commit_all(1);
    assert_eq!(script.committed("billing"), [(0, 3), (1, 3)]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn an_empty_commit_after_nothing_was_delivered_changes_nothing() {
    let mut script = Script::default();
    script.create("orders", 1);
    script.subscribe(1, "billing", &["orders"], manual());
    let id = script.commit_all(1);
    assert!(script.answer(id).is_ok());
    assert!(script.committed("billing").is_empty());
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_commit_with_one_bad_partition_commits_none() {
    let mut script = delivered();
    let beyond = script.commit_many(1, "orders", &[(0, 2), (1, 4)]);
    assert!(matches!(script.refusal(beyond), Refusal::OffsetOutOfRange { partition: 1, offset: 4, .. }));
    let unknown = script.commit_many(1, "orders", &[(0, 2), (7, 1)]);
    assert!(matches!(script.refusal(unknown), Refusal::PartitionNotFound { partition: 7, .. }));
    assert!(script.committed("billing").is_empty());
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_partition_of_somebody_else_is_refused() {
    let mut script = delivered();
    script.create("visits", 1);
    let id = script.commit(1, "visits", 0, 0);
    assert!(matches!(script.refusal(id), Refusal::PartitionNotAssigned { partition: 0, .. }));
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_partition_that_is_being_given_up_can_be_committed() {
    let mut script = delivered();
    script.subscribe(2, "billing", &["orders"], manual());
    assert_eq!(script.held_by(1), [0, 1]);
    let id = script.commit(1, "orders", 1, 2);
    assert!(script.answer(id).is_ok());
    assert_eq!(script.committed("billing"), [(1, 2)]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_commit_of_an_older_generation_is_refused() {
    let mut script = delivered();
    script.subscribe(2, "billing", &["orders"], manual());
    let now = script.consume(1, wait(0));
    assert_eq!(script.consumed(now).generation.0, 2);
    let stale = script.commit_in(1, 1, "orders", 0, 3);
    assert!(matches!(script.refusal(stale), Refusal::StaleGeneration { .. }));
    let fresh = script.commit_in(1, 2, "orders", 0, 3);
    assert!(script.answer(fresh).is_ok());
    assert_eq!(script.committed("billing"), [(0, 3)]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_commit_of_a_generation_that_was_never_told_is_refused() {
    let mut script = delivered();
    let early = script.commit_in(1, 2, "orders", 0, 3);
    assert!(matches!(script.refusal(early), Refusal::GenerationUnknown { .. }));
    assert!(script.committed("billing").is_empty());
    insta::assert_snapshot!(script.story());
}

#[test]
fn offsets_outside_of_the_log_are_refused() {
    let mut script = delivered();
    for offset in [-1, 4, i64::MAX, i64::MIN] {
        let id = script.commit(1, "orders", 0, offset);
        assert!(matches!(script.refusal(id), Refusal::OffsetOutOfRange { .. }), "{offset}");
    }
    let end = script.commit(1, "orders", 0, 3);
    assert!(script.answer(end).is_ok());
    insta::assert_snapshot!(script.story());
}

#[test]
fn rewinding_is_allowed() {
    let mut script = delivered();
    script.commit(1, "orders", 0, 3);
    script.commit(1, "orders", 0, 0);
    assert_eq!(script.committed("billing"), [(0, 0)]);
    script.close(1);
    script.subscribe(2, "billing", &["orders"], manual());
    let poll = script.consume(2, wait(0));
    assert_eq!(script.brought(poll)[0], (0, 0, 3));
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_commit_is_durable_before_it_is_acknowledged() {
    let mut script = delivered();
    script.hold(Work::Persist);
    let id = script.commit(1, "orders", 0, 3);
    assert!(script.is_open(id));
    assert!(script.core().waits_for_facts(id));
    script.release(Work::Persist);
    assert!(script.answer(id).is_ok());
    insta::assert_snapshot!(script.story());
}

#[test]
fn what_was_committed_is_not_told_before_it_is_durable() {
    let mut script = delivered();
    script.hold(Work::Persist);
    script.commit(1, "orders", 0, 3);
    let told = script.ask(takhin_core::Request::Committed { consumer: takhin_tests::script::consumer(1) });
    assert!(script.is_open(told));
    script.lose(Work::Persist);
    script.crash();
    assert!(script.committed("billing").is_empty());
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_commit_makes_the_positions_durable_that_moved_and_no_others() {
    let mut script = delivered();
    script.commit_all(1);
    script.produce("orders", 1, 2);
    let poll = script.consume(1, wait(0));
    assert_eq!(script.brought(poll), [(1, 3, 5)]);
    script.commit_all(1);
    script.crash();
    let poll = script.consume(1, wait(0));
    assert!(script.brought(poll).is_empty());
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_commit_of_a_batch_in_parts_leaves_nothing_of_it_out() {
    let mut script = delivered();
    script.commit(1, "orders", 0, 3);
    script.commit(1, "orders", 1, 3);
    script.crash();
    let poll = script.consume(1, wait(0));
    assert!(script.brought(poll).is_empty());
    insta::assert_snapshot!(script.story());
}
