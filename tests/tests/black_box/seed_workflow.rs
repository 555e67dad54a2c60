//! The workflow that the HTTP API is documented with: subscribe, consume, commit, position, seek, assign, close, each
//! with all of its answer, its defaults, and the odd ways in which clients write the same request.

use serde_json::{Value, json};
use takhin_tests::{
    api::{offsets, values},
    broker::{Broker, Options},
    client::Client,
    engine::Engine,
};

/// A server with the topics `payments` (3 partitions) and `audits` (2), of which some partitions hold records.
fn broker() -> (Broker, Client) {
    let broker = Broker::start(Options::quick());
    let client = broker.client();
    client.create_topic("payments", 3);
    client.create_topic("audits", 2);
    let payment = json!([{
        "partition": 0, "key": "p-1", "value": "{\"sum\": 12.5}", "timestamp": 1_700_000_000_000_u64,
        "headers": {"trace": "t-1"},
    }]);
    client.produce("payments", &payment);
    client.produce_values("payments", 1, &["one", "two"]);
    client.produce_values("audits", 1, &["seen"]);
    (broker, client)
}

fn id_of(answer: &Value) -> String {
    answer["consumer_id"].as_str().expect("a consumer's id").to_owned()
}

#[test]
fn a_consumer_lives_from_subscribe_to_close() {
    let (_broker, client) = broker();

    let subscribe = json!({
        "group_id": "ledger", "topics": ["payments", "audits"], "auto_offset_reset": "earliest",
        "session_timeout_ms": 30000,
    });
    let (status, subscribed) = client.post("/api/consumers/subscribe", &subscribe);
    let id = id_of(&subscribed);
    let whole = |topics: Value, manual: bool, assignment: Value, positions: Value, lag: Value| {
        json!({
            "consumer_id": id, "group_id": "ledger", "topics": topics, "manual": manual, "assignment": assignment,
            "generation": 1, "positions": positions, "lag": lag, "auto_offset_reset": "earliest",
            "session_timeout_ms": 30000, "max_poll_interval_ms": 300_000, "rebalance_timeout_ms": 60000,
            "auto_commit": true, "auto_commit_interval_ms": 5000, "assignor": "uniform", "format": "text",
        })
    };
    let topics = subscribed["topics"].clone();
    assert_eq!(status, 200);
    assert_eq!(
        subscribed,
        whole(
            topics.clone(),
            false,
            json!({"audits": [0, 1], "payments": [0, 1, 2]}),
            json!({"audits": {"0": 0, "1": 0}, "payments": {"0": 0, "1": 0, "2": 0}}),
            json!({"audits": {"0": 0, "1": 1}, "payments": {"0": 1, "1": 2, "2": 0}}),
        )
    );
    let consumer = format!("/api/consumers/{id}");

    let limits = json!({"max_records": 100, "timeout_ms": 30000, "max_bytes_total": 1_048_576});
    let (status, polled) = client.post(&format!("{consumer}/consume"), &limits);
    assert_eq!(status, 200);
    let mut records = polled["records"].as_array().expect("records").clone();
    records
        .sort_by_key(|record| (record["topic"].to_string(), record["partition"].as_u64(), record["offset"].as_u64()));
    let time = |at: usize| records[at]["timestamp"].clone();
    assert_eq!(
        Value::from(records.clone()),
        json!([
            {"topic": "audits", "partition": 1, "offset": 0, "timestamp": time(0), "key": null, "value": "seen",
                "headers": {}},
            {"topic": "payments", "partition": 0, "offset": 0, "timestamp": 1_700_000_000_000_u64, "key": "p-1",
                "value": "{\"sum\": 12.5}", "headers": {"trace": "t-1"}},
            {"topic": "payments", "partition": 1, "offset": 0, "timestamp": time(2), "key": null, "value": "one",
                "headers": {}},
            {"topic": "payments", "partition": 1, "offset": 1, "timestamp": time(3), "key": null, "value": "two",
                "headers": {}},
        ])
    );
    let now = polled["timestamp"].as_u64().expect("the answer bears a time");
    assert!(time(0).as_u64().expect("a time") <= now, "{polled}");
    assert!(polled["batch_id"].is_u64(), "{polled}");
    let positions = json!({"audits": {"0": 0, "1": 1}, "payments": {"0": 1, "1": 2, "2": 0}});
    assert_eq!(
        polled,
        json!({
            "records": polled["records"], "timestamp": now, "batch_id": polled["batch_id"], "generation": 1, "positions": positions,
            "lag": {"audits": {"0": 0, "1": 0}, "payments": {"0": 0, "1": 0, "2": 0}},
            "lag_ms": {"audits": {"0": 0, "1": 0}, "payments": {"0": 0, "1": 0, "2": 0}},
        })
    );

    let marks = json!({"payments": {"0": 1, "1": 1, "2": 0}, "audits": {"0": 0, "1": 1}});
    assert_eq!(
        client.post(&format!("{consumer}/commit"), &json!({"offsets": marks})),
        (200, json!({"success": true, "message": "offsets committed", "committed": marks}))
    );
    assert_eq!(client.get(&format!("{consumer}/committed")), (200, json!({"offsets": marks})));
    assert_eq!(client.get(&format!("{consumer}/position")), (200, json!({"offsets": positions})));

    let seek = json!({"topic": "payments", "partition": 1, "offset": 0});
    let sought = json!({"audits": {"0": 0, "1": 1}, "payments": {"0": 1, "1": 0, "2": 0}});
    assert_eq!(client.post(&format!("{consumer}/seek"), &seek), (200, json!({"success": true, "positions": sought})));
    assert_eq!(client.poll_values(&consumer), ["one", "two"]);

    let (status, assigned) =
        client.put(&format!("{consumer}/assignment"), &json!({"topics": {"payments": [0, 1], "audits": [0]}}));
    assert_eq!(status, 200);
    assert_eq!(
        assigned,
        whole(
            assigned["topics"].clone(),
            true,
            json!({"audits": [0], "payments": [0, 1]}),
            json!({"audits": {"0": 0}, "payments": {"0": 1, "1": 2}}),
            json!({"audits": {"0": 0}, "payments": {"0": 0, "1": 0}}),
        )
    );

    assert_eq!(
        client.delete(&consumer),
        (200, json!({"success": true, "message": "consumer closed", "consumer_id": id}))
    );
    let (status, again) = client.delete(&consumer);
    assert_eq!((status, &again["code"]), (404, &json!("consumer_not_found")), "{again}");
}

