//! Auto-commit: at a poll, what earlier polls delivered; so everything is delivered at least once.

use takhin_core::{ConsumerOptions, Refusal};
use takhin_tests::script::{Script, Work, earliest, manual, wait};

fn records(partitions: u32, options: ConsumerOptions) -> Script {
    let mut script = Script::default();
    script.create("orders", partitions);
    for partition in 0..partitions {
        script.produce("orders", partition, 3);
    }
    script.subscribe(1, "billing", &["orders"], options);
    script
}

#[test]
fn a_poll_commits_what_earlier_polls_delivered() {
    let mut script = records(1, earliest());
    script.pass(5_000);
    script.consume(1, wait(0));
    assert!(script.committed("billing").is_empty(), "this very poll delivered it");
    script.produce("orders", 0, 1);
    script.consume(1, wait(0));
    assert_eq!(script.committed("billing"), [(0, 3)]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn it_commits_at_most_once_per_interval() {
    let mut script = records(1, earliest());
    script.pass(5_000);
    script.consume(1, wait(0));
    script.produce("orders", 0, 1);
    script.consume(1, wait(0));
    script.pass(4_999);
    script.consume(1, wait(0));
    assert_eq!(script.committed("billing"), [(0, 3)]);
    script.pass(1);
    script.consume(1, wait(0));
    assert_eq!(script.committed("billing"), [(0, 4)]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn it_is_off_when_the_consumer_does_not_want_it() {
    let mut script = records(1, manual());
    script.consume(1, wait(0));
    script.pass(10_000);
    script.consume(1, wait(0));
    script.close(1);
    assert!(script.committed("billing").is_empty());
    insta::assert_snapshot!(script.story());
}

#[test]
fn closing_commits_all_that_was_delivered() {
    let mut script = records(1, earliest());
    script.consume(1, wait(0));
    script.close(1);
    assert_eq!(script.committed("billing"), [(0, 3)]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn closing_commits_nothing_of_an_answer_that_never_left() {
    let mut script = records(2, earliest());
    script.hold(Work::Persist);
    script.subscribe(2, "billing", &["orders"], earliest());
    let held = script.consume(1, wait(0));
    let close = script.close(1);
    assert!(matches!(script.refusal(held), Refusal::ConsumerGone { .. }));
    script.release(Work::Persist);
    assert!(script.answer(close).is_ok());
    assert!(script.committed("billing").is_empty());
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_revocation_commits_what_was_received_at_once() {
    let mut script = records(2, earliest());
    script.consume(1, wait(0));
    script.consume(1, wait(0));
    let parked = script.consume(1, wait(10_000));
    assert!(script.committed("billing").is_empty(), "the interval is not over");
    script.subscribe(2, "billing", &["orders"], earliest());
    assert_eq!(script.committed("billing"), [(0, 3), (1, 3)]);
    assert_eq!(script.told(parked), (vec![], vec![1]));
    assert_eq!(script.held_by(2), [1]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_revocation_while_the_client_works_is_committed_with_its_next_poll() {
    let mut script = records(2, earliest());
    script.consume(1, wait(0));
    script.subscribe(2, "billing", &["orders"], earliest());
    assert_eq!((script.committed("billing"), script.held_by(2)), (vec![], vec![]));
    script.consume(1, wait(0));
    assert_eq!(script.committed("billing"), [(0, 3), (1, 3)]);
    assert_eq!(script.held_by(2), [1]);
    let next = script.consume(2, wait(0));
    assert!(script.brought(next).is_empty());
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_commit_by_hand_is_not_overtaken_until_more_is_received() {
    let mut script = records(1, earliest());
    script.consume(1, wait(0));
    script.commit(1, "orders", 0, 3);
    script.pass(10_000);
    script.consume(1, wait(0));
    assert_eq!(script.committed("billing"), [(0, 3)]);
    insta::assert_snapshot!(script.story());
}
