//! `/openapi.json`, the description of the API, and `/api/docs`, a page to read and to try it.
//!
//! The page is three files within the program. It loads nothing from anywhere else, and its headers forbid it to.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;

use super::{App, Route, Undescribed, routes};
use crate::http::{
    config::HttpConfig,
    error::{ApiError, ApiResult},
    guard::Need,
    input::path::NoQuery,
    openapi::Document,
    output::JSON,
};

const PAGE: &[u8] = include_bytes!("docs/page.html");
const SCRIPT: &[u8] = include_bytes!("docs/page.js");
const STYLE: &[u8] = include_bytes!("docs/page.css");

const NO_CACHE: HeaderValue = HeaderValue::from_static("no-cache");

/// Everything from here, and nothing else: no inline scripts, no frames, no forms.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The page's routes, which the description leaves out.
pub(super) fn page() -> [Route; 3] {
    [
        file("/api/docs", "text/html; charset=utf-8", PAGE),
        file("/api/docs/page.js", "text/javascript; charset=utf-8", SCRIPT),
        file("/api/docs/page.css", "text/css; charset=utf-8", STYLE),
    ]
}

/// The description, made when it is asked for first; 304 to a client that has it.
pub(super) async fn description(State(app): State<Arc<App>>, _: NoQuery, headers: HeaderMap) -> ApiResult {
    let document = app.description.get_or_init(|| document(&app.config));
    let tag = HeaderValue::try_from(&document.tag).map_err(|error| ApiError::bug(error.to_string()))?;
    let tags = [(header::ETAG, tag), (header::CACHE_CONTROL, NO_CACHE)];
    if has(&headers, &document.tag) {
        return Ok((StatusCode::NOT_MODIFIED, tags).into_response());
    }
    Ok((tags, [(header::CONTENT_TYPE, JSON)], document.bytes.clone()).into_response())
}

/// The description of all routes.
pub(in crate::http) fn document(config: &HttpConfig) -> Document {
    let all = routes();
    Document::new(config, all.iter().map(|route| (route.path, route.operations.as_slice())))
}

/// The paths that the description leaves out.
#[cfg(test)]
pub(in crate::http) fn left_out() -> Vec<&'static str> {
    routes().iter().filter(|route| route.operations.is_empty()).map(|route| route.path).collect()
}

/// Whether a client has what goes by this tag.
fn has(headers: &HeaderMap, tag: &str) -> bool {
    let given = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    given.flat_map(|list| list.split(',')).any(|one| {
        let one = one.trim();
        one == "*" || one.strip_prefix("W/").unwrap_or(one) == tag
    })
}

fn file(path: &'static str, content_type: &'static str, bytes: &'static [u8]) -> Route {
    let handler = move |_: NoQuery| async move { static_file(content_type, bytes) };
    Undescribed::at(path).get(Need::NoKey, handler).into()
}

fn static_file(content_type: &'static str, bytes: &'static [u8]) -> Response {
    let headers: [(HeaderName, HeaderValue); 5] = [
        (header::CONTENT_TYPE, HeaderValue::from_static(content_type)),
        (header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (header::CACHE_CONTROL, NO_CACHE),
    ];
    (headers, Bytes::from_static(bytes)).into_response()
}
