//! In which form a request's records come, and in which its answer's are wanted.
//!
//! Whatever is not known here means JSON: nobody is refused for a header that a tool sends by itself.

use std::convert::Infallible;

use axum::{
    extract::FromRequestParts,
    http::{HeaderMap, HeaderValue, header, request::Parts},
};

/// Records, one in a line.
pub(crate) const LINES: HeaderValue = HeaderValue::from_static("application/x-ndjson");
/// Batches as they are stored.
pub(crate) const BATCHES: HeaderValue = HeaderValue::from_static("application/vnd.kafka.record-batches");

/// How records are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// All in one JSON text.
    Json,
    /// One JSON text in each line.
    Lines,
    /// Kafka's record batches.
    Batches,
}

/// The form that a client would like best. A handler that waits takes this and not the headers, which hold the whole
/// buffer that they were read into.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Accepted(pub(crate) Form);

impl<S: Sync> FromRequestParts<S> for Accepted {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(Form::accepted(&parts.headers)))
    }
}

/// What a media type may be called.
const NAMES: [(Form, &[&str]); 3] = [
    (Form::Json, &["application/json", "application/*", "*/*"]),
    (Form::Lines, &["application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines"]),
    (Form::Batches, &["application/vnd.kafka.record-batches"]),
];

impl Form {
    /// What the client would like best of what there is, by `Accept`. Of what it likes alike, the first.
    pub(crate) fn accepted(headers: &HeaderMap) -> Self {
        let mut best = (Self::Json, 0);
        let values = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        for range in values.flat_map(|value| value.split(',')) {
            let mut parts = range.split(';');
            let Some(form) = parts.next().and_then(Self::of_type) else { continue };
            let quality = parts.find_map(|part| part.trim().strip_prefix("q=")).map_or(1000, thousandths);
            if quality > best.1 {
                best = (form, quality);
            }
        }
        best.0
    }

    /// What the body is, by `Content-Type`.
    pub(crate) fn sent(headers: &HeaderMap) -> Self {
        let value = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        value.split(';').next().and_then(Self::of_type).unwrap_or(Self::Json)
    }

    fn of_type(name: &str) -> Option<Self> {
        let name = name.trim();
        let named = |(form, names): &(Self, &[&str])| {
            names.iter().any(|known| name.eq_ignore_ascii_case(known)).then_some(*form)
        };
        NAMES.iter().find_map(named)
    }
}

/// A quality of RFC 9110, section 12.4.2; one that is none counts as 1.
fn thousandths(quality: &str) -> u32 {
    let quality = quality.trim().parse::<f32>().ok().filter(|quality| (0.0..=1.0).contains(quality));
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // from 0 to 1000
    quality.map_or(1000, |quality| (quality * 1000.0).round() as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_liked_best_is_answered() {
        for (accept, form) in [
            ("", Form::Json),
            ("*/*", Form::Json),
            ("text/html, */*;q=0.8", Form::Json),
            ("application/x-ndjson", Form::Lines),
            ("application/json, application/x-ndjson", Form::Json),
            ("application/json;q=0.5, Application/JSONL", Form::Lines),
            ("application/x-ndjson;q=0", Form::Json),
            ("application/x-ndjson;q=0.2, application/vnd.kafka.record-batches;q=0.3", Form::Batches),
            ("application/x-ndjson;q=nonsense", Form::Lines),
        ] {
            let headers = HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(accept))]);
            assert_eq!(Form::accepted(&headers), form, "{accept}");
        }
        assert_eq!(Form::accepted(&HeaderMap::new()), Form::Json);
    }

    #[test]
    fn a_body_of_an_unknown_type_is_json() {
        for (sent, form) in [
            ("application/x-www-form-urlencoded", Form::Json),
            ("application/x-ndjson; charset=utf-8", Form::Lines),
            ("application/vnd.kafka.record-batches", Form::Batches),
        ] {
            let headers = HeaderMap::from_iter([(header::CONTENT_TYPE, HeaderValue::from_static(sent))]);
            assert_eq!(Form::sent(&headers), form, "{sent}");
        }
        assert_eq!(Form::sent(&HeaderMap::new()), Form::Json);
    }
}
