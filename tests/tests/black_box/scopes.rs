//! What a key may and may not, where that is more than one name in a path.

use std::thread;

use serde_json::{Value, json};
use takhin_tests::{
    client::{Answer, Client},
    keyed::Keyed,
};

fn forbidden(answer: &Answer) -> &Value {
    assert_eq!((answer.0, answer.1["code"].as_str()), (403, Some("forbidden")), "{}", answer.1);
    &answer.1["details"]
}

/// A server with the topics `orders.eu`, `orders.us` and `audits`, and a key for the orders and the group `billing`.
fn world(arguments: &[&str]) -> (Keyed, Client) {
    let keyed = Keyed::start(arguments);
    for topic in ["orders.eu", "orders.us", "audits"] {
        keyed.admin.create_topic(topic, 1);
    }
    let client = keyed.client(&json!({"topics": {"orders.*": ["read", "write"]}, "groups": {"billing": ["read"]}}));
    (keyed, client)
}

fn names(list: &Value, of: &str, name: &str) -> Vec<String> {
    let list = list[of].as_array().expect("a list").iter();
    list.map(|entry| entry[name].as_str().expect("a name").to_owned()).collect()
}

#[test]
fn lists_show_what_a_key_may_read() {
    let (keyed, client) = world(&[]);
    for group in ["billing", "secret"] {
        keyed.admin.subscribe(group, &["audits"], &json!({}));
    }
    assert_eq!(names(&client.get("/api/topics").1, "topics", "name"), ["orders.eu", "orders.us"]);
    assert_eq!(names(&client.get("/api/consumer-groups").1, "groups", "group_id"), ["billing"]);
    assert_eq!(names(&keyed.admin.get("/api/consumer-groups").1, "groups", "group_id"), ["billing", "secret"]);
    let nothing = keyed.client(&json!({}));
    assert_eq!(nothing.get("/api/topics").1, json!({"topics": []}));
    assert_eq!(nothing.get("/api/consumer-groups").1, json!({"groups": []}));
}

#[test]
fn a_name_that_may_not_be_read_is_refused_whether_or_not_it_is_there() {
    let (_keyed, client) = world(&[]);
    let (there, not_there) = (client.get("/api/topics/audits"), client.get("/api/topics/nothing"));
    assert_eq!(forbidden(&there), &json!({"scope": "topics", "right": "read", "name": "audits"}));
    assert_eq!(forbidden(&not_there), &json!({"scope": "topics", "right": "read", "name": "nothing"}));
}

#[test]
fn a_subscription_needs_the_group_and_every_topic() {
    let (_keyed, client) = world(&[]);
    let subscribe = |body: Value| client.post("/api/consumers/subscribe", &body);
    let other_group = subscribe(json!({"group_id": "other", "topics": ["orders.eu"]}));
    assert_eq!(forbidden(&other_group), &json!({"scope": "groups", "right": "read", "name": "other"}));
    let other_topic =
        subscribe(json!({"group_id": "billing", "topics": ["orders.eu", "audits"], "allow_missing": true}));
    assert_eq!(forbidden(&other_topic)["name"], "audits");
    let consumer = client.subscribe("billing", &["orders.eu"], &json!({}));
    for (method, place, body) in [
        ("PUT", "subscription", json!({"topics": ["audits"]})),
        ("PUT", "subscription", json!({"topic_pattern": ".*"})),
        ("PUT", "assignment", json!({"topics": {"audits": [0]}})),
    ] {
        let answer = client.request(method, &format!("{consumer}/{place}"), Some(&body)).expect("an answer");
        forbidden(&answer);
    }
    assert_eq!(client.get(&consumer).1["topics"], json!(["orders.eu"]), "nothing has changed");
}

