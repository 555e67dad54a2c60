//! API keys: who may do what.
//!
//! ```text
//!   secret   a key as its holder has it, and what is kept of it instead
//!   scopes   which rights a key has, over which names
//!   file     the keys in the data directory
//!   ring     the keys of a running server, which follows the file
//! ```
//!
//! Knows neither HTTP nor the broker. A key is never changed: it is made, and revoked.

mod file;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod ring;
mod scopes;
mod secret;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use file::{KeysError, KeysFile};
pub use ring::{Ended, Key, KeyRing, NotAKey};
pub use scopes::{MAX_PATTERNS, NamePattern, Right, Rights, Scope, Scopes, ScopesError};
pub use secret::{KeyDigest, KeyId, NoKeyId, Secret};

use crate::limits::Limits;

/// Keys that one server may have.
pub const MAX_KEYS: usize = 10_000;

/// The longest name of a key, in bytes.
pub const MAX_NAME_BYTES: usize = 255;

/// All that is kept of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyRecord {
    /// What it is called by whoever revokes it; no secret.
    pub id: KeyId,
    /// Whom it was given to, in words.
    pub name: String,
    /// By which it is known again.
    pub sha256: KeyDigest,
    /// When it was made, in milliseconds since 1970.
    pub created_at: i64,
    /// From when on it is none any more, in milliseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<i64>,
    /// What it may do.
    pub scopes: Scopes,
    /// How much it may do; what is not said here, the server's defaults say.
    #[serde(default)]
    pub limits: Limits,
}

/// A key that is to be made.
#[derive(Clone, Debug)]
pub struct Wish {
    /// See [`KeyRecord`]; so below.
    pub name: String,
    /// See there.
    pub expires_at: Option<i64>,
    /// See there.
    pub scopes: Scopes,
    /// See there.
    pub limits: Limits,
}

impl KeyRecord {
    /// Whether it has expired.
    pub fn is_over(&self, now_ms: i64) -> bool {
        self.expires_at.is_some_and(|at| at <= now_ms)
    }
}

impl Wish {
    /// Makes the key: what its holder is told, once, and what is kept.
    ///
    /// # Errors
    /// If the system has no randomness to give.
    pub fn make(self, now_ms: i64) -> Result<(Secret, KeyRecord), KeysError> {
        let (secret, id) = Secret::draw()?;
        let Self { name, expires_at, scopes, limits } = self;
        let record = KeyRecord { id, name, sha256: secret.digest(), created_at: now_ms, expires_at, scopes, limits };
        Ok((secret, record))
    }
}

/// Whether a key can be called so: 1 to 255 bytes without control characters.
pub fn is_name(name: &str) -> bool {
    (1..=MAX_NAME_BYTES).contains(&name.len()) && !name.chars().any(char::is_control)
}
