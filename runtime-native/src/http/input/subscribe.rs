//! What a consumer is to be: the bodies of `POST /api/consumers/subscribe` and `PUT …/subscription`, as the core's requests.

use schemars::{JsonSchema, Schema};
use serde::Deserialize;
use takhin_core::{
    Assignor, ClientId, ConsumerId, ConsumerOptions, GroupName, InstanceId, NameError, OffsetReset, RecordFormat,
    TopicName, TopicPattern, Topics,
};

use super::{
    consumers::{as_given, consumer_id, or_default},
    duration::milliseconds,
    offsets::topic_names,
    one_of::OneOf,
};
use crate::http::{
    error::ApiError,
    openapi::schema::{by_default, exactly_one, number, property},
    refusal::invalid_name,
};

/// A consumer to be: its group, what it wants of which topics, and how it wants to be treated.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = subscribe_bounds)]
pub(crate) struct Subscribe {
    /// The group. 1 to 255 bytes without control characters.
    #[schemars(with = "GroupName")]
    group_id: String,
    /// The topics' names.
    #[schemars(with = "Option<Vec<TopicName>>")]
    topics: Option<Vec<String>>,
    /// Instead of `topics`: a regular expression (the syntax of Rust's `regex`, ASCII only) that whole names have to
    /// match; topics that come later too.
    #[schemars(with = "Option<TopicPattern>")]
    topic_pattern: Option<String>,
    /// A UUID of your own: then the very same call can be repeated and is answered again. Else one is drawn.
    #[schemars(with = "Option<ConsumerId>")]
    consumer_id: Option<String>,
    /// What you call yourself, shown wherever the consumer is. 1 to 255 bytes without control characters.
    #[schemars(with = "Option<ClientId>")]
    client_id: Option<String>,
    /// Which of the group's workers you are: a later consumer with it takes this one's place, which hears
    /// `consumer_fenced` from then on. 1 to 255 bytes without control characters.
    #[schemars(with = "Option<InstanceId>")]
    instance_id: Option<String>,
    /// How partitions are shared out; the group does what most of its members want.
    assignor: Option<OneOf<Assignor>>,
    /// Where to begin without a committed offset: `earliest`, `latest`, `none`, or `by_duration:` with an ISO 8601
    /// duration without years and months, as in `by_duration:PT1H`.
    auto_offset_reset: Option<String>,
    /// How long it may be silent before it is removed.
    session_timeout_ms: Option<i64>,
    /// How long a member may go without a poll.
    max_poll_interval_ms: Option<i64>,
    /// How long it may hold on to a partition that it was asked to give up.
    rebalance_timeout_ms: Option<i64>,
    /// Whether a poll commits what the polls before it delivered.
    auto_commit: Option<bool>,
    /// How much time lies between two such commits at least.
    auto_commit_interval_ms: Option<i64>,
    /// How keys and values are written, unless a request says otherwise.
    format: Option<OneOf<RecordFormat>>,
    /// Whether topics may be missing; they are assigned once they exist.
    allow_missing: Option<bool>,
}

fn subscribe_bounds(object: &mut Schema) {
    let default = ConsumerOptions::default;
    let impossible = u32::MAX;
    let numbers = [
        (ConsumerOptions { session_timeout_ms: impossible, ..default() }, default().session_timeout_ms),
        (ConsumerOptions { max_poll_interval_ms: impossible, ..default() }, default().max_poll_interval_ms),
        (ConsumerOptions { rebalance_timeout_ms: impossible, ..default() }, default().rebalance_timeout_ms),
        (ConsumerOptions { auto_commit_interval_ms: impossible, ..default() }, default().auto_commit_interval_ms),
    ];
    for (options, default) in numbers {
        number(object, options.check(), default);
    }
    by_default(object, "auto_commit", default().auto_commit);
    by_default(object, "auto_offset_reset", "latest");
    property(object, "auto_offset_reset")["pattern"] = RESETS.into();
    subscription_bounds(object);
}

/// What may stand in `auto_offset_reset`.
const RESETS: &str = r"^(?:earliest|latest|none|by_duration:P(?=.)(?:[0-9]{1,6}W)?(?:[0-9]{1,6}D)?(?:T(?=.)(?:[0-9]{1,9}H)?(?:[0-9]{1,9}M)?(?:[0-9]{1,9}(?:\.[0-9]{1,3})?S)?)?)$";

fn subscription_bounds(object: &mut Schema) {
    property(object, "topics")["minItems"] = 1.into();
    property(object, "topics")["maxItems"] = Topics::MAX_NAMED.into();
    by_default(object, "allow_missing", false);
    exactly_one(object, &["topics", "topic_pattern"]);
}

