//! `/api/consumers`.

use std::sync::Arc;

use axum::{Extension, extract::State, response::Response as HttpResponse};
use takhin_core::{
    ConsumerId, Refusal, Request, Response,
    response::{CommittedPartition, ConsumerDescription},
};

use super::{App, mismatch};
use crate::{
    driver::Answer,
    http::{
        delivery::Receipt,
        dispatch::Asked,
        error::{ApiError, ApiResult},
        input::{
            body::Received,
            consumers::{Assign, Commit, Consume, Nothing, Seek, Subscribe},
            json::{object, object_or_nothing},
            path::{ConsumerPath, NoQuery},
        },
        output::{
            consumers::{
                AssignmentView, Closed, CommitDone, ConsumerView, Heartbeat, Offsets, Sought, Subscription, consumed,
                consumed_bytes,
            },
            json, now_ms,
        },
    },
};

pub(super) async fn subscribe(State(app): State<Arc<App>>, _: NoQuery, body: Received) -> ApiResult {
    let wanted = app.read(&body, |json| object::<Subscribe>(json)?.check()).await?;
    tracing::debug!(
        consumer = %wanted.consumer,
        group = %wanted.group,
        client_id = wanted.client_id.as_deref().unwrap_or_default(),
        "subscribe"
    );
    let request = Request::Subscribe {
        consumer: wanted.consumer,
        group: wanted.group,
        topics: wanted.topics.clone(),
        options: wanted.options,
        allow_missing: wanted.allow_missing,
    };
    let mut answer = app.driver.ask(request.clone()).await;
    // A topic that is missing is made once nothing else is in the way.
    if app.config.auto_create_partitions.is_some()
        && let Err(Refusal::TopicNotFound { .. }) = answer
    {
        for topic in &wanted.topics {
            app.ensure_topic(topic).await?;
        }
        answer = app.driver.ask(request).await;
    }
    json(&ConsumerView::new(&described(answer?)?))
}

/// Waits without the body, whose room others may have meanwhile.
pub(super) async fn consume(
    State(app): State<Arc<App>>,
    Extension(asked): Extension<Asked>,
    ConsumerPath(id): ConsumerPath,
    _: NoQuery,
    body: Received,
) -> ApiResult {
    let poll = app.read(&body, |json| object_or_nothing::<Consume>(json)?.check(id)).await?;
    drop(body);
    if let Request::Consume { after_batch: None, .. } = poll {
        app.in_flight.landed(id).await;
    }
    let answer = app.driver.ask(poll).await?;
    let receipt = Receipt::of_poll(app.driver.clone(), answer.request, id, &app.in_flight);
    let Response::Consumed(found) = &answer.response else {
        return Err(mismatch(&answer.response));
    };
    let write = || consumed(found, answer.records.as_ref(), now_ms());
    app.write(consumed_bytes(found), receipt, asked.link, write).await
}

pub(super) async fn commit(
    State(app): State<Arc<App>>,
    ConsumerPath(id): ConsumerPath,
    _: NoQuery,
    body: Received,
) -> ApiResult {
    let commit = app.read(&body, |json| object_or_nothing::<Commit>(json)?.check(id)).await?;
    let committed = app.offsets(commit).await?;
    json(&CommitDone::new(&committed))
}

pub(super) async fn seek(
    State(app): State<Arc<App>>,
    ConsumerPath(id): ConsumerPath,
    _: NoQuery,
    body: Received,
) -> ApiResult {
    let seek = app.read(&body, |json| object::<Seek>(json)?.check(id)).await?;
    let consumer = app.consumer(seek).await.map_err(ApiError::repeatable)?;
    json(&Sought::new(&consumer))
}

pub(super) async fn assign(
    State(app): State<Arc<App>>,
    ConsumerPath(id): ConsumerPath,
    _: NoQuery,
    body: Received,
) -> ApiResult {
    let assign = app.read(&body, |json| object::<Assign>(json)?.check(id)).await?;
    let consumer = app.consumer(assign).await.map_err(ApiError::repeatable)?;
    json(&ConsumerView::new(&consumer))
}

pub(super) async fn heartbeat(
    State(app): State<Arc<App>>,
    ConsumerPath(id): ConsumerPath,
    _: NoQuery,
    body: Received,
) -> ApiResult {
    let Nothing {} = object_or_nothing(&body.bytes)?;
    json(&Heartbeat::new(&app.describe(id).await?))
}

pub(super) async fn describe(
    State(app): State<Arc<App>>,
    ConsumerPath(id): ConsumerPath,
    _: NoQuery,
) -> ApiResult<HttpResponse> {
    json(&ConsumerView::new(&app.describe(id).await?))
}

pub(super) async fn position(State(app): State<Arc<App>>, ConsumerPath(id): ConsumerPath, _: NoQuery) -> ApiResult {
    json(&Offsets::of_positions(&app.describe(id).await?))
}

pub(super) async fn committed(State(app): State<Arc<App>>, ConsumerPath(id): ConsumerPath, _: NoQuery) -> ApiResult {
    let committed = app.offsets(Request::Committed { consumer: id }).await?;
    json(&Offsets::of_committed(&committed))
}

pub(super) async fn assignment(State(app): State<Arc<App>>, ConsumerPath(id): ConsumerPath, _: NoQuery) -> ApiResult {
    json(&AssignmentView::new(&app.describe(id).await?))
}

pub(super) async fn subscription(State(app): State<Arc<App>>, ConsumerPath(id): ConsumerPath, _: NoQuery) -> ApiResult {
    json(&Subscription::new(&app.describe(id).await?))
}

pub(super) async fn close(State(app): State<Arc<App>>, ConsumerPath(id): ConsumerPath, _: NoQuery) -> ApiResult {
    let answer = app.driver.ask(Request::Close { consumer: id }).await?;
    match answer.response {
        Response::Closed { consumer } => json(&Closed::new(consumer)),
        other => Err(mismatch(&other)),
    }
}

impl App {
    pub(super) async fn describe(&self, consumer: ConsumerId) -> Result<ConsumerDescription, ApiError> {
        self.consumer(Request::Describe { consumer }).await
    }

    /// Asks something that is answered with a consumer.
    pub(super) async fn consumer(&self, request: Request) -> Result<ConsumerDescription, ApiError> {
        described(self.driver.ask(request).await?)
    }

    /// Asks something that is answered with committed offsets, and that does the same when it is asked twice.
    async fn offsets(&self, request: Request) -> Result<Vec<CommittedPartition>, ApiError> {
        match self.driver.ask(request).await.map_err(|refusal| ApiError::from(refusal).repeatable())?.response {
            Response::Committed(committed) => Ok(committed),
            other => Err(mismatch(&other)),
        }
    }
}

fn described(answer: Answer) -> Result<ConsumerDescription, ApiError> {
    match answer.response {
        Response::Consumer(consumer) => Ok(consumer),
        other => Err(mismatch(&other)),
    }
}
