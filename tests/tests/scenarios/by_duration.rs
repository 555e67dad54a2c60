//! Beginning at a date: the reset policy `by_duration`.

use takhin_core::{Command, ConsumerOptions, Event, OffsetReset, StorageError};
use takhin_tests::script::{Script, Work, manual, wait};

/// Four records, a second apart, and a consumer that wants those of the last two seconds.
fn four_records() -> (Script, ConsumerOptions) {
    let mut script = Script::default();
    script.create("orders", 1);
    for now in [1_000, 2_000, 3_000, 4_000] {
        script.date(now);
        script.produce("orders", 0, 1);
    }
    (script, ConsumerOptions { auto_offset_reset: OffsetReset::ByDuration(2_000), ..manual() })
}

#[test]
fn a_consumer_begins_at_the_first_record_that_is_not_older() {
    let (mut script, options) = four_records();
    script.subscribe(1, "billing", &["orders"], options);
    let poll = script.consume(1, wait(0));
    assert_eq!(script.brought(poll), [(0, 1, 4)]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_poll_waits_until_the_place_is_known() {
    let (mut script, options) = four_records();
    script.hold(Work::Lookup);
    script.subscribe(1, "billing", &["orders"], options);
    let poll = script.consume(1, wait(10_000));
    script.produce("orders", 0, 1);
    assert!(script.is_open(poll));
    script.release(Work::Lookup);
    assert_eq!(script.brought(poll), [(0, 1, 5)]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn the_date_is_that_of_the_assignment_across_a_crash() {
    let (mut script, options) = four_records();
    script.hold(Work::Lookup);
    script.subscribe(1, "billing", &["orders"], options);
    script.crash();
    script.date(9_000);
    let poll = script.consume(1, wait(10_000));
    script.release(Work::Lookup);
    assert_eq!(script.brought(poll), [(0, 1, 4)]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn the_place_is_remembered_once_it_is_known() {
    let (mut script, options) = four_records();
    script.subscribe(1, "billing", &["orders"], options);
    script.date(9_000);
    script.crash();
    let poll = script.consume(1, wait(0));
    assert_eq!(script.brought(poll), [(0, 1, 4)]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_search_that_fails_is_repeated_by_the_next_poll() {
    let (mut script, options) = four_records();
    script.hold(Work::Lookup);
    script.subscribe(1, "billing", &["orders"], options);
    for command in script.take(Work::Lookup) {
        let Command::Lookup { consumer, log, at, .. } = command else { continue };
        let result = Err(StorageError::Failed("a bad block".into()));
        script.event(Event::LookedUp { consumer, log, at, result });
    }
    let poll = script.consume(1, wait(10_000));
    script.release(Work::Lookup);
    assert_eq!(script.brought(poll), [(0, 1, 4)]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_seek_or_a_commit_makes_the_search_void() {
    let (mut script, options) = four_records();
    script.hold(Work::Lookup);
    script.subscribe(1, "billing", &["orders"], options);
    script.seek(1, "orders", 0, 3);
    script.release(Work::Lookup);
    let poll = script.consume(1, wait(0));
    assert_eq!(script.brought(poll), [(0, 3, 4)]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_committed_offset_comes_before_any_date() {
    let (mut script, options) = four_records();
    script.subscribe(1, "billing", &["orders"], options.clone());
    script.commit(1, "orders", 0, 3);
    script.close(1);
    script.subscribe(2, "billing", &["orders"], options);
    let poll = script.consume(2, wait(0));
    assert_eq!(script.brought(poll), [(0, 3, 4)]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_commit_of_what_was_trimmed_leaves_the_place_that_is_looked_up_alone() {
    let (mut script, options) = four_records();
    script.subscribe(1, "billing", &["orders"], options);
    script.consume(1, wait(0));
    script.crash();
    script.date(4_000);
    script.trim("orders", 0, 3);
    script.hold(Work::Lookup);
    script.consume(1, wait(0));
    script.commit(1, "orders", 0, 2);
    script.release(Work::Lookup);
    let poll = script.consume(1, wait(0));
    assert_eq!(script.brought(poll), [(0, 3, 4)]);
    insta::assert_snapshot!(script.story());
}
