//! Changing a subscription: what stays goes on where it stood, what goes is given up in good order.

use takhin_core::{Refusal, TopicPattern, Topics};
use takhin_tests::script::{Script, manual, topic, wait};

fn names(topics: &[&str]) -> Topics {
    topics.iter().map(|name| topic(name)).collect()
}

/// One member of two topics of one partition, both of them delivered and not committed.
fn two_topics() -> Script {
    let mut script = Script::default();
    for name in ["orders", "audits"] {
        script.create(name, 1);
        script.produce(name, 0, 3);
    }
    script.subscribe(1, "billing", &["orders", "audits"], manual());
    script.consume(1, wait(0));
    script
}

#[test]
fn what_is_still_wanted_goes_on_where_it_stood() {
    let mut script = two_topics();
    script.resubscribe(1, names(&["orders"]));
    assert_eq!(script.held_by(1), [0, 0], "what was delivered of the other is not committed");
    script.produce("orders", 0, 1);
    script.produce("audits", 0, 1);
    let told = script.consume(1, wait(0));
    assert_eq!((script.brought(told), script.told(told)), (vec![(0, 3, 4)], (vec![], vec![0])));
    script.consume(1, wait(0));
    assert_eq!(script.held_by(1), [0]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn what_is_wanted_anew_is_told_in_the_answer() {
    let mut script = two_topics();
    script.create("visits", 2);
    script.resubscribe(1, Topics::Matching(TopicPattern::new("orders|audits|visits")));
    assert_eq!(script.held_by(1), [0, 0, 0, 1]);
    let poll = script.consume(1, wait(0));
    assert_eq!(script.consumed(poll).rebalance, None);
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_poll_that_waits_hears_of_it() {
    let mut script = two_topics();
    script.commit_all(1);
    let poll = script.consume(1, wait(10_000));
    script.resubscribe(1, names(&["orders"]));
    assert_eq!(script.told(poll), (vec![], vec![0]));
    insta::assert_snapshot!(script.story());
}

#[test]
fn who_took_partitions_by_hand_comes_back() {
    let mut script = two_topics();
    script.subscribe(2, "billing", &["orders"], manual());
    script.assign(1, "orders", &[0]);
    script.commit(1, "orders", 0, 2);
    script.resubscribe(1, names(&["orders", "audits"]));
    assert_eq!((script.held_by(1), script.held_by(2)), (vec![0], vec![0]));
    let poll = script.consume(1, wait(0));
    assert_eq!(script.brought(poll), [(0, 0, 3)], "the audits");
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_change_to_the_same_changes_nothing() {
    let mut script = two_topics();
    script.resubscribe(1, names(&["orders", "audits", "orders"]));
    assert_eq!(script.generation("billing"), 1);
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_change_outlives_a_crash() {
    let mut script = two_topics();
    script.commit_all(1);
    script.resubscribe(1, names(&["orders"]));
    script.crash();
    assert_eq!(script.held_by(1), [0]);
    script.subscribe(2, "billing", &["audits"], manual());
    assert_eq!(script.held_by(2), [0]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_change_that_cannot_be_changes_nothing() {
    let mut script = two_topics();
    let missing = script.resubscribe(1, names(&["orders", "visits"]));
    assert_eq!(script.refusal(missing), Refusal::TopicNotFound { topic: topic("visits") });
    let empty = script.resubscribe(1, names(&[]));
    assert_eq!(script.refusal(empty), Refusal::Empty { field: "topics".into() });
    assert_eq!((script.held_by(1), script.generation("billing")), (vec![0, 0], 1));
    insta::assert_snapshot!(script.story());
}

#[test]
fn what_was_lost_to_others_is_told_by_the_next_poll_too() {
    let mut script = two_topics();
    script.commit_all(1);
    script.subscribe(2, "billing", &["orders", "audits"], manual());
    assert_eq!((script.held_by(1), script.held_by(2)), (vec![0], vec![0]), "nothing was left to commit");
    script.resubscribe(1, Topics::Matching(TopicPattern::new("orders|audits")));
    let told = script.consume(1, wait(0));
    assert_eq!(script.told(told), (vec![], vec![0]), "the answer to the change may not have arrived");
    let told = script.consume(1, wait(0));
    assert_eq!(script.told(told), (vec![], vec![]), "once");
    insta::assert_snapshot!(script.story());
}
