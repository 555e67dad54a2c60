//! How much a client may ask for: a key's holder, or an address where no keys are required.
//!
//! ```text
//!   rate       so many units a second, with a second's worth at once
//!   usage      what one client has used up of its limits
//!   addresses  the usage of every address, in bounded memory
//! ```
//!
//! Knows neither HTTP nor keys.

mod addresses;
mod rate;
mod usage;

use serde::{Deserialize, Serialize};

pub use addresses::Addresses;
pub use rate::Rate;
pub use usage::{Excess, Place, Usage};

/// What a client is held to; what is not said is without limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Requests in a second, over time; as many at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests_per_second: Option<u32>,
    /// Bytes of bodies in a second, over time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ingress_bytes_per_second: Option<u64>,
    /// Requests under way at a time, polls that wait and streams among them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrent_requests: Option<u32>,
}

impl Limits {
    /// What [`Limits::requests_per_second`] may be.
    pub const REQUESTS_PER_SECOND: (u32, u32) = (1, 10_000_000);
    /// What [`Limits::ingress_bytes_per_second`] may be: with less, one large body would shut its client out for hours.
    pub const INGRESS_BYTES_PER_SECOND: (u64, u64) = (1_024, 1 << 40);
    /// What [`Limits::concurrent_requests`] may be.
    pub const CONCURRENT_REQUESTS: (u32, u32) = (1, 1_000_000);

    /// These, and where they say nothing, others.
    #[must_use]
    pub fn or(self, others: Self) -> Self {
        Self {
            requests_per_second: self.requests_per_second.or(others.requests_per_second),
            ingress_bytes_per_second: self.ingress_bytes_per_second.or(others.ingress_bytes_per_second),
            concurrent_requests: self.concurrent_requests.or(others.concurrent_requests),
        }
    }

    /// Whether they limit anything.
    pub fn are_any(&self) -> bool {
        *self != Self::default()
    }
}
