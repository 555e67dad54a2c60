//! A lost response loses nothing.

use takhin_core::{CommitOffset, FetchedPart, PollLimits, ReadError, Refusal, StorageError};
use takhin_tests::script::{Script, Work, earliest, manual, topic, wait};

fn five_records() -> Script {
    let mut script = Script::default();
    script.create("orders", 1);
    script.produce("orders", 0, 5);
    script.subscribe(1, "billing", &["orders"], manual());
    script
}

#[test]
fn repeating_after_batch_replays_that_very_batch() {
    let mut script = five_records();
    let first = script.consume_after(1, 0, PollLimits { max_records: 3, ..wait(0) });
    script.produce("orders", 0, 4);
    let again = script.consume_after(1, 0, PollLimits { max_records: 1, ..wait(0) });
    assert_eq!(script.brought(again), script.brought(first));
    assert_eq!(script.consumed(again).batch, script.consumed(first).batch);
    let next = script.consume_after(1, 1, wait(0));
    assert_eq!(script.brought(next), [(0, 3, 9)]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_plain_poll_takes_the_last_batch_as_received() {
    let mut script = five_records();
    script.consume(1, wait(0));
    script.produce("orders", 0, 1);
    let next = script.consume(1, wait(0));
    assert_eq!(script.brought(next), [(0, 5, 6)]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn an_answer_that_could_not_be_delivered_goes_back() {
    let mut script = five_records();
    let lost = script.consume(1, wait(0));
    script.undelivered(lost, 1);
    script.undelivered(lost, 1);
    let next = script.consume(1, wait(0));
    assert_eq!(script.brought(next), [(0, 0, 5)]);
    script.commit_all(1);
    assert_eq!(script.committed("billing"), [(0, 5)]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn an_answer_whose_loss_shows_late_goes_back_under_the_next_poll() {
    let mut script = five_records();
    let lost = script.consume(1, wait(0));
    let next = script.consume(1, wait(10_000));
    assert!(script.is_open(next));
    script.undelivered(lost, 1);
    assert_eq!(script.brought(next), [(0, 0, 5)]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_loss_that_shows_late_is_not_undone_by_a_crash() {
    let mut script = five_records();
    script.pass(2_000);
    let lost = script.consume(1, wait(0));
    let next = script.consume(1, wait(10_000));
    script.create("visits", 1);
    script.event(takhin_core::Event::Drain);
    script.undelivered(lost, 1);
    assert!(!script.is_open(next));
    script.crash();
    let poll = script.consume(1, wait(0));
    assert_eq!(script.brought(poll), [(0, 0, 5)]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn an_unknown_batch_is_refused_and_changes_nothing() {
    let mut script = five_records();
    script.consume_after(1, 0, wait(0));
    for unknown in [2, 7, u64::MAX] {
        let poll = script.consume_after(1, unknown, wait(0));
        assert!(matches!(script.refusal(poll), Refusal::BatchUnknown { .. }));
    }
    let again = script.consume_after(1, 0, wait(0));
    assert_eq!(script.brought(again), [(0, 0, 5)]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn an_empty_answer_needs_no_receipt() {
    let mut script = five_records();
    script.consume_after(1, 0, wait(0));
    let empty = script.consume_after(1, 1, wait(0));
    assert_eq!(script.consumed(empty).batch.0, 1);
    let again = script.consume_after(1, 1, wait(0));
    assert!(script.brought(again).is_empty());
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_replay_that_is_cut_short_can_be_asked_for_again() {
    let mut script = five_records();
    script.consume_after(1, 0, wait(0));
    script.hold(Work::Fetch);
    let cut = script.consume_after(1, 0, wait(0));
    script.hang_up(cut);
    script.release(Work::Fetch);
    let again = script.consume_after(1, 0, wait(0));
    assert_eq!(script.brought(again), [(0, 0, 5)]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_replay_under_way_in_a_crash_is_still_not_received() {
    let mut script = five_records();
    script.consume_after(1, 0, wait(0));
    script.hold(Work::Fetch);
    script.consume_after(1, 0, wait(0));
    script.event(takhin_core::Event::Drain);
    script.crash();
    script.release(Work::Fetch);
    let again = script.consume_after(1, 0, wait(0));
    assert_eq!(script.brought(again), [(0, 0, 5)]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn an_auto_commit_with_a_replay_keeps_the_batch_open() {
    let mut script = Script::default();
    script.create("orders", 1);
    script.produce("orders", 0, 3);
    script.subscribe(1, "billing", &["orders"], earliest());
    let first = script.consume_after(1, 0, PollLimits { max_records: 1, ..wait(0) });
    script.consume_after(1, script.consumed(first).batch.0, wait(0));
    script.pass(5_000);
    let again = script.consume_after(1, script.consumed(first).batch.0, wait(0));
    assert_eq!((script.brought(again), script.committed("billing")), (vec![(0, 1, 3)], vec![(0, 1)]));
    script.crash();
    let after = script.consume_after(1, script.consumed(first).batch.0, wait(0));
    assert_eq!(script.brought(after), [(0, 1, 3)]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_replay_that_lacks_a_revoked_partition_lets_go_of_it() {
    let mut script = Script::default();
    script.create("orders", 2);
    script.produce("orders", 0, 2);
    script.produce("orders", 1, 3);
    script.subscribe(1, "billing", &["orders"], manual());
    script.consume_after(1, 0, wait(0));
    script.subscribe(2, "billing", &["orders"], manual());
    assert!(script.held_by(2).is_empty());
    let again = script.consume_after(1, 0, wait(0));
    assert_eq!(script.brought(again), [(0, 0, 2)]);
    assert_eq!(script.told(again), (vec![], vec![1]));
    let other = script.consume(2, wait(0));
    assert_eq!(script.brought(other), [(1, 0, 3)], "it never arrived, so nothing of it is uncommitted");
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_replay_of_which_a_part_cannot_be_read_is_refused_and_can_be_repeated() {
    let mut script = Script::default();
    script.create("orders", 2);
    script.produce("orders", 0, 2);
    script.produce("orders", 1, 3);
    script.subscribe(1, "billing", &["orders"], manual());
    script.consume_after(1, 0, wait(0));
    script.hold(Work::Fetch);
    let again = script.consume_after(1, 0, wait(0));
    let commands = script.take(Work::Fetch);
    let takhin_core::Command::Fetch { id, parts, .. } = &commands[0] else { panic!("a fetch") };
    let error = |n: usize| (n == 1).then(|| ReadError::Storage(StorageError::Failed("a bad block".into())));
    let found = parts.iter().enumerate().map(|(n, part)| {
        let (next, records) = if n == 0 { (part.to, 2) } else { (part.from, 0) };
        FetchedPart { log: part.log, from: part.from, next, records, bytes: records * 100, error: error(n) }
    });
    script.event(takhin_core::Event::Fetched { id: *id, parts: found.collect() });
    script.release(Work::Fetch);
    assert!(matches!(script.refusal(again), Refusal::StorageUnavailable { .. }));
    let again = script.consume_after(1, 0, wait(0));
    assert_eq!(script.brought(again), [(0, 0, 2), (1, 0, 3)]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_batch_can_be_replayed_after_a_crash() {
    let mut script = five_records();
    script.pass(2_000);
    script.consume_after(1, 0, PollLimits { max_records: 3, ..wait(0) });
    script.crash();
    let again = script.consume_after(1, 0, wait(0));
    assert_eq!(script.brought(again), [(0, 0, 3)]);
    let next = script.consume_after(1, 1, wait(0));
    assert_eq!(script.brought(next), [(0, 3, 5)]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_batch_that_arrived_before_a_crash_is_not_replayed() {
    let mut script = five_records();
    script.pass(2_000);
    script.consume_after(1, 0, PollLimits { max_records: 3, ..wait(0) });
    script.crash();
    let next = script.consume_after(1, 1, wait(0));
    assert_eq!(script.brought(next), [(0, 3, 5)]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_poll_that_does_not_say_gets_an_open_batch_again_after_a_crash() {
    let mut script = five_records();
    script.pass(2_000);
    script.consume(1, PollLimits { max_records: 3, ..wait(0) });
    script.crash();
    let next = script.consume(1, wait(0));
    assert_eq!(script.brought(next), [(0, 0, 5)]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn batch_ids_are_not_given_twice_across_a_crash() {
    let mut script = five_records();
    script.consume_after(1, 0, PollLimits { max_records: 3, ..wait(0) });
    script.crash();
    let unknown = script.consume_after(1, 1, wait(0));
    let Refusal::BatchUnknown { previous, .. } = script.refusal(unknown) else { panic!("it is not known any more") };
    let next = script.consume_after(1, previous.0, wait(0));
    assert_eq!(script.brought(next), [(0, 0, 5)], "no checkpoint was made, so it all comes again");
    assert!(script.consumed(next).batch.0 > 1);
    insta::assert_snapshot!(script.story());
}

#[test]
fn an_answer_held_for_its_facts_goes_back_when_the_client_hangs_up() {
    let mut script = five_records();
    script.hold(Work::Persist);
    script.grow("orders", 2);
    script.release(Work::Persist);
    script.hold(Work::Persist);
    script.subscribe(2, "billing", &["orders"], manual());
    let held = script.consume(1, wait(0));
    assert!(script.is_open(held));
    script.hang_up(held);
    script.release(Work::Persist);
    assert!(script.is_open(held));
    let next = script.consume(1, wait(0));
    assert_eq!(script.brought(next), [(0, 0, 5)]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn an_answer_that_never_left_is_not_taken_as_received() {
    let mut script = five_records();
    script.hold(Work::Persist);
    script.grow("orders", 2);
    script.release(Work::Persist);
    script.hold(Work::Persist);
    script.subscribe(2, "billing", &["orders"], manual());
    let held = script.consume(1, wait(0));
    assert!(script.is_open(held));
    let newer = script.consume(1, wait(0));
    assert!(matches!(script.refusal(held), Refusal::PollSuperseded { .. }));
    script.release(Work::Persist);
    assert_eq!(script.brought(newer), [(0, 0, 5)]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn auto_commit_waits_for_the_receipt() {
    let mut script = Script::default();
    script.create("orders", 1);
    script.produce("orders", 0, 5);
    script.subscribe(1, "billing", &["orders"], earliest());
    script.pass(6_000);
    script.consume_after(1, 0, wait(0));
    script.consume_after(1, 0, wait(0));
    assert!(script.committed("billing").is_empty());
    script.consume_after(1, 1, wait(0));
    assert_eq!(script.committed("billing"), [(0, 5)]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn what_was_committed_is_not_delivered_again_because_its_answer_broke() {
    let mut script = five_records();
    let broken = script.consume(1, wait(0));
    let offsets = Some(vec![CommitOffset { topic: topic("orders"), partition: 0, offset: 3, metadata: None }]);
    let request =
        takhin_core::Request::Commit { consumer: takhin_tests::script::consumer(1), offsets, generation: None };
    script.get(request);
    script.undelivered(broken, 1);
    let next = script.consume(1, wait(0));
    assert_eq!(script.brought(next), [(0, 3, 5)]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_repetition_that_was_lost_leaves_the_batch_as_it_was() {
    for committed_first in [false, true] {
        let mut script = five_records();
        let first = script.consume_after(1, 0, wait(0));
        assert_eq!(script.brought(first), [(0, 0, 5)]);
        if committed_first {
            script.commit(1, "orders", 0, 5);
        }
        let late_try = script.consume_after(1, 0, wait(0));
        script.undelivered(late_try, 1);
        if !committed_first {
            script.commit(1, "orders", 0, 5);
        }
        let next = script.consume_after(1, 1, wait(0));
        assert!(script.answer(next).is_ok(), "batch 1 is known");
        assert!(script.brought(next).is_empty(), "what was committed does not come again");
    }
}

#[test]
fn after_a_repetition_that_was_lost_a_poll_that_does_not_say_gets_it_again() {
    let mut script = five_records();
    script.consume_after(1, 0, wait(0));
    let late_try = script.consume_after(1, 0, wait(0));
    script.undelivered(late_try, 1);
    let exact = script.consume_after(1, 0, wait(0));
    assert_eq!((script.consumed(exact).batch.0, script.brought(exact)), (1, vec![(0, 0, 5)]));
    script.undelivered(exact, 1);
    let plain = script.consume(1, wait(0));
    assert_eq!((script.consumed(plain).batch.0, script.brought(plain)), (2, vec![(0, 0, 5)]));
}
