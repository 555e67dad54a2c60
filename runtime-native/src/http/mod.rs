//! The HTTP side: it knows HTTP and JSON, and nothing of groups.
//!
//! ```text
//!   server      accepts connections, ends them
//!   connection  one client: hyper, the socket, and the clock that gives clients up
//!   dispatch    one request: its id, its error's body, its line in the log
//!   guard       who may do what, and how much of it: before each handler
//!   routes      what is where; takes a request apart (input), asks the driver, writes the answer (output)
//!   kafka_rest  the same operations for clients of Kafka's REST proxies
//!   openapi     what is said of all that
//! ```
//!
//! [`serve`] promises:
//! * Every request that is read whole gets one answer, and every error has the shape that `error` describes.
//! * A request that is refused has changed nothing, unless its answer says which part was applied.
//! * A poll whose answer did not get away is reported to the driver, however that came about (`delivery`).
//! * No client, whatever it sends or leaves unsent, holds more than [`HttpConfig`] grants it.

mod config;
mod connection;
mod delivery;
mod dispatch;
mod error;
mod guard;
mod in_flight;
mod input;
mod kafka_rest;
mod link;
mod long_work;
mod openapi;
mod output;
mod paced;
mod page;
mod progress;
mod refusal;
mod resume;
mod room;
mod routes;
mod server;
mod socket;
mod stats;
mod streams;
#[cfg(test)]
mod tests;
mod unreadable;

pub use config::HttpConfig;
pub use guard::{Need, RouteNeeds};
pub use kafka_rest::{CommitStyle, KafkaRestConfig};
pub use routes::route_needs;
pub use server::serve;
