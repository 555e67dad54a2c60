//! What a running server takes up anew: at SIGHUP, and what may change by itself, now and then.

use std::{sync::Arc, time::Duration};

use takhin::http::{AccessLog, Tls};
use tokio::{
    signal::unix::Signal,
    time::{MissedTickBehavior, interval},
};

/// What can be taken up anew.
pub(super) struct Reload {
    pub(super) tls: Option<Arc<Tls>>,
    pub(super) access_log: Option<Arc<AccessLog>>,
    /// How often to look at what may change by itself.
    pub(super) look_every: Duration,
}

impl Reload {
    /// Goes on for as long as the server does.
    pub(super) async fn run(self, mut hangup: Signal) {
        let mut ticks = interval(self.look_every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                _ = hangup.recv() => {
                    tracing::info!(signal = "SIGHUP", "looking at files that may have changed");
                    if let Some(access_log) = &self.access_log {
                        access_log.reopen();
                    }
                }
            }
            if let Some(tls) = &self.tls {
                reload(Arc::clone(tls)).await;
            }
        }
    }
}

async fn reload(tls: Arc<Tls>) {
    let reloaded = tokio::task::spawn_blocking(move || tls.reload()).await;
    match reloaded {
        Ok(Ok(true)) => tracing::info!("TLS: new files hold for connections from now on"),
        Ok(Ok(false)) => {}
        Ok(Err(error)) => tracing::error!(%error, "TLS: new files can't be used, the ones before hold on"),
        Err(error) => tracing::error!(%error, "TLS: looking at the files failed"),
    }
}
