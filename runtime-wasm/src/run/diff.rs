//! What a step changed: two states as JSON, and the paths at which they differ.

use std::fmt::Write;

use serde::Serialize;
use serde_json::Value;

/// Changes that are listed at most.
const MOST: usize = 400;

/// One path at which two states differ.
#[derive(Debug, PartialEq, Serialize)]
pub(crate) struct Change {
    pub(crate) path: String,
    /// What was there, if something was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) before: Option<Value>,
    /// What is there, if something is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) after: Option<Value>,
}

/// The changed keys only, in order.
pub(crate) fn diff(before: &Value, after: &Value) -> Vec<Change> {
    let mut changes = Vec::new();
    walk(&mut String::new(), Some(before), Some(after), &mut changes);
    changes
}

fn walk(path: &mut String, before: Option<&Value>, after: Option<&Value>, changes: &mut Vec<Change>) {
    if before == after || changes.len() >= MOST {
        return;
    }
    let length = path.len();
    match (before, after) {
        (Some(Value::Object(one)), Some(Value::Object(other))) => {
            let mut keys: Vec<&String> = one.keys().chain(other.keys().filter(|key| !one.contains_key(*key))).collect();
            keys.sort();
            for key in keys {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(key);
                walk(path, one.get(key), other.get(key), changes);
                path.truncate(length);
            }
        }
        (Some(Value::Array(one)), Some(Value::Array(other))) if one.len() == other.len() => {
            for (at, (one, other)) in one.iter().zip(other).enumerate() {
                let _ = write!(path, "[{at}]");
                walk(path, Some(one), Some(other), changes);
                path.truncate(length);
            }
        }
        _ => changes.push(Change { path: path.clone(), before: before.cloned(), after: after.cloned() }),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_changed_is_named() {
        let before = json!({"a": {"same": 1, "moved": 1}, "list": [1, 2], "gone": true});
        let after = json!({"a": {"same": 1, "moved": 2}, "list": [1, 3], "new": null});
        let paths: Vec<_> = diff(&before, &after).into_iter().map(|change| change.path).collect();
        assert_eq!(paths, ["a.moved", "gone", "list[1]", "new"]);
        assert_eq!(diff(&before, &before), []);
    }
}
