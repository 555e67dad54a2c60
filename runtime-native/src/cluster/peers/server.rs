//! Answering other nodes.

use std::sync::Weak;

use axum::{
    Json, Router,
    body::Body,
    extract::{DefaultBodyLimit, Request as HttpRequest, State},
    http::StatusCode,
    middleware::{self, Next},
    response::{IntoResponse as _, Response as HttpResponse},
    routing::post,
};
use bytes::Bytes;
use futures_util::stream;
use subtle::ConstantTimeEq as _;
use takhin_core::{Applied, Refusal, Request};
use tokio::net::TcpListener;
use uuid::Uuid;

use super::{
    super::{
        Node,
        finding::{Reach, Search},
    },
    listener::{BoundedListener, MAX_CONNECTIONS},
    polls::Answered,
    wire::{Ask, HasArrived, OfConsumer, SECRET, encode, path},
};

/// The largest question: a request for 10,000 partitions by hand, with their names.
const MAX_QUESTION_BYTES: usize = 16 << 20;

type Peer = Weak<Node>;

/// Answers until the task is dropped.
pub(in crate::cluster) async fn serve(listener: TcpListener, node: Peer) {
    let router = Router::new()
        .route(path::ASK, post(ask))
        .route(path::FIND, post(find))
        .route(path::REACH, post(reach))
        .route(path::ARRIVED, post(arrived))
        .route(path::UNDELIVERED, post(undelivered))
        .route(path::HUNG_UP, post(hung_up))
        .layer(middleware::from_fn_with_state(node.clone(), check_secret))
        .layer(DefaultBodyLimit::max(MAX_QUESTION_BYTES))
        .with_state(node);
    if let Err(error) = axum::serve(BoundedListener::new(listener, MAX_CONNECTIONS), router).await {
        tracing::error!(%error, "other nodes are answered no longer");
    }
}

/// Lets in who knows the cluster's secret.
async fn check_secret(State(node): State<Peer>, request: HttpRequest, next: Next) -> HttpResponse {
    let cells = node.upgrade().and_then(|node| node.cells());
    let Some(cells) = cells else {
        return (StatusCode::SERVICE_UNAVAILABLE, "the node is stopping").into_response();
    };
    let given = request.headers().get(SECRET).map_or(&[] as &[u8], |given| given.as_bytes());
    if !bool::from(given.ct_eq(cells.secret().as_bytes())) {
        return (StatusCode::UNAUTHORIZED, "this is for nodes of the cluster").into_response();
    }
    drop(cells);
    next.run(request).await
}

async fn ask(State(node): State<Peer>, Json(ask): Json<Ask>) -> HttpResponse {
    let (form, token, cell) = (ask.form(), ask.token, ask.cell);
    let consumer = if let Request::Consume { consumer, .. } = &ask.request { Some(*consumer) } else { None };
    let answer = match node.upgrade() {
        Some(node) => {
            node.settle_before(cell, &ask.request, ask.asker.node, ask.before).await;
            let answer = node.ask_for(cell, ask.request, form).await;
            if let (Ok(answer), Some(consumer)) = (&answer, consumer) {
                if answer.records.is_some() {
                    node.polls.goes_to(consumer, answer.request, ask.asker);
                }
                if !node.polls.answered(token, Answered { cell, poll: answer.request, consumer }) {
                    node.undelivered_here(cell, answer.request, consumer);
                }
            }
            answer
        }
        None => Err(Refusal::GroupMoving { applied: Applied::Nothing }),
    };
    let (head, batches) = encode(answer);
    let pieces = [head, batches].into_iter().filter(|piece| !piece.is_empty()).map(Ok::<Bytes, std::io::Error>);
    Body::from_stream(stream::iter(pieces)).into_response()
}

async fn hung_up(State(node): State<Peer>, Json(token): Json<Uuid>) -> StatusCode {
    if let Some(node) = node.upgrade()
        && let Some(Answered { cell, poll, consumer }) = node.polls.hung_up(token)
    {
        node.undelivered_here(cell, poll, consumer);
    }
    StatusCode::OK
}

async fn find(State(node): State<Peer>, Json(asked): Json<OfConsumer>) -> Json<Search> {
    Json(node.upgrade().map(|node| node.search(asked.consumer)).unwrap_or_default())
}

async fn reach(State(node): State<Peer>, Json(asked): Json<OfConsumer>) -> Json<Result<Option<Reach>, Refusal>> {
    let reach = node.upgrade().zip(asked.cell).map(|(node, cell)| node.reach_here(cell, asked.consumer));
    Json(reach.unwrap_or(Err(Refusal::ShuttingDown)))
}

async fn arrived(State(node): State<Peer>, Json(asked): Json<HasArrived>) -> Json<bool> {
    let node = node.upgrade().filter(|node| node.peers.asker().node == asked.node);
    Json(match node {
        Some(node) => node.fates.has_arrived(asked.consumer, asked.poll).await,
        // The one that is meant has ended.
        None => false,
    })
}

async fn undelivered(State(node): State<Peer>, Json(told): Json<OfConsumer>) -> StatusCode {
    if let (Some(node), Some(cell), Some(poll)) = (node.upgrade(), told.cell, told.poll) {
        node.undelivered_here(cell, poll, told.consumer);
    }
    StatusCode::OK
}
