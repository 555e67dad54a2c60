//! What is where.

mod consumers;
mod groups;
mod health;
mod messages;
mod topics;

use std::{
    hash::BuildHasher,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use axum::{
    Router,
    extract::{FromRequest, Request},
    http::{Method, StatusCode, Uri},
    routing::{get, post, put},
};
use rustc_hash::FxBuildHasher;
use takhin_core::{Offset, TopicName};

use super::{
    config::HttpConfig,
    error::ApiError,
    input::body::{Received, receive},
    output::{consumers::age, now_ms},
    room::Room,
};
use crate::driver::Driver;

/// What handlers share.
pub(super) struct App {
    driver: Driver,
    config: Arc<HttpConfig>,
    bodies: Room,
    /// For polls' answers that are not wholly with the operating system yet.
    answers: Room,
    sticky: StickyPartitions,
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

/// All routes.
pub(super) fn router(config: Arc<HttpConfig>, driver: Driver) -> Router {
    let app = App {
        driver,
        bodies: Room::new(config.max_bodies_bytes),
        answers: Room::new(config.max_answers_bytes),
        config,
        sticky: StickyPartitions([const { AtomicU32::new(0) }; 64]),
        creating: tokio::sync::Mutex::new(()),
    };
    let topics = get(topics::list).post(topics::create);
    let topic = get(topics::describe).delete(topics::delete).patch(topics::grow);
    Router::new()
        .route("/api/consumers/subscribe", post(consumers::subscribe))
        .route("/api/consumers/{id}", get(consumers::describe).delete(consumers::close))
        .route("/api/consumers/{id}/consume", post(consumers::consume))
        .route("/api/consumers/{id}/commit", post(consumers::commit))
        .route("/api/consumers/{id}/seek", post(consumers::seek))
        .route("/api/consumers/{id}/pause", post(consumers::pause))
        .route("/api/consumers/{id}/resume", post(consumers::resume))
        .route("/api/consumers/{id}/heartbeat", post(consumers::heartbeat))
        .route("/api/consumers/{id}/position", get(consumers::position))
        .route("/api/consumers/{id}/committed", get(consumers::committed))
        .route("/api/consumers/{id}/subscription", get(consumers::subscription).put(consumers::resubscribe))
        .route("/api/consumers/{id}/assignment", get(consumers::assignment).put(consumers::assign))
        .route("/api/topics", topics.clone())
        .route("/api/topics/", topics)
        .route("/api/topics/{topic}", topic)
        .route("/api/topics/{topic}/produce", post(messages::produce))
        .route("/api/topics/{topic}/messages", get(messages::read))
        .route("/api/topics/{topic}/partitions/{partition}/offsets", get(messages::offsets))
        .route("/api/consumer-groups", get(groups::list))
        .route("/api/consumer-groups/{group}", get(groups::describe).delete(groups::delete))
        .route("/api/consumer-groups/{group}/offsets", put(groups::set_offsets).delete(groups::delete_offsets))
        .route("/api/health", get(health::health))
        .route("/api/health/ready", get(health::ready))
        .route("/api/health/live", get(health::live))
        .fallback(no_route)
        .method_not_allowed_fallback(wrong_method)
        .with_state(Arc::new(app))
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
        let create = takhin_core::Request::CreateTopic { name: name.clone(), partitions };
        match self.driver.ask(create).await {
            Ok(_) | Err(takhin_core::Refusal::TopicExists { .. }) => Ok(()),
            Err(refusal) => Err(refusal.into()),
        }
    }
}

impl App {
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
fn mismatch(response: &takhin_core::Response) -> ApiError {
    ApiError::bug(format!("an answer that fits no such request: {response:?}"))
}
