//! Storage that fails: what it can't take is refused, and what it can still give goes on.

use takhin_core::{AppendedAt, Applied, Command, Event, Offset, Parts, ProduceBatch, Refusal, Request, Response};
use takhin_core::{StorageError, StorageState};
use takhin_tests::script::{Script, Work, manual, topic, wait};

fn unavailable(refusal: &Refusal, applied: Applied) -> bool {
    matches!(refusal, Refusal::StorageUnavailable { applied: a, .. } if *a == applied)
}

fn delivering() -> Script {
    let mut script = Script::default();
    script.create("orders", 2);
    script.produce("orders", 0, 3);
    script.subscribe(1, "billing", &["orders"], manual());
    script
}

#[test]
fn an_append_that_failed_is_refused_and_never_seen() {
    let mut script = delivering();
    script.consume(1, wait(0));
    let poll = script.consume(1, wait(10_000));
    script.hold(Work::Append);
    let id = script.produce("orders", 0, 1);
    for command in script.take(Work::Append) {
        let Command::Append { id, log, .. } = command else { continue };
        script.event(Event::Appended { id, log, result: Err(StorageError::Full) });
    }
    assert!(unavailable(&script.refusal(id), Applied::Nothing));
    assert!(script.is_open(poll));
    insta::assert_snapshot!(script.story());
}

#[test]
fn of_two_partitions_the_one_that_failed_is_named() {
    let mut script = delivering();
    script.hold(Work::Append);
    let batch = |partition| ProduceBatch { partition, records: 1, bytes: 100, ..ProduceBatch::default() };
    let batches = Parts::from_vec(vec![batch(0), batch(1)]);
    let id = script.ask(Request::Produce { topic: topic("orders"), batches });
    for command in script.take(Work::Append) {
        let Command::Append { id, log, .. } = command else { continue };
        let at = AppendedAt { base_offset: Offset(3), end: Offset(4), duplicate: false };
        let result = if id.partition == 0 { Ok(at) } else { Err(StorageError::Overloaded) };
        script.event(Event::Appended { id, log, result });
    }
    let Ok(Response::Produced(batches)) = script.answer(id) else { panic!("one of two was appended") };
    assert_eq!(batches[0].result, Ok(Offset(3)));
    assert_eq!(batches[1].result, Err(StorageError::Overloaded));
    insta::assert_snapshot!(script.story());
}

#[test]
fn who_waits_for_facts_is_told_when_storage_stalls() {
    let mut script = delivering();
    script.hold(Work::Persist);
    let (commit, create) = (script.commit(1, "orders", 0, 1), script.create("visits", 1));
    script.storage(StorageState::Stalled(StorageError::Full));
    assert!(unavailable(&script.refusal(commit), Applied::Unknown));
    assert!(unavailable(&script.refusal(create), Applied::Unknown));
    script.release(Work::Persist);
    script.storage(StorageState::Ok);
    assert_eq!(script.committed("billing"), [(0, 1)]);
    insta::assert_snapshot!(script.story());
}

#[test]
fn while_storage_stalls_writes_are_refused_and_polls_go_on() {
    let mut script = delivering();
    script.hold(Work::Persist);
    script.storage(StorageState::Stalled(StorageError::Full));
    refuses_writes_and_delivers(&mut script);
    script.release(Work::Persist);
    script.storage(StorageState::Ok);
    let id = script.commit_all(1);
    assert!(script.answer(id).is_ok());
    insta::assert_snapshot!(script.story());
}

#[test]
fn when_storage_failed_writes_are_refused_and_polls_go_on() {
    let mut script = delivering();
    script.hold(Work::Persist);
    script.storage(StorageState::Failed(StorageError::Failed("fsync".into())));
    refuses_writes_and_delivers(&mut script);
    let id = script.produce("orders", 0, 1);
    assert!(unavailable(&script.refusal(id), Applied::Nothing));
    insta::assert_snapshot!(script.story());
}

fn refuses_writes_and_delivers(script: &mut Script) {
    let poll = script.consume(1, wait(0));
    assert_eq!(script.brought(poll), [(0, 0, 3)]);
    let refused = [
        script.commit_all(1),
        script.subscribe(2, "billing", &["orders"], manual()),
        script.seek(1, "orders", 0, 0),
        script.assign(1, "orders", &[0]),
        script.create("visits", 1),
        script.grow("orders", 3),
        script.delete("orders"),
        script.close(1),
    ];
    for id in refused {
        assert!(unavailable(&script.refusal(id), Applied::Nothing), "{id:?}");
    }
    let read = script.read("orders", 0, 0, wait(0));
    assert!(script.answer(read).is_ok());
}

#[test]
fn nobody_waits_for_facts_that_a_failed_storage_will_not_take() {
    let mut script = delivering();
    script.subscribe(2, "billing", &["orders"], manual());
    script.consume(1, wait(0));
    script.hold(Work::Persist);
    script.storage(StorageState::Failed(StorageError::Failed("fsync".into())));
    script.pass(29_000);
    script.describe(1);
    script.pass(1_000);
    let poll = script.consume(1, wait(0));
    assert!(unavailable(&script.refusal(poll), Applied::Unknown), "it shows what a restart will not know");
    assert_eq!(script.core().open_requests(), 0);
    script.crash();
    script.release(Work::Persist);
    assert_eq!((script.held_by(1), script.held_by(2)), (vec![0], vec![1]));
    insta::assert_snapshot!(script.story());
}

#[test]
fn one_uncertain_partition_makes_the_whole_request_uncertain() {
    for uncertain in 0..2 {
        let mut script = delivering();
        script.hold(Work::Append);
        let batch = |partition| ProduceBatch { partition, records: 1, bytes: 100, ..ProduceBatch::default() };
        let batches = Parts::from_vec(vec![batch(0), batch(1)]);
        let id = script.ask(Request::Produce { topic: topic("orders"), batches });
        for command in script.take(Work::Append) {
            let Command::Append { id, log, .. } = command else { continue };
            let failed = if id.partition == uncertain { StorageError::Uncertain } else { StorageError::Failed };
            script.event(Event::Appended { id, log, result: Err(failed("fsync".into())) });
        }
        assert!(unavailable(&script.refusal(id), Applied::Unknown), "partition {uncertain} is the uncertain one");
    }
}
