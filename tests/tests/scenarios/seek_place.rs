//! Seeking to places: the beginning, the end, what was committed; one partition, some, or all at once.

use takhin_core::{ConsumerOptions, OffsetReset, Place, Refusal, Request};
use takhin_tests::script::{Script, Work, consumer, manual, topic, wait};

fn two_partitions(options: ConsumerOptions) -> Script {
    let mut script = Script::default();
    script.create("orders", 2);
    script.produce("orders", 0, 5);
    script.produce("orders", 1, 5);
    script.trim("orders", 0, 2);
    script.subscribe(1, "billing", &["orders"], options);
    script
}

fn seek(script: &mut Script, to: Place, partitions: Option<&[u32]>) -> takhin_core::RequestId {
    let named = |partitions: &[u32]| partitions.iter().map(|partition| (topic("orders"), *partition)).collect();
    script.ask(Request::SeekPlace { consumer: consumer(1), partitions: partitions.map(named), to })
}

#[test]
fn all_partitions_go_to_the_beginning_and_to_the_end() {
    let mut script = two_partitions(manual());
    script.consume(1, wait(0));
    seek(&mut script, Place::Beginning, None);
    let from_start = script.consume(1, wait(0));
    assert_eq!(script.brought(from_start), [(0, 2, 5), (1, 0, 5)]);
    seek(&mut script, Place::Beginning, None);
    seek(&mut script, Place::End, Some(&[1]));
    let from_end = script.consume(1, wait(0));
    assert_eq!(script.brought(from_end), [(0, 2, 5)]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn committed_is_where_the_group_would_begin() {
    let mut script = two_partitions(manual());
    script.consume(1, wait(0));
    script.commit(1, "orders", 1, 3);
    seek(&mut script, Place::Committed, None);
    let poll = script.consume(1, wait(0));
    assert_eq!(script.brought(poll), [(0, 2, 5), (1, 3, 5)]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_seek_to_what_was_never_committed_moves_nothing() {
    let mut script = two_partitions(ConsumerOptions { auto_offset_reset: OffsetReset::None, ..manual() });
    script.commit_many(1, "orders", &[(0, 4)]);
    let refused = seek(&mut script, Place::Committed, None);
    assert_eq!(script.refusal(refused), Refusal::NoCommittedOffset { topic: topic("orders"), partition: 1 });
    seek(&mut script, Place::Committed, Some(&[0]));
    seek(&mut script, Place::End, Some(&[1]));
    let poll = script.consume(1, wait(0));
    assert_eq!(script.brought(poll), [(0, 4, 5)]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_seek_to_a_place_cancels_what_is_in_flight() {
    let mut script = two_partitions(manual());
    script.hold(Work::Fetch);
    let poll = script.consume(1, wait(0));
    seek(&mut script, Place::End, Some(&[0]));
    script.release(Work::Fetch);
    assert_eq!(script.brought(poll), [(1, 0, 5)]);
    insta::assert_snapshot!(script.story());
}
