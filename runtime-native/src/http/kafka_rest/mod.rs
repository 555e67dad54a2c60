//! The v2 API of Kafka's REST proxies, for clients that exist: another wording of what `/api` does.
//!
//! ```text
//!   mod       which path is what; the shape that all answers share
//!   media     vendor media types: what a body is, what an answer may be
//!   errors    our errors under their numbers
//!   instances which of our consumers an instance's name stands for
//!   lifecycle, subscription, records, offsets, produce, metadata: the routes, by subject
//! ```
//!
//! Nothing is decided here. Each route is taken apart, asked through the same functions as its native counterpart, and
//! the answer is put in v2's words. What an instance is and remembers is all in its consumer, so instances outlive a
//! restart as consumers do.

mod errors;
mod instances;
mod lifecycle;
mod media;
mod metadata;
mod offsets;
mod partitions;
mod produce;
mod records;
mod settings;
mod subscription;

use std::sync::Arc;

use axum::{
    Extension, Router,
    extract::{OriginalUri, Request},
    http::{HeaderValue, Method, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
};

pub(super) use media::KAFKA_JSON;
pub use settings::{CommitStyle, KafkaRestConfig};

use self::{
    instances::{Instance, InstanceName, Instances},
    media::Accepted,
};
use super::{
    error::{ApiError, ApiResult},
    guard::{Caller, Guarded, KeyUsed, Need, RouteNeeds},
    output::JSON,
    routes::{
        App,
        route::{Route, Undescribed},
    },
};
use crate::keys::Right;

/// What the routes share beside the [`App`].
struct KafkaRest {
    config: KafkaRestConfig,
    instances: Instances,
}

/// What is asked under which path, beneath the place where all of it is mounted, and what it needs. An instance needs what
/// its consumer does: its group here, and its topics where it is found ([`KafkaRest::find`]).
#[rustfmt::skip]
fn routes() -> Vec<Route> {
    use Need::{AnyKey, Group, Topic};
    use Right::{Read, Write};
    let routes = [
        root("/"),
        Undescribed::at("/brokers").get(AnyKey, metadata::brokers),
        Undescribed::at("/topics").get(AnyKey, metadata::topics),
        Undescribed::at("/topics/{topic}").get(Topic(Read), metadata::topic).post(Topic(Write), produce::to_topic),
        Undescribed::at("/topics/{topic}/partitions").get(Topic(Read), metadata::partitions),
        Undescribed::at("/topics/{topic}/partitions/{partition}").get(Topic(Read), metadata::partition).post(Topic(Write), produce::to_partition),
        Undescribed::at("/topics/{topic}/partitions/{partition}/offsets").get(Topic(Read), metadata::offsets),
        Undescribed::at("/consumers/{group}").post(Group(Read), lifecycle::create),
        Undescribed::at("/consumers/{group}/instances/{instance}").delete(Group(Read), lifecycle::delete),
        Undescribed::at("/consumers/{group}/instances/{instance}/subscription").get(Group(Read), subscription::get).post(Group(Read), subscription::set).delete(Group(Read), subscription::unsubscribe),
        Undescribed::at("/consumers/{group}/instances/{instance}/assignments").get(Group(Read), subscription::assignments).post(Group(Read), subscription::assign),
        Undescribed::at("/consumers/{group}/instances/{instance}/records").get(Group(Read), records::records),
        Undescribed::at("/consumers/{group}/instances/{instance}/offsets").get(Group(Read), offsets::committed).post(Group(Read), offsets::commit),
        Undescribed::at("/consumers/{group}/instances/{instance}/positions").post(Group(Read), offsets::seek),
        Undescribed::at("/consumers/{group}/instances/{instance}/positions/beginning").post(Group(Read), offsets::seek_to_beginning),
        Undescribed::at("/consumers/{group}/instances/{instance}/positions/end").post(Group(Read), offsets::seek_to_end),
    ];
    routes.into_iter().map(Route::from).collect()
}

/// What the root answers, with and without a slash at its end.
fn root(path: &'static str) -> Undescribed {
    Undescribed::at(path).get(Need::AnyKey, metadata::root).post(Need::AnyKey, metadata::root)
}

/// What every route needs, where the configuration mounts it.
pub(super) fn needs(config: Option<&KafkaRestConfig>) -> Vec<RouteNeeds> {
    let Some(config) = config else { return Vec::new() };
    routes().iter().flat_map(|route| route.needs_at(config.prefix())).collect()
}

impl KafkaRest {
    /// The instance of that name, for who may read all that it can reach.
    async fn find(&self, app: &App, caller: &Caller, name: &InstanceName) -> ApiResult<Instance> {
        let instance = self.instances.find(app, name).await?;
        caller.may_use(app, instance.consumer).await?;
        Ok(instance)
    }
}

/// The paths of all routes, as they are counted. They live as long as the program: a server is set up once.
pub(super) fn paths(config: Option<&KafkaRestConfig>) -> Vec<&'static str> {
    let Some(config) = config else { return Vec::new() };
    let whole = |route: Route| match (config.prefix(), route.path) {
        ("", path) => path,
        (prefix, "/") => prefix.to_owned().leak(),
        (prefix, path) => format!("{prefix}{path}").leak() as &'static str,
    };
    routes().into_iter().map(whole).collect()
}

