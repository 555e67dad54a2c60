//! Takhin as a server: the broker's core, driven by tokio, kept in files, spoken to over HTTP.
//!
//! ```text
//!   http      HTTP and JSON in, HTTP and JSON out       knows nothing of groups
//!     |
//!   driver    owns the core, carries its commands out   knows neither HTTP nor disks
//!     |
//!   engine    keeps logs and facts in files             knows bytes, and nothing of groups
//!     |
//!   record    Kafka's record batch, which all of them hand on
//! ```
//!
//! Beside them stand `keys` and `limits`, which http asks who may do what, and how much of it; and `migrate`, which moves what
//! one engine has to the other.

pub mod broker;
#[cfg(feature = "kafka")]
pub mod cluster;
pub mod driver;
pub mod engine;
pub mod http;
pub mod keys;
pub mod limits;
#[cfg(feature = "kafka")]
pub mod migrate;
#[cfg(test)]
mod near_misses;
#[cfg(feature = "otel")]
pub mod otel;
pub mod record;
