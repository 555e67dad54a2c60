//! One client's connection, from its acceptance to its end.
//!
//! It ends when the client leaves, when hyper has nothing more to do after the server was told to stop, when
//! the [`Link`]'s deadline passes, or when its future is dropped. Whatever was under way then is dropped with it:
//! a handler that waits (the client hung up), an answer that was not written (its receipt says so).

use std::{
    net::{IpAddr, SocketAddr},
    pin::pin,
    sync::Arc,
    task::Poll,
};

use hyper::server::conn::http1;
use tokio::{
    net::TcpStream,
    sync::watch,
    time::{Instant, sleep_until},
};

use super::{
    config::HttpConfig,
    dispatch::{Dispatch, RequestIds},
    handshake::shake_hands,
    link::Link,
    routing::Routing,
    socket::Socket,
    stats::HttpStats,
    tls::Tls,
    wire::{Transport, Wire},
};

/// What connections share.
#[derive(Clone, Debug)]
pub(super) struct Shared {
    pub(super) config: Arc<HttpConfig>,
    pub(super) routing: Routing,
    pub(super) ids: Arc<RequestIds>,
    pub(super) stats: Arc<HttpStats>,
    /// Becomes true once.
    pub(super) stop: watch::Receiver<bool>,
}

/// A connection that was accepted.
pub(super) struct Accepted {
    pub(super) stream: TcpStream,
    pub(super) peer: SocketAddr,
    /// What to encrypt it with, if it is to be.
    pub(super) tls: Option<Arc<Tls>>,
    /// Whether every request is to be answered 503.
    pub(super) refused: bool,
}

/// Serves one client.
pub(super) async fn serve(accepted: Accepted, shared: Shared) {
    let Accepted { stream, peer, tls, refused } = accepted;
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "TCP_NODELAY could not be set");
    }
    let link = Arc::new(Link::new(&shared.config, refused, tls.is_some()));
    match tls {
        None => speak(Wire::new(stream, Arc::clone(&link)), link, peer.ip(), shared).await,
        // In a place of its own: what it needs is several times as much, and no plain connection is to have it.
        Some(tls) => Box::pin(speak_encrypted(stream, &tls, link, peer, shared)).await,
    }
}

async fn speak_encrypted(stream: TcpStream, tls: &Tls, link: Arc<Link>, peer: SocketAddr, shared: Shared) {
    let wire = |stream| Wire::new(stream, Arc::clone(&link));
    let request_id = || shared.ids.draw().to_str().unwrap_or_default().to_owned();
    let mut stop = shared.stop.clone();
    let shaken = tokio::select! {
        _ = stop.wait_for(|stop| *stop) => return,
        shaken = shake_hands(tls, stream, shared.config.tls_handshake_timeout, wire, request_id) => shaken,
    };
    match shaken {
        Ok(stream) => {
            link.connected();
            speak(stream, link, peer.ip(), shared).await;
        }
        Err(error) => {
            shared.stats.handshake_failed();
            tracing::debug!(%peer, %error, "a connection could not be encrypted");
        }
    }
}

async fn speak(stream: impl Transport, link: Arc<Link>, peer: IpAddr, shared: Shared) {
    let Shared { config, routing, ids, stats, mut stop } = shared;
    let socket = Socket::new(stream, Arc::clone(&link), Arc::clone(&config), Arc::clone(&ids));
    let dispatch = Dispatch::new(routing, ids, stats, Arc::clone(&config), Arc::clone(&link), peer);
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