/// What `POST /subscribe` asks for.
#[derive(Debug)]
pub(crate) struct Subscription {
    /// [`None`] if the client chose none.
    pub(crate) consumer: Option<ConsumerId>,
    pub(crate) group: GroupName,
    pub(crate) topics: Topics,
    pub(crate) options: ConsumerOptions,
    pub(crate) allow_missing: bool,
}

impl Subscribe {
    /// Checks every field.
    pub(crate) fn check(self) -> Result<Subscription, ApiError> {
        let group = GroupName::new(&self.group_id).map_err(|error| invalid_name("group_id", &self.group_id, error))?;
        let topics = topics(self.topics.as_deref(), self.topic_pattern.as_deref())?;
        let consumer = match &self.consumer_id {
            Some(id) => Some(consumer_id(id).ok_or_else(|| {
                let message = "consumer_id must be a UUID";
                ApiError::unacceptable("invalid_consumer_id", "consumer_id", message).with("value", id.as_str())
            })?),
            None => None,
        };
        Ok(Subscription {
            consumer,
            group,
            topics,
            options: self.options()?,
            allow_missing: self.allow_missing.unwrap_or(false),
        })
    }

    fn options(&self) -> Result<ConsumerOptions, ApiError> {
        let default = ConsumerOptions::default();
        let options = ConsumerOptions {
            auto_offset_reset: self.auto_offset_reset.as_deref().map(offset_reset).transpose()?.unwrap_or_default(),
            session_timeout_ms: or_default(self.session_timeout_ms, default.session_timeout_ms),
            max_poll_interval_ms: or_default(self.max_poll_interval_ms, default.max_poll_interval_ms),
            rebalance_timeout_ms: or_default(self.rebalance_timeout_ms, default.rebalance_timeout_ms),
            auto_commit: self.auto_commit.unwrap_or(default.auto_commit),
            auto_commit_interval_ms: or_default(self.auto_commit_interval_ms, default.auto_commit_interval_ms),
            client_id: self.client_id.as_deref().map(client_id).transpose()?,
            instance_id: self.instance_id.as_deref().map(instance_id).transpose()?,
            assignor: self.assignor.unwrap_or_default().0,
            format: self.format.unwrap_or_default().0,
        };
        options.check().map_err(|refusal| {
            as_given(
                refusal,
                &[
                    ("session_timeout_ms", self.session_timeout_ms),
                    ("max_poll_interval_ms", self.max_poll_interval_ms),
                    ("rebalance_timeout_ms", self.rebalance_timeout_ms),
                    ("auto_commit_interval_ms", self.auto_commit_interval_ms),
                ],
            )
        })?;
        Ok(options)
    }
}

/// `auto_offset_reset` as text.
pub(crate) fn offset_reset(text: &str) -> Result<OffsetReset, ApiError> {
    let by_duration = || text.strip_prefix("by_duration:").and_then(milliseconds).map(OffsetReset::ByDuration);
    let found = match text {
        "earliest" => Some(OffsetReset::Earliest),
        "latest" => Some(OffsetReset::Latest),
        "none" => Some(OffsetReset::None),
        _ => by_duration(),
    };
    found.ok_or_else(|| {
        let message = "auto_offset_reset is earliest, latest, none, or by_duration: with an ISO 8601 duration, as in \
                       by_duration:PT1H";
        ApiError::unacceptable("invalid_value", "auto_offset_reset", message).with("value", text)
    })
}

/// Names, or a pattern.
fn topics(names: Option<&[String]>, pattern: Option<&str>) -> Result<Topics, ApiError> {
    match (names, pattern) {
        (Some(names), None) => Ok(Topics::Named(topic_names("topics", names)?)),
        (None, Some(pattern)) => Ok(Topics::Matching(TopicPattern::new(pattern))),
        (Some(_), Some(_)) => {
            let message = "a subscription has topics or a topic_pattern, and not both";
            Err(ApiError::malformed("conflicting_fields", message).with("field", "topic_pattern"))
        }
        (None, None) => {
            let message = "missing field `topics`: a subscription names topics, or a topic_pattern";
            Err(ApiError::malformed("missing_field", message).with("field", "topics"))
        }
    }
}

/// Other topics for a consumer.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = subscription_bounds)]
pub(crate) struct Resubscribe {
    /// The topics' names.
    #[schemars(with = "Option<Vec<TopicName>>")]
    topics: Option<Vec<String>>,
    /// Instead of `topics`: a regular expression that whole names have to match.
    #[schemars(with = "Option<TopicPattern>")]
    topic_pattern: Option<String>,
    /// Whether topics may be missing; they are assigned once they exist.
    allow_missing: Option<bool>,
}

impl Resubscribe {
    /// What is subscribed to, and whether topics may be missing.
    pub(crate) fn check(self) -> Result<(Topics, bool), ApiError> {
        let topics = topics(self.topics.as_deref(), self.topic_pattern.as_deref())?;
        Ok((topics, self.allow_missing.unwrap_or(false)))
    }
}

