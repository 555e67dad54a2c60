//! What a request may take: bytes, records and time.

use std::time::Duration;

use clap::{Args, builder::RangedU64ValueParser};
use takhin::http::HttpConfig;

#[derive(Debug, Args)]
#[command(next_help_heading = "Limits of requests")]
pub(in crate::cli) struct Limits {
    /// Connections at most; one more is answered 503. Fewer if the system doesn't grant as many files
    #[arg(
        long,
        env = "TAKHIN_MAX_CONNECTIONS",
        default_value_t = 100_000,
        value_name = "N",
        value_parser = RangedU64ValueParser::<usize>::new().range(1..=1_000_000)
    )]
    pub(in crate::cli) max_connections: usize,

    /// A request's body at most; a longer one is refused with 413
    #[arg(
        long,
        env = "TAKHIN_MAX_BODY_BYTES",
        default_value_t = 16 << 20,
        value_name = "BYTES",
        value_parser = RangedU64ValueParser::<usize>::new().range(1_024..=1 << 30)
    )]
    max_body_bytes: usize,

    /// A request's line and headers at most; longer ones are refused with 431
    #[arg(
        long,
        env = "TAKHIN_MAX_HEADER_BYTES",
        default_value_t = 65_536,
        value_name = "BYTES",
        value_parser = RangedU64ValueParser::<usize>::new().range(8_192..=1 << 20)
    )]
    max_header_bytes: usize,

    /// How many headers a request may have; more are refused with 431
    #[arg(
        long,
        env = "TAKHIN_MAX_HEADERS",
        default_value_t = 100,
        value_name = "N",
        value_parser = RangedU64ValueParser::<usize>::new().range(16..=1_000)
    )]
    max_headers: usize,

    /// Records in one produce request at most; more are refused with 413
    #[arg(
        long,
        env = "TAKHIN_MAX_RECORDS_PER_REQUEST",
        default_value_t = 100_000,
        value_name = "N",
        value_parser = RangedU64ValueParser::<usize>::new().range(1..=10_000_000)
    )]
    max_records_per_request: usize,

    /// Headers of one record at most; more are refused with 422
    #[arg(
        long,
        env = "TAKHIN_MAX_HEADERS_PER_RECORD",
        default_value_t = 100,
        value_name = "N",
        value_parser = RangedU64ValueParser::<usize>::new().range(0..=10_000)
    )]
    max_headers_per_record: usize,

    /// All bodies that are received or worked on together, at most; a request beyond it is answered 503
    #[arg(
        long,
        env = "TAKHIN_MAX_BODIES_BYTES",
        default_value_t = 512 << 20,
        value_name = "BYTES",
        value_parser = RangedU64ValueParser::<usize>::new().range(1 << 20..=1 << 40)
    )]
    max_bodies_bytes: usize,

    /// All answers with records that their clients have not taken yet together, at most; a poll or read beyond it is
    /// answered 503
    #[arg(
        long,
        env = "TAKHIN_MAX_ANSWERS_BYTES",
        default_value_t = 512 << 20,
        value_name = "BYTES",
        value_parser = RangedU64ValueParser::<usize>::new().range(1 << 20..=1 << 40)
    )]
    max_answers_bytes: usize,

    /// How long a request's line and headers may take; then the connection is closed
    #[arg(
        long,
        env = "TAKHIN_HEADER_TIMEOUT_MS",
        default_value_t = 10_000,
        value_name = "MS",
        value_parser = clap::value_parser!(u64).range(100..=600_000)
    )]
    header_timeout_ms: u64,

    /// How long a body may take before it must have kept up body-bytes-per-second; a slower one is answered 408
    #[arg(
        long,
        env = "TAKHIN_BODY_TIMEOUT_MS",
        default_value_t = 30_000,
        value_name = "MS",
        value_parser = clap::value_parser!(u64).range(100..=3_600_000)
    )]
    body_timeout_ms: u64,

    /// Each this many bytes received give a body another second
    #[arg(
        long,
        env = "TAKHIN_BODY_BYTES_PER_SECOND",
        default_value_t = 65_536,
        value_name = "BYTES",
        value_parser = RangedU64ValueParser::<usize>::new().range(1..=1 << 30)
    )]
    body_bytes_per_second: usize,

    /// How long a client may leave an answer unread, from the last byte that it took; then the connection is closed
    #[arg(
        long,
        env = "TAKHIN_WRITE_STALL_TIMEOUT_MS",
        default_value_t = 30_000,
        value_name = "MS",
        value_parser = clap::value_parser!(u64).range(100..=3_600_000)
    )]
    write_stall_timeout_ms: u64,

    /// How long a connection may stay open between two requests
    #[arg(
        long,
        env = "TAKHIN_IDLE_TIMEOUT_MS",
        default_value_t = 300_000,
        value_name = "MS",
        value_parser = clap::value_parser!(u64).range(100..=86_400_000)
    )]
    idle_timeout_ms: u64,

    /// How long requests may go on after the server was told to stop; then their connections are cut
    #[arg(
        long,
        env = "TAKHIN_SHUTDOWN_GRACE_MS",
        default_value_t = 4_000,
        value_name = "MS",
        value_parser = clap::value_parser!(u64).range(0..=600_000)
    )]
    shutdown_grace_ms: u64,

    /// Threads that serve requests; 0 is one for each processor
    #[arg(
        long,
        env = "TAKHIN_WORKER_THREADS",
        default_value_t = 0,
        value_name = "N",
        value_parser = RangedU64ValueParser::<usize>::new().range(0..=1_024)
    )]
    pub(in crate::cli) worker_threads: usize,
}

impl Limits {
    /// These limits, and else the defaults.
    pub(in crate::cli) fn config(&self) -> HttpConfig {
        HttpConfig {
            max_connections: self.max_connections,
            max_body_bytes: self.max_body_bytes,
            max_header_bytes: self.max_header_bytes,
            max_headers: self.max_headers,
            max_records_per_request: self.max_records_per_request,
            max_headers_per_record: self.max_headers_per_record,
            max_bodies_bytes: self.max_bodies_bytes,
            max_answers_bytes: self.max_answers_bytes,
            header_timeout: Duration::from_millis(self.header_timeout_ms),
            body_timeout: Duration::from_millis(self.body_timeout_ms),
            body_bytes_per_second: self.body_bytes_per_second,
            write_stall_timeout: Duration::from_millis(self.write_stall_timeout_ms),
            idle_timeout: Duration::from_millis(self.idle_timeout_ms),
            shutdown_grace: Duration::from_millis(self.shutdown_grace_ms),
            ..HttpConfig::default()
        }
    }

    pub(super) fn conflicts(&self) -> Vec<String> {
        let mut conflicts = Vec::new();
        if self.max_body_bytes > self.max_bodies_bytes {
            let (one, all) = (self.max_body_bytes, self.max_bodies_bytes);
            conflicts.push(format!("max-body-bytes is {one}, and max-bodies-bytes, for all together, {all}"));
        }
        conflicts
    }
}
