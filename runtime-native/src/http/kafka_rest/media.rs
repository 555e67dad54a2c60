//! Vendor media types: in what a body is written, and in what an answer may be.
//!
//! ```text
//!   application/vnd.kafka.v2+json           JSON without records
//!   application/vnd.kafka.binary.v2+json    keys and values in base64
//!   application/vnd.kafka.json.v2+json      keys and values are JSON
//!   application/vnd.kafka.text.v2+json      keys and values are text
//! ```
//!
//! The formats that need a schema registry (Avro, JSON Schema, Protobuf) are known, and refused where they matter.

use axum::{
    extract::{FromRequest, Request},
    http::{HeaderMap, HeaderValue, StatusCode, header},
};
use std::sync::Arc;

use crate::http::{error::ApiError, input::body::Received, output::JSON, routes::App};

/// The media type of answers without records, and of errors.
pub(in crate::http) const KAFKA_JSON: HeaderValue = HeaderValue::from_static("application/vnd.kafka.v2+json");

/// How keys and values are written in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Binary,
    Json,
    Text,
}

/// What a media type says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Media {
    /// `application/json`.
    Json,
    /// JSON of this API, and nothing of records.
    Kafka,
    /// Records in a format that we have.
    Records(Format),
    /// Records in a format that needs a schema registry.
    Schema(&'static str),
    /// Whatever we like.
    Any,
}

impl Format {
    /// As the consumer's `format` names it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Binary => "binary",
            Self::Json => "json",
            Self::Text => "text",
        }
    }

    /// The format of that name.
    pub(super) fn named(name: &str) -> Option<Self> {
        [Self::Binary, Self::Json, Self::Text].into_iter().find(|format| format.name() == name)
    }

    /// The media type of records in it.
    pub(super) fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Binary => "application/vnd.kafka.binary.v2+json",
            Self::Json => "application/vnd.kafka.json.v2+json",
            Self::Text => "application/vnd.kafka.text.v2+json",
        })
    }
}

impl Media {
    /// What this media type says, its parameters aside; [`None`] if we don't know it.
    fn parse(text: &str) -> Option<Self> {
        let name = text.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match name.as_str() {
            "*/*" | "application/*" => Some(Self::Any),
            "application/json" => Some(Self::Json),
            "application/vnd.kafka.v2+json" | "application/vnd.kafka+json" => Some(Self::Kafka),
            _ => match name.strip_prefix("application/vnd.kafka.")?.strip_suffix(".v2+json")? {
                "avro" => Some(Self::Schema("avro")),
                "jsonschema" => Some(Self::Schema("jsonschema")),
                "protobuf" => Some(Self::Schema("protobuf")),
                format => Format::named(format).map(Self::Records),
            },
        }
    }
}

/// What a client wants its answer to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Accepted(Media);

impl Accepted {
    /// The one that it prefers of those that we have, the first one of several.
    ///
    /// # Errors
    /// 406 if there is none.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, ApiError> {
        let mut best: Option<(f32, Media)> = None;
        let mut any = false;
        for value in headers.get_all(header::ACCEPT) {
            for entry in value.to_str().unwrap_or_default().split(',').filter(|entry| !entry.trim().is_empty()) {
                any = true;
                let quality = quality(entry);
                let Some(media) = Media::parse(entry).filter(|_| quality > 0.0) else { continue };
                if best.is_none_or(|(so_far, _)| quality > so_far) {
                    best = Some((quality, media));
                }
            }
        }
        match best {
            Some((_, media)) => Ok(Self(media)),
            None if !any => Ok(Self(Media::Any)),
            None => {
                let message = "HTTP 406 Not Acceptable: answers are application/vnd.kafka.v2+json, or \
                               application/vnd.kafka.{binary,json,text}.v2+json for records";
                Err(ApiError::new(StatusCode::NOT_ACCEPTABLE, "not_acceptable", message))
            }
        }
    }

    /// The media type of an answer that has no records.
    pub(super) fn content_type(self) -> HeaderValue {
        match self.0 {
            Media::Json => JSON,
            Media::Records(format) => format.content_type(),
            Media::Kafka | Media::Schema(_) | Media::Any => KAFKA_JSON,
        }
    }

    /// The media type of an answer with records of an instance that has this format.
    ///
    /// # Errors
    /// 406 if the client wants another one.
    pub(super) fn records(self, format: Format) -> Result<HeaderValue, ApiError> {
        match self.0 {
            Media::Json => Ok(JSON),
            Media::Kafka | Media::Any => Ok(format.content_type()),
            Media::Records(wanted) if wanted == format => Ok(format.content_type()),
            Media::Records(_) | Media::Schema(_) => {
                let message = format!(
                    "The requested embedded data format does not match the format of this consumer instance, {}",
                    format.name()
                );
                Err(ApiError::new(StatusCode::NOT_ACCEPTABLE, "format_mismatch", message))
            }
        }
    }
}

