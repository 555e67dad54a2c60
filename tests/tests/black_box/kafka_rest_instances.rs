//! What becomes of the instances of the v2 API: created, repeated, restarted, silent, read by two at once.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, TcpStream},
    thread,
    time::Duration,
};

use serde_json::{Value, json};
use takhin_tests::{client::Client, local_only};

use crate::kafka_rest::{V2, create, post, read, refused, start, subscribed};

/// Asks for records on a connection of its own, and reads nothing.
fn read_unread(client: &Client, instance: &str) -> TcpStream {
    let mut stream = TcpStream::connect(client.address()).expect("a connection");
    let request = format!("GET {instance}/records?timeout=60000 HTTP/1.1\r\nHost: takhin\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("the poll is sent");
    stream
}

#[test]
fn an_instance_says_where_it_is_as_its_client_sees_it() {
    let (_broker, client) = start(&[]);
    let (_, answer) = post(&client, "/kafka/consumers/a%2Fb", &json!({"name": "till 3"}));
    let uri = format!("{}/kafka/consumers/a%2Fb/instances/till%203", client.base());
    assert_eq!(answer, json!({"instance_id": "till 3", "base_uri": uri}));
    let path = uri.strip_prefix(client.base()).expect("it is on this server");
    assert_eq!(client.get(&format!("{path}/subscription")), (200, json!({"topics": []})));
    let headers = [("content-type", V2), ("x-forwarded-proto", "https"), ("x-forwarded-host", "example.org")];
    let answer = client.send("POST", "/kafka/consumers/g", &headers, None).expect("an answer");
    let (id, uri) = (&answer.body["instance_id"], answer.body["base_uri"].as_str().expect("a text"));
    let id = id.as_str().expect("a text");
    assert!(id.starts_with("rest-consumer-"), "{id}");
    assert_eq!(uri, format!("https://example.org/kafka/consumers/g/instances/{id}"));
}

#[test]
fn of_several_that_want_a_name_one_gets_it() {
    let (_broker, client) = start(&[]);
    let creating = (0..8).map(|_| {
        let client = client.clone();
        thread::spawn(move || post(&client, "/kafka/consumers/g", &json!({"name": "i"})))
    });
    let creating = creating.collect::<Vec<_>>();
    let answers: Vec<_> = creating.into_iter().map(|it| it.join().expect("an answer")).collect();
    assert_eq!(answers.iter().filter(|(status, _)| *status == 200).count(), 1, "{answers:?}");
    answers.iter().filter(|(status, _)| *status != 200).for_each(|answer| refused(answer, 409, 40902));
    assert_eq!(client.get("/api/health").1["consumers"], 1);
    create(&client, "another-group", "i", &json!({}));
}

/// More than the table of names begins with, so that it is looked through while they come.
#[test]
fn of_many_instances_each_is_found() {
    let (_broker, client) = start(&[]);
    let stays = subscribed(&client, "stays", &json!({}));
    thread::scope(|scope| {
        for worker in 0..4 {
            let client = client.clone();
            scope.spawn(move || {
                (0..300).for_each(|n| drop(create(&client, &format!("g{worker}"), &format!("i{n}"), &json!({}))));
            });
        }
    });
    assert_eq!(client.get("/api/health").1["consumers"], 1_201);
    for (worker, n) in (0..4).flat_map(|worker| (0..300).map(move |n| (worker, n))) {
        let instance = format!("/kafka/consumers/g{worker}/instances/i{n}");
        assert_eq!(client.get(&format!("{instance}/subscription")), (200, json!({"topics": []})), "{instance}");
    }
    assert_eq!(client.get(&format!("{stays}/subscription")).0, 200);
}

#[test]
fn an_instance_can_be_made_again_once_it_has_gone() {
    let (_broker, client) = start(&["--kafka-rest-instance-timeout-ms", "1000"]);
    let instance = subscribed(&client, "i", &json!({}));
    assert_eq!(client.delete(&instance), (204, Value::Null));
    refused(&client.delete(&instance), 404, 40403);
    subscribed(&client, "i", &json!({}));
    while client.get("/api/health").1["consumers"] != 0 {
        thread::sleep(Duration::from_millis(20));
    }
    for path in ["records", "subscription", "assignments", "offsets"] {
        refused(&client.get(&format!("{instance}/{path}")), 404, 40403);
    }
    refused(&post(&client, &format!("{instance}/subscription"), &json!({"topics": ["t"]})), 404, 40403);
    subscribed(&client, "i", &json!({}));
    refused(&client.get("/kafka/consumers/h/instances/i/records"), 404, 40403);
}

#[test]
fn an_instance_outlives_the_server_with_all_that_it_is() {
    let (mut broker, client) = start(&[]);
    client.produce_values("t", 0, &["1", "2"]);
    let more = json!({"auto.commit.enable": false, "consumer.request.timeout.ms": 5, "fetch.min.bytes": 1});
    let instance = subscribed(&client, "till:3", &more);
    let by_hand = create(&client, "g", "by-hand", &json!({"format": "binary"}));
    let assignment = json!({"partitions": [{"topic": "t", "partition": 1}]});
    assert_eq!(post(&client, &format!("{by_hand}/assignments"), &assignment).0, 204);
    let idle = create(&client, "g", "idle", &json!({}));
    assert_eq!(read(&client, &instance), [(0, 0, json!(1)), (0, 1, json!(2))]);
    assert_eq!(post(&client, &format!("{instance}/offsets"), &Value::Null).0, 200);
    broker.kill9();
    broker.restart();
    let client = broker.client();
    client.produce_values("t", 0, &["3"]);
    refused(&post(&client, "/kafka/consumers/g", &json!({"name": "till:3"})), 409, 40902);
    assert_eq!(read(&client, &instance), [(0, 2, json!(3))]);
    // It would be parked for a second if it had forgotten how long it waits.
    assert_eq!(client.get(&format!("{instance}/records")), (200, json!([])));
    assert_eq!(client.get(&format!("{by_hand}/assignments")), (200, assignment));
    assert_eq!(client.get(&format!("{idle}/subscription")), (200, json!({"topics": []})));
    assert_eq!(post(&client, &format!("{idle}/subscription"), &json!({"topic_pattern": "t.*"})).0, 204);
    assert_eq!(client.get(&format!("{idle}/subscription")), (200, json!({"topics": ["t"]})));
}

#[test]
fn an_instance_subscribes_or_takes_partitions_by_hand_or_neither() {
    let (_broker, client) = start(&[]);
    let instance = create(&client, "g", "i", &json!({}));
    let (subscription, assignments) = (format!("{instance}/subscription"), format!("{instance}/assignments"));
    let topics = json!({"topics": ["t"]});
    let partitions = json!({"partitions": [{"topic": "t", "partition": 1}]});
    assert_eq!(client.get(&assignments), (200, json!({"partitions": []})));
    refused(&client.get(&format!("{instance}/records?timeout=0")), 409, 40903);
    assert_eq!(post(&client, &subscription, &topics).0, 204);
    let both = json!({"partitions": [{"topic": "t", "partition": 0}, {"topic": "t", "partition": 1}]});
    assert_eq!(client.get(&assignments), (200, both));
    refused(&post(&client, &assignments, &partitions), 409, 40903);
    assert_eq!(client.delete(&subscription), (204, Value::Null));
    assert_eq!(post(&client, &assignments, &partitions).0, 204);
    refused(&post(&client, &subscription, &topics), 409, 40903);
    assert_eq!(client.delete(&subscription).0, 204);
    assert_eq!(post(&client, &subscription, &json!({"topics": []})).0, 204);
    refused(&post(&client, &subscription, &json!({"topics": ["t"], "topic_pattern": "t"})), 409, 40903);
    refused(&post(&client, &subscription, &json!({})), 422, 422);
    refused(&post(&client, &subscription, &json!({"topic": "t"})), 422, 422);
    refused(&post(&client, &subscription, &json!({"topics": ["a b"]})), 422, 422);
    refused(&post(&client, &assignments, &json!({"partitions": [{"topic": "x", "partition": 0}]})), 404, 40401);
}

#[test]
fn a_topic_that_is_missing_is_waited_for() {
    let (_broker, client) = start(&[]);
    let instance = create(&client, "g", "i", &json!({}));
    assert_eq!(post(&client, &format!("{instance}/subscription"), &json!({"topics": ["later"]})).0, 204);
    assert_eq!(read(&client, &instance), []);
    client.create_topic("later", 1);
    client.produce_values("later", 0, &["1"]);
    let (status, answer) = client.get(&format!("{instance}/records?timeout=60000"));
    assert_eq!((status, &answer[0]["value"]), (200, &json!(1)));
}

#[test]
fn what_an_instance_can_t_be_is_refused() {
    let (_broker, client) = start(&[]);
    for (body, code) in [
        (json!({"format": "avro"}), 42204),
        (json!({"auto.offset.reset": "smallest"}), 42204),
        (json!({"name": ""}), 42204),
        (json!({"fetch.min.bytes": -2}), 40001),
        (json!({"fetch.max.bytes": 1}), 422),
    ] {
        refused(&post(&client, "/kafka/consumers/g", &body), 422, code);
    }
    assert_eq!(client.get("/api/health").1["consumers"], 0);
}

#[test]
fn members_share_their_groups_partitions() {
    let (_broker, client) = start(&[]);
    let first = subscribed(&client, "first", &json!({}));
    let second = subscribed(&client, "second", &json!({}));
    let native = client.subscribe("g", &["t"], &json!({}));
    assert_eq!(client.delete(&native).0, 200);
    read(&client, &first);
    read(&client, &first);
    let held = |instance: &str| client.get(&format!("{instance}/assignments")).1["partitions"].as_array().map(Vec::len);
    assert_eq!((held(&first), held(&second)), (Some(1), Some(1)));
}

#[test]
fn what_came_for_a_client_that_hung_up_is_read_by_the_next_poll() {
    let (_broker, client) = start(&[]);
    let instance = subscribed(&client, "i", &json!({"auto.commit.enable": false}));
    let stream = read_unread(&client, &instance);
    client.wait_for_parked_polls(1);
    stream.shutdown(Shutdown::Both).expect("a connection can be closed");
    client.produce_values("t", 0, &["1"]);
    let (status, answer) = client.get(&format!("{instance}/records?timeout=60000"));
    assert_eq!((status, &answer[0]["value"]), (200, &json!(1)));
}

/// More than the system's buffers hold, so the server notices that the answer could not be delivered.
#[test]
fn an_answer_that_breaks_off_is_given_again() {
    local_only!("a poll brings what Kafka gives at a time, which fits into the buffers on the way");
    let (_broker, client) = start(&[]);
    let text = format!("\"{}\"", "x".repeat(900_000));
    for _ in 0..40 {
        client.produce_values("t", 0, &[&text]);
    }
    let instance = subscribed(&client, "i", &json!({"auto.commit.enable": false}));
    let mut stream = read_unread(&client, &instance);
    let mut beginning = [0; 1_000];
    stream.read_exact(&mut beginning).expect("the answer begins");
    assert!(beginning.starts_with(b"HTTP/1.1 200 OK"), "{}", String::from_utf8_lossy(&beginning));
    stream.shutdown(Shutdown::Both).expect("a connection can be closed");
    // The position goes back as soon as the server sees that nobody takes the rest.
    let (_, group) = client.get("/api/consumer-groups/g");
    let id = group["members"][0]["consumer_id"].as_str().expect("an id");
    while client.get(&format!("/api/consumers/{id}/position")).1["offsets"]["t"]["0"] != 0 {
        thread::yield_now();
    }
    // An answer has as much as is at hand, which need not be all.
    let mut offsets = Vec::new();
    while offsets.len() < 40 {
        let more = read(&client, &instance);
        assert!(!more.is_empty(), "all of it is there");
        offsets.extend(more.into_iter().map(|(_, offset, _)| offset));
    }
    assert_eq!(offsets, (0..40).collect::<Vec<_>>());
}

#[test]
fn of_two_polls_at_once_the_newer_one_reads() {
    let (_broker, client) = start(&[]);
    let instance = subscribed(&client, "i", &json!({}));
    let poll = || {
        let (client, path) = (client.clone(), format!("{instance}/records?timeout=60000"));
        thread::spawn(move || client.get(&path))
    };
    let first = poll();
    client.wait_for_parked_polls(1);
    let second = poll();
    refused(&first.join().expect("an answer"), 409, 40903);
    client.wait_for_parked_polls(1);
    client.produce_values("t", 0, &["1"]);
    let (status, answer) = second.join().expect("an answer");
    assert_eq!((status, &answer[0]["value"]), (200, &json!(1)));
    let last = poll();
    client.wait_for_parked_polls(1);
    assert_eq!(client.delete(&instance).0, 204);
    refused(&last.join().expect("an answer"), 404, 40403);
}
