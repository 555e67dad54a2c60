//! The offsets of a group that nobody is in: set, deleted, and forgotten after a while.

use takhin_core::{
    Config, ConsumerOptions, Date, DurationMs, Event, Fact, OffsetTarget, Refusal, Request, RequestId, Response,
    SetOffset,
};
use takhin_tests::script::{Script, group, manual, topic, wait};

const DAY: u64 = 24 * 60 * 60 * 1_000;

/// A group that has committed offset 3 of partition 0 and left; 5 records in each of two partitions.
fn left_behind() -> Script {
    let mut script = Script::new(Config { offsets_retention: DurationMs(604_800_000), ..Config::default() });
    script.create("orders", 2);
    script.produce("orders", 0, 5);
    script.produce("orders", 1, 5);
    date(&mut script, 1_000_000);
    script.subscribe(1, "billing", &["orders"], manual());
    script.commit(1, "orders", 0, 3);
    script.close(1);
    script
}

fn date(script: &mut Script, now: i64) {
    script.event(Event::Date { now: Date(now) });
}

fn set(script: &mut Script, entries: &[(u32, OffsetTarget)], dry_run: bool) -> RequestId {
    let entry = |(partition, to): &(u32, OffsetTarget)| SetOffset {
        topic: topic("orders"),
        partition: *partition,
        to: *to,
        metadata: None,
    };
    let offsets = entries.iter().map(entry).collect();
    script.ask(Request::SetOffsets { group: group("billing"), offsets, dry_run })
}

fn changes(script: &mut Script, id: RequestId) -> Vec<(u32, Option<u64>, Option<u64>)> {
    let Response::OffsetsSet { changes, .. } = script.answer(id).expect("set") else { panic!() };
    changes.iter().map(|it| (it.partition, it.before.map(|at| at.0), it.after.map(|at| at.0))).collect()
}