/// Adds all routes where the configuration says.
pub(super) fn nest(router: Router<Arc<App>>, config: Option<KafkaRestConfig>) -> Router<Arc<App>> {
    let Some(config) = config else { return router };
    let prefix = config.prefix().to_owned();
    let shared = Arc::new(KafkaRest { config, instances: Instances::default() });
    let inner = routes().into_iter().fold(Router::new(), |inner, route| inner.route(route.path, route.methods));
    let wrong_method = Guarded { need: Need::AnyKey, handler: wrong_method };
    let no_route = Guarded { need: Need::AnyKey, handler: no_route };
    let inner = inner.method_not_allowed_fallback(wrong_method.clone());
    let dressed =
        |inner: Router<Arc<App>>| inner.layer(middleware::from_fn(dress)).layer(Extension(Arc::clone(&shared)));
    if prefix.is_empty() {
        return router.merge(dressed(inner));
    }
    let root = Router::new()
        .route(&format!("{prefix}/"), Route::from(root("/")).methods)
        .method_not_allowed_fallback(wrong_method);
    router.merge(dressed(root)).nest(&prefix, dressed(inner.fallback(no_route)))
}

/// Refuses what no answer would please, and gives every answer its media type and every error its number.
async fn dress(mut request: Request, next: Next) -> Response {
    let accepted = match Accepted::of(request.headers()) {
        Ok(accepted) => accepted,
        Err(error) => return errors::translated(error).into_response(),
    };
    request.extensions_mut().insert(accepted);
    let mut response = next.run(request).await;
    if let Some(error) = response.extensions_mut().remove::<ApiError>() {
        let allow = response.headers().get(header::ALLOW).cloned();
        let key = response.extensions_mut().remove::<KeyUsed>();
        let mut refused = errors::translated(error).into_response();
        refused.headers_mut().extend(allow.map(|allow| (header::ALLOW, allow)));
        if let Some(key) = key {
            refused.extensions_mut().insert(key);
        }
        return refused;
    }
    if response.headers().get(header::CONTENT_TYPE) == Some(&JSON) {
        response.headers_mut().insert(header::CONTENT_TYPE, accepted.content_type());
    }
    response
}

/// 204 without a body, as most changes are answered.
fn no_content() -> Response {
    StatusCode::NO_CONTENT.into_response()
}

/// An answer in JSON of this media type.
fn with_type(mut response: Response, content_type: HeaderValue) -> Response {
    response.headers_mut().insert(header::CONTENT_TYPE, content_type);
    response
}

async fn no_route(method: Method, OriginalUri(uri): OriginalUri) -> ApiError {
    let message = format!("there is nothing at {} for {method}", uri.path());
    ApiError::new(StatusCode::NOT_FOUND, "route_not_found", message)
}

async fn wrong_method(method: Method, OriginalUri(uri): OriginalUri) -> ApiError {
    let message = format!("{} can't be asked with {method}", uri.path());
    ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", message)
}
