//! What an operator does with a group that nobody is in.

use serde_json::{Value, json};
use takhin_tests::{
    broker::{Broker, Options},
    client::Client,
};

const START: u64 = 1_700_000_000_000;
const OFFSETS: &str = "/api/consumer-groups/g/offsets";

/// A group that committed offset 3 of partition 0 of `t` and left; 5 records, a second apart, in each of two partitions.
fn broker() -> (Broker, Client) {
    let broker = Broker::start(Options::quick());
    let client = broker.client();
    client.create_topic("t", 2);
    for partition in 0..2 {
        let record = |second: u64| json!({"partition": partition, "value": "v", "timestamp": START + second * 1_000});
        client.produce("t", &(0..5).map(record).collect());
    }
    let consumer = client.subscribe("g", &["t"], &json!({}));
    assert_eq!(client.post(&format!("{consumer}/commit"), &json!({"offsets": {"t": {"0": 3}}})).0, 200);
    assert_eq!(client.delete(&consumer).0, 200);
    (broker, client)
}

/// What was changed: each partition's number, and its offset before and after.
fn put(client: &Client, body: &Value) -> Vec<(u64, Value, Value)> {
    let (status, answer) = client.put(OFFSETS, body);
    assert_eq!(status, 200, "{body}: {answer}");
    let changes = answer["offsets"].as_array().expect("changes");
    let number = |it: &Value| it["partition"].as_u64().expect("a number");
    changes.iter().map(|it| (number(it), it["before"].clone(), it["after"].clone())).collect()
}

#[test]
fn offsets_are_set_to_what_is_asked_for() {
    let (_broker, client) = broker();
    let put = |body| put(&client, &body);
    assert_eq!(put(json!({"to": "earliest"})), [(0, json!(3), json!(0))]);
    assert_eq!(put(json!({"to": "latest", "topics": ["t"]})), [(0, json!(0), json!(5)), (1, Value::Null, json!(5))]);
    assert_eq!(put(json!({"by": -2})), [(0, json!(5), json!(3)), (1, json!(5), json!(3))]);
    assert_eq!(put(json!({"timestamp_ms": START + 500, "partitions": {"t": [1]}})), [(1, json!(3), json!(1))]);
    assert_eq!(put(json!({"offset": 4, "partitions": {"t": [0]}})), [(0, json!(3), json!(4))]);
    assert_eq!(put(json!({"offsets": {"t": {"1": 2}}, "dry_run": true})), [(1, json!(1), json!(2))]);
    let consumer = client.subscribe("g", &["t"], &json!({}));
    assert_eq!(client.get(&format!("{consumer}/position")).1["offsets"]["t"], json!({"0": 4, "1": 1}));
}

#[test]
fn metadata_is_set_with_the_offsets_and_kept_until_they_are_set_anew() {
    let (mut broker, client) = broker();
    let body = json!({"offsets": {"t": {"0": 4, "1": 2}}, "metadata": {"t": {"0": "page 7"}}});
    assert_eq!(put(&client, &body), [(0, json!(3), json!(4)), (1, Value::Null, json!(2))]);
    broker.restart();
    let client = broker.client();
    let metadata = |client: &Client| {
        let (_, group) = client.get("/api/consumer-groups/g");
        [0, 1].map(|partition| group["partitions"][partition]["metadata"].clone())
    };
    assert_eq!(metadata(&client), [json!("page 7"), Value::Null]);
    let consumer = client.subscribe("g", &["t"], &json!({}));
    assert_eq!(client.get(&format!("{consumer}/committed")).1["metadata"], json!({"t": {"0": "page 7"}}));
    assert_eq!(client.delete(&consumer).0, 200);
    assert_eq!(put(&client, &json!({"offsets": {"t": {"0": 1}}})), [(0, json!(4), json!(1))]);
    assert_eq!(metadata(&client), [Value::Null, Value::Null]);
}

