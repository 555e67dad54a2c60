//! Coming and going: who joins, leaves or takes partitions by hand moves as little as can be.

use takhin_core::{Refusal, Response};
use takhin_tests::script::{Script, earliest, manual, topic, wait};

fn members(count: u128, partitions: u32) -> Script {
    let mut script = Script::default();
    script.create("orders", partitions);
    for n in 1..=count {
        script.subscribe(n, "billing", &["orders"], manual());
    }
    script
}

fn shares(script: &Script, count: u128) -> Vec<usize> {
    (1..=count).map(|n| script.held_by(n).len()).collect()
}

#[test]
fn a_joiner_gets_its_share_and_no_more_moves() {
    let mut script = members(2, 6);
    let before = [script.held_by(1), script.held_by(2)];
    script.subscribe(3, "billing", &["orders"], manual());
    assert_eq!(shares(&script, 3), [2, 2, 2]);
    for (n, before) in (1..).zip(before) {
        assert!(script.held_by(n).iter().all(|partition| before.contains(partition)), "nothing came to member {n}");
    }
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_leaver_gives_its_share_and_no_more_moves() {
    let mut script = members(3, 6);
    let before = [script.held_by(1), script.held_by(2)];
    script.close(3);
    assert_eq!(shares(&script, 2), [3, 3]);
    for (n, before) in (1..).zip(before) {
        assert!(before.iter().all(|partition| script.held_by(n).contains(partition)), "nothing went from member {n}");
    }
    insta::assert_snapshot!(script.story());
}

#[test]
fn new_partitions_are_shared_and_old_ones_stay() {
    let mut script = members(2, 2);
    let before = [script.held_by(1), script.held_by(2)];
    script.grow("orders", 4);
    assert_eq!(shares(&script, 2), [2, 2]);
    for (n, before) in (1..).zip(before) {
        assert!(before.iter().all(|partition| script.held_by(n).contains(partition)));
    }
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_topic_that_comes_later_is_assigned_when_it_comes() {
    let mut script = members(1, 1);
    script.ask(takhin_core::Request::Subscribe {
        consumer: takhin_tests::script::consumer(2),
        group: takhin_tests::script::group("audit"),
        topics: [topic("visits")].into_iter().collect(),
        options: earliest(),
        allow_missing: true,
    });
    let poll = script.consume(2, wait(10_000));
    script.create("visits", 1);
    assert_eq!(script.told(poll), (vec![0], vec![]));
    insta::assert_snapshot!(script.story());
}

#[test]
fn repeating_a_subscription_changes_nothing() {
    let mut script = members(1, 2);
    let generation = script.generation("billing");
    let again = script.subscribe(1, "billing", &["orders"], manual());
    assert!(script.answer(again).is_ok());
    assert_eq!(script.generation("billing"), generation);
    let other = script.subscribe(1, "audit", &["orders"], manual());
    assert!(matches!(script.refusal(other), Refusal::ConsumerExists { .. }));
    insta::assert_snapshot!(script.story());
}

#[test]
fn manual_assignment_leaves_the_subscription() {
    let mut script = members(2, 2);
    script.produce("orders", 0, 3);
    script.produce("orders", 1, 3);
    script.assign(1, "orders", &[0, 1]);
    assert_eq!((script.held_by(1), script.held_by(2)), (vec![0, 1], vec![0, 1]));
    let generation = script.generation("billing");
    script.assign(1, "orders", &[0]);
    assert_eq!(script.generation("billing"), generation, "who is not a member rebalances nothing");
    script.consume(1, wait(0));
    script.commit_all(1);
    assert_eq!(script.committed("billing"), [(0, 3)], "its commits still belong to the group");
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_partition_that_is_kept_in_a_manual_assignment_keeps_its_position() {
    let mut script = members(1, 2);
    script.produce("orders", 0, 3);
    script.consume(1, wait(0));
    script.assign(1, "orders", &[0]);
    script.produce("orders", 0, 1);
    let poll = script.consume(1, wait(0));
    assert_eq!(script.brought(poll), [(0, 3, 4)]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn what_was_delivered_before_a_manual_assignment_can_be_committed_after_it() {
    let mut script = members(1, 2);
    script.produce("orders", 0, 3);
    script.consume(1, wait(0));
    script.assign(1, "orders", &[0]);
    script.commit_all(1);
    assert_eq!(script.committed("billing"), [(0, 3)]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn taking_nothing_by_hand_is_allowed() {
    let mut script = members(2, 2);
    script.assign(1, "orders", &[]);
    assert_eq!((script.held_by(1), script.held_by(2)), (vec![], vec![0, 1]));
    insta::assert_snapshot!(script.story());
}

#[test]
fn closing_ends_the_poll_that_waits() {
    let mut script = members(1, 1);
    let poll = script.consume(1, wait(10_000));
    let close = script.close(1);
    assert!(matches!(script.refusal(poll), Refusal::ConsumerGone { .. }));
    assert!(script.answer(close).is_ok());
    let late = script.consume(1, wait(0));
    assert!(matches!(script.refusal(late), Refusal::ConsumerNotFound { .. }), "it said goodbye");
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_subscription_says_its_topics_in_the_order_in_which_they_were_named() {
    let mut script = Script::default();
    script.create("events", 1);
    script.create("orders", 1);
    let id = script.subscribe(1, "billing", &["orders", "events", "orders"], earliest());
    let Ok(Response::Consumer(consumer)) = script.answer(id) else { panic!("not subscribed") };
    assert_eq!(consumer.topics, [topic("orders"), topic("events")]);
}
