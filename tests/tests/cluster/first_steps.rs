//! Any node takes any request.

use std::thread;

use serde_json::{Value, json};

use crate::nodes::{Nodes, SESSION_TIMEOUT_MS};

fn values(answer: &Value) -> Vec<&str> {
    answer["records"].as_array().expect("records").iter().filter_map(|record| record["value"].as_str()).collect()
}

#[test]
#[ignore = "needs brokers"]
fn each_request_may_go_to_another_node() {
    let nodes = Nodes::start(2);
    let (one, other) = (nodes.client(0), nodes.client(1));
    let topic = nodes.topic("orders");
    let (status, made) = one.post("/api/topics", &json!({"name": topic, "partitions": 2}));
    assert_eq!(status, 201, "{made}");
    let records = json!({"records": [
        {"partition": 0, "key": "a", "value": "one", "headers": {"h": "x"}}, {"partition": 1, "value": "two"},
    ]});
    let (status, produced) = other.post(&format!("/api/topics/{topic}/produce"), &records);
    assert_eq!(status, 200, "{produced}");
    assert_eq!(produced["offsets"][1]["offset"], 0);

    // Groups of several cells, so that both nodes are asked for each other's.
    for group in 0..6 {
        let group = format!("group-{group}");
        let wish = json!({
            "group_id": group, "topics": [topic], "auto_offset_reset": "earliest",
            "session_timeout_ms": SESSION_TIMEOUT_MS,
        });
        let (status, consumer) = one.post("/api/consumers/subscribe", &wish);
        assert!(matches!(status, 200 | 201), "{consumer}");
        let path = format!("/api/consumers/{}", consumer["consumer_id"].as_str().expect("an id"));
        let mut seen = Vec::new();
        while seen.len() < 2 {
            let (status, polled) = other.post(&format!("{path}/consume"), &json!({"timeout_ms": 5_000}));
            assert_eq!(status, 200, "{polled}");
            seen.extend(values(&polled).into_iter().map(str::to_owned));
        }
        seen.sort_unstable();
        assert_eq!(seen, ["one", "two"]);
        let (status, committed) = one.post(&format!("{path}/commit"), &json!({}));
        assert_eq!((status, &committed["committed"][&topic]), (200, &json!({"0": 1, "1": 1})), "{committed}");
        let (status, told) = other.get(&format!("/api/consumer-groups/{group}"));
        assert_eq!((status, &told["members"][0]["consumer_id"]), (200, &consumer["consumer_id"]), "{told}");
        let (status, closed) = other.delete(&path);
        assert_eq!(status, 200, "{closed}");
        let (status, gone) = one.get(&path);
        assert_eq!((status, &gone["code"]), (404, &json!("consumer_not_found")), "{gone}");
    }
    let (_, groups) = other.get("/api/consumer-groups");
    let count = groups["groups"].as_array().expect("groups").len();
    assert_eq!(count, 6, "{groups}");
}

#[test]
#[ignore = "needs brokers"]
fn a_parked_poll_wakes_whichever_node_appends() {
    let nodes = Nodes::start(2);
    let topic = nodes.topic("wake");
    assert_eq!(nodes.client(0).post("/api/topics", &json!({"name": topic})).0, 201);
    for group in ["a", "b", "c", "d"] {
        let wish = json!({"group_id": group, "topics": [topic], "auto_offset_reset": "latest"});
        let (status, consumer) = nodes.client(0).post("/api/consumers/subscribe", &wish);
        assert!(matches!(status, 200 | 201), "{consumer}");
        let path = format!("/api/consumers/{}/consume", consumer["consumer_id"].as_str().expect("an id"));
        let client = nodes.client(1);
        let waits = thread::spawn(move || client.post(&path, &json!({"timeout_ms": 30_000})));
        while [0, 1].map(|node| nodes.parked(node)).iter().sum::<u64>() == 0 {
            thread::yield_now();
        }
        let record = json!({"records": [{"value": group}]});
        assert_eq!(nodes.client(0).post(&format!("/api/topics/{topic}/produce"), &record).0, 200);
        let (status, polled) = waits.join().expect("no panic");
        assert_eq!((status, values(&polled)), (200, vec![group]), "{polled}");
    }
}

#[test]
#[ignore = "needs brokers"]
fn an_id_that_a_client_chose_is_found_from_any_node() {
    let nodes = Nodes::start(2);
    let topic = nodes.topic("chosen");
    assert_eq!(nodes.client(0).post("/api/topics", &json!({"name": topic})).0, 201);
    for (number, group) in ["a", "b", "c", "d", "e"].into_iter().enumerate() {
        let id = format!("550e8400-e29b-41d4-a716-44665544000{number}");
        let wish = json!({"group_id": group, "topics": [topic], "consumer_id": id});
        let (status, consumer) = nodes.client(0).post("/api/consumers/subscribe", &wish);
        assert!(matches!(status, 200 | 201), "{consumer}");
        let (status, told) = nodes.client(1).get(&format!("/api/consumers/{id}"));
        assert_eq!((status, &told["group_id"]), (200, &json!(group)), "{told}");
        // Nobody else gets it, whichever cell the other group is in.
        for other in ["f", "g", "h", "i"] {
            let wish = json!({"group_id": other, "topics": [topic], "consumer_id": id});
            let (status, refused) = nodes.client(1).post("/api/consumers/subscribe", &wish);
            assert_eq!((status, &refused["code"]), (409, &json!("consumer_exists")), "{refused}");
        }
    }
}

#[test]
#[ignore = "needs brokers"]
fn what_kafka_has_no_means_for_is_refused() {
    let nodes = Nodes::start(1);
    let client = nodes.client(0);
    let topic = nodes.topic("refused");
    assert_eq!(client.post("/api/topics", &json!({"name": topic})).0, 201);
    let (status, refused) = client.get("/api/backup");
    assert_eq!((status, &refused["code"]), (501, &json!("unsupported")), "{refused}");
    let expecting = json!({"records": [{"value": 1}], "expected_offset": 0});
    let (status, refused) = client.post(&format!("/api/topics/{topic}/produce"), &expecting);
    assert_eq!((status, &refused["code"]), (501, &json!("unsupported")), "{refused}");
    let (status, refused) = client.post("/api/topics", &json!({"name": topic}));
    assert_eq!((status, &refused["code"]), (409, &json!("topic_exists")), "{refused}");
}
