//! Instances come and go: `POST /consumers/{group}`, `DELETE /consumers/{group}/instances/{instance}`.
//!
//! v2 creates an instance before it subscribes. Ours is a consumer from the start: it is given a pattern that no topic
//! matches, and then, by hand, no partitions, so that it is no member of its group yet and can be silent for as long as
//! any instance.

use std::sync::Arc;

use axum::{
    Extension,
    extract::{FromRequestParts, State},
    http::{HeaderMap, StatusCode, header, request::Parts},
    response::Response,
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde_json::{Map, Value};
use takhin_core::{ClientId, ConsumerId, ConsumerOptions, GroupName, Request, TopicPattern, Topics};
use uuid::Uuid;

use super::{
    KafkaRest,
    instances::{InstanceName, MAX_NAME_BYTES, Manner, label},
    media::{Format, JsonBody},
    no_content,
};
use crate::http::{
    dispatch::Asked,
    error::{ApiError, ApiResult},
    guard::Caller,
    input::{json::object_or_nothing, path::segments, subscribe::offset_reset},
    output::json,
    routes::App,
};

/// What no topic's name matches.
pub(super) const NO_TOPIC: &str = "/";

/// The most that `fetch.min.bytes` may be, as in Confluent's proxy.
const MAX_MIN_BYTES: i64 = 10_000_000;

/// The longest wait of a poll.
pub(super) const MAX_TIMEOUT_MS: u32 = 300_000;

/// What stays as it is in a segment of a path.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

#[derive(Serialize)]
struct Created<'a> {
    instance_id: &'a str,
    base_uri: String,
}

/// The group in a path.
pub(super) struct GroupPath(GroupName);

pub(super) async fn create(
    State(app): State<Arc<App>>,
    Extension(rest): Extension<Arc<KafkaRest>>,
    GroupPath(group): GroupPath,
    Extension(asked): Extension<Asked>,
    headers: HeaderMap,
    JsonBody(body): JsonBody,
) -> ApiResult {
    let wanted = Wanted::of(&object_or_nothing(&body.bytes)?)?;
    let instance = InstanceName { group, name: wanted.name.as_str().into() };
    let options = wanted.options(rest.config.instance_timeout_ms)?;
    let begin = async |consumer| app.begin_unsubscribed(consumer, instance.group.clone(), options).await;
    rest.instances.create(&app, &instance, wanted.manner, begin).await?;
    let scheme = if asked.link.over_tls { "https" } else { "http" };
    let base_uri = base_uri(scheme, &headers, rest.config.prefix(), &instance);
    json(&Created { instance_id: &instance.name, base_uri })
}

pub(super) async fn delete(
    State(app): State<Arc<App>>,
    Extension(rest): Extension<Arc<KafkaRest>>,
    caller: Caller,
    name: InstanceName,
) -> ApiResult {
    let consumer = rest.find(&app, &caller, &name).await?.consumer;
    app.close(consumer).await?;
    rest.instances.forget(&name, consumer);
    Ok(no_content() as Response)
}

impl App {
    /// A consumer that has subscribed to nothing.
    async fn begin_unsubscribed(
        &self,
        consumer: ConsumerId,
        group: GroupName,
        options: ConsumerOptions,
    ) -> ApiResult<()> {
        let topics = Topics::Matching(TopicPattern::new(NO_TOPIC));
        self.consumer(Request::Subscribe { consumer, group, topics, options, allow_missing: true }).await?;
        self.consumer(Request::Assign { consumer, partitions: Vec::new() }).await?;
        Ok(())
    }
}

/// What a client wants its instance to be.
#[derive(Debug)]
struct Wanted {
    name: String,
    manner: Manner,
    offset_reset: Option<String>,
    auto_commit: Option<bool>,
}

