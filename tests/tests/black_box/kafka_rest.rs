//! The v2 API of Kafka's REST proxies, route by route: what it answers to good requests and to wrong ones.

use serde_json::{Value, json};
use takhin_tests::{
    broker::{Broker, Options},
    client::{Client, Whole},
};

pub(crate) const V2: &str = "application/vnd.kafka.v2+json";
const BINARY: &str = "application/vnd.kafka.binary.v2+json";
pub(crate) const JSON: &str = "application/vnd.kafka.json.v2+json";
const TEXT: &str = "application/vnd.kafka.text.v2+json";

pub(crate) fn start(arguments: &[&str]) -> (Broker, Client) {
    let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
    let broker = Broker::start(Options { arguments, ..Options::quick() });
    let client = broker.client();
    client.create_topic("t", 2);
    (broker, client)
}

/// Sends a body of this media type, or none at all if it is null.
pub(crate) fn send(client: &Client, method: &str, path: &str, content_type: &str, body: &Value) -> Whole {
    let body = (!body.is_null()).then(|| body.to_string().into_bytes());
    client.send(method, path, &[("content-type", content_type)], body).expect("an answer")
}

pub(crate) fn post(client: &Client, path: &str, body: &Value) -> (u16, Value) {
    let whole = send(client, "POST", path, V2, body);
    (whole.status, whole.body)
}

fn get_as(client: &Client, path: &str, accept: &str) -> Whole {
    client.send("GET", path, &[("accept", accept)], None).expect("an answer")
}

/// Creates an instance that begins at the earliest record, with whatever else `more` says, and gives its path.
pub(crate) fn create(client: &Client, group: &str, name: &str, more: &Value) -> String {
    let mut body = json!({"name": name, "format": "json", "auto.offset.reset": "earliest"});
    for (field, value) in more.as_object().expect("an object") {
        body[field] = value.clone();
    }
    let (status, answer) = post(client, &format!("/kafka/consumers/{group}"), &body);
    assert_eq!((status, &answer["instance_id"]), (200, &json!(name)), "{answer}");
    format!("/kafka/consumers/{group}/instances/{name}")
}

/// Creates an instance that subscribes to the topic `t`.
pub(crate) fn subscribed(client: &Client, name: &str, more: &Value) -> String {
    let instance = create(client, "g", name, more);
    let answer = post(client, &format!("{instance}/subscription"), &json!({"topics": ["t"]}));
    assert_eq!(answer, (204, Value::Null));
    instance
}

/// What `GET .../records` brings at once, as `(partition, offset, value)`.
pub(crate) fn read(client: &Client, instance: &str) -> Vec<(u64, u64, Value)> {
    let (status, answer) = client.get(&format!("{instance}/records?timeout=0"));
    assert_eq!(status, 200, "{answer}");
    let records = answer.as_array().expect("an array");
    let number = |record: &Value, field: &str| record[field].as_u64().expect("a number");
    records.iter().map(|it| (number(it, "partition"), number(it, "offset"), it["value"].clone())).collect()
}

pub(crate) fn refused(answer: &(u16, Value), status: u16, code: u64) {
    assert_eq!((answer.0, &answer.1["error_code"]), (status, &json!(code)), "{}", answer.1);
    assert!(answer.1["message"].is_string() && answer.1.as_object().expect("an object").len() == 2, "{}", answer.1);
}

#[test]
fn what_there_is_can_be_looked_at() {
    let (_broker, client) = start(&[]);
    let partition = |number: u64| json!({"partition": number, "leader": 0, "replicas": [{"broker": 0, "leader": true, "in_sync": true}]});
    for root in ["/kafka", "/kafka/"] {
        assert_eq!(client.get(root), (200, json!({})));
    }
    assert_eq!(client.get("/kafka/brokers"), (200, json!({"brokers": [0]})));
    assert_eq!(client.get("/kafka/topics"), (200, json!(["t"])));
    assert_eq!(client.get("/kafka/topics/t/partitions"), (200, json!([partition(0), partition(1)])));
    assert_eq!(client.get("/kafka/topics/t/partitions/1"), (200, partition(1)));
    let (status, topic) = client.get("/kafka/topics/t");
    assert_eq!((status, &topic["name"], topic["partitions"].as_array().map(Vec::len)), (200, &json!("t"), Some(2)));
    assert_eq!(
        (&topic["configs"]["cleanup.policy"], &topic["configs"]["retention.ms"]),
        (&json!("delete"), &json!("-1"))
    );
    client.produce_values("t", 1, &["a", "b"]);
    let (status, offsets) = client.get("/kafka/topics/t/partitions/1/offsets");
    assert_eq!((status, offsets), (200, json!({"beginning_offset": 0, "end_offset": 2})));
    refused(&client.get("/kafka/topics/x"), 404, 40401);
    refused(&client.get("/kafka/topics/x/partitions"), 404, 40401);
    refused(&client.get("/kafka/topics/t/partitions/2"), 404, 40402);
    refused(&client.get("/kafka/topics/t/partitions/2/offsets"), 404, 40402);
    refused(&client.get("/kafka/nothing"), 404, 404);
    refused(&client.delete("/kafka/topics"), 405, 405);
}

