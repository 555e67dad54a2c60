//! The answers of `/api/keys`.

use std::sync::Arc;

use serde::Serialize;

use crate::{
    keys::{Key, KeyId, KeyRecord, Scopes, Secret},
    limits::Limits,
};

/// A key as anybody may know it who may make keys. Nothing of it can be used as one.
#[derive(Debug, Serialize)]
pub(crate) struct KeyView<'a> {
    id: KeyId,
    name: &'a str,
    created_at: i64,
    expires_at: Option<i64>,
    expired: bool,
    #[serde(flatten)]
    scopes: &'a Scopes,
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

/// `GET /api/keys`.
#[derive(Debug, Serialize)]
pub(crate) struct Keys<'a> {
    keys: Vec<KeyView<'a>>,
}

impl<'a> Keys<'a> {
    pub(crate) fn new(keys: &'a [Arc<Key>], now_ms: i64) -> Self {
        Self { keys: keys.iter().map(|key| KeyView::new(key.record(), now_ms)).collect() }
    }
}

/// `POST /api/keys`: the only answer that has the key itself.
#[derive(Debug, Serialize)]
pub(crate) struct KeyMade<'a> {
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
#[derive(Debug, Serialize)]
pub(crate) struct KeyRevoked {
    pub(crate) id: KeyId,
    pub(crate) message: &'static str,
}
