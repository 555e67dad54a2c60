//! The one shape in which every error is answered.
//!
//! ```json
//! {"error": "for a person", "code": "snake_case", "retryable": false, "details": {}, "request_id": "..."}
//! ```
//!
//! `code` is for programs and never changes its meaning. `retryable` says that the very same request may work
//! later, and that repeating it can't apply anything twice. An [`ApiError`] travels as an extension of a response
//! that has no body yet; `dispatch`, the only place that knows the request's id, writes the body.

use axum::{
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use serde_json::{Map, Value};

use super::openapi::codes::is_known;

/// What a handler gives back.
pub(crate) type ApiResult<T = Response> = Result<T, ApiError>;

/// An error as a client will see it.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{} {}: {}", inner.status.as_u16(), inner.code, inner.message)]
pub(crate) struct ApiError {
    inner: Box<Inner>,
}

#[derive(Clone, Debug)]
struct Inner {
    status: StatusCode,
    code: &'static str,
    message: String,
    retryable: bool,
    details: Map<String, Value>,
    retry_after_secs: Option<u32>,
    closes: bool,
    header: Option<(HeaderName, HeaderValue)>,
    /// Its number for a client of Kafka's REST proxies, which is answered in their shape.
    kafka_rest_code: Option<u32>,
}

#[derive(Serialize)]
struct Shape<'a> {
    error: &'a str,
    code: &'a str,
    retryable: bool,
    details: &'a Map<String, Value>,
    request_id: &'a str,
}

#[derive(Serialize)]
struct KafkaRestShape<'a> {
    error_code: u32,
    message: &'a str,
}

impl ApiError {
    /// An error that repeating the request won't mend.
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        let inner = Inner {
            status,
            code,
            message: message.into(),
            retryable: false,
            details: Map::new(),
            retry_after_secs: None,
            closes: false,
            header: None,
            kafka_rest_code: None,
        };
        Self { inner: Box::new(inner) }
    }

    /// 400: the request is not understood.
    pub(crate) fn malformed(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    /// 422: a field is understood and its value is not possible.
    pub(crate) fn unacceptable(code: &'static str, field: &str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, code, message).with("field", field)
    }

    /// 422 `out_of_range`, with the bounds.
    pub(crate) fn out_of_range(field: &str, value: i64, min: i64, max: i64) -> Self {
        let message = format!("{field} is {value}, and must be from {min} to {max}");
        Self::unacceptable("out_of_range", field, message).with("value", value).with("min", min).with("max", max)
    }

    /// 500: a bug of ours, which `what` describes.
    pub(crate) fn bug(what: impl Into<String>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", what)
    }

    /// Says the line in which the fault is.
    #[must_use]
    pub(crate) fn in_line(mut self, line: u64) -> Self {
        self.inner.message = format!("line {line}: {}", self.inner.message);
        self.with("line", line)
    }

    /// The same in other words.
    #[must_use]
    pub(crate) fn saying(mut self, message: &str) -> Self {
        message.clone_into(&mut self.inner.message);
        self
    }

    /// Adds an entry to `details`.
    #[must_use]
    pub(crate) fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.inner.details.insert(name.to_owned(), value.into());
        self
    }

    /// Replaces all `details`.
    #[must_use]
    pub(crate) fn with_details(mut self, details: Map<String, Value>) -> Self {
        self.inner.details = details;
        self
    }

    /// The request does the same when it is repeated: so if it only failed for now, repeating it is safe, even where
    /// it isn't known whether it was applied.
    #[must_use]
    pub(crate) fn repeatable(self) -> Self {
        let for_now = self.inner.retry_after_secs.is_some();
        if for_now { self.retryable(true) } else { self }
    }

    /// Says whether repeating the request may help.
    #[must_use]
    pub(crate) fn retryable(mut self, retryable: bool) -> Self {
        self.inner.retryable = retryable;
        self
    }

    /// Adds a `Retry-After` header.
    #[must_use]
    pub(crate) fn retry_after(mut self, seconds: u32) -> Self {
        self.inner.retry_after_secs = Some(seconds);
        self
    }

    /// Ends the connection with this answer: what the client still sends won't be read.
    #[must_use]
    pub(crate) fn closing(mut self) -> Self {
        self.inner.closes = true;
        self
    }

    /// Adds a header of its own.
    #[must_use]
    pub(crate) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.inner.header = Some((name, value));
        self
    }

    /// The same for a client of Kafka's REST proxies: `{"error_code": 40403, "message": "..."}`.
    #[must_use]
    pub(crate) fn for_kafka_rest(mut self, status: StatusCode, code: u32) -> Self {
        self.inner.status = status;
        self.inner.kafka_rest_code = Some(code);
        self
    }

    /// Whether it is answered in the shape of Kafka's REST proxies.
    pub(crate) fn is_for_kafka_rest(&self) -> bool {
        self.inner.kafka_rest_code.is_some()
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.inner.status
    }

    pub(crate) fn code(&self) -> &'static str {
        self.inner.code
    }

    #[cfg(test)]
    pub(crate) fn details(&self) -> &Map<String, Value> {
        &self.inner.details
    }

    #[cfg(test)]
    pub(crate) fn is_retryable(&self) -> bool {
        self.inner.retryable
    }

    #[cfg(test)]
    pub(crate) fn retry_after_secs(&self) -> Option<u32> {
        self.inner.retry_after_secs
    }

    /// The body.
    pub(crate) fn body(&self, request_id: &str) -> Vec<u8> {
        if let Some(error_code) = self.inner.kafka_rest_code {
            let shape = KafkaRestShape { error_code, message: &self.inner.message };
            return serde_json::to_vec(&shape).expect("a number and a string always serialize");
        }
        debug_assert!(
            is_known((self.inner.status.as_u16(), self.inner.code)),
            "{self} has a code that http/openapi/codes.rs lacks, which lists all"
        );
        let shape = Shape {
            error: &self.inner.message,
            code: self.inner.code,
            retryable: self.inner.retryable,
            details: &self.inner.details,
            request_id,
        };
        serde_json::to_vec(&shape).expect("strings, numbers and maps with string keys always serialize")
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = self.inner.status.into_response();
        let headers = response.headers_mut();
        if let Some(seconds) = self.inner.retry_after_secs {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        if let Some((name, value)) = &self.inner.header {
            headers.insert(name, value.clone());
        }
        if self.inner.closes {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response.extensions_mut().insert(self);
        response
    }
}
