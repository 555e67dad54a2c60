//! Nodes of one broker, on a real Kafka cluster: whatever dies, consumers go on with their ids, nothing acknowledged is lost,
//! and nothing that was committed is delivered again.
//!
//! They need brokers, whose addresses are in `TAKHIN_KAFKA_BROKERS`: `cargo xtask test --kafka` has them, and runs these.

mod broker_faults;
mod door;
mod faults;
mod first_steps;
mod load;
mod lost_answers;
mod migration;
mod nodes;
mod others;
mod topic_prefix;
