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

pub mod driver;
pub mod engine;
pub mod http;
#[cfg(feature = "otel")]
pub mod otel;
pub mod record;