#[test]
fn answers_have_the_media_type_that_is_wanted() {
    let (_broker, client) = start(&[]);
    for (accept, expected) in [
        ("*/*", V2),
        (V2, V2),
        (BINARY, BINARY),
        ("application/json", "application/json"),
        ("text/html;q=0.9, application/vnd.kafka.v2+json;q=0.1", V2),
        ("application/vnd.kafka.avro.v2+json", V2),
    ] {
        let answer = get_as(&client, "/kafka/topics", accept);
        assert_eq!((answer.status, answer.header("content-type")), (200, expected), "{accept}");
    }
    for accept in ["text/html", "application/vnd.kafka.v1+json", "application/json;q=0"] {
        let answer = get_as(&client, "/kafka/topics", accept);
        assert_eq!(answer.header("content-type"), V2);
        refused(&(answer.status, answer.body), 406, 406);
    }
    let wrong = send(&client, "POST", "/kafka/consumers/g", "text/plain", &json!({}));
    refused(&(wrong.status, wrong.body), 415, 415);
}

#[test]
fn records_of_each_format_are_stored_as_their_bytes() {
    let (_broker, client) = start(&[]);
    let records = [
        (BINARY, json!({"key": "a2V5", "value": "/wA="})),
        (JSON, json!({"key": {"id": 1}, "value": "text"})),
        (TEXT, json!({"key": "key", "value": "text"})),
        (JSON, json!({"value": null})),
    ];
    for (offset, (format, record)) in records.iter().enumerate() {
        let answer = send(&client, "POST", "/kafka/topics/t/partitions/1", format, &json!({"records": [record]}));
        let place = json!({"partition": 1, "offset": offset, "error_code": null, "error": null});
        let expected = json!({"offsets": [place], "key_schema_id": null, "value_schema_id": null});
        assert_eq!((answer.status, answer.body), (200, expected));
    }
    let stored: Vec<_> =
        client.read_from("t", 1, 0).iter().map(|it| (it["key"].clone(), it["value"].clone())).collect();
    assert_eq!(
        stored,
        [
            (json!("key"), json!("/wA=")),
            (json!("{\"id\":1}"), json!("\"text\"")),
            (json!("key"), json!("text")),
            (Value::Null, Value::Null),
        ]
    );
}

#[test]
fn records_go_where_they_say_or_where_their_key_leads() {
    let (_broker, client) = start(&[]);
    let produce = |path: &str, records: &Value| {
        let answer = send(&client, "POST", path, BINARY, &json!({"records": records}));
        assert_eq!(answer.status, 200, "{}", answer.body);
        let offsets = answer.body["offsets"].as_array().expect("offsets").clone();
        offsets.iter().map(|at| at["partition"].as_u64().expect("a number")).collect::<Vec<_>>()
    };
    let native = client.produce("t", &json!([{"key": "some key"}]))[0].0;
    let keyed = json!({"key": "c29tZSBrZXk=", "value": ""});
    let records = json!([{"value": "", "partition": 1}, {"value": "", "partition": 0}, keyed]);
    assert_eq!(produce("/kafka/topics/t", &records), [1, 0, native]);
    assert_eq!(produce("/kafka/topics/t/partitions/1", &json!([{"value": ""}, {"value": "", "partition": 0}])), [1, 0]);
}

