//! A key as its holder has it, and what is kept of it instead.
//!
//! ```text
//!   takhin_0123456789abcdef_<64 hexadecimal digits>
//!          '---- id ------' '-- 256 random bits --'
//! ```
//!
//! Kept is the SHA-256 of the whole text. A password would need a slow hash, since people choose passwords that can be
//! guessed; 256 random bits can't be, so a fast hash gives nothing away and costs a request nothing worth measuring.
//! The id leads to the one hash that a key is compared with, and that comparison takes the same time wherever the two
//! differ.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::KeysError;

const PREFIX: &str = "takhin_";
const SECRET_BYTES: usize = 32;

/// What a key is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(u64);

/// A key's text. It is not shown by `{:?}`.
pub struct Secret(String);

/// What is kept of a key's text.
#[derive(Clone, Copy)]
pub struct KeyDigest([u8; 32]);

impl Secret {
    /// Draws a key, and its id.
    ///
    /// # Errors
    /// If the system has no randomness to give.
    pub(super) fn draw() -> Result<(Self, KeyId), KeysError> {
        let (mut id, mut secret) = ([0; 8], [0; SECRET_BYTES]);
        getrandom::fill(&mut id).and_then(|()| getrandom::fill(&mut secret)).map_err(KeysError::NoRandomness)?;
        let id = KeyId(u64::from_be_bytes(id));
        Ok((Self(format!("{PREFIX}{id}_{}", hexadecimal(&secret))), id))
    }

    /// The text, to be shown to whom it is for.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    pub(super) fn digest(&self) -> KeyDigest {
        KeyDigest::of(&self.0)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl KeyId {
    /// The id in a key's text, if it may be one.
    pub(super) fn in_text(text: &str) -> Option<Self> {
        text.strip_prefix(PREFIX)?.split_once('_')?.0.parse().ok()
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// What is no id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a key's id is 16 hexadecimal digits")]
pub struct NoKeyId;

impl FromStr for KeyId {
    type Err = NoKeyId;

    fn from_str(text: &str) -> Result<Self, NoKeyId> {
        let digits = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if text.len() != 16 || !text.bytes().all(digits) {
            return Err(NoKeyId);
        }
        u64::from_str_radix(text, 16).map(Self).map_err(|_| NoKeyId)
    }
}

impl Serialize for KeyId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for KeyId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl KeyDigest {
    /// What is compared with where there is no key: nothing that can be found hashes to it.
    pub(super) const NONE: Self = Self([0; 32]);

    pub(super) fn of(text: &str) -> Self {
        Self(Sha256::digest(text).into())
    }

    /// Whether they are the same, in a time that does not depend on it.
    pub(super) fn matches(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

/// In constant time too, so that nobody has to choose.
impl PartialEq for KeyDigest {
    fn eq(&self, other: &Self) -> bool {
        self.matches(other)
    }
}

impl Eq for KeyDigest {}

impl fmt::Debug for KeyDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyDigest(…)")
    }
}

impl Serialize for KeyDigest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&hexadecimal(&self.0))
    }
}

impl<'de> Deserialize<'de> for KeyDigest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let mut bytes = [0; 32];
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        if pairs.len() != bytes.len() || !rest.is_empty() {
            return Err(D::Error::custom("a SHA-256 is 64 hexadecimal digits"));
        }
        for (byte, pair) in bytes.iter_mut().zip(pairs) {
            let digits = std::str::from_utf8(pair).map_err(D::Error::custom)?;
            *byte = u8::from_str_radix(digits, 16).map_err(D::Error::custom)?;
        }
        Ok(Self(bytes))
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