/// The weight of an entry of `Accept`.
fn quality(entry: &str) -> f32 {
    let weight = entry.split(';').skip(1).find_map(|parameter| parameter.trim().strip_prefix("q="));
    weight.map_or(1.0, |weight| weight.trim().parse().unwrap_or(0.0))
}

/// A body of JSON; whether it may say nothing is for the route to know.
pub(super) struct JsonBody(pub(super) Received);

/// A body with records, and how they are written.
pub(super) struct RecordsBody(pub(super) Received, pub(super) Format);

impl FromRequest<Arc<App>> for JsonBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, ApiError> {
        let of_ours = content_type(&request).is_none_or(|given| {
            given.trim().eq_ignore_ascii_case("application/octet-stream")
                || Media::parse(given).is_some_and(|media| media != Media::Any)
        });
        if of_ours {
            return Ok(Self(Received::from_request(request, app).await?));
        }
        Err(unsupported("HTTP 415 Unsupported Media Type: a body is application/vnd.kafka.v2+json"))
    }
}

impl FromRequest<Arc<App>> for RecordsBody {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, ApiError> {
        match content_type(&request).and_then(Media::parse) {
            Some(Media::Records(format)) => Ok(Self(Received::from_request(request, app).await?, format)),
            Some(Media::Schema(format)) => Err(unsupported(&format!(
                "HTTP 415 Unsupported Media Type: {format} records need a schema registry, and there is none here"
            ))),
            _ => Err(unsupported(
                "HTTP 415 Unsupported Media Type: records are application/vnd.kafka.{binary,json,text}.v2+json",
            )),
        }
    }
}

fn content_type(request: &Request) -> Option<&str> {
    request.headers().get(header::CONTENT_TYPE).map(|value| value.to_str().unwrap_or_default())
}

fn unsupported(message: &str) -> ApiError {
    ApiError::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted(accept: &'static str) -> Option<Media> {
        let headers = HeaderMap::from_iter([(header::ACCEPT, HeaderValue::from_static(accept))]);
        Accepted::of(&headers).ok().map(|accepted| accepted.0)
    }

    #[test]
    fn the_best_of_what_is_accepted_is_taken() {
        assert_eq!(accepted(""), Some(Media::Any));
        assert_eq!(accepted("*/*"), Some(Media::Any));
        assert_eq!(accepted("application/vnd.kafka.v2+json; charset=utf-8"), Some(Media::Kafka));
        assert_eq!(
            accepted("application/vnd.kafka.v2+json, application/vnd.kafka+json, application/json"),
            Some(Media::Kafka)
        );
        assert_eq!(accepted("text/html, application/vnd.kafka.json.v2+json;q=0.5"), Some(Media::Records(Format::Json)));
        assert_eq!(accepted("application/json;q=0.1, Application/Vnd.Kafka.V2+Json;q=0.2"), Some(Media::Kafka));
        assert_eq!(accepted("application/vnd.kafka.avro.v2+json"), Some(Media::Schema("avro")));
        assert_eq!(accepted("text/html"), None);
        assert_eq!(accepted("application/json;q=0"), None);
        assert_eq!(accepted("application/vnd.kafka.json.v1+json"), None);
    }

    #[test]
    fn records_are_of_the_instances_format() {
        let records = |media, format| Accepted(media).records(format).ok();
        assert_eq!(records(Media::Any, Format::Json), Some(Format::Json.content_type()));
        assert_eq!(records(Media::Kafka, Format::Binary), Some(Format::Binary.content_type()));
        assert_eq!(records(Media::Json, Format::Binary), Some(JSON));
        assert_eq!(records(Media::Records(Format::Text), Format::Text), Some(Format::Text.content_type()));
        assert_eq!(records(Media::Records(Format::Json), Format::Binary), None);
        assert_eq!(records(Media::Schema("avro"), Format::Binary), None);
    }
}
