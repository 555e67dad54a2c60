//! Against librdkafka's own mock of a cluster; and against real brokers, where `TAKHIN_KAFKA_BROKERS` says where they are
//! and ignored tests are asked for: `cargo xtask kafka up` starts some.

mod appending;
mod brokers;
mod following;
mod harness;
mod measure;
mod reading;
mod runs;
mod transactions;
