//! Topics come, grow, change and go; also across restarts.

use serde_json::{Value, json};
use takhin_tests::{
    broker::{Broker, Options},
    client::Client,
    engine::Engine,
    local_only,
};

fn broker() -> (Broker, Client) {
    let broker = Broker::start(Options::quick());
    let client = broker.client();
    (broker, client)
}

/// What holds for a topic's logs where nothing was set.
fn defaults() -> Value {
    let everywhere = json!({
        "retention_ms": -1, "retention_bytes": -1, "segment_bytes": 134_217_728, "segment_ms": 604_800_000,
        "max_message_bytes": 1_048_576, "cleanup": "delete", "min_compaction_lag_ms": 0,
        "delete_retention_ms": 86_400_000, "compression": "none",
    });
    match Engine::of_this_run() {
        Engine::Local => with(everywhere, &json!({"durability": "os"})),
        Engine::Kafka => everywhere,
    }
}

/// `topic` with `more` added or replaced.
fn with(mut topic: Value, more: &Value) -> Value {
    for (field, value) in more.as_object().expect("an object") {
        topic[field] = value.clone();
    }
    topic
}

#[test]
fn topics_come_and_grow_and_go() {
    let (_broker, client) = broker();
    let created = client.send("POST", "/api/topics", &[], Some(br#"{"name": "a.b_c-1"}"#.to_vec())).expect("an answer");
    let described = json!({"name": "a.b_c-1", "partitions": 1, "offsets": [{"partition": 0, "start": 0, "end": 0}]});
    let described = with(described, &defaults());
    assert_eq!((created.status, created.header("location")), (201, "/api/topics/a.b_c-1"));
    assert_eq!(created.body, described);
    assert_eq!(client.get("/api/topics"), (200, json!({"topics": [described]})));
    client.produce_values("a.b_c-1", 0, &["kept"]);
    let (status, grown) = client.patch("/api/topics/a.b_c-1", &json!({"partitions": 2}));
    assert_eq!(
        (status, &grown["offsets"]),
        (200, &json!([{"partition": 0, "start": 0, "end": 1}, {"partition": 1, "start": 0, "end": 0}]))
    );
    assert_eq!(client.delete("/api/topics/a.b_c-1"), (200, json!({"name": "a.b_c-1", "message": "topic deleted"})));
    assert_eq!(client.get("/api/topics"), (200, json!({"topics": []})));
    client.create_topic("a.b_c-1", 1);
    assert_eq!(client.get("/api/topics/a.b_c-1/messages"), (200, json!([])), "a new life has nothing of the old one");
}

#[test]
fn settings_are_set_changed_and_kept() {
    let (mut broker, client) = broker();
    let set = json!({"retention_ms": 60_000, "cleanup": "both", "min_compaction_lag_ms": 5});
    let (status, created) = client.post("/api/topics", &with(json!({"name": "t"}), &set));
    let described = json!({"name": "t", "partitions": 1, "offsets": [{"partition": 0, "start": 0, "end": 0}]});
    let described = with(with(described, &defaults()), &set);
    assert_eq!((status, &created), (201, &described));
    let change = json!({"compression": "zstd", "retention_ms": -1, "segment_bytes": 2_097_152});
    let described = with(described, &change);
    assert_eq!(client.patch("/api/topics/t", &change), (200, described.clone()));
    // Nothing of a change that is refused is applied.
    let refused = json!({"partitions": 1, "compression": "none"});
    assert_eq!(client.patch("/api/topics/t", &refused).0, 422);
    assert_eq!(client.patch("/api/topics/nosuch", &change).0, 404);
    assert_eq!(client.get("/api/topics/t"), (200, described.clone()));
    broker.kill9();
    broker.restart();
    assert_eq!(broker.client().get("/api/topics/t"), (200, described));
}

#[test]
fn a_topic_says_when_its_appends_are_answered_or_else_the_server_does() {
    local_only!("durability is Kafka's to say");
    for (server, topic_that_is_not_set) in [("fsync", 1), ("interval:3600000", 0), ("os", 0)] {
        let mut broker = Broker::start(Options { durability: Some(server.to_owned()), ..Options::default() });
        let client = broker.client();
        let shown = |client: &Client, name: &str| client.get(&format!("/api/topics/{name}")).1["durability"].clone();
        let make = |name: &str, durability: &str| {
            let answer = client.post("/api/topics", &json!({"name": name, "durability": durability}));
            assert_eq!(answer.0, 201, "{answer:?}");
        };
        make("synced", "fsync");
        make("quick", "os");
        client.create_topic("plain", 1);
        assert_eq!(["synced", "quick", "plain"].map(|name| shown(&client, name)), ["fsync", "os", server]);
        let syncs = |of: &str| {
            let before = journal_syncs(&client);
            client.produce_values(of, 0, &["v"]);
            journal_syncs(&client) - before
        };
        assert_eq!(["synced", "quick", "plain"].map(syncs), [1, 0, topic_that_is_not_set], "{server}");
        assert_eq!(client.patch("/api/topics/quick", &json!({"durability": "fsync"})).1["durability"], "fsync");
        assert_eq!(client.patch("/api/topics/synced", &json!({"durability": "server"})).1["durability"], server);
        broker.kill9();
        broker.restart();
        let client = broker.client();
        assert_eq!(["synced", "quick", "plain"].map(|name| shown(&client, name)), [server, "fsync", server]);
        let (status, refused) = client.patch("/api/topics/quick", &json!({"durability": "never"}));
        assert_eq!(
            (status, &refused["code"], &refused["details"]["field"]),
            (422, &json!("invalid_value"), &json!("durability"))
        );
        assert!(refused["error"].as_str().expect("text").contains("`fsync`, `os`"), "{refused}");
    }
}

/// How often the journal was synced.
fn journal_syncs(client: &Client) -> u64 {
    let metrics = client.get("/metrics").1;
    let mut lines = metrics.as_str().expect("text").lines();
    let count = lines.find_map(|line| line.strip_prefix("takhin_storage_sync_seconds_count "));
    count.expect("a figure").parse().expect("a number")
}

#[test]
fn a_deleted_topic_stays_deleted_and_a_grown_one_grown_after_a_kill() {
    let (mut broker, client) = broker();
    for name in ["gone", "grown"] {
        client.create_topic(name, 1);
        client.produce_values(name, 0, &["v"]);
    }
    assert_eq!(client.delete("/api/topics/gone").0, 200);
    assert_eq!(client.patch("/api/topics/grown", &json!({"partitions": 3, "segment_bytes": 2_097_152})).0, 200);
    broker.kill9();
    broker.restart();
    let client = broker.client();
    assert_eq!(client.get("/api/topics/gone").0, 404);
    let grown = client.get("/api/topics/grown").1;
    assert_eq!((&grown["partitions"], &grown["segment_bytes"]), (&json!(3), &json!(2_097_152)));
    client.produce_values("grown", 2, &["in the last"]);
    client.create_topic("gone", 1);
    assert_eq!(client.get("/api/topics/gone/messages"), (200, json!([])));
    if Engine::of_this_run() == Engine::Local {
        let left = std::fs::read_dir(broker.data_dir().join("logs")).expect("logs").count();
        assert_eq!(left, 4, "three partitions of one topic and one of the other");
    }
}

#[test]
fn a_small_segment_size_makes_many_segments() {
    local_only!("segments of Kafka are no smaller than 1 MiB, and lie elsewhere");
    let (broker, client) = broker();
    assert_eq!(client.post("/api/topics", &json!({"name": "t", "segment_bytes": 1024})).0, 201);
    for n in 0..20 {
        client.produce_values("t", 0, &[format!("{n}").repeat(300)]);
    }
    let files = std::fs::read_dir(broker.data_dir().join("logs/t-0")).expect("a log");
    let segments = files.filter(|file| file.as_ref().expect("a file").file_name().to_string_lossy().ends_with(".log"));
    assert!(segments.count() >= 4);
    assert_eq!(client.read_from("t", 0, 0).len(), 20);
}
