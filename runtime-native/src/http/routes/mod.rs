//! What is where.

mod backup;
mod batches;
mod batches_in;
mod consumers;
mod debug;
mod description;
mod groups;
mod health;
mod keys;
mod lines;
mod messages;
mod metrics;
pub(super) mod route;
mod stream;
mod topics;
mod upload;
mod upload_wishes;

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
    extract::{FromRequest, FromRequestParts as _, Request},
    http::{HeaderMap, Method, StatusCode, Uri, header},
    response::IntoResponse,
};
use prometheus_client::registry::Registry;
use rustc_hash::FxBuildHasher;
use takhin_core::{Offset, TopicConfig, TopicName};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{
    config::HttpConfig,
    delivery::{Receipt, TrackedBody},
    error::{ApiError, ApiResult},
    guard::{Caller, Guard, Guarded, Need, RouteNeeds},
    in_flight::InFlight,
    input::body::{Received, receive},
    kafka_rest,
    link::Link,
    long_work::{LONG_TO_READ_BYTES, LONG_TO_WRITE_BYTES, LongWork},
    openapi::{Document, operations as described},
    output::{JSON, now_ms, polled::age},
    page,
    room::Room,
    routing::Routing,
    stats::{HttpStats, RoomTaken},
    streams::Streams,
};
#[cfg(target_os = "linux")]
use crate::http::process;
use crate::{
    broker::Broker,
    keys::{Right, Scope},
};
pub(super) use route::{Route, Undescribed};

pub(super) use debug::{DEFAULT_STEPS, STEPS};
#[cfg(test)]
pub(super) use description::{document, left_out};
pub(super) use stream::{DEFAULT_HEARTBEAT_MS, HEARTBEAT_MS};
pub(super) use upload_wishes::{BATCH_BYTES, BATCH_LINES, COMPRESSIONS, LINE_FORMATS, LINGER_MS, MAX_SEPARATOR_BYTES};