#[test]
fn a_group_is_set_before_its_first_consumer_comes() {
    let (_broker, client) = broker();
    let (status, answer) = client.put("/api/consumer-groups/new/offsets", &json!({"to": "latest", "topics": ["t"]}));
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["offsets"][1], json!({"topic": "t", "partition": 1, "before": null, "after": 5}));
    let (_, group) = client.get("/api/consumer-groups/new");
    assert_eq!((&group["state"], &group["partitions"][0]["lag"]), (&json!("empty"), &json!(0)), "{group}");
    let week = group["expires_at"].as_i64().zip(group["empty_since"].as_i64()).map(|(end, begin)| end - begin);
    assert_eq!(week, Some(604_800_000), "{group}");
}

#[test]
fn offsets_and_groups_are_deleted() {
    let (_broker, client) = broker();
    put(&client, &json!({"to": "latest", "topics": ["t"]}));
    let delete = |path: &str, body: &Value| client.request("DELETE", path, Some(body)).expect("an answer");
    let (status, answer) = delete(OFFSETS, &json!({"partitions": {"t": [1]}}));
    let change = json!([{"topic": "t", "partition": 1, "before": 5, "after": null}]);
    assert_eq!((status, &answer["offsets"]), (200, &change), "{answer}");
    assert_eq!(client.delete(OFFSETS).0, 200);
    assert_eq!(client.delete(OFFSETS).1["code"], "group_not_found");
    put(&client, &json!({"to": "latest", "topics": ["t"]}));
    assert_eq!(client.delete("/api/consumer-groups/g").0, 200);
    let (status, answer) = client.delete("/api/consumer-groups/g");
    assert_eq!((status, &answer["code"]), (404, &json!("group_not_found")), "{answer}");
}

#[test]
fn what_cannot_be_done_changes_nothing() {
    let (_broker, client) = broker();
    for (body, status, code) in [
        (json!({}), 400, "missing_field"),
        (json!({"to": "earliest", "by": 1}), 400, "conflicting_fields"),
        (json!({"to": "earliest", "topics": ["t"], "partitions": {}}), 400, "conflicting_fields"),
        (json!({"offsets": {"t": {"0": 1}}, "topics": ["t"]}), 400, "conflicting_fields"),
        (json!({"to": "middle"}), 422, "invalid_value"),
        (json!({"to": "earliest", "topics": []}), 422, "empty"),
        (json!({"to": "earliest", "partitions": {}}), 422, "empty"),
        (json!({"to": "earliest", "topics": ["u"]}), 404, "topic_not_found"),
        (json!({"to": "earliest", "partitions": {"t": [2]}}), 404, "partition_not_found"),
        (json!({"timestamp_ms": 0, "partitions": {"t": [2]}}), 404, "partition_not_found"),
        (json!({"offset": 6, "topics": ["t"]}), 422, "offset_out_of_range"),
        (json!({"by": 1, "topics": ["t"]}), 409, "no_committed_offset"),
        (json!({"to": "earliest", "dryrun": true}), 400, "unknown_field"),
    ] {
        let (was, answer) = client.put(OFFSETS, &body);
        assert_eq!((was, &answer["code"]), (status, &json!(code)), "{body}: {answer}");
    }
    let nobody = "/api/consumer-groups/nobody";
    assert_eq!(client.put(&format!("{nobody}/offsets"), &json!({"to": "earliest"})).1["code"], "group_not_found");
    let consumer = client.subscribe("g", &["t"], &json!({}));
    for (status, answer) in [
        client.put(OFFSETS, &json!({"to": "earliest"})),
        client.put(OFFSETS, &json!({"to": "earliest", "dry_run": true})),
        client.delete(OFFSETS),
        client.delete("/api/consumer-groups/g"),
    ] {
        assert_eq!((status, &answer["code"]), (409, &json!("group_active")), "{answer}");
    }
    let (_, group) = client.get("/api/consumer-groups/g");
    assert_eq!(group["partitions"][0]["committed"], 3);
    assert!(group["last_rebalance_at"].is_i64(), "{group}");
    assert_eq!(client.put(&format!("{consumer}/assignment"), &json!({"topics": {"t": [0]}})).0, 200);
    let (_, group) = client.get("/api/consumer-groups/g");
    assert_eq!((&group["members"], &group["manual"][0]["manual"]), (&json!([]), &json!(true)), "{group}");
}
