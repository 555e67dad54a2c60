//! Idempotent producers: a batch that comes again is recognised, and one that can't be next is refused.

use takhin_core::{Offset, ProducerId, ProducerStamp, Producers, Refusal, producers};
use takhin_tests::script::{Script, Work};

fn script() -> Script {
    let mut script = Script::default();
    script.create("orders", 1);
    script
}

#[test]
fn a_batch_that_comes_again_is_told_its_original_offset() {
    let mut script = script();
    let first = script.produce_as(7, 0, 0, 3);
    let second = script.produce_as(7, 0, 3, 2);
    let again = [script.produce_as(7, 0, 0, 3), script.produce_as(7, 0, 3, 2), script.produce_as(7, 0, 3, 2)];
    assert_eq!((script.produced(first), script.produced(second)), ((0, false), (3, false)));
    assert_eq!(again.map(|id| script.produced(id)), [(0, true), (3, true), (3, true)]);
    let next = script.produce_as(7, 0, 5, 1);
    assert_eq!(script.produced(next), (5, false), "nothing was appended in between");
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_retry_while_the_original_is_under_way_gets_the_same_answer() {
    let mut script = script();
    script.hold(Work::Append);
    let (original, retry, next) =
        (script.produce_as(7, 0, 0, 3), script.produce_as(7, 0, 0, 3), script.produce_as(7, 0, 3, 1));
    assert!(script.is_open(original) && script.is_open(retry));
    script.release(Work::Append);
    assert_eq!([original, retry, next].map(|id| script.produced(id)), [(0, false), (0, true), (3, false)]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_gap_is_refused_with_what_comes_next() {
    let mut script = script();
    let unknown = script.produce_as(7, 0, 1, 1);
    assert!(matches!(script.refusal(unknown), Refusal::SequenceGap { given: 1, expected: 0, .. }));
    script.produce_as(7, 0, 0, 3);
    for wrong in [1, 2, 4] {
        let refused = script.produce_as(7, 0, wrong, 1);
        assert!(matches!(script.refusal(refused), Refusal::SequenceGap { expected: 3, .. }), "{wrong}");
    }
    let part = script.produce_as(7, 0, 0, 2);
    assert!(matches!(script.refusal(part), Refusal::SequenceGap { expected: 3, .. }), "the same number, fewer records");
    let other = script.produce_as(8, 0, 0, 1);
    assert_eq!(script.produced(other), (3, false), "producers don't know each other");
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_newer_epoch_begins_at_0_and_fences_the_older() {
    let mut script = script();
    script.produce_as(7, 1, 0, 3);
    let in_the_middle = script.produce_as(7, 2, 3, 1);
    assert!(matches!(script.refusal(in_the_middle), Refusal::SequenceGap { expected: 0, .. }));
    let still = script.produce_as(7, 1, 3, 1);
    assert_eq!(script.produced(still), (3, false), "a refused beginning begins nothing");
    let newer = script.produce_as(7, 2, 0, 1);
    assert_eq!(script.produced(newer), (4, false));
    for sequence in [0, 4] {
        let older = script.produce_as(7, 1, sequence, 3);
        assert!(matches!(script.refusal(older), Refusal::ProducerFenced { given: 1, current: 2, .. }));
    }
    insta::assert_snapshot!(script.story());
}

#[test]
fn an_idempotency_key_stands_for_one_request() {
    let mut script = script();
    let stamp = |body| ProducerStamp { producer: ProducerId::keyed(99), epoch: 0, sequence: body };
    let first = script.produce_stamped(stamp(1234), 2);
    let again = script.produce_stamped(stamp(1234), 2);
    assert_eq!((script.produced(first), script.produced(again)), ((0, false), (0, true)));
    for (body, records) in [(1236, 2), (1234, 1)] {
        let other = script.produce_stamped(stamp(body), records);
        assert!(matches!(script.refusal(other), Refusal::IdempotencyKeyReused { partition: 0, .. }));
    }
    insta::assert_snapshot!(script.story());
}

#[test]
fn an_idempotency_key_that_is_taken_is_refused_by_every_partition_of_the_topic() {
    let mut script = Script::default();
    script.create("orders", 3);
    script.create("others", 1);
    let keyed = |topic: &str, body, partitions: &[u32]| takhin_core::Request::Produce {
        topic: takhin_tests::script::topic(topic),
        batches: partitions
            .iter()
            .map(|partition| takhin_core::ProduceBatch {
                partition: *partition,
                records: 1,
                bytes: 100,
                producer: Some(ProducerStamp { producer: ProducerId::keyed(99), epoch: 0, sequence: body }),
                ..takhin_core::ProduceBatch::default()
            })
            .collect(),
    };
    let first = script.ask(keyed("orders", 1, &[0, 1]));
    assert_eq!(script.produced(first), (0, false));
    for partitions in [&[2][..], &[1, 2], &[2, 1], &[0, 1]] {
        let other = script.ask(keyed("orders", 2, partitions));
        assert!(matches!(script.refusal(other), Refusal::IdempotencyKeyReused { .. }), "{partitions:?}");
    }
    let again = script.ask(keyed("orders", 1, &[0, 1]));
    assert_eq!(script.produced(again), (0, true));
    let elsewhere = script.ask(keyed("others", 2, &[0]));
    assert_eq!(script.produced(elsewhere), (0, false), "a key is known to its topic only");
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_retry_of_a_conditional_produce_is_a_duplicate_and_no_mismatch() {
    let mut script = script();
    let stamp = Some(ProducerStamp { producer: ProducerId(7), epoch: 0, sequence: 0 });
    let batch = takhin_core::ProduceBatch {
        records: 1,
        bytes: 100,
        expected_offset: Some(Offset(0)),
        producer: stamp,
        ..takhin_core::ProduceBatch::default()
    };
    let request = takhin_core::Request::Produce {
        topic: takhin_tests::script::topic("orders"),
        batches: takhin_core::Parts::from_elem(batch, 1),
    };
    let (first, again) = (script.ask(request.clone()), script.ask(request));
    assert_eq!((script.produced(first), script.produced(again)), ((0, false), (0, true)));
    insta::assert_snapshot!(script.story());
}

fn stamp(producer: u64, sequence: u32) -> ProducerStamp {
    ProducerStamp { producer: ProducerId(producer), epoch: 0, sequence }
}

/// Writes a batch of one record, which must be new.
fn write(table: &mut Producers, stamp: ProducerStamp, offset: u64, now_ms: i64) {
    assert_eq!(table.check(stamp, 1, now_ms), Ok(producers::Verdict::Append), "{stamp:?}");
    table.note(stamp, 1, Offset(offset), now_ms);
    table.commit();
}

#[test]
fn the_last_batches_of_a_producer_are_remembered_and_no_more() {
    let mut table = Producers::default();
    for n in 0..8 {
        write(&mut table, stamp(7, n), n.into(), 0);
    }
    for n in 3..8 {
        let base_offset = Offset(n.into());
        assert_eq!(table.check(stamp(7, n), 1, 0), Ok(producers::Verdict::Duplicate { base_offset }));
    }
    assert_eq!(table.check(stamp(7, 2), 1, 0), Err(takhin_core::AppendRefusal::SequenceGap { expected: 8 }));
}

#[test]
fn the_sequence_begins_again_behind_the_greatest() {
    let mut table = Producers::default();
    let greatest = (1u32 << 31) - 1;
    table.note(stamp(7, 0), greatest, Offset(0), 0);
    table.note(stamp(7, greatest), 1, Offset(1), 0);
    table.commit();
    assert_eq!(table.check(stamp(7, 0), 5, 0), Ok(producers::Verdict::Append));
}

#[test]
fn producers_are_forgotten_beyond_a_number_and_an_age() {
    let mut table = Producers::default();
    let count = producers::MAX_PRODUCERS as u64;
    for n in 0..=count {
        write(&mut table, stamp(n, 0), n, 0);
    }
    let gap = Err(takhin_core::AppendRefusal::SequenceGap { expected: 0 });
    assert_eq!(table.check(stamp(0, 1), 1, 0), gap, "the one silent for longest is forgotten");
    assert_eq!(table.check(stamp(1, 1), 1, 0), Ok(producers::Verdict::Append));
    assert_eq!(table.check(stamp(1, 1), 1, producers::REMEMBERED_MS), gap, "so is one that was silent for too long");
    write(&mut table, stamp(1, 0), count + 1, producers::REMEMBERED_MS);
    let kept: Vec<serde_json::Value> = serde_json::from_str(&serde_json::to_string(&table).unwrap()).unwrap();
    assert_eq!(kept.len(), 1, "what is too old is let go of");
}

#[test]
fn what_was_rolled_back_is_not_known() {
    let mut table = Producers::default();
    write(&mut table, stamp(7, 0), 0, 0);
    table.note(stamp(7, 1), 1, Offset(1), 0);
    assert_eq!(table.check(stamp(7, 1), 1, 0), Ok(producers::Verdict::Duplicate { base_offset: Offset(1) }));
    table.roll_back();
    assert_eq!(table.check(stamp(7, 1), 1, 0), Ok(producers::Verdict::Append));
}

#[test]
fn a_table_that_was_kept_says_the_same() {
    let mut table = Producers::default();
    for n in 0..6 {
        write(&mut table, stamp(u64::from(n) % 3, n / 3), n.into(), n.into());
    }
    let kept = serde_json::to_string(&table).unwrap();
    assert_eq!(serde_json::from_str::<Producers>(&kept).unwrap(), table);
}
