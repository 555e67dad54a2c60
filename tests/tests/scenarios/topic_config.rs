//! How a topic's logs are kept: set at its creation or later, checked, durable, and told to the engine.

use takhin_core::{
    Applied, Cleanup, Command, Compression, Event, Fact, Refusal, Request, Response, StorageError, TopicConfig,
    TopicConfigChange, TopicId,
};
use takhin_core::{Durable, response::TopicDescription};
use takhin_tests::script::{Script, Work, topic};

fn described(script: &mut Script, name: &str) -> TopicDescription {
    match script.get(Request::DescribeTopic { name: topic(name) }) {
        Response::Topic(description) => description,
        other => panic!("no topic: {other:?}"),
    }
}

#[test]
fn what_a_topic_is_created_with_is_told_to_the_engine_before_its_logs_are_made() {
    let mut script = Script::default();
    let config = TopicConfig { retention_ms: 60_000, cleanup: Cleanup::Both, ..TopicConfig::default() };
    script.create_with("orders", 2, config);
    assert_eq!(described(&mut script, "orders").config, config);
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_change_sets_what_it_names_and_is_not_told_before_it_is_durable() {
    let mut script = Script::default();
    script.create_with("orders", 1, TopicConfig { retention_bytes: 7, ..TopicConfig::default() });
    script.hold(Work::Persist);
    let change = TopicConfigChange { compression: Some(Compression::Zstd), ..TopicConfigChange::default() };
    let changed = script.configure("orders", change, None);
    let asked = script.ask(Request::DescribeTopic { name: topic("orders") });
    let listed = script.ask(Request::ListTopics);
    assert!(script.is_open(changed) && script.is_open(asked) && script.is_open(listed));
    script.release(Work::Persist);
    let config = TopicConfig { retention_bytes: 7, compression: Compression::Zstd, ..TopicConfig::default() };
    assert_eq!(described(&mut script, "orders").config, config);
    assert!(script.answer(asked).is_ok() && script.answer(listed).is_ok());
    insta::assert_snapshot!(script.story());
}

#[test]
fn a_change_that_is_refused_changes_nothing() {
    let mut script = Script::default();
    script.create("orders", 2);
    let bad = TopicConfigChange { segment_bytes: Some(1), ..TopicConfigChange::default() };
    let good = TopicConfigChange { segment_bytes: Some(4096), ..TopicConfigChange::default() };
    let refused = script.configure("orders", bad, Some(3));
    assert!(matches!(script.refusal(refused), Refusal::OutOfRange { value: 1, min: 1024, .. }));
    let refused = script.configure("orders", good, Some(2));
    assert!(matches!(script.refusal(refused), Refusal::PartitionsCanOnlyGrow { .. }));
    let refused = script.configure("visits", good, None);
    assert!(matches!(script.refusal(refused), Refusal::TopicNotFound { .. }));
    let bad = TopicConfig { retention_ms: -2, ..TopicConfig::default() };
    let refused = script.create_with("visits", 1, bad);
    assert!(matches!(script.refusal(refused), Refusal::OutOfRange { value: -2, min: -1, .. }));
    let after = described(&mut script, "orders");
    assert_eq!((after.config, after.partitions.len()), (TopicConfig::default(), 2));
    insta::assert_snapshot!(script.story());
}

#[test]
fn settings_and_partitions_change_together() {
    let mut script = Script::default();
    script.create("orders", 1);
    let change = TopicConfigChange { segment_bytes: Some(4096), ..TopicConfigChange::default() };
    let id = script.configure("orders", change, Some(3));
    let Ok(Response::Topic(after)) = script.answer(id) else { panic!("not changed") };
    assert_eq!((after.config.segment_bytes, after.partitions.len()), (4096, 3));
    insta::assert_snapshot!(script.story());
}

#[test]
fn settings_stay_as_they_were_where_the_partitions_asked_for_with_them_cannot_be_made() {
    let mut script = Script::default();
    script.create("orders", 1);
    script.hold(Work::CreateLogs);
    let change = TopicConfigChange { retention_ms: Some(1000), ..TopicConfigChange::default() };
    let id = script.configure("orders", change, Some(3));
    let meanwhile = TopicConfigChange { segment_bytes: Some(4096), ..TopicConfigChange::default() };
    let other = script.configure("orders", meanwhile, None);
    assert!(script.answer(other).is_ok());
    for command in script.take(Work::CreateLogs) {
        let Command::CreateLogs { topic, partitions, .. } = command else { continue };
        script.event(Event::LogsCreated { topic, partitions, result: Err(StorageError::Full) });
    }
    assert!(matches!(script.refusal(id), Refusal::StorageUnavailable { applied: Applied::Nothing, .. }));
    let config = TopicConfig { segment_bytes: 4096, ..TopicConfig::default() };
    assert_eq!(described(&mut script, "orders").config, config);
    script.crash();
    assert_eq!(described(&mut script, "orders").config, config);
    assert_eq!(described(&mut script, "orders").partitions.len(), 1);
    insta::assert_snapshot!(script.story());
}

#[test]
fn what_is_set_while_partitions_are_made_stands_beside_what_was_set_with_them() {
    let mut script = Script::default();
    script.create("orders", 1);
    script.hold(Work::CreateLogs);
    let change = TopicConfigChange { retention_ms: Some(1000), ..TopicConfigChange::default() };
    let id = script.configure("orders", change, Some(3));
    assert_eq!(described(&mut script, "orders").config, TopicConfig::default(), "nothing is kept by it yet");
    let meanwhile = TopicConfigChange { segment_bytes: Some(4096), ..TopicConfigChange::default() };
    script.configure("orders", meanwhile, None);
    script.release(Work::CreateLogs);
    let config = TopicConfig { segment_bytes: 4096, retention_ms: 1000, ..TopicConfig::default() };
    assert!(matches!(script.answer(id), Ok(Response::Topic(topic)) if topic.config == config));
    script.crash();
    assert_eq!(described(&mut script, "orders").config, config);
    insta::assert_snapshot!(script.story());
}

#[test]
fn settings_outlive_a_crash() {
    let mut script = Script::default();
    script.create("orders", 1);
    let change = TopicConfigChange { max_message_bytes: Some(100), ..TopicConfigChange::default() };
    script.configure("orders", change, None);
    script.crash();
    assert_eq!(described(&mut script, "orders").config.max_message_bytes, 100);
    insta::assert_snapshot!(script.story());
}

#[test]
fn facts_and_snapshots_from_before_there_were_settings_are_read() {
    let fact = r#"{"topic_created":{"topic":7,"name":"orders","partitions":2}}"#;
    let fact: Fact = serde_json::from_str(fact).expect("an old fact");
    let state = r#"{"topics":{"7":{"name":"orders","partitions":2}},"groups":{},"consumers":{},"ended":[]}"#;
    let state: Durable = serde_json::from_str(state).expect("an old snapshot");
    let mut folded = Durable::default();
    folded.apply(&fact, 0);
    assert_eq!(folded, state);
    assert_eq!(state.topics[&TopicId(7)].config, TopicConfig::default());
    // A setting that came later has its default.
    let fact = r#"{"topic_configured":{"topic":7,"config":{"retention_ms":5}}}"#;
    folded.apply(&serde_json::from_str(fact).expect("a fact with fewer settings"), 0);
    let expected = TopicConfig { retention_ms: 5, ..TopicConfig::default() };
    assert_eq!(folded.topics[&TopicId(7)].config, expected);
}
