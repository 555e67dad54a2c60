//! What a client was not told of its assignment before a crash it is told after it.

use takhin_tests::script::{Script, manual, topic, wait};

/// A member of two, with the second subscribed after the first was told of everything.
fn two_members() -> Script {
    let mut script = Script::default();
    script.create("orders", 2);
    script.subscribe(1, "billing", &["orders"], manual());
    script.subscribe(2, "billing", &["orders"], manual());
    script.consume(1, wait(0));
    script.consume(1, wait(0));
    assert_eq!((script.held_by(1), script.held_by(2)), (vec![0], vec![1]));
    script
}

#[test]
fn a_grant_that_was_not_told_is_told_after_a_crash() {
    let mut script = two_members();
    script.close(2);
    assert_eq!(script.held_by(1), [0, 1]);
    script.crash();
    let poll = script.consume(1, wait(0));
    assert_eq!(script.told(poll), (vec![1], vec![]));
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_grant_whose_answer_may_be_lost_is_told_again_after_a_crash() {
    let mut script = two_members();
    script.close(2);
    let maybe = script.consume(1, wait(0));
    assert_eq!(script.told(maybe), (vec![1], vec![]));
    script.crash();
    let poll = script.consume(1, wait(0));
    assert_eq!(script.told(poll), (vec![1], vec![]));
    script.consume(1, wait(0));
    script.crash();
    let settled = script.consume(1, wait(0));
    assert_eq!(script.consumed(settled).rebalance, None);
    insta::assert_snapshot!(script.story());
}

#[test]
fn what_was_answered_to_a_subscribe_is_not_told_again() {
    let mut script = two_members();
    script.crash();
    let poll = script.consume(2, wait(0));
    assert_eq!(script.consumed(poll).rebalance, None);
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_partition_that_went_unheard_is_told_after_a_crash() {
    let mut script = Script::default();
    script.create("orders", 2);
    script.create("audits", 1);
    script.subscribe(1, "billing", &["orders", "audits"], manual());
    script.delete("audits");
    script.subscribe(2, "billing", &["orders"], manual());
    assert_eq!(script.held_by(1).len(), 1, "nothing of the other was delivered");
    script.crash();
    let poll = script.consume(1, wait(0));
    assert_eq!(script.told(poll).0, Vec::<u32>::new());
    assert_eq!(script.consumed(poll).rebalance.expect("news").revoked.len(), 2);
    script.consume(1, wait(0));
    script.crash();
    let settled = script.consume(1, wait(0));
    assert_eq!(script.consumed(settled).rebalance, None);
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_partition_that_came_back_is_told_as_assigned_only() {
    let mut script = two_members();
    script.close(2);
    script.subscribe(3, "billing", &["orders"], manual());
    script.close(3);
    assert_eq!(script.held_by(1), [0, 1]);
    script.crash();
    let poll = script.consume(1, wait(0));
    assert_eq!(script.told(poll), (vec![1], vec![]));
    script.resubscribe(1, [topic("orders")].into_iter().collect());
    insta::assert_snapshot!(script.story());
}
