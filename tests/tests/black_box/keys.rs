//! Keys from their making to their end, as operators and clients see it.

use std::{fs, process::Command, thread, time::Duration};

use serde_json::{Value, json};
use takhin_tests::{
    broker::{Broker, Options, program},
    client::{Answer, Client},
    keyed::{Keyed, key_command, made},
};

/// Asks until the answer has this status.
fn until(status: u16, ask: impl Fn() -> Answer) -> Value {
    eprintln!("waiting for {status}");
    loop {
        let (seen, body) = ask();
        if seen == status {
            return body;
        }
        thread::sleep(Duration::from_millis(5));
    }
}

fn code(answer: &Answer) -> (u16, &str) {
    (answer.0, answer.1["code"].as_str().unwrap_or_default())
}

/// All rights over everything, without being the one who makes keys.
fn all() -> Value {
    json!({"topics": {"*": ["read", "write", "admin"]}, "groups": {"*": ["read", "admin"]}, "cluster": ["read"]})
}

#[test]
fn keys_are_made_and_revoked_in_the_directory_of_a_server_that_runs() {
    let keyed = Keyed::start(&[]);
    let create = ["create", "--name", "orders reader", "--topic", "orders.*:read,write", "--group", "a:b:read"];
    let key = made(&key_command(&keyed.broker, &create));
    let client = keyed.broker.client().with_key(&key);
    until(200, || client.get("/api/topics"));
    let bare = keyed.broker.client().send("GET", "/api/topics", &[("authorization", &key)], None).expect("an answer");
    assert_eq!(bare.status, 200, "a key may come bare");

    let listed = String::from_utf8(key_command(&keyed.broker, &["list"]).stdout).expect("text");
    assert!(listed.contains("  orders reader  --topic orders.*:read,write --group a:b:read  "), "{listed}");
    let id = key.split('_').nth(1).expect("an id");
    assert!(listed.contains(id) && !listed.contains(&key), "{listed}");
    assert!(key_command(&keyed.broker, &["revoke", id]).status.success());
    let refused = until(401, || client.get("/api/topics"));
    assert_eq!(refused["details"]["reason"], "unknown");
    assert!(!key_command(&keyed.broker, &["revoke", id]).status.success(), "it is gone");

    let secret = key.rsplit('_').next().expect("a secret");
    let kept = fs::read_to_string(keyed.broker.data_dir().join("keys.json")).expect("the file");
    assert!(!kept.contains(secret) && !keyed.broker.log().contains(secret));
}

#[test]
fn keys_are_made_and_revoked_through_the_server() {
    let keyed = Keyed::start(&[]);
    let (admin, _) = keyed.make(&json!({"cluster": ["admin"]}));
    let run = |arguments: &[&str]| {
        let (verb, rest) = arguments.split_first().expect("a verb");
        let mut command = Command::new(program());
        command.args(["key", verb, "--server", &keyed.broker.url("")]).args(rest).env("TAKHIN_API_KEY", &admin);
        command.output().expect("it can be run")
    };
    let key = made(&run(&[
        "create",
        "--name",
        "n",
        "--topic",
        "t*:read",
        "--requests-per-second",
        "7",
        "--expires-in-days",
        "2",
    ]));
    assert_eq!(keyed.broker.client().with_key(&key).get("/api/topics").0, 200);
    let listed = String::from_utf8(run(&["list"]).stdout).expect("text");
    assert!(listed.contains("  --topic t*:read  --requests-per-second 7  in 47 h"), "{listed}");
    let id = key.split('_').nth(1).expect("an id");
    assert!(run(&["revoke", id]).status.success());
    assert_eq!(keyed.broker.client().with_key(&key).get("/api/topics").0, 401, "at once");
    let refused = run(&["revoke", id]);
    assert!(String::from_utf8_lossy(&refused.stderr).contains("there is no key"), "{refused:?}");
}

#[test]
fn the_api_shows_a_keys_secret_once() {
    let keyed = Keyed::start(&[]);
    let wish = json!({"name": "a", "topics": {"orders.*": ["read"]}, "limits": {"concurrent_requests": 3}});
    let made = keyed.admin.send("POST", "/api/keys", &[], Some(wish.to_string().into())).expect("an answer");
    let (id, key) = (made.body["id"].as_str().expect("an id"), made.body["key"].as_str().expect("a key"));
    assert_eq!((made.status, made.header("location")), (201, &*format!("/api/keys/{id}")));
    assert_eq!(made.header("cache-control"), "no-store");
    let listed = keyed.admin.get("/api/keys").1;
    let found = listed["keys"].as_array().expect("keys").iter().find(|found| found["id"] == id).expect("it is there");
    assert_eq!(
        (&found["topics"], &found["groups"], &found["cluster"], &found["limits"], &found["expired"]),
        (&json!({"orders.*": ["read"]}), &json!({}), &json!([]), &json!({"concurrent_requests": 3}), &json!(false))
    );
    assert!(!listed.to_string().contains(key) && found.get("sha256").is_none());
    assert_eq!(keyed.admin.delete(&format!("/api/keys/{id}")), (200, json!({"id": id, "message": "key revoked"})));
    assert_eq!(code(&keyed.admin.delete(&format!("/api/keys/{id}"))), (404, "key_not_found"));
    assert_eq!(code(&keyed.admin.delete("/api/keys/1")), (400, "invalid_key_id"));
    assert_eq!(
        code(&keyed.admin.post("/api/keys", &json!({"name": "a", "topics": {"a b": []}}))),
        (422, "invalid_scope")
    );
}