impl Wanted {
    /// Takes what is said in the words of Confluent's proxy and in those of Strimzi's bridge; numbers and truth may
    /// stand in quotes.
    fn of(body: &Map<String, Value>) -> ApiResult<Self> {
        let (mut id, mut name, mut format) = (None, None, Format::Binary);
        let (mut min_bytes, mut timeout_ms) = (1, None);
        let (mut offset_reset, mut auto_commit) = (None, None);
        for (field, value) in body.iter().filter(|(_, value)| !value.is_null()) {
            match field.as_str() {
                "id" => id = Some(text(field, value)?.to_owned()),
                "name" => name = Some(text(field, value)?.to_owned()),
                "format" => {
                    let given = text(field, value)?.to_ascii_lowercase();
                    format = Format::named(&given).ok_or_else(|| bad(field, "binary, json or text"))?;
                }
                "auto.offset.reset" => offset_reset = Some(text(field, value)?.to_owned()),
                "auto.commit.enable" | "enable.auto.commit" => auto_commit = Some(truth(field, value)?),
                "fetch.min.bytes" | "responseMinBytes" => min_bytes = min_bytes_of(field, value)?,
                "consumer.request.timeout.ms" | "requestWaitMs" => {
                    let ms = number(field, value)?;
                    let ms = u32::try_from(ms).map_err(|_| bad(field, "a number of milliseconds from 0"))?;
                    timeout_ms = Some(ms.min(MAX_TIMEOUT_MS));
                }
                // There are no transactions, so both levels read the same.
                "isolation.level" if matches!(value.as_str(), Some("read_committed" | "read_uncommitted")) => {}
                "isolation.level" => return Err(bad(field, "read_committed or read_uncommitted")),
                _ => {
                    let message = format!("Unrecognized field: {field}");
                    return Err(ApiError::malformed("unknown_field", message));
                }
            }
        }
        let name = id.or(name).unwrap_or_else(|| format!("rest-consumer-{}", Uuid::new_v4()));
        if name.is_empty() || name.len() > MAX_NAME_BYTES || name.chars().any(char::is_control) {
            return Err(bad("name", &format!("1 to {MAX_NAME_BYTES} bytes without control characters")));
        }
        Ok(Self { name, manner: Manner { format, min_bytes, timeout_ms }, offset_reset, auto_commit })
    }

    fn options(&self, instance_timeout_ms: u32) -> ApiResult<ConsumerOptions> {
        let default = ConsumerOptions::default();
        let reset = self.offset_reset.as_deref().map(offset_reset).transpose();
        let label = ClientId::new(&label(&self.name, self.manner));
        let options = ConsumerOptions {
            auto_offset_reset: reset
                .map_err(|_| bad("auto.offset.reset", "earliest, latest, none or by_duration:PT1H"))?
                .unwrap_or_default(),
            session_timeout_ms: instance_timeout_ms,
            max_poll_interval_ms: default.max_poll_interval_ms.max(instance_timeout_ms),
            auto_commit: self.auto_commit.unwrap_or(default.auto_commit),
            client_id: Some(label.map_err(|error| bad("name", &error.to_string()))?),
            ..default
        };
        options.check()?;
        Ok(options)
    }
}

/// -1, and nothing at all, are no bound.
fn min_bytes_of(field: &str, value: &Value) -> ApiResult<u32> {
    let bytes = number(field, value)?;
    if !(-1..=MAX_MIN_BYTES).contains(&bytes) {
        let message = format!("Invalid consumer configuration: {field} is from -1 to {MAX_MIN_BYTES}");
        let status = StatusCode::UNPROCESSABLE_ENTITY;
        return Err(ApiError::new(status, "invalid_consumer_config_constraint", message));
    }
    Ok(u32::try_from(bytes).unwrap_or(1))
}

fn text<'v>(field: &str, value: &'v Value) -> ApiResult<&'v str> {
    value.as_str().ok_or_else(|| bad(field, "a string"))
}

fn number(field: &str, value: &Value) -> ApiResult<i64> {
    let number = value.as_i64().or_else(|| value.as_str()?.trim().parse().ok());
    number.ok_or_else(|| bad(field, "a whole number"))
}

fn truth(field: &str, value: &Value) -> ApiResult<bool> {
    let truth = value.as_bool().or_else(|| value.as_str()?.to_ascii_lowercase().parse().ok());
    truth.ok_or_else(|| bad(field, "true or false"))
}

fn bad(field: &str, expected: &str) -> ApiError {
    let message = format!("Invalid consumer configuration: {field} must be {expected}");
    ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "invalid_consumer_config", message)
}

/// Where the instance is, as its client sees the server: what proxies on the way say of that comes first.
fn base_uri(scheme: &str, headers: &HeaderMap, prefix: &str, instance: &InstanceName) -> String {
    let first = |name: &str| {
        let value = headers.get(name)?.to_str().ok()?.split(',').next()?.trim();
        (!value.is_empty()).then(|| value.to_owned())
    };
    let forwarded = first("forwarded").unwrap_or_default();
    let told = |name: &str| {
        let mut pairs = forwarded.split(';').filter_map(|pair| pair.trim().split_once('='));
        let value = pairs.find(|(key, _)| key.eq_ignore_ascii_case(name))?.1;
        Some(value.trim_matches('"').to_owned())
    };
    let scheme = told("proto").or_else(|| first("x-forwarded-proto")).unwrap_or_else(|| scheme.to_owned());
    let host = told("host").or_else(|| first("x-forwarded-host")).or_else(|| first(header::HOST.as_str()));
    let before = first("x-forwarded-prefix").unwrap_or_default();
    format!(
        "{scheme}://{}{}{prefix}/consumers/{}/instances/{}",
        host.unwrap_or_else(|| "localhost".to_owned()),
        before.trim_end_matches('/'),
        utf8_percent_encode(&instance.group, SEGMENT),
        utf8_percent_encode(&instance.name, SEGMENT),
    )
}

