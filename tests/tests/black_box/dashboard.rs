//! The dashboard and the documentation speak of metrics that a live server has, with the labels that it gives them.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::PathBuf,
};

use serde_json::{Value, json};
use takhin_tests::{
    broker::{Broker, Options},
    local_only,
};

/// What a server has only once it is broken, and its label.
const NOT_IN_HEALTH: [(&str, &str); 1] = [("takhin_audit_violations_total", "oracle")];

/// The labels of each metric that a server shows after a little of everything.
fn live() -> BTreeMap<String, BTreeSet<String>> {
    let directory = tempfile::TempDir::new().expect("a directory");
    let file = directory.path().join("access.log");
    let arguments = vec![format!("--access-log={}", file.display())];
    let broker = Broker::start(Options { arguments, ..Options::default() });
    let client = broker.client();
    client.create_topic("t", 1);
    client.produce_values("t", 0, &["a"]);
    let consumer = client.subscribe("g", &["t"], &json!({"auto_offset_reset": "earliest"}));
    client.poll(&consumer, &json!({"timeout_ms": 0}));
    client.post(&format!("{consumer}/commit"), &json!({}));
    let other = client.subscribe("h", &["t"], &json!({}));
    client.delete(&other);
    client.get("/nowhere");
    let Value::String(text) = client.get("/metrics").1 else { panic!("metrics are text") };
    let mut metrics =
        BTreeMap::from(NOT_IN_HEALTH.map(|(name, label)| (name.to_owned(), BTreeSet::from([label.to_owned()]))));
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let end = line.find(['{', ' ']).expect("a name");
        let labels = metrics.entry(line[..end].to_owned()).or_default();
        labels.extend(labels_in(&line[end..]));
    }
    metrics
}

/// What stands before `=` in braces.
fn labels_in(text: &str) -> impl Iterator<Item = String> {
    let inside = text.strip_prefix('{').and_then(|rest| rest.split_once('}')).map_or("", |(inside, _)| inside);
    let names = inside.split(',').filter_map(|pair| pair.split_once('='));
    names.map(|(name, _)| name.trim().trim_end_matches(['!', '~']).to_owned()).collect::<Vec<_>>().into_iter()
}

/// The metrics that a text names.
fn names_in(text: &str) -> BTreeSet<String> {
    let is_part = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let words = text.split(|letter| !is_part(letter));
    words.filter(|word| word.starts_with("takhin_") || word.starts_with("process_")).map(str::to_owned).collect()
}

fn document(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name);
    fs::read_to_string(path).expect("a document")
}

/// Without what a histogram adds to its name.
fn base(name: &str) -> &str {
    let base = ["_bucket", "_count", "_sum"].iter().find_map(|end| name.strip_suffix(end));
    base.unwrap_or(name)
}

fn expressions(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                match value {
                    Value::String(text) if name == "expr" || (name == "query" && text.contains('(')) => {
                        found.push(text.clone());
                    }
                    _ => expressions(value, found),
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| expressions(value, found)),
        _ => {}
    }
}

#[test]
fn what_the_dashboard_shows_is_there_and_what_is_there_is_documented() {
    local_only!("it shows the figures of a disk, too, which a node has none of");
    let live = live();
    let dashboard = serde_json::from_str(&document("grafana.json")).expect("JSON");
    let mut found = Vec::new();
    expressions(&dashboard, &mut found);
    assert!(found.len() > 40, "{found:?}");
    let mut shown = BTreeSet::new();
    for expression in &found {
        for name in names_in(expression) {
            let labels = live.get(&name).unwrap_or_else(|| panic!("there is no {name}, which {expression} shows"));
            shown.insert(base(&name).to_owned());
            // What an expression groups by is a label of what it sums.
            let by = expression.split("by (").skip(1).filter_map(|rest| rest.split_once(')'));
            for label in by.flat_map(|(list, _)| list.split(", ")) {
                assert!(labels.contains(label), "{name} has no label {label}, which {expression} groups by");
            }
            let asked = expression.split(&name).skip(1).flat_map(labels_in).filter(|label| label != "instance");
            for label in asked {
                assert!(labels.contains(&label), "{name} has no label {label}, which {expression} asks for");
            }
        }
    }
    let there: BTreeSet<_> = live.keys().map(|name| base(name).to_owned()).collect();
    assert_eq!(
        names_in(&document("metrics.md")).iter().map(|name| base(name).to_owned()).collect::<BTreeSet<_>>(),
        there
    );
    let unseen: Vec<_> = there.difference(&shown).collect();
    assert_eq!(unseen, ["process_virtual_memory_bytes", "takhin_access_log_lines_lost_total"], "not on the dashboard");
}