#[test]
fn keys_outlive_a_restart() {
    let mut keyed = Keyed::start(&[]);
    let key = keyed.make(&all()).0;
    keyed.broker.kill9();
    keyed.broker.restart();
    assert_eq!(keyed.broker.client().with_key(&key).get("/api/topics").0, 200);
}

/// A consumer whose poll waits, and what it is answered.
fn parked(client: &Client) -> (String, thread::JoinHandle<Answer>) {
    client.create_topic("orders", 1);
    let consumer = client.subscribe("g", &["orders"], &json!({}));
    let poll = {
        let (client, path) = (client.clone(), format!("{consumer}/consume"));
        thread::spawn(move || client.post(&path, &json!({"timeout_ms": 300_000})))
    };
    client.wait_for_parked_polls(1);
    (consumer, poll)
}

#[test]
fn a_poll_that_waits_ends_when_its_key_is_revoked_and_loses_nothing() {
    let keyed = Keyed::start(&[]);
    let (key, id) = keyed.make(&all());
    let client = keyed.broker.client().with_key(&key);
    let (consumer, poll) = parked(&client);
    assert_eq!(keyed.admin.delete(&format!("/api/keys/{id}")).0, 200);
    assert_eq!(code(&poll.join().expect("an answer")), (401, "unauthorized"));
    keyed.admin.wait_for_parked_polls(0);
    keyed.admin.produce_values("orders", 0, &["a"]);
    assert_eq!(keyed.admin.poll_values(&consumer), ["a"], "the consumer is as it was");
}

#[test]
fn a_poll_that_waits_ends_when_its_key_expires() {
    let keyed = Keyed::start(&[]);
    let soon = std::time::SystemTime::now() + Duration::from_secs(3);
    let soon = soon.duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_millis();
    let mut scopes = all();
    scopes["expires_at"] = json!(u64::try_from(soon).expect("a time"));
    let client = keyed.client(&scopes);
    client.create_topic("orders", 1);
    let read = client.get("/api/topics/orders/messages?wait_ms=300000");
    assert_eq!((code(&read), &read.1["details"]["reason"]), ((401, "unauthorized"), &json!("expired")));
}

#[test]
fn a_stream_ends_with_an_error_when_its_key_is_revoked() {
    let keyed = Keyed::start(&[]);
    let (key, id) = keyed.make(&all());
    let client = keyed.broker.client().with_key(&key);
    client.create_topic("orders", 1);
    let consumer = client.subscribe("g", &["orders"], &json!({}));
    let lines = client.lines(&format!("{consumer}/stream"), &[]).expect("a stream");
    keyed.admin.wait_for_parked_polls(1);
    assert_eq!(keyed.admin.delete(&format!("/api/keys/{id}")).0, 200);
    let all: Vec<String> = lines.collect();
    let error = all.iter().skip_while(|line| *line != "event: error").nth(1).expect("a last event");
    assert!(error.contains("\"code\":\"unauthorized\""), "{error}");
}

#[test]
fn a_server_that_requires_no_keys_has_none_and_looks_at_none() {
    let broker = Broker::start(Options::quick());
    let client = broker.client().with_key("anything");
    assert_eq!(client.get("/api/topics").0, 200);
    for answer in [client.get("/api/keys"), client.post("/api/keys", &json!({"name": "a"}))] {
        assert_eq!(code(&answer), (409, "keys_not_required"));
    }
}

#[test]
fn a_damaged_file_of_keys_is_no_reason_to_let_everybody_in() {
    let mut keyed = Keyed::start(&[]);
    let (key, _) = keyed.make(&all());
    fs::write(keyed.broker.data_dir().join("keys.json"), "{\"format\": 1,").expect("written");
    let client = keyed.broker.client().with_key(&key);
    eprintln!("waiting until the server has seen it");
    while !keyed.broker.log().contains("the keys can't be read") {
        thread::sleep(Duration::from_millis(5));
    }
    assert_eq!((client.get("/api/topics").0, keyed.broker.client().get("/api/topics").0), (200, 401));
    assert_eq!(code(&keyed.admin.post("/api/keys", &json!({"name": "a"}))), (503, "keys_unavailable"));
    keyed.broker.kill9();
    let (status, printed) = keyed.broker.run_to_its_end();
    assert!(!status.success() && printed.contains("keys.json is damaged"), "{printed}");
}
