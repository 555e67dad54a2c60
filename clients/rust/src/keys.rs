//! API keys: whom they are for, and what may be done with them. A server has them if it was told to require them.

use std::{collections::BTreeMap, time::Duration};

use hyper::Method;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::{Deserialize, Serialize};

use crate::{Admin, Result, http::Call};

/// What a key may do. Names are whole, or a beginning with a `*` behind: `orders.*`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyScopes {
    /// With which topics: `read`, `write` and `admin`.
    #[serde(default)]
    pub topics: BTreeMap<String, Vec<String>>,
    /// With which groups: `read` and `admin`.
    #[serde(default)]
    pub groups: BTreeMap<String, Vec<String>>,
    /// With the server as a whole: `read`, or `admin`, which is everything.
    #[serde(default)]
    pub cluster: Vec<String>,
}

/// How much may be asked for with a key. What is None is as the server is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyLimits {
    /// Requests in a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_per_second: Option<u32>,
    /// Bytes of bodies in a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ingress_bytes_per_second: Option<u64>,
    /// Requests under way at a time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrent_requests: Option<u32>,
}

/// A key to be made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct NewKey {
    /// Whom it is for, in words: 1 to 255 bytes.
    pub name: String,
    /// When it ends, in milliseconds since the epoch; None is never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<i64>,
    /// What it may do.
    #[serde(flatten)]
    pub scopes: KeyScopes,
    /// How much of it.
    pub limits: KeyLimits,
}

/// A key, without what makes it one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Key {
    /// What it is called where it is revoked, and in the server's log.
    pub id: String,
    /// Whom it is for.
    pub name: String,
    /// When it was made, in milliseconds since the epoch.
    pub created_at: i64,
    /// When it ends; None is never.
    pub expires_at: Option<i64>,
    /// What it may do.
    #[serde(flatten)]
    pub scopes: KeyScopes,
    /// How much of it.
    pub limits: KeyLimits,
}

/// A key that was made just now.
#[derive(Clone, Deserialize)]
#[non_exhaustive]
pub struct CreatedKey {
    /// What is sent as `Authorization: Bearer …`. It is not shown again.
    #[serde(rename = "key")]
    pub text: String,
    /// The key itself.
    #[serde(flatten)]
    pub key: Key,
}

#[derive(Deserialize)]
struct Keys {
    keys: Vec<Key>,
}

impl Admin {
    /// All keys. As all that has to do with keys, this needs `cluster: admin`.
    ///
    /// # Errors
    ///
    /// `keys_not_required` if the server answers everybody.
    pub async fn keys(&self) -> Result<Vec<Key>> {
        Ok(self.http.send(Call::get("/api/keys")).await?.json::<Keys>()?.keys)
    }

    /// Makes a key. It is tried once: a second attempt would be a second key.
    ///
    /// # Errors
    ///
    /// `invalid_scope`, `keys_not_required`.
    pub async fn create_key(&self, wish: &NewKey) -> Result<CreatedKey> {
        let call = Call::new(Method::POST, "/api/keys").json(wish)?.give_up_after(Some(Duration::ZERO));
        self.http.send(call).await?.json()
    }

    /// Revokes a key: it is none any more.
    ///
    /// # Errors
    ///
    /// `key_not_found`, `invalid_key_id`, `keys_not_required`.
    pub async fn revoke_key(&self, id: &str) -> Result<()> {
        self.delete(format!("/api/keys/{}", utf8_percent_encode(id, NON_ALPHANUMERIC)), "key_not_found").await
    }
}
