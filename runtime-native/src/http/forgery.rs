//! Requests that a page makes its reader's browser send to a server that never heard of the page.
//!
//! A browser lets any page send what a form can send, and only keeps the answer from it. Where no keys are required that
//! would be enough to write to a broker on the reader's machine. So a request that changes something, and that a browser
//! says to be of another origin, is refused unless [`Cors`] allows that origin.
//!
//! What is no browser says nothing of origins, and nothing is asked of it.

use axum::http::{HeaderMap, HeaderName, Method, StatusCode, Uri, header};

use super::{cors::Cors, error::ApiError};

/// What a browser says of who asks, and a page can't change (<https://www.w3.org/TR/fetch-metadata/>).
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Refuses a request that a page of an unknown origin had sent.
pub(super) fn check_origin(method: &Method, headers: &HeaderMap, cors: Option<&Cors>) -> Result<(), ApiError> {
    if method.is_safe() || !is_of_another_origin(headers) {
        return Ok(());
    }
    let origin = headers.get(header::ORIGIN);
    if let (Some(cors), Some(origin)) = (cors, origin)
        && cors.allows(origin)
    {
        return Ok(());
    }
    let origin = origin.and_then(|origin| origin.to_str().ok()).unwrap_or("another origin");
    let message = format!("pages of {origin} may not ask here");
    Err(ApiError::new(StatusCode::FORBIDDEN, "origin_not_allowed", message).with("origin", origin).closing())
}

fn is_of_another_origin(headers: &HeaderMap) -> bool {
    if let Some(site) = headers.get(SEC_FETCH_SITE) {
        return !matches!(site.as_bytes(), b"same-origin" | b"none");
    }
    // A browser that is old, or speaks to another machine without TLS.
    let Some(origin) = headers.get(header::ORIGIN) else { return false };
    let authority = origin.to_str().ok().and_then(|origin| origin.parse::<Uri>().ok()?.into_parts().authority);
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    match (authority, host) {
        (Some(authority), Some(host)) => !authority.as_str().eq_ignore_ascii_case(host),
        _ => true,
    }
}
