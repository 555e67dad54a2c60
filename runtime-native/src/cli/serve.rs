//! `takhin serve`.

use std::{
    io,
    io::{IsTerminal as _, Write as _},
    sync::Arc,
    time::Instant,
};

use clap::Args;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use takhin::{
    driver::{Driver, DriverConfig, Started},
    http::{HttpConfig, Listener, Observer, Server},
};
use tokio::{
    runtime,
    signal::unix::{SignalKind, signal},
};

use super::{
    banner::Banner,
    config::in_order,
    listen::{Listening, listen},
    reload::Reload,
    settings::{ConfigFile, LogFormat, Observing, Settings},
};

/// File handles that are neither connections nor segments.
const OTHER_FILES: u64 = 256;

/// Fewer connections than this are worth a warning.
const FEW_CONNECTIONS: usize = 10_000;

#[derive(Debug, Args)]
pub(super) struct Serve {
    #[command(flatten)]
    _file: ConfigFile,
    #[command(flatten)]
    settings: Settings,
}

impl Serve {
    pub(super) fn run(self) -> Result<(), String> {
        in_order(&self.settings)?;
        start_log(&self.settings.observing);
        let mut runtime = runtime::Builder::new_multi_thread();
        if self.settings.limits.worker_threads > 0 {
            runtime.worker_threads(self.settings.limits.worker_threads);
        }
        runtime.enable_all().build().map_err(|error| error.to_string())?.block_on(self.serve())
    }

    async fn serve(self) -> Result<(), String> {
        let began = Instant::now();
        let mut terminate = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| error.to_string())?;
        let hangup = signal(SignalKind::hangup()).map_err(|error| error.to_string())?;

        let Settings { listening, storage, broker, kafka_rest, limits, observing } = &self.settings;
        let files = raise_file_limit();
        let engine = storage.config(files);
        let durability = engine.durability;
        let access_log = observing.access_log()?;
        #[allow(unused_mut)] // Without traces there is one at most.
        let mut observers: Vec<Arc<dyn Observer>> =
            access_log.iter().map(|log| Arc::clone(log) as Arc<dyn Observer>).collect();
        #[cfg(feature = "otel")]
        let traces = observing.traces()?;
        #[cfg(feature = "otel")]
        observers.extend(traces.iter().map(|traces| Arc::clone(traces) as Arc<dyn Observer>));
        let http = HttpConfig {
            auto_create_partitions: broker.auto_create_partitions(),
            kafka_rest: kafka_rest.config(),
            max_connections: connections(files, engine.open_files, limits.max_connections),
            tls_handshake_timeout: listening.tls_handshake_timeout(),
            cors: listening.cors(),
            trusted_proxies: listening.trusted_proxies(),
            observers: observers.into(),
            ..limits.config()
        };
        let config = DriverConfig { core: broker.config(), engine, trace: observing.trace() };
        let tls = listening.tls()?;
        let listeners = listen(&listening.listen)?;
        let addresses: Vec<_> =
            listeners.iter().filter_map(|it| it.socket.local_addr().ok().map(|address| (it.tls, address))).collect();
        let listeners = listeners.into_iter().map(|Listening { socket, tls: encrypted }| {
            let tls = tls.clone().filter(|_| encrypted);
            Listener { socket, tls }
        });
        let server = Server::start(http, listeners.collect());
        let opened = tokio::task::block_in_place(|| Driver::start(config));
        let Started { driver, report } = opened.map_err(|error| error.to_string())?;
        let reload = Reload { tls, access_log: access_log.clone(), look_every: listening.tls_check_interval() };
        tokio::spawn(reload.run(hangup));

        let banner = Banner {
            addresses: &addresses,
            data_dir: &storage.data_dir,
            durability,
            report: &report,
            health: &driver.health(),
            took: began.elapsed(),
        };
        server.open(driver.clone());
        // Whether anybody reads the banner is no reason to serve or not to.
        let _ = writeln!(io::stdout(), "{}", banner.text());

        let signal = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        tracing::info!(signal, "stopping: no new connections, parked polls end, writes are finished");
        driver.drain();
        server.close().await;
        tokio::task::block_in_place(|| {
            if let Some(access_log) = access_log {
                access_log.flush();
            }
            #[cfg(feature = "otel")]
            if let Some(traces) = traces {
                traces.stop();
            }
            driver.stop()
        })?;
        tracing::info!("stopped; everything is on disk");
        Ok(())
    }
}

/// Begins to log, to stderr.
fn start_log(observing: &Observing) {
    let log = tracing_subscriber::fmt().with_env_filter(observing.log.filter()).with_target(false);
    match observing.log_format {
        LogFormat::Text => log.with_ansi(io::stderr().is_terminal()).with_writer(io::stderr).init(),
        LogFormat::Json => log.json().flatten_event(true).with_writer(io::stderr).init(),
    }
}

/// Raises the limit of open files as far as it goes, and gives it.
fn raise_file_limit() -> u64 {
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    let wanted = Rlimit { current: maximum, maximum };
    if let Err(error) = setrlimit(Resource::Nofile, wanted) {
        tracing::warn!(%error, "the limit of open files stays as it is");
    }
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// How many connections so many files have room for, and no more than `most`.
fn connections(files: u64, segment_files: usize, most: usize) -> usize {
    let room = files.saturating_sub(OTHER_FILES + segment_files as u64);
    let connections = usize::try_from(room).unwrap_or(usize::MAX).clamp(64.min(most), most);
    if connections < most.min(FEW_CONNECTIONS) {
        tracing::warn!(connections, files, "few files may be open: fewer connections are taken");
    }
    connections
}
