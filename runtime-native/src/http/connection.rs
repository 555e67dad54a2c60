//! One client's connection, from its acceptance to its end.
//!
//! It ends when the client leaves, when hyper has nothing more to do after the server was told to stop, when
//! the [`Link`]'s deadline passes, or when its future is dropped. Whatever was under way then is dropped with it:
//! a handler that waits (the client hung up), an answer that was not written (its receipt says so).

use std::{net::IpAddr, pin::pin, sync::Arc, task::Poll};

use axum::Router;
use hyper::server::conn::http1;
use tokio::{
    net::TcpStream,
    sync::watch,
    time::{Instant, sleep_until},
};

use super::{
    config::HttpConfig,
    dispatch::{Dispatch, RequestIds},
    link::Link,
    socket::Socket,
    stats::HttpStats,
};

/// What connections share.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) config: Arc<HttpConfig>,
    pub(super) router: Router,
    pub(super) ids: Arc<RequestIds>,
    pub(super) stats: Arc<HttpStats>,
    /// Becomes true once.
    pub(super) stop: watch::Receiver<bool>,
}

/// Serves one client. With `refused` every request is answered 503.
pub(super) async fn serve(stream: TcpStream, peer: IpAddr, shared: Shared, refused: bool) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY could not be set");
    }
    let Shared { config, router, ids, stats, mut stop } = shared;
    let link = Arc::new(Link::new(&config, refused));
    let socket = Socket::new(stream, Arc::clone(&link), Arc::clone(&config), Arc::clone(&ids));
    let dispatch = Dispatch::new(router, ids, stats, Arc::clone(&link), peer);
    let mut connection = pin!(builder(&config).serve_connection(socket, dispatch));
    let mut stop = pin!(stop.wait_for(|stop| *stop));
    let mut alarm = pin!(sleep_until(Instant::now() + config.header_timeout));
    let mut stopping = false;

    std::future::poll_fn(|cx| {
        if !stopping && stop.as_mut().poll(cx).is_ready() {
            stopping = true;
            if link.is_fresh() {
                return Poll::Ready(());
            }
            connection.as_mut().graceful_shutdown();
        }
        if let Poll::Ready(result) = connection.as_mut().poll(cx) {
            if let Err(error) = result {
                tracing::debug!(%error, "a connection broke");
            }
            return Poll::Ready(());
        }
        // The alarm is set anew only to ring earlier; when it rings too early it is set to what holds by then. So
        // a request costs no timer.
        while let Some(deadline) = link.deadline() {
            if deadline < alarm.deadline() {
                alarm.as_mut().reset(deadline);
            }
            if alarm.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            if deadline <= Instant::now() {
                tracing::debug!("a connection was given up: its client is too slow, or idle for too long");
                return Poll::Ready(());
            }
            alarm.as_mut().reset(deadline);
        }
        Poll::Pending
    })
    .await;
}

fn builder(config: &HttpConfig) -> http1::Builder {
    /// hyper's own least.
    const MIN_BUFFER_BYTES: usize = 8 << 10;
    let mut builder = http1::Builder::new();
    builder
        .header_read_timeout(None)
        .max_headers(config.max_headers)
        .max_header_size(config.max_header_bytes)
        .max_buf_size(config.max_header_bytes.max(MIN_BUFFER_BYTES));
    builder
}
