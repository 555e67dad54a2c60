//! A member that sends heartbeats and never polls is removed.

use std::{thread, time::Duration};

use serde_json::json;
use takhin_tests::broker::{Broker, Options};

#[test]
fn heartbeats_alone_do_not_keep_a_member() {
    let broker = Broker::start(Options::quick());
    let client = broker.client();
    client.create_topic("t", 1);
    let consumer = client.subscribe("g", &["t"], &json!({"max_poll_interval_ms": 1_000}));
    let gone = loop {
        let (status, answer) = client.post(&format!("{consumer}/heartbeat"), &json!({}));
        if status != 200 {
            break (status, answer);
        }
        thread::sleep(Duration::from_millis(20));
    };
    assert_eq!((gone.0, &gone.1["code"]), (404, &json!("consumer_expired")), "{}", gone.1);
    assert_eq!(gone.1["details"]["reason"], "poll_interval");
    let (_, group) = client.get("/api/consumer-groups");
    assert_eq!(group, json!({"groups": []}), "nothing was committed");
}