#[test]
fn offsets_are_set_all_at_once_and_outlive_a_crash() {
    let mut script = left_behind();
    let done = set(&mut script, &[(0, OffsetTarget::By(-2)), (1, OffsetTarget::Latest)], false);
    assert_eq!(changes(&mut script, done), [(0, Some(3), Some(1)), (1, None, Some(5))]);
    script.crash();
    assert_eq!(script.committed("billing"), [(0, 1), (1, 5)]);
    script.subscribe(2, "billing", &["orders"], manual());
    let poll = script.consume(2, wait(0));
    assert_eq!(script.brought(poll), [(0, 1, 5)]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn targets_stay_within_the_log() {
    let mut script = left_behind();
    script.trim("orders", 0, 2);
    let done = set(&mut script, &[(0, OffsetTarget::By(-9))], false);
    assert_eq!(changes(&mut script, done), [(0, Some(3), Some(2))]);
    let done = set(&mut script, &[(0, OffsetTarget::By(i64::MAX)), (1, OffsetTarget::Earliest)], false);
    assert_eq!(changes(&mut script, done), [(0, Some(2), Some(5)), (1, None, Some(0))]);
    let outside = set(&mut script, &[(1, OffsetTarget::Earliest), (0, OffsetTarget::Offset(1))], false);
    assert!(matches!(script.refusal(outside), Refusal::OffsetOutOfRange { .. }));
    insta::assert_snapshot!(script.story());
}

#[test]
fn what_is_remembered_with_an_offset_stays_until_the_next_one() {
    let mut script = left_behind();
    let entry = |partition, offset, metadata: Option<&str>| SetOffset {
        topic: topic("orders"),
        partition,
        to: OffsetTarget::Offset(offset),
        metadata: metadata.map(Into::into),
    };
    let mut remembered = |offsets: Vec<SetOffset>| {
        let done = script.ask(Request::SetOffsets { group: group("billing"), offsets, dry_run: false });
        changes(&mut script, done);
        let asked = script.ask(Request::DescribeGroup { group: group("billing") });
        let Response::Group(described) = script.answer(asked).expect("it is there") else { panic!() };
        described.partitions.iter().map(|at| at.metadata.as_deref().map(str::to_owned)).collect::<Vec<_>>()
    };
    let both = remembered(vec![entry(0, 1, Some("one")), entry(1, 2, Some("two"))]);
    assert_eq!(both, [Some("one".to_owned()), Some("two".to_owned())]);
    assert_eq!(remembered(vec![entry(0, 2, None)]), [None, Some("two".to_owned())]);
    let long = "x".repeat(4_097);
    let offsets = vec![entry(1, 3, Some(&long))];
    let refused = script.ask(Request::SetOffsets { group: group("billing"), offsets, dry_run: false });
    assert!(matches!(script.refusal(refused), Refusal::OutOfRange { .. }));
    assert_eq!(script.committed("billing"), [(0, 2), (1, 2)]);
}

#[test]
fn a_dry_run_says_it_and_does_nothing() {
    let mut script = left_behind();
    let facts = script.facts().len();
    let said = set(&mut script, &[(0, OffsetTarget::Earliest)], true);
    assert_eq!(changes(&mut script, said), [(0, Some(3), Some(0))]);
    assert_eq!((script.committed("billing"), script.facts().len()), (vec![(0, 3)], facts));
}

#[test]
fn nothing_is_changed_while_somebody_is_there() {
    let mut script = left_behind();
    script.subscribe(2, "billing", &["orders"], manual());
    script.assign(2, "orders", &[1]);
    let active = || Refusal::GroupActive { group: group("billing"), consumers: 1 };
    for dry_run in [false, true] {
        let refused = set(&mut script, &[(0, OffsetTarget::Earliest)], dry_run);
        assert_eq!(script.refusal(refused), active());
    }
    let partitions = vec![(topic("orders"), 0)];
    let refused = script.ask(Request::DeleteOffsets { group: group("billing"), partitions });
    assert_eq!(script.refusal(refused), active());
    let refused = script.ask(Request::DeleteGroup { group: group("billing") });
    assert_eq!(script.refusal(refused), active());
    insta::assert_snapshot!(script.story());
}

#[test]
fn offsets_and_groups_are_deleted() {
    let mut script = left_behind();
    set(&mut script, &[(1, OffsetTarget::Offset(2))], false);
    let delete =
        |partition| Request::DeleteOffsets { group: group("billing"), partitions: vec![(topic("orders"), partition)] };
    script.get(delete(0));
    assert_eq!(script.committed("billing"), [(1, 2)]);
    script.get(delete(1));
    let gone = script.ask(delete(1));
    assert_eq!(script.refusal(gone), Refusal::GroupNotFound { group: group("billing") });
    let made = set(&mut script, &[(0, OffsetTarget::Offset(4))], false);
    assert_eq!(changes(&mut script, made), [(0, None, Some(4))]);
    script.get(Request::DeleteGroup { group: group("billing") });
    script.crash();
    script.subscribe(2, "billing", &["orders"], manual());
    assert_eq!(script.generation("billing"), 3, "it goes on where the former group was");
    insta::assert_snapshot!(script.story());
}

#[test]
fn offsets_of_an_empty_group_expire() {
    let mut script = left_behind();
    script.pass(7 * DAY - 1);
    assert_eq!(script.committed("billing"), [(0, 3)]);
    script.pass(1);
    assert!(script.committed("billing").is_empty());
    assert!(matches!(script.facts().last(), Some((_, Fact::GroupDeleted { .. }))));
    insta::assert_snapshot!(script.story());
}

#[test]
fn the_while_goes_on_across_restarts_and_begins_anew_with_each_change() {
    let mut script = left_behind();
    script.pass(5 * DAY);
    script.crash();
    script.pass(9 * DAY);
    assert_eq!(script.committed("billing"), [(0, 3)], "the date isn't known");
    let six_days = i64::try_from(6 * DAY).expect("a date");
    date(&mut script, 1_000_000 + six_days);
    set(&mut script, &[(0, OffsetTarget::Earliest)], false);
    script.pass(7 * DAY - 1);
    assert_eq!(script.committed("billing"), [(0, 0)]);
    script.subscribe(2, "billing", &["orders"], manual());
    script.pass(1);
    script.close(2);
    script.pass(7 * DAY - 1);
    assert_eq!(script.committed("billing"), [(0, 0)], "somebody was there");
    script.pass(1);
    assert!(script.committed("billing").is_empty());
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_live_subscription_never_expires() {
    let mut script = left_behind();
    let patient = ConsumerOptions { session_timeout_ms: 1_800_000, max_poll_interval_ms: 86_400_000, ..manual() };
    script.subscribe(2, "billing", &["orders"], patient);
    script.commit(2, "orders", 1, 1);
    for _ in 0..8 * 24 * 3 {
        script.pass(1_200_000);
        script.consume(2, wait(0));
    }
    assert_eq!(script.committed("billing"), [(0, 3), (1, 1)]);
}
