//! Long polls: what they wait for, and everything that ends them.

use takhin_core::{Event, PollLimits, Refusal};
use takhin_tests::script::{Script, Work, earliest, manual, wait};

/// One consumer of a group on a topic of one partition, told of its assignment.
fn waiting(groups: &[&str]) -> Script {
    let mut script = Script::default();
    script.create("orders", 1);
    for (n, group) in (1..).zip(groups) {
        script.subscribe(n, group, &["orders"], earliest());
    }
    script
}

#[test]
fn a_poll_parks_and_wakes_on_an_append() {
    let mut script = waiting(&["billing"]);
    let poll = script.consume(1, wait(10_000));
    script.pass(3_000);
    assert!(script.is_open(poll));
    script.produce("orders", 0, 2);
    assert_eq!(script.brought(poll), [(0, 0, 2)]);
    assert_eq!(script.core().parked_polls(), 0);
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_poll_ends_empty_when_its_timeout_does() {
    let mut script = waiting(&["billing"]);
    let poll = script.consume(1, wait(10_000));
    script.pass(9_999);
    assert!(script.is_open(poll));
    script.pass(1);
    assert!(script.brought(poll).is_empty());
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_poll_without_a_timeout_never_waits() {
    let mut script = waiting(&["billing"]);
    let poll = script.consume(1, wait(0));
    assert!(script.brought(poll).is_empty());
    insta::assert_snapshot!(script.story());
}

#[test]
fn one_append_wakes_every_group_that_waits() {
    let mut script = waiting(&["billing", "audit", "search"]);
    let polls: Vec<_> = (1..=3).map(|n| script.consume(n, wait(10_000))).collect();
    script.produce("orders", 0, 1);
    for poll in polls {
        assert_eq!(script.brought(poll), [(0, 0, 1)]);
    }
    insta::assert_snapshot!(script.story());
}

#[test]
fn an_append_leaves_polls_on_other_logs_asleep() {
    let mut script = waiting(&["billing"]);
    script.create("visits", 1);
    script.subscribe(2, "audit", &["visits"], earliest());
    let (orders, visits) = (script.consume(1, wait(10_000)), script.consume(2, wait(10_000)));
    script.produce("orders", 0, 1);
    assert!(!script.is_open(orders));
    assert!(script.is_open(visits));
    insta::assert_snapshot!(script.story());
}

#[test]
fn min_bytes_gather_over_several_appends() {
    let mut script = waiting(&["billing"]);
    let poll = script.consume(1, PollLimits { min_bytes: 250, ..wait(10_000) });
    script.produce("orders", 0, 1);
    script.produce("orders", 0, 1);
    assert!(script.is_open(poll));
    script.produce("orders", 0, 1);
    assert_eq!(script.brought(poll), [(0, 0, 3)]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn bytes_that_were_there_before_the_poll_count() {
    let mut script = waiting(&["billing"]);
    script.produce("orders", 0, 2);
    let poll = script.consume(1, PollLimits { min_bytes: 250, ..wait(10_000) });
    assert!(script.is_open(poll));
    script.produce("orders", 0, 1);
    assert_eq!(script.brought(poll), [(0, 0, 3)]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn bytes_that_came_while_the_engine_was_reading_count() {
    let mut script = waiting(&["billing"]);
    script.produce("orders", 0, 1);
    script.hold(Work::Fetch);
    let poll = script.consume(1, PollLimits { min_bytes: 250, ..wait(10_000) });
    script.produce("orders", 0, 2);
    script.release(Work::Fetch);
    assert_eq!(script.brought(poll), [(0, 0, 3)]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn an_append_after_a_read_that_raced_with_one_still_wakes() {
    let mut script = waiting(&["billing"]);
    script.produce("orders", 0, 1);
    script.hold(Work::Fetch);
    let poll = script.consume(1, PollLimits { min_bytes: 250, ..wait(10_000) });
    script.produce("orders", 0, 1);
    script.release(Work::Fetch);
    assert!(script.is_open(poll));
    script.produce("orders", 0, 1);
    assert_eq!(script.brought(poll), [(0, 0, 3)]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_poll_that_can_take_no_more_records_does_not_wait_for_more_bytes() {
    let mut script = waiting(&["billing"]);
    let poll = script.consume(1, PollLimits { min_bytes: 1_000, max_records: 3, ..wait(10_000) });
    script.produce("orders", 0, 1);
    script.produce("orders", 0, 1);
    assert!(script.is_open(poll));
    script.produce("orders", 0, 2);
    assert_eq!(script.brought(poll), [(0, 0, 3)]);
    let next = script.consume(1, PollLimits { min_bytes: 1_000, max_records: 2, ..wait(10_000) });
    assert!(script.is_open(next), "what was there before counts, and is too little");
    script.produce("orders", 0, 1);
    assert_eq!(script.brought(next), [(0, 3, 5)]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn too_few_bytes_are_given_out_when_the_timeout_ends() {
    let mut script = waiting(&["billing"]);
    let poll = script.consume(1, PollLimits { min_bytes: 250, ..wait(10_000) });
    script.produce("orders", 0, 1);
    script.pass(10_000);
    assert_eq!(script.brought(poll), [(0, 0, 1)]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn no_bytes_at_least_means_no_waiting() {
    let mut script = waiting(&["billing"]);
    let poll = script.consume(1, PollLimits { min_bytes: 0, ..wait(10_000) });
    assert!(script.brought(poll).is_empty());
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_first_record_always_fits_and_no_second_beyond_the_limit() {
    let mut script = waiting(&["billing"]);
    script.produce("orders", 0, 3);
    let tiny = script.consume(1, PollLimits { max_bytes: 1, ..wait(0) });
    assert_eq!(script.brought(tiny), [(0, 0, 1)]);
    let few = script.consume(1, PollLimits { max_records: 1, ..wait(0) });
    assert_eq!(script.brought(few), [(0, 1, 2)]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_newer_poll_supersedes_the_one_that_waits() {
    let mut script = waiting(&["billing"]);
    let old = script.consume(1, wait(10_000));
    let new = script.consume(1, wait(10_000));
    assert!(matches!(script.refusal(old), Refusal::PollSuperseded { .. }));
    script.produce("orders", 0, 1);
    assert_eq!(script.brought(new), [(0, 0, 1)]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_newer_poll_supersedes_the_one_that_reads_and_loses_nothing() {
    let mut script = waiting(&["billing"]);
    script.produce("orders", 0, 1);
    script.hold(Work::Fetch);
    let old = script.consume(1, wait(10_000));
    let new = script.consume(1, wait(10_000));
    script.release(Work::Fetch);
    assert!(matches!(script.refusal(old), Refusal::PollSuperseded { .. }));
    assert_eq!(script.brought(new), [(0, 0, 1)]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_client_that_hangs_up_while_parked_leaves_nothing_behind() {
    let mut script = waiting(&["billing"]);
    let poll = script.consume(1, wait(10_000));
    script.hang_up(poll);
    script.produce("orders", 0, 1);
    assert!(script.is_open(poll), "nothing is said to a client that went");
    assert_eq!((script.core().parked_polls(), script.core().open_requests()), (0, 0));
    let next = script.consume(1, wait(0));
    assert_eq!(script.brought(next), [(0, 0, 1)]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn draining_ends_what_waits_with_what_there_is() {
    let mut script = waiting(&["billing", "audit"]);
    script.produce("orders", 0, 1);
    let some = script.consume(1, PollLimits { min_bytes: 1_000, ..wait(10_000) });
    script.consume(2, wait(0));
    let none = script.consume(2, wait(10_000));
    let read = script.read("orders", 0, 1, wait(10_000));
    script.event(Event::Drain);
    assert_eq!(script.brought(some), [(0, 0, 1)]);
    assert!(script.brought(none).is_empty());
    assert!(!script.is_open(read));
    let late = script.consume(2, wait(10_000));
    assert!(script.brought(late).is_empty(), "nothing parks any more");
    assert_eq!(script.core().parked_polls(), 0);
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_change_of_the_assignment_ends_a_poll() {
    let mut script = Script::default();
    script.create("orders", 2);
    script.subscribe(1, "billing", &["orders"], manual());
    let poll = script.consume(1, wait(10_000));
    script.subscribe(2, "billing", &["orders"], manual());
    assert_eq!(script.told(poll), (vec![], vec![1]));
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_read_without_a_consumer_waits_at_the_end_of_a_log() {
    let mut script = waiting(&[]);
    let read = script.read("orders", 0, 0, wait(10_000));
    assert!(script.is_open(read));
    script.produce("orders", 0, 1);
    assert!(!script.is_open(read));
    let late = script.read("orders", 0, 1, wait(10_000));
    script.pass(10_000);
    assert!(!script.is_open(late));
    let gone = script.read("orders", 0, 1, wait(10_000));
    script.hang_up(gone);
    assert_eq!((script.core().parked_polls(), script.core().open_requests()), (0, 0));
    insta::assert_snapshot!(script.story());
}
