//! Subscriptions by pattern: evaluated by the broker, again whenever a topic comes or goes.

use takhin_core::{Bounded, Config, Refusal, TopicPattern, Topics};
use takhin_tests::script::{Script, earliest, manual, wait};

/// The topics of the partitions that consumer `n` holds.
fn topics_of(script: &Script, n: u128) -> Vec<String> {
    let durable = script.core().snapshot();
    let held = durable.consumers[&takhin_tests::script::consumer(n)].held.keys();
    held.map(|log| durable.topics[&log.topic].name.to_string()).collect()
}

#[test]
fn topics_that_match_are_shared_as_they_come_and_go() {
    let mut script = Script::default();
    script.create("orders-eu", 1);
    script.create("audits", 1);
    script.subscribe_matching(1, "billing", "orders-.*", earliest());
    assert_eq!(topics_of(&script, 1), ["orders-eu"]);
    let poll = script.consume(1, wait(10_000));
    script.create("old-orders-us", 1);
    assert!(script.is_open(poll), "the whole name has to match");
    script.create("orders-us", 1);
    assert_eq!(script.told(poll), (vec![0], vec![]));
    assert_eq!(topics_of(&script, 1), ["orders-eu", "orders-us"]);
    script.delete("orders-eu");
    assert_eq!(topics_of(&script, 1), ["orders-us"]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_pattern_may_match_nothing_yet() {
    let mut script = Script::default();
    script.subscribe_matching(1, "billing", "orders-.*", earliest());
    let poll = script.consume(1, wait(10_000));
    script.create("orders-eu", 2);
    assert_eq!(script.told(poll), (vec![0, 1], vec![]));
    insta::assert_snapshot!(script.story());
}

#[test]
fn patterns_and_names_share_a_group() {
    let mut script = Script::default();
    script.create("orders-eu", 2);
    script.create("orders-us", 1);
    script.subscribe_matching(1, "billing", "orders-.*", manual());
    script.subscribe(2, "billing", &["orders-eu"], manual());
    assert_eq!(topics_of(&script, 1), ["orders-eu", "orders-us"]);
    assert_eq!(topics_of(&script, 2), ["orders-eu"]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_pattern_outlives_a_crash() {
    let mut script = Script::default();
    script.create("orders-eu", 1);
    script.subscribe_matching(1, "billing", "orders-.*", earliest());
    script.crash();
    script.create("orders-us", 1);
    assert_eq!(topics_of(&script, 1), ["orders-eu", "orders-us"]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_pattern_that_is_none_or_one_too_many_is_refused() {
    let mut script = Script::new(Config { max_patterns: 1, ..Config::default() });
    let none = script.subscribe_matching(1, "billing", "orders-(", earliest());
    assert!(matches!(script.refusal(none), Refusal::InvalidPattern { .. }));
    script.subscribe_matching(1, "billing", "orders-.*", earliest());
    script.subscribe_matching(2, "billing", "orders-.*", earliest());
    let many = script.subscribe_matching(3, "billing", "audits-.*", earliest());
    assert_eq!(script.refusal(many), Refusal::TooMany { what: Bounded::Patterns, limit: 1 });
    script.close(1);
    script.close(2);
    script.subscribe_matching(3, "billing", "audits-.*", earliest());
    let change = script.resubscribe(3, Topics::Matching(TopicPattern::new("x")));
    assert_eq!(script.refusal(change), Refusal::TooMany { what: Bounded::Patterns, limit: 1 });
    insta::assert_snapshot!(script.story());
}