impl<S: Send + Sync> FromRequestParts<S> for GroupPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let [group] = segments(parts, state).await?;
        Ok(Self(GroupName::new(&group).map_err(|error| bad("group", &error.to_string()))?))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn wanted(body: &Value) -> ApiResult<Wanted> {
        Wanted::of(body.as_object().expect("an object"))
    }

    #[test]
    fn a_base_uri_is_what_the_client_sees() {
        let instance = InstanceName { group: GroupName::new("a/b").expect("a name"), name: "till 3".into() };
        let uri_over = |scheme, headers: &[(&'static str, &'static str)]| {
            let headers = headers.iter().map(|(name, value)| {
                (name.parse().expect("a header"), value.parse().expect("a value")) as (header::HeaderName, _)
            });
            base_uri(scheme, &headers.collect(), "/kafka", &instance)
        };
        let uri = |headers: &[_]| uri_over("http", headers);
        let path = "/kafka/consumers/a%2Fb/instances/till%203";
        assert_eq!(uri(&[("host", "h:8080")]), format!("http://h:8080{path}"));
        assert_eq!(uri_over("https", &[("host", "h:8443")]), format!("https://h:8443{path}"));
        let forwarded = [("host", "h"), ("x-forwarded-proto", "https"), ("x-forwarded-host", "x.example, y")];
        assert_eq!(uri(&forwarded), format!("https://x.example{path}"));
        let forwarded = [("host", "h"), ("forwarded", "for=1.2.3.4;host=\"z:1\";proto=https, host=q")];
        assert_eq!(uri(&forwarded), format!("https://z:1{path}"));
        assert_eq!(uri(&[("host", "h"), ("x-forwarded-prefix", "/p/")]), format!("http://h/p{path}"));
    }

    #[test]
    fn options_are_taken_in_both_peers_words_and_in_quotes() {
        let quoted = wanted(&json!({
            "name": "n", "format": "JSON", "auto.commit.enable": "false", "fetch.min.bytes": "100",
            "consumer.request.timeout.ms": "3000", "auto.offset.reset": "earliest",
        }));
        let plain = wanted(&json!({
            "name": "n", "format": "json", "enable.auto.commit": false, "fetch.min.bytes": 100,
            "consumer.request.timeout.ms": 3000, "auto.offset.reset": "earliest", "isolation.level": "read_committed",
        }));
        let (quoted, plain) = (quoted.expect("good"), plain.expect("good"));
        assert_eq!(quoted.manner, Manner { format: Format::Json, min_bytes: 100, timeout_ms: Some(3_000) });
        assert_eq!(quoted.manner, plain.manner);
        assert_eq!(quoted.options(300_000).ok(), plain.options(300_000).ok());
        assert!(!quoted.options(300_000).expect("good").auto_commit);
    }

    #[test]
    fn nothing_said_is_the_default() {
        let made = wanted(&json!({"name": null, "fetch.min.bytes": -1})).expect("good");
        assert_eq!(made.manner, Manner { format: Format::Binary, min_bytes: 1, timeout_ms: None });
        assert!(made.name.starts_with("rest-consumer-"), "{}", made.name);
        let options = made.options(1_800_000).expect("good");
        assert_eq!((options.session_timeout_ms, options.max_poll_interval_ms), (1_800_000, 1_800_000));
        assert!(options.auto_commit);
    }

    #[test]
    fn what_can_t_be_is_refused() {
        for (body, code) in [
            (json!({"format": "avro"}), "invalid_consumer_config"),
            (json!({"name": ""}), "invalid_consumer_config"),
            (json!({"name": "x".repeat(201)}), "invalid_consumer_config"),
            (json!({"auto.commit.enable": "perhaps"}), "invalid_consumer_config"),
            (json!({"consumer.request.timeout.ms": -1}), "invalid_consumer_config"),
            (json!({"isolation.level": "none"}), "invalid_consumer_config"),
            (json!({"fetch.min.bytes": -2}), "invalid_consumer_config_constraint"),
            (json!({"auto.comit.enable": true}), "unknown_field"),
        ] {
            assert_eq!(wanted(&body).err().map(|error| error.code()), Some(code), "{body}");
        }
    }
}
