//! What a request's path names.

use axum::{
    extract::{FromRequestParts, RawPathParams},
    http::request::Parts,
};
use takhin_core::{ConsumerId, GroupName, TopicName};

use super::{consumers::consumer_id, query::Query};
use crate::http::{error::ApiError, refusal::invalid_name};

/// `/{id}` of a consumer.
#[derive(Debug)]
pub(crate) struct ConsumerPath(pub(crate) ConsumerId);

/// `/{topic}`.
#[derive(Debug)]
pub(crate) struct TopicPath(pub(crate) TopicName);

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
        let name = GroupName::new(&group).map_err(|error| invalid_name("group", &group, error))?;
        Ok(Self(name))
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

/// The route's parameters, percent-decoded, in their order.
pub(crate) async fn segments<S: Send + Sync, const N: usize>(
    parts: &mut Parts,
    state: &S,
) -> Result<[String; N], ApiError> {
    let parameters = RawPathParams::from_request_parts(parts, state)
        .await
        .map_err(|_| ApiError::malformed("malformed_url", "the path is not UTF-8 when percent-decoded"))?;
    let values: Vec<String> = parameters.iter().map(|(_, value)| value.to_owned()).collect();
    values.try_into().map_err(|_| ApiError::bug("a route's parameters are not those that its handler reads"))
}
