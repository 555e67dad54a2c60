//! Topics: they come, grow and go, under consumers too.

use takhin_core::{Command, Event, FetchedPart, Parts, ReadError, Refusal, Request, StorageError};
use takhin_tests::script::{Script, Work, manual, topic, wait};

#[test]
fn a_name_is_given_once() {
    let mut script = Script::default();
    script.create("orders", 2);
    let again = script.create("orders", 2);
    assert!(matches!(script.refusal(again), Refusal::TopicExists { .. }));
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_topic_is_not_shown_before_it_can_be_used() {
    for work in [Work::Persist, Work::CreateLogs] {
        let mut script = Script::default();
        script.hold(work);
        let id = script.create("orders", 1);
        assert!(script.is_open(id));
        assert!(script.core().topic("orders").is_none());
        let early = script.produce("orders", 0, 1);
        assert!(matches!(script.refusal(early), Refusal::TopicNotFound { .. }));
        let twice = script.create("orders", 1);
        assert!(matches!(script.refusal(twice), Refusal::TopicExists { .. }));
        script.release(work);
        assert!(script.answer(id).is_ok());
        script.story();
    }
}

#[test]
fn a_topic_grows_and_never_shrinks() {
    let mut script = Script::default();
    script.create("orders", 2);
    for partitions in [1, 2] {
        let id = script.grow("orders", partitions);
        assert!(matches!(script.refusal(id), Refusal::PartitionsCanOnlyGrow { partitions: 2, .. }));
    }
    let id = script.grow("orders", 3);
    assert!(script.answer(id).is_ok());
    let id = script.produce("orders", 2, 1);
    assert!(script.answer(id).is_ok());
    insta::assert_snapshot!(script.story());
}

#[test]
fn deleting_takes_partitions_offsets_and_polls_along() {
    let mut script = Script::default();
    script.create("orders", 1);
    script.create("visits", 1);
    script.produce("orders", 0, 1);
    script.subscribe(1, "billing", &["orders", "visits"], manual());
    script.consume(1, wait(0));
    script.commit_all(1);
    let poll = script.consume(1, wait(10_000));
    let read = script.read("orders", 0, 1, wait(10_000));
    script.delete("orders");
    assert_eq!(script.told(poll), (vec![], vec![0]));
    assert!(matches!(script.refusal(read), Refusal::TopicNotFound { .. }));
    assert!(script.committed("billing").is_empty());
    script.create("orders", 1);
    let poll = script.consume(1, wait(0));
    assert_eq!(script.told(poll), (vec![0], vec![]));
    assert!(script.brought(poll).is_empty(), "it is another topic of the same name");
    insta::assert_snapshot!(script.story());
}

#[test]
fn records_on_their_way_to_a_deleted_topic_are_answered() {
    let mut script = Script::default();
    script.create("orders", 1);
    script.hold(Work::Append);
    let id = script.produce("orders", 0, 1);
    script.delete("orders");
    script.release(Work::Append);
    assert!(!script.is_open(id));
    insta::assert_snapshot!(script.story());
}

#[test]
fn logs_go_only_after_the_deletion_is_durable() {
    let mut script = Script::default();
    script.create("orders", 1);
    script.produce("orders", 0, 3);
    script.hold(Work::Persist);
    let id = script.delete("orders");
    assert!(script.is_open(id));
    script.crash();
    script.release(Work::Persist);
    let read = script.read("orders", 0, 0, wait(0));
    assert!(script.answer(read).is_ok(), "the deletion was not durable, so it did not happen");
    insta::assert_snapshot!(script.story());
}

/// Fails the making of logs that was held back.
fn fail_logs(script: &mut Script) {
    for command in script.take(Work::CreateLogs) {
        let Command::CreateLogs { topic, partitions, .. } = command else { continue };
        script.event(Event::LogsCreated { topic, partitions, result: Err(StorageError::Full) });
    }
    script.release(Work::CreateLogs);
}

#[test]
fn a_topic_whose_logs_cannot_be_made_is_not_there() {
    let mut script = Script::default();
    script.hold(Work::CreateLogs);
    let id = script.create("orders", 2);
    fail_logs(&mut script);
    assert!(matches!(script.refusal(id), Refusal::StorageUnavailable { error: StorageError::Full, .. }));
    let retry = script.create("orders", 2);
    assert!(script.answer(retry).is_ok());
    insta::assert_snapshot!(script.story());
}

#[test]
fn growth_whose_logs_cannot_be_made_leaves_the_topic_as_it_was() {
    let mut script = Script::default();
    script.create("orders", 1);
    script.hold(Work::CreateLogs);
    let id = script.grow("orders", 3);
    fail_logs(&mut script);
    assert!(matches!(script.refusal(id), Refusal::StorageUnavailable { .. }));
    assert_eq!(script.core().topic("orders").map(|topic| topic.partitions), Some(1));
    script.crash();
    assert_eq!(script.core().topic("orders").map(|topic| topic.partitions), Some(1));
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_creation_that_failed_is_told_only_when_no_restart_can_bring_it_back() {
    let mut script = Script::default();
    script.hold(Work::CreateLogs);
    let id = script.create("orders", 1);
    script.hold(Work::Persist);
    fail_logs(&mut script);
    assert!(script.is_open(id), "the fact of its creation is durable, that of its end is not");
    script.release(Work::Persist);
    assert!(matches!(script.refusal(id), Refusal::StorageUnavailable { .. }));
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_crash_between_the_fact_and_the_logs_leaves_a_usable_topic() {
    let mut script = Script::default();
    script.hold(Work::CreateLogs);
    script.create("orders", 1);
    script.crash();
    script.release(Work::CreateLogs);
    let id = script.produce("orders", 0, 1);
    assert!(script.answer(id).is_ok());
    insta::assert_snapshot!(script.story());
}

#[test]
fn deleting_a_topic_that_is_growing_ends_the_growth() {
    let mut script = Script::default();
    script.create("orders", 1);
    script.hold(Work::CreateLogs);
    let growth = script.grow("orders", 2);
    let deletion = script.delete("orders");
    script.release(Work::CreateLogs);
    assert!(matches!(script.refusal(growth), Refusal::TopicNotFound { .. }));
    assert!(script.answer(deletion).is_ok());
    script.get(Request::ListTopics);
    let gone = script.ask(Request::DescribeTopic { name: topic("orders") });
    assert!(matches!(script.refusal(gone), Refusal::TopicNotFound { .. }));
    insta::assert_snapshot!(script.story());
}

#[test]
fn who_loses_a_topic_is_told_a_new_generation() {
    let mut script = Script::default();
    script.create("orders", 1);
    script.create("visits", 1);
    script.subscribe(1, "billing", &["orders", "visits"], manual());
    script.subscribe(2, "billing", &["orders"], manual());
    script.consume(1, wait(0));
    script.consume(2, wait(0));
    let before = script.generation("billing");
    script.delete("visits");
    let told = script.consume(1, wait(0));
    assert_eq!(script.consumed(told).generation.0, before + 1);
    let late = script.commit_in(1, before, "orders", 0, 0);
    assert!(matches!(script.refusal(late), Refusal::StaleGeneration { .. } | Refusal::PartitionNotAssigned { .. }));
}

#[test]
fn a_read_under_way_of_a_topic_that_is_deleted_is_told_so() {
    let mut script = Script::default();
    script.create("orders", 1);
    script.produce("orders", 0, 1);
    script.hold(Work::Fetch);
    let [fails, finds_nothing] = [0, 0].map(|offset| script.read("orders", 0, offset, wait(0)));
    script.delete("orders");
    let results = [Some(ReadError::Storage(StorageError::Failed("no such file".into()))), None];
    for (command, error) in script.take(Work::Fetch).into_iter().zip(results) {
        let Command::Fetch { id, parts, .. } = command else { continue };
        let (log, from) = (parts[0].log, parts[0].from);
        let part = FetchedPart { log, from, next: from, records: 0, bytes: 0, error };
        script.event(Event::Fetched { id, parts: Parts::from_elem(part, 1) });
    }
    for read in [fails, finds_nothing] {
        assert!(matches!(script.refusal(read), Refusal::TopicNotFound { .. }));
    }
    insta::assert_snapshot!(script.story());
}
