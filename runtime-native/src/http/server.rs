//! Accepting connections, and ending them.

use std::{sync::Arc, time::Duration};

use tokio::{
    net::TcpListener,
    sync::{OwnedSemaphorePermit, Semaphore, watch},
    task::{JoinError, JoinSet},
    time::{sleep, timeout},
};

use super::{
    config::HttpConfig,
    connection::{self, Accepted, Shared},
    dispatch::RequestIds,
    routes::routing,
    routing::Routing,
    starting,
    stats::HttpStats,
    tls::Tls,
};
use crate::broker::Broker;

/// How long no connection is accepted after accepting one has failed, as it does when no file handles are left.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(100);

/// How many connections beyond `max_connections` are told that they are too many; yet more are just closed.
const REFUSED_AT_ONCE: usize = 64;

/// Where clients come in.
#[derive(Debug)]
pub struct Listener {
    /// The socket.
    pub socket: TcpListener,
    /// What to encrypt its connections with; [`None`] if they are plain.
    pub tls: Option<Arc<Tls>>,
}

/// A server that accepts connections. Dropped, it cuts all of them at once.
///
/// Until it is opened it answers that it is starting. Of what comes later it serves every request.
#[derive(Debug)]
pub struct Server {
    config: Arc<HttpConfig>,
    shared: watch::Sender<Shared>,
    stop: watch::Sender<bool>,
    acceptors: JoinSet<()>,
}

impl Server {
    /// Begins to accept connections. To be called within a tokio runtime.
    pub fn start(config: HttpConfig, listeners: Vec<Listener>) -> Self {
        let config = Arc::new(config);
        let (stop, stopped) = watch::channel(false);
        let shared = Shared {
            routing: Routing::by_router(starting::router()),
            stats: Arc::new(HttpStats::new(&[])),
            ids: Arc::new(RequestIds::new()),
            stop: stopped,
            config: Arc::clone(&config),
        };
        let places = Places {
            served: Arc::new(Semaphore::new(config.max_connections)),
            refused: Arc::new(Semaphore::new(REFUSED_AT_ONCE)),
        };
        let (shared, phase) = watch::channel(shared);
        let mut acceptors = JoinSet::new();
        for listener in listeners {
            acceptors.spawn(accept(listener, phase.clone(), places.clone()));
        }
        Self { config, shared, stop, acceptors }
    }

    /// Serves the broker from now on.
    pub fn open(&self, broker: impl Into<Broker>) {
        let (routing, stats) = routing(Arc::clone(&self.config), broker.into());
        self.shared.send_modify(|shared| (shared.routing, shared.stats) = (routing, stats));
    }

    /// Accepts no connection any more, finishes requests under way, and closes connections that have none. A poll that
    /// waits is under way until the driver is told to drain. After [`HttpConfig::shutdown_grace`] what is left is cut.
    /// When this returns, no connection is left.
    pub async fn close(self) {
        let Self { config, stop, mut acceptors, .. } = self;
        stop.send_replace(true);
        let drained = timeout(config.shutdown_grace, async {
            while let Some(ended) = acceptors.join_next().await {
                report(ended);
            }
        });
        if drained.await.is_err() {
            tracing::warn!("some requests did not end in time; their connections are cut");
        }
        acceptors.shutdown().await;
    }
}

/// Room for connections.
#[derive(Clone)]
struct Places {
    served: Arc<Semaphore>,
    refused: Arc<Semaphore>,
}

impl Places {
    /// A place, and whether it is one to be refused at.
    fn take(&self) -> Option<(OwnedSemaphorePermit, bool)> {
        let take = |places: &Arc<Semaphore>| Arc::clone(places).try_acquire_owned().ok();
        take(&self.served).map(|place| (place, false)).or_else(|| take(&self.refused).map(|place| (place, true)))
    }
}

/// Accepts until told to stop, then waits for its connections to end. Dropped, it cuts them.
async fn accept(listener: Listener, phase: watch::Receiver<Shared>, places: Places) {
    let Listener { socket, tls } = listener;
    let mut connections = JoinSet::new();
    let mut stop = phase.borrow().stop.clone();
    loop {
        let accepted = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => break,
            Some(ended) = connections.join_next() => {
                report(ended);
                continue;
            }
            accepted = socket.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let Some((place, refused)) = places.take() else {
                    tracing::debug!(%peer, "a connection beyond all bounds was closed");
                    continue;
                };
                let shared = phase.borrow().clone();
                let accepted = Accepted { stream, peer, tls: tls.clone(), refused };
                connections.spawn(async move {
                    let _open = shared.stats.connection_opened(refused);
                    connection::serve(accepted, shared).await;
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::select! {
                    () = sleep(PAUSE_AFTER_ERROR) => (),
                    _ = stop.wait_for(|stop| *stop) => (),
                }
            }
        }
    }
    drop(socket);
    while let Some(ended) = connections.join_next().await {
        report(ended);
    }
}

fn report(ended: Result<(), JoinError>) {
    if let Err(error) = ended
        && error.is_panic()
    {
        tracing::error!(%error, "a connection's task panicked");
    }
}
