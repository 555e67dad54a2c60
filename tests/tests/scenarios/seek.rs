//! Seeking: positions moved by a consumer's word.

use takhin_core::{PollLimits, Refusal, Request, SeekTo};
use takhin_tests::script::{Script, Work, consumer, manual, topic, wait};

fn five_records() -> Script {
    let mut script = Script::default();
    script.create("orders", 2);
    script.produce("orders", 0, 5);
    script.subscribe(1, "billing", &["orders"], manual());
    script
}

#[test]
fn a_seek_cancels_what_is_in_flight() {
    let mut script = five_records();
    script.hold(Work::Fetch);
    let poll = script.consume(1, wait(0));
    script.seek(1, "orders", 0, 3);
    script.release(Work::Fetch);
    assert_eq!(script.brought(poll), [(0, 3, 5)]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_seek_back_delivers_again() {
    let mut script = five_records();
    script.consume(1, wait(0));
    script.seek(1, "orders", 0, 0);
    let poll = script.consume(1, wait(0));
    assert_eq!(script.brought(poll), [(0, 0, 5)]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_seek_wakes_a_poll_that_waits() {
    let mut script = five_records();
    script.consume(1, wait(0));
    let poll = script.consume(1, wait(10_000));
    script.seek(1, "orders", 0, 4);
    assert_eq!(script.brought(poll), [(0, 4, 5)]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_seek_voids_what_a_waiting_poll_had_counted() {
    let mut script = five_records();
    let poll = script.consume(1, PollLimits { min_bytes: 600, ..wait(10_000) });
    script.seek(1, "orders", 0, 5);
    script.produce("orders", 0, 1);
    assert!(script.is_open(poll), "100 bytes are there, and 600 are wanted");
    script.produce("orders", 0, 5);
    assert_eq!(script.brought(poll), [(0, 5, 11)]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_seek_outlives_a_crash() {
    let mut script = five_records();
    script.consume(1, wait(0));
    script.seek(1, "orders", 0, 2);
    script.crash();
    let poll = script.consume(1, wait(0));
    assert_eq!(script.brought(poll), [(0, 2, 5)]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_batch_from_before_a_seek_is_not_replayed() {
    let mut script = five_records();
    script.consume_after(1, 0, wait(0));
    script.seek(1, "orders", 0, 4);
    let poll = script.consume_after(1, 0, wait(0));
    assert!(script.brought(poll).is_empty());
    let poll = script.consume_after(1, 0, wait(0));
    assert_eq!(script.brought(poll), [(0, 4, 5)]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_seek_outside_of_the_log_is_refused() {
    let mut script = five_records();
    script.trim("orders", 0, 2);
    for offset in [-1, 1, 6] {
        let id = script.seek(1, "orders", 0, offset);
        assert!(matches!(script.refusal(id), Refusal::OffsetOutOfRange { .. }), "{offset}");
    }
    for offset in [2, 5] {
        let id = script.seek(1, "orders", 0, offset);
        assert!(script.answer(id).is_ok(), "{offset}");
    }
    insta::assert_snapshot!(script.story());
}

#[test]
fn only_what_is_assigned_can_be_sought() {
    let mut script = five_records();
    script.create("visits", 1);
    let other = script.seek(1, "visits", 0, 0);
    assert!(matches!(script.refusal(other), Refusal::PartitionNotAssigned { .. }));
    script.consume(1, wait(0));
    script.subscribe(2, "billing", &["orders"], manual());
    let (kept, taken) = (script.seek(1, "orders", 0, 1), script.seek(1, "orders", 1, 0));
    assert!(script.answer(kept).is_ok());
    assert!(matches!(script.refusal(taken), Refusal::PartitionNotAssigned { partition: 1, .. }));
    insta::assert_snapshot!(script.story());
}

#[test]
fn many_partitions_are_sought_together_or_not_at_all() {
    let mut script = five_records();
    script.produce("orders", 1, 5);
    let to = |partition, offset| SeekTo { topic: topic("orders"), partition, offset };
    let bad = script.ask(Request::Seek { consumer: consumer(1), positions: vec![to(0, 4), to(1, 9)] });
    assert!(matches!(script.refusal(bad), Refusal::OffsetOutOfRange { partition: 1, .. }));
    let poll = script.consume(1, PollLimits { max_records: 1, ..wait(0) });
    assert_eq!(script.brought(poll), [(0, 0, 1)]);
    script.ask(Request::Seek { consumer: consumer(1), positions: vec![to(0, 4), to(1, 3)] });
    let poll = script.consume(1, wait(0));
    assert_eq!(script.brought(poll), [(1, 3, 5), (0, 4, 5)]);
    insta::assert_snapshot!(script.story());
}
