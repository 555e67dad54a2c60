//! `/api/consumers`.

use std::sync::Arc;

use axum::{Extension, extract::State, response::Response as HttpResponse};
use takhin_core::{
    ConsumerId, Parts, Refusal, Request, Response, SeekTo, TopicName, Topics,
    response::{CommittedPartition, ConsumerDescription, PartitionStatus},
};

use super::{App, mismatch};
use crate::{
    driver::Answer,
    http::{
        delivery::Receipt,
        dispatch::Asked,
        error::{ApiError, ApiResult},
        guard::Caller,
        input::{
            body::Received,
            consumers::{Assign, Commit, Consume, Nothing, Which},
            json::{object, object_or_nothing},
            media::{Accepted, Form},
            path::{ConsumerPath, NoQuery},
            seek::{Seek, Wanted},
            subscribe::{Resubscribe, Subscribe},
        },
        output::{
            consumers::{
                AssignmentView, Closed, CommitDone, ConsumerView, Heartbeat, Offsets, PausedPartitions, Sought,
                Subscription,
            },
            json, now_ms,
            polled::{consumed, consumed_bytes},
        },
    },
    keys::{Right, Scope},
};

pub(super) async fn subscribe(State(app): State<Arc<App>>, caller: Caller, _: NoQuery, body: Received) -> ApiResult {
    let wanted = app.read(&body, |json| object::<Subscribe>(json)?.check()).await?;
    caller.may(Scope::Groups, Right::Read, &wanted.group)?;
    caller.may_subscribe(&wanted.topics)?;
    let consumer = wanted.consumer.unwrap_or_else(|| app.broker.draw_consumer_id(&wanted.group));
    tracing::debug!(
        %consumer,
        group = &*wanted.group,
        client_id = wanted.options.client_id.as_deref().unwrap_or_default(),
        "subscribe"
    );
    let request = Request::Subscribe {
        consumer,
        group: wanted.group,
        topics: wanted.topics.clone(),
        options: wanted.options,
        allow_missing: wanted.allow_missing,
    };
    json(&ConsumerView::new(&app.ask_for_topics(&caller, &wanted.topics, request).await?))
}

/// Waits without the body, whose room others may have meanwhile.
pub(super) async fn consume(
    State(app): State<Arc<App>>,
    Extension(asked): Extension<Asked>,
    caller: Caller,
    ConsumerPath(id): ConsumerPath,
    _: NoQuery,
    Accepted(form): Accepted,
    body: Received,
) -> ApiResult {
    let poll = |json: &[u8]| object_or_nothing::<Consume>(json).and_then(|poll| Ok((poll.format(), poll.check(id)?)));
    let (format, poll) = app.read(&body, poll).await?;
    drop(body);
    match form {
        Form::Json => {}
        // In places of their own, so that no poll that waits has the room that these need.
        Form::Lines => return Box::pin(app.consume_in_lines(&caller, id, poll, format, asked)).await,
        Form::Batches => return Box::pin(app.consume_in_batches(&caller, id, poll, asked)).await,
    }
    let (answer, receipt) = app.poll(&caller, id, poll).await?;
    let Response::Consumed(found) = &answer.response else {
        return Err(mismatch(&answer.response));
    };
    let write = || consumed(found, answer.records.as_ref(), now_ms(), format.unwrap_or(found.format));
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
    let seek = match app.read(&body, |json| object::<Seek>(json)?.check(id)).await? {
        Wanted::Now(seek) => seek,
        Wanted::Time { timestamp_ms, partitions } => app.seek_to_time(id, timestamp_ms, partitions).await?,
    };
    let consumer = app.consumer(seek).await.map_err(ApiError::repeatable)?;
    json(&Sought::new(&consumer))
}

pub(super) async fn pause(
    State(app): State<Arc<App>>,
    ConsumerPath(id): ConsumerPath,
    _: NoQuery,
    body: Received,
) -> ApiResult {
    let partitions = app.read(&body, |json| object_or_nothing::<Which>(json)?.check()).await?;
    let consumer = app.consumer(Request::Pause { consumer: id, partitions }).await.map_err(ApiError::repeatable)?;
    json(&PausedPartitions::new(&consumer))
}

pub(super) async fn resume(
    State(app): State<Arc<App>>,
    ConsumerPath(id): ConsumerPath,
    _: NoQuery,
    body: Received,
) -> ApiResult {
    let partitions = app.read(&body, |json| object_or_nothing::<Which>(json)?.check()).await?;
    let consumer = app.consumer(Request::Resume { consumer: id, partitions }).await.map_err(ApiError::repeatable)?;
    json(&PausedPartitions::new(&consumer))
}

