//! The HTTP side: it knows HTTP and JSON, and nothing of groups.
//!
//! ```text
//!   server      accepts connections, ends them
//!   connection  one client: the handshake, hyper, the socket, and the clock that gives clients up
//!   dispatch    one request: its id, its error's body, its line in the log
//!   account     who wants to hear of each request: the access log, traces
//!   guard       who may do what, and how much of it: before each handler
//!   routes      what is where; takes a request apart (input), asks the driver, writes the answer (output)
//!   kafka_rest  the same operations for clients of Kafka's REST proxies
//!   openapi     what is said of all that
//! ```
//!
//! A [`Server`] promises:
//! * Every request that is read whole gets one answer, and every error has the shape that `error` describes.
//! * A request that is refused has changed nothing, unless its answer says which part was applied.
//! * A poll whose answer did not get away is reported to the driver, however that came about (`delivery`).
//! * No client, whatever it sends or leaves unsent, holds more than [`HttpConfig`] grants it.

mod access_log;
mod account;
mod client_address;
mod config;
mod connection;
mod cors;
mod delivery;
mod dispatch;
mod error;
mod forgery;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod guard;
mod handshake;
mod in_flight;
mod input;
mod kafka_rest;
mod lines;
mod link;
mod long_work;
mod openapi;
mod output;
mod paced;
mod page;
#[cfg(target_os = "linux")]
mod process;
mod progress;
mod refusal;
mod resume;
mod room;
mod routes;
mod routing;
mod server;
mod socket;
mod starting;
mod stats;
mod streams;
#[cfg(test)]
mod tests;
mod tls;
mod unreadable;
mod wire;

pub use access_log::{AccessLog, AccessLogFormat, AccessLogTo};
pub use account::{Exchange, Observer};
pub use client_address::{Network, ProxyHeader, TrustedProxies};
pub use config::HttpConfig;
pub use cors::{Cors, CorsOrigin};
pub use guard::{Need, RouteNeeds};
pub use kafka_rest::{CommitStyle, KafkaRestConfig};
pub use routes::route_needs;
pub use server::{Listener, Server};
pub use tls::{Tls, TlsError, TlsFiles};
