//! Where a consumer begins: the committed offset, else the reset policy.

use takhin_core::{ConsumerOptions, OffsetReset, Refusal};
use takhin_tests::script::{Script, manual, wait};

fn starting(reset: OffsetReset) -> ConsumerOptions {
    ConsumerOptions { auto_offset_reset: reset, ..manual() }
}

fn with_records(records: u32) -> Script {
    let mut script = Script::default();
    script.create("orders", 1);
    script.produce("orders", 0, records);
    script
}

#[test]
fn earliest_begins_at_the_start() {
    let mut script = with_records(3);
    script.subscribe(1, "billing", &["orders"], starting(OffsetReset::Earliest));
    let poll = script.consume(1, wait(0));
    assert_eq!(script.brought(poll), [(0, 0, 3)]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn latest_is_resolved_once_when_the_partition_is_assigned() {
    let mut script = with_records(3);
    script.subscribe(1, "billing", &["orders"], starting(OffsetReset::Latest));
    script.produce("orders", 0, 2);
    script.crash();
    script.produce("orders", 0, 1);
    let poll = script.consume(1, wait(0));
    assert_eq!(script.brought(poll), [(0, 3, 6)]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn none_refuses_until_a_seek_says_where() {
    let mut script = with_records(3);
    script.subscribe(1, "billing", &["orders"], starting(OffsetReset::None));
    let early = script.consume(1, wait(0));
    assert!(matches!(script.refusal(early), Refusal::NoCommittedOffset { partition: 0, .. }));
    script.seek(1, "orders", 0, 2);
    let poll = script.consume(1, wait(0));
    assert_eq!(script.brought(poll), [(0, 2, 3)]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn none_refuses_until_a_commit_says_where() {
    let mut script = with_records(3);
    script.subscribe(1, "billing", &["orders"], starting(OffsetReset::None));
    script.commit(1, "orders", 0, 1);
    let poll = script.consume(1, wait(0));
    assert_eq!(script.brought(poll), [(0, 1, 3)]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_committed_offset_wins_over_every_policy() {
    let mut script = with_records(3);
    script.subscribe(1, "billing", &["orders"], manual());
    script.commit(1, "orders", 0, 1);
    script.close(1);
    for (n, reset) in (2..).zip([OffsetReset::Earliest, OffsetReset::Latest, OffsetReset::None]) {
        script.subscribe(n, "billing", &["orders"], starting(reset));
        let poll = script.consume(n, wait(0));
        assert_eq!(script.brought(poll), [(0, 1, 3)]);
        script.close(n);
    }
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_committed_offset_that_was_trimmed_away_is_no_place_to_begin() {
    let mut script = with_records(5);
    script.subscribe(1, "billing", &["orders"], manual());
    script.commit(1, "orders", 0, 1);
    script.close(1);
    script.trim("orders", 0, 3);
    script.subscribe(2, "billing", &["orders"], starting(OffsetReset::Earliest));
    let poll = script.consume(2, wait(0));
    assert_eq!(script.brought(poll), [(0, 3, 5)]);
    script.close(2);
    script.subscribe(3, "billing", &["orders"], starting(OffsetReset::None));
    let poll = script.consume(3, wait(0));
    assert!(matches!(script.refusal(poll), Refusal::NoCommittedOffset { .. }));
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_position_that_was_trimmed_away_follows_the_policy() {
    let mut script = with_records(5);
    script.subscribe(1, "early", &["orders"], starting(OffsetReset::Earliest));
    script.subscribe(2, "late", &["orders"], starting(OffsetReset::Latest));
    script.subscribe(3, "never", &["orders"], starting(OffsetReset::None));
    for n in 2..=3 {
        script.seek(n, "orders", 0, 1);
    }
    script.trim("orders", 0, 3);
    let polls: Vec<_> = (1..=3).map(|n| script.consume(n, wait(0))).collect();
    assert_eq!(script.brought(polls[0]), [(0, 3, 5)]);
    assert!(script.brought(polls[1]).is_empty());
    assert!(matches!(script.refusal(polls[2]), Refusal::NoCommittedOffset { .. }));
    insta::assert_snapshot!(script.story());
}