fn client_id(text: &str) -> Result<ClientId, ApiError> {
    ClientId::new(text).map_err(|error| match error {
        NameError::TooLong { bytes, max } => {
            let message = format!("client_id may have at most {max} bytes");
            ApiError::unacceptable("client_id_too_long", "client_id", message)
                .with("bytes", bytes)
                .with("max_bytes", max)
        }
        error => invalid_name("client_id", text, error),
    })
}

fn instance_id(text: &str) -> Result<InstanceId, ApiError> {
    InstanceId::new(text).map_err(|error| invalid_name("instance_id", text, error))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::http::input::json;

    fn fault<T: std::fmt::Debug>(result: Result<T, ApiError>) -> (u16, &'static str, Value) {
        let error = result.expect_err("the request is wrong");
        (error.status().as_u16(), error.code(), error.details().get("field").cloned().unwrap_or_default())
    }

    fn subscribe(body: &Value) -> Result<Subscription, ApiError> {
        json::object::<Subscribe>(body.to_string().as_bytes())?.check()
    }

    #[test]
    fn a_subscription_has_the_documented_defaults() {
        let made = subscribe(&json!({"group_id": "g", "topics": ["a", "b"]})).expect("good");
        assert_eq!(made.options, ConsumerOptions::default());
        assert!(!made.allow_missing);
        let Topics::Named(names) = made.topics else { panic!("topics were named") };
        assert_eq!(names.iter().map(|t| &**t).collect::<Vec<_>>(), ["a", "b"]);
        assert_eq!(made.consumer, None);
    }

    #[test]
    fn a_client_may_choose_its_id() {
        let id = "550e8400-e29b-41d4-a716-446655440000";
        let made = subscribe(&json!({"group_id": "g", "topics": ["a"], "consumer_id": id})).expect("good");
        assert_eq!(made.consumer.map(|it| it.to_string()).as_deref(), Some(id));
    }

    #[test]
    fn a_wrong_subscription_names_its_field() {
        let with = |field: &str, value: Value| {
            let mut body = json!({"group_id": "g", "topics": ["a"]});
            body[field] = value;
            let (status, code, named) = fault(subscribe(&body));
            (status, code, named.as_str().expect("a field").to_owned())
        };
        let expect = |status, code, field: &str| (status, code, field.to_owned());
        assert_eq!(with("group_id", json!("")), expect(422, "invalid_name", "group_id"));
        assert_eq!(with("topics", json!(["a", "b c"])), expect(422, "invalid_name", "topics[1]"));
        assert_eq!(with("topics", json!(["a", 5])), expect(400, "invalid_field", "topics[1]"));
        assert_eq!(with("consumer_id", json!("me")), expect(422, "invalid_consumer_id", "consumer_id"));
        assert_eq!(with("auto_offset_reset", json!("first")), expect(422, "invalid_value", "auto_offset_reset"));
        assert_eq!(with("auto_offset_reset", json!(1)), expect(400, "invalid_field", "auto_offset_reset"));
        assert_eq!(with("auto_offset_reset", json!({"none": 1})), expect(400, "invalid_field", "auto_offset_reset"));
        assert_eq!(with("session_timeout_ms", json!(999)), expect(422, "out_of_range", "session_timeout_ms"));
        assert_eq!(with("session_timeout_ms", json!(-1)), expect(422, "out_of_range", "session_timeout_ms"));
        assert_eq!(with("max_poll_interval_ms", json!(0)), expect(422, "out_of_range", "max_poll_interval_ms"));
        assert_eq!(with("sesion_timeout_ms", json!(1)), expect(400, "unknown_field", "sesion_timeout_ms"));
        assert_eq!(with("topic_pattern", json!(".*")), expect(400, "conflicting_fields", "topic_pattern"));
        assert_eq!(with("topics", json!(null)), expect(400, "missing_field", "topics"));
        assert_eq!(with("client_id", json!("x".repeat(256))), expect(422, "client_id_too_long", "client_id"));
        assert_eq!(with("instance_id", json!("")), expect(422, "invalid_name", "instance_id"));
        assert_eq!(with("assignor", json!("sticky")), expect(422, "invalid_value", "assignor"));
        assert_eq!(with("format", json!("xml")), expect(422, "invalid_value", "format"));
        assert_eq!(with("client_id", json!("a\nb")), expect(422, "invalid_name", "client_id"));
        assert_eq!(fault(subscribe(&json!({"topics": []}))), (400, "missing_field", json!("group_id")));
    }

    #[test]
    fn a_field_given_twice_is_named() {
        let body = br#"{"group_id": "g", "topics": ["t"], "topics": ["t"]}"#;
        assert_eq!(fault(json::object::<Subscribe>(body)), (400, "invalid_field", json!("topics")));
    }
}