#[test]
fn wrong_records_are_refused_as_a_whole() {
    let (_broker, client) = start(&[]);
    let produce = |path: &str, format: &str, body: Value| {
        let answer = send(&client, "POST", path, format, &body);
        (answer.status, answer.body)
    };
    let one = || json!({"records": [{"value": "AA=="}]});
    refused(&produce("/kafka/topics/x", BINARY, one()), 404, 40401);
    refused(&produce("/kafka/topics/t/partitions/2", BINARY, one()), 404, 40402);
    refused(&produce("/kafka/topics/t", BINARY, json!({"records": [{"value": "", "partition": 2}]})), 404, 40402);
    refused(&produce("/kafka/topics/t", BINARY, json!({"records": [{"value": "AA=="}, {"value": "#"}]})), 422, 42203);
    refused(&produce("/kafka/topics/t", BINARY, json!({"records": [{"value": 1}]})), 422, 422);
    refused(&produce("/kafka/topics/t", BINARY, json!({"records": []})), 422, 422);
    refused(&produce("/kafka/topics/t", BINARY, json!({"recrods": []})), 422, 422);
    refused(&produce("/kafka/topics/t", BINARY, json!([])), 400, 400);
    refused(&produce("/kafka/topics/t", JSON, json!({"records": [{"value": "x".repeat(2 << 20)}]})), 413, 413);
    for format in ["avro", "jsonschema", "protobuf"] {
        let format = format!("application/vnd.kafka.{format}.v2+json");
        refused(&produce("/kafka/topics/t", &format, one()), 415, 415);
    }
    for format in [V2, "application/json"] {
        refused(&produce("/kafka/topics/t", format, one()), 415, 415);
    }
    assert_eq!(client.get("/kafka/topics/t/partitions/0/offsets").1["end_offset"], 0);
    assert_eq!(client.get("/kafka/topics/t/partitions/1/offsets").1["end_offset"], 0);
}

#[test]
fn an_instance_reads_in_its_format_and_in_no_other() {
    let (_broker, client) = start(&[]);
    client.produce("t", &json!([{"key": "1", "value": {"a": 1.50}, "partition": 0, "headers": {"h": "v"}}]));
    let headers = json!([{"key": "h", "value": "dg=="}]);
    for (name, media, key, value) in [
        ("binary", BINARY, json!("MQ=="), json!("eyJhIjoxLjV9")),
        ("json", JSON, json!(1), json!({"a": 1.5})),
        ("text", TEXT, json!("1"), json!("{\"a\":1.5}")),
    ] {
        let instance = create(&client, name, "i", &json!({"format": name}));
        assert_eq!(post(&client, &format!("{instance}/subscription"), &json!({"topics": ["t"]})).0, 204);
        let other = if name == "json" { BINARY } else { JSON };
        for other in [other, "application/vnd.kafka.avro.v2+json"] {
            let answer = get_as(&client, &format!("{instance}/records"), other);
            refused(&(answer.status, answer.body), 406, 40601);
        }
        let answer = get_as(&client, &format!("{instance}/records"), media);
        assert_eq!((answer.status, answer.header("content-type")), (200, media));
        let record = json!({"topic": "t", "key": key, "value": value, "partition": 0, "offset": 0, "headers": headers});
        assert_eq!(answer.body, json!([record]));
    }
}

#[test]
fn a_record_that_is_not_of_the_format_is_passed_over_by_nobody() {
    let (_broker, client) = start(&[]);
    client.produce_values("t", 0, &["\"fine\"", "not JSON"]);
    let instance = subscribed(&client, "i", &json!({}));
    for _ in 0..2 {
        let (status, answer) = client.get(&format!("{instance}/records"));
        assert!(answer["message"].as_str().expect("a text").contains("t/0, offset 1"), "{answer}");
        refused(&(status, answer), 406, 40601);
    }
    let past = json!({"offsets": [{"topic": "t", "partition": 0, "offset": 2}]});
    assert_eq!(post(&client, &format!("{instance}/positions"), &past).0, 204);
    client.produce_values("t", 0, &["3"]);
    assert_eq!(read(&client, &instance), [(0, 2, json!(3))]);
}

#[test]
fn positions_are_moved() {
    let (_broker, client) = start(&[]);
    client.produce_values("t", 0, &["1", "2", "3"]);
    let instance = subscribed(&client, "i", &json!({}));
    assert_eq!(read(&client, &instance).len(), 3);
    let partitions = json!({"partitions": [{"topic": "t", "partition": 0}]});
    assert_eq!(post(&client, &format!("{instance}/positions/beginning"), &partitions), (204, Value::Null));
    assert_eq!(read(&client, &instance).len(), 3);
    let offsets = json!({"offsets": [{"topic": "t", "partition": 0, "offset": 2, "metadata": "why"}]});
    assert_eq!(post(&client, &format!("{instance}/positions"), &offsets), (204, Value::Null));
    assert_eq!(read(&client, &instance), [(0, 2, json!(3))]);
    assert_eq!(post(&client, &format!("{instance}/positions/beginning"), &json!({"partitions": []})).0, 204);
    assert_eq!(post(&client, &format!("{instance}/positions/end"), &partitions), (204, Value::Null));
    assert_eq!(read(&client, &instance), []);
    let elsewhere = json!({"partitions": [{"topic": "x", "partition": 0}]});
    refused(&post(&client, &format!("{instance}/positions/end"), &elsewhere), 404, 40401);
    let beyond = json!({"offsets": [{"topic": "t", "partition": 0, "offset": 4}]});
    refused(&post(&client, &format!("{instance}/positions"), &beyond), 422, 422);
    refused(&post(&client, &format!("{instance}/positions"), &json!({"offsets": []})), 422, 422);
    let other = create(&client, "g", "other", &json!({}));
    refused(&post(&client, &format!("{other}/positions/end"), &partitions), 409, 40903);
}

