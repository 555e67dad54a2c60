//! CORS: which pages of other origins a browser lets read the answers (<https://fetch.spec.whatwg.org/#http-cors-protocol>).
//!
//! A page may ask with any method and header, and see every header of the answer. There are no cookies here, so nothing is
//! allowed with credentials, and a page can do no more than its reader could with curl.

use std::{str::FromStr, time::Duration};

use axum::{
    body::Body,
    http::{HeaderMap, HeaderValue, Method, Request, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};

use super::error::ApiError;

const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE");
const ANY: HeaderValue = HeaderValue::from_static("*");
const VARY: HeaderValue = HeaderValue::from_static("origin, access-control-request-headers");

/// Whose pages may ask.
#[derive(Clone, Debug)]
pub struct Cors {
    /// Their origins.
    pub origins: Vec<CorsOrigin>,
    /// For how long a browser may remember that it may ask.
    pub max_age: Duration,
}

/// An origin as a browser names it, as in `https://app.example.com`; or `*`, which is all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CorsOrigin(HeaderValue);

impl FromStr for CorsOrigin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let expected = || "expected * or an origin, as in https://app.example.com or http://localhost:3000".to_owned();
        let lower = text.to_ascii_lowercase();
        if lower != "*" {
            let (scheme, host) = lower.split_once("://").ok_or_else(expected)?;
            let authority = lower.parse::<Uri>().ok().and_then(|uri| uri.authority().cloned()).ok_or_else(expected)?;
            if !matches!(scheme, "http" | "https") || authority.as_str() != host || host.contains('@') {
                return Err(expected());
            }
        }
        HeaderValue::try_from(lower).map(Self).map_err(|_| expected())
    }
}

impl Cors {
    /// The answer to a browser that asks whether it may ask, if that is what this is.
    pub(super) fn preflight<B>(&self, request: &Request<B>) -> Option<Response> {
        let headers = request.headers();
        if request.method() != Method::OPTIONS || !headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD) {
            return None;
        }
        let origin = headers.get(header::ORIGIN)?;
        if !self.allows(origin) {
            let origin = origin.to_str().unwrap_or_default();
            let message = format!("pages of {origin} may not ask here");
            let error = ApiError::new(StatusCode::FORBIDDEN, "origin_not_allowed", message).with("origin", origin);
            return Some(error.into_response());
        }
        let mut answer = Response::new(Body::empty());
        *answer.status_mut() = StatusCode::NO_CONTENT;
        let allowed = answer.headers_mut();
        allowed.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
        if let Some(wanted) = headers.get(header::ACCESS_CONTROL_REQUEST_HEADERS) {
            allowed.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
        }
        allowed.insert(header::ACCESS_CONTROL_MAX_AGE, self.max_age.as_secs().into());
        Some(answer)
    }

    /// Lets a page of `origin` read the answer, if it may.
    pub(super) fn allow(&self, origin: Option<&HeaderValue>, answer: &mut HeaderMap) {
        if !self.allows_any() {
            answer.append(header::VARY, VARY);
        }
        if let Some(allowed) = origin.and_then(|origin| self.allowed(origin)) {
            answer.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, allowed);
            answer.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, ANY);
        }
    }

    /// Whether pages of this origin may ask.
    pub(super) fn allows(&self, origin: &HeaderValue) -> bool {
        self.allowed(origin).is_some()
    }

    fn allows_any(&self) -> bool {
        self.origins.iter().any(|origin| origin.0 == ANY)
    }

    /// What is answered to a page of this origin, if it may read anything.
    fn allowed(&self, origin: &HeaderValue) -> Option<HeaderValue> {
        if self.allows_any() {
            return Some(ANY);
        }
        self.origins.iter().any(|allowed| allowed.0 == origin).then(|| origin.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_a_scheme_and_a_host_and_no_more() {
        for good in ["*", "https://app.example.com", "http://localhost:3000", "HTTPS://App.example.com"] {
            assert!(good.parse::<CorsOrigin>().is_ok(), "{good}");
        }
        for bad in ["", "example.com", "https://example.com/", "https://a/b", "ftp://a", "https://u@a", "null"] {
            assert!(bad.parse::<CorsOrigin>().is_err(), "{bad}");
        }
    }
}
