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
    connection::{self, Shared},
    dispatch::RequestIds,
    routes::router,
};
use crate::driver::Driver;

/// How long no connection is accepted after accepting one has failed, as it does when no file handles are left.
const PAUSE_AFTER_ERROR: Duration = Duration::from_millis(100);

/// How many connections beyond `max_connections` are told that they are too many; yet more are just closed.
const REFUSED_AT_ONCE: usize = 64;

/// Serves clients of all listeners until `shutdown` ends.
///
/// Then no connection is accepted any more, requests under way are finished, and connections that have none are
/// closed. A poll that waits is under way until the driver is told to drain. After
/// [`HttpConfig::shutdown_grace`] what is left is cut. When this returns, no connection is left; when
/// its future is dropped, all are cut at once.
pub async fn serve(
    config: HttpConfig,
    listeners: Vec<TcpListener>,
    driver: Driver,
    shutdown: impl Future<Output = ()>,
) {
    let config = Arc::new(config);
    let (stop, stopped) = watch::channel(false);
    let (router, stats) = router(Arc::clone(&config), driver);
    let shared = Shared { router, stats, ids: Arc::new(RequestIds::new()), stop: stopped, config: Arc::clone(&config) };
    let places = Places {
        served: Arc::new(Semaphore::new(config.max_connections)),
        refused: Arc::new(Semaphore::new(REFUSED_AT_ONCE)),
    };
    let mut acceptors = JoinSet::new();
    for listener in listeners {
        acceptors.spawn(accept(listener, shared.clone(), places.clone()));
    }
    shutdown.await;
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
async fn accept(listener: TcpListener, shared: Shared, places: Places) {
    let mut connections = JoinSet::new();
    let mut stop = shared.stop.clone();
    loop {
        let accepted = tokio::select! {
            biased;
            _ = stop.wait_for(|stop| *stop) => break,
            Some(ended) = connections.join_next() => {
                report(ended);
                continue;
            }
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => {
                let Some((place, refused)) = places.take() else {
                    tracing::debug!(%peer, "a connection beyond all bounds was closed");
                    continue;
                };
                let shared = shared.clone();
                connections.spawn(async move {
                    let _open = shared.stats.connection_opened();
                    connection::serve(stream, peer.ip(), shared, refused).await;
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
    drop(listener);
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
