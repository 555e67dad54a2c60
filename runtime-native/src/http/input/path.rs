//! What a request's path names.

use axum::{
    extract::{FromRequestParts, RawPathParams},
    http::request::Parts,
};
use smallvec::SmallVec;
use takhin_core::{ConsumerId, GroupName, TopicName};

use super::{consumers::consumer_id, query::Query};
use crate::{
    http::{error::ApiError, refusal::invalid_name, routing::PathParameters},
    keys::{KeyId, NoKeyId},
};

/// `/{id}` of a consumer.
#[derive(Debug)]
pub(crate) struct ConsumerPath(pub(crate) ConsumerId);

/// `/{topic}`.
#[derive(Debug)]
pub(crate) struct TopicPath(pub(crate) TopicName);

/// The `{topic}` of a path, whatever else it names.
#[derive(Debug)]
pub(crate) struct TopicInPath(pub(crate) TopicName);

/// The `{group}` of a path, whatever else it names.
#[derive(Debug)]
pub(crate) struct GroupInPath(pub(crate) GroupName);

/// `/{id}` of a key.
#[derive(Debug)]
pub(crate) struct KeyPath(pub(crate) KeyId);

/// `/{topic}/partitions/{partition}`.
#[derive(Debug)]
pub(crate) struct PartitionPath(pub(crate) TopicName, pub(crate) u32);

/// `/{group}`.
#[derive(Debug)]
pub(crate) struct GroupPath(pub(crate) GroupName);

/// Refuses any query.
#[derive(Debug)]
pub(crate) struct NoQuery;

impl<S: Send + Sync> FromRequestParts<S> for ConsumerPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let [id] = segments(parts, state).await?;
        let found = consumer_id(&id).ok_or_else(|| {
            let message = "a consumer's id is the UUID that subscribe gave";
            ApiError::malformed("invalid_consumer_id", message).with("value", id)
        })?;
        Ok(Self(found))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for TopicPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let [topic] = segments(parts, state).await?;
        Ok(Self(topic_in_path(&topic)?))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for TopicInPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let topic = named(parts, state, "topic").await?;
        Ok(Self(topic_in_path(&topic)?))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for GroupInPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let group = named(parts, state, "group").await?;
        Ok(Self(group_in_path(&group)?))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for KeyPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let [id] = segments(parts, state).await?;
        let found = id
            .parse()
            .map_err(|error: NoKeyId| ApiError::malformed("invalid_key_id", error.to_string()).with("value", id))?;
        Ok(Self(found))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for PartitionPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let [topic, partition] = segments(parts, state).await?;
        let topic = topic_in_path(&topic)?;
        let number = partition.parse().map_err(|_| {
            let message = format!("a partition is a number from 0, and not {partition:?}");
            ApiError::malformed("invalid_partition", message).with("value", partition)
        })?;
        Ok(Self(topic, number))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for GroupPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let [group] = segments(parts, state).await?;
        Ok(Self(group_in_path(&group)?))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for NoQuery {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        Query::parse(&parts.uri, &[])?;
        Ok(Self)
    }
}

fn topic_in_path(topic: &str) -> Result<TopicName, ApiError> {
    TopicName::new(topic).map_err(|error| invalid_name("topic", topic, error))
}

fn group_in_path(group: &str) -> Result<GroupName, ApiError> {
    GroupName::new(group).map_err(|error| invalid_name("group", group, error))
}

/// The parameter of this name, percent-decoded.
async fn named<S: Send + Sync>(parts: &mut Parts, state: &S, name: &str) -> Result<String, ApiError> {
    if let Some(direct) = parts.extensions.get::<PathParameters>() {
        let found = direct.of(parts.uri.path()).find(|(known, _)| *known == name).map(|(_, value)| value.to_owned());
        return found.ok_or_else(|| nameless(name));
    }
    let parameters = parameters(parts, state).await?;
    let found = parameters.iter().find(|(known, _)| *known == name).map(|(_, value)| value.to_owned());
    found.ok_or_else(|| nameless(name))
}

fn nameless(name: &str) -> ApiError {
    ApiError::bug(format!("a route that needs a {name} names none"))
}

async fn parameters<S: Send + Sync>(parts: &mut Parts, state: &S) -> Result<RawPathParams, ApiError> {
    let parameters = RawPathParams::from_request_parts(parts, state).await;
    parameters.map_err(|_| ApiError::malformed("malformed_url", "the path is not UTF-8 when percent-decoded"))
}

/// The route's parameters, percent-decoded, in their order.
pub(crate) async fn segments<S: Send + Sync, const N: usize>(
    parts: &mut Parts,
    state: &S,
) -> Result<[String; N], ApiError> {
    let values: SmallVec<[String; N]> = match parts.extensions.get::<PathParameters>() {
        Some(direct) => direct.of(parts.uri.path()).map(|(_, value)| value.to_owned()).collect(),
        None => parameters(parts, state).await?.iter().map(|(_, value)| value.to_owned()).collect(),
    };
    values.into_inner().map_err(|_| ApiError::bug("a route's parameters are not those that its handler reads"))
}
