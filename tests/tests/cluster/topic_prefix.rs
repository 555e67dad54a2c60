//! Several clusters share a Kafka, each with a prefix for its topics.

use serde_json::{Value, json};
use takhin_tests::client::Client;

use crate::nodes::Nodes;

fn names(client: &Client) -> Vec<String> {
    let (status, told) = client.get("/api/topics");
    assert_eq!(status, 200, "{told}");
    let topics = told["topics"].as_array().expect("topics");
    topics.iter().map(|topic| topic["name"].as_str().expect("a name").to_owned()).collect()
}

#[test]
#[ignore = "needs brokers"]
fn a_cluster_sees_the_topics_with_its_prefix_and_no_others() {
    let (shop, mill, all) = (Nodes::start_with_prefix(2), Nodes::start_with_prefix(1), Nodes::start(1));
    // Both have one of this name.
    for (nodes, value) in [(&shop, "sold"), (&mill, "ground")] {
        let client = nodes.client(0);
        client.create_topic("orders", 2);
        client.produce_values("orders", 1, &[value]);
        assert_eq!(names(&client), ["orders"]);
    }
    // Whoever sees all of Kafka sees it under its whole name, and writes to the same.
    let whole = format!("{}orders", shop.topic_prefix());
    let outside = all.client(0);
    assert_eq!(outside.get(&format!("/api/topics/{whole}")).1["partitions"], 2);
    assert_eq!(outside.produce_values(&whole, 1, &["from outside"]), 1);
    let consumer = shop.client(1).subscribe("g", &["orders"], &json!({}));
    let mut seen = Vec::new();
    while seen.len() < 2 {
        let polled = shop.client(1).poll(&consumer, &json!({"timeout_ms": 5_000}));
        seen.extend(takhin_tests::api::values(&polled["records"]));
    }
    assert_eq!(seen, ["sold", "from outside"]);
    // Patterns are about names without it, and changes find their topic.
    let by_pattern = json!({"group_id": "p", "topic_pattern": "^orders$"});
    let (status, subscribed) = mill.client(0).post("/api/consumers/subscribe", &by_pattern);
    assert_eq!((status, &subscribed["assignment"]), (200, &json!({"orders": [0, 1]})), "{subscribed}");
    let change = json!({"partitions": 3, "retention_ms": 3_600_000});
    let (status, changed) = shop.client(0).patch("/api/topics/orders", &change);
    assert_eq!(
        (status, &changed["partitions"], &changed["retention_ms"]),
        (200, &json!(3), &json!(3_600_000)),
        "{changed}"
    );
    assert_eq!(shop.client(0).delete("/api/topics/orders").0, 200);
    assert_eq!((names(&shop.client(0)), names(&mill.client(0))), (vec![], vec!["orders".to_owned()]));
}

#[test]
#[ignore = "needs brokers"]
fn a_name_that_is_too_long_with_its_prefix_is_refused_and_so_is_a_hidden_one() {
    let nodes = Nodes::start_with_prefix(1);
    let client = nodes.client(0);
    let most = 249 - nodes.topic_prefix().len();
    client.create_topic(&"x".repeat(most), 1);
    for name in ["x".repeat(most + 1), "__hidden".to_owned()] {
        let (status, refused) = client.post("/api/topics", &json!({"name": name}));
        assert_eq!(
            (status, &refused["code"], &refused["retryable"]),
            (501, &json!("unsupported"), &Value::Bool(false))
        );
    }
    assert_eq!(client.delete(&format!("/api/topics/{}", "x".repeat(most))).0, 200);
}

#[test]
#[ignore = "needs brokers"]
fn a_node_with_another_prefix_does_not_start() {
    let nodes = Nodes::start_with_prefix(1);
    for other in ["", "--topic-prefix=other."] {
        let (status, printed) = nodes.start_another(other);
        let told =
            format!("the cluster was made with the topic prefix {:?}, and this node is given ", nodes.topic_prefix());
        assert!(!status.success() && printed.contains(&told), "{status}\n{printed}");
    }
}
