//! An answer that was lost on its way from node to node or to the client is given again.

use std::{io::Write as _, net::TcpStream, thread, time::Duration};

use serde_json::json;
use takhin_tests::{client::Client, process::Signal};

use crate::nodes::{Nodes, SESSION_TIMEOUT_MS};

/// A consumer whose poll, asked for at node 0, is parked at node 1: its path, and the connection that waits.
fn parked_at_the_other(nodes: &Nodes, topic: &str) -> (String, TcpStream) {
    for group in 0.. {
        let wish = json!({
            "group_id": format!("group-{group}"), "topics": [topic], "auto_offset_reset": "earliest",
            "auto_commit": false, "session_timeout_ms": SESSION_TIMEOUT_MS,
        });
        let (status, consumer) = nodes.client(0).post("/api/consumers/subscribe", &wish);
        assert!(matches!(status, 200 | 201), "{consumer}");
        let path = format!("/api/consumers/{}", consumer["consumer_id"].as_str().expect("an id"));
        let body = r#"{"timeout_ms":60000}"#;
        let address = nodes.nodes[0].url("");
        let host = address.strip_prefix("http://").expect("an address");
        let mut connection = TcpStream::connect(host).expect("a connection");
        write!(
            connection,
            "POST {path}/consume HTTP/1.1\r\nhost: {host}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .expect("a request is sent");
        loop {
            match [0, 1].map(|node| nodes.parked(node)) {
                [0, 0] => thread::yield_now(),
                [0, _] => return (path, connection),
                _ => break,
            }
        }
        // Served where it was asked for: another group.
        assert_eq!(nodes.client(0).delete(&path).0, 200);
    }
    unreachable!("there are groups without end")
}

/// Has a record appended while node 0 stands still, so that the answer to a poll that was asked for there does not go on.
fn answered_to_one_that_stands_still(name: &str) -> (Nodes, String, TcpStream) {
    let mut nodes = Nodes::start(2);
    let topic = nodes.topic(name);
    assert_eq!(nodes.client(0).post("/api/topics", &json!({"name": topic})).0, 201);
    let (path, connection) = parked_at_the_other(&nodes, &topic);
    nodes.nodes[0].signal(Signal::STOP);
    let record = json!({"records": [{"value": "the only one"}]});
    assert_eq!(nodes.client(1).post(&format!("/api/topics/{topic}/produce"), &record).0, 200);
    while nodes.parked(1) > 0 {
        thread::yield_now();
    }
    (nodes, path, connection)
}

fn is_given(client: &Client, path: &str) {
    let (status, polled) = client.post(&format!("{path}/consume"), &json!({"timeout_ms": 500}));
    assert_eq!((status, &polled["records"][0]["value"]), (200, &json!("the only one")), "{polled}");
}

#[test]
#[ignore = "needs brokers"]
fn an_answer_that_a_node_took_along_when_it_died_is_given_again() {
    let (mut nodes, path, connection) = answered_to_one_that_stands_still("took-along");
    nodes.nodes[0].kill9();
    drop(connection);
    is_given(&nodes.client(1), &path);
}

#[test]
#[ignore = "needs brokers"]
fn an_answer_that_a_node_holds_while_it_stands_still_is_given_again() {
    let (mut nodes, path, connection) = answered_to_one_that_stands_still("held");
    is_given(&nodes.client(1), &path);
    nodes.nodes[0].signal(Signal::CONT);
    drop(connection);
}

#[test]
#[ignore = "needs brokers"]
fn an_answer_that_a_node_holds_is_given_again_to_a_client_that_never_waits_long() {
    let (mut nodes, path, connection) = answered_to_one_that_stands_still("impatient");
    let client = Client::with_timeout(&nodes.nodes[1].url(""), Duration::from_millis(200));
    let answered =
        (0..).find_map(|_| client.request("POST", &format!("{path}/consume"), Some(&json!({"timeout_ms": 0}))).ok());
    let (status, polled) = answered.expect("there are attempts without end");
    assert_eq!((status, &polled["records"][0]["value"]), (200, &json!("the only one")), "{polled}");
    nodes.nodes[0].signal(Signal::CONT);
    drop(connection);
}

#[test]
#[ignore = "needs brokers"]
fn an_answer_for_a_client_that_has_gone_is_given_again_at_any_node() {
    let nodes = Nodes::start(2);
    let topic = nodes.topic("gone");
    assert_eq!(nodes.client(0).post("/api/topics", &json!({"name": topic})).0, 201);
    let (path, connection) = parked_at_the_other(&nodes, &topic);
    drop(connection);
    thread::sleep(Duration::from_millis(5));
    let record = json!({"records": [{"value": "the only one"}]});
    assert_eq!(nodes.client(1).post(&format!("/api/topics/{topic}/produce"), &record).0, 200);
    is_given(&nodes.client(1), &path);
}

#[test]
#[ignore = "needs brokers"]
fn an_answer_that_arrived_is_not_given_again_at_another_node() {
    let nodes = Nodes::start(2);
    let topic = nodes.topic("arrived");
    assert_eq!(nodes.client(0).post("/api/topics", &json!({"name": topic})).0, 201);
    let (path, connection) = parked_at_the_other(&nodes, &topic);
    drop(connection);
    for number in 0..20 {
        let record = json!({"records": [{"value": number.to_string()}]});
        assert_eq!(nodes.client(0).post(&format!("/api/topics/{topic}/produce"), &record).0, 200);
        let polls = |node: usize| {
            let (status, polled) = nodes.client(node).post(&format!("{path}/consume"), &json!({"timeout_ms": 5_000}));
            assert_eq!(status, 200, "{polled}");
            polled["records"].as_array().expect("records").len()
        };
        let mut polled = 0;
        while polled == 0 {
            polled = polls(number % 2);
        }
        assert_eq!(polled, 1, "record {number}");
    }
}
