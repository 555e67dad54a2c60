//! What others do on the same Kafka: a producer with a transaction, and somebody who changes a topic of the cluster's own.

use std::{thread, time::Duration};

use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, AlterConfig, ResourceSpecifier},
    client::DefaultClientContext,
    producer::{BaseProducer, BaseRecord, Producer},
};
use serde_json::{Value, json};
use takhin_tests::{
    api::{offsets, values},
    client::Client,
};

use crate::nodes::{Nodes, SESSION_TIMEOUT_MS, brokers};

const PATIENCE: Duration = Duration::from_mins(1);

fn client<T: rdkafka::config::FromClientConfig>(settings: &[(&str, &str)]) -> T {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", brokers());
    for (key, value) in settings {
        config.set(*key, *value);
    }
    config.create().expect("a client")
}

/// Writes a record in a transaction that stays open.
fn begin(producer: &BaseProducer, topic: &str, value: &str) {
    producer.begin_transaction().expect("a transaction begins");
    let record = BaseRecord::<[u8], str>::to(topic).partition(0).payload(value);
    producer.send(record).map_err(|(error, _)| error).expect("it is sent");
    producer.flush(PATIENCE).expect("it is written");
}

/// Polls until so many records have come.
fn polls(client: &Client, consumer: &str, count: usize) -> Vec<Value> {
    let mut all = Vec::new();
    while all.len() < count {
        let polled = client.poll(consumer, &json!({"timeout_ms": 30_000}));
        all.extend(polled["records"].as_array().expect("records").iter().cloned());
    }
    all
}

#[test]
#[ignore = "needs brokers"]
fn what_stands_behind_an_open_transaction_comes_once_it_ends_and_without_what_was_aborted() {
    let nodes = Nodes::start(2);
    let topic = nodes.topic("transactions");
    nodes.client(0).create_topic(&topic, 1);
    let wish = json!({"session_timeout_ms": SESSION_TIMEOUT_MS});
    // Of several groups, so that polls wait at both nodes.
    let consumers: Vec<String> =
        ["a", "b", "c", "d"].iter().map(|group| nodes.client(0).subscribe(group, &[&topic], &wish)).collect();
    let producer: BaseProducer = client(&[("transactional.id", &topic)]);
    producer.init_transactions(PATIENCE).expect("a broker knows of it");
    // Each transaction ends with a marker, which has an offset, too.
    for (round, commits) in [true, false, true].into_iter().enumerate() {
        let first = 3 * round as u64;
        begin(&producer, &topic, "theirs");
        assert_eq!(nodes.client(round % 2).produce_values(&topic, 0, &["ours"]), first + 1, "it is answered at once");
        for (number, consumer) in consumers.iter().enumerate() {
            let polled = nodes.client(number % 2).poll(consumer, &json!({"timeout_ms": 100}));
            assert_eq!(values(&polled["records"]), Vec::<String>::new());
        }
        assert_eq!(nodes.client(1).read_from(&topic, 0, first), Vec::<Value>::new());

        let (expected, at) =
            if commits { (vec!["theirs", "ours"], vec![first, first + 1]) } else { (vec!["ours"], vec![first + 1]) };
        thread::scope(|scope| {
            let waiting: Vec<_> = consumers
                .iter()
                .map(|consumer| {
                    let (client, count) = (nodes.client(1), expected.len());
                    scope.spawn(move || polls(&client, consumer, count))
                })
                .collect();
            while nodes.parked(0) + nodes.parked(1) < consumers.len() as u64 {
                thread::yield_now();
            }
            if commits {
                producer.commit_transaction(PATIENCE).expect("committed");
            } else {
                producer.abort_transaction(PATIENCE).expect("aborted");
            }
            for polled in waiting {
                let polled = Value::from(polled.join().expect("no panic"));
                assert_eq!((values(&polled), offsets(&polled)), (own(&expected), at.clone()));
            }
        });
        let read = Value::from(nodes.client(0).read_from(&topic, 0, first));
        assert_eq!((values(&read), offsets(&read)), (own(&expected), at));
    }
}

fn own(values: &[&str]) -> Vec<String> {
    values.iter().map(|value| (*value).to_owned()).collect()
}

/// Sets what batches a journal takes. All that is not named is as for any topic then, so all is named.
fn set_max_message_bytes(journal: &str, bytes: &str) {
    let admin: AdminClient<DefaultClientContext> = client(&[]);
    let settings = [
        ("cleanup.policy", "delete"),
        ("retention.ms", "-1"),
        ("retention.bytes", "-1"),
        ("unclean.leader.election.enable", "false"),
        ("max.message.bytes", bytes),
    ];
    let change = AlterConfig::new(ResourceSpecifier::Topic(journal));
    let change = settings.into_iter().fold(change, |change, (key, value)| change.set(key, value));
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let changed = runtime.block_on(admin.alter_configs([&change], &AdminOptions::new()));
    assert!(changed.as_ref().is_ok_and(|changed| changed.iter().all(Result::is_ok)), "{changed:?}");
}

#[test]
#[ignore = "needs brokers"]
fn a_journal_that_takes_too_little_loses_nothing_and_goes_on_when_it_is_set_right() {
    let mut nodes = Nodes::start(1);
    let client = nodes.client(0);
    let topic = nodes.topic("small");
    client.create_topic(&topic, 1);
    client.produce_values(&topic, 0, &["a", "b", "c"]);
    let wish = json!({"session_timeout_ms": SESSION_TIMEOUT_MS, "auto_commit": false});
    let consumer = client.subscribe("g", &[&topic], &wish);
    let commit = |client: &Client, offset: u64, metadata: &str| {
        let body = json!({"offsets": {&topic: {"0": offset}}, "metadata": {&topic: {"0": metadata}}});
        client.post(&format!("{consumer}/commit"), &body)
    };
    // Who is told to come again does.
    let commits = |client: &Client, offset, metadata: &str| {
        loop {
            match commit(client, offset, metadata) {
                (200, _) => return,
                (status, refused) => assert_eq!((status, &refused["retryable"]), (503, &json!(true)), "{refused}"),
            }
        }
    };
    let committed = |client: &Client| loop {
        let (status, told) = client.get(&format!("{consumer}/committed"));
        if status != 503 {
            assert_eq!(status, 200, "{told}");
            return (told["offsets"][&topic]["0"].clone(), told["metadata"][&topic]["0"].clone());
        }
    };
    let large = "x".repeat(4_096);
    commits(&client, 1, "small");
    set_max_message_bytes(&nodes.journal(), "3000");
    // Brokers hear of it one after the other.
    let mut acknowledged = (json!(1), json!("small"));
    let refused = loop {
        match commit(&client, 2, &large) {
            (200, _) => acknowledged = (json!(2), json!(large)),
            refused => break refused,
        }
    };
    assert_eq!((refused.0, &refused.1["retryable"]), (503, &json!(true)), "{}", refused.1);
    assert_eq!(committed(&client), acknowledged, "it is as it was");
    let log = nodes.nodes[0].log();
    assert!(log.contains("an entry is more than its topic takes") && log.contains("max.message.bytes"), "{log}");
    // What fits goes on, with the same consumer.
    commits(&client, 1, "fits");
    client.produce_values(&topic, 0, &["d"]);
    while polls(&client, &consumer, 1).last().expect("a record")["value"] != "d" {}

    set_max_message_bytes(&nodes.journal(), &((16 << 20) + (64 << 10)).to_string());
    commits(&client, 3, &large);
    nodes.nodes[0].kill9();
    nodes.nodes[0].restart();
    assert_eq!(committed(&nodes.client(0)), (json!(3), json!(large)));
}