pub(super) async fn assign(
    State(app): State<Arc<App>>,
    caller: Caller,
    ConsumerPath(id): ConsumerPath,
    _: NoQuery,
    body: Received,
) -> ApiResult {
    let assign = app.read(&body, |json| object::<Assign>(json)?.check(id)).await?;
    if let Request::Assign { partitions, .. } = &assign {
        partitions.iter().try_for_each(|(topic, _)| caller.may(Scope::Topics, Right::Read, topic))?;
    }
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
    let consumer = app.describe(id).await?;
    let unread = |status: &PartitionStatus| (status.topic.clone(), status.partition, status.position, status.end);
    let ages = app.ages(consumer.partitions.iter().map(unread).collect()).await;
    json(&ConsumerView::new(&consumer).with_lag_ms(&consumer, &ages))
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

pub(super) async fn resubscribe(
    State(app): State<Arc<App>>,
    caller: Caller,
    ConsumerPath(id): ConsumerPath,
    _: NoQuery,
    body: Received,
) -> ApiResult {
    let (topics, allow_missing) = app.read(&body, |json| object::<Resubscribe>(json)?.check()).await?;
    caller.may_subscribe(&topics)?;
    let change = Request::ChangeSubscription { consumer: id, topics: topics.clone(), allow_missing };
    let consumer = app.ask_for_topics(&caller, &topics, change).await.map_err(ApiError::repeatable)?;
    json(&ConsumerView::new(&consumer))
}

pub(super) async fn close(State(app): State<Arc<App>>, ConsumerPath(id): ConsumerPath, _: NoQuery) -> ApiResult {
    json(&Closed::new(app.close(id).await?))
}

impl App {
    /// Asks for a subscription. A topic that is missing is made, if the server is set to do so, once nothing else is in
    /// the way.
    pub(in crate::http) async fn ask_for_topics(
        &self,
        caller: &Caller,
        topics: &Topics,
        request: Request,
    ) -> Result<ConsumerDescription, ApiError> {
        let mut answer = self.broker.ask(request.clone()).await;
        if self.config.auto_create_partitions.is_some()
            && let (Err(Refusal::TopicNotFound { .. }), Topics::Named(names)) = (&answer, topics)
        {
            self.ensure_topics(caller, names).await?;
            answer = self.broker.ask(request).await;
        }
        described(answer?)
    }

    /// Polls for whoever asks, and gives the answer with what stands for it until it got away.
    pub(in crate::http) async fn poll(
        &self,
        caller: &Caller,
        consumer: ConsumerId,
        poll: Request,
    ) -> ApiResult<(Answer, Receipt)> {
        self.settle_before(consumer, &poll).await;
        // In a place of its own: what holds it would have room for it several times.
        let answer = caller.while_known(Box::pin(self.broker.ask(poll))).await??;
        self.with_receipt(caller, consumer, answer)
    }

    /// The same for batches as they are stored.
    pub(super) async fn poll_stored(
        &self,
        caller: &Caller,
        consumer: ConsumerId,
        poll: Request,
    ) -> ApiResult<(Answer, Receipt)> {
        self.settle_before(consumer, &poll).await;
        let answer = caller.while_known(self.broker.ask_stored(poll)).await??;
        self.with_receipt(caller, consumer, answer)
    }

    /// A poll that doesn't say what arrived waits for what becomes of the answer before it.
    async fn settle_before(&self, consumer: ConsumerId, poll: &Request) {
        if let Request::Consume { after_batch: None, .. } = poll {
            self.in_flight.landed(consumer).await;
        }
    }

    fn with_receipt(&self, caller: &Caller, consumer: ConsumerId, answer: Answer) -> ApiResult<(Answer, Receipt)> {
        let receipt = Receipt::of_poll(self.broker.clone(), answer.request, consumer, &self.in_flight);
        if let Response::Consumed(found) = &answer.response {
            caller.may_have(found)?;
        }
        Ok((answer, receipt))
    }

    pub(in crate::http) async fn describe(&self, consumer: ConsumerId) -> Result<ConsumerDescription, ApiError> {
        self.consumer(Request::Describe { consumer }).await
    }

    /// Ends a consumer, and gives its id.
    pub(in crate::http) async fn close(&self, consumer: ConsumerId) -> ApiResult<ConsumerId> {
        match self.broker.ask(Request::Close { consumer }).await?.response {
            Response::Closed { consumer } => Ok(consumer),
            other => Err(mismatch(&other)),
        }
    }

    /// The seek to the first records that are not older: looked up before the consumer is moved, so that all of its
    /// partitions move or none.
    async fn seek_to_time(
        &self,
        consumer: ConsumerId,
        timestamp_ms: i64,
        partitions: Option<Vec<(TopicName, u32)>>,
    ) -> Result<Request, ApiError> {
        let described = self.describe(consumer).await?;
        let kept = described.partitions.iter().filter(|status| !status.revoking);
        let kept: Vec<_> = kept.map(|status| (status.topic.clone(), status.partition)).collect();
        if partitions.is_none() && kept.is_empty() {
            return Ok(Request::Describe { consumer });
        }
        let mut positions = Vec::new();
        for (topic, partition) in partitions.unwrap_or_else(|| kept.clone()) {
            if kept.iter().any(|(name, number)| (name, *number) == (&topic, partition)) {
                let offset = self.offset_at(&topic, partition, timestamp_ms).await?;
                positions.push(SeekTo { topic, partition, offset });
            } else {
                // Not to be looked up: the core says what is wrong with it.
                positions.push(SeekTo { topic, partition, offset: 0 });
            }
        }
        Ok(Request::Seek { consumer, positions })
    }

    /// Asks something that is answered with a consumer.
    pub(in crate::http) async fn consumer(&self, request: Request) -> Result<ConsumerDescription, ApiError> {
        described(self.broker.ask(request).await?)
    }

    /// Asks something that is answered with committed offsets, and that does the same when it is asked twice.
    pub(in crate::http) async fn offsets(&self, request: Request) -> Result<Parts<CommittedPartition>, ApiError> {
        match self.broker.ask(request).await.map_err(|refusal| ApiError::from(refusal).repeatable())?.response {
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
