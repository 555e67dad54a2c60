//! The answer to what can't be read as a request.
//!
//! hyper answers that itself: with a status, without a body, and without asking anybody. It has nothing to write
//! but answers, so what it writes while no request is to be answered is such an answer, and the socket puts this one
//! in its place: the same status in the shape of all errors.

use axum::http::StatusCode;

use super::{config::HttpConfig, error::ApiError};

/// The status of an error that hyper answers by itself, given the beginning of its answer.
pub(super) fn status(answer: &[u8]) -> Option<StatusCode> {
    let rest = answer.strip_prefix(b"HTTP/1.1 ").or_else(|| answer.strip_prefix(b"HTTP/1.0 "))?;
    let status = StatusCode::from_bytes(rest.get(..3)?).ok()?;
    status.is_client_error().then_some(status)
}

/// What is answered with that status.
pub(super) fn error(status: StatusCode, config: &HttpConfig) -> ApiError {
    match status {
        StatusCode::URI_TOO_LONG => ApiError::new(status, "uri_too_long", "the request's URI is too long"),
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => {
            ApiError::new(status, "headers_too_large", "the request's line and headers are too long, or too many")
                .with("max_bytes", config.max_header_bytes)
                .with("max_headers", config.max_headers)
        }
        _ => ApiError::new(status, "malformed_request", "this can't be read as a request of HTTP/1"),
    }
}

/// The whole answer as it goes over the wire. It is the connection's last.
pub(super) fn on_the_wire(status: StatusCode, error: &ApiError, request_id: &str) -> Vec<u8> {
    let body = error.body(request_id);
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\nx-request-id: {request_id}\r\n\
         content-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    [head.into_bytes(), body].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_refusal_of_a_request_is_replaced() {
        assert_eq!(
            status(b"HTTP/1.1 431 Request Header Fields Too Large\r\n"),
            Some(StatusCode::from_u16(431).unwrap())
        );
        assert_eq!(status(b"HTTP/1.0 400 Bad Request\r\n"), Some(StatusCode::BAD_REQUEST));
        for other in [b"HTTP/1.1 100 Continue\r\n".as_slice(), b"HTTP/1.1 4", b"{\"records\":", b""] {
            assert_eq!(status(other), None);
        }
    }
}
