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
    routing::{MethodRouter, delete, get, post},
};

pub(super) use media::KAFKA_JSON;
pub use settings::{CommitStyle, KafkaRestConfig};

use self::{instances::Instances, media::Accepted};
use super::{error::ApiError, output::JSON, routes::App};

/// What the routes share beside the [`App`].
struct KafkaRest {
    config: KafkaRestConfig,
    instances: Instances,
}

/// What is asked under which path, beneath the place where all of it is mounted.
fn routes() -> [(&'static str, MethodRouter<Arc<App>>); 16] {
    let produce = get(metadata::topic).post(produce::to_topic);
    let produce_to_partition = get(metadata::partition).post(produce::to_partition);
    let subscription = get(subscription::get).post(subscription::set).delete(subscription::unsubscribe);
    let assignments = get(subscription::assignments).post(subscription::assign);
    [
        ("/", root()),
        ("/brokers", get(metadata::brokers)),
        ("/topics", get(metadata::topics)),
        ("/topics/{topic}", produce),
        ("/topics/{topic}/partitions", get(metadata::partitions)),
        ("/topics/{topic}/partitions/{partition}", produce_to_partition),
        ("/topics/{topic}/partitions/{partition}/offsets", get(metadata::offsets)),
        ("/consumers/{group}", post(lifecycle::create)),
        ("/consumers/{group}/instances/{instance}", delete(lifecycle::delete)),
        ("/consumers/{group}/instances/{instance}/subscription", subscription),
        ("/consumers/{group}/instances/{instance}/assignments", assignments),
        ("/consumers/{group}/instances/{instance}/records", get(records::records)),
        ("/consumers/{group}/instances/{instance}/offsets", get(offsets::committed).post(offsets::commit)),
        ("/consumers/{group}/instances/{instance}/positions", post(offsets::seek)),
        ("/consumers/{group}/instances/{instance}/positions/beginning", post(offsets::seek_to_beginning)),
        ("/consumers/{group}/instances/{instance}/positions/end", post(offsets::seek_to_end)),
    ]
}

/// What the root answers, with and without a slash at its end.
fn root() -> MethodRouter<Arc<App>> {
    get(metadata::root).post(metadata::root)
}

/// The paths of all routes, as they are counted. They live as long as the program: a server is set up once.
pub(super) fn paths(config: Option<&KafkaRestConfig>) -> Vec<&'static str> {
    let Some(config) = config else { return Vec::new() };
    let whole = |(path, _)| match (config.prefix(), path) {
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
    let inner = routes().into_iter().fold(Router::new(), |inner, (path, methods)| inner.route(path, methods));
    let inner = inner.method_not_allowed_fallback(wrong_method);
    let dressed =
        |inner: Router<Arc<App>>| inner.layer(middleware::from_fn(dress)).layer(Extension(Arc::clone(&shared)));
    if prefix.is_empty() {
        return router.merge(dressed(inner));
    }
    let root = Router::new().route(&format!("{prefix}/"), root()).method_not_allowed_fallback(wrong_method);
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
        let mut refused = errors::translated(error).into_response();
        refused.headers_mut().extend(allow.map(|allow| (header::ALLOW, allow)));
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
