//! Consumers of one group share its partitions, hand them over without a gap or a repeat, and can be looked at.

use std::{
    collections::{BTreeMap, BTreeSet},
    thread,
    time::Duration,
};

use serde_json::{Value, json};
use takhin_tests::{
    broker::{Broker, Options},
    client::Client,
};

const PARTITIONS: u32 = 6;

fn broker() -> (Broker, Client) {
    let broker = Broker::start(Options::quick());
    let client = broker.client();
    client.create_topic("t", PARTITIONS);
    (broker, client)
}

fn assignment(client: &Client, consumer: &str) -> Vec<u64> {
    let (status, answer) = client.get(&format!("{consumer}/assignment"));
    assert_eq!(status, 200, "{answer}");
    let partitions = answer["assignment"]["t"].as_array().cloned().unwrap_or_default();
    partitions.iter().map(|partition| partition.as_u64().expect("a number")).collect()
}

fn state(client: &Client, group: &str) -> Value {
    client.get(&format!("/api/consumer-groups/{group}")).1["state"].clone()
}

/// Lets each of the members poll in turn until nothing moves any more, and returns who has what.
fn settle(client: &Client, members: &[&str]) -> Vec<Vec<u64>> {
    loop {
        for member in members {
            client.poll(member, &json!({"timeout_ms": 0}));
        }
        let shares: Vec<_> = members.iter().map(|member| assignment(client, member)).collect();
        if state(client, "g") == "stable" && shares.concat().len() == PARTITIONS as usize {
            return shares;
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// Asserts that the shares are of all partitions, of each once, and of equal size.
fn assert_fair(shares: &[Vec<u64>]) {
    let all: BTreeSet<_> = shares.concat().into_iter().collect();
    assert_eq!((all.len(), shares.concat().len()), (PARTITIONS as usize, PARTITIONS as usize), "{shares:?}");
    let sizes: BTreeSet<_> = shares.iter().map(Vec::len).collect();
    assert_eq!(sizes.len(), 1, "{shares:?}");
}

#[test]
fn members_share_join_and_leave() {
    let (_broker, client) = broker();
    let first = client.subscribe("g", &["t"], &json!({}));
    assert_eq!(assignment(&client, &first), [0, 1, 2, 3, 4, 5]);
    let second = client.subscribe("g", &["t"], &json!({}));
    let two = settle(&client, &[&first, &second]);
    assert_fair(&two);
    let third = client.subscribe("g", &["t"], &json!({}));
    let three = settle(&client, &[&first, &second, &third]);
    assert_fair(&three);
    for (before, after) in two.iter().zip(&three) {
        assert!(after.iter().all(|partition| before.contains(partition)), "only the joiner's share moves");
    }
    assert_eq!(client.delete(&third).0, 200);
    let rest = settle(&client, &[&first, &second]);
    assert_fair(&rest);
    for (before, after) in three.iter().zip(&rest) {
        assert!(before.iter().all(|partition| after.contains(partition)), "only the leaver's share moves");
    }
}

#[test]
fn a_member_that_dies_loses_its_share() {
    let (_broker, client) = broker();
    let first = client.subscribe("g", &["t"], &json!({}));
    let second = client.subscribe("g", &["t"], &json!({"session_timeout_ms": 1_000}));
    assert_fair(&settle(&client, &[&first, &second]));
    // The second is heard of no more; the first's poll ends as soon as that makes a difference to it.
    let (status, answer) = client.post(&format!("{first}/consume"), &json!({"timeout_ms": 50_000}));
    assert_eq!(status, 200);
    let assigned = answer["rebalance"]["assigned"]["t"].as_array().map(Vec::len);
    assert_eq!((assigned, &answer["rebalance"]["revoked"]), (Some(3), &json!({})), "{answer}");
    assert_eq!(assignment(&client, &first), [0, 1, 2, 3, 4, 5]);
    let (status, late) = client.post(&format!("{second}/consume"), &json!({"timeout_ms": 0}));
    assert_eq!((status, &late["code"]), (404, &json!("consumer_expired")), "{late}");
    assert_eq!(late["details"]["reason"], "session_timeout");
}

#[test]
fn a_partition_is_handed_over_once_its_owner_knows() {
    let (_broker, client) = broker();
    for partition in 0..PARTITIONS {
        client.produce_values("t", partition, &[format!("{partition}-a"), format!("{partition}-b")]);
    }
    let first = client.subscribe("g", &["t"], &json!({"auto_commit": false}));
    let delivered = client.poll(&first, &json!({"max_records": 12, "timeout_ms": 0}));
    assert_eq!(delivered["records"].as_array().map(Vec::len), Some(12));

    let second = client.subscribe("g", &["t"], &json!({}));
    let (_, answer) = client.get(&format!("{first}/assignment"));
    let revoking = answer["revoking"]["t"].as_array().expect("some must go").clone();
    assert_eq!(revoking.len(), 3, "{answer}");
    // Delivered and not committed: they stay where they are.
    assert_eq!(client.poll(&second, &json!({"timeout_ms": 0}))["records"], json!([]));
    assert_eq!(assignment(&client, &second), Vec::<u64>::new());

    // One of two records of each is done, and then the rest is.
    for done in [1, 2] {
        let map: BTreeMap<_, _> = revoking.iter().map(|partition| (partition.to_string(), done)).collect();
        assert_eq!(client.post(&format!("{first}/commit"), &json!({"offsets": {"t": map}})).0, 200);
        assert_eq!(assignment(&client, &second).len(), if done == 2 { 3 } else { 0 }, "after {done} of 2");
    }
    assert_eq!(client.poll(&second, &json!({"timeout_ms": 0}))["records"], json!([]), "all of them were committed");
    for partition in &revoking {
        let partition = u32::try_from(partition.as_u64().expect("a number")).expect("a partition");
        client.produce_values("t", partition, &["for the second"]);
    }
    assert_eq!(client.poll_values(&second), ["for the second"; 3]);
    assert_eq!(client.poll_values(&first), Vec::<String>::new());
}

/// Members come and go while producers write. Every record is processed, and each exactly once, since a member commits
/// what it has processed before it polls again or leaves.
#[test]
fn who_holds_on_to_a_partition_for_too_long_is_removed() {
    let (_broker, client) = broker();
    let body = json!({"rebalance_timeout_ms": 1000, "auto_commit": false, "auto_offset_reset": "earliest"});
    client.create_topic("two", 2);
    for partition in 0..2 {
        client.produce_values("two", partition, &["v"]);
    }
    let holder = client.subscribe("held", &["two"], &body);
    client.poll(&holder, &json!({"timeout_ms": 0}));
    let joiner = client.subscribe("held", &["two"], &body);
    // It lives, and neither polls nor commits what it was delivered of the partition that it has to give up.
    let gone = loop {
        let (status, answer) = client.post(&format!("{holder}/heartbeat"), &json!({}));
        if status != 200 {
            break answer;
        }
        thread::sleep(Duration::from_millis(20));
    };
    assert_eq!(
        (&gone["code"], &gone["details"]["reason"]),
        (&json!("consumer_expired"), &json!("rebalance_timeout")),
        "{gone}"
    );
    client.poll(&joiner, &json!({"timeout_ms": 0}));
    assert_eq!(client.get(&format!("{joiner}/assignment")).1["assignment"], json!({"two": [0, 1]}));
}

#[test]
fn nothing_is_skipped_or_processed_twice_while_members_come_and_go() {
    const ROUNDS: u64 = 60;
    let (_broker, client) = broker();
    let mut members: Vec<String> = Vec::new();
    let mut seen: BTreeMap<(u64, u64), u32> = BTreeMap::new();
    let mut produced = 0;
    for round in 0..ROUNDS {
        match round % 6 {
            0 | 2 => members.push(client.subscribe("g", &["t"], &json!({"auto_commit": false}))),
            4 if members.len() > 1 => assert_eq!(client.delete(&members.remove(0)).0, 200),
            _ => {}
        }
        for partition in 0..PARTITIONS {
            client.produce_values("t", partition, &["v"]);
            produced += 1;
        }
        for member in &members {
            process(&client, member, &mut seen);
        }
    }
    while seen.len() < produced {
        for member in &members {
            process(&client, member, &mut seen);
        }
    }
    assert_eq!(seen.values().filter(|&&times| times > 1).count(), 0, "{seen:?}");
    let (_, group) = client.get("/api/consumer-groups/g");
    for partition in group["partitions"].as_array().expect("partitions") {
        assert_eq!((&partition["committed"], &partition["lag"]), (&json!(ROUNDS), &json!(0)), "{partition}");
    }
}

fn process(client: &Client, member: &str, seen: &mut BTreeMap<(u64, u64), u32>) {
    let answer = client.poll(member, &json!({"max_records": 7, "timeout_ms": 0}));
    let records = answer["records"].as_array().expect("records");
    for record in records {
        let place = (record["partition"].as_u64().expect("a number"), record["offset"].as_u64().expect("a number"));
        *seen.entry(place).or_default() += 1;
    }
    if !records.is_empty() {
        let (status, answer) = client.post(&format!("{member}/commit"), &json!({}));
        assert_eq!(status, 200, "{answer}");
    }
}

/// A group's description without what grows as time goes by.
fn without_ages(mut group: Value) -> Value {
    for partition in group["partitions"].as_array_mut().expect("partitions") {
        partition.as_object_mut().expect("a partition").remove("lag_ms").expect("an age, or null");
    }
    group.as_object_mut().expect("a group").remove("last_rebalance_at").expect("a date");
    group
}

#[test]
fn groups_can_be_listed_and_described() {
    let (_broker, client) = broker();
    assert_eq!(client.get("/api/consumer-groups"), (200, json!({"groups": []})));
    client.produce_values("t", 0, &["a", "b", "c"]);
    let consumer = client.subscribe("g", &["t"], &json!({}));
    assert_eq!(client.post(&format!("{consumer}/commit"), &json!({"offsets": {"t": {"0": 1}}})).0, 200);
    let summary = |state: &str, generation: u32, members: u32| json!({"groups": [{"group_id": "g", "state": state, "generation": generation, "members": members}]});
    assert_eq!(client.get("/api/consumer-groups"), (200, summary("stable", 1, 1)));
    let (_, mut member) = client.get(&consumer);
    member.as_object_mut().expect("a consumer").remove("lag_ms");
    let id = member["consumer_id"].clone();
    let partition = |partition: u32, owner: &Value| {
        let (committed, end, lag) =
            if partition == 0 { (json!(1), 3, json!(2)) } else { (Value::Null, 0, Value::Null) };
        json!({"topic": "t", "partition": partition, "committed": committed, "start": 0, "end": end, "lag": lag,
            "owner": owner})
    };
    let owned: Vec<_> = (0..PARTITIONS).map(|number| partition(number, &id)).collect();
    let (_, group) = client.get("/api/consumer-groups/g");
    let told = json!({"group_id": "g", "state": "stable", "generation": 1, "assignor": "uniform",
        "last_rebalance": {"joined": id}, "members": [member], "partitions": owned});
    assert_eq!(without_ages(group), told);
    assert_eq!(client.delete(&consumer).0, 200);
    assert_eq!(client.get("/api/consumer-groups"), (200, summary("empty", 2, 0)));
    let left = without_ages(client.get("/api/consumer-groups/g").1);
    assert_eq!((&left["members"], &left["partitions"][0]), (&json!([]), &partition(0, &Value::Null)));
}

#[test]
fn new_partitions_find_an_owner() {
    let (_broker, client) = broker();
    let consumer = client.subscribe("g", &["t"], &json!({}));
    let poll = thread::spawn({
        let (client, path) = (client.clone(), format!("{consumer}/consume"));
        move || client.post(&path, &json!({"timeout_ms": 50_000}))
    });
    client.wait_for_parked_polls(1);
    assert_eq!(client.patch("/api/topics/t", &json!({"partitions": PARTITIONS + 1})).0, 200);
    let (_, answer) = poll.join().expect("no panic");
    assert_eq!(answer["rebalance"], json!({"assigned": {"t": [PARTITIONS]}, "revoked": {}}), "{answer}");
}

#[test]
fn topics_come_in_the_order_they_were_named_and_a_groups_partitions_by_name() {
    let broker = Broker::start(Options::quick());
    let client = broker.client();
    client.create_topic("payments", 1);
    client.create_topic("audits", 1);
    let body = json!({"group_id": "g", "topics": ["payments", "audits"]});
    let (_, subscribed) = client.post("/api/consumers/subscribe", &body);
    assert_eq!(subscribed["topics"], json!(["payments", "audits"]));
    let (_, group) = client.get("/api/consumer-groups/g");
    let partitions = group["partitions"].as_array().expect("partitions");
    assert_eq!(partitions.iter().map(|it| &it["topic"]).collect::<Vec<_>>(), ["audits", "payments"]);
}
