//! Fencing: who is no longer a member changes nothing of its group.

use takhin_core::Refusal;
use takhin_tests::script::{Script, manual, wait};

#[test]
fn a_zombie_commits_nothing_after_its_session_expired() {
    let mut script = Script::default();
    script.create("orders", 1);
    script.produce("orders", 0, 5);
    script.subscribe(1, "billing", &["orders"], manual());
    script.consume(1, wait(0));
    script.pass(29_000);
    script.subscribe(2, "billing", &["orders"], manual());
    script.pass(1_000);
    script.consume(2, wait(0));
    script.commit(2, "orders", 0, 2);
    for zombie in [script.commit(1, "orders", 0, 5), script.commit_all(1), script.close(1)] {
        assert!(matches!(script.refusal(zombie), Refusal::ConsumerExpired { .. }));
    }
    assert_eq!(script.committed("billing"), [(0, 2)]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_member_commits_nothing_of_a_partition_that_was_handed_on() {
    let mut script = Script::default();
    script.create("orders", 2);
    script.produce("orders", 1, 5);
    script.subscribe(1, "billing", &["orders"], manual());
    script.consume(1, wait(0));
    script.subscribe(2, "billing", &["orders"], manual());
    script.consume(1, wait(0));
    script.consume(1, wait(0));
    assert_eq!(script.held_by(2), [1]);
    let late = script.commit(1, "orders", 1, 5);
    assert!(matches!(script.refusal(late), Refusal::PartitionNotAssigned { partition: 1, .. }));
    assert!(script.committed("billing").is_empty());
    insta::assert_snapshot!(script.story());
}

#[test]
fn an_expired_session_is_not_auto_committed() {
    let mut script = Script::default();
    script.create("orders", 1);
    script.produce("orders", 0, 5);
    script.subscribe(1, "billing", &["orders"], takhin_tests::script::earliest());
    script.consume(1, wait(0));
    script.pass(30_000);
    assert!(script.committed("billing").is_empty(), "nobody said that it arrived");
    insta::assert_snapshot!(script.story());
}
