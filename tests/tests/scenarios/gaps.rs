//! Offsets without records: polls and reads pass over them, and never stand still.

use takhin_core::{Command, Event, FetchedPart, Offset, Parts, RequestId, Response};
use takhin_tests::script::{Script, Work, manual, wait};

/// Carries out the fetches that wait, of which the first `records` are left and the rest was compacted away.
fn fetch(script: &mut Script, records: u32) {
    for command in script.take(Work::Fetch) {
        let Command::Fetch { id, parts, .. } = command else { continue };
        let part = |part: &takhin_core::FetchPart| FetchedPart {
            log: part.log,
            from: part.from,
            next: part.to,
            records,
            bytes: records * 100,
            error: None,
        };
        let parts: Parts<FetchedPart> = parts.iter().map(part).collect();
        script.event(Event::Fetched { id, parts });
    }
}

fn script() -> Script {
    let mut script = Script::default();
    script.create("orders", 1);
    script.produce("orders", 0, 10);
    script.subscribe(1, "billing", &["orders"], manual());
    script.hold(Work::Fetch);
    script
}

fn delivered(script: &Script, id: RequestId) -> (u32, u64) {
    let consumed = script.consumed(id);
    (consumed.parts.iter().map(|part| part.records).sum(), consumed.positions[0].position.expect("a position").0)
}

#[test]
fn a_position_moves_over_records_that_are_gone() {
    let mut script = script();
    let poll = script.consume(1, wait(0));
    fetch(&mut script, 3);
    assert_eq!(delivered(&script, poll), (3, 10));
    script.commit_all(1);
    assert_eq!(script.committed("billing"), [(0, 10)]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_poll_that_finds_only_what_is_gone_waits_for_more() {
    let mut script = script();
    let poll = script.consume(1, wait(10_000));
    fetch(&mut script, 0);
    assert!(script.is_open(poll));
    script.produce("orders", 0, 1);
    fetch(&mut script, 1);
    assert_eq!(delivered(&script, poll), (1, 11));
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_batch_comes_again_without_what_is_gone_by_then() {
    let mut script = script();
    let first = script.consume(1, wait(0));
    fetch(&mut script, 10);
    let batch = script.consumed(first).batch.0;
    let again = script.consume_after(1, 0, wait(0));
    fetch(&mut script, 2);
    assert_eq!(script.consumed(again).batch.0, batch);
    assert_eq!(delivered(&script, again), (2, 10));
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_read_without_a_consumer_is_told_where_to_go_on() {
    let mut script = script();
    let read = script.read("orders", 0, 4, wait(0));
    fetch(&mut script, 0);
    let Ok(Response::Read(result)) = script.answer(read) else { panic!("not read") };
    assert_eq!((result.from, result.next), (Offset(4), Offset(10)));
    insta::assert_snapshot!(script.story());
}
