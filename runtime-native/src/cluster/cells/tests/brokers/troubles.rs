//! What is wrong with a journal is told and stops the cell; it is never passed over.

use std::time::Duration;

use rdkafka::{
    Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    producer::{BaseProducer, BaseRecord, Producer},
};
use takhin_core::cell::StepDown;

use super::{
    super::super::{Cells, CellsError, MAX_ENTRY_BYTES},
    site::{Site, config, prefix},
};

fn append(topic: &str, payload: &[u8]) {
    let producer: BaseProducer = config("", 1).client.create().expect("a client");
    producer.send(BaseRecord::<(), _>::to(topic).partition(0).payload(payload)).expect("room for one");
    producer.flush(Duration::from_secs(20)).expect("it is sent");
}

#[test]
#[ignore = "needs brokers"]
fn a_journal_with_something_else_in_it_is_owned_by_nobody() {
    for foreign in [b"hello".as_slice(), b"{\"v\":2,\"entry\":{\"later\":1}}\n"] {
        let prefix = prefix("foreign");
        let first = Site::start(config(&prefix, 1));
        first.owns(0);
        first.keep(0, "a fact");
        append(&format!("{prefix}journal"), foreign);
        let number = first.decide(0, "another");
        first.wait(0, |state| state.step_downs.contains(&StepDown::Torn));
        assert!(first.on(0, |state| state.persisted) < number, "nothing behind it is said to be kept");
        assert!(!first.cells.serves(0));
        first.cells.stop();
        let second = Site::start(config(&prefix, 1));
        second.wait(0, |state| state.step_downs.contains(&StepDown::Torn));
        assert_eq!(second.on(0, |state| state.owned), 0);
        second.cells.stop();
    }
}

#[test]
#[ignore = "needs brokers"]
fn a_fact_as_large_as_an_entry_may_be_is_kept_and_read_again() {
    let prefix = prefix("large");
    let first = Site::start(config(&prefix, 1));
    first.owns(0);
    first.keep(0, &"x".repeat(MAX_ENTRY_BYTES - (64 << 10)));
    let facts = first.facts(0);
    first.cells.stop();
    let second = Site::start(config(&prefix, 1));
    second.owns(0);
    assert!(second.facts(0) == facts, "it is what it was");
    second.cells.stop();
}

fn blocking<T>(outcome: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(outcome)
}

#[test]
#[ignore = "needs brokers"]
fn a_journal_that_lacks_what_no_snapshot_has_is_owned_by_nobody() {
    let prefix = prefix("lacks");
    let first = Site::start(config(&prefix, 1));
    first.owns(0);
    for _ in 0..20 {
        first.keep(0, "a fact");
    }
    drop(first);
    let mut offsets = TopicPartitionList::new();
    offsets.add_partition_offset(&format!("{prefix}journal"), 0, Offset::Offset(10)).expect("a place");
    let admin: AdminClient<_> = config("", 1).client.create().expect("a client");
    blocking(admin.delete_records(&offsets, &AdminOptions::new())).expect("ten entries are gone");
    let second = Site::start(config(&prefix, 1));
    second.wait(0, |state| state.step_downs.contains(&StepDown::Torn));
    assert_eq!(second.on(0, |state| state.owned), 0);
    second.cells.stop();
}

#[test]
#[ignore = "needs brokers"]
fn a_topic_that_forgets_by_itself_is_refused() {
    let prefix = prefix("forgets");
    let name = format!("{prefix}journal");
    let topic = NewTopic::new(&name, 1, TopicReplication::Fixed(1)).set("retention.ms", "86400000");
    let admin: AdminClient<_> = config("", 1).client.create().expect("a client");
    blocking(admin.create_topics([&topic], &AdminOptions::new())).expect("it is made");
    let refused = Cells::start(config(&prefix, 1), |_| unreachable!("there is no cell"));
    let wrong = refused.expect_err("a journal is for ever").to_string();
    assert_eq!(wrong, format!("the topic {prefix}journal has retention.ms=86400000, and needs -1"));
}

#[test]
#[ignore = "needs brokers"]
fn a_cluster_that_cannot_be_reached_is_told_in_time() {
    let mut nowhere = config(&prefix("nowhere"), 1);
    nowhere.client.set("bootstrap.servers", "127.0.0.1:1");
    nowhere.timeout = Duration::from_secs(1);
    let refused = Cells::start(nowhere, |_| unreachable!("there is no cell"));
    assert!(matches!(refused, Err(CellsError::Kafka { .. })), "{refused:?}");
}

#[test]
fn configurations_that_make_no_sense_are_refused() {
    let valid = || {
        let mut client = rdkafka::ClientConfig::new();
        client.set("bootstrap.servers", "127.0.0.1:1");
        let (lease, session_timeout, timeout) =
            (Duration::from_secs(3), Duration::from_secs(6), Duration::from_secs(9));
        let (prefix, address) = ("p.".to_owned(), "http://127.0.0.1:1".to_owned());
        let (cells, replication, snapshot_bytes) = (1, None, 1);
        super::super::super::CellsConfig {
            client,
            prefix,
            topic_prefix: String::new(),
            cells,
            replication,
            address,
            lease,
            session_timeout,
            snapshot_bytes,
            timeout,
        }
    };
    let mut configs = [valid(), valid(), valid(), valid(), valid()];
    configs[0].cells = 0;
    configs[1].replication = Some(0);
    configs[2].lease = Duration::from_millis(1);
    configs[3].lease = Duration::from_hours(2);
    configs[4].timeout = Duration::ZERO;
    for config in configs {
        let refused = Cells::start(config.clone(), |_| unreachable!("there is no cell"));
        assert!(matches!(refused, Err(CellsError::Config(_) | CellsError::Times(_))), "{config:?}: {refused:?}");
    }
}
