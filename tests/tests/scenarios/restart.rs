//! Restarts: what was durable is there again, and nothing that was not durable was ever told.

use std::collections::BTreeMap;

use takhin_core::{Boot, Config, Durable, Event, FactSeq, PollLimits, Recovery, Request, RequestId, Timestamp};
use takhin_tests::script::{Script, Work, group, manual, wait};

fn two_members() -> Script {
    let mut script = Script::default();
    script.create("orders", 2);
    script.produce("orders", 0, 5);
    script.produce("orders", 1, 5);
    script.subscribe(1, "billing", &["orders"], manual());
    script.subscribe(2, "billing", &["orders"], manual());
    script
}

#[test]
fn sessions_assignments_and_offsets_are_kept() {
    let mut script = two_members();
    script.commit(1, "orders", 0, 2);
    let before = (script.held_by(1), script.held_by(2), script.generation("billing"));
    script.crash();
    assert_eq!((script.held_by(1), script.held_by(2), script.generation("billing")), before);
    assert_eq!(script.committed("billing"), [(0, 2)]);
    let poll = script.consume(2, wait(0));
    assert_eq!(script.brought(poll), [(1, 0, 5)]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn positions_are_those_of_the_last_checkpoint() {
    let mut script = two_members();
    let one = PollLimits { max_records: 1, ..wait(0) };
    script.pass(1_000);
    script.consume(2, one);
    script.consume(2, one);
    script.pass(1_000);
    script.consume(2, one);
    script.consume(2, one);
    script.crash();
    let poll = script.consume(2, wait(0));
    assert_eq!(script.brought(poll), [(1, 2, 5)], "the third was handed out, and nobody knows whether it arrived");
    insta::assert_snapshot!(script.story());
}

#[test]
fn what_was_committed_since_the_last_checkpoint_is_not_delivered_again() {
    let mut script = two_members();
    script.consume(2, wait(0));
    script.commit_all(2);
    script.crash();
    let poll = script.consume(2, wait(0));
    assert!(script.brought(poll).is_empty());
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_commit_within_a_batch_is_where_it_goes_on_after_a_crash() {
    let mut script = two_members();
    script.consume(2, wait(0));
    script.commit(2, "orders", 1, 3);
    script.crash();
    let poll = script.consume(2, wait(0));
    assert_eq!(script.brought(poll), [(1, 3, 5)]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_commit_ahead_of_the_position_does_not_move_it_across_a_crash() {
    let mut script = two_members();
    script.consume(2, PollLimits { max_records: 1, ..wait(0) });
    script.commit(2, "orders", 1, 5);
    script.crash();
    let poll = script.consume(2, wait(0));
    assert_eq!(script.brought(poll), [(1, 1, 5)]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_rewound_consumer_stays_rewound() {
    let mut script = two_members();
    script.consume(2, wait(0));
    script.commit_all(2);
    script.seek(2, "orders", 1, 1);
    script.crash();
    let poll = script.consume(2, wait(0));
    assert_eq!(script.brought(poll), [(1, 1, 5)]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_log_that_lost_its_end_takes_offsets_positions_and_batches_back_with_it() {
    let mut script = two_members();
    script.pass(1_000);
    script.consume_after(2, 0, wait(0));
    script.commit(2, "orders", 1, 5);
    script.crash_losing_end("orders", 1, 2);
    assert_eq!(script.committed("billing"), [(1, 2)]);
    script.produce("orders", 1, 1);
    let poll = script.consume_after(2, 1, wait(0));
    assert_eq!(script.brought(poll), [(1, 2, 3)]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn an_open_batch_beyond_a_lost_end_is_forgotten() {
    let mut script = two_members();
    script.pass(1_000);
    script.consume_after(2, 0, wait(0));
    script.crash_losing_end("orders", 1, 2);
    script.consume_after(2, 1, wait(0));
    script.produce("orders", 1, 1);
    let polls = [script.consume(2, wait(0))];
    assert_eq!(script.brought(polls[0]), [(1, 2, 3)]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_generation_never_goes_back() {
    let mut script = two_members();
    for n in 3..6 {
        let before = script.generation("billing");
        script.hold(Work::Persist);
        script.subscribe(n, "billing", &["orders"], manual());
        script.crash();
        assert!(script.generation("billing") >= before);
        script.release(Work::Persist);
        script.subscribe(n, "billing", &["orders"], manual());
        assert!(script.generation("billing") > before);
    }
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_subscription_that_was_not_durable_was_not_told() {
    let mut script = two_members();
    script.hold(Work::Persist);
    let id = script.subscribe(3, "billing", &["orders"], manual());
    assert!(script.is_open(id));
    script.crash();
    script.release(Work::Persist);
    let unknown = script.describe(3);
    assert!(script.answer(unknown).is_err());
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_join_cut_off_after_any_of_its_facts_is_finished_by_the_restart() {
    for facts in 1..=5 {
        let mut script = Script::default();
        script.create("orders", 2);
        script.subscribe(1, "billing", &["orders"], manual());
        script.hold(Work::Persist);
        script.subscribe(2, "billing", &["orders"], manual());
        script.persist_only(facts);
        script.crash();
        script.release(Work::Persist);
        for _ in 0..2 {
            script.consume(1, wait(0));
            script.consume(2, wait(0));
        }
        assert_eq!((script.held_by(1), script.held_by(2)), (vec![0], vec![1]), "after {facts} facts");
        script.story();
    }
}

#[test]
fn a_handover_goes_on_after_a_restart() {
    let mut script = Script::default();
    script.create("orders", 2);
    script.produce("orders", 1, 5);
    script.subscribe(1, "billing", &["orders"], manual());
    script.pass(1_000);
    script.consume(1, wait(0));
    script.subscribe(2, "billing", &["orders"], manual());
    script.crash();
    assert_eq!((script.held_by(1), script.held_by(2)), (vec![0, 1], vec![]));
    let told = script.consume(1, wait(0));
    assert_eq!(script.told(told), (vec![], vec![1]));
    assert!(script.held_by(2).is_empty());
    script.consume(1, wait(0));
    assert_eq!(script.held_by(2), [1]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_leaver_cut_off_before_the_rebalance_leaves_nothing_idle() {
    let mut script = two_members();
    script.hold(Work::Persist);
    script.close(1);
    script.persist_only(1);
    script.crash();
    script.release(Work::Persist);
    assert_eq!(script.held_by(2), [0, 1]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_fact_that_damage_took_away_harms_nothing_else() {
    let mut script = two_members();
    script.create("visits", 1);
    script.subscribe(3, "billing", &["orders", "visits"], manual());
    script.consume(1, wait(0));
    script.commit_all(1);
    script.consume(1, wait(0));
    script.commit(3, "visits", 0, 0);
    script.assign(2, "orders", &[1]);
    script.close(3);
    let facts = script.facts().to_vec();
    for missing in 0..facts.len() {
        let mut recovery = Recovery::new(Config::default(), Durable::default(), FactSeq(0));
        for (_, (seq, fact)) in facts.iter().enumerate().filter(|(at, _)| *at != missing) {
            recovery.apply(*seq, fact);
        }
        let mut core = recovery.finish(Boot(1), Timestamp(0), &BTreeMap::new());
        let mut commands = Vec::new();
        let requests = [Request::ListGroups, Request::DescribeGroup { group: group("billing") }, Request::ListTopics];
        for (n, request) in (1..).zip(requests) {
            core.step(Timestamp(0), Event::Request { id: RequestId(n), request }, &mut commands);
            core.check().unwrap_or_else(|violation| panic!("without {:?}: {violation}", facts[missing]));
        }
    }
}
