//! What is where.

mod backup;
mod batches;
mod batches_in;
mod consumers;
mod debug;
mod description;
mod groups;
mod health;
mod lines;
mod messages;
mod metrics;
mod route;
mod stream;
mod topics;
mod upload;

pub(super) use messages::Appended;

use std::{
    hash::BuildHasher,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU32, Ordering},
    },
};

use axum::{
    Router,
    body::Body,
    extract::{FromRequest, Request},
    http::{Method, StatusCode, Uri, header},
    response::IntoResponse,
    routing::get,
};
use prometheus_client::registry::Registry;
use rustc_hash::FxBuildHasher;
use takhin_core::{Offset, TopicConfig, TopicName};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{
    config::HttpConfig,
    delivery::{Receipt, TrackedBody},
    error::{ApiError, ApiResult},
    in_flight::InFlight,
    input::body::{Received, receive},
    kafka_rest,
    link::Link,
    long_work::{LONG_TO_READ_BYTES, LONG_TO_WRITE_BYTES, LongWork},
    openapi::{Document, operations as described},
    output::{JSON, consumers::age, now_ms},
    room::Room,
    stats::{HttpStats, RoomTaken},
    streams::Streams,
};
use crate::driver::Driver;
use route::Route;

pub(super) use debug::{DEFAULT_STEPS, STEPS};
#[cfg(test)]
pub(super) use description::{document, left_out};
pub(super) use stream::{DEFAULT_HEARTBEAT_MS, HEARTBEAT_MS};

/// What handlers share.
pub(super) struct App {
    pub(super) driver: Driver,
    registry: Registry,
    pub(super) config: Arc<HttpConfig>,
    bodies: Room,
    /// For answers with records that are not wholly with the operating system yet.
    answers: Room,
    in_flight: InFlight,
    streams: Streams,
    long_work: LongWork,
    sticky: StickyPartitions,
    /// Whose turn it is to take a backup.
    backup: Arc<Semaphore>,
    /// The description of the API, once it was asked for.
    description: OnceLock<Document>,
    /// Held while a missing topic is created.
    creating: tokio::sync::Mutex<()>,
}

/// Whose turn it is among a topic's partitions, to take a request's records that name none. Topics share the
/// counters, so a topic's turns may skip.
struct StickyPartitions([AtomicU32; 64]);

impl StickyPartitions {
    fn next(&self, topic: &TopicName, partitions: u32) -> u32 {
        let slot = FxBuildHasher.hash_one(&**topic) % self.0.len() as u64;
        let turn = self.0[usize::try_from(slot).unwrap_or_default()].fetch_add(1, Ordering::Relaxed);
        turn.checked_rem(partitions).unwrap_or(0)
    }
}

/// What is asked under which path, and what the description of the API says of it.
fn routes() -> Vec<Route> {
    let mut routes = Vec::new();
    routes.extend(consumer_routes());
    routes.extend(topic_routes());
    routes.extend(group_routes());
    routes.extend(server_routes());
    routes
}

fn consumer_routes() -> [Route; 13] {
    use described::{consumers as said, polls};
    [
        Route::at("/api/consumers/subscribe").post(consumers::subscribe, said::subscribe),
        Route::at("/api/consumers/{id}").get(consumers::describe, said::describe).delete(consumers::close, said::close),
        Route::at("/api/consumers/{id}/consume").post(consumers::consume, polls::consume),
        Route::at("/api/consumers/{id}/stream").get(stream::stream, polls::stream),
        Route::at("/api/consumers/{id}/commit").post(consumers::commit, polls::commit),
        Route::at("/api/consumers/{id}/seek").post(consumers::seek, polls::seek),
        Route::at("/api/consumers/{id}/pause").post(consumers::pause, said::pause),
        Route::at("/api/consumers/{id}/resume").post(consumers::resume, said::resume),
        Route::at("/api/consumers/{id}/heartbeat").post(consumers::heartbeat, said::heartbeat),
        Route::at("/api/consumers/{id}/position").get(consumers::position, polls::position),
        Route::at("/api/consumers/{id}/committed").get(consumers::committed, polls::committed),
        Route::at("/api/consumers/{id}/subscription")
            .get(consumers::subscription, said::subscription)
            .put(consumers::resubscribe, said::resubscribe),
        Route::at("/api/consumers/{id}/assignment")
            .get(consumers::assignment, said::assignment)
            .put(consumers::assign, said::assign),
    ]
}

