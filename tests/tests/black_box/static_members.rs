//! Workers with a place of their own in a group.

use std::thread;

use serde_json::{Value, json};
use takhin_tests::{
    broker::{Broker, Options},
    client::Client,
};

fn broker() -> (Broker, Client) {
    let broker = Broker::start(Options::quick());
    let client = broker.client();
    client.create_topic("t", 2);
    (broker, client)
}

fn worker(client: &Client, instance: &str) -> String {
    client.subscribe("g", &["t"], &json!({"instance_id": instance}))
}

fn group(client: &Client) -> Value {
    client.get("/api/consumer-groups/g").1
}

#[test]
fn a_worker_that_restarts_finds_its_partitions() {
    let (_broker, client) = broker();
    let (a, b) = (worker(&client, "a"), worker(&client, "b"));
    client.poll(&a, &json!({"timeout_ms": 0}));
    client.poll(&a, &json!({"timeout_ms": 0}));
    let before = group(&client);
    let mine = client.get(&format!("{a}/assignment")).1["assignment"].clone();
    assert_eq!(client.delete(&a).0, 200);
    assert_eq!(client.delete(&a).0, 404);
    assert_eq!(client.get(&a).1["code"], "consumer_not_found");
    assert_eq!(group(&client)["members"].as_array().map(Vec::len), Some(2));
    let again = worker(&client, "a");
    assert_eq!(client.get(&format!("{again}/assignment")).1["assignment"], mine);
    let after = group(&client);
    assert_eq!((&after["generation"], &after["state"]), (&before["generation"], &json!("stable")));
    assert_eq!(client.get(&b).1["instance_id"], "b");
}

#[test]
fn a_second_worker_of_the_same_name_fences_the_first() {
    let (_broker, client) = broker();
    let first = worker(&client, "a");
    let poll = thread::spawn({
        let (client, path) = (client.clone(), format!("{first}/consume"));
        move || client.post(&path, &json!({"timeout_ms": 50_000}))
    });
    client.wait_for_parked_polls(1);
    worker(&client, "a");
    let (status, answer) = poll.join().expect("no panic");
    assert_eq!((status, &answer["code"]), (410, &json!("consumer_fenced")), "{answer}");
    let (status, answer) = client.post(&format!("{first}/commit"), &json!({}));
    assert_eq!((status, &answer["code"]), (409, &json!("consumer_fenced")), "{answer}");
    assert_eq!(answer["details"]["reason"], "replaced");
}

#[test]
fn what_members_want_of_the_assignor_is_done() {
    let (_broker, client) = broker();
    client.create_topic("u", 2);
    let body = json!({"assignor": "range"});
    let (first, second) = (client.subscribe("g", &["t", "u"], &body), client.subscribe("g", &["t", "u"], &body));
    for member in [&first, &first, &second] {
        client.poll(member, &json!({"timeout_ms": 0}));
    }
    let shares = [&first, &second].map(|member| client.get(&format!("{member}/assignment")).1["assignment"].clone());
    assert!(
        shares.contains(&json!({"t": [0], "u": [0]})) && shares.contains(&json!({"t": [1], "u": [1]})),
        "{shares:?}"
    );
    assert_eq!(group(&client)["assignor"], "range");
}

#[test]
fn a_range_gives_each_member_neighbours_and_the_first_ones_more() {
    let (_broker, client) = broker();
    client.create_topic("five", 5);
    let body = json!({"assignor": "range"});
    let members = [0, 1].map(|_| client.subscribe("ranges", &["five"], &body));
    for member in members.iter().chain(&members) {
        client.poll(member, &json!({"timeout_ms": 0}));
    }
    let share = |member: &String| client.get(&format!("{member}/assignment")).1["assignment"]["five"].clone();
    let mut shares = [share(&members[0]), share(&members[1])];
    shares.sort_by_key(|share| share[0].as_u64());
    assert_eq!(shares, [json!([0, 1, 2]), json!([3, 4])]);
}

#[test]
fn bad_instances_and_assignors_are_refused() {
    let (_broker, client) = broker();
    for (field, value, code) in [
        ("instance_id", json!(""), "invalid_name"),
        ("instance_id", json!("x".repeat(256)), "invalid_name"),
        ("instance_id", json!("a\nb"), "invalid_name"),
        ("assignor", json!("sticky"), "invalid_value"),
    ] {
        let (status, answer) =
            client.post("/api/consumers/subscribe", &json!({"group_id": "g", "topics": ["t"], field: value}));
        assert_eq!((status, &answer["code"]), (422, &json!(code)), "{answer}");
        assert_eq!(answer["details"]["field"], field);
    }
}