/// What handlers share.
pub(super) struct App {
    pub(super) broker: Broker,
    guard: Guard,
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

/// What is asked under which path, what it needs, and what the description of the API says of it.
fn routes() -> Vec<Route> {
    let mut routes = Vec::new();
    routes.extend(consumer_routes());
    routes.extend(topic_routes());
    routes.extend(group_routes());
    routes.extend(key_routes());
    routes.extend(server_routes());
    routes
}

#[rustfmt::skip]
fn consumer_routes() -> [Route; 13] {
    use described::{consumers as said, polls};
    use Need::{Consumer, InBody};
    [
        Route::at("/api/consumers/subscribe").post(InBody, consumers::subscribe, said::subscribe),
        Route::at("/api/consumers/{id}")
            .get(Consumer, consumers::describe, said::describe)
            .delete(Consumer, consumers::close, said::close),
        Route::at("/api/consumers/{id}/consume").post(Consumer, consumers::consume, polls::consume),
        Route::at("/api/consumers/{id}/stream").get(Consumer, stream::stream, polls::stream),
        Route::at("/api/consumers/{id}/commit").post(Consumer, consumers::commit, polls::commit),
        Route::at("/api/consumers/{id}/seek").post(Consumer, consumers::seek, polls::seek),
        Route::at("/api/consumers/{id}/pause").post(Consumer, consumers::pause, said::pause),
        Route::at("/api/consumers/{id}/resume").post(Consumer, consumers::resume, said::resume),
        Route::at("/api/consumers/{id}/heartbeat").post(Consumer, consumers::heartbeat, said::heartbeat),
        Route::at("/api/consumers/{id}/position").get(Consumer, consumers::position, polls::position),
        Route::at("/api/consumers/{id}/committed").get(Consumer, consumers::committed, polls::committed),
        Route::at("/api/consumers/{id}/subscription")
            .get(Consumer, consumers::subscription, said::subscription)
            .put(Consumer, consumers::resubscribe, said::resubscribe),
        Route::at("/api/consumers/{id}/assignment")
            .get(Consumer, consumers::assignment, said::assignment)
            .put(Consumer, consumers::assign, said::assign),
    ]
}

#[rustfmt::skip]
fn topic_routes() -> [Route; 6] {
    use described::{records as said, topics as topic};
    use Need::{AnyKey, InBody, Topic};
    use Right::{Admin, Read, Write};
    [
        Route::at("/api/topics").get(AnyKey, topics::list, topic::list).post(InBody, topics::create, topic::create),
        Undescribed::at("/api/topics/").get(AnyKey, topics::list).post(InBody, topics::create).into(),
        Route::at("/api/topics/{topic}")
            .get(Topic(Read), topics::describe, topic::describe)
            .patch(Topic(Admin), topics::alter, topic::alter)
            .delete(Topic(Admin), topics::delete, topic::delete),
        Route::at("/api/topics/{topic}/produce").post(Topic(Write), messages::produce, said::produce),
        Route::at("/api/topics/{topic}/messages").get(Topic(Read), messages::read, said::read),
        Route::at("/api/topics/{topic}/partitions/{partition}/offsets").get(Topic(Read), messages::offsets, said::offsets),
    ]
}

#[rustfmt::skip]
fn group_routes() -> [Route; 3] {
    use described::groups as said;
    use Need::{AnyKey, Group};
    use Right::{Admin, Read};
    [
        Route::at("/api/consumer-groups").get(AnyKey, groups::list, said::list),
        Route::at("/api/consumer-groups/{group}")
            .get(Group(Read), groups::describe, said::describe)
            .delete(Group(Admin), groups::delete, said::delete),
        Route::at("/api/consumer-groups/{group}/offsets")
            .put(Group(Admin), groups::set_offsets, said::set_offsets)
            .delete(Group(Admin), groups::delete_offsets, said::delete_offsets),
    ]
}

fn key_routes() -> [Route; 2] {
    use described::keys as said;
    let need = Need::Cluster(Right::Admin);
    [
        Route::at("/api/keys").get(need, keys::list, said::list).post(need, keys::create, said::create),
        Route::at("/api/keys/{id}").delete(need, keys::revoke, said::revoke),
    ]
}

fn server_routes() -> Vec<Route> {
    use Need::{Cluster, NoKey, Nothing};
    use described::server as said;
    let described = [
        Route::at("/api/health").get(Nothing, health::health, said::health),
        Route::at("/api/health/ready").get(Nothing, health::ready, said::ready),
        Route::at("/api/health/live").get(Nothing, health::live, said::live),
        Route::at("/api/backup").get(Cluster(Right::Admin), backup::backup, said::backup),
        Route::at("/api/debug/trace").get(Cluster(Right::Read), debug::trace, said::trace),
        Route::at("/metrics").get(Cluster(Right::Read), metrics::metrics, said::metrics),
        Route::at("/openapi.json").get(NoKey, description::description, said::description),
    ];
    described.into_iter().chain(description::page()).collect()
}

/// What every route of a server that is set so needs, for every method that it can be asked with. HEAD needs what GET
/// does.
pub fn route_needs(config: &HttpConfig) -> Vec<RouteNeeds> {
    let ours = routes().into_iter().chain(page::routes(config.page_path() == "/")).flat_map(|route| route.needs_at(""));
    ours.chain(kafka_rest::needs(config.kafka_rest.as_ref())).collect()
}

/// All routes, and the counters for them.
pub(super) fn routing(config: Arc<HttpConfig>, broker: Broker) -> (Routing, Arc<HttpStats>) {
    let kafka_rest = config.kafka_rest.clone();
    let mut all: Vec<Route> = routes();
    let direct = all.iter_mut().map(Route::take_direct).collect();
    all.extend(page::routes(config.page_path() == "/"));
    let paths = all.iter().map(|route| route.path).chain(kafka_rest::paths(kafka_rest.as_ref()));
    let stats = HttpStats::new(&paths.collect::<Vec<_>>());
    let (bodies, answers) = (Room::new(config.max_bodies_bytes), Room::new(config.max_answers_bytes));
    let mut registry = Registry::default();
    #[cfg(target_os = "linux")]
    process::register(&mut registry);
    let ours = registry.sub_registry_with_prefix("takhin");
    broker.register(ours);
    stats.register(ours);
    ours.register_collector(Box::new(RoomTaken { bodies: bodies.clone(), answers: answers.clone() }));
    for observer in &*config.observers {
        observer.register(ours);
    }
    let app = Arc::new(App {
        broker,
        registry,
        bodies,
        answers,
        guard: Guard::new(&config),
        in_flight: InFlight::default(),
        streams: Streams::default(),
        long_work: LongWork::new(),
        config,
        description: OnceLock::new(),
        sticky: StickyPartitions([const { AtomicU32::new(0) }; 64]),
        backup: Arc::new(Semaphore::new(1)),
        creating: tokio::sync::Mutex::new(()),
    });
    let router = all.into_iter().fold(Router::new(), |router, route| router.route(route.path, route.methods));
    let router = kafka_rest::nest(router, kafka_rest);
    let no_route = Guarded { need: Need::AnyKey, handler: no_route };
    let wrong_method = Guarded { need: Need::AnyKey, handler: wrong_method };
    let router = router.fallback(no_route).method_not_allowed_fallback(wrong_method).with_state(Arc::clone(&app));
    (Routing::new(router, direct, &stats, app), Arc::new(stats))
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
        let (mut parts, body) = request.into_parts();
        let caller = Caller::from_request_parts(&mut parts, app).await?;
        app.receive(&caller, &parts.headers, body).await
    }
}

impl App {
    /// Takes in the body of somebody who may still send it once it is whole.
    async fn receive(&self, caller: &Caller, headers: &HeaderMap, body: Body) -> ApiResult<Received> {
        let received = receive(&self.config, &self.bodies, headers, body).await?;
        caller.is_still_known()?;
        Ok(received)
    }
}

impl App {
    pub(super) fn broker(&self) -> &Broker {
        &self.broker
    }

    pub(super) fn config(&self) -> &HttpConfig {
        &self.config
    }

    pub(super) fn guard(&self) -> &Guard {
        &self.guard
    }

    /// Creates those of these topics that are missing, if the server is set to do so; none of them, if whoever asks may
    /// not create all.
    async fn ensure_topics(&self, caller: &Caller, names: &[TopicName]) -> Result<(), ApiError> {
        if self.config.auto_create_partitions.is_some() {
            for name in names {
                if self.broker.topic(name).await?.is_none() {
                    caller.may(Scope::Topics, Right::Admin, name)?;
                }
            }
        }
        for name in names {
            self.ensure_topic(name).await?;
        }
        Ok(())
    }

    async fn ensure_topic(&self, name: &TopicName) -> Result<(), ApiError> {
        let Some(partitions) = self.config.auto_create_partitions else {
            return Ok(());
        };
        // One at a time: who comes second finds the topic there, and not on its way.
        let _turn = self.creating.lock().await;
        if self.broker.topic(name).await?.is_some() {
            return Ok(());
        }
        let create =
            takhin_core::Request::CreateTopic { name: name.clone(), partitions, config: TopicConfig::default() };
        match self.broker.ask(create).await {
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
        let timestamps = self.broker.timestamps(partitions.into_iter().map(unread).collect()).await;
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
