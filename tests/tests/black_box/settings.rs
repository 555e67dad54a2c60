//! What the environment can set, and how.

use std::process::Command;

use serde_json::json;
use takhin_tests::{
    broker::{self, Broker, Options},
    local_only,
};
use tempfile::TempDir;

fn with_environment(variables: &[(&str, &str)]) -> Options {
    let environment = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Options { environment, ..Options::default() }
}

/// How a server answers a subscription to a topic that isn't there, and with how many partitions it is made.
fn subscribed_to_nothing(auto_create: &str) -> (u16, Option<usize>) {
    let broker = Broker::start(with_environment(&[("TAKHIN_AUTO_CREATE_TOPICS", auto_create)]));
    let (status, consumer) =
        broker.client().post("/api/consumers/subscribe", &json!({"group_id": "g", "topics": ["new"]}));
    (status, consumer["assignment"]["new"].as_array().map(Vec::len))
}

#[test]
fn a_variable_without_a_value_is_as_good_as_none() {
    local_only!("a node has no durability of its own to tell of");
    let names = ["TAKHIN_LISTEN", "TAKHIN_DATA_DIR", "TAKHIN_DURABILITY", "TAKHIN_AUTO_CREATE_TOPICS", "TAKHIN_LOG"];
    let broker = Broker::start(with_environment(&names.map(|name| (name, ""))));
    assert!(broker.log().contains("synced to disk before each answer (fsync)"), "{}", broker.log());
}

#[test]
fn topics_made_on_first_use_are_switched_on_and_off() {
    assert_eq!(subscribed_to_nothing("true"), (200, Some(1)));
    assert_eq!(subscribed_to_nothing("1"), (200, Some(1)));
    assert_eq!(subscribed_to_nothing("3"), (200, Some(3)));
    assert_eq!(subscribed_to_nothing("false"), (404, None));
    assert_eq!(subscribed_to_nothing("0"), (404, None));
}

#[test]
fn a_value_that_is_none_is_refused_with_what_would_be_one() {
    let directory = TempDir::new().expect("a temporary directory can be made");
    for (name, value, expected) in [
        ("TAKHIN_AUTO_CREATE_TOPICS", "yes", "expected true, false, or a number of partitions from 1 to 10000"),
        ("TAKHIN_AUTO_CREATE_TOPICS", "10001", "expected true, false, or a number of partitions from 1 to 10000"),
        ("TAKHIN_DURABILITY", "none", "expected fsync, interval:MS or os"),
        ("TAKHIN_KAFKA_REST", "kafka", "expected a path as in /kafka"),
        ("TAKHIN_KAFKA_REST_COMMIT", "later", "expected next or raw"),
        ("TAKHIN_KAFKA_REST_INSTANCE_TIMEOUT_MS", "999", "999 is not in 1000..=1800000"),
    ] {
        let mut command = Command::new(broker::program());
        command.arg("serve").current_dir(directory.path()).env(name, value);
        let (status, printed) = broker::run_to_its_end(&mut command, &directory.path().join("log"));
        assert!(!status.success() && printed.contains(expected), "{name}={value}: {status}\n{printed}");
    }
}
