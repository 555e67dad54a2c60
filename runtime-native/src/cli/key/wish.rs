//! The key that is wished for: whom it is for, what it may do, and how much of it.

use std::{
    collections::BTreeMap,
    time::{SystemTime, UNIX_EPOCH},
};

use clap::Args;
use serde_json::json;
use takhin::{
    keys::{NamePattern, Rights, Scope, Scopes, ScopesError, Wish, is_name},
    limits::Limits,
};
use takhin_client::NewKey;

use crate::cli::{client::Failure, settings::range_u32};

#[derive(Debug, Args)]
pub(super) struct WishOptions {
    /// Whom it is for, in words
    #[arg(long)]
    name: String,

    /// What it may do with which topics, as in orders.*:read,write; rights are read, write, admin; can be given several
    /// times
    #[arg(long = "topic", value_name = "PATTERN:RIGHTS")]
    topics: Vec<String>,

    /// And with which groups, as in billing:read; rights are read (to consume) and admin; can be given several times
    #[arg(long = "group", value_name = "PATTERN:RIGHTS")]
    groups: Vec<String>,

    /// And with the server as a whole: read (metrics and the debug trace), or admin, which is everything
    #[arg(long, value_name = "RIGHTS", value_delimiter = ',')]
    cluster: Vec<String>,

    /// In how many days it expires; without it, never
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=36_500))]
    expires_in_days: Option<u32>,

    /// How many requests a second may be made with it, instead of the server's default
    #[arg(long, value_name = "REQUESTS", value_parser = clap::value_parser!(u32).range(range_u32(Limits::REQUESTS_PER_SECOND)))]
    requests_per_second: Option<u32>,

    /// How many bytes of bodies a second may be sent with it
    #[arg(
        long,
        value_name = "BYTES",
        value_parser = clap::value_parser!(u64).range(Limits::INGRESS_BYTES_PER_SECOND.0..=Limits::INGRESS_BYTES_PER_SECOND.1)
    )]
    ingress_bytes_per_second: Option<u64>,

    /// How many requests may be under way with it at a time
    #[arg(long, value_name = "REQUESTS", value_parser = clap::value_parser!(u32).range(range_u32(Limits::CONCURRENT_REQUESTS)))]
    concurrent_requests: Option<u32>,
}

impl WishOptions {
    /// As it is kept.
    pub(super) fn wish(&self) -> Result<Wish, String> {
        if !is_name(&self.name) {
            return Err("a key's name has 1 to 255 bytes, and no control characters".to_owned());
        }
        let scopes = Scopes {
            topics: grants("--topic", Scope::Topics, &self.topics, NamePattern::of_topics)?,
            groups: grants("--group", Scope::Groups, &self.groups, NamePattern::of_groups)?,
            cluster: rights("--cluster", Scope::Cluster, self.cluster.iter().map(String::as_str))?,
        };
        let scopes = scopes.check().map_err(|error| error.to_string())?;
        if scopes == Scopes::default() {
            return Err("a key without any right is of no use: say --topic, --group or --cluster".to_owned());
        }
        let expires_at = self.expires_in_days.map(|days| now_ms() + i64::from(days) * 86_400_000);
        let limits = Limits {
            requests_per_second: self.requests_per_second,
            ingress_bytes_per_second: self.ingress_bytes_per_second,
            concurrent_requests: self.concurrent_requests,
        };
        Ok(Wish { name: self.name.clone(), expires_at, scopes, limits })
    }
}

/// As a server takes it.
pub(super) fn new_key(wish: &Wish) -> Result<NewKey, Failure> {
    let told = |error: serde_json::Error| Failure::new(error.to_string());
    Ok(NewKey {
        name: wish.name.clone(),
        expires_at: wish.expires_at,
        scopes: serde_json::from_value(json!(wish.scopes)).map_err(told)?,
        limits: serde_json::from_value(json!(wish.limits)).map_err(told)?,
    })
}

fn grants(
    option: &str,
    scope: Scope,
    given: &[String],
    pattern: impl Fn(&str) -> Result<NamePattern, ScopesError>,
) -> Result<BTreeMap<NamePattern, Rights>, String> {
    let mut grants = BTreeMap::new();
    for text in given {
        // A group's name may have colons; a right has none.
        let (name, words) = text.rsplit_once(':').ok_or_else(|| {
            format!("{option} {text}: expected a name, or the beginning of names with a * behind, a colon, and rights")
        })?;
        let pattern = pattern(name).map_err(|error| format!("{option} {text}: {error}"))?;
        let rights = rights(&format!("{option} {text}"), scope, words.split(','))?;
        if grants.insert(pattern, rights).is_some() {
            return Err(format!("{option} {name} is given twice"));
        }
    }
    Ok(grants)
}

fn rights<'a>(option: &str, scope: Scope, words: impl Iterator<Item = &'a str>) -> Result<Rights, String> {
    words.map(|word| scope.right(word).map_err(|error| format!("{option}: {error}"))).collect()
}

pub(super) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
