//! Settings of who may do what, and how much of it.

use std::{path::Path, sync::Arc};

use clap::Args;
use takhin::{http::HttpConfig, keys::KeyRing, limits::Limits};

#[derive(Debug, Args)]
#[command(next_help_heading = "Keys, and limits of clients")]
pub(in crate::cli) struct AccessArguments {
    /// Answer only requests that bring a key (takhin key create), health aside
    #[arg(
        long,
        env = "TAKHIN_REQUIRE_KEYS",
        value_name = "true|false",
        num_args = 0..=1,
        default_value = "false",
        default_missing_value = "true",
        require_equals = true,
        hide_default_value = true,
        value_parser = clap::builder::BoolishValueParser::new()
    )]
    require_keys: bool,

    /// How many requests a second each client may make: each key, or each address where no keys are required
    #[arg(
        long,
        env = "TAKHIN_LIMIT_REQUESTS_PER_SECOND",
        value_name = "REQUESTS",
        value_parser = clap::value_parser!(u32).range(range_u32(Limits::REQUESTS_PER_SECOND))
    )]
    limit_requests_per_second: Option<u32>,

    /// How many bytes of bodies a second each client may send
    #[arg(
        long,
        env = "TAKHIN_LIMIT_INGRESS_BYTES_PER_SECOND",
        value_name = "BYTES",
        value_parser = clap::value_parser!(u64).range(Limits::INGRESS_BYTES_PER_SECOND.0..=Limits::INGRESS_BYTES_PER_SECOND.1)
    )]
    limit_ingress_bytes_per_second: Option<u64>,

    /// How many requests each client may have under way at a time, polls that wait and streams among them
    #[arg(
        long,
        env = "TAKHIN_LIMIT_CONCURRENT_REQUESTS",
        value_name = "REQUESTS",
        value_parser = clap::value_parser!(u32).range(range_u32(Limits::CONCURRENT_REQUESTS))
    )]
    limit_concurrent_requests: Option<u32>,
}

/// The bounds of an option, as clap takes them for numbers of 32 bits.
pub(in crate::cli) fn range_u32((min, max): (u32, u32)) -> std::ops::RangeInclusive<i64> {
    i64::from(min)..=i64::from(max)
}

impl AccessArguments {
    /// Sets the server so. Where keys are required, they are those of this data directory, and are followed from now on:
    /// it must be in a runtime.
    pub(in crate::cli) fn apply(&self, http: &mut HttpConfig, data_dir: &Path) -> Result<(), String> {
        http.limits = Limits {
            requests_per_second: self.limit_requests_per_second,
            ingress_bytes_per_second: self.limit_ingress_bytes_per_second,
            concurrent_requests: self.limit_concurrent_requests,
        };
        http.keys = if self.require_keys { Some(follow(data_dir, http.limits)?) } else { None };
        Ok(())
    }
}

fn follow(data_dir: &Path, limits: Limits) -> Result<Arc<KeyRing>, String> {
    let keys = Arc::new(KeyRing::open(data_dir, limits).map_err(|error| error.to_string())?);
    if keys.all().is_empty() {
        let data_dir = data_dir.display();
        tracing::warn!(
            "keys are required and there is none: make one with takhin key create --data-dir {data_dir} --name admin \
             --cluster admin, which this server sees by itself"
        );
    }
    tokio::spawn(Arc::clone(&keys).follow());
    Ok(keys)
}
