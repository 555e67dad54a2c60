//! Sharing: the members of a group divide partitions among them, and a poll serves all of its own in turn.

use takhin_core::PollLimits;
use takhin_tests::script::{Script, manual, wait};

#[test]
fn two_members_share_and_between_them_get_everything_once() {
    let mut script = Script::default();
    script.create("orders", 4);
    script.subscribe(1, "billing", &["orders"], manual());
    script.subscribe(2, "billing", &["orders"], manual());
    for partition in 0..4 {
        script.produce("orders", partition, 1);
    }
    script.consume(1, wait(0));
    let polls = [script.consume(1, wait(0)), script.consume(2, wait(0))];
    let (first, second) = (script.held_by(1), script.held_by(2));
    assert_eq!((first.len(), second.len()), (2, 2));
    let mut all: Vec<u32> = first.into_iter().chain(second).collect();
    all.sort_unstable();
    assert_eq!(all, [0, 1, 2, 3]);
    assert_eq!(script.brought(polls[1]).len(), 2);
    insta::assert_snapshot!(script.story());
}

#[test]
fn more_members_than_partitions_leave_some_with_nothing() {
    let mut script = Script::default();
    script.create("orders", 1);
    script.subscribe(1, "billing", &["orders"], manual());
    script.subscribe(2, "billing", &["orders"], manual());
    script.produce("orders", 0, 1);
    let idle = script.consume(2, wait(1_000));
    assert!(script.is_open(idle));
    script.close(1);
    assert_eq!(script.brought(idle), [(0, 0, 1)], "who waits takes over at once");
    insta::assert_snapshot!(script.story());
}

#[test]
fn partitions_are_served_in_turn() {
    let mut script = Script::default();
    script.create("orders", 3);
    for partition in 0..3 {
        script.produce("orders", partition, 4);
    }
    script.subscribe(1, "billing", &["orders"], manual());
    let limits = PollLimits { max_records: 2, ..wait(0) };
    let polls: Vec<_> = (0..6).map(|_| script.consume(1, limits)).collect();
    let served: Vec<u32> = polls.iter().flat_map(|poll| script.brought(*poll)).map(|part| part.0).collect();
    assert_eq!(served, [0, 1, 2, 0, 1, 2]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn groups_do_not_take_from_each_other() {
    let mut script = Script::default();
    script.create("orders", 1);
    script.produce("orders", 0, 2);
    script.subscribe(1, "billing", &["orders"], manual());
    script.subscribe(2, "audit", &["orders"], manual());
    let polls = [script.consume(1, wait(0)), script.consume(2, wait(0))];
    script.commit_all(1);
    assert_eq!(script.brought(polls[0]), script.brought(polls[1]));
    assert_eq!((script.committed("billing"), script.committed("audit")), (vec![(0, 2)], vec![]));
    insta::assert_snapshot!(script.story());
}