#[test]
fn a_consumer_can_be_looked_at_from_every_side() {
    let (_broker, client) = broker();
    let consumer = client.subscribe("ledger", &["audits"], &json!({}));
    let (_, whole) = client.get(&consumer);
    assert_eq!(whole["assignment"], json!({"audits": [0, 1]}));
    assert_eq!(
        client.get(&format!("{consumer}/assignment")),
        (200, json!({"assignment": {"audits": [0, 1]}, "generation": 1}))
    );
    assert_eq!(client.get(&format!("{consumer}/subscription")), (200, json!({"topics": ["audits"], "manual": false})));
    assert_eq!(
        client.send("POST", &format!("{consumer}/heartbeat"), &[], None).expect("an answer").body,
        json!({"success": true, "generation": 1, "session_timeout_ms": 30000})
    );
}

#[test]
fn what_is_left_out_has_its_documented_default() {
    let (_broker, client) = broker();
    let (_, subscribed) = client.post("/api/consumers/subscribe", &json!({"group_id": "g", "topics": ["payments"]}));
    let consumer = format!("/api/consumers/{}", id_of(&subscribed));
    assert_eq!(subscribed["auto_offset_reset"], "latest");
    assert_eq!(subscribed["session_timeout_ms"], 30_000);
    assert_eq!(subscribed["positions"], json!({"payments": {"0": 1, "1": 2, "2": 0}}), "latest is the end");

    // A poll without a body waits, and gives 500 records at most.
    let many: Vec<_> = (0..1_200).map(|number| number.to_string()).collect();
    let poll = std::thread::spawn({
        let (client, path) = (client.clone(), format!("{consumer}/consume"));
        move || client.send("POST", &path, &[], None).expect("an answer")
    });
    client.wait_for_parked_polls(1);
    client.produce_values("payments", 2, &many);
    let first = poll.join().expect("no panic");
    assert_eq!((first.status, first.header("content-type")), (200, "application/json"));
    let mut seen = offsets(&first.body["records"]);
    if Engine::of_this_run() == Engine::Kafka {
        // Kafka may have taken in a part of a request's records when it wakes who waits.
        assert!((1..=500).contains(&seen.len()), "{seen:?}");
    } else {
        assert_eq!(seen.len(), 500);
    }
    while seen.len() < 1_200 {
        let more = offsets(&client.poll(&consumer, &json!({}))["records"]);
        assert!(more.len() == 500.min(1_200 - seen.len()) || Engine::of_this_run() == Engine::Kafka, "{more:?}");
        assert!((1..=500).contains(&more.len()), "{more:?}");
        seen.extend(more);
    }
    assert_eq!(seen, (0..1_200).collect::<Vec<_>>());

    // A commit of nothing in particular commits what was delivered.
    let delivered = json!({"payments": {"0": null, "1": null, "2": 1200}});
    for body in [None, Some(b"{}".to_vec())] {
        let answer = client.send("POST", &format!("{consumer}/commit"), &[], body).expect("an answer");
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    assert_eq!(client.get(&format!("{consumer}/committed")), (200, json!({"offsets": delivered})));
}

#[test]
fn a_poll_keeps_its_bounds_but_gives_one_record_always() {
    let (_broker, client) = broker();
    client.create_topic("blobs", 1);
    let big = "x".repeat(10_000);
    client.produce_values("blobs", 0, &[&big, &big, &big]);
    let consumer = client.subscribe("g", &["blobs"], &json!({}));
    let sizes = [json!({"max_records": 2}), json!({"max_bytes_total": 1}), json!({"timeout_ms": 0})];
    let polled = sizes.map(|body| offsets(&client.poll(&consumer, &body)["records"]));
    assert_eq!(polled, [vec![0, 1], vec![2], vec![]]);
}

#[test]
fn a_body_counts_whatever_it_says_that_it_is() {
    let (_broker, client) = broker();
    let body = br#"{"group_id": "g", "topics": ["payments"], "auto_offset_reset": "earliest"}"#;
    let form = "application/x-www-form-urlencoded";
    for content_type in [
        None,
        Some(form),
        Some("text/plain"),
        Some("application/json; charset=utf-8"),
        Some("APPLICATION/JSON"),
        Some("nonsense"),
        Some(""),
    ] {
        let headers: Vec<_> = content_type.map(|value| ("content-type", value)).into_iter().collect();
        let answer = client.send("POST", "/api/consumers/subscribe", &headers, Some(body.to_vec())).expect("an answer");
        assert_eq!(answer.status, 200, "{content_type:?}: {}", answer.body);
        let consumer = format!("/api/consumers/{}", id_of(&answer.body));
        let commit = br#"{"offsets": {"payments": {"0": 1}}}"#.to_vec();
        let answer = client.send("POST", &format!("{consumer}/commit"), &headers, Some(commit)).expect("an answer");
        assert_eq!(answer.status, 200, "{content_type:?}: {}", answer.body);
        assert_eq!(client.delete(&consumer).0, 200);
    }
}

#[test]
fn an_accept_header_never_stands_in_the_way() {
    let (_broker, client) = broker();
    let consumer = client.subscribe("g", &["payments"], &json!({}));
    for accept in ["*/*", "application/json, text/plain, */*", "text/html", "application/json;q=0.1", ""] {
        let answer = client.send("GET", &format!("{consumer}/position"), &[("accept", accept)], None);
        let answer = answer.expect("an answer");
        assert_eq!((answer.status, answer.header("content-type")), (200, "application/json"), "{accept}");
    }
}

/// Python's `json` writes a dictionary's integer keys as strings, and puts a space behind each colon and comma.
#[test]
fn a_commit_as_python_writes_it() {
    let (_broker, client) = broker();
    let headers = [
        ("user-agent", "python-requests/2.32.3"),
        ("accept-encoding", "gzip, deflate"),
        ("accept", "*/*"),
        ("connection", "keep-alive"),
        ("content-type", "application/json"),
    ];
    let post = |path: &str, body: &str| {
        let answer = client.send("POST", path, &headers, Some(body.into())).expect("an answer");
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.body
    };
    let subscribed = post(
        "/api/consumers/subscribe",
        r#"{"group_id": "py", "topics": ["payments"], "auto_offset_reset": "earliest", "session_timeout_ms": 30000}"#,
    );
    let consumer = format!("/api/consumers/{}", id_of(&subscribed));
    let polled =
        post(&format!("{consumer}/consume"), r#"{"max_records": 50, "timeout_ms": 5000, "max_bytes_total": 1048576}"#);
    assert_eq!(polled["records"].as_array().expect("records").len(), 3);
    let committed = post(&format!("{consumer}/commit"), r#"{"offsets": {"payments": {"0": 1, "1": 2}}}"#);
    assert_eq!(committed["committed"], json!({"payments": {"0": 1, "1": 2}}));
    let sought = post(&format!("{consumer}/seek"), r#"{"topic": "payments", "partition": 1, "offset": 1}"#);
    assert_eq!(sought["positions"]["payments"]["1"], 1);
}

/// axios writes no spaces, and sends a content type with its other defaults.
#[test]
fn a_commit_as_axios_writes_it() {
    let (_broker, client) = broker();
    let headers = [
        ("accept", "application/json, text/plain, */*"),
        ("content-type", "application/json"),
        ("user-agent", "axios/1.7.9"),
        ("accept-encoding", "gzip, compress, deflate, br"),
        ("connection", "keep-alive"),
    ];
    let post = |path: &str, body: &str| {
        let answer = client.send("POST", path, &headers, Some(body.into())).expect("an answer");
        assert_eq!((answer.status, answer.header("content-encoding")), (200, ""), "{}", answer.body);
        answer.body
    };
    let subscribed = post(
        "/api/consumers/subscribe",
        r#"{"group_id":"js","topics":["payments"],"auto_offset_reset":"earliest","session_timeout_ms":30000}"#,
    );
    let consumer = format!("/api/consumers/{}", id_of(&subscribed));
    let polled =
        post(&format!("{consumer}/consume"), r#"{"max_records":50,"timeout_ms":5000,"max_bytes_total":1048576}"#);
    assert_eq!(polled["records"].as_array().expect("records").len(), 3);
    let committed = post(&format!("{consumer}/commit"), r#"{"offsets":{"payments":{"0":1,"1":2}}}"#);
    assert_eq!(committed["committed"], json!({"payments": {"0": 1, "1": 2}}));
}

#[test]
fn the_next_member_of_a_group_goes_on_where_the_last_one_committed() {
    let (_broker, client) = broker();
    let first = client.subscribe("g", &["payments"], &json!({"auto_commit": false}));
    assert_eq!(client.poll_values(&first).len(), 3);
    assert_eq!(client.post(&format!("{first}/commit"), &json!({"offsets": {"payments": {"0": 1, "1": 1}}})).0, 200);
    assert_eq!(client.delete(&first).0, 200);
    let second = client.subscribe("g", &["payments"], &json!({}));
    assert_eq!(client.poll_values(&second), ["two"]);
}

#[test]
fn closing_commits_what_was_delivered_unless_told_not_to() {
    let (_broker, client) = broker();
    for (auto_commit, left) in [(false, 2), (true, 0)] {
        let group = format!("auto-{auto_commit}");
        let first = client.subscribe(&group, &["payments"], &json!({"auto_commit": auto_commit}));
        let seek = json!({"topic": "payments", "partition": 0, "offset": 1});
        assert_eq!(client.post(&format!("{first}/seek"), &seek).0, 200);
        assert_eq!(client.poll_values(&first), ["one", "two"]);
        assert_eq!(client.delete(&first).0, 200);
        let second = client.subscribe(&group, &["payments"], &json!({}));
        let rest = values(&client.poll(&second, &json!({"timeout_ms": 0}))["records"]);
        let rest: Vec<_> = rest.iter().filter(|value| *value == "one" || *value == "two").collect();
        assert_eq!(rest.len(), left, "auto_commit {auto_commit}: {rest:?}");
        assert_eq!(client.delete(&second).0, 200);
    }
}

#[test]
fn a_client_may_choose_its_id_and_repeat_the_call() {
    let (_broker, client) = broker();
    let id = "3b241101-e2bb-4255-8caf-4136c566a962";
    let body = json!({"group_id": "g", "topics": ["payments"], "consumer_id": id});
    let (status, first) = client.post("/api/consumers/subscribe", &body);
    assert_eq!((status, id_of(&first).as_str()), (200, id));
    assert_eq!(client.post("/api/consumers/subscribe", &body), (200, first));
    let other = json!({"group_id": "another", "topics": ["payments"], "consumer_id": id});
    let (status, refused) = client.post("/api/consumers/subscribe", &other);
    assert_eq!((status, &refused["code"]), (409, &json!("consumer_exists")), "{refused}");
}
