//! What an instance consumes: `.../subscription` and `.../assignments`.
//!
//! It subscribes, or takes partitions by hand, or does neither; to change from one to the other it lets go first
//! (`DELETE .../subscription`).

use std::sync::Arc;

use axum::{Extension, extract::State, http::StatusCode};
use serde::{Deserialize, Serialize};
use takhin_core::{ConsumerId, Request, TopicName, TopicPattern, Topics, response::ConsumerDescription};

use super::{
    KafkaRest,
    instances::InstanceName,
    lifecycle::NO_TOPIC,
    media::JsonBody,
    no_content,
    partitions::{PartitionView, Partitions, PartitionsView},
};
use crate::{
    http::{
        error::{ApiError, ApiResult},
        guard::Caller,
        input::{json::object, offsets::topic_names},
        output::json,
        routes::App,
    },
    keys::{Right, Scope},
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Subscription {
    topics: Option<Vec<String>>,
    topic_pattern: Option<String>,
}

#[derive(Debug, Serialize)]
struct SubscriptionView<'a> {
    topics: &'a [TopicName],
}

pub(super) async fn set(
    State(app): State<Arc<App>>,
    Extension(rest): Extension<Arc<KafkaRest>>,
    caller: Caller,
    name: InstanceName,
    JsonBody(body): JsonBody,
) -> ApiResult {
    let consumer = rest.find(&app, &caller, &name).await?.consumer;
    let wanted = object::<Subscription>(&body.bytes)?.check()?;
    if holds(&app.describe(consumer).await?) == Holds::ByHand {
        return Err(other_kind("partitions were assigned to it by hand"));
    }
    match wanted {
        Some(topics) => {
            caller.may_subscribe(&topics)?;
            app.resubscribe(&caller, consumer, topics).await?;
        }
        None => app.let_go(consumer).await?,
    }
    Ok(no_content())
}

pub(super) async fn get(
    State(app): State<Arc<App>>,
    Extension(rest): Extension<Arc<KafkaRest>>,
    caller: Caller,
    name: InstanceName,
) -> ApiResult {
    let consumer = rest.find(&app, &caller, &name).await?.consumer;
    json(&SubscriptionView { topics: &app.describe(consumer).await?.topics })
}

pub(super) async fn unsubscribe(
    State(app): State<Arc<App>>,
    Extension(rest): Extension<Arc<KafkaRest>>,
    caller: Caller,
    name: InstanceName,
) -> ApiResult {
    let consumer = rest.find(&app, &caller, &name).await?.consumer;
    app.let_go(consumer).await?;
    Ok(no_content())
}

pub(super) async fn assign(
    State(app): State<Arc<App>>,
    Extension(rest): Extension<Arc<KafkaRest>>,
    caller: Caller,
    name: InstanceName,
    JsonBody(body): JsonBody,
) -> ApiResult {
    let consumer = rest.find(&app, &caller, &name).await?.consumer;
    let partitions = object::<Partitions>(&body.bytes)?.check()?;
    partitions.iter().try_for_each(|(topic, _)| caller.may(Scope::Topics, Right::Read, topic))?;
    if holds(&app.describe(consumer).await?) == Holds::Subscription {
        return Err(other_kind("it has subscribed to topics"));
    }
    app.consumer(Request::Assign { consumer, partitions }).await?;
    Ok(no_content())
}

pub(super) async fn assignments(
    State(app): State<Arc<App>>,
    Extension(rest): Extension<Arc<KafkaRest>>,
    caller: Caller,
    name: InstanceName,
) -> ApiResult {
    let consumer = rest.find(&app, &caller, &name).await?.consumer;
    let described = app.describe(consumer).await?;
    let kept = described.partitions.iter().filter(|status| !status.revoking);
    let partitions = kept.map(PartitionView::from).collect();
    json(&PartitionsView { partitions })
}

/// What an instance consumes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holds {
    Nothing,
    Subscription,
    ByHand,
}

pub(super) fn holds(consumer: &ConsumerDescription) -> Holds {
    // A server that died while it created the instance left it with the pattern.
    let unmatched = consumer.pattern.as_deref() == Some(NO_TOPIC);
    match consumer.manual {
        true if consumer.partitions.is_empty() => Holds::Nothing,
        true => Holds::ByHand,
        false if unmatched => Holds::Nothing,
        false => Holds::Subscription,
    }
}

fn other_kind(what: &str) -> ApiError {
    let message = format!("Illegal state: subscriptions and assignments exclude each other, and {what}");
    ApiError::new(StatusCode::CONFLICT, "already_subscribed", message)
}

impl Subscription {
    /// What is subscribed to; [`None`] is nothing, as an empty list of topics is in Kafka.
    fn check(self) -> ApiResult<Option<Topics>> {
        match (self.topics, self.topic_pattern) {
            (Some(_), Some(_)) => {
                let message = "Illegal state: a subscription has topics or a topic_pattern, and not both";
                Err(ApiError::new(StatusCode::CONFLICT, "already_subscribed", message))
            }
            (None, None) => {
                let message = "A list of topics or a topic_pattern must be given";
                Err(ApiError::malformed("missing_field", message))
            }
            (None, Some(pattern)) => Ok(Some(Topics::Matching(TopicPattern::new(&pattern)))),
            (Some(names), None) if names.is_empty() => Ok(None),
            (Some(names), None) => Ok(Some(Topics::Named(topic_names("topics", &names)?))),
        }
    }
}

impl App {
    /// Subscribes as Kafka's consumers do: a topic that is missing is made if the server does so, and is waited for
    /// otherwise.
    async fn resubscribe(&self, caller: &Caller, consumer: ConsumerId, topics: Topics) -> ApiResult<()> {
        let change = |allow_missing| Request::ChangeSubscription { consumer, topics: topics.clone(), allow_missing };
        match self.ask_for_topics(caller, &topics, change(false)).await {
            Err(error) if error.code() == "topic_not_found" => {
                self.ask_for_topics(caller, &topics, change(true)).await?
            }
            other => other?,
        };
        Ok(())
    }

    /// Ends a subscription, or an assignment by hand.
    async fn let_go(&self, consumer: ConsumerId) -> ApiResult<()> {
        self.consumer(Request::Assign { consumer, partitions: Vec::new() }).await.map(|_| ())
    }
}