#[test]
fn a_pattern_may_match_only_what_the_key_may_read() {
    let (keyed, client) = world(&[]);
    let subscribe = |pattern: &str| {
        client.post("/api/consumers/subscribe", &json!({"group_id": "billing", "topic_pattern": pattern}))
    };
    for pattern in [".*", "orders.*", "orders..*", r"(orders\.|audits).*", r"(?i)orders\..*", r"orders\..*|", "[a-z.]+"]
    {
        let answer = subscribe(pattern);
        assert_eq!(forbidden(&answer)["topic_pattern"], pattern);
    }
    assert_eq!(subscribe("(").1["code"], "invalid_pattern");
    let (status, consumer) = subscribe(r"orders\.(eu|us|later)");
    assert_eq!((status, &consumer["topics"]), (200, &json!(["orders.eu", "orders.us"])));
    keyed.admin.create_topic("orders.later", 1);
    let path = format!("/api/consumers/{}", consumer["consumer_id"].as_str().expect("an id"));
    assert_eq!(client.get(&path).1["topics"], json!(["orders.eu", "orders.later", "orders.us"]));
}

#[test]
fn a_topic_is_made_by_who_may_make_it() {
    let (keyed, client) = world(&["--auto-create-topics"]);
    let records = json!({"records": [{"value": "a"}]});
    let needed = json!({"scope": "topics", "right": "admin", "name": "orders.new"});
    assert_eq!(forbidden(&client.post("/api/topics/orders.new/produce", &records)), &needed);
    let subscribe = json!({"group_id": "billing", "topics": ["orders.eu", "orders.new"]});
    assert_eq!(forbidden(&client.post("/api/consumers/subscribe", &subscribe)), &needed);
    assert_eq!(keyed.admin.get("/api/topics/orders.new").0, 404, "nothing was made");
    let maker = keyed.client(&json!({"topics": {"orders.*": ["read", "write", "admin"]}}));
    assert_eq!(maker.post("/api/topics/orders.new/produce", &records).0, 200);
    assert_eq!(client.post("/api/topics/orders.new/produce", &records).0, 200, "it is there now");
}

#[test]
fn offsets_of_a_group_are_set_for_topics_that_may_be_read() {
    let (keyed, _) = world(&[]);
    let client = keyed.client(&json!({"topics": {"orders.*": ["read"]}, "groups": {"billing": ["read", "admin"]}}));
    let set = |body: Value| client.put("/api/consumer-groups/billing/offsets", &body);
    for body in [
        json!({"to": "latest", "topics": ["audits"], "dry_run": true}),
        json!({"timestamp_ms": 0, "partitions": {"audits": [0]}, "dry_run": true}),
        json!({"offsets": {"audits": {"0": 0}}}),
    ] {
        assert_eq!(forbidden(&set(body))["name"], "audits");
    }
    assert_eq!(set(json!({"to": "latest", "topics": ["orders.eu"]})).0, 200);
}

#[test]
fn who_may_not_read_what_a_consumer_can_reach_may_not_use_it() {
    let (keyed, client) = world(&[]);
    let consumer = client.subscribe("billing", &["orders.eu"], &json!({"auto_commit": false}));
    keyed.admin.produce_values("audits", 0, &["secret"]);
    keyed.admin.produce_values("orders.eu", 0, &["order"]);
    assert_eq!(client.poll_values(&consumer), ["order"]);
    // While its poll waits, somebody who may lets the consumer have more than this key may read.
    let poll = {
        let (client, path) = (client.clone(), format!("{consumer}/consume"));
        thread::spawn(move || client.post(&path, &json!({"timeout_ms": 300_000})))
    };
    keyed.admin.wait_for_parked_polls(1);
    let more = json!({"topics": ["orders.eu", "audits"]});
    assert_eq!(keyed.admin.put(&format!("{consumer}/subscription"), &more).0, 200);
    let answer = poll.join().expect("an answer");
    assert_eq!(forbidden(&answer), &json!({"scope": "topics", "right": "read"}), "what is not the key's is not named");
    for (method, place) in [("POST", "/consume"), ("GET", ""), ("GET", "/position"), ("GET", "/stream"), ("DELETE", "")]
    {
        forbidden(&client.request(method, &format!("{consumer}{place}"), None).expect("an answer"));
    }
    let last = client.get("/api/topics/orders.eu").0;
    assert_eq!((last, keyed.admin.get(&consumer).0), (200, 200), "and it is still there");
}
