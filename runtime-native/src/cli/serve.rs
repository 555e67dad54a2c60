//! `takhin serve`.

use std::{
    io,
    io::{IsTerminal as _, Write as _},
    time::Instant,
};

use clap::Args;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use takhin::http::{HttpConfig, Listener, Server};
use tokio::{
    runtime,
    signal::unix::{SignalKind, signal},
};

use super::{
    banner::Banner,
    config::in_order,
    listen::{Listening, listen},
    observers::Observers,
    reload::Reload,
    running::Running,
    settings::{ConfigFile, EngineKind, LogFormat, Observing, Settings},
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

        let Settings { listening, storage, observing, .. } = &self.settings;
        let files = raise_file_limit();
        let engine = storage.config(files);
        let observers = Observers::start(observing)?;
        let http = self.http_config(files, engine.open_files, &observers)?;
        let page_path = http.page_path();
        let tls = listening.tls()?;
        let listeners = listen(&listening.listen)?;
        let addresses: Vec<_> =
            listeners.iter().filter_map(|it| it.socket.local_addr().ok().map(|address| (it.tls, address))).collect();
        let listeners = listeners.into_iter().map(|Listening { socket, tls: encrypted }| {
            let tls = tls.clone().filter(|_| encrypted);
            Listener { socket, tls }
        });
        let server = Server::start(http, listeners.collect());
        let running = tokio::task::block_in_place(|| Running::start(&self.settings, engine))?;
        let access_log = observers.access_log.clone();
        tokio::spawn(Reload { tls, access_log, look_every: listening.tls_check_interval() }.run(hangup));

        let banner = Banner { addresses: &addresses, page_path, running: &running, took: began.elapsed() };
        server.open(running.broker());
        // Whether anybody reads the banner is no reason to serve or not to.
        let _ = writeln!(io::stdout(), "{}", banner.text());

        let signal = tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "SIGINT",
        };
        tracing::info!(signal, "stopping: no new connections, parked polls end, writes are finished");
        running.drain();
        server.close().await;
        tokio::task::block_in_place(|| {
            observers.end();
            running.stop()
        })?;
        tracing::info!("stopped; {}", running.kept());
        Ok(())
    }

    /// What the HTTP side is set to, where so many files may be open, and so many of them be segments.
    fn http_config(&self, files: u64, segments: usize, observers: &Observers) -> Result<HttpConfig, String> {
        let Settings { listening, storage, broker, cluster, access, kafka_rest, limits, .. } = &self.settings;
        let mut http = HttpConfig {
            auto_create_partitions: broker.auto_create_partitions(),
            kafka_rest: kafka_rest.config(),
            max_connections: connections(files, segments, limits.max_connections),
            tls_handshake_timeout: listening.tls_handshake_timeout(),
            cors: listening.cors(),
            trusted_proxies: listening.trusted_proxies(),
            durability: (cluster.engine == EngineKind::Local).then(|| storage.durability()),
            observers: observers.all(),
            ..limits.config()
        };
        access.apply(&mut http, &storage.data_dir)?;
        Ok(http)
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