fn topic_routes() -> [Route; 6] {
    use described::{records as said, topics as topic};
    [
        Route::at("/api/topics").get(topics::list, topic::list).post(topics::create, topic::create),
        Route::undescribed("/api/topics/", get(topics::list).post(topics::create)),
        Route::at("/api/topics/{topic}")
            .get(topics::describe, topic::describe)
            .patch(topics::alter, topic::alter)
            .delete(topics::delete, topic::delete),
        Route::at("/api/topics/{topic}/produce").post(messages::produce, said::produce),
        Route::at("/api/topics/{topic}/messages").get(messages::read, said::read),
        Route::at("/api/topics/{topic}/partitions/{partition}/offsets").get(messages::offsets, said::offsets),
    ]
}

fn group_routes() -> [Route; 3] {
    use described::groups as said;
    [
        Route::at("/api/consumer-groups").get(groups::list, said::list),
        Route::at("/api/consumer-groups/{group}")
            .get(groups::describe, said::describe)
            .delete(groups::delete, said::delete),
        Route::at("/api/consumer-groups/{group}/offsets")
            .put(groups::set_offsets, said::set_offsets)
            .delete(groups::delete_offsets, said::delete_offsets),
    ]
}

fn server_routes() -> Vec<Route> {
    use described::server as said;
    let described = [
        Route::at("/api/health").get(health::health, said::health),
        Route::at("/api/health/ready").get(health::ready, said::ready),
        Route::at("/api/health/live").get(health::live, said::live),
        Route::at("/api/backup").get(backup::backup, said::backup),
        Route::at("/api/debug/trace").get(debug::trace, said::trace),
        Route::at("/metrics").get(metrics::metrics, said::metrics),
        Route::at("/openapi.json").get(description::description, said::description),
    ];
    described.into_iter().chain(description::page()).collect()
}

/// All routes, and the counters for them.
pub(super) fn router(config: Arc<HttpConfig>, driver: Driver) -> (Router, Arc<HttpStats>) {
    let all = routes();
    let kafka_rest = config.kafka_rest.clone();
    let paths = all.iter().map(|route| route.path).chain(kafka_rest::paths(kafka_rest.as_ref()));
    let stats = HttpStats::new(&paths.collect::<Vec<_>>());
    let mut registry = Registry::with_prefix("takhin");
    driver.register(&mut registry);
    stats.register(&mut registry);
    let (bodies, answers) = (Room::new(config.max_bodies_bytes), Room::new(config.max_answers_bytes));
    registry.register_collector(Box::new(RoomTaken { bodies: bodies.clone(), answers: answers.clone() }));
    let app = App {
        driver,
        registry,
        bodies,
        answers,
        in_flight: InFlight::default(),
        streams: Streams::default(),
        long_work: LongWork::new(),
        config,
        description: OnceLock::new(),
        sticky: StickyPartitions([const { AtomicU32::new(0) }; 64]),
        backup: Arc::new(Semaphore::new(1)),
        creating: tokio::sync::Mutex::new(()),
    };
    let router = all.into_iter().fold(Router::new(), |router, route| router.route(route.path, route.methods));
    let router = kafka_rest::nest(router, kafka_rest);
    let router = router.fallback(no_route).method_not_allowed_fallback(wrong_method).with_state(Arc::new(app));
    (router, Arc::new(stats))
}

async fn no_route(method: Method, uri: Uri) -> ApiError {
    let message = format!("there is nothing at {}", uri.path());
    ApiError::new(StatusCode::NOT_FOUND, "route_not_found", message)
        .with("method", method.as_str())
        .with("path", uri.path())
}

