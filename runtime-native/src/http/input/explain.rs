//! What is wrong with a body that is not the JSON it should be, and where.

use axum::http::StatusCode;
use serde::de;
use serde_json::error::Category;

use crate::http::error::ApiError;

/// The body as text.
pub(crate) fn utf8(body: &[u8]) -> Result<&str, ApiError> {
    // The quick check says only whether all is well.
    simdutf8::basic::from_utf8(body).or_else(|_| std::str::from_utf8(body)).map_err(|error| {
        let before = &body[..error.valid_up_to()];
        let line = before.split(|&byte| byte == b'\n').count();
        let column = 1 + before.iter().rev().take_while(|&&byte| byte != b'\n').count();
        ApiError::malformed("malformed_json", "the body is not UTF-8").with("line", line).with("column", column)
    })
}

/// Refuses a body that does not begin like an object, which serde would also take from an array.
pub(crate) fn expect_object(body: &str) -> Result<(), ApiError> {
    let refused = match body.trim_start().bytes().next() {
        Some(b'{') => return Ok(()),
        Some(_) => not_an_object(body).map_err(|error| explain("", &error)),
        None => Err(ApiError::malformed("malformed_json", "the body must be a JSON object, and it is empty")
            .with("line", 1)
            .with("column", 1)),
    };
    Err(match refused {
        Ok(what) => {
            let message = format!("the body is {what}, and must be a JSON object");
            ApiError::malformed("not_an_object", message).with("line", 1).with("column", 1)
        }
        Err(error) => error,
    })
}

/// What JSON is that is no object.
///
/// # Errors
/// It is no JSON at all.
pub(super) fn not_an_object(text: &str) -> Result<&'static str, serde_json::Error> {
    serde_json::from_str::<de::IgnoredAny>(text)?;
    Ok(match text.trim_start().bytes().next() {
        Some(b'[') => "an array",
        Some(b'"') => "a string",
        Some(b't' | b'f') => "true or false",
        Some(b'n') => "null",
        _ => "a number",
    })
}

/// Turns a parser's error into ours; `path` is where in the body it was, as in `records[3].partition`.
pub(crate) fn explain(path: &str, error: &serde_json::Error) -> ApiError {
    let text = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    let what = text.strip_suffix(place.as_str()).unwrap_or(&text);
    let code = match error.classify() {
        Category::Data if what.starts_with("unknown field") => "unknown_field",
        Category::Data if what.starts_with("missing field") => "missing_field",
        Category::Data if what.starts_with("unknown variant") => "invalid_value",
        Category::Data => "invalid_field",
        Category::Syntax | Category::Eof | Category::Io => "malformed_json",
    };
    let message = match (code, path) {
        ("malformed_json", _) => format!("the body is not JSON: {text}"),
        (_, "" | ".") => what.to_owned(),
        _ => format!("{path}: {what}"),
    };
    let status = if code == "invalid_value" { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::BAD_REQUEST };
    let mut explained = ApiError::new(status, code, message).with("line", error.line()).with("column", error.column());
    if code != "malformed_json" {
        explained = explained.with("field", field(path, what));
    }
    explained
}

/// The error of an object that has a key twice, as serde words it for a struct's fields.
pub(crate) fn duplicate_key<E: de::Error>(key: &str) -> E {
    E::custom(format_args!("{DUPLICATE}{key}`"))
}

const DUPLICATE: &str = "duplicate field `";

/// The path of the field in question. An error about one that is unknown, missing or there twice has it in its text,
/// and is raised at the object that it belongs to, or at the key that was just read.
fn field(path: &str, what: &str) -> String {
    let named = if let Some(rest) = what.strip_prefix(DUPLICATE) {
        rest.strip_suffix('`').map(|name| (path, name))
    } else if what.starts_with("unknown field `") || what.starts_with("missing field `") {
        what.split('`').nth(1).map(|name| (path.strip_suffix(name).unwrap_or(path), name))
    } else {
        None
    };
    let Some((parent, name)) = named else { return path.to_owned() };
    let parent = parent.trim_end_matches('.');
    if parent.is_empty() { name.to_owned() } else { format!("{parent}.{name}") }
}
