//! `/api/topics` itself.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderValue, StatusCode, header},
};
use takhin_core::{Refusal, Request, Response, TopicName, response::TopicDescription};

use super::{App, mismatch};
use crate::{
    http::{
        error::{ApiError, ApiResult},
        guard::Caller,
        input::{
            body::Received,
            json::object,
            path::{NoQuery, TopicPath},
            topics::TopicBody,
        },
        output::{
            json,
            topics::{Topic, TopicDeleted, Topics},
        },
    },
    keys::{Right, Scope},
};

pub(super) async fn list(State(app): State<Arc<App>>, caller: Caller, _: NoQuery) -> ApiResult {
    let topics = app.topics(&caller).await?;
    json(&Topics::new(topics.iter().map(|topic| app.shown(topic)).collect()))
}

pub(super) async fn create(State(app): State<Arc<App>>, caller: Caller, _: NoQuery, body: Received) -> ApiResult {
    let wanted = object::<TopicBody>(&body.bytes)?;
    let create = wanted.create()?;
    let Request::CreateTopic { name, .. } = &create else { return Err(ApiError::bug("this creates no topic")) };
    caller.may(Scope::Topics, Right::Admin, name)?;
    let topic = app.topic(create, |refusal| wanted.refused(refusal)).await?;
    let mut response = json(&app.shown(&topic))?;
    *response.status_mut() = StatusCode::CREATED;
    let place = HeaderValue::try_from(format!("/api/topics/{}", topic.name))
        .map_err(|error| ApiError::bug(format!("a topic's name fits no header: {error}")))?;
    response.headers_mut().insert(header::LOCATION, place);
    Ok(response)
}

pub(super) async fn describe(State(app): State<Arc<App>>, TopicPath(name): TopicPath, _: NoQuery) -> ApiResult {
    json(&app.shown(&app.describe_topic(name).await?))
}

pub(super) async fn alter(
    State(app): State<Arc<App>>,
    TopicPath(name): TopicPath,
    _: NoQuery,
    body: Received,
) -> ApiResult {
    let wanted = object::<TopicBody>(&body.bytes)?;
    let topic = app.topic(wanted.alter(name)?, |refusal| wanted.refused(refusal)).await?;
    json(&app.shown(&topic))
}

pub(super) async fn delete(State(app): State<Arc<App>>, TopicPath(name): TopicPath, _: NoQuery) -> ApiResult {
    match app.broker.ask(Request::DeleteTopic { name }).await?.response {
        Response::TopicDeleted { name } => json(&TopicDeleted { name: &name, message: "topic deleted" }),
        other => Err(mismatch(&other)),
    }
}

impl App {
    fn shown<'a>(&'a self, topic: &'a TopicDescription) -> Topic<'a> {
        Topic::new(topic, self.config.durability.as_deref(), &self.broker.leaderless(&topic.name))
    }

    /// Those that whoever asks may read.
    pub(in crate::http) async fn topics(&self, caller: &Caller) -> Result<Vec<TopicDescription>, ApiError> {
        match self.broker.ask(Request::ListTopics).await?.response {
            Response::Topics(mut topics) => {
                topics.retain(|topic| caller.has(Scope::Topics, Right::Read, &topic.name));
                Ok(topics)
            }
            other => Err(mismatch(&other)),
        }
    }

    pub(in crate::http) async fn describe_topic(&self, name: TopicName) -> Result<TopicDescription, ApiError> {
        self.topic(Request::DescribeTopic { name }, ApiError::from).await
    }

    /// Asks something that is answered with a topic.
    async fn topic(
        &self,
        request: Request,
        refused: impl FnOnce(Refusal) -> ApiError,
    ) -> Result<TopicDescription, ApiError> {
        match self.broker.ask(request).await.map_err(refused)?.response {
            Response::Topic(topic) => Ok(topic),
            other => Err(mismatch(&other)),
        }
    }
}