async fn wrong_method(method: Method, uri: Uri) -> ApiError {
    let message = format!("{} can't be asked with {method}", uri.path());
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message)
        .with("method", method.as_str())
        .with("path", uri.path())
}

impl FromRequest<Arc<App>> for Received {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, ApiError> {
        let (parts, body) = request.into_parts();
        receive(&app.config, &app.bodies, &parts.headers, body).await
    }
}

impl App {
    /// Creates the topic if it is missing and the server is set to do so.
    async fn ensure_topic(&self, name: &TopicName) -> Result<(), ApiError> {
        let Some(partitions) = self.config.auto_create_partitions else {
            return Ok(());
        };
        // One at a time: who comes second finds the topic there, and not on its way.
        let _turn = self.creating.lock().await;
        if self.driver.topic(name).is_some() {
            return Ok(());
        }
        let create =
            takhin_core::Request::CreateTopic { name: name.clone(), partitions, config: TopicConfig::default() };
        match self.driver.ask(create).await {
            Ok(_) | Err(takhin_core::Refusal::TopicExists { .. }) => Ok(()),
            Err(refusal) => Err(refusal.into()),
        }
    }
}

impl App {
    /// Takes a body apart.
    pub(super) async fn read<T>(&self, body: &Received, parse: impl FnOnce(&[u8]) -> ApiResult<T>) -> ApiResult<T> {
        let long = body.bytes.len() >= LONG_TO_READ_BYTES;
        self.long_work.run(long, || parse(&body.bytes)).await
    }

    /// Writes an answer with records, of about so many bytes, once there is room for it. Without room the receipt is
    /// dropped, and what a poll was to bring goes back.
    pub(super) async fn write(
        &self,
        about_bytes: usize,
        receipt: Receipt,
        link: Arc<Link>,
        write: impl FnOnce() -> ApiResult<Vec<u8>>,
    ) -> ApiResult {
        let (bytes, room) = self.with_room(about_bytes, write).await?;
        let body = Body::new(TrackedBody::new(bytes.into(), receipt.keeping(room), link));
        Ok(([(header::CONTENT_TYPE, JSON)], body).into_response())
    }

    /// Writes about so many bytes, and gives them with the room that they take.
    async fn with_room(
        &self,
        about_bytes: usize,
        write: impl FnOnce() -> ApiResult<Vec<u8>>,
    ) -> ApiResult<(Vec<u8>, OwnedSemaphorePermit)> {
        let mut room = self.answers.take(about_bytes)?;
        let bytes = self.long_work.run(about_bytes >= LONG_TO_WRITE_BYTES, write).await?;
        self.answers.grow(&mut room, bytes.len())?;
        Ok((bytes, room))
    }

    /// How old the next record of each partition is: 0 where there is none, nothing where that can't be said.
    async fn ages(&self, partitions: Vec<(TopicName, u32, Option<Offset>, Offset)>) -> Vec<Option<u64>> {
        let unread = |(topic, partition, next, end): (TopicName, u32, Option<Offset>, Offset)| {
            next.filter(|next| *next < end).map(|next| (topic, partition, next))
        };
        let all_read: Vec<bool> =
            partitions.iter().map(|(_, _, next, end)| next.is_some_and(|it| it >= *end)).collect();
        let timestamps = self.driver.timestamps(partitions.into_iter().map(unread).collect()).await;
        let now = now_ms();
        let age = |(timestamp, all_read): (Option<i64>, bool)| {
            if all_read { Some(0) } else { timestamp.map(|timestamp| age(timestamp, now)) }
        };
        timestamps.into_iter().zip(all_read).map(age).collect()
    }
}

/// The core answered something that does not answer the request.
pub(super) fn mismatch(response: &takhin_core::Response) -> ApiError {
    ApiError::bug(format!("an answer that fits no such request: {response:?}"))
}
