//! Beginning a duration before now.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;
use takhin_tests::{
    api::values,
    broker::{Broker, Options},
};

#[test]
fn a_consumer_begins_so_long_ago() {
    let broker = Broker::start(Options::quick());
    let client = broker.client();
    client.create_topic("t", 1);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_millis();
    let now = u64::try_from(now).expect("a date");
    let record = |hours: u64| json!({"value": format!("{hours}"), "timestamp": now - hours * 3_600_000});
    client.produce("t", &json!([record(30), record(20), record(2), record(0)]));
    let consumer = client.subscribe("g", &["t"], &json!({"auto_offset_reset": "by_duration:PT3H"}));
    assert_eq!(client.get(&consumer).1["auto_offset_reset"], "by_duration:PT3H");
    assert_eq!(values(&client.poll(&consumer, &json!({"timeout_ms": 50_000}))["records"]), ["2", "0"]);
    for bad in ["by_duration:", "by_duration:3h", "by_duration:P1Y", "by_duration"] {
        let body = json!({"group_id": "g", "topics": ["t"], "auto_offset_reset": bad});
        let (status, answer) = client.post("/api/consumers/subscribe", &body);
        assert_eq!((status, &answer["code"]), (422, &json!("invalid_value")), "{answer}");
        assert_eq!(answer["details"]["field"], "auto_offset_reset");
    }
}
