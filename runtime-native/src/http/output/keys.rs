//! The answers of `/api/keys`.

use std::{collections::BTreeMap, sync::Arc};

use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    keys::{Key, KeyId, KeyRecord, Scopes, Secret},
    limits::Limits,
};

/// A key as anybody may know it who may make keys. Nothing of it can be used as one.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Key")]
pub(crate) struct KeyView<'a> {
    /// What it is revoked by; no secret.
    #[schemars(with = "String")]
    id: KeyId,
    /// Whom it was given to.
    name: &'a str,
    /// When it was made.
    created_at: i64,
    /// From when on it is none any more, if ever.
    expires_at: Option<i64>,
    /// Whether it is none any more.
    expired: bool,
    #[serde(flatten)]
    #[schemars(with = "ScopesView")]
    scopes: &'a Scopes,
    /// What it is held to, beside the server's own limits.
    #[schemars(with = "LimitsView")]
    limits: &'a Limits,
}

impl<'a> KeyView<'a> {
    fn new(record: &'a KeyRecord, now_ms: i64) -> Self {
        Self {
            id: record.id,
            name: &record.name,
            created_at: record.created_at,
            expires_at: record.expires_at,
            expired: record.is_over(now_ms),
            scopes: &record.scopes,
            limits: &record.limits,
        }
    }
}

/// What a key may do.
#[derive(JsonSchema)]
#[schemars(rename = "KeyScopes")]
#[allow(dead_code)] // it describes `Scopes`
struct ScopesView {
    /// Its rights over topics, by name, or by what names begin with and a `*`: `read`, `write`, `admin`.
    topics: BTreeMap<String, Vec<String>>,
    /// Its rights over groups, likewise: `read`, `admin`.
    groups: BTreeMap<String, Vec<String>>,
    /// Its rights over the server as a whole: `read`, `admin`.
    cluster: Vec<String>,
}

/// What a client is held to; what is left out is the server's default.
#[derive(JsonSchema)]
#[schemars(rename = "KeyLimits")]
#[allow(dead_code)] // it describes `Limits`
struct LimitsView {
    /// Requests in a second.
    #[schemars(default)]
    requests_per_second: u32,
    /// Bytes of bodies in a second.
    #[schemars(default)]
    ingress_bytes_per_second: u64,
    /// Requests under way at a time.
    #[schemars(default)]
    concurrent_requests: u32,
}

/// `GET /api/keys`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Keys<'a> {
    /// Those first that were made first.
    keys: Vec<KeyView<'a>>,
}

impl<'a> Keys<'a> {
    pub(crate) fn new(keys: &'a [Arc<Key>], now_ms: i64) -> Self {
        Self { keys: keys.iter().map(|key| KeyView::new(key.record(), now_ms)).collect() }
    }
}

/// `POST /api/keys`: the only answer that has the key itself.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct KeyMade<'a> {
    /// Its text, which is not shown again.
    key: &'a str,
    #[serde(flatten)]
    view: KeyView<'a>,
}

impl<'a> KeyMade<'a> {
    pub(crate) fn new(secret: &'a Secret, record: &'a KeyRecord, now_ms: i64) -> Self {
        Self { key: secret.reveal(), view: KeyView::new(record, now_ms) }
    }
}

/// `DELETE /api/keys/{id}`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct KeyRevoked {
    /// Which it was.
    #[schemars(with = "String")]
    pub(crate) id: KeyId,
    /// For a person.
    pub(crate) message: &'static str,
}
