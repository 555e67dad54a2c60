//! Small JSON bodies: one object, known fields only.

use serde::de::{Deserialize, DeserializeOwned};

use super::explain::{expect_object, explain, utf8};
use crate::http::error::ApiError;

/// Parses a body that must be there.
pub(crate) fn object<'b, T: Deserialize<'b>>(body: &'b [u8]) -> Result<T, ApiError> {
    let text = utf8(body)?;
    expect_object(text)?;
    let mut json = serde_json::Deserializer::from_str(text);
    let value = serde_path_to_error::deserialize(&mut json)
        .map_err(|error| explain(&error.path().to_string(), error.inner()))?;
    json.end().map_err(|error| explain("", &error))?;
    Ok(value)
}

/// Parses a body that may be left out, which stands for an object without fields.
pub(crate) fn object_or_nothing<T: DeserializeOwned + Default>(body: &[u8]) -> Result<T, ApiError> {
    if body.trim_ascii().is_empty() {
        return Ok(T::default());
    }
    object(body)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::json;

    use super::*;

    #[derive(Debug, Default, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Order {
        #[serde(default)]
        amount: Option<i64>,
        #[serde(default)]
        lines: Vec<Line>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Line {
        article: String,
    }

    fn fault(body: &[u8]) -> (&'static str, serde_json::Value) {
        let error = object::<Order>(body).expect_err("the body is wrong");
        assert_eq!(error.status().as_u16(), 400);
        (error.code(), error.details().clone().into())
    }

    #[test]
    fn broken_json_is_told_with_line_and_column() {
        assert_eq!(fault(b"{\"amount\": 1,\n }"), ("malformed_json", json!({"line": 2, "column": 2})));
        assert_eq!(fault(b"{\"amount\": 1} x"), ("malformed_json", json!({"line": 1, "column": 15})));
        assert_eq!(fault(b"{\n\"amo\xff"), ("malformed_json", json!({"line": 2, "column": 5})));
        assert_eq!(fault(b""), ("malformed_json", json!({"line": 1, "column": 1})));
        assert_eq!(fault(b"[1]"), ("not_an_object", json!({"line": 1, "column": 1})));
        assert_eq!(fault(b"[1"), ("malformed_json", json!({"line": 1, "column": 2})));
    }

    #[test]
    fn a_wrong_field_is_named_by_its_path() {
        assert_eq!(
            fault(br#"{"amount": "x"}"#),
            ("invalid_field", json!({"field": "amount", "line": 1, "column": 14}))
        );
        assert_eq!(
            fault(br#"{"lines": [{"article": "a"}, {"article": 1}]}"#),
            ("invalid_field", json!({"field": "lines[1].article", "line": 1, "column": 42}))
        );
        assert_eq!(fault(br#"{"amuont": 1}"#), ("unknown_field", json!({"field": "amuont", "line": 1, "column": 9})));
        assert_eq!(
            fault(br#"{"lines": [{"artcle": 1}]}"#),
            ("unknown_field", json!({"field": "lines[0].artcle", "line": 1, "column": 20}))
        );
        assert_eq!(
            fault(br#"{"lines": [{}]}"#),
            ("missing_field", json!({"field": "lines[0].article", "line": 1, "column": 13}))
        );
    }

    #[test]
    fn nesting_without_end_is_refused() {
        let deep = format!("{{\"lines\":{}", "[".repeat(100_000));
        assert_eq!(fault(deep.as_bytes()).0, "invalid_field");
        let deep = format!("{{\"x\":{}", "[".repeat(100_000));
        assert_eq!(fault(deep.as_bytes()).0, "unknown_field");
    }

    #[test]
    fn no_body_stands_for_the_defaults() {
        for body in [b"".as_slice(), b" \r\n", b"{}"] {
            assert_eq!(object_or_nothing::<Order>(body).expect("nothing is fine"), Order::default());
        }
    }
}
