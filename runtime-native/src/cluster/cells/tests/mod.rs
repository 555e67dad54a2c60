//! What the cells promise. Those that need brokers are in `brokers`: `cargo xtask kafka up`, and then
//! `TAKHIN_KAFKA_BROKERS=.. cargo test -p takhin cluster -- --ignored`.

mod brokers;
mod chunks;
mod directory;
mod outbox;
mod places;
mod watcher;
mod wire;