#[test]
fn a_commit_is_of_the_last_record_or_raw_as_the_server_is_set() {
    for (style, committed, answered) in [("next", 2, (200, json!([]))), ("raw", 1, (204, Value::Null))] {
        let (_broker, client) = start(&["--kafka-rest-commit", style]);
        client.produce_values("t", 0, &["1", "2", "3"]);
        let instance = subscribed(&client, "i", &json!({"auto.commit.enable": "false"}));
        let path = format!("{instance}/offsets");
        let told =
            |offset: u64, metadata: &str| json!({"topic": "t", "partition": 0, "offset": offset, "metadata": metadata});
        assert_eq!(client.get(&path), (200, json!({"offsets": []})));
        let offsets = json!({"offsets": [{"topic": "t", "partition": 0, "offset": 1, "metadata": "m"}]});
        assert_eq!(post(&client, &path, &offsets), answered);
        assert_eq!(client.get(&path), (200, json!({"offsets": [told(committed, "m")]})));
        assert_eq!(post(&client, &path, &json!({"offsets": []})), answered, "nothing is committed");
        assert_eq!(read(&client, &instance).len(), 3);
        assert_eq!(post(&client, &path, &Value::Null), answered, "all that was read is committed");
        let asked = json!({"partitions": [{"topic": "t", "partition": 0}, {"topic": "t", "partition": 1}]});
        let answer = send(&client, "GET", &path, V2, &asked);
        assert_eq!((answer.status, answer.body), (200, json!({"offsets": [told(3, "")]})));
        let beyond = json!({"offsets": [{"topic": "t", "partition": 0, "offset": 4}]});
        refused(&post(&client, &path, &beyond), 422, 422);
        let in_redpandas_words = json!({"partitions": [{"topic": "t", "partition": 0, "offset": 0}]});
        assert_eq!(post(&client, &path, &in_redpandas_words), answered);
        let no_partition = json!({"partitions": [{"topic": "t", "partition": 2}]});
        let answer = send(&client, "GET", &path, V2, &no_partition);
        refused(&(answer.status, answer.body), 404, 40402);
    }
}

#[test]
fn another_members_offsets_are_told_too() {
    let (_broker, client) = start(&[]);
    client.produce_values("t", 0, &["1"]);
    let reader = subscribed(&client, "reader", &json!({}));
    assert_eq!(read(&client, &reader).len(), 1);
    assert_eq!(post(&client, &format!("{reader}/offsets"), &Value::Null).0, 200);
    let idle = create(&client, "g", "idle", &json!({}));
    let asked = json!({"partitions": [{"topic": "t", "partition": 0}]});
    let answer = send(&client, "GET", &format!("{idle}/offsets"), V2, &asked);
    let offsets = json!([{"topic": "t", "partition": 0, "offset": 1, "metadata": ""}]);
    assert_eq!((answer.status, answer.body), (200, json!({"offsets": offsets})));
}

#[test]
fn it_is_where_the_server_is_told_to_have_it() {
    let (_broker, client) = start(&["--kafka-rest", "off"]);
    assert_eq!(client.get("/kafka/topics").1["code"], "route_not_found");
    let (_broker, client) = start(&["--kafka-rest", "/proxy/v2"]);
    assert_eq!(client.get("/proxy/v2/topics"), (200, json!(["t"])));
    assert_eq!(client.get("/kafka/topics").1["code"], "route_not_found");
    let (_broker, client) = start(&["--kafka-rest", "/"]);
    assert_eq!(client.get("/topics"), (200, json!(["t"])));
    assert_eq!(client.get("/"), (200, json!({})));
    assert_eq!(client.get("/api/topics/t").1["partitions"], 2);
    assert_eq!(client.get("/nothing").1["code"], "route_not_found");
}
