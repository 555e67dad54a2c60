//! What is where.

mod backup;
mod batches;
mod batches_in;
mod consumers;
mod debug;
mod groups;
mod health;
mod lines;
mod messages;
mod metrics;
mod stream;
mod topics;
mod upload;

pub(super) use messages::Appended;

use std::{
    hash::BuildHasher,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use axum::{
    Router,
    body::Body,
    extract::{FromRequest, Request},
    http::{Method, StatusCode, Uri, header},
    response::IntoResponse,
    routing::{MethodRouter, get, post, put},
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
    output::{JSON, consumers::age, now_ms},
    room::Room,
    stats::{HttpStats, RoomTaken},
    streams::Streams,
};
use crate::driver::Driver;

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

/// What is asked under which path.
fn routes() -> Vec<(&'static str, MethodRouter<Arc<App>>)> {
    let topics = get(topics::list).post(topics::create);
    let topic = get(topics::describe).delete(topics::delete).patch(topics::alter);
    vec![
        ("/api/consumers/subscribe", post(consumers::subscribe)),
        ("/api/consumers/{id}", get(consumers::describe).delete(consumers::close)),
        ("/api/consumers/{id}/consume", post(consumers::consume)),
        ("/api/consumers/{id}/commit", post(consumers::commit)),
        ("/api/consumers/{id}/seek", post(consumers::seek)),
        ("/api/consumers/{id}/pause", post(consumers::pause)),
        ("/api/consumers/{id}/resume", post(consumers::resume)),
        ("/api/consumers/{id}/stream", get(stream::stream)),
        ("/api/consumers/{id}/heartbeat", post(consumers::heartbeat)),
        ("/api/consumers/{id}/position", get(consumers::position)),
        ("/api/consumers/{id}/committed", get(consumers::committed)),
        ("/api/consumers/{id}/subscription", get(consumers::subscription).put(consumers::resubscribe)),
        ("/api/consumers/{id}/assignment", get(consumers::assignment).put(consumers::assign)),
        ("/api/topics", topics.clone()),
        ("/api/topics/", topics),
        ("/api/topics/{topic}", topic),
        ("/api/topics/{topic}/produce", post(messages::produce)),
        ("/api/topics/{topic}/messages", get(messages::read)),
        ("/api/topics/{topic}/partitions/{partition}/offsets", get(messages::offsets)),
        ("/api/consumer-groups", get(groups::list)),
        ("/api/consumer-groups/{group}", get(groups::describe).delete(groups::delete)),
        ("/api/consumer-groups/{group}/offsets", put(groups::set_offsets).delete(groups::delete_offsets)),
        ("/api/health", get(health::health)),
        ("/api/health/ready", get(health::ready)),
        ("/api/health/live", get(health::live)),
        ("/api/backup", get(backup::backup)),
        ("/api/debug/trace", get(debug::trace)),
        ("/metrics", get(metrics::metrics)),
    ]
}

/// All routes, and the counters for them.
pub(super) fn router(config: Arc<HttpConfig>, driver: Driver) -> (Router, Arc<HttpStats>) {
    let all = routes();
    let kafka_rest = config.kafka_rest.clone();
    let paths = all.iter().map(|(path, _)| *path).chain(kafka_rest::paths(kafka_rest.as_ref()));
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
        sticky: StickyPartitions([const { AtomicU32::new(0) }; 64]),
        backup: Arc::new(Semaphore::new(1)),
        creating: tokio::sync::Mutex::new(()),
    };
    let router = all.into_iter().fold(Router::new(), |router, (path, methods)| router.route(path, methods));
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
